//! Matrix product of activations with packed weights: `y[r, n] = bias[n] + sum over k of x[r, k] w[k, n]`.
//!
//! Vectors run across `n`, and each element is one chain of fused multiply-adds over ascending `k`,
//! begun at its bias. So no result depends on how many rows are multiplied together, on the shape of a
//! tile, on the threads or on the instruction set: the engine is batch-invariant by construction.
//!
//! A panel of weights (see `packed`) is streamed for a tile of rows whose sums stay in registers: 12 x 32 with AVX-512,
//! 6 x 16 with AVX2.
#![expect(
    unsafe_code,
    reason = "the micro-kernel reads and writes through pointers"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use std::mem::MaybeUninit;

use super::packed::{Columns, Packed};
use super::parallel::Parallel;
use crate::model::architecture::Activation;
use crate::model::kernel::activation::{Function, Gelu, GeluTanh, Silu};
use crate::model::kernel::lanes::{LANES, Lanes, kernel};
use crate::model::kernel::tile::{MAX_TILE_ROWS, PANEL, Tile, multiply_tile};

/// Rows that are multiplied with a panel before the next panel, at most: their activations stay in the
/// L2 cache.
pub(super) const BLOCK_ROWS: usize = 128;
/// Rows that come at once, at most: the same, rounded up to whole tiles.
pub(super) const MOST_ROWS: usize = BLOCK_ROWS.next_multiple_of(MAX_TILE_ROWS);
/// How much of a chain goes through at once, at most, where tiles are narrow: they read a panel so often that it has to stay
/// in the L2 cache beside the rows. What a part leaves, the next begins from, so the chain is the same.
pub(super) const PART: usize = 768;
/// Multiply-adds that one task should hold at least, or handing it out costs more than it saves.
const TASK_WORK: usize = 300_000;

/// What becomes of a sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Epilogue {
    /// `y = sum`.
    Store,
    /// `y = activation(sum)`.
    Activate(Activation),
    /// `y = activation(gate) * sum`, of [`Columns::Gated`](super::packed::Columns::Gated).
    Gate(Activation),
    /// `y = y + sum`: the residual stream.
    Add,
}

/// Rows of a matrix: `count` rows, `stride` values apart.
#[derive(Clone, Copy)]
pub(super) struct MatrixRows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    pub(super) count: usize,
}

impl<'a> MatrixRows<'a> {
    pub(super) fn new(data: &'a [f32], stride: usize, count: usize) -> Self {
        Self {
            data,
            stride,
            count,
        }
    }
}

/// Checks what products read and write by pointers: `x` has rows of `k`, `y` room for whole panels of `columns`, and halves
/// that are gated are packed side by side.
///
/// # Shapes
/// Those of [`multiply`].
pub(super) fn check_bounds(
    x: MatrixRows<'_>,
    k: usize,
    columns: Columns,
    epilogue: Epilogue,
    y: &[f32],
    y_stride: usize,
) {
    let outputs = columns.outputs_per_panel();
    let width = columns.panels() * outputs;
    assert!(x.stride >= k && x.data.len() >= (x.count - 1) * x.stride + k);
    assert!(y_stride >= width && y.len() >= (x.count - 1) * y_stride + width);
    assert_eq!(outputs == LANES, matches!(epilogue, Epilogue::Gate(_)));
}

/// Multiplies `x` with `w` into `y`, whose rows are `y_stride` apart and have room for whole panels.
///
/// # Shapes
/// `x` `[rows, k]`, `w` `[k, n]`, `y` `[rows, y_stride]` with `y_stride` at least what whole panels make.
pub(super) fn multiply(
    parallel: Parallel,
    x: MatrixRows<'_>,
    w: &Packed,
    epilogue: Epilogue,
    y: &mut [f32],
    y_stride: usize,
) {
    if x.count == 0 {
        return;
    }
    let (panels, outputs) = (w.columns.panels(), w.columns.outputs_per_panel());
    check_bounds(x, w.k, w.columns, epilogue, y, y_stride);
    let out = Out(y.as_mut_ptr());
    in_blocks(parallel, x.count, w.k, panels, |first, rows, panel| {
        assert!(rows <= MOST_ROWS);
        let job = Job {
            x: x.data[first * x.stride..].as_ptr(),
            x_stride: x.stride,
            rows,
            panel: w.panels.as_slice()[panel * w.k * PANEL..].as_ptr(),
            k: w.k,
            bias: w.bias.as_slice()[panel * PANEL..].as_ptr(),
            // SAFETY: inside `y`, whose length was checked.
            y: unsafe { out.at(first * y_stride + panel * outputs) },
            y_stride,
            epilogue,
        };
        // SAFETY: lengths were checked above; each task writes rows and columns of its own.
        unsafe { panel_rows(parallel.isa(), job) }
    });
}

/// Shares a product of `rows` rows of `k` with `panels` panels out: `task` gets its first row, how many, and its panel.
pub(super) fn in_blocks(
    parallel: Parallel,
    rows: usize,
    k: usize,
    panels: usize,
    task: impl Fn(usize, usize, usize) + Sync + Send,
) {
    // Narrow matrices have fewer panels than many threads could take: then blocks are smaller, of whole tiles.
    let wanted = (2 * parallel.threads()).div_ceil(panels);
    let even = rows.div_ceil(rows.div_ceil(BLOCK_ROWS).max(wanted));
    let block_rows = even.next_multiple_of(MAX_TILE_ROWS);
    let blocks = rows.div_ceil(block_rows);
    let work = block_rows.min(rows) * k * PANEL;
    parallel.for_each(blocks * panels, TASK_WORK.div_ceil(work), |index| {
        let (block, panel) = (index / panels, index % panels);
        let first = block * block_rows;
        task(first, block_rows.min(rows - first), panel);
    });
}

/// A pointer that tasks share; each writes elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Out(pub(super) *mut f32);
// SAFETY: a product gives every task a region of its own.
unsafe impl Sync for Out {}

impl Out {
    /// Safety: `offset` lies inside the allocation.
    pub(super) unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// Some rows times one panel.
#[derive(Clone, Copy)]
struct Job {
    x: *const f32,
    x_stride: usize,
    /// At most [`MOST_ROWS`].
    rows: usize,
    panel: *const f32,
    k: usize,
    bias: *const f32,
    y: *mut f32,
    y_stride: usize,
    epilogue: Epilogue,
}

/// Room for values, on a cache line.
#[repr(C, align(64))]
pub(super) struct Room<const VALUES: usize>(pub(super) MaybeUninit<[f32; VALUES]>);

/// The first row of tile `index` of `tiles`, which share `rows` evenly: a tile of one row takes nearly the time of a full
/// one.
#[inline(always)]
pub(super) fn tile_start(index: usize, tiles: usize, rows: usize) -> usize {
    index * rows / tiles
}

kernel! {
    /// `job`, tile by tile. Safety: its pointers cover its rows, its panel and its bias.
    ///
    /// # Shapes
    /// `x` `[rows, x_stride]`, `panel` `[k, PANEL]`, `bias` `[PANEL]`, `y` `[rows, y_stride]`.
    unsafe fn panel_rows(job: Job) = panel_rows_generic
}

/// The body of [`panel_rows`]. Safety: the CPU has `V`'s instructions, and as there.
///
/// # Shapes
/// As of [`panel_rows`].
#[inline(always)]
unsafe fn panel_rows_generic<V: Lanes>(job: Job) {
    let mut sums = Room::<{ MOST_ROWS * PANEL }>(MaybeUninit::uninit());
    let sums = sums.0.as_mut_ptr().cast::<f32>();
    let parts = if V::WIDE {
        1
    } else {
        job.k.div_ceil(PART).max(1)
    };
    let part = job.k.div_ceil(parts).max(1);
    // The weights are streamed from memory: each tile brings its share of what follows this part in the next panel near.
    let tiles = job.rows.div_ceil(V::TILE_ROWS);
    let ahead_step = PANEL.div_ceil(tiles);
    for from in (0..job.k.max(1)).step_by(part) {
        let k = part.min(job.k - from);
        let mut ahead = job.panel.wrapping_add((job.k + from) * PANEL);
        for tile in 0..tiles {
            let row = tile_start(tile, tiles, job.rows);
            let rows = tile_start(tile + 1, tiles, job.rows) - row;
            // SAFETY: `row + rows <= job.rows` and `from + k <= job.k`, and `job`'s pointers cover its rows, its panel
            // and its bias; `sums` has room for all rows, and those of a part are what the part before left.
            unsafe {
                let x = job.x.add(row * job.x_stride + from);
                let y = job.y.add(row * job.y_stride);
                // Of one part, sums are needed no longer than their tile.
                let sums = sums.add(if parts == 1 { 0 } else { row * PANEL });
                let (to, to_row) = match job.epilogue {
                    Epilogue::Store => (y, job.y_stride),
                    _ => (sums, PANEL),
                };
                let (begin, begin_row) = if from == 0 {
                    (job.bias, 0)
                } else {
                    (to.cast_const(), to_row)
                };
                let tile = Tile {
                    x,
                    x_row: job.x_stride,
                    x_step: 1,
                    panel: job.panel.add(from * PANEL),
                    k,
                    begin,
                    begin_row,
                    to,
                    to_row,
                    ahead,
                    ahead_step,
                };
                ahead = ahead.wrapping_add(k * ahead_step);
                multiply_tile::<V>(rows, tile);
                if from + k == job.k {
                    finish::<V>(job.epilogue, rows, sums, y, job.y_stride);
                }
            }
        }
    }
}

/// Applies the epilogue to a tile. Safety: as for the tile.
///
/// # Shapes
/// `sums` `[rows, PANEL]`, `y` `[rows, y_stride]`.
#[inline(always)]
pub(super) unsafe fn finish<V: Lanes>(
    epilogue: Epilogue,
    rows: usize,
    sums: *const f32,
    y: *mut f32,
    y_stride: usize,
) {
    for row in 0..rows {
        // SAFETY: `row < rows` of a tile that `sums` and `y` have room for.
        unsafe {
            let (sums, to) = (sums.add(row * PANEL), y.add(row * y_stride));
            match epilogue {
                Epilogue::Store => return,
                // No closures: what is not inlined here has not the instructions.
                Epilogue::Activate(activation) => {
                    for half in [0, LANES] {
                        activated(activation, V::load(sums.add(half))).store(to.add(half));
                    }
                }
                Epilogue::Gate(activation) => {
                    let gate = activated(activation, V::load(sums));
                    gate.mul(V::load(sums.add(LANES))).store(to);
                }
                Epilogue::Add => {
                    for half in [0, LANES] {
                        let (sum, to) = (V::load(sums.add(half)), to.add(half));
                        V::load(to).add(sum).store(to);
                    }
                }
            }
        }
    }
}

/// What an activation makes of `x`. Safety: the CPU has `V`'s instructions.
#[inline(always)]
pub(super) unsafe fn activated<V: Lanes>(activation: Activation, x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        match activation {
            Activation::Gelu => Gelu::value(x),
            Activation::GeluTanh => GeluTanh::value(x),
            Activation::Silu => Silu::value(x),
        }
    }
}
