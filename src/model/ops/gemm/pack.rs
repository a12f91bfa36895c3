//! Operands of a product in the order in which the micro-kernel reads them.
#![expect(
    unsafe_code,
    reason = "squares of values are transposed, and tiles copied, through pointers"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use std::ops::Range;

use super::{INNER, Matrix};
use crate::model::kernel::lanes::{LANES, Lanes};
use crate::model::kernel::tile::PANEL;

/// Rows this many elements apart share cache sets: a tile of them would not stay in the L1 cache.
const CONFLICT: usize = 512;
/// Distance between rows that were moved apart; shares no sets.
pub(super) const APART: usize = INNER + 16;

/// Packs `steps` rows of the right operand from `first` on, these columns, zeros beyond the last.
///
/// # Shapes
/// `panels` `[columns / PANEL rounded up, steps, PANEL]`.
#[inline(always)]
pub(super) fn pack_panels<V: Lanes>(
    right: &Matrix<'_>,
    columns: &Range<usize>,
    [first, steps]: [usize; 2],
    panels: &mut [f32],
) {
    if right.column_stride == 1 {
        for step in 0..steps {
            let start = (first + step) * right.row_stride;
            let row = &right.data[start + columns.start..start + columns.end];
            let (whole, rest) = row.as_chunks::<PANEL>();
            let mut at = step * PANEL;
            for values in whole {
                panels[at..at + PANEL].copy_from_slice(values);
                at += steps * PANEL;
            }
            if !rest.is_empty() {
                let line = &mut panels[at..at + PANEL];
                line[..rest.len()].copy_from_slice(rest);
                line[rest.len()..].fill(0.0);
            }
        }
        return;
    }
    let panels = panels.chunks_exact_mut(steps * PANEL);
    for (panel, column) in panels.zip(columns.clone().step_by(PANEL)) {
        let width = PANEL.min(columns.end - column);
        let from = &right.data[column * right.column_stride + first * right.row_stride..];
        let part = Matrix {
            data: from,
            ..*right
        };
        pack_columns::<V>(&part, width, panel);
    }
}

/// Packs the first `width` columns into one panel.
///
/// # Shapes
/// `panel` `[steps, PANEL]`.
#[inline(always)]
fn pack_columns<V: Lanes>(right: &Matrix<'_>, width: usize, panel: &mut [f32]) {
    let steps = panel.len() / PANEL;
    let mut done = 0;
    if right.row_stride == 1 && width == PANEL {
        // Neighbours in a column are neighbours in memory: squares of them go through registers.
        done = steps / LANES * LANES;
        for step in (0..done).step_by(LANES) {
            for half in (0..PANEL).step_by(LANES) {
                let from = &right.data[half * right.column_stride + step..];
                let from = &from[..(LANES - 1) * right.column_stride + LANES];
                let to = &mut panel[step * PANEL + half..][..(LANES - 1) * PANEL + LANES];
                // SAFETY: the CPU has `V`'s instructions; both hold sixteen rows of sixteen at their strides.
                unsafe {
                    V::transpose(from.as_ptr(), right.column_stride, to.as_mut_ptr(), PANEL);
                }
            }
        }
    }
    if width < PANEL {
        panel.fill(0.0);
    }
    // A few lines of the panel at a time, which stay in the L1 cache while every column writes to them.
    for (part, lines) in panel[done * PANEL..].chunks_mut(32 * PANEL).enumerate() {
        let first = (done + part * 32) * right.row_stride;
        for place in 0..width {
            let from = &right.data[place * right.column_stride + first..];
            let (lines, _) = lines.as_chunks_mut::<PANEL>();
            for (line, value) in lines.iter_mut().zip(from.iter().step_by(right.row_stride)) {
                line[place] = *value;
            }
        }
    }
}

/// Copies one value for each row of a tile. Safety: both pointers have as many.
#[inline(always)]
unsafe fn copy_tile<V: Lanes>(from: *const f32, to: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        match V::TILE_ROWS {
            12 => to
                .cast::<[f32; 12]>()
                .write_unaligned(from.cast::<[f32; 12]>().read_unaligned()),
            rows => from.copy_to_nonoverlapping(to, rows),
        }
    }
}

/// Where the rows of a block of the left operand lie.
pub(super) struct Block {
    pub(super) at: *const f32,
    /// Distance between tiles, between rows of a tile, and between neighbours in a row.
    pub(super) tile: usize,
    pub(super) row: usize,
    pub(super) step: usize,
}

/// Brings `rows` rows from `row` on, `steps` columns from `first` on, into an order that the kernel reads well.
///
/// # Shapes
/// `packed` comes to `[rows / TILE_ROWS rounded up, steps, TILE_ROWS]` where neighbours in a column are neighbours, to
/// `[rows, APART]` where rows would compete for cache sets; elsewhere the operand is read where it lies.
#[inline(always)]
pub(super) fn pack_left<V: Lanes>(
    left: &Matrix<'_>,
    [row, rows]: [usize; 2],
    [first, steps]: [usize; 2],
    packed: &mut [f32],
) -> Block {
    let from = &left.data[row * left.row_stride + first * left.column_stride..];
    if left.row_stride == 1 && left.column_stride != 1 {
        let tile_size = steps * V::TILE_ROWS;
        for step in 0..steps {
            let values = &from[step * left.column_stride..][..rows];
            let mut at = step * V::TILE_ROWS;
            let tiles = values.chunks_exact(V::TILE_ROWS);
            let rest = tiles.remainder();
            for tile in tiles {
                let to = &mut packed[at..at + V::TILE_ROWS];
                // SAFETY: both hold as many values as a tile has rows; a size known here needs no call.
                unsafe { copy_tile::<V>(tile.as_ptr(), to.as_mut_ptr()) };
                at += tile_size;
            }
            if !rest.is_empty() {
                packed[at..at + rest.len()].copy_from_slice(rest);
            }
        }
        return Block {
            at: packed.as_ptr(),
            tile: tile_size,
            row: 1,
            step: V::TILE_ROWS,
        };
    }
    let (mut at, mut stride) = (from.as_ptr(), left.row_stride);
    if left.column_stride == 1 && stride.is_multiple_of(CONFLICT) && rows > 1 {
        for (to, from) in packed.chunks_mut(APART).zip(from.chunks(stride)).take(rows) {
            to[..steps].copy_from_slice(&from[..steps]);
        }
        (at, stride) = (packed.as_ptr(), APART);
    }
    Block {
        at,
        tile: V::TILE_ROWS * stride,
        row: stride,
        step: left.column_stride,
    }
}
