//! Sixteen f32 lanes on whatever the CPU has: the alphabet of every kernel, of the engine and of training.
//!
//! A kernel is written once over [`Lanes`]; the [`kernel!`] macro compiles it for AVX-512 (one
//! register), AVX2 + FMA + F16C (two), NEON (four) and for any CPU (an array of `f32::mul_add`: the same bits, slow on an x86
//! without FMA). Because there
//! are sixteen lanes everywhere and every operation is one IEEE operation per lane, the instruction
//! set does not alter a bit of any result.
#![expect(
    unsafe_code,
    reason = "vector instructions; each use says why it is sound"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use half::f16;

/// Lanes in a vector, on every CPU.
pub(crate) const LANES: usize = 16;

/// Sixteen f32 values. `max` and `min` return the argument where either operand is not a number.
///
/// # Safety
/// `splat` and `load` may only be called where the CPU has the implementor's instructions; a value
/// then proves that, which makes the other operations safe.
pub(crate) unsafe trait Lanes: Copy {
    /// Rows of a GEMM tile that fit the registers.
    const TILE_ROWS: usize;
    /// Whether a tile is two vectors wide (else one).
    const WIDE: bool;
    /// All lanes `x`. Safety: see the trait.
    unsafe fn splat(x: f32) -> Self;
    /// Sixteen values from `from`, any alignment. Safety: see the trait; `from` must be readable.
    unsafe fn load(from: *const f32) -> Self;
    /// Sixteen bf16 values from `from`, any alignment, exactly. Safety: see the trait; `from` must be readable.
    unsafe fn load_bf16(from: *const u16) -> Self;
    /// Sixteen f16 values from `from`, any alignment, exactly. Safety: see the trait; `from` must be readable.
    unsafe fn load_f16(from: *const u16) -> Self;
    /// Writes to `to`, any alignment. Safety: `to` must be writable for sixteen values.
    unsafe fn store(self, to: *mut f32);
    /// Asks for the cache line at `from`, which need not be readable, to be brought near. Safety: see the trait.
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        let _ = from;
    }
    /// Writes the transpose of sixteen rows of sixteen values: value `j` of row `i` becomes value `i` of row `j`. `from_row` and `to_row`
    /// are the distances between rows.
    ///
    /// Safety: see the trait; `from` must be readable, and `to` writable, for sixteen rows; they do not overlap.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        for i in 0..LANES {
            for j in 0..LANES {
                // SAFETY: the caller's promise.
                unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) };
            }
        }
    }
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once.
    fn fma(self, factor: Self, addend: Self) -> Self;
    /// `2^n` from `1.5 * 2^23 + n`, whose low bits are the integer `n`.
    fn pow2(self) -> Self;
    /// Bit `i` is set where lane `i` is greater than that of `other`.
    fn above(self, other: Self) -> u32;

    /// The lanes as an array.
    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        // SAFETY: the array holds sixteen values.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes
    }

    /// The sum of the lanes, in one fixed tree.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut a = self.to_array();
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                a[i] += a[i + width];
            }
            width /= 2;
        }
        a[0]
    }

    /// The greatest lane.
    #[inline(always)]
    fn greatest(self) -> f32 {
        let mut greatest = f32::NEG_INFINITY;
        for lane in self.to_array() {
            if lane > greatest {
                greatest = lane;
            }
        }
        greatest
    }
}

/// `1.0`'s bits, which turn a shifted exponent into a power of two.
const ONE_BITS: i32 = 0x3f80_0000;

/// The portable implementation.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY: needs no special instructions.
unsafe impl Lanes for Portable {
    const TILE_ROWS: usize = 4;
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: the caller's promise.
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        Self(bits.map(|bits| f32::from_bits(u32::from(bits) << 16)))
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        // SAFETY: the caller's promise.
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        Self(bits.map(|bits| f16::from_bits(bits).to_f32()))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|i| {
            self.0[i].mul_add(factor.0[i], addend.0[i])
        }))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        Self(self.0.map(|t| {
            let bits = (t.to_bits() << 23).wrapping_add(ONE_BITS.cast_unsigned());
            f32::from_bits(bits)
        }))
    }
    #[inline(always)]
    fn above(self, other: Self) -> u32 {
        let mut mask = 0;
        for i in 0..LANES {
            mask |= u32::from(self.0[i] > other.0[i]) << i;
        }
        mask
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

/// The instruction set in use. Only [`Isa::available`] makes one, so holding a value proves that
/// the CPU has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Isa(IsaKind);

/// The instruction sets that kernels are compiled for, fastest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IsaKind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Isa {
    /// Which one it is.
    pub(crate) fn kind(self) -> IsaKind {
        self.0
    }

    /// Every instruction set that this CPU has, fastest first; the last works anywhere.
    pub(crate) fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            // Every processor with AVX2 has F16C; a virtual one may hide it.
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if avx2 && is_x86_feature_detected!("avx512f") {
                found.push(Self(IsaKind::Avx512));
            }
            if avx2 {
                found.push(Self(IsaKind::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Self(IsaKind::Neon));
        found.push(Self(IsaKind::Portable));
        found
    }
}

/// Compiles a function that is generic over [`Lanes`] for every instruction set, behind one
/// function that takes the [`Isa`] first. Safe where the generic function needs no more than the CPU's
/// instructions; `unsafe fn` passes further conditions on to the caller.
macro_rules! kernel {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $generic:ident) => {
        $(#[$meta])*
        pub(crate) fn $name(isa: $crate::model::kernel::lanes::Isa, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the generic function needs the instructions only; an `Isa` proves them.
            unsafe { $crate::model::kernel::lanes::kernel!(@dispatch isa, ($($arg: $ty),*) $(-> $ret)?, $generic) }
        }
    };
    ($(#[$meta:meta])* unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $generic:ident) => {
        $(#[$meta])*
        unsafe fn $name(isa: $crate::model::kernel::lanes::Isa, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: an `Isa` proves the instructions; the rest is the caller's promise.
            unsafe { $crate::model::kernel::lanes::kernel!(@dispatch isa, ($($arg: $ty),*) $(-> $ret)?, $generic) }
        }
    };
    (@dispatch $isa:ident, ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?, $generic:ident) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma,f16c")]
        unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: as for the function that dispatches.
            unsafe { $generic::<$crate::model::kernel::lanes::x86::Avx512>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: as for the function that dispatches.
            unsafe { $generic::<$crate::model::kernel::lanes::x86::Avx2>($($arg),*) }
        }
        match $isa.kind() {
            #[cfg(target_arch = "x86_64")]
            $crate::model::kernel::lanes::IsaKind::Avx512 => avx512($($arg),*),
            #[cfg(target_arch = "x86_64")]
            $crate::model::kernel::lanes::IsaKind::Avx2 => avx2($($arg),*),
            // Part of the base, so nothing has to be enabled.
            #[cfg(target_arch = "aarch64")]
            $crate::model::kernel::lanes::IsaKind::Neon => {
                $generic::<$crate::model::kernel::lanes::neon::Neon>($($arg),*)
            }
            $crate::model::kernel::lanes::IsaKind::Portable => {
                $generic::<$crate::model::kernel::lanes::Portable>($($arg),*)
            }
        }
    }};
}
pub(crate) use kernel;
