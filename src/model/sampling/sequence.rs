//! A sequence on its way from its prompt to its end.

use super::SamplingParams;
use super::draw::{Stream, draw, record};
use super::request::{FirstTokenCandidate, Generated, SequenceSpec, StopRule};
use super::row::{LogitsRow, Normalizer};
use crate::model::Vocabulary;
use crate::text::{EndReason, LogProbSummary};

/// What all sequences of a call have in common.
#[derive(Clone, Copy)]
pub(in crate::model) struct Rules<'a> {
    pub(in crate::model) params: &'a SamplingParams,
    pub(in crate::model) stop: Option<&'a StopRule<'a>>,
    pub(in crate::model) vocabulary: &'a Vocabulary,
}

impl Rules<'_> {
    /// How many tokens of a row may be drawn, the first ones: an embedding's padding is no token.
    fn drawable(&self, row: &dyn LogitsRow) -> usize {
        self.vocabulary.tokens().min(row.vocab_size())
    }
}

/// A sequence, without its keys and values.
pub(in crate::model) struct Sequence {
    pub(in crate::model) prompt_index: usize,
    pub(in crate::model) tokens: Vec<u32>,
    pub(in crate::model) end: Option<EndReason>,
    end_token: Option<u32>,
    /// The logits were not finite.
    pub(in crate::model) broken: bool,
    tag: u64,
    stream: Stream,
    log_prob: LogProbSummary,
    max_tokens: usize,
    room: Vec<(f32, u32)>,
}

impl Sequence {
    /// A sequence after a prompt whose last logits are `row`; `max_tokens` fit.
    pub(in crate::model) fn begin(
        prompt_index: usize,
        spec: &SequenceSpec,
        (normalizer, row): (Normalizer, &dyn LogitsRow),
        max_tokens: usize,
        rules: Rules<'_>,
    ) -> Self {
        let mut sequence = Self {
            prompt_index,
            tokens: Vec::new(),
            end: None,
            end_token: None,
            broken: false,
            tag: spec.tag,
            stream: Stream::new(&spec.stream),
            log_prob: LogProbSummary {
                sum: 0.0,
                count: 0,
                first: 0.0,
                min: 0.0,
            },
            max_tokens,
            room: Vec::new(),
        };
        if let Some(token) = spec.forced_first {
            let log_prob = normalizer.log_prob(row.logit(token));
            record(&mut sequence.log_prob, log_prob);
            sequence.tokens.push(token);
            if max_tokens == 1 {
                sequence.end = Some(EndReason::Length);
            }
        } else {
            sequence.advance(row, rules);
        }
        sequence
    }

    /// Draws a token and decides whether the sequence ends.
    pub(in crate::model) fn advance(&mut self, row: &dyn LogitsRow, rules: Rules<'_>) {
        let Some(normalizer) = row.normalizer() else {
            self.broken = true;
            return;
        };
        let token = draw(
            row,
            rules.drawable(row),
            rules.params,
            &mut self.stream,
            &mut self.room,
        );
        let log_prob = normalizer.log_prob(row.logit(token));
        record(&mut self.log_prob, log_prob);
        if rules.vocabulary.ends().contains(&token) {
            self.end = Some(EndReason::EndOfText);
            self.end_token = Some(token);
            return;
        }
        self.tokens.push(token);
        if rules.stop.is_some_and(|stop| stop(&self.tokens)) {
            self.end = Some(EndReason::Imitative);
        } else if self.tokens.len() >= self.max_tokens {
            self.end = Some(EndReason::Length);
        }
    }

    /// Hands it to the caller.
    pub(in crate::model) fn finish(self, done: &mut (dyn FnMut(Generated) + Send)) {
        done(Generated {
            prompt_index: self.prompt_index,
            tag: self.tag,
            tokens: self.tokens,
            log_prob: self.log_prob,
            end: self.end.unwrap_or(EndReason::Unknown),
            end_token: self.end_token,
        });
    }
}

/// The most probable first tokens after a prompt; `None` where the logits are not finite.
pub(super) fn first_tokens(
    row: &dyn LogitsRow,
    count: usize,
    rules: Rules<'_>,
) -> Option<(Normalizer, Vec<FirstTokenCandidate>)> {
    let normalizer = row.normalizer()?;
    let mut best = Vec::new();
    row.best(count, rules.drawable(row), &mut best);
    let candidates = best.iter().zip(0..).map(|(&(logit, token), rank)| {
        let log_prob = normalizer.log_prob(logit);
        FirstTokenCandidate {
            token,
            rank,
            log_prob,
        }
    });
    Some((normalizer, candidates.collect()))
}
