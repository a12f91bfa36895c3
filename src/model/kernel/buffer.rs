//! A block of f32 that starts on a cache line, so that vector loads do not straddle two.
#![expect(
    unsafe_code,
    reason = "views a vector of aligned lines as a flat slice; asks for memory that is zero already"
)]

use super::lanes::LANES;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([f32; LANES]);

/// A cache-line aligned, zeroed block of f32 whose length is a multiple of sixteen.
pub(crate) struct Buffer(Vec<CacheLine>);

impl Buffer {
    /// At least `len` zeros, as many as fill whole cache lines.
    pub(crate) fn zeroed(len: usize) -> Self {
        // `vec![zero; lines]` would write zeros into memory that the system has just cleared.
        let lines = Box::<[CacheLine]>::new_zeroed_slice(len.div_ceil(LANES));
        // SAFETY: all bits zero is 0.0 in every place of every line.
        Self(unsafe { lines.assume_init() }.into_vec())
    }

    /// The values.
    ///
    /// # Shapes
    /// Gives as many values as were asked for at least, a multiple of sixteen.
    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: a `CacheLine` is sixteen f32 without padding, and the lines are contiguous.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }

    /// The values, to write.
    ///
    /// # Shapes
    /// As of [`Buffer::as_slice`].
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }

    /// Makes room for `len` values; what was there may stay or be lost.
    pub(crate) fn reserve(&mut self, len: usize) {
        if self.0.len() * LANES < len {
            *self = Self::zeroed(len);
        }
    }
}

/// The distance between the rows of an activation matrix of `columns`: whole GEMM panels, and a line
/// more, lest rows whose length is a power of two compete for the same cache set.
pub(crate) fn row_stride(columns: usize) -> usize {
    columns.next_multiple_of(2 * LANES) + LANES
}
