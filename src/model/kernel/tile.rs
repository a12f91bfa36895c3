//! The micro-kernel of every matrix product: a few rows times a packed panel of 32 columns.
//!
//! Each element is one chain of fused multiply-adds over ascending `k`, begun at a value from memory: a bias, zero,
//! or what an earlier part of the chain left. The sums stay in registers: 12 x 32 with AVX-512, 6 x 16 with AVX2.
#![expect(
    unsafe_code,
    reason = "the micro-kernel reads and writes through pointers"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use super::lanes::{LANES, Lanes};

/// Columns of a panel, which holds them `k` by `k`.
pub(crate) const PANEL: usize = 2 * LANES;
/// Rows of a tile, at most (AVX-512's).
pub(crate) const MAX_TILE_ROWS: usize = 12;

/// `to[r, n] = begin[r, n] + sum over k of x[r, k] panel[k, n]`, for the columns `n` of one panel.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) x: *const f32,
    /// Distance between the rows of `x`.
    pub(crate) x_row: usize,
    /// Distance between neighbours in a row of `x`.
    pub(crate) x_step: usize,
    pub(crate) panel: *const f32,
    pub(crate) k: usize,
    /// Where the sums begin; may be `to` itself.
    pub(crate) begin: *const f32,
    /// Distance between the rows of `begin`; 0 where all begin alike.
    pub(crate) begin_row: usize,
    pub(crate) to: *mut f32,
    /// Distance between the rows of `to`.
    pub(crate) to_row: usize,
    /// What to bring near meanwhile; it is never read, so it may lie anywhere.
    pub(crate) ahead: *const f32,
    /// How many values of it for each line of the panel; 0 for nothing.
    pub(crate) ahead_step: usize,
}

/// A tile with as many rows as there are, at most `V::TILE_ROWS`.
///
/// # Shapes
/// `x` `[rows, k]`, `panel` `[k, PANEL]`, `begin` and `to` `[rows, PANEL]`: each at the strides that [`Tile`] names.
///
/// # Safety
/// The CPU has `V`'s instructions; `x` has `rows` rows of `k`, the panel `k` lines of [`PANEL`], `begin` and `to` as
/// many rows of [`PANEL`], each at its strides.
#[inline(always)]
pub(crate) unsafe fn multiply_tile<V: Lanes>(rows: usize, tile: Tile) {
    // SAFETY: the caller's promise.
    unsafe {
        if V::WIDE {
            with_rows::<V, 2>(rows, &tile, 0);
        } else {
            with_rows::<V, 1>(rows, &tile, 0);
            with_rows::<V, 1>(rows, &tile, LANES);
        }
    }
}

/// The columns from `column` on, `WIDTH` vectors of them. Safety: as of [`multiply_tile`].
#[inline(always)]
unsafe fn with_rows<V: Lanes, const WIDTH: usize>(rows: usize, tile: &Tile, column: usize) {
    macro_rules! dispatch {
        ($($count:literal)*) => {
            match rows {
                // SAFETY: the caller's promise. The guard leaves out shapes that no instruction set uses.
                $($count if $count <= V::TILE_ROWS => unsafe {
                    sums::<V, $count, WIDTH>(tile, column)
                },)*
                _ => unreachable!("a tile has 1 to {} rows", V::TILE_ROWS),
            }
        };
    }
    dispatch!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// `ROWS` rows times `WIDTH` vectors of the panel, sums in registers from first to last.
///
/// # Shapes
/// `x` `[ROWS, k]`; of `panel`, `begin` and `to` the `WIDTH * LANES` columns from `column` on.
#[inline(always)]
unsafe fn sums<V: Lanes, const ROWS: usize, const WIDTH: usize>(tile: &Tile, column: usize) {
    let high_column = column + (WIDTH - 1) * LANES;
    // One variable per sum, by macro: an array would stay in memory where the crate is built with little
    // optimisation, as it is for tests.
    macro_rules! body {
        ($($row:literal $low:ident $high:ident,)*) => {
            // SAFETY: the caller's promise.
            unsafe {
                // Rows beyond `ROWS` begin as the first does, and are never looked at.
                $(
                    let begin = tile.begin.add(if $row < ROWS { $row * tile.begin_row } else { 0 });
                    let mut $low = V::load(begin.add(column));
                    let mut $high = V::load(begin.add(high_column));
                )*
                // Three pointers of four rows each: every address is one of them plus 0 to 3 strides.
                let row = tile.x_row;
                let mut x = [tile.x, tile.x.wrapping_add(4 * row), tile.x.wrapping_add(8 * row)];
                let (mut panel, mut left, mut ahead) = (tile.panel, tile.k, tile.ahead);
                while left != 0 {
                    V::prefetch(ahead);
                    ahead = ahead.wrapping_add(tile.ahead_step);
                    let low = V::load(panel.add(column));
                    let high = V::load(panel.add(high_column));
                    $(if $row < ROWS {
                        let value = V::splat(*x[$row / 4].wrapping_add($row % 4 * row));
                        $low = value.fma(low, $low);
                        if WIDTH > 1 {
                            $high = value.fma(high, $high);
                        }
                    })*
                    // The last step would leave the allocation, where nothing is read.
                    x = x.map(|x| x.wrapping_add(tile.x_step));
                    panel = panel.wrapping_add(PANEL);
                    left -= 1;
                }
                $(if $row < ROWS {
                    let to = tile.to.add($row * tile.to_row);
                    $low.store(to.add(column));
                    if WIDTH > 1 {
                        $high.store(to.add(high_column));
                    }
                })*
            }
        };
    }
    body!(
        0 a0 b0, 1 a1 b1, 2 a2 b2, 3 a3 b3, 4 a4 b4, 5 a5 b5,
        6 a6 b6, 7 a7 b7, 8 a8 b8, 9 a9 b9, 10 a10 b10, 11 a11 b11,
    );
}
