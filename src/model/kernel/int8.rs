//! Products of 8-bit integers: a row of f32 becomes bytes with one scale, and bytes are multiplied with packed weights
//! into exact 32-bit sums. Integers add up alike in any order, so every instruction set gives the same bits.
//!
//! Four bytes of a row and of a column are one step of AVX-512 VNNI, whose left factor has no sign: bytes are kept
//! 128 higher than their meaning, and sums begin 128 times the column's sum lower.
#![expect(
    unsafe_code,
    reason = "vector instructions; each use says why it is sound"
)]

use super::lanes::{Isa, IsaKind, LANES, Lanes, kernel};
use super::tile::{MAX_TILE_ROWS, PANEL};

/// Neighbours along `k` that are multiplied in one step.
pub(crate) const STEP: usize = 4;
/// The greatest magnitude of a quantised value.
const GREATEST: f32 = 127.0;
/// What stands for zero in a row.
pub(crate) const ZERO: u8 = 128;
/// Rows whose values are all smaller than this are zero.
const LEAST: f32 = 1e-30;
/// The longest row whose sums cannot overflow, with bytes 128 higher too: 2^31 / (255 * 127), rounded down to a power
/// of two. GPT-2 XL's longest is 6,400.
pub(crate) const LONGEST: usize = 1 << 16;

/// One step of a panel: four neighbours along `k` of each of its columns.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Group(pub(crate) [i8; PANEL * STEP]);

/// The sums of one row of a tile.
pub(crate) type Sums = [i32; PANEL];

/// The body of [`quantize`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `out` is at least as long as `x`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must end up where the instructions are enabled"
)]
unsafe fn quantize_generic<V: Lanes>(x: &[f32], out: &mut [u8]) -> f32 {
    let (blocks, tail) = x.as_chunks::<LANES>();
    let mut last = [0.0; LANES];
    last[..tail.len()].copy_from_slice(tail);
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    let (greatest, damage) = unsafe {
        let zero = V::splat(0.0);
        let (mut greatest, mut damage) = (zero, zero);
        for block in blocks.iter().chain([&last]) {
            let value = V::load(block.as_ptr());
            greatest = greatest.max(value.max(zero.sub(value)));
            // Zero, unless a value is infinite or not a number.
            damage = value.fma(zero, damage);
        }
        (greatest.greatest(), damage.sum())
    };
    let factor = if greatest < LEAST {
        0.0
    } else {
        GREATEST / greatest
    };
    // 1.5 * 2^23: adding it rounds to an integer, in two's complement in the low bits.
    for (x, out) in x.iter().zip(out.iter_mut()) {
        let bits = (x * factor + 12_582_912.0).to_bits();
        *out = bits.to_le_bytes()[0] ^ ZERO;
    }
    out[x.len()..].fill(ZERO);
    greatest / GREATEST + damage
}

kernel! {
    /// Turns `x` into bytes, 128 higher than `x / scale` rounded to -127 to 127, and what is left of `out` into zeros.
    /// Returns the scale, which is not a number where `x` is not finite.
    ///
    /// # Shapes
    /// `out` is at least as long as `x`.
    fn quantize(x: &[f32], out: &mut [u8]) -> f32 = quantize_generic
}

/// Rows of quantised values, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) stride: usize,
    pub(crate) rows: usize,
}

/// The products of up to twelve rows with a panel, into `sums`. `lower` is 128 times the sum of each column.
///
/// # Shapes
/// `x` `[rows, stride]`, of which the first `k` bytes of a row count, a multiple of [`STEP`]; `panel` `[k / STEP]`,
/// `lower` `[PANEL]`; of `sums` the first `rows` are written.
pub(crate) fn multiply_groups(
    isa: Isa,
    x: Bytes<'_>,
    panel: &[Group],
    lower: &Sums,
    sums: &mut [Sums; MAX_TILE_ROWS],
) {
    assert!(x.rows <= MAX_TILE_ROWS && x.rows > 0 && x.stride >= panel.len() * STEP);
    assert!(x.data.len() >= (x.rows - 1) * x.stride + panel.len() * STEP);
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 if std::arch::is_x86_feature_detected!("avx512vnni") => {
            // SAFETY: an `Isa` proves AVX-512F, the guard VNNI; lengths were checked.
            unsafe { x86::vnni(x, panel, lower, sums) }
        }
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 | IsaKind::Avx2 => {
            // SAFETY: an `Isa` proves AVX2; lengths were checked.
            unsafe { x86::avx2(x, panel, sums) }
        }
        #[cfg(target_arch = "aarch64")]
        IsaKind::Neon => portable(x, panel, sums),
        IsaKind::Portable => portable(x, panel, sums),
    }
}

/// [`multiply_groups`] without vectors: bytes lose their 128 before they are multiplied, so `lower` is not needed.
///
/// # Shapes
/// As of [`multiply_groups`].
fn portable(x: Bytes<'_>, panel: &[Group], sums: &mut [Sums; MAX_TILE_ROWS]) {
    for (row, sums) in x.data.chunks(x.stride).zip(sums).take(x.rows) {
        *sums = [0; PANEL];
        for (four, group) in row.as_chunks::<STEP>().0.iter().zip(panel) {
            let four = four.map(|byte| i32::from(byte) - i32::from(ZERO));
            let columns = group.0.as_chunks::<STEP>().0;
            for (sum, column) in sums.iter_mut().zip(columns) {
                for (x, &w) in four.iter().zip(column) {
                    *sum += x * i32::from(w);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_abs_epi8, _mm256_add_epi32, _mm256_load_si256, _mm256_madd_epi16,
        _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_si256, _mm256_xor_si256,
        _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_loadu_epi32, _mm512_set1_epi32,
        _mm512_setzero_si512, _mm512_storeu_epi32, _mm512_sub_epi32,
    };
    use std::ptr;

    use super::{Bytes, Group, LANES, MAX_TILE_ROWS, STEP, Sums};

    /// Four bytes of a row as one integer. Safety: they can be read.
    #[inline]
    unsafe fn four(from: *const u8) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<i32>().read_unaligned() }
    }

    /// Calls `$name::<ROWS>` for the number of rows.
    macro_rules! by_rows {
        ($rows:expr, $name:ident $arguments:tt, $($count:literal)*) => {
            match $rows {
                $($count => $name::<$count> $arguments,)*
                _ => unreachable!("a tile has 1 to {} rows", MAX_TILE_ROWS),
            }
        };
    }

    /// Safety: the CPU has AVX-512F and VNNI; `x` and `panel` are as `multiply_groups` checks.
    ///
    /// # Shapes
    /// As of [`super::multiply_groups`].
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn vnni(
        x: Bytes<'_>,
        panel: &[Group],
        lower: &Sums,
        sums: &mut [Sums; MAX_TILE_ROWS],
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            by_rows!(x.rows, vnni_rows(x, panel, lower, sums), 1 2 3 4 5 6 7 8 9 10 11 12);
        }
    }

    /// All of `x.rows`, which is `ROWS`. Safety: as of [`vnni`].
    ///
    /// # Shapes
    /// As of [`super::multiply_groups`].
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn vnni_rows<const ROWS: usize>(
        x: Bytes<'_>,
        panel: &[Group],
        lower: &Sums,
        sums: &mut [Sums; MAX_TILE_ROWS],
    ) {
        // SAFETY: a group, `lower` and a row of sums are two registers each, and groups are aligned to one; a row is as
        // long as the panel.
        unsafe {
            let begin = [0, LANES].map(|half| {
                let lower = _mm512_loadu_epi32(lower.as_ptr().add(half));
                _mm512_sub_epi32(_mm512_setzero_si512(), lower)
            });
            let mut tile = [begin; ROWS];
            for (step, group) in panel.iter().enumerate() {
                let weights = ptr::from_ref(group).cast::<__m512i>();
                let low = _mm512_load_si512(weights);
                let high = _mm512_load_si512(weights.add(1));
                for (row, sums) in tile.iter_mut().enumerate() {
                    let from = x.data.as_ptr().add(row * x.stride + step * STEP);
                    let bytes = _mm512_set1_epi32(four(from));
                    sums[0] = _mm512_dpbusd_epi32(sums[0], bytes, low);
                    sums[1] = _mm512_dpbusd_epi32(sums[1], bytes, high);
                }
            }
            for (tile, sums) in tile.iter().zip(sums) {
                _mm512_storeu_epi32(sums.as_mut_ptr(), tile[0]);
                _mm512_storeu_epi32(sums.as_mut_ptr().add(LANES), tile[1]);
            }
        }
    }

    /// Safety: the CPU has AVX2; `x` and `panel` are as `multiply_groups` checks.
    ///
    /// # Shapes
    /// As of [`super::multiply_groups`].
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(x: Bytes<'_>, panel: &[Group], sums: &mut [Sums; MAX_TILE_ROWS]) {
        for first in (0..x.rows).step_by(4) {
            let rows = (x.rows - first).min(4);
            for half in [0, 1] {
                // SAFETY: the caller's promise; `first + rows` is within the rows.
                unsafe { by_rows!(rows, avx2_rows(x, first, half, panel, sums), 1 2 3 4) }
            }
        }
    }

    /// Half a panel's columns, in two registers. The left factor's sign goes to the right one: then two products of at
    /// most 127 * 127 fit sixteen bits.
    ///
    /// # Shapes
    /// As of [`super::multiply_groups`]: of `x` and `sums` the `ROWS` rows from `first` on, of the panel's columns the
    /// sixteen of `half` (0 or 1).
    #[target_feature(enable = "avx2")]
    #[expect(
        clippy::cast_ptr_alignment,
        reason = "sums are stored where they may not be aligned"
    )]
    unsafe fn avx2_rows<const ROWS: usize>(
        x: Bytes<'_>,
        first: usize,
        half: usize,
        panel: &[Group],
        sums: &mut [Sums; MAX_TILE_ROWS],
    ) {
        // SAFETY: a group and a row of sums are four registers each, and groups are aligned; a row is as long as the
        // panel.
        unsafe {
            let (ones, flip) = (_mm256_set1_epi16(1), _mm256_set1_epi8(i8::MIN));
            let mut tile = [[_mm256_setzero_si256(); 2]; ROWS];
            for (step, group) in panel.iter().enumerate() {
                let weights = ptr::from_ref(group).cast::<__m256i>().add(2 * half);
                let columns = [
                    _mm256_load_si256(weights),
                    _mm256_load_si256(weights.add(1)),
                ];
                for (row, sums) in tile.iter_mut().enumerate() {
                    let from = x.data.as_ptr().add((first + row) * x.stride + step * STEP);
                    let bytes = _mm256_xor_si256(_mm256_set1_epi32(four(from)), flip);
                    let size = _mm256_abs_epi8(bytes);
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(column, bytes));
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            for (tile, sums) in tile.iter().zip(&mut sums[first..]) {
                let to = sums.as_mut_ptr().cast::<__m256i>().add(2 * half);
                _mm256_storeu_si256(to, tile[0]);
                _mm256_storeu_si256(to.add(1), tile[1]);
            }
        }
    }
}
