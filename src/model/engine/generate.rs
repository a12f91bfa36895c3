//! Continuous batching: prompts are read as slots come free, branch into sequences, and decode together
//! until each ends.

use std::collections::VecDeque;
use std::sync::Arc;

use super::cache::{Prefix, SequenceCache};
use super::draw::SamplingParams;
use super::forward::{LOGIT_ROWS, Scratch, Segment};
use super::parallel::Parallel;
use super::sequence::{Rules, Sequence, first_tokens};
use super::{Engine, EngineError};
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::Vocabulary;
use crate::text::{EndReason, LogProbSummary};

/// Prompt tokens that are read together, about: enough rows to keep the kernels busy.
const PREFILL_ROWS: usize = 128;

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
pub struct Request<'a> {
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

/// A sequence on its way, and its keys and values.
struct Active {
    sequence: Sequence,
    cache: SequenceCache,
}

/// A prompt, and what reading it gives.
pub(super) struct Prefill<'a> {
    tokens: &'a [u32],
    cache: SequenceCache,
    /// The logits after its last token.
    pub(super) logits: Vec<f32>,
}

impl Prefill<'_> {
    /// The keys and values that its continuations share.
    pub(super) fn into_prefix(self) -> Arc<Prefix> {
        self.cache.into_prefix()
    }
}

impl Engine {
    /// Generates sequences. Each prompt is read once; `expand` is handed its index and its most probable first tokens
    /// and answers with the sequences that it wants, which share the prompt's keys and values; `done` gets each
    /// finished sequence, in no promised order.
    ///
    /// Both callbacks run on a thread of the engine's pool, one at a time.
    ///
    /// # Errors
    /// A parameter is out of range; a prompt is empty, longer than the context less one token, or has a
    /// token that the vocabulary has not; the logits are not finite; somebody cancelled.
    pub fn generate(
        &self,
        request: Request<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        let Request {
            prompts,
            candidates,
            params,
            vocabulary,
            stop,
        } = request;
        params.check()?;
        for (index, prompt) in prompts.iter().enumerate() {
            self.check_tokens(index, prompt, self.model.positions - 1)?;
        }
        let rules = Rules {
            params,
            stop,
            vocabulary,
        };
        let (batch, surplus) = self.batch(params.max_new_tokens as usize);
        self.pool.install(|| {
            let mut scratches = self.scratches();
            let mut unread = prompts.iter().map(Vec::as_slice).enumerate().peekable();
            let mut waiting = VecDeque::new();
            let mut active: Vec<Active> = Vec::new();
            loop {
                // Somebody who asks to stop keeps what is being written: nothing new begins.
                let stopping = cancel.is_cancelled();
                if stopping {
                    waiting.clear();
                    if active.is_empty() {
                        return Err(EngineError::Cancelled);
                    }
                }
                while !stopping && active.len() + waiting.len() < batch && unread.peek().is_some() {
                    let mut group: Vec<(usize, &[u32])> = Vec::new();
                    let mut rows = 0;
                    while let Some((index, prompt)) =
                        unread.next_if(|(_, p)| rows == 0 || rows + p.len() <= PREFILL_ROWS)
                    {
                        rows += prompt.len();
                        group.push((index, prompt));
                    }
                    let tokens: Vec<&[u32]> = group.iter().map(|&(_, prompt)| prompt).collect();
                    let read = self.prefill(&tokens, &mut scratches);
                    for ((index, _), read) in group.into_iter().zip(read) {
                        self.branch(index, read, candidates, rules, expand, done, &mut waiting)?;
                    }
                    if cancel.is_cancelled() {
                        break;
                    }
                }
                let mut free = batch.saturating_sub(active.len());
                if unread.peek().is_none() && waiting.len() <= free + surplus {
                    free = waiting.len();
                }
                active.extend(waiting.drain(..free.min(waiting.len())));
                if active.is_empty() {
                    return Ok(());
                }
                self.in_shares(&mut active, &mut scratches, |parallel, active, scratch| {
                    self.decode(parallel, active, scratch, rules);
                });
                if let Some(bad) = active.iter().find(|active| active.sequence.broken) {
                    let index = bad.sequence.prompt_index;
                    return Err(EngineError::NotFinite { index });
                }
                for ended in active.extract_if(.., |active| active.sequence.end.is_some()) {
                    ended.sequence.finish(done);
                }
            }
        })
    }

    /// Reads prompts. Call it inside the pool.
    pub(super) fn prefill<'p>(
        &self,
        prompts: &[&'p [u32]],
        scratches: &mut [Scratch],
    ) -> Vec<Prefill<'p>> {
        let mut prefills: Vec<Prefill<'p>> = prompts
            .iter()
            .map(|&tokens| Prefill {
                tokens,
                cache: SequenceCache::empty(),
                logits: Vec::new(),
            })
            .collect();
        self.in_shares(&mut prefills, scratches, |parallel, prefills, scratch| {
            let mut segments: Vec<Segment<'_>> = prefills
                .iter_mut()
                .map(|prefill| Segment {
                    cache: &mut prefill.cache,
                    tokens: prefill.tokens,
                    wanted: 1,
                })
                .collect();
            self.model.forward(parallel, &mut segments, scratch);
            for start in (0..prefills.len()).step_by(LOGIT_ROWS) {
                let end = prefills.len().min(start + LOGIT_ROWS);
                let logits = self.model.project(parallel, scratch, start..end);
                let rows = logits.chunks_exact(self.model.logit_stride());
                for (prefill, row) in prefills[start..end].iter_mut().zip(rows) {
                    prefill.logits = row[..self.model.vocab].to_vec();
                }
            }
        });
        prefills
    }

    /// Lets the caller choose the sequences of a prompt, and gives each its first token.
    #[expect(clippy::too_many_arguments, reason = "one call site")]
    fn branch(
        &self,
        prompt_index: usize,
        mut read: Prefill<'_>,
        candidates: usize,
        rules: Rules<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        waiting: &mut VecDeque<Active>,
    ) -> Result<(), EngineError> {
        let logits = std::mem::take(&mut read.logits);
        let (normalizer, candidates) =
            first_tokens(self.isa, &logits, candidates, rules).ok_or(EngineError::NotFinite {
                index: prompt_index,
            })?;
        let left = self.model.positions - read.tokens.len();
        let max_tokens = left.min(rules.params.max_new_tokens as usize);
        let specs = expand(prompt_index, &candidates);
        let caches = read.cache.branch(specs.len());
        for (spec, cache) in specs.into_iter().zip(caches) {
            if let Some(token) = spec.forced_first {
                self.check_tokens(prompt_index, &[token], 1)?;
            }
            let last = (normalizer, logits.as_slice());
            let sequence = Sequence::begin(prompt_index, &spec, self.isa, last, max_tokens, rules);
            if sequence.end.is_some() {
                sequence.finish(done);
            } else {
                waiting.push_back(Active { sequence, cache });
            }
        }
        Ok(())
    }

    /// One more token for each sequence.
    fn decode(
        &self,
        parallel: Parallel,
        active: &mut [Active],
        scratch: &mut Scratch,
        rules: Rules<'_>,
    ) {
        let mut segments: Vec<Segment<'_>> = active
            .iter_mut()
            .map(|Active { sequence, cache }| Segment {
                cache,
                tokens: &sequence.tokens[sequence.tokens.len() - 1..],
                wanted: 1,
            })
            .collect();
        self.model.forward(parallel, &mut segments, scratch);
        let logits = self.model.project(parallel, scratch, 0..active.len());
        let stride = self.model.logit_stride();
        parallel.for_each_mut(active, 1, |i, active| {
            let row = &logits[i * stride..][..self.model.vocab];
            active.sequence.advance(self.isa, row, rules);
        });
    }
}
