//! The engine as the sampling scheduler drives it.

use std::collections::BTreeMap;

use super::cache::SequenceCache;
use super::forward::{LOGIT_ROWS, Scratch};
use super::parallel::Parallel;
use super::pass::Segment;
use super::{Engine, EngineError};
use crate::event::CancelToken;
use crate::model::device::DeviceFailure;
use crate::model::sampling::{
    Active, Advance, BorrowedLogits, Decoder, Expand, Generated, GenerationRequest, OwnedLogits,
    Prefilled, Read, generate,
};

/// Prompt tokens that are read together, about: enough rows to keep the kernels busy.
const PREFILL_ROWS: usize = 128;

/// One call of [`Engine::generate`], inside the engine's pool.
struct CpuDecoder<'e> {
    engine: &'e Engine,
    scratches: Vec<Scratch>,
    batch: usize,
    surplus: usize,
}

impl Decoder for CpuDecoder<'_> {
    type Logits = OwnedLogits;
    type Prefix = SequenceCache;
    type Slot = SequenceCache;

    fn vocab_rows(&self) -> usize {
        self.engine.model.architecture.vocab_rows
    }

    fn context(&self) -> usize {
        self.engine.model.architecture.context
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn surplus(&self) -> usize {
        self.surplus
    }

    fn together(&self, lengths: &mut dyn Iterator<Item = usize>) -> usize {
        let mut rows = 0;
        let fits = lengths.take_while(|length| {
            let first = rows == 0;
            rows += length;
            first || rows <= PREFILL_ROWS
        });
        fits.count()
    }

    fn prefill(&mut self, prompts: &[&[u32]]) -> Prefilled<OwnedLogits, SequenceCache> {
        Ok(self.engine.prefill(prompts, &mut self.scratches))
    }

    fn fork(&self, prefix: SequenceCache, sequences: usize) -> Vec<SequenceCache> {
        vec![prefix; sequences]
    }

    fn admit(
        &mut self,
        prefix: &mut SequenceCache,
        _: usize,
    ) -> Result<Option<SequenceCache>, EngineError> {
        Ok(Some(std::mem::replace(prefix, SequenceCache::empty())))
    }

    fn step(
        &mut self,
        active: &mut [Active<SequenceCache>],
        advance: &Advance<'_>,
    ) -> Result<(), EngineError> {
        let engine = self.engine;
        engine.in_shares(active, &mut self.scratches, |parallel, active, scratch| {
            engine.decode(parallel, active, scratch, advance);
        });
        Ok(())
    }

    fn free(&mut self, _: SequenceCache) {}

    fn recover(&mut self, _: &DeviceFailure) -> bool {
        false
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
        request: GenerationRequest<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        self.pool.install(|| {
            let (batch, surplus) = self.batch(request.params.max_new_tokens as usize);
            let mut decoder = CpuDecoder {
                engine: self,
                scratches: self.scratches(),
                batch,
                surplus,
            };
            generate(&mut decoder, request, expand, done, cancel)
        })
    }

    /// Reads prompts. Call it inside the pool.
    ///
    /// # Shapes
    /// `prompts` are of any lengths but 0; each gives one row of logits, `[vocabulary]`.
    pub(super) fn prefill(
        &self,
        prompts: &[&[u32]],
        scratches: &mut [Scratch],
    ) -> Vec<Read<OwnedLogits, SequenceCache>> {
        let nothing = || Read {
            row: OwnedLogits::new(self.isa, &[]),
            prefix: SequenceCache::empty(),
        };
        let mut prefills: Vec<(&[u32], Read<OwnedLogits, SequenceCache>)> =
            prompts.iter().map(|&tokens| (tokens, nothing())).collect();
        self.in_shares(&mut prefills, scratches, |parallel, prefills, scratch| {
            let mut segments: Vec<Segment<'_>> = prefills
                .iter_mut()
                .map(|(tokens, read)| Segment {
                    cache: &mut read.prefix,
                    tokens,
                    wanted: 1,
                })
                .collect();
            self.model.forward(parallel, &mut segments, scratch);
            for start in (0..prefills.len()).step_by(LOGIT_ROWS) {
                let end = prefills.len().min(start + LOGIT_ROWS);
                let logits = self.model.project(parallel, scratch, start..end);
                let rows = logits.chunks_exact(self.model.logit_stride());
                for ((_, read), row) in prefills[start..end].iter_mut().zip(rows) {
                    read.row =
                        OwnedLogits::new(self.isa, &row[..self.model.architecture.vocab_rows]);
                }
            }
        });
        prefills.into_iter().map(|(_, read)| read).collect()
    }

    /// One more token for each sequence. Sequences with the same history, as all draws after a first token are at first, go
    /// through as one row: each would come to the same bits.
    fn decode(
        &self,
        parallel: Parallel,
        active: &mut [Active<SequenceCache>],
        scratch: &mut Scratch,
        advance: &Advance<'_>,
    ) {
        let places = places(active);
        let mut segments: Vec<Segment<'_>> = Vec::new();
        for (active, &place) in active.iter_mut().zip(&places) {
            let (tokens, cache) = active.next();
            if place == segments.len() {
                segments.push(Segment {
                    cache,
                    tokens,
                    wanted: 1,
                });
            } else {
                // A page that is about to be written is looked at by no other.
                *cache = SequenceCache::empty();
            }
        }
        let count = segments.len();
        self.model.forward(parallel, &mut segments, scratch);
        let mut first = Vec::new();
        for (i, &place) in places.iter().enumerate() {
            if place == first.len() {
                first.push(i);
            } else {
                active[i].slot = active[first[place]].slot.clone();
            }
        }
        let logits = self.model.project(parallel, scratch, 0..count);
        let stride = self.model.logit_stride();
        parallel.for_each_mut(active, 1, |i, active| {
            let values = &logits[places[i] * stride..][..self.model.architecture.vocab_rows];
            let isa = self.isa;
            advance(&mut active.sequence, &BorrowedLogits { isa, values });
        });
    }
}

/// The row of each sequence, from 0 in the order of their first: those with the same history have the same.
fn places(active: &[Active<SequenceCache>]) -> Vec<usize> {
    let mut rows = BTreeMap::new();
    let places = active.iter().map(|active| {
        let next = rows.len();
        *rows.entry(active.history()).or_insert(next)
    });
    places.collect()
}
