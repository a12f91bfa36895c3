//! The engine as the sampling scheduler drives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::super::device::{DeviceFailure, guarded};
use super::super::network::{LogitRows, Next, READ_BATCH, bucket};
use super::super::sampling::{
    Active, Advance, Decoder, Expand, Generated, GenerationRequest, Prefilled, Read, generate,
};
use super::batches::{DecodeBatches, Prefix, Slot};
use super::row::{AskedRows, DeviceRow, Wanted};
use super::{DeviceEngine, EngineError, failed};
use crate::event::CancelToken;

/// One call of [`DeviceEngine::generate`].
struct DeviceDecoder<'e> {
    engine: &'e DeviceEngine,
    batches: DecodeBatches,
    /// Of rows after prompts, whose first tokens the caller looks at, and of all others.
    wanted: [Wanted; 2],
}

impl DeviceEngine {
    /// As [`super::super::engine::Engine::generate`].
    ///
    /// # Errors
    /// The same; the device fails, or its memory does not hold the smallest batch.
    pub fn generate(
        &self,
        request: GenerationRequest<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        let tokens = request.vocabulary.tokens();
        let tokens = tokens.min(self.architecture.vocab_rows);
        let deciding = request.params.deciding(tokens);
        let first = deciding.map(|deciding| deciding.max(request.candidates));
        let wanted = [first, deciding].map(|count| Wanted {
            count: count.filter(|&count| LogitRows::finds(count, tokens)),
            tokens,
        });
        let mut decoder = DeviceDecoder {
            engine: self,
            batches: DecodeBatches::new(self.together().places),
            wanted,
        };
        generate(&mut decoder, request, expand, done, cancel)
    }
}

impl DeviceDecoder<'_> {
    /// Has a device make one more token of each sequence of a batch; nothing waits.
    fn ask<'a>(
        &mut self,
        (id, of_batch): (usize, Vec<&'a mut Active<Slot>>),
    ) -> Result<(Vec<&'a mut Active<Slot>>, AskedRows), EngineError> {
        let engine = self.engine;
        let mut next = vec![Next::default(); self.batches.places()];
        for active in &of_batch {
            next[active.slot.place] = Next {
                token: active.last(),
                position: active.position(),
            };
        }
        let rows = guarded(|| {
            #[cfg(test)]
            engine.fail_if_due();
            let [_, wanted] = self.wanted;
            let batch = self.batches.batch(id);
            batch.step(&engine.network, &next, wanted, engine.graphs())
        });
        Ok((of_batch, rows.map_err(failed)?))
    }
}

impl Decoder for DeviceDecoder<'_> {
    type Logits = DeviceRow;
    type Prefix = Prefix;
    type Slot = Slot;

    fn vocab_rows(&self) -> usize {
        self.engine.architecture.vocab_rows
    }

    fn context(&self) -> usize {
        self.engine.architecture.context
    }

    fn batch(&self) -> usize {
        self.engine.together().sequences()
    }

    fn together(&self, lengths: &mut dyn Iterator<Item = usize>) -> usize {
        let mut buckets = lengths.map(|length| bucket(length, self.context()));
        let Some(first) = buckets.next() else {
            return 0;
        };
        let alike = buckets.take_while(|bucket| *bucket == first);
        1 + alike.take(READ_BATCH - 1).count()
    }

    fn prefill(&mut self, prompts: &[&[u32]]) -> Prefilled<DeviceRow, Prefix> {
        let engine = self.engine;
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let bucket = bucket(longest, self.context());
        let last: Vec<usize> = prompts
            .iter()
            .enumerate()
            .map(|(place, prompt)| place * bucket + prompt.len() - 1)
            .collect();
        let places: Vec<usize> = (0..prompts.len()).collect();
        let (rows, batch) = guarded(|| {
            let (hidden, batch) = engine.network.read(prompts, bucket);
            let logits = engine.network.logits_of(&hidden, &last);
            let [wanted, _] = self.wanted;
            let rows = AskedRows::new(logits, wanted).read(engine.isa, &places);
            (rows, Arc::new(batch))
        })
        .map_err(failed)?;
        let read = rows.into_iter().enumerate().map(|(place, row)| Read {
            row,
            prefix: Prefix {
                batch: Arc::clone(&batch),
                place,
            },
        });
        Ok(read.collect())
    }

    fn complete(&mut self, row: &mut DeviceRow) -> Result<(), EngineError> {
        guarded(|| {
            #[cfg(test)]
            self.engine.fail_if_due();
            row.complete(self.engine.isa);
        })
        .map_err(failed)
    }

    fn fork(&self, prefix: Prefix, sequences: usize) -> Vec<Prefix> {
        vec![prefix; sequences]
    }

    fn admit(&mut self, prefix: &mut Prefix, position: usize) -> Result<Option<Slot>, EngineError> {
        let engine = self.engine;
        let batches = engine.together().batches;
        let room = (bucket(position + 1, self.context()), batches);
        guarded(|| {
            #[cfg(test)]
            engine.fail_if_due();
            self.batches.admit(&engine.network, room, prefix)
        })
        .map_err(failed)
    }

    fn step(
        &mut self,
        active: &mut [Active<Slot>],
        advance: &Advance<'_>,
    ) -> Result<(), EngineError> {
        let engine = self.engine;
        let (network, context) = (&engine.network, engine.architecture.context);
        guarded(|| {
            self.batches.settle();
            let needed = active.iter_mut().map(|active| {
                let bucket = bucket(active.position() + 1, context);
                (&mut active.slot, bucket)
            });
            self.batches.move_up(network, needed);
        })
        .map_err(failed)?;
        let mut of_batches: BTreeMap<usize, Vec<&mut Active<Slot>>> = BTreeMap::new();
        for active in active {
            let of_batch = of_batches.entry(active.slot.batch).or_default();
            of_batch.push(active);
        }
        let mut of_batches = of_batches.into_iter();
        let mut asked = of_batches.next().map(|of_batch| self.ask(of_batch));
        while let Some(of_batch) = asked {
            let (of_batch, rows) = of_batch?;
            let places: Vec<usize> = of_batch.iter().map(|active| active.slot.place).collect();
            let rows = guarded(|| rows.read(engine.isa, &places)).map_err(failed)?;
            // The next batch is on its way before this one's tokens are drawn: the device does not stand still.
            asked = of_batches.next().map(|of_batch| self.ask(of_batch));
            let drawn = of_batch.into_par_iter().zip(rows);
            drawn.for_each(|(active, row)| advance(&mut active.sequence, &row));
        }
        Ok(())
    }

    fn free(&mut self, slot: Slot) {
        self.batches.free(slot);
    }

    fn recover(&mut self, failure: &DeviceFailure) -> bool {
        let goes_on = self.engine.recover(failure);
        self.batches = DecodeBatches::new(self.engine.together().places);
        goes_on
    }
}
