//! Matrix product of activations with packed weights: `y[r, n] = bias[n] + sum over k of x[r, k] w[k, n]`.
//!
//! Vectors run across `n`, and each element is one chain of fused multiply-adds over ascending `k`,
//! begun at its bias. So no result depends on how many rows are multiplied together, on the shape of a
//! tile, on the threads or on the instruction set: the engine is batch-invariant by construction.
//!
//! Weights are packed once into panels of 32 columns, `k` by `k`. A panel is streamed for a tile of rows
//! whose sums stay in registers: 12 x 32 with AVX-512, 6 x 16 with AVX2.
#![expect(
    unsafe_code,
    reason = "the micro-kernel reads and writes through pointers"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use rayon::prelude::*;

use super::parallel::Parallel;
use crate::model::ModelError;
use crate::model::in_order::in_order;
use crate::model::kernel::activation::{Function, GeluTanh};
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::lanes::{LANES, Lanes, kernel};
use crate::model::kernel::tile::{MAX_TILE_ROWS, PANEL, Tile, multiply_tile};
use crate::model::source::Values;

/// Rows that are multiplied with a panel before the next panel, at most: their activations stay in the
/// L2 cache.
const BLOCK_ROWS: usize = 128;
/// Multiply-adds that one task should hold at least, or handing it out costs more than it saves.
const TASK_WORK: usize = 300_000;
/// Panels that one thread packs at a time: some 2 MiB of GPT-2 small's, the size of a page of memory.
pub(super) const PACK_PANELS: usize = 16;

/// A weight matrix `[k, n]` in panels, padded with zero columns, and its bias.
pub(super) struct Packed {
    panels: Buffer,
    bias: Buffer,
    k: usize,
    n: usize,
}

impl Packed {
    /// Packs a matrix, row-major, and its bias.
    ///
    /// # Shapes
    /// `weights` `[k, n]`, `bias` `[n]`.
    pub(super) fn new(weights: &[f32], k: usize, n: usize, bias: &[f32]) -> Self {
        let mut packed = Self::zeros(k, n);
        let panels = packed.panels.as_mut_slice();
        for (index, panel) in panels.chunks_exact_mut(k * PANEL).enumerate() {
            let columns = index * PANEL..n.min((index + 1) * PANEL);
            let rows = panel.as_chunks_mut::<PANEL>().0.iter_mut();
            for (row, values) in rows.zip(weights.chunks_exact(n)) {
                row[..columns.len()].copy_from_slice(&values[columns.clone()]);
            }
        }
        packed.bias.as_mut_slice()[..n].copy_from_slice(bias);
        packed
    }

    /// Packs the transpose of a matrix, row-major, without bias. The threads of the caller's pool share it.
    ///
    /// # Shapes
    /// `weights` `[n, k]`.
    ///
    /// # Errors
    /// A file cannot be read, or a value in one is not a number.
    pub(super) fn transposed(weights: &Values<'_>, k: usize, n: usize) -> Result<Self, ModelError> {
        let mut packed = Self::zeros(k, n);
        let groups = packed
            .panels
            .as_mut_slice()
            .par_chunks_mut(PACK_PANELS * k * PANEL);
        let done = groups
            .enumerate()
            .map_init(Vec::new, |room, (group, panels)| {
                let columns = group * PACK_PANELS * PANEL..n.min((group + 1) * PACK_PANELS * PANEL);
                let values = weights.part(columns.start * k..columns.end * k, room)?;
                for (panel, values) in panels
                    .chunks_exact_mut(k * PANEL)
                    .zip(values.chunks(k * PANEL))
                {
                    transpose(values, k, panel);
                }
                Ok(())
            });
        in_order::<_, _, ()>(done)?;
        Ok(packed)
    }

    fn zeros(k: usize, n: usize) -> Self {
        let padded = n.next_multiple_of(PANEL);
        Self {
            panels: Buffer::zeroed(k * padded),
            bias: Buffer::zeroed(padded),
            k,
            n,
        }
    }

    /// Column `column`, into the head of `out`.
    ///
    /// # Shapes
    /// `out` `[k]`, or longer.
    pub(super) fn copy_column(&self, column: usize, out: &mut [f32]) {
        let at = column / PANEL * self.k * PANEL + column % PANEL;
        let panels = &self.panels.as_slice()[at..];
        for (value, row) in out.iter_mut().zip(panels.chunks(PANEL)).take(self.k) {
            *value = row[0];
        }
    }

    /// Bytes that a product streams.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }
}

/// Up to [`PANEL`] columns, one after the other, into a panel: a few lines of each at a time, so that what is read and
/// what is written stay in the L1 cache.
///
/// # Shapes
/// `columns` `[columns, k]`, `panel` `[k, PANEL]`.
fn transpose(columns: &[f32], k: usize, panel: &mut [f32]) {
    for (first, rows) in (0..k).step_by(LANES).zip(panel.chunks_mut(LANES * PANEL)) {
        for (column, values) in columns.chunks_exact(k).enumerate() {
            for (row, &value) in rows
                .as_chunks_mut::<PANEL>()
                .0
                .iter_mut()
                .zip(&values[first..])
            {
                row[column] = value;
            }
        }
    }
}

/// What becomes of a sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Epilogue {
    /// `y = sum`.
    Store,
    /// `y = gelu(sum)`.
    Gelu,
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

/// Multiplies `x` with `w` into `y`, whose rows are `y_stride` apart and have room for whole panels.
///
/// # Shapes
/// `x` `[rows, k]`, `w` `[k, n]`, `y` `[rows, y_stride]` with `y_stride` at least `n` up to a whole panel.
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
    let panels = w.n.div_ceil(PANEL);
    assert!(x.stride >= w.k && x.data.len() >= (x.count - 1) * x.stride + w.k);
    assert!(y_stride >= panels * PANEL && y.len() >= (x.count - 1) * y_stride + panels * PANEL);
    let out = Out(y.as_mut_ptr());
    in_blocks(parallel, x.count, w.k, panels, |first, rows, panel| {
        let job = Job {
            x: x.data[first * x.stride..].as_ptr(),
            x_stride: x.stride,
            rows,
            panel: w.panels.as_slice()[panel * w.k * PANEL..].as_ptr(),
            k: w.k,
            bias: w.bias.as_slice()[panel * PANEL..].as_ptr(),
            // SAFETY: inside `y`, whose length was checked.
            y: unsafe { out.at(first * y_stride + panel * PANEL) },
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
    rows: usize,
    panel: *const f32,
    k: usize,
    bias: *const f32,
    y: *mut f32,
    y_stride: usize,
    epilogue: Epilogue,
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
    let mut sums = [0.0f32; MAX_TILE_ROWS * PANEL];
    // The weights are streamed from memory: each tile brings its share of the panel that follows this one near.
    let ahead_step = PANEL.div_ceil(job.rows.div_ceil(V::TILE_ROWS));
    let mut ahead = job.panel.wrapping_add(job.k * PANEL);
    let mut row = 0;
    while row < job.rows {
        let rows = V::TILE_ROWS.min(job.rows - row);
        // SAFETY: `row + rows <= job.rows`, and `job`'s pointers cover its rows, its panel and its bias.
        unsafe {
            let x = job.x.add(row * job.x_stride);
            let y = job.y.add(row * job.y_stride);
            let (to, stride) = match job.epilogue {
                Epilogue::Store => (y, job.y_stride),
                Epilogue::Gelu | Epilogue::Add => (sums.as_mut_ptr(), PANEL),
            };
            let tile = Tile {
                x,
                x_row: job.x_stride,
                x_step: 1,
                panel: job.panel,
                k: job.k,
                begin: job.bias,
                begin_row: 0,
                to,
                to_row: stride,
                ahead,
                ahead_step,
            };
            ahead = ahead.wrapping_add(job.k * ahead_step);
            multiply_tile::<V>(rows, tile);
            finish::<V>(&job, rows, sums.as_ptr(), y);
        }
        row += rows;
    }
}

/// Applies the epilogue to a tile. Safety: as for the tile.
///
/// # Shapes
/// `sums` `[rows, PANEL]`, `y` `[rows, job.y_stride]`.
#[inline(always)]
unsafe fn finish<V: Lanes>(job: &Job, rows: usize, sums: *const f32, y: *mut f32) {
    if job.epilogue == Epilogue::Store {
        return;
    }
    for r in 0..rows {
        for half in [0, LANES] {
            // SAFETY: `r < rows` of a tile that `sums` and `y` have room for.
            unsafe {
                let sum = V::load(sums.add(r * PANEL + half));
                let to = y.add(r * job.y_stride + half);
                if job.epilogue == Epilogue::Gelu {
                    GeluTanh::value(sum).store(to);
                } else {
                    V::load(to).add(sum).store(to);
                }
            }
        }
    }
}
