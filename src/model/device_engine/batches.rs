//! Keys and values of the sequences under way, in batches by the bucket of their length.

use std::collections::BTreeMap;

use super::super::network::{DECODE_BATCH, DecodeBatch, Network};

/// A place of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) batch: usize,
    pub(super) place: usize,
}

/// One batch and which of its places are taken.
struct TakenBatch {
    batch: DecodeBatch,
    taken: [bool; DECODE_BATCH],
}

/// All batches, by numbers that are never used twice.
#[derive(Default)]
pub(super) struct DecodeBatches {
    groups: BTreeMap<usize, TakenBatch>,
    next: usize,
}

impl DecodeBatches {
    /// The batches' numbers.
    pub(super) fn ids(&self) -> impl Iterator<Item = usize> {
        self.groups.keys().copied()
    }

    /// Batch number `id`.
    pub(super) fn batch(&mut self, id: usize) -> &mut DecodeBatch {
        &mut self.group(id).batch
    }

    /// Takes a free place of a batch of this bucket; `None` where there is none and `batches` are there already.
    pub(super) fn place(
        &mut self,
        network: &Network,
        bucket: usize,
        batches: usize,
    ) -> Option<Slot> {
        let mut alike = self
            .groups
            .iter_mut()
            .filter(|(_, group)| group.batch.bucket == bucket);
        let free = alike.find_map(|(id, group)| {
            let place = group.taken.iter().position(|taken| !taken)?;
            group.taken[place] = true;
            Some(Slot { batch: *id, place })
        });
        if free.is_some() || self.groups.len() >= batches {
            return free;
        }
        let mut group = TakenBatch {
            batch: DecodeBatch::new(network, bucket),
            taken: [false; DECODE_BATCH],
        };
        group.taken[0] = true;
        let batch = self.next;
        self.next += 1;
        self.groups.insert(batch, group);
        Some(Slot { batch, place: 0 })
    }

    /// Brings the keys and values at `from` of another batch, which is not longer, to a place.
    ///
    /// # Shapes
    /// `other` as of [`DecodeBatch::put`].
    pub(super) fn fill(&mut self, slot: Slot, other: &DecodeBatch, from: usize) {
        self.batch(slot.batch).put(slot.place, other, from);
    }

    /// Moves a sequence that has outgrown its bucket into one of `bucket`.
    pub(super) fn move_up(&mut self, network: &Network, slot: &mut Slot, bucket: usize) {
        if self.group(slot.batch).batch.bucket >= bucket {
            return;
        }
        // There is always room for one that has begun.
        let place = self.place(network, bucket, usize::MAX);
        let to = place.expect("batches without limit");
        let from = self.group(slot.batch).batch.clone();
        self.fill(to, &from, slot.place);
        self.free(*slot);
        *slot = to;
    }

    /// A place is free again; a batch that holds nothing makes room for one of another length.
    pub(super) fn free(&mut self, slot: Slot) {
        let group = self.group(slot.batch);
        group.taken[slot.place] = false;
        if !group.taken.contains(&true) {
            self.groups.remove(&slot.batch);
        }
    }

    fn group(&mut self, id: usize) -> &mut TakenBatch {
        self.groups
            .get_mut(&id)
            .expect("a slot's batch is there until the slot is freed")
    }
}
