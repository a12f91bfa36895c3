//! Sixteen lanes in four registers of NEON, which every `AArch64` processor has.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddq_s32, vaddvq_u32, vandq_u32, vbslq_f32, vcgtq_f32, vcltq_f32,
    vdivq_f32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vld1_u16, vld1q_f32, vld1q_u32, vmovl_u16,
    vmulq_f32, vreinterpretq_f32_s32, vreinterpretq_f32_u32, vreinterpretq_s32_f32, vshlq_n_s32,
    vshlq_n_u32, vst1q_f32, vsubq_f32,
};

use half::f16;

use super::{LANES, Lanes, ONE_BITS};

/// NEON: sixteen lanes in four registers.
#[derive(Clone, Copy)]
pub(crate) struct Neon([float32x4_t; 4]);

/// A lane-wise operation on four registers.
macro_rules! quarters {
    ($name:ident, $a:ident, $b:ident, $each:expr) => {
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let each = |index: usize| {
                let ($a, $b) = (self.0[index], other.0[index]);
                // SAFETY: NEON is part of the base.
                unsafe { $each }
            };
            Self([each(0), each(1), each(2), each(3)])
        }
    };
}

// SAFETY: built from NEON intrinsics only, which need no more than the base.
unsafe impl Lanes for Neon {
    // 6 x 4 accumulators, 4 weights and a broadcast of 32 registers.
    const TILE_ROWS: usize = 6;
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: NEON is part of the base.
        Self([unsafe { vdupq_n_f32(x) }; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self([
                vld1q_f32(from),
                vld1q_f32(from.add(4)),
                vld1q_f32(from.add(8)),
                vld1q_f32(from.add(12)),
            ])
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: the caller's promise.
        let each = |index: usize| unsafe {
            vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(vld1_u16(from.add(4 * index)))))
        };
        Self([each(0), each(1), each(2), each(3)])
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        // The instruction is there, but its type is not stable in Rust.
        // SAFETY: the caller's promise.
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        let values = bits.map(|bits| f16::from_bits(bits).to_f32());
        // SAFETY: sixteen values.
        unsafe { Self::load(values.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            vst1q_f32(to, self.0[0]);
            vst1q_f32(to.add(4), self.0[1]);
            vst1q_f32(to.add(8), self.0[2]);
            vst1q_f32(to.add(12), self.0[3]);
        }
    }
    quarters!(add, a, b, vaddq_f32(a, b));
    quarters!(sub, a, b, vsubq_f32(a, b));
    quarters!(mul, a, b, vmulq_f32(a, b));
    quarters!(div, a, b, vdivq_f32(a, b));
    // Not `vmaxq_f32`, which gives a NaN of either side: this is what the other instruction sets do.
    quarters!(max, a, b, vbslq_f32(vcgtq_f32(a, b), a, b));
    quarters!(min, a, b, vbslq_f32(vcltq_f32(a, b), a, b));
    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        // SAFETY: NEON is part of the base.
        let each =
            |index: usize| unsafe { vfmaq_f32(addend.0[index], self.0[index], factor.0[index]) };
        Self([each(0), each(1), each(2), each(3)])
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        // SAFETY: NEON is part of the base.
        Self(self.0.map(|lanes| unsafe {
            let shifted = vshlq_n_s32::<23>(vreinterpretq_s32_f32(lanes));
            vreinterpretq_f32_s32(vaddq_s32(shifted, vdupq_n_s32(ONE_BITS)))
        }))
    }
    #[inline(always)]
    fn above(self, other: Self) -> u32 {
        let bits = [1_u32, 2, 4, 8];
        let each = |index: usize| {
            // SAFETY: NEON is part of the base; `bits` holds four values.
            let hits = unsafe {
                let hits = vcgtq_f32(self.0[index], other.0[index]);
                vaddvq_u32(vandq_u32(hits, vld1q_u32(bits.as_ptr())))
            };
            hits << (4 * index)
        };
        each(0) | each(1) | each(2) | each(3)
    }
}
