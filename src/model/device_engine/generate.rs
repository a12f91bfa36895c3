//! Continuous batching over tiles.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::device::{DeviceFailure, guarded};
use super::super::engine::sequence::{Rules, Sequence, first_tokens};
use super::super::engine::{EngineError, Expand, Generated, Request, SequenceSpec};
use super::super::network::{DECODE_TILE, READ_TILE, Tile, bucket};
use super::tiles::{Active, Tiles};
use super::{DeviceEngine, failed};
use crate::event::CancelToken;

/// A sequence that has its first token and waits for a place, and where its prompt's keys and values are.
struct Waiting {
    active: Active,
    read: Arc<Tile>,
    place: usize,
}

/// One call of [`DeviceEngine::generate`].
struct Call<'a> {
    engine: &'a DeviceEngine,
    prompts: &'a [Vec<u32>],
    candidates: usize,
    rules: Rules<'a>,
    /// Prompts that are to be read, the next one last.
    unread: Vec<usize>,
    /// Sequences of prompts that begin again.
    again: BTreeMap<usize, Vec<SequenceSpec>>,
    waiting: VecDeque<Waiting>,
    tiles: Tiles,
}

impl DeviceEngine {
    /// As [`super::super::engine::Engine::generate`].
    ///
    /// # Errors
    /// The same; the device fails, or its memory does not hold one tile.
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
            self.check_tokens(index, prompt, self.config.n_positions - 1)?;
        }
        let mut call = Call {
            engine: self,
            prompts,
            candidates,
            rules: Rules {
                params,
                stop,
                vocabulary,
            },
            unread: (0..prompts.len()).rev().collect(),
            again: BTreeMap::new(),
            waiting: VecDeque::new(),
            tiles: Tiles::default(),
        };
        loop {
            // Somebody who asks to stop keeps what is being written: nothing new begins.
            let stopping = cancel.is_cancelled();
            if stopping {
                call.waiting.clear();
                call.unread.clear();
                if call.tiles.is_empty() {
                    return Err(EngineError::Cancelled);
                }
            }
            match call.advance(expand, done) {
                Ok(true) => {}
                Ok(false) if stopping => return Err(EngineError::Cancelled),
                Ok(false) => return Ok(()),
                Err(Stopped::Device(DeviceFailure::OutOfMemory(reason))) => {
                    if !self.halve() {
                        return Err(failed(DeviceFailure::OutOfMemory(reason)));
                    }
                    tracing::warn!(
                        sequences = self.tiles() * DECODE_TILE,
                        "the device's memory ran out; going on with half"
                    );
                    call.begin_again();
                }
                Err(Stopped::Device(other)) => return Err(failed(other)),
                Err(Stopped::Engine(error)) => return Err(error),
            }
        }
    }
}

/// Why a round was not finished.
enum Stopped {
    Device(DeviceFailure),
    Engine(EngineError),
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<DeviceFailure> for Stopped {
    fn from(failure: DeviceFailure) -> Self {
        Self::Device(failure)
    }
}

impl Call<'_> {
    /// Fills the tiles and draws one token for each sequence; whether there was any.
    fn advance(
        &mut self,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
    ) -> Result<bool, Stopped> {
        let engine = self.engine;
        let network = &engine.network;
        let positions = engine.config.n_positions;
        while self.waiting.len() < self.tiles.free(engine.tiles()) && !self.unread.is_empty() {
            self.read(expand, done)?;
        }
        guarded(|| {
            self.tiles.move_up(network, positions);
            while let Some(Waiting {
                active,
                read,
                place,
            }) = self.waiting.front()
            {
                #[cfg(test)]
                engine.fail_if_due();
                let from = (&**read, *place);
                let tiles = engine.tiles();
                let prepared = self.tiles.prepare(network, positions, active, from, tiles);
                let Some(prepared) = prepared else { break };
                if let Some(next) = self.waiting.pop_front() {
                    self.tiles.begin(prepared, next.active);
                }
            }
        })?;
        if self.tiles.is_empty() {
            return Ok(!self.unread.is_empty());
        }
        let (isa, rules) = (engine.isa, self.rules);
        guarded(|| {
            #[cfg(test)]
            engine.fail_if_due();
            self.tiles
                .step(network, engine.config.vocab_size, &|sequence, logits| {
                    sequence.advance(isa, logits, rules);
                });
        })?;
        for ended in self
            .tiles
            .take(|sequence| sequence.broken || sequence.end.is_some())
        {
            if ended.sequence.broken {
                let index = ended.sequence.prompt_index;
                return Err(EngineError::NotFinite { index }.into());
            }
            ended.sequence.finish(done);
        }
        Ok(true)
    }

    /// Reads the next prompts of one bucket and lets the caller choose their sequences.
    fn read(
        &mut self,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
    ) -> Result<(), Stopped> {
        let engine = self.engine;
        let length = |index: usize| bucket(self.prompts[index].len(), engine.config.n_positions);
        let Some(&first) = self.unread.last() else {
            return Ok(());
        };
        let bucket = length(first);
        let mut group = Vec::new();
        while let Some(index) = self.unread.pop_if(|index| length(*index) == bucket) {
            group.push(index);
            if group.len() == READ_TILE {
                break;
            }
        }
        let texts: Vec<&[u32]> = group.iter().map(|&index| &*self.prompts[index]).collect();
        let last: Vec<usize> = texts
            .iter()
            .enumerate()
            .map(|(place, text)| place * bucket + text.len() - 1)
            .collect();
        let read = guarded(|| {
            let (hidden, tile) = engine.network.read(&texts, bucket);
            (engine.network.logits_of(&hidden, &last), tile)
        });
        let (logits, tile) = match read {
            Ok(read) => read,
            Err(failure) => {
                self.unread.extend(group.into_iter().rev());
                return Err(failure.into());
            }
        };
        let tile = Arc::new(tile);
        for (place, (index, logits)) in group
            .into_iter()
            .zip(logits.chunks_exact(engine.config.vocab_size))
            .enumerate()
        {
            self.branch(index, logits, (&tile, place), expand, done)?;
        }
        Ok(())
    }

    /// Gives each sequence of a prompt its first token.
    fn branch(
        &mut self,
        index: usize,
        logits: &[f32],
        (read, place): (&Arc<Tile>, usize),
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
    ) -> Result<(), EngineError> {
        let engine = self.engine;
        let (normalizer, candidates) =
            first_tokens(engine.isa, logits, self.candidates, self.rules)
                .ok_or(EngineError::NotFinite { index })?;
        let specs = match self.again.remove(&index) {
            Some(specs) => specs,
            None => expand(index, &candidates),
        };
        let prompt_length = self.prompts[index].len();
        let left = engine.config.n_positions - prompt_length;
        let max_tokens = left.min(self.rules.params.max_new_tokens as usize);
        for spec in specs {
            if let Some(token) = spec.forced_first {
                engine.check_tokens(index, &[token], 1)?;
            }
            let last = (normalizer, logits);
            let sequence = Sequence::begin(index, &spec, engine.isa, last, max_tokens, self.rules);
            if sequence.end.is_some() {
                sequence.finish(done);
                continue;
            }
            self.waiting.push_back(Waiting {
                active: Active {
                    sequence,
                    spec,
                    prompt_length,
                },
                read: Arc::clone(read),
                place,
            });
        }
        Ok(())
    }

    /// Drops all that is on the device; sequences under way begin again from their prompts, and are the same.
    fn begin_again(&mut self) {
        let under_way = self.tiles.take(|_| true).into_iter();
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let all: Vec<Active> = under_way
            .chain(waiting.map(|waiting| waiting.active))
            .collect();
        for active in all {
            let index = active.sequence.prompt_index;
            self.again.entry(index).or_default().push(active.spec);
        }
        for &index in self.again.keys().rev() {
            if !self.unread.contains(&index) {
                self.unread.push(index);
            }
        }
    }
}
