//! Keys and values of the sequences under way, in tiles by the bucket of their length.

use std::collections::BTreeMap;

use super::super::network::{DECODE_TILE, Network, Tile};

/// A place of a tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) tile: usize,
    pub(super) place: usize,
}

/// One tile and which of its places are taken.
struct Group {
    tile: Tile,
    taken: [bool; DECODE_TILE],
}

/// All tiles, by numbers that are never used twice.
#[derive(Default)]
pub(super) struct Tiles {
    groups: BTreeMap<usize, Group>,
    next: usize,
}

impl Tiles {
    /// The tiles' numbers.
    pub(super) fn ids(&self) -> impl Iterator<Item = usize> {
        self.groups.keys().copied()
    }

    /// Tile number `id`.
    pub(super) fn tile(&mut self, id: usize) -> &mut Tile {
        &mut self.group(id).tile
    }

    /// Takes a free place of a tile of this bucket; `None` where there is none and `tiles` are there already.
    pub(super) fn place(&mut self, network: &Network, bucket: usize, tiles: usize) -> Option<Slot> {
        let mut alike = self
            .groups
            .iter_mut()
            .filter(|(_, group)| group.tile.bucket == bucket);
        let free = alike.find_map(|(id, group)| {
            let place = group.taken.iter().position(|taken| !taken)?;
            group.taken[place] = true;
            Some(Slot { tile: *id, place })
        });
        if free.is_some() || self.groups.len() >= tiles {
            return free;
        }
        let mut group = Group {
            tile: Tile::new(network, bucket),
            taken: [false; DECODE_TILE],
        };
        group.taken[0] = true;
        let tile = self.next;
        self.next += 1;
        self.groups.insert(tile, group);
        Some(Slot { tile, place: 0 })
    }

    /// Brings the keys and values at `from` of another tile, which is not longer, to a place.
    pub(super) fn fill(&mut self, slot: Slot, other: &Tile, from: usize) {
        self.tile(slot.tile).put(slot.place, other, from);
    }

    /// Moves a sequence that has outgrown its bucket into one of `bucket`.
    pub(super) fn move_up(&mut self, network: &Network, slot: &mut Slot, bucket: usize) {
        if self.group(slot.tile).tile.bucket >= bucket {
            return;
        }
        // There is always room for one that has begun.
        let place = self.place(network, bucket, usize::MAX);
        let to = place.expect("tiles without limit");
        let from = self.group(slot.tile).tile.clone();
        self.fill(to, &from, slot.place);
        self.free(*slot);
        *slot = to;
    }

    /// A place is free again; a tile that holds nothing makes room for one of another length.
    pub(super) fn free(&mut self, slot: Slot) {
        let group = self.group(slot.tile);
        group.taken[slot.place] = false;
        if !group.taken.contains(&true) {
            self.groups.remove(&slot.tile);
        }
    }

    fn group(&mut self, id: usize) -> &mut Group {
        self.groups
            .get_mut(&id)
            .expect("a slot's tile is there until the slot is freed")
    }
}
