//! Keys and values of the sequences under way, in batches by the bucket of their length.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::network::{Copies, DecodeBatch, Network};
use super::step_batch::StepBatch;

/// A place of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) batch: usize,
    pub(super) place: usize,
}

/// Keys and values of a prompt: a place of the batch in which it was read.
#[derive(Clone)]
pub(super) struct Prefix {
    pub(super) batch: Arc<DecodeBatch>,
    pub(super) place: usize,
}

/// One batch and which of its places are taken.
struct TakenBatch {
    batch: StepBatch,
    taken: Vec<bool>,
}

/// All batches, by numbers that are never used twice.
pub(super) struct DecodeBatches {
    groups: BTreeMap<usize, TakenBatch>,
    next: usize,
    /// Places of each batch.
    places: usize,
    /// Prompts whose keys and values are still to be brought to the places that their sequences have.
    admitted: Vec<(Slot, Prefix)>,
}

impl DecodeBatches {
    /// None yet, each to have so many places.
    pub(super) fn new(places: usize) -> Self {
        Self {
            groups: BTreeMap::new(),
            next: 0,
            places,
            admitted: Vec::new(),
        }
    }

    /// Places of each batch.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Batch number `id`.
    pub(super) fn batch(&mut self, id: usize) -> &mut StepBatch {
        &mut self.group(id).batch
    }

    /// A free place of a batch of this bucket for a sequence of a prompt; `None` where there is none and `batches` are there
    /// already. Keys and values come with the next [`DecodeBatches::settle`].
    pub(super) fn admit(
        &mut self,
        network: &Network,
        (bucket, batches): (usize, usize),
        prefix: &Prefix,
    ) -> Option<Slot> {
        let slot = self.place(network, bucket, batches)?;
        self.admitted.push((slot, prefix.clone()));
        Some(slot)
    }

    /// Brings what was admitted to its places: all that comes from one batch and goes to one goes together.
    pub(super) fn settle(&mut self) {
        let mut together: Vec<(usize, Prefix, Copies)> = Vec::new();
        for (slot, prefix) in std::mem::take(&mut self.admitted) {
            let same = |(batch, of, _): &(usize, Prefix, Copies)| {
                *batch == slot.batch && Arc::ptr_eq(&of.batch, &prefix.batch)
            };
            let from = prefix.place;
            let at = together.iter().position(same);
            let at = at.unwrap_or_else(|| {
                together.push((slot.batch, prefix, Copies::default()));
                together.len() - 1
            });
            together[at].2.from.push(from);
            together[at].2.to.push(slot.place);
        }
        for (batch, prefix, copies) in together {
            self.batch(batch).put(&prefix.batch, &copies);
        }
    }

    /// Moves sequences that have outgrown their buckets into batches of those that they need now.
    pub(super) fn move_up<'s>(
        &mut self,
        network: &Network,
        needed: impl Iterator<Item = (&'s mut Slot, usize)>,
    ) {
        let mut moves: BTreeMap<(usize, usize), Copies> = BTreeMap::new();
        let mut left = Vec::new();
        for (slot, bucket) in needed {
            if self.group(slot.batch).batch.bucket() >= bucket {
                continue;
            }
            // There is always room for one that has begun.
            let place = self.place(network, bucket, usize::MAX);
            let to = place.expect("batches without limit");
            let copies = moves.entry((slot.batch, to.batch)).or_default();
            copies.from.push(slot.place);
            copies.to.push(to.place);
            left.push(*slot);
            *slot = to;
        }
        for ((from, to), copies) in moves {
            let from = self.group(from).batch.keys_and_values();
            self.batch(to).put(&from, &copies);
        }
        for slot in left {
            self.free(slot);
        }
    }

    /// A place is free again; a batch that holds nothing makes room for one of another length.
    pub(super) fn free(&mut self, slot: Slot) {
        let group = self.group(slot.batch);
        group.taken[slot.place] = false;
        if !group.taken.contains(&true) {
            self.groups.remove(&slot.batch);
        }
    }

    /// Takes a free place of a batch of this bucket; `None` where there is none and `batches` are there already.
    fn place(&mut self, network: &Network, bucket: usize, batches: usize) -> Option<Slot> {
        let mut alike = self
            .groups
            .iter_mut()
            .filter(|(_, group)| group.batch.bucket() == bucket);
        let free = alike.find_map(|(id, group)| {
            let place = group.taken.iter().position(|taken| !taken)?;
            group.taken[place] = true;
            Some(Slot { batch: *id, place })
        });
        if free.is_some() || self.groups.len() >= batches {
            return free;
        }
        let mut group = TakenBatch {
            batch: StepBatch::new(network, self.places, bucket),
            taken: vec![false; self.places],
        };
        group.taken[0] = true;
        let batch = self.next;
        self.next += 1;
        self.groups.insert(batch, group);
        Some(Slot { batch, place: 0 })
    }

    fn group(&mut self, id: usize) -> &mut TakenBatch {
        self.groups
            .get_mut(&id)
            .expect("a slot's batch is there until the slot is freed")
    }
}
