//! Matrix product with weights of sixteen bits: each panel becomes f32 a piece at a time, for all rows of a block, and
//! the product is that of `gemm`.
//!
//! A piece goes on with the chain of multiply-adds where the one before it ended, so an element is the same chain over
//! ascending `k`: the bits are those that `gemm` gives for the widened weights, and as batch-invariant.
#![expect(
    unsafe_code,
    reason = "the micro-kernel reads and writes through pointers"
)]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::gemm::{
    Epilogue, MOST_ROWS, MatrixRows, Out, Room, check_bounds, finish, in_blocks, tile_start,
};
use super::packed::{Columns, PACK_PANELS, transpose};
use super::parallel::Parallel;
use crate::model::ModelError;
use crate::model::in_order::in_order;
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::half::{HalfFormat, Line, widen_lines};
use crate::model::kernel::lanes::{LANES, Lanes, kernel};
use crate::model::kernel::tile::{PANEL, Tile, multiply_tile};
use crate::model::source::Values;

/// Lines of a panel that are widened at a time: 16 KiB, which stay in the L1 cache beside the rows.
const PIECE_LINES: usize = 128;

/// A weight matrix `[k, n]` in panels of sixteen bits, padded with zero columns, and its bias, in f32.
pub(super) struct PackedHalf {
    format: HalfFormat,
    lines: Vec<Line>,
    bias: Buffer,
    columns: Columns,
    k: usize,
}

impl PackedHalf {
    /// Rounds a matrix, row-major, and takes its bias, if it has one, as it is. Every value is within the format's range.
    ///
    /// # Shapes
    /// `weights` `[k, n]`, `bias` `[n]`, with the `n` of `columns`.
    pub(super) fn new(
        format: HalfFormat,
        weights: &[f32],
        k: usize,
        columns: Columns,
        bias: Option<&[f32]>,
    ) -> Self {
        let mut packed = Self::zeros(format, k, columns);
        if let Some(bias) = bias {
            let panels = packed.bias.as_mut_slice().as_chunks_mut::<PANEL>().0;
            for (index, panel) in panels.iter_mut().enumerate() {
                columns.gather(index, bias, panel);
            }
        }
        for (index, panel) in packed.lines.chunks_exact_mut(k).enumerate() {
            // What the last panel lacks of columns stays zero.
            let mut values = [0.0; PANEL];
            for (line, row) in panel.iter_mut().zip(weights.chunks_exact(columns.count())) {
                columns.gather(index, row, &mut values);
                format.narrow(&values, &mut line.0);
            }
        }
        packed
    }

    /// Rounds the transpose of a matrix, row-major, without bias. The threads of the caller's pool share it; `name` is
    /// what an error calls it.
    ///
    /// # Shapes
    /// `weights` `[n, k]`.
    ///
    /// # Errors
    /// A file cannot be read, a value in one is not a number, or one is beyond the format's range.
    pub(super) fn transposed(
        name: &str,
        format: HalfFormat,
        weights: &Values<'_>,
        k: usize,
        n: usize,
    ) -> Result<Self, ModelError> {
        let mut packed = Self::zeros(format, k, Columns::Plain(n));
        let groups = packed.lines.par_chunks_mut(PACK_PANELS * k).enumerate();
        let done = groups.map_init(
            || (Vec::new(), vec![0.0; k * PANEL]),
            |(room, turned), (group, lines)| {
                let columns = group * PACK_PANELS * PANEL..n.min((group + 1) * PACK_PANELS * PANEL);
                let values = weights.part(columns.start * k..columns.end * k, room)?;
                within(name, format, columns.start * k, values)?;
                let panels = lines.chunks_exact_mut(k).zip(values.chunks(k * PANEL));
                for (panel, values) in panels {
                    if values.len() < k * PANEL {
                        turned.fill(0.0);
                    }
                    transpose(values, k, turned);
                    for (line, values) in panel.iter_mut().zip(turned.as_chunks::<PANEL>().0) {
                        format.narrow(values, &mut line.0);
                    }
                }
                Ok(())
            },
        );
        in_order::<_, _, ()>(done)?;
        Ok(packed)
    }

    fn zeros(format: HalfFormat, k: usize, columns: Columns) -> Self {
        let panels = columns.panels();
        Self {
            format,
            lines: Line::zeroed(panels * k),
            bias: Buffer::zeroed(panels * PANEL),
            columns,
            k,
        }
    }

    /// Column `column` of a matrix whose columns stand as they come, into the head of `out`.
    ///
    /// # Shapes
    /// `out` `[k]`, or longer.
    pub(super) fn copy_column(&self, column: usize, out: &mut [f32]) {
        let panel = &self.lines[column / PANEL * self.k..][..self.k];
        for (out, line) in out.iter_mut().zip(panel) {
            *out = self.format.widen(line.0[column % PANEL]);
        }
    }

    /// Bytes that a product streams.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }
}

/// Whether every value of an array, from its `first` on, is within the format's range.
///
/// # Errors
/// The first that is not.
pub(super) fn within(
    name: &str,
    format: HalfFormat,
    first: usize,
    values: &[f32],
) -> Result<(), ModelError> {
    format.beyond(values).map_or(Ok(()), |(at, value)| {
        Err(ModelError::BeyondRange {
            name: name.to_owned(),
            index: first + at,
            value,
        })
    })
}

/// Multiplies `x` with `w` into `y`, whose rows are `y_stride` apart and have room for whole panels.
///
/// # Shapes
/// `x` `[rows, k]`, `w` `[k, n]`, `y` `[rows, y_stride]` with `y_stride` at least what whole panels make.
pub(super) fn multiply_half(
    parallel: Parallel,
    x: MatrixRows<'_>,
    w: &PackedHalf,
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
            format: w.format,
            panel: &w.lines[panel * w.k..][..w.k],
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

/// Some rows times one panel.
#[derive(Clone, Copy)]
struct Job<'a> {
    x: *const f32,
    x_stride: usize,
    /// At most [`MOST_ROWS`].
    rows: usize,
    format: HalfFormat,
    panel: &'a [Line],
    bias: *const f32,
    y: *mut f32,
    y_stride: usize,
    epilogue: Epilogue,
}

kernel! {
    /// `job`, piece by piece and in these tile by tile. Safety: its pointers cover its rows, its panel and its bias.
    ///
    /// # Shapes
    /// `x` `[rows, x_stride]`, `panel` `[k]` lines, `bias` `[PANEL]`, `y` `[rows, y_stride]`.
    unsafe fn panel_rows(job: Job<'_>) = panel_rows_generic
}

/// The body of [`panel_rows`]. Safety: the CPU has `V`'s instructions, and as there.
///
/// # Shapes
/// As of [`panel_rows`].
#[inline(always)]
unsafe fn panel_rows_generic<V: Lanes>(job: Job<'_>) {
    let mut widened = Room::<{ PIECE_LINES * PANEL }>(MaybeUninit::uninit());
    let mut sums = Room::<{ MOST_ROWS * PANEL }>(MaybeUninit::uninit());
    let (widened, sums) = (
        widened.0.as_mut_ptr().cast::<f32>(),
        sums.0.as_mut_ptr().cast::<f32>(),
    );
    let (to, to_row) = match job.epilogue {
        Epilogue::Store => (job.y, job.y_stride),
        _ => (sums, PANEL),
    };
    // Each tile brings its share of the piece that follows near; a line is sixteen f32 long.
    let tiles = job.rows.div_ceil(V::TILE_ROWS);
    let ahead_step = LANES.div_ceil(tiles);
    for (piece, lines) in job.panel.chunks(PIECE_LINES).enumerate() {
        let first = piece * PIECE_LINES;
        let mut ahead = lines.as_ptr_range().end.cast::<f32>();
        // SAFETY: `widened` has room for a piece.
        unsafe { widen_lines::<V>(job.format, lines, widened) };
        for tile in 0..tiles {
            let row = tile_start(tile, tiles, job.rows);
            let rows = tile_start(tile + 1, tiles, job.rows) - row;
            // SAFETY: `row + rows <= job.rows`, of which `job`'s pointers cover all, and `sums` too; after the first
            // piece there are sums at `to`.
            unsafe {
                let to = to.add(row * to_row);
                let (begin, begin_row) = if piece == 0 {
                    (job.bias, 0)
                } else {
                    (to.cast_const(), to_row)
                };
                let tile = Tile {
                    x: job.x.add(row * job.x_stride + first),
                    x_row: job.x_stride,
                    x_step: 1,
                    panel: widened,
                    k: lines.len(),
                    begin,
                    begin_row,
                    to,
                    to_row,
                    ahead,
                    ahead_step,
                };
                ahead = ahead.wrapping_add(lines.len() * ahead_step);
                multiply_tile::<V>(rows, tile);
            }
        }
    }
    // SAFETY: every row has its sums.
    unsafe { finish::<V>(job.epilogue, job.rows, sums, job.y, job.y_stride) }
}
