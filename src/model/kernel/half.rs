//! Weights of sixteen bits: bf16 or f16 in memory, f32 in every product.
//!
//! Both formats are part of f32, so what was one of their values in a file is the same value in a product.
#![expect(
    unsafe_code,
    reason = "reads and writes through pointers; asks for memory that is zero already"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use half::{bf16, f16};

use super::lanes::{LANES, Lanes};
use super::tile::PANEL;

/// A number format of sixteen bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HalfFormat {
    /// f32's range, eight bits of precision.
    Bf16,
    /// Up to 65,504, eleven bits of precision.
    F16,
}

/// `k` of a panel: one value of each of its columns, a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u16; PANEL]);

impl Line {
    /// So many lines of zeros.
    pub(crate) fn zeroed(count: usize) -> Vec<Self> {
        // `vec![zero; count]` would write zeros into memory that the system has just cleared.
        let lines = Box::<[Self]>::new_zeroed_slice(count);
        // SAFETY: a line is numbers, for which all bits zero is 0.
        unsafe { lines.assume_init() }.into_vec()
    }
}

impl HalfFormat {
    /// Rounds `values` to the nearest, of two equally near to the even one. What is beyond the format's range becomes
    /// infinite.
    ///
    /// # Shapes
    /// `into` is as long as `values`.
    pub(crate) fn narrow(self, values: &[f32], into: &mut [u16]) {
        let pairs = into.iter_mut().zip(values);
        match self {
            Self::Bf16 => pairs.for_each(|(to, value)| *to = bf16::from_f32(*value).to_bits()),
            Self::F16 => pairs.for_each(|(to, value)| *to = f16::from_f32(*value).to_bits()),
        }
    }

    /// The first of `values` that is a number and not within the format's range, and its place.
    pub(crate) fn beyond(self, values: &[f32]) -> Option<(usize, f32)> {
        // What is nearer to 2^16 than to 65,504 rounds to infinity; bf16 has f32's range, but for its last half step.
        let limit = match self {
            Self::Bf16 => f32::from_bits(0x7f7f_8000),
            Self::F16 => 65_520.0,
        };
        let mut values = values.iter().copied().enumerate();
        values.find(|(_, value)| value.is_finite() && value.abs() >= limit)
    }

    /// The value that is meant.
    pub(crate) fn widen(self, bits: u16) -> f32 {
        match self {
            Self::Bf16 => bf16::from_bits(bits).to_f32(),
            Self::F16 => f16::from_bits(bits).to_f32(),
        }
    }
}

/// Lines in f32, one after the other into `to`.
///
/// # Shapes
/// `to` `[lines, PANEL]`.
///
/// # Safety
/// The CPU has `V`'s instructions, and `to` has room for all lines.
#[inline(always)]
pub(crate) unsafe fn widen_lines<V: Lanes>(format: HalfFormat, lines: &[Line], to: *mut f32) {
    for (index, line) in lines.iter().enumerate() {
        let from = line.0.as_ptr();
        // SAFETY: a line is two vectors; the rest is the caller's promise.
        unsafe {
            let to = to.add(index * PANEL);
            let (low, high) = match format {
                HalfFormat::Bf16 => (V::load_bf16(from), V::load_bf16(from.add(LANES))),
                HalfFormat::F16 => (V::load_f16(from), V::load_f16(from.add(LANES))),
            };
            low.store(to);
            high.store(to.add(LANES));
        }
    }
}
