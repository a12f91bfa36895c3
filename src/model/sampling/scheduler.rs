//! Continuous batching: prompts are read as room comes free, branch into sequences, and go on together until each ends.

use std::collections::{BTreeMap, VecDeque};

use super::request::{Expand, Generated, GenerationRequest, SequenceSpec};
use super::row::LogitsRow;
use super::sequence::{Rules, Sequence, first_tokens};
use crate::event::CancelToken;
use crate::model::EngineError;
use crate::model::device::DeviceFailure;
use crate::model::engine_error::check_tokens;

/// A sequence under way.
pub(in crate::model) struct Active<S> {
    pub(in crate::model) sequence: Sequence,
    /// Where its keys and values are.
    pub(in crate::model) slot: S,
    prompt_tokens: usize,
    /// What it began from, should it have to begin again.
    spec: SequenceSpec,
}

impl<S> Active<S> {
    /// The token that is to be read next, its last, and the slot.
    pub(in crate::model) fn next(&mut self) -> (&[u32], &mut S) {
        let last = self.sequence.tokens.len() - 1;
        (&self.sequence.tokens[last..], &mut self.slot)
    }

    /// The token that is to be read next.
    pub(in crate::model) fn last(&self) -> u32 {
        self.sequence.tokens[self.sequence.tokens.len() - 1]
    }

    /// What has been read, and what is to be: the prompt's index, and all tokens after it.
    pub(in crate::model) fn history(&self) -> (usize, &[u32]) {
        (self.sequence.prompt_index, &self.sequence.tokens)
    }

    /// The position of that token.
    pub(in crate::model) fn position(&self) -> usize {
        self.prompt_tokens + self.sequence.tokens.len() - 1
    }
}

/// What reading a prompt gives.
pub(in crate::model) struct Read<R, P> {
    /// The logits after its last token.
    pub(in crate::model) row: R,
    /// Its keys and values.
    pub(in crate::model) prefix: P,
}

/// Draws a token for a sequence from the logits after its last one.
pub(in crate::model) type Advance<'a> = dyn Fn(&mut Sequence, &dyn LogitsRow) + Sync + 'a;

/// What prompts gave, in their order.
pub(crate) type Prefilled<Logits, Prefix> = Result<Vec<Read<Logits, Prefix>>, EngineError>;

/// An engine during one call of [`generate`]. It computes; what is drawn, and when, is the scheduler's.
pub(in crate::model) trait Decoder {
    /// A row of logits after a prompt.
    type Logits: LogitsRow;
    /// Keys and values of a prompt, which its sequences begin with.
    type Prefix;
    /// Where the keys and values of a sequence under way are.
    type Slot;

    /// Logits of a row.
    fn vocab_rows(&self) -> usize;

    /// Tokens of a text at most.
    fn context(&self) -> usize;

    /// How many sequences go on together.
    fn batch(&self) -> usize;

    /// How many more the last of a call may be: a few that are left alone would cost a pass over all weights for themselves.
    fn surplus(&self) -> usize {
        0
    }

    /// How many of the next prompts are read together, at least one; `lengths` are theirs in tokens.
    fn together(&self, lengths: &mut dyn Iterator<Item = usize>) -> usize;

    /// Reads prompts.
    fn prefill(&mut self, prompts: &[&[u32]]) -> Prefilled<Self::Logits, Self::Prefix>;

    /// Brings all of a row of logits, where only its most probable tokens are here.
    fn complete(&mut self, _row: &mut Self::Logits) -> Result<(), EngineError> {
        Ok(())
    }

    /// The same keys and values for so many sequences.
    fn fork(&self, prefix: Self::Prefix, sequences: usize) -> Vec<Self::Prefix>;

    /// A slot for a sequence whose next token is at `position`; `None` where there is no room now, which never is while
    /// all slots are free. It takes `prefix` only where it gives a slot, and may put off bringing it there until the next step.
    fn admit(
        &mut self,
        prefix: &mut Self::Prefix,
        position: usize,
    ) -> Result<Option<Self::Slot>, EngineError>;

    /// Reads the last token of each sequence, or of all with the same history once, and hands `advance` the logits after it.
    fn step(
        &mut self,
        active: &mut [Active<Self::Slot>],
        advance: &Advance<'_>,
    ) -> Result<(), EngineError>;

    /// A sequence has ended; its slot is free.
    fn free(&mut self, slot: Self::Slot);

    /// The device failed: does what may go well then, all slots being free, as with less at once where memory ran out. `false`
    /// where there is nothing of the kind.
    fn recover(&mut self, failure: &DeviceFailure) -> bool;
}

/// A sequence that has its first token and waits for a slot.
struct Waiting<D: Decoder> {
    sequence: Active<()>,
    prefix: D::Prefix,
}

/// One call of [`generate`].
struct Call<'a, D: Decoder> {
    decoder: &'a mut D,
    request: GenerationRequest<'a>,
    rules: Rules<'a>,
    /// Prompts that are to be read, by number.
    unread: VecDeque<usize>,
    /// What sequences of prompts that are read once more begin from.
    again: BTreeMap<usize, Vec<SequenceSpec>>,
    waiting: VecDeque<Waiting<D>>,
    active: Vec<Active<D::Slot>>,
}

/// Generates sequences. Each prompt is read once; `expand` is handed its index and its most probable first tokens and
/// answers with the sequences that it wants; `done` gets each finished sequence, in no promised order. Where a device
/// fails and can go on otherwise, prompts are read and sequences begun again, and come out the same, of a smaller batch of
/// fewer places but for rounding.
///
/// # Errors
/// A parameter is out of range; a prompt is empty, longer than the context less one token, or has a token that the
/// vocabulary has not; the logits are not finite; the device fails; somebody cancelled.
pub(in crate::model) fn generate<D: Decoder>(
    decoder: &mut D,
    request: GenerationRequest<'_>,
    expand: &mut Expand<'_>,
    done: &mut (dyn FnMut(Generated) + Send),
    cancel: &CancelToken,
) -> Result<(), EngineError> {
    let GenerationRequest {
        params,
        vocabulary,
        stop,
        ..
    } = request;
    params.check()?;
    for (index, prompt) in request.prompts.iter().enumerate() {
        check_tokens(index, prompt, decoder.context() - 1, decoder.vocab_rows())?;
    }
    let rules = Rules {
        params,
        stop,
        vocabulary,
    };
    let mut call = Call {
        decoder,
        request,
        rules,
        unread: (0..request.prompts.len()).collect(),
        again: BTreeMap::new(),
        waiting: VecDeque::new(),
        active: Vec::new(),
    };
    loop {
        // Somebody who asks to stop keeps what is being written: nothing new begins.
        if cancel.is_cancelled() {
            call.waiting.clear();
            call.unread.clear();
            if call.active.is_empty() {
                return Err(EngineError::Cancelled);
            }
        }
        match call.round(expand, done, cancel) {
            Ok(true) => {}
            Ok(false) if cancel.is_cancelled() => return Err(EngineError::Cancelled),
            Ok(false) => return Ok(()),
            Err(EngineError::Device(failure)) => {
                call.set_back();
                if !call.decoder.recover(&failure) {
                    return Err(EngineError::Device(failure));
                }
            }
            Err(error) => return Err(error),
        }
    }
}

impl<D: Decoder> Call<'_, D> {
    /// Fills the batch and draws one token for each sequence; whether there was any.
    fn round(
        &mut self,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        cancel: &CancelToken,
    ) -> Result<bool, EngineError> {
        let (batch, surplus) = (self.decoder.batch(), self.decoder.surplus());
        while self.active.len() + self.waiting.len() < batch && !self.unread.is_empty() {
            self.read(expand, done)?;
            if cancel.is_cancelled() {
                break;
            }
        }
        let mut free = batch.saturating_sub(self.active.len());
        if self.unread.is_empty() && self.waiting.len() <= free + surplus {
            free = self.waiting.len();
        }
        self.admit(free)?;
        if self.active.is_empty() {
            return Ok(!self.unread.is_empty());
        }
        let rules = self.rules;
        self.decoder.step(&mut self.active, &|sequence, row| {
            sequence.advance(row, rules);
        })?;
        if let Some(bad) = self.active.iter().find(|active| active.sequence.broken) {
            let index = bad.sequence.prompt_index;
            return Err(EngineError::NotFinite { index });
        }
        for ended in self
            .active
            .extract_if(.., |active| active.sequence.end.is_some())
        {
            self.decoder.free(ended.slot);
            ended.sequence.finish(done);
        }
        Ok(true)
    }

    /// Reads the next prompts and lets the caller choose their sequences.
    fn read(
        &mut self,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
    ) -> Result<(), EngineError> {
        let prompts = self.request.prompts;
        let mut lengths = self.unread.iter().map(|&index| prompts[index].len());
        let count = self.decoder.together(&mut lengths);
        let group: Vec<usize> = self.unread.iter().copied().take(count).collect();
        let tokens: Vec<&[u32]> = group.iter().map(|&index| &*prompts[index]).collect();
        let read = self.decoder.prefill(&tokens)?;
        for (index, read) in group.into_iter().zip(read) {
            self.branch(index, read, expand, done)?;
            self.unread.pop_front();
        }
        Ok(())
    }

    /// Gives each sequence of a prompt its first token.
    fn branch(
        &mut self,
        prompt_index: usize,
        Read { mut row, prefix }: Read<D::Logits, D::Prefix>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
    ) -> Result<(), EngineError> {
        let (normalizer, candidates) = first_tokens(&row, self.request.candidates, self.rules)
            .ok_or(EngineError::NotFinite {
                index: prompt_index,
            })?;
        let prompt_tokens = self.request.prompts[prompt_index].len();
        let room = self.decoder.context() - prompt_tokens;
        let max_tokens = room.min(self.rules.params.max_new_tokens as usize);
        let specs = match self.again.remove(&prompt_index) {
            Some(specs) => specs,
            None => expand(prompt_index, &candidates),
        };
        let mut forced = specs.iter().filter_map(|spec| spec.forced_first);
        let known = forced.try_for_each(|token| {
            check_tokens(prompt_index, &[token], 1, self.decoder.vocab_rows())?;
            if row.knows(token) {
                Ok(())
            } else {
                self.decoder.complete(&mut row)
            }
        });
        if let Err(error) = known {
            // The caller is asked for them once.
            self.again.insert(prompt_index, specs);
            return Err(error);
        }
        let prefixes = self.decoder.fork(prefix, specs.len());
        for (spec, prefix) in specs.into_iter().zip(prefixes) {
            let last: (_, &dyn LogitsRow) = (normalizer, &row);
            let sequence = Sequence::begin(prompt_index, &spec, last, max_tokens, self.rules);
            if sequence.end.is_some() {
                sequence.finish(done);
                continue;
            }
            let sequence = Active {
                sequence,
                slot: (),
                prompt_tokens,
                spec,
            };
            self.waiting.push_back(Waiting { sequence, prefix });
        }
        Ok(())
    }

    /// Gives waiting sequences their slots, `free` at most.
    fn admit(&mut self, free: usize) -> Result<(), EngineError> {
        for _ in 0..free {
            let Some(next) = self.waiting.front_mut() else {
                break;
            };
            let position = next.sequence.position();
            let Some(slot) = self.decoder.admit(&mut next.prefix, position)? else {
                break;
            };
            if let Some(Waiting { sequence, .. }) = self.waiting.pop_front() {
                self.active.push(Active {
                    sequence: sequence.sequence,
                    slot,
                    prompt_tokens: sequence.prompt_tokens,
                    spec: sequence.spec,
                });
            }
        }
        Ok(())
    }

    /// Frees all slots; the sequences that had one or waited for one are to begin again.
    fn set_back(&mut self) {
        let mut again = Vec::new();
        for active in self.active.drain(..) {
            self.decoder.free(active.slot);
            again.push((active.sequence.prompt_index, active.spec));
        }
        let waiting = self.waiting.drain(..).map(|waiting| waiting.sequence);
        again.extend(waiting.map(|active| (active.sequence.prompt_index, active.spec)));
        for (index, spec) in again {
            self.again.entry(index).or_default().push(spec);
        }
        for &index in self.again.keys().rev() {
            if !self.unread.contains(&index) {
                self.unread.push_front(index);
            }
        }
    }
}
