//! Keys and values of what a sequence has read so far, in pages that never move.
//!
//! A page holds sixteen positions of every block (layer). Within a head, keys lie lane by position
//! (`[head_dim][16]`), so that one vector operation advances sixteen scores; values lie by position
//! (`[16][head_dim]`). A prompt is read once; its pages become a [`Prefix`] that all sequences of the
//! prompt share, and each sequence adds pages of its own.

use std::sync::Arc;

use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::lanes::LANES;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageShape {
    /// Blocks of the model.
    pub(super) layers: usize,
    /// Heads per block.
    pub(super) heads: usize,
    /// Width of a head.
    pub(super) head_dim: usize,
}

impl PageShape {
    /// A head's width in whole vectors.
    pub(super) fn padded_dim(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Keys, then values, of one head: the same room for both.
    fn head_len(self) -> usize {
        2 * self.padded_dim() * LANES
    }

    pub(super) fn page_bytes(self) -> usize {
        self.layers * self.heads * self.head_len() * size_of::<f32>()
    }
}

/// Sixteen positions.
pub(super) struct Page(Buffer);

impl Page {
    fn new(shape: PageShape) -> Self {
        Self(Buffer::zeroed(shape.page_bytes() / size_of::<f32>()))
    }

    /// Keys and values of one head.
    ///
    /// # Shapes
    /// Keys `[padded_dim, LANES]`, of which the first `head_dim` lines count, a lane for each position; values
    /// `[LANES, padded_dim]`, of which the first `head_dim` columns count.
    pub(super) fn head(&self, shape: PageShape, layer: usize, head: usize) -> (&[f32], &[f32]) {
        let len = shape.head_len();
        let at = (layer * shape.heads + head) * len;
        self.0.as_slice()[at..at + len].split_at(len / 2)
    }

    /// Stores the keys and values of one position.
    ///
    /// # Shapes
    /// `keys` and `values` `[heads * head_dim]`.
    fn write(&mut self, shape: PageShape, layer: usize, slot: usize, keys: &[f32], values: &[f32]) {
        let (dim, padded, len) = (shape.head_dim, shape.padded_dim(), shape.head_len());
        let first = layer * shape.heads * len;
        let pages = self.0.as_mut_slice()[first..].chunks_exact_mut(len);
        let heads = keys.chunks_exact(dim).zip(values.chunks_exact(dim));
        for (page, (keys, values)) in pages.zip(heads) {
            let (page_keys, page_values) = page.split_at_mut(len / 2);
            for (lanes, &key) in page_keys.as_chunks_mut::<LANES>().0.iter_mut().zip(keys) {
                lanes[slot] = key;
            }
            page_values[slot * padded..slot * padded + dim].copy_from_slice(values);
        }
    }
}

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

    /// Positions read in all.
    pub(super) fn len(&self) -> usize {
        self.prefix.as_ref().map_or(0, |prefix| prefix.len) + self.len
    }

    /// Makes room for `count` more positions and counts them as read; `write` must follow, per layer.
    pub(super) fn grow(&mut self, shape: PageShape, count: usize) {
        self.len += count;
        while self.pages.len() * LANES < self.len {
            self.pages.push(Page::new(shape));
        }
    }

    /// Stores keys and values of absolute position `position`, which lies beyond the prefix.
    ///
    /// # Shapes
    /// `keys` and `values` `[heads * head_dim]`.
    pub(super) fn write(
        &mut self,
        shape: PageShape,
        layer: usize,
        position: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        let own = position - (self.len() - self.len);
        self.pages[own / LANES].write(shape, layer, own % LANES, keys, values);
    }

    /// The runs of pages before absolute position `end`: the prefix's and the sequence's own, each
    /// with its number of positions.
    pub(super) fn runs(&self, end: usize) -> [(&[Page], usize); 2] {
        let (pages, shared): (&[Page], usize) = self
            .prefix
            .as_ref()
            .map_or((&[], 0), |prefix| (&prefix.pages, prefix.len));
        [
            (pages, shared.min(end)),
            (&self.pages, end.saturating_sub(shared)),
        ]
    }
}
