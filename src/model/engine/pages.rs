//! Pages of keys and values, and the pool that they come from and go back to.
//!
//! A page holds sixteen positions of every block (layer). Within a head, keys lie lane by position
//! (`[head_dim][16]`), so that one vector operation advances sixteen scores; values lie by position
//! (`[16][head_dim]`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::lanes::LANES;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageShape {
    /// Blocks of the model.
    pub(super) layers: usize,
    /// Heads of keys, and of values, per block.
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

/// Pages of one shape that nobody uses: to clear a new page of memory takes the system longer than much of what is
/// computed in it.
pub(super) struct PagePool {
    shape: PageShape,
    free: Mutex<Vec<Buffer>>,
}

impl PagePool {
    pub(super) fn new(shape: PageShape) -> Arc<Self> {
        let free = Mutex::default();
        Arc::new(Self { shape, free })
    }

    pub(super) fn shape(&self) -> PageShape {
        self.shape
    }

    fn free(&self) -> MutexGuard<'_, Vec<Buffer>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page in which anything may stand. What no position has written is read, but goes into no result.
    pub(super) fn page(self: &Arc<Self>) -> Page {
        let free = self.free().pop();
        let new = || Buffer::zeroed(self.shape.page_bytes() / size_of::<f32>());
        Page {
            values: free.unwrap_or_else(new),
            pool: Arc::clone(self),
        }
    }
}

/// Sixteen positions.
pub(super) struct Page {
    values: Buffer,
    pool: Arc<PagePool>,
}

impl Drop for Page {
    fn drop(&mut self) {
        let values = std::mem::replace(&mut self.values, Buffer::zeroed(0));
        self.pool.free().push(values);
    }
}

impl Page {
    /// Another page with the same positions.
    pub(super) fn copy(&self) -> Self {
        let mut page = self.pool.page();
        let values = page.values.as_mut_slice();
        values.copy_from_slice(self.values.as_slice());
        page
    }

    /// Keys and values of one head.
    ///
    /// # Shapes
    /// Keys `[padded_dim, LANES]`, of which the first `head_dim` lines count, a lane for each position; values
    /// `[LANES, padded_dim]`, of which the first `head_dim` columns count.
    pub(super) fn head(&self, shape: PageShape, layer: usize, head: usize) -> (&[f32], &[f32]) {
        let len = shape.head_len();
        let at = (layer * shape.heads + head) * len;
        self.values.as_slice()[at..at + len].split_at(len / 2)
    }

    /// Stores the keys and values of one position.
    ///
    /// # Shapes
    /// `keys` and `values` `[heads * head_dim]`.
    pub(super) fn write(&mut self, layer: usize, slot: usize, keys: &[f32], values: &[f32]) {
        let shape = self.pool.shape;
        let (dim, padded, len) = (shape.head_dim, shape.padded_dim(), shape.head_len());
        let first = layer * shape.heads * len;
        let pages = self.values.as_mut_slice()[first..].chunks_exact_mut(len);
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
