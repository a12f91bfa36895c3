//! Keys and values of what a sequence has read so far, in pages that never move.
//!
//! A prompt is read once; its pages become a [`Prefix`] that all sequences of the prompt share, and each sequence adds
//! pages of its own.

use std::sync::Arc;

use super::pages::{Page, PagePool};
use crate::model::kernel::lanes::LANES;

/// A prompt that has been read.
pub(super) struct Prefix {
    pages: Vec<Page>,
    len: usize,
}

/// What one sequence has read: perhaps a shared prefix, then positions of its own.
pub(super) struct SequenceCache {
    prefix: Option<Arc<Prefix>>,
    pages: Vec<Page>,
    len: usize,
}

/// Neighbouring positions in pages.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) pages: &'a [Page],
    /// The place of the first in the first page.
    pub(super) skip: usize,
    /// How many there are.
    pub(super) count: usize,
}

impl<'a> Run<'a> {
    /// The positions from `first` up to `end` of those that `pages` hold.
    fn new(pages: &'a [Page], first: usize, end: usize) -> Self {
        let count = end.saturating_sub(first);
        let held = if count == 0 {
            0..0
        } else {
            first / LANES..end.div_ceil(LANES)
        };
        Self {
            pages: &pages[held],
            skip: first % LANES,
            count,
        }
    }
}

impl SequenceCache {
    /// Nothing read yet.
    pub(super) fn empty() -> Self {
        Self {
            prefix: None,
            pages: Vec::new(),
            len: 0,
        }
    }

    /// Goes on from `prefix`.
    pub(super) fn after(prefix: &Arc<Prefix>) -> Self {
        Self {
            prefix: Some(Arc::clone(prefix)),
            ..Self::empty()
        }
    }

    /// What `count` sequences begin with that go on from here. A single one keeps the pages, so the rest of the last one
    /// is not wasted.
    pub(super) fn branch(self, count: usize) -> Vec<Self> {
        if count == 1 {
            return vec![self];
        }
        let prefix = self.into_prefix();
        (0..count).map(|_| Self::after(&prefix)).collect()
    }

    /// Freezes what was read, to be shared. The cache must have begun empty.
    pub(super) fn into_prefix(self) -> Arc<Prefix> {
        debug_assert!(self.prefix.is_none(), "a prefix has no prefix");
        Arc::new(Prefix {
            pages: self.pages,
            len: self.len,
        })
    }

    /// Positions that are shared with other sequences.
    fn shared(&self) -> usize {
        self.prefix.as_ref().map_or(0, |prefix| prefix.len)
    }

    /// Positions read in all.
    pub(super) fn len(&self) -> usize {
        self.shared() + self.len
    }

    /// Makes room for `count` more positions and counts them as read; `write` must follow, per layer.
    pub(super) fn grow(&mut self, pool: &Arc<PagePool>, count: usize) {
        self.len += count;
        while self.pages.len() * LANES < self.len {
            self.pages.push(pool.page());
        }
    }

    /// Stores keys and values of absolute position `position`, which lies beyond the prefix.
    ///
    /// # Shapes
    /// `keys` and `values` `[heads * head_dim]`.
    pub(super) fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let own = position - self.shared();
        self.pages[own / LANES].write(layer, own % LANES, keys, values);
    }

    /// The absolute positions from `first` up to `end`: the prefix's and the sequence's own.
    pub(super) fn runs(&self, first: usize, end: usize) -> [Run<'_>; 2] {
        let shared = self.shared();
        let prefix: &[Page] = self.prefix.as_ref().map_or(&[], |prefix| &prefix.pages);
        let own = |position: usize| position.saturating_sub(shared);
        [
            Run::new(prefix, first, end.min(shared)),
            Run::new(&self.pages, own(first), own(end)),
        ]
    }
}
