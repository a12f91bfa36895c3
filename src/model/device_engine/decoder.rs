//! The engine as the sampling scheduler drives it.

use std::sync::Arc;

use rayon::prelude::*;

use super::super::device::guarded;
use super::super::network::{DECODE_BATCH, DecodeBatch, READ_BATCH, bucket};
use super::super::sampling::{
    Active, Advance, BorrowedLogits, Decoder, Expand, Generated, GenerationRequest, OwnedLogits,
    Prefilled, Read, generate,
};
use super::batches::{DecodeBatches, Slot};
use super::{DeviceEngine, EngineError, failed};
use crate::event::CancelToken;

/// Keys and values of a prompt: a place of the batch in which it was read.
#[derive(Clone)]
pub(super) struct Prefix {
    batch: Arc<DecodeBatch>,
    place: usize,
}

/// One call of [`DeviceEngine::generate`].
struct DeviceDecoder<'e> {
    engine: &'e DeviceEngine,
    batches: DecodeBatches,
}

impl DeviceEngine {
    /// As [`super::super::engine::Engine::generate`].
    ///
    /// # Errors
    /// The same; the device fails, or its memory does not hold one batch.
    pub fn generate(
        &self,
        request: GenerationRequest<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        let mut decoder = DeviceDecoder {
            engine: self,
            batches: DecodeBatches::default(),
        };
        generate(&mut decoder, request, expand, done, cancel)
    }
}

impl Decoder for DeviceDecoder<'_> {
    type Logits = OwnedLogits;
    type Prefix = Prefix;
    type Slot = Slot;

    fn vocab_rows(&self) -> usize {
        self.engine.architecture.vocab_rows
    }

    fn context(&self) -> usize {
        self.engine.architecture.context
    }

    fn batch(&self) -> usize {
        self.engine.batches() * DECODE_BATCH
    }

    fn together(&self, lengths: &mut dyn Iterator<Item = usize>) -> usize {
        let mut buckets = lengths.map(|length| bucket(length, self.context()));
        let Some(first) = buckets.next() else {
            return 0;
        };
        let alike = buckets.take_while(|bucket| *bucket == first);
        1 + alike.take(READ_BATCH - 1).count()
    }

    fn prefill(&mut self, prompts: &[&[u32]]) -> Prefilled<OwnedLogits, Prefix> {
        let engine = self.engine;
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let bucket = bucket(longest, self.context());
        let last: Vec<usize> = prompts
            .iter()
            .enumerate()
            .map(|(place, prompt)| place * bucket + prompt.len() - 1)
            .collect();
        let (logits, batch) = guarded(|| {
            let (hidden, batch) = engine.network.read(prompts, bucket);
            (engine.network.logits_of(&hidden, &last), Arc::new(batch))
        })
        .map_err(failed)?;
        let rows = logits.chunks_exact(engine.architecture.vocab_rows);
        let read = rows
            .take(prompts.len())
            .enumerate()
            .map(|(place, values)| Read {
                row: OwnedLogits::new(engine.isa, values),
                prefix: Prefix {
                    batch: Arc::clone(&batch),
                    place,
                },
            });
        Ok(read.collect())
    }

    fn fork(&self, prefix: Prefix, sequences: usize) -> Vec<Prefix> {
        vec![prefix; sequences]
    }

    fn admit(&mut self, prefix: &mut Prefix, position: usize) -> Result<Option<Slot>, EngineError> {
        let engine = self.engine;
        let (bucket, batches) = (bucket(position + 1, self.context()), engine.batches());
        guarded(|| {
            #[cfg(test)]
            engine.fail_if_due();
            let slot = self.batches.place(&engine.network, bucket, batches)?;
            self.batches.fill(slot, &prefix.batch, prefix.place);
            Some(slot)
        })
        .map_err(failed)
    }

    fn step(
        &mut self,
        active: &mut [Active<Slot>],
        advance: &Advance<'_>,
    ) -> Result<(), EngineError> {
        let engine = self.engine;
        let (network, vocab_rows) = (&engine.network, engine.architecture.vocab_rows);
        guarded(|| {
            for active in active.iter_mut() {
                let bucket = bucket(active.position() + 1, engine.architecture.context);
                self.batches.move_up(network, &mut active.slot, bucket);
            }
        })
        .map_err(failed)?;
        // A batch's sequences by their places in it.
        let mut places: Vec<_> = self
            .batches
            .ids()
            .map(|id| (id, [const { None }; DECODE_BATCH]))
            .collect();
        for active in active {
            let of_batch = places.iter_mut().find(|(id, _)| *id == active.slot.batch);
            if let Some((_, places)) = of_batch {
                let place = active.slot.place;
                places[place] = Some(active);
            }
        }
        for (id, mut places) in places {
            let (mut tokens, mut positions) = ([0; DECODE_BATCH], [0; DECODE_BATCH]);
            for (place, active) in places.iter_mut().enumerate() {
                if let Some(active) = active {
                    positions[place] = active.position();
                    tokens[place] = active.next().0[0];
                }
            }
            let logits = guarded(|| {
                #[cfg(test)]
                engine.fail_if_due();
                network.decode(self.batches.batch(id), &tokens, &positions)
            })
            .map_err(failed)?;
            let rows = logits.par_chunks_exact(vocab_rows);
            places
                .par_iter_mut()
                .zip(rows)
                .for_each(|(active, values)| {
                    if let Some(active) = active {
                        let isa = engine.isa;
                        advance(&mut active.sequence, &BorrowedLogits { isa, values });
                    }
                });
        }
        Ok(())
    }

    fn free(&mut self, slot: Slot) {
        self.batches.free(slot);
    }

    fn handle_oom(&mut self) -> bool {
        self.batches = DecodeBatches::default();
        self.engine.handle_oom()
    }
}
