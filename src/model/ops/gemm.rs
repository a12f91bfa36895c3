//! Matrix products on plain slices, in place and with strides, on the kernels that the sampling engine uses.
//!
//! Every element of a product is one chain of fused multiply-adds over the ascending inner dimension. Threads share
//! out rows and columns and never the inner dimension, so neither their number nor the instruction set changes a bit
//! (a test compares numbers of threads).
//!
//! Operands are packed on the way, a block at a time, into memory that each thread keeps:
//! the right one into panels of 32 columns; the left one, where neighbours in a column are neighbours in memory, into
//! tiles of as many rows as the kernel takes.
#![expect(
    unsafe_code,
    reason = "the micro-kernel reads and writes through pointers"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

mod pack;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::OnceLock;

use rayon::prelude::*;

use self::pack::{APART, pack_left, pack_panels};
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::lanes::{Isa, Lanes, kernel};
use crate::model::kernel::tile::{MAX_TILE_ROWS, PANEL, Tile, multiply_tile};

/// A strided view of a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// From the first element on.
    pub(crate) data: &'a [f32],
    /// Distance between neighbours in a column.
    pub(crate) row_stride: usize,
    /// Distance between neighbours in a row.
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `row_stride` elements.
    ///
    /// # Shapes
    /// `data` `[rows, row_stride]`; of the last row only what is read need be there.
    pub(crate) fn rows(data: &'a [f32], row_stride: usize) -> Self {
        Self {
            data,
            row_stride,
            column_stride: 1,
        }
    }

    /// The transpose.
    ///
    /// # Shapes
    /// `[rows, columns]` to `[columns, rows]`; the values stay where they are.
    pub(crate) fn transposed(self) -> Self {
        Self {
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// Where the sums of a product begin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Into<'a> {
    /// At zero: the product overwrites the output.
    Set,
    /// At what is in the output: the product is added to it.
    Add,
    /// At a bias for each column.
    Bias(&'a [f32]),
}

/// Products of fewer multiplications run on one thread: waking the others costs more. Ours, measured.
const PARALLEL_FROM: usize = 1 << 19;
/// Rows and columns of the output that one task takes, at most: enough that packing is small beside multiplying.
const TASK: [usize; 2] = [88 * MAX_TILE_ROWS, 16 * PANEL];
/// The least that a task is made where tasks are few.
const SMALL_TASK: [usize; 2] = [4 * MAX_TILE_ROWS, 2 * PANEL];
/// Steps of the chain between two visits to the output.
const INNER: usize = 512;
/// Rows of the left operand that meet one panel after another; with `INNER` they stay in the L2 cache.
const BLOCK_ROWS: usize = 8 * MAX_TILE_ROWS;

/// `out[rows, columns] (+)= left[rows, inner] * right[inner, columns]`; rows of `out` are `out_stride` apart.
///
/// # Shapes
/// `left` `[rows, inner]`, `right` `[inner, columns]`, `out` `[rows, out_stride]` with `out_stride` at least `columns`;
/// of the last row only `columns` need be there. A bias is `[columns]`.
pub(crate) fn product(
    [rows, inner, columns]: [usize; 3],
    left: Matrix<'_>,
    right: Matrix<'_>,
    how: Into<'_>,
    out: &mut [f32],
    out_stride: usize,
) {
    if rows == 0 || columns == 0 || inner == 0 {
        assert!(
            how == Into::Add || rows * columns == 0,
            "an empty sum would leave the output as it was"
        );
        return;
    }
    assert!(
        left.holds(rows, inner) && right.holds(inner, columns),
        "operand too short"
    );
    assert!(
        columns <= out_stride && (rows - 1) * out_stride + columns <= out.len(),
        "output too short"
    );
    if let Into::Bias(bias) = how {
        assert_eq!(bias.len(), columns, "one bias for each column");
    }
    let threads = if rows * inner * columns >= PARALLEL_FROM {
        rayon::current_num_threads()
    } else {
        1
    };
    let [task_rows, task_columns] = task_size(rows, columns, threads);
    let across = columns.div_ceil(task_columns);
    let tasks = rows.div_ceil(task_rows) * across;
    let out = Out(out.as_mut_ptr());
    let isa = isa();
    let run = |task: usize| {
        let (row, column) = (task / across * task_rows, task % across * task_columns);
        let region = Region {
            rows: row..rows.min(row + task_rows),
            columns: column..columns.min(column + task_columns),
            inner,
            left,
            right,
            how,
            out,
            out_stride,
        };
        SCRATCH.with_borrow_mut(|scratch| {
            // SAFETY: operands and output hold the whole product (asserted), so this part of it; tasks write
            // disjoint rows and columns, since columns <= out_stride (asserted); `out` overlaps no operand, being
            // borrowed mutably.
            unsafe { multiply_region(isa, &region, scratch) }
        });
    };
    if threads > 1 {
        (0..tasks).into_par_iter().with_max_len(1).for_each(run);
    } else {
        (0..tasks).for_each(run);
    }
}

/// Rows and columns of a task. It never decides what is computed, only by whom.
fn task_size(rows: usize, columns: usize, threads: usize) -> [usize; 2] {
    let units = [MAX_TILE_ROWS, PANEL];
    let even =
        |whole: usize, parts: usize, unit: usize| whole.div_ceil(parts).next_multiple_of(unit);
    let mut parts = [rows.div_ceil(TASK[0]), columns.div_ceil(TASK[1])];
    let sizes = |parts: [usize; 2]| {
        [
            even(rows, parts[0], units[0]),
            even(columns, parts[1], units[1]),
        ]
    };
    while threads > 1 && parts[0] * parts[1] < 2 * threads {
        let [tall, wide] = sizes(parts);
        if tall >= 2 * SMALL_TASK[0] && (tall >= wide || wide < 2 * SMALL_TASK[1]) {
            parts[0] *= 2;
        } else if wide >= 2 * SMALL_TASK[1] {
            parts[1] *= 2;
        } else {
            break;
        }
    }
    sizes(parts)
}

/// The fastest instruction set that this CPU has.
pub(super) fn isa() -> Isa {
    static FASTEST: OnceLock<Isa> = OnceLock::new();
    *FASTEST.get_or_init(|| Isa::available()[0])
}

/// What a thread packs into.
struct Scratch {
    panels: Buffer,
    left: Buffer,
    /// A tile of which the output has only a part.
    edge: Buffer,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        panels: Buffer::zeroed(INNER * TASK[1]),
        left: Buffer::zeroed(BLOCK_ROWS * APART),
        edge: Buffer::zeroed(MAX_TILE_ROWS * PANEL),
    });
}

/// A pointer that tasks share; each writes elsewhere.
#[derive(Clone, Copy)]
struct Out(*mut f32);
// SAFETY: `product` gives every task a region of its own.
unsafe impl Sync for Out {}
// SAFETY: as above.
unsafe impl Send for Out {}

/// The part of a product that one task computes.
struct Region<'a> {
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    inner: usize,
    left: Matrix<'a>,
    right: Matrix<'a>,
    how: Into<'a>,
    out: Out,
    out_stride: usize,
}

kernel! {
    /// One task's part of a product. Safety: operands and output hold it, and no other task writes it.
    ///
    /// # Shapes
    /// Operands and output are the whole product's, as of [`product`]; `region` tells which part.
    unsafe fn multiply_region(region: &Region<'_>, scratch: &mut Scratch) = multiply_region_generic
}

/// The body of [`multiply_region`]. Safety: the CPU has `V`'s instructions, and as there.
///
/// # Shapes
/// As of [`multiply_region`].
#[inline(always)]
unsafe fn multiply_region_generic<V: Lanes>(region: &Region<'_>, scratch: &mut Scratch) {
    let Scratch { panels, left, edge } = scratch;
    let panels = panels.as_mut_slice();
    for first in (0..region.inner).step_by(INNER) {
        let steps = INNER.min(region.inner - first);
        let stretch = [first, steps];
        pack_panels::<V>(&region.right, &region.columns, stretch, panels);
        for row in region.rows.clone().step_by(BLOCK_ROWS) {
            let rows = BLOCK_ROWS.min(region.rows.end - row);
            let block = pack_left::<V>(&region.left, [row, rows], stretch, left.as_mut_slice());
            for (panel, column) in region.columns.clone().step_by(PANEL).enumerate() {
                for tile in (0..rows).step_by(V::TILE_ROWS) {
                    let part = OutputTile {
                        row: row + tile,
                        rows: V::TILE_ROWS.min(rows - tile),
                        column,
                        columns: PANEL.min(region.columns.end - column),
                        begins: first == 0,
                    };
                    // SAFETY: the tile lies in the region; its left rows were packed or lie in the operand, and its
                    // panel was packed.
                    unsafe {
                        let tile = Tile {
                            x: block.at.add(tile / V::TILE_ROWS * block.tile),
                            x_row: block.row,
                            x_step: block.step,
                            panel: panels[panel * steps * PANEL..].as_ptr(),
                            k: steps,
                            begin: ZEROS.as_ptr(),
                            begin_row: 0,
                            to: std::ptr::null_mut(),
                            to_row: 0,
                            ahead: ZEROS.as_ptr(),
                            ahead_step: 0,
                        };
                        multiply_part::<V>(region, &part, tile, edge.as_mut_slice());
                    }
                }
            }
        }
    }
}

const ZEROS: [f32; PANEL] = [0.0; PANEL];

struct OutputTile {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
    /// Whether its sums begin here.
    begins: bool,
}

/// Runs the micro-kernel on one tile, by way of a copy where the output has no whole panel.
///
/// Safety: the part lies in the output; `tile` has the operands.
///
/// # Shapes
/// `edge` `[MAX_TILE_ROWS, PANEL]`; the tile's `x` `[part.rows, k]` and `panel` `[k, PANEL]`.
#[inline(always)]
unsafe fn multiply_part<V: Lanes>(
    region: &Region<'_>,
    part: &OutputTile,
    mut tile: Tile,
    edge: &mut [f32],
) {
    let stride = region.out_stride;
    // SAFETY: the caller's promise; an edge has room for a tile.
    unsafe {
        let out = region.out.0.add(part.row * stride + part.column);
        let whole = part.columns == PANEL;
        let adds = !part.begins || region.how == Into::Add;
        (tile.to, tile.to_row) = if whole {
            (out, stride)
        } else {
            (edge.as_mut_ptr(), PANEL)
        };
        if adds {
            if !whole {
                for r in 0..part.rows {
                    let to = tile.to.add(r * PANEL);
                    out.add(r * stride).copy_to_nonoverlapping(to, part.columns);
                }
            }
            (tile.begin, tile.begin_row) = (tile.to, tile.to_row);
        } else if let Into::Bias(bias) = region.how {
            let bias = &bias[part.column..part.column + part.columns];
            if whole {
                tile.begin = bias.as_ptr();
            } else {
                for row in edge.as_chunks_mut::<PANEL>().0 {
                    row[..bias.len()].copy_from_slice(bias);
                }
                (tile.to, tile.begin) = (edge.as_mut_ptr(), edge.as_ptr());
            }
        }
        multiply_tile::<V>(part.rows, tile);
        if !whole {
            for r in 0..part.rows {
                let from = tile.to.add(r * PANEL);
                from.copy_to_nonoverlapping(out.add(r * stride), part.columns);
            }
        }
    }
}
