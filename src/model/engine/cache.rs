//! Keys and values of what a sequence has read so far, in pages that never move.
//!
//! Sequences that have read the same share its pages: a prompt's, and what they have drawn alike after it. A clone of a
//! cache looks at the same pages, and one that is to be written and that others look at is copied first.

use std::sync::Arc;

use super::pages::{Page, PagePool};
use crate::model::kernel::lanes::LANES;

/// What one sequence has read.
#[derive(Clone)]
pub(super) struct SequenceCache {
    pages: Vec<Arc<Page>>,
    len: usize,
}

/// Neighbouring positions in pages.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) pages: &'a [Arc<Page>],
    /// The place of the first in the first page.
    pub(super) skip: usize,
    /// How many there are.
    pub(super) count: usize,
}

impl SequenceCache {
    /// Nothing read yet.
    pub(super) fn empty() -> Self {
        Self {
            pages: Vec::new(),
            len: 0,
        }
    }

    /// Positions read in all.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for `count` more positions, in pages that no other cache looks at, and counts them as read; `write`
    /// must follow, per layer.
    pub(super) fn grow(&mut self, pool: &Arc<PagePool>, count: usize) {
        let partly_filled = count > 0 && !self.len.is_multiple_of(LANES);
        if partly_filled
            && let Some(last) = self.pages.last_mut()
            && Arc::get_mut(last).is_none()
        {
            *last = Arc::new(last.copy());
        }
        self.len += count;
        while self.pages.len() * LANES < self.len {
            self.pages.push(Arc::new(pool.page()));
        }
    }

    /// Stores keys and values of position `position`, which the last `grow` made room for.
    ///
    /// # Shapes
    /// `keys` and `values` `[heads * head_dim]`.
    pub(super) fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let page = Arc::get_mut(&mut self.pages[position / LANES]);
        let page = page.expect("no other cache looks at a page that is written");
        page.write(layer, position % LANES, keys, values);
    }

    /// The positions from `first` up to `end`, of which there is one at least.
    pub(super) fn run(&self, first: usize, end: usize) -> Run<'_> {
        Run {
            pages: &self.pages[first / LANES..end.div_ceil(LANES)],
            skip: first % LANES,
            count: end - first,
        }
    }
}
