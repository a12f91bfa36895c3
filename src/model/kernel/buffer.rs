//! A block of f32 that starts on a cache line, so that vector loads do not straddle two.
#![expect(
    unsafe_code,
    reason = "views aligned lines as a flat slice; takes large blocks from the system"
)]

use super::lanes::LANES;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([f32; LANES]);

/// A cache-line aligned, zeroed block of f32 whose length is a multiple of sixteen.
pub(crate) struct Buffer(Lines);

/// Where the lines are.
enum Lines {
    /// With the allocator.
    Heap(Vec<CacheLine>),
    /// A mapping of their own.
    #[cfg(target_os = "linux")]
    Mapped(huge::Mapping),
}

impl Buffer {
    /// At least `len` zeros, as many as fill whole cache lines.
    pub(crate) fn zeroed(len: usize) -> Self {
        let lines = len.div_ceil(LANES);
        #[cfg(target_os = "linux")]
        if let Some(mapping) = huge::Mapping::zeroed(lines) {
            return Self(Lines::Mapped(mapping));
        }
        // `vec![zero; lines]` would write zeros into memory that the system has just cleared.
        let lines = Box::<[CacheLine]>::new_zeroed_slice(lines);
        // SAFETY: all bits zero is 0.0 in every place of every line.
        Self(Lines::Heap(unsafe { lines.assume_init() }.into_vec()))
    }

    fn lines(&self) -> (*const CacheLine, usize) {
        match &self.0 {
            Lines::Heap(lines) => (lines.as_ptr(), lines.len()),
            #[cfg(target_os = "linux")]
            Lines::Mapped(mapping) => (mapping.as_ptr(), mapping.lines()),
        }
    }

    /// The values.
    ///
    /// # Shapes
    /// Gives as many values as were asked for at least, a multiple of sixteen.
    pub(crate) fn as_slice(&self) -> &[f32] {
        let (lines, count) = self.lines();
        // SAFETY: a `CacheLine` is sixteen f32 without padding, and the lines are contiguous.
        unsafe { std::slice::from_raw_parts(lines.cast(), count * LANES) }
    }

    /// The values, to write.
    ///
    /// # Shapes
    /// As of [`Buffer::as_slice`].
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        let (lines, count) = match &mut self.0 {
            Lines::Heap(lines) => (lines.as_mut_ptr(), lines.len()),
            #[cfg(target_os = "linux")]
            Lines::Mapped(mapping) => (mapping.as_mut_ptr(), mapping.lines()),
        };
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(lines.cast(), count * LANES) }
    }

    /// Makes room for `len` values; what was there may stay or be lost.
    pub(crate) fn reserve(&mut self, len: usize) {
        if self.lines().1 * LANES < len {
            *self = Self::zeroed(len);
        }
    }
}

/// The distance between the rows of an activation matrix of `columns`: whole GEMM panels, and a line
/// more, lest rows whose length is a power of two compete for the same cache set.
pub(crate) fn row_stride(columns: usize) -> usize {
    columns.next_multiple_of(2 * LANES) + LANES
}

/// Large blocks in large pages of memory: the system clears one at once where it would clear 512 small ones, each when it
/// is touched first, and the processor finds an address in them without a walk.
#[cfg(target_os = "linux")]
mod huge {
    use std::ptr::NonNull;

    use super::CacheLine;

    /// A large page of x86-64, and of ARM with pages of 4 KiB.
    const PAGE: usize = 2 << 20;

    /// Memory of the system's, zeroed, that begins at a large page. What is left beyond its last whole one is in small
    /// pages, so that no more is taken than asked for.
    pub(super) struct Mapping {
        lines: NonNull<CacheLine>,
        count: usize,
    }

    // SAFETY: it owns its memory, as a `Vec` does.
    unsafe impl Send for Mapping {}
    // SAFETY: what is shared of it can only be read.
    unsafe impl Sync for Mapping {}

    impl Mapping {
        /// So many lines; `None` where they do not fill a large page, or the system has none to give: then the allocator
        /// may say so.
        pub(super) fn zeroed(count: usize) -> Option<Self> {
            let bytes = bytes(count)?;
            if bytes < PAGE {
                return None;
            }
            let wide = bytes.checked_add(PAGE)?;
            // SAFETY: a new mapping, anywhere.
            let start = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    wide,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            if start == libc::MAP_FAILED {
                return None;
            }
            let before = start.addr().wrapping_neg() % PAGE;
            let lines = start.wrapping_byte_add(before);
            // SAFETY: parts of the mapping that nothing uses, then the rest of it. Whether large pages are given does
            // not matter.
            unsafe {
                if before > 0 {
                    libc::munmap(start, before);
                }
                if before < PAGE {
                    libc::munmap(lines.wrapping_byte_add(bytes), PAGE - before);
                }
                libc::madvise(lines, bytes, libc::MADV_HUGEPAGE);
            }
            let lines = NonNull::new(lines.cast())?;
            Some(Self { lines, count })
        }

        pub(super) fn as_ptr(&self) -> *const CacheLine {
            self.lines.as_ptr()
        }

        pub(super) fn as_mut_ptr(&mut self) -> *mut CacheLine {
            self.lines.as_ptr()
        }

        pub(super) fn lines(&self) -> usize {
            self.count
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            if let Some(bytes) = bytes(self.count) {
                // SAFETY: its own mapping, which nothing looks at any more.
                unsafe { libc::munmap(self.lines.as_ptr().cast(), bytes) };
            }
        }
    }

    /// What so many lines take: whole pieces of 64 KiB, which are whole small pages on every machine.
    fn bytes(lines: usize) -> Option<usize> {
        let bytes = lines.checked_mul(size_of::<CacheLine>())?;
        bytes.checked_next_multiple_of(64 << 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_zero_aligned_and_its_own() {
        // Nothing, a line, what the allocator gives, just a large page, and what ends within one.
        for len in [0, 1, 1000, (2 << 20) / 4, (5 << 20) / 4 + 3] {
            let (mut one, mut other) = (Buffer::zeroed(len), Buffer::zeroed(len));
            let values = one.as_mut_slice();
            assert_eq!(values.len(), len.next_multiple_of(LANES));
            assert_eq!(values.as_ptr().addr() % 64, 0);
            assert!(values.iter().all(|value| value.to_bits() == 0));
            values.fill(1.0);
            assert!(other.as_slice().iter().all(|value| value.to_bits() == 0));
            other.reserve(len + 1);
            assert!(other.as_slice().len() > len);
            drop(other);
            assert!(
                one.as_slice()
                    .iter()
                    .all(|value| value.to_bits() == 1.0_f32.to_bits())
            );
        }
    }
}
