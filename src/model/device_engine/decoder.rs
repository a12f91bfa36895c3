//! The engine as the sampling scheduler drives it.

use std::sync::Arc;

use rayon::prelude::*;

use super::super::device::guarded;
use super::super::network::{DECODE_TILE, READ_TILE, Tile, bucket};
use super::super::sampling::{
    Active, Advance, Decoder, Expand, Generated, Logits, OwnLogits, Read, Request, generate,
};
use super::tiles::{Slot, Tiles};
use super::{DeviceEngine, EngineError, failed};
use crate::event::CancelToken;

/// Keys and values of a prompt: a place of the tile in which it was read.
#[derive(Clone)]
pub(super) struct Prefix {
    tile: Arc<Tile>,
    place: usize,
}

/// One call of [`DeviceEngine::generate`].
struct DeviceDecoder<'e> {
    engine: &'e DeviceEngine,
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
        let mut decoder = DeviceDecoder {
            engine: self,
            tiles: Tiles::default(),
        };
        generate(&mut decoder, request, expand, done, cancel)
    }
}

impl DeviceDecoder<'_> {
    fn context(&self) -> usize {
        self.engine.architecture.context
    }
}

impl Decoder for DeviceDecoder<'_> {
    type Row = OwnLogits;
    type Prefix = Prefix;
    type Slot = Slot;

    fn limits(&self) -> (usize, usize) {
        (self.engine.architecture.vocab_rows, self.context())
    }

    fn batch(&self) -> (usize, usize) {
        (self.engine.tiles() * DECODE_TILE, 0)
    }

    fn together(&self, lengths: &mut dyn Iterator<Item = usize>) -> usize {
        let mut buckets = lengths.map(|length| bucket(length, self.context()));
        let Some(first) = buckets.next() else {
            return 0;
        };
        let alike = buckets.take_while(|bucket| *bucket == first);
        1 + alike.take(READ_TILE - 1).count()
    }

    fn prefill(&mut self, prompts: &[&[u32]]) -> Result<Vec<Read<OwnLogits, Prefix>>, EngineError> {
        let engine = self.engine;
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let bucket = bucket(longest, self.context());
        let last: Vec<usize> = prompts
            .iter()
            .enumerate()
            .map(|(place, prompt)| place * bucket + prompt.len() - 1)
            .collect();
        let (logits, tile) = guarded(|| {
            let (hidden, tile) = engine.network.read(prompts, bucket);
            (engine.network.logits_of(&hidden, &last), Arc::new(tile))
        })
        .map_err(failed)?;
        let rows = logits.chunks_exact(engine.architecture.vocab_rows);
        let read = rows
            .take(prompts.len())
            .enumerate()
            .map(|(place, values)| Read {
                row: OwnLogits::new(engine.isa, values),
                prefix: Prefix {
                    tile: Arc::clone(&tile),
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
        let (bucket, tiles) = (bucket(position + 1, self.context()), engine.tiles());
        guarded(|| {
            #[cfg(test)]
            engine.fail_if_due();
            let slot = self.tiles.place(&engine.network, bucket, tiles)?;
            self.tiles.fill(slot, &prefix.tile, prefix.place);
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
        let (network, vocab_size) = (&engine.network, engine.architecture.vocab_rows);
        guarded(|| {
            for active in active.iter_mut() {
                let bucket = bucket(active.position() + 1, engine.architecture.context);
                self.tiles.move_up(network, &mut active.slot, bucket);
            }
        })
        .map_err(failed)?;
        // A tile's sequences by their places in it.
        let mut places: Vec<_> = self
            .tiles
            .ids()
            .map(|id| (id, [const { None }; DECODE_TILE]))
            .collect();
        for active in active {
            let of_tile = places.iter_mut().find(|(id, _)| *id == active.slot.tile);
            if let Some((_, places)) = of_tile {
                let place = active.slot.place;
                places[place] = Some(active);
            }
        }
        for (id, mut places) in places {
            let (mut tokens, mut positions) = ([0; DECODE_TILE], [0; DECODE_TILE]);
            for (place, active) in places.iter_mut().enumerate() {
                if let Some(active) = active {
                    positions[place] = active.position();
                    tokens[place] = active.next().0[0];
                }
            }
            let logits = guarded(|| {
                #[cfg(test)]
                engine.fail_if_due();
                network.decode(self.tiles.tile(id), &tokens, &positions)
            })
            .map_err(failed)?;
            let rows = logits.par_chunks_exact(vocab_size);
            places
                .par_iter_mut()
                .zip(rows)
                .for_each(|(active, values)| {
                    if let Some(active) = active {
                        let isa = engine.isa;
                        advance(&mut active.sequence, &Logits { isa, values });
                    }
                });
        }
        Ok(())
    }

    fn free(&mut self, slot: Slot) {
        self.tiles.free(slot);
    }

    fn shrink(&mut self) -> bool {
        self.tiles = Tiles::default();
        self.engine.halve()
    }
}
