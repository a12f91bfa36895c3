//! Sequences under way, in tiles by the bucket of their length.

use super::super::engine::SequenceSpec;
use super::super::engine::sequence::Sequence;
use super::super::network::{DECODE_TILE, Network, Tile, bucket};

/// A sequence under way.
pub(super) struct Active {
    pub(super) sequence: Sequence,
    /// What it began from, should it have to begin again.
    pub(super) spec: SequenceSpec,
    pub(super) prompt_length: usize,
}

impl Active {
    /// The position of its last token, which is the next to be read.
    fn position(&self) -> usize {
        self.prompt_length + self.sequence.tokens.len() - 1
    }
}

/// One tile and its sequences.
struct Group {
    tile: Tile,
    slots: Vec<Option<Active>>,
}

/// All tiles.
#[derive(Default)]
pub(super) struct Tiles(Vec<Group>);

impl Tiles {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Places that are free or could be made with so many tiles at most, roughly: a free place may be of another length.
    pub(super) fn free(&self, tiles: usize) -> usize {
        let taken: usize = self
            .0
            .iter()
            .map(|group| group.slots.iter().flatten().count())
            .sum();
        (tiles * DECODE_TILE).saturating_sub(taken)
    }

    /// Brings a prompt's keys and values, at `from` of `read`, to a free place for `active`; `None` where no tile has
    /// room and `tiles` are there. [`Tiles::begin`] takes the place. Two steps, because the first may fail.
    pub(super) fn prepare(
        &mut self,
        network: &Network,
        positions: usize,
        active: &Active,
        (read, from): (&Tile, usize),
        tiles: usize,
    ) -> Option<(usize, usize)> {
        let bucket = bucket(active.position() + 1, positions);
        let (group, slot) = self.place(network, bucket, tiles)?;
        self.0[group].tile.put(slot, read, from);
        Some((group, slot))
    }

    /// Begins a sequence at a place that was prepared for it.
    pub(super) fn begin(&mut self, (group, slot): (usize, usize), active: Active) {
        self.0[group].slots[slot] = Some(active);
    }

    /// A free place in a tile of this bucket.
    fn place(&mut self, network: &Network, bucket: usize, tiles: usize) -> Option<(usize, usize)> {
        let free = |(index, group): (usize, &Group)| {
            let slot = group.slots.iter().position(Option::is_none)?;
            (group.tile.bucket == bucket).then_some((index, slot))
        };
        if let Some(found) = self.0.iter().enumerate().find_map(free) {
            return Some(found);
        }
        if self.0.len() >= tiles {
            return None;
        }
        self.0.push(Group {
            tile: Tile::new(network, bucket),
            slots: (0..DECODE_TILE).map(|_| None).collect(),
        });
        Some((self.0.len() - 1, 0))
    }

    /// Moves sequences that have outgrown their bucket into the next.
    pub(super) fn move_up(&mut self, network: &Network, positions: usize) {
        for group in 0..self.0.len() {
            for slot in 0..DECODE_TILE {
                let length = match &self.0[group].slots[slot] {
                    Some(active) => active.position() + 1,
                    None => continue,
                };
                if length <= self.0[group].tile.bucket {
                    continue;
                }
                let bucket = bucket(length, positions);
                // There is always room for one that has begun.
                let place = self.place(network, bucket, usize::MAX);
                let (to, to_slot) = place.expect("tiles without limit");
                let from = self.0[group].tile.clone();
                self.0[to].tile.put(to_slot, &from, slot);
                self.0[to].slots[to_slot] = self.0[group].slots[slot].take();
            }
        }
        self.0
            .retain(|group| group.slots.iter().any(Option::is_some));
    }

    /// Reads the last token of every sequence of every tile and hands each its logits.
    pub(super) fn step(
        &mut self,
        network: &Network,
        vocab_size: usize,
        advance: &(dyn Fn(&mut Sequence, &[f32]) + Sync),
    ) {
        use rayon::prelude::*;
        for group in &mut self.0 {
            let mut tokens = vec![0; DECODE_TILE];
            let mut positions = vec![0; DECODE_TILE];
            for (slot, active) in group.slots.iter().enumerate() {
                if let Some(active) = active {
                    tokens[slot] = *active.sequence.tokens.last().expect("it has begun");
                    positions[slot] = active.position();
                }
            }
            let logits = network.decode(&mut group.tile, &tokens, &positions);
            let rows = logits.par_chunks_exact(vocab_size);
            group
                .slots
                .par_iter_mut()
                .zip(rows)
                .for_each(|(slot, row)| {
                    if let Some(active) = slot {
                        advance(&mut active.sequence, row);
                    }
                });
        }
    }

    /// Takes out what `which` says.
    pub(super) fn take(&mut self, which: impl Fn(&Sequence) -> bool) -> Vec<Active> {
        let slots = self.0.iter_mut().flat_map(|group| &mut group.slots);
        let taken = slots.filter_map(|slot| slot.take_if(|active| which(&active.sequence)));
        let taken = taken.collect();
        self.0
            .retain(|group| group.slots.iter().any(Option::is_some));
        taken
    }
}
