//! What is asked of an engine that generates, and what it gives.

use super::SamplingParams;
use crate::key::Digest;
use crate::model::Vocabulary;
use crate::text::{EndReason, LogProbSummary};

/// One of the most probable first tokens of a prompt.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FirstTokenCandidate {
    /// Its id.
    pub token: u32,
    /// 0 for the most probable.
    pub rank: u32,
    /// Its log-probability in nats.
    pub log_prob: f64,
}

/// A sequence that the caller wants from a prompt.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SequenceSpec {
    /// The first token, given rather than drawn; end-of-text does not end the sequence here.
    pub forced_first: Option<u32>,
    /// Seeds the sequence's own random stream.
    pub stream: Digest,
    /// Comes back with the sequence.
    pub tag: u64,
}

/// A finished sequence.
#[derive(Clone, PartialEq, Debug)]
pub struct Generated {
    /// Which prompt, from 0.
    pub prompt_index: usize,
    /// The caller's mark.
    pub tag: u64,
    /// Its tokens, a forced first token included, a drawn end-of-text not.
    pub tokens: Vec<u32>,
    /// Log-probabilities of its tokens and of end-of-text where that was drawn.
    pub log_prob: LogProbSummary,
    /// Why it ended.
    pub end: EndReason,
    /// The token that ended it, where one was drawn.
    pub end_token: Option<u32>,
}

/// Whether a sequence's tokens so far are to be its last.
pub type StopRule<'a> = dyn Fn(&[u32]) -> bool + Sync + 'a;
/// Answers a prompt's index and its most probable first tokens with the sequences that are wanted.
pub type Expand<'a> = dyn FnMut(usize, &[FirstTokenCandidate]) -> Vec<SequenceSpec> + Send + 'a;

/// What is to be generated.
#[derive(Clone, Copy)]
pub struct GenerationRequest<'a> {
    /// The prompts.
    pub prompts: &'a [Vec<u32>],
    /// How many of a prompt's most probable first tokens the caller is handed.
    pub candidates: usize,
    /// How tokens are drawn.
    pub params: &'a SamplingParams,
    /// Which tokens may be drawn, and which of them end a sequence.
    pub vocabulary: &'a Vocabulary,
    /// Asked after each drawn token; it ends a sequence as imitative.
    pub stop: Option<&'a StopRule<'a>>,
}
