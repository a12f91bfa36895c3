//! Matrix product in 8-bit integers: weights have one scale for each output, quantised once; activations one for each
//! row, quantised at each product. Bias, residual stream, attention and logits stay f32.
//!
//! A sum of integers is exact, and what is done with it depends on its row and column alone: results are
//! batch-invariant as those of `gemm` are.
#![expect(unsafe_code, reason = "tasks write their own parts of one matrix")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use std::cell::Cell;

use rayon::prelude::*;

use super::gemm::{Epilogue, MatrixRows, Out, activated, check_bounds, in_blocks};
use super::packed::{Columns, PACK_PANELS};
use super::parallel::Parallel;
use crate::model::ModelError;
use crate::model::in_order::in_order;
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::int8::{Bytes, Group, STEP, Sums, ZERO, multiply_groups, quantize};
use crate::model::kernel::lanes::{Isa, LANES, Lanes, kernel};
use crate::model::kernel::tile::{MAX_TILE_ROWS, PANEL};
use crate::model::source::Values;

/// Values that one task of quantising should hold at least.
const ROW_WORK: usize = 32 * 1024;

/// A weight matrix `[k, n]` in panels of bytes, padded with zero columns, and its bias.
pub(super) struct PackedInt8 {
    groups: Vec<Group>,
    /// 128 times the sum of each column, by panel.
    lower: Vec<Sums>,
    scales: Buffer,
    bias: Buffer,
    columns: Columns,
    k: usize,
}

impl PackedInt8 {
    /// Quantises a matrix, row-major, and takes its bias, if it has one, as it is.
    ///
    /// # Shapes
    /// `weights` `[k, n]`, `bias` `[n]`, with the `n` of `columns`.
    pub(super) fn new(weights: &[f32], k: usize, columns: Columns, bias: Option<&[f32]>) -> Self {
        let mut packed = Self::zeros(k, columns);
        if let Some(bias) = bias {
            let panels = packed.bias.as_mut_slice().as_chunks_mut::<PANEL>().0;
            for (index, panel) in panels.iter_mut().enumerate() {
                columns.gather(index, bias, panel);
            }
        }
        packed.parts(1).for_each_init(
            || (vec![0.0; PANEL * k], [0.0; PANEL]),
            |(turned, line), (panel, part)| {
                for (row, values) in weights.chunks_exact(columns.count()).enumerate() {
                    columns.gather(panel, values, line);
                    for (column, &value) in line.iter().enumerate() {
                        turned[column * k + row] = value;
                    }
                }
                part.fill(turned);
            },
        );
        packed
    }

    /// Quantises the transpose of a matrix, row-major, without bias. The threads of the caller's pool share it.
    ///
    /// # Shapes
    /// `weights` `[n, k]`.
    ///
    /// # Errors
    /// A file cannot be read, or a value in one is not a number.
    pub(super) fn transposed(weights: &Values<'_>, k: usize, n: usize) -> Result<Self, ModelError> {
        let mut packed = Self::zeros(k, Columns::Plain(n));
        let done = packed.parts(PACK_PANELS);
        let done = done.map_init(Vec::new, |room, (index, part)| {
            let first = index * PACK_PANELS * PANEL;
            let end = n.min(first + PACK_PANELS * PANEL);
            part.fill(weights.part(first * k..end * k, room)?);
            Ok(())
        });
        in_order::<_, _, ()>(done)?;
        Ok(packed)
    }

    fn zeros(k: usize, columns: Columns) -> Self {
        let panels = columns.panels();
        Self {
            groups: vec![Group([0; PANEL * STEP]); panels * k.div_ceil(STEP)],
            lower: vec![[0; PANEL]; panels],
            scales: Buffer::zeroed(panels * PANEL),
            bias: Buffer::zeroed(panels * PANEL),
            columns,
            k,
        }
    }

    /// The panels, so many at a time, numbered.
    fn parts(
        &mut self,
        panels: usize,
    ) -> impl IndexedParallelIterator<Item = (usize, PanelsMut<'_>)> {
        let (k, steps) = (self.k, self.k.div_ceil(STEP));
        let groups = self.groups.par_chunks_mut(panels * steps);
        let lower = self.lower.par_chunks_mut(panels);
        let scales = self.scales.as_mut_slice().par_chunks_mut(panels * PANEL);
        let parts = groups.zip(lower).zip(scales).enumerate();
        parts.map(move |(index, ((groups, lower), scales))| {
            let part = PanelsMut {
                groups,
                lower,
                scales,
                k,
            };
            (index, part)
        })
    }

    /// Column `column` of a matrix whose columns stand as they come, into the head of `out`.
    ///
    /// # Shapes
    /// `out` `[k]`, or longer.
    pub(super) fn copy_column(&self, column: usize, out: &mut [f32]) {
        let steps = self.k.div_ceil(STEP);
        let (panel, place) = (column / PANEL, column % PANEL * STEP);
        let scale = self.scales.as_slice()[column];
        let values = self.groups[panel * steps..][..steps].iter();
        let values = values.flat_map(|group| &group.0[place..place + STEP]);
        for (out, &value) in out.iter_mut().zip(values.take(self.k)) {
            *out = f32::from(value) * scale;
        }
    }

    /// Bytes that a product streams.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.groups.as_slice())
    }
}

/// Some panels of a matrix, to be filled.
struct PanelsMut<'a> {
    groups: &'a mut [Group],
    lower: &'a mut [Sums],
    scales: &'a mut [f32],
    k: usize,
}

impl PanelsMut<'_> {
    /// Quantises columns, one after the other.
    ///
    /// # Shapes
    /// `columns` `[columns, k]`.
    fn fill(self, columns: &[f32]) {
        let (isa, steps) = (Isa::available()[0], self.k.div_ceil(STEP));
        let mut bytes = vec![ZERO; steps * STEP];
        for (column, values) in columns.chunks_exact(self.k).enumerate() {
            self.scales[column] = quantize(isa, values, &mut bytes);
            let (panel, place) = (column / PANEL, column % PANEL * STEP);
            let groups = &mut self.groups[panel * steps..][..steps];
            let mut sum = 0;
            for (group, four) in groups.iter_mut().zip(bytes.as_chunks::<STEP>().0) {
                let signed = four.map(|byte| (byte ^ ZERO).cast_signed());
                sum += signed.iter().map(|&value| i32::from(value)).sum::<i32>();
                group.0[place..place + STEP].copy_from_slice(&signed);
            }
            self.lower[panel][column % PANEL] = i32::from(ZERO) * sum;
        }
    }
}

thread_local! {
    /// Room for quantised rows and their scales. Taken while in use: a thread that waits for others may begin
    /// another product.
    static ROOM: Cell<(Vec<u8>, Vec<f32>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Multiplies `x` with `w` into `y`, whose rows are `y_stride` apart and have room for whole panels.
///
/// # Shapes
/// `x` `[rows, k]`, `w` `[k, n]`, `y` `[rows, y_stride]` with `y_stride` at least what whole panels make.
pub(super) fn multiply_int8(
    parallel: Parallel,
    x: MatrixRows<'_>,
    w: &PackedInt8,
    epilogue: Epilogue,
    y: &mut [f32],
    y_stride: usize,
) {
    if x.count == 0 {
        return;
    }
    let (panels, outputs) = (w.columns.panels(), w.columns.outputs_per_panel());
    let steps = w.k.div_ceil(STEP);
    check_bounds(x, w.k, w.columns, epilogue, y, y_stride);
    // A cache line more than needed, lest rows compete for the same cache set.
    let stride = (steps * STEP).next_multiple_of(64) + 64;
    let (mut bytes, mut scales) = ROOM.take();
    if bytes.len() < x.count * stride {
        bytes.resize(x.count * stride, ZERO);
    }
    scales.resize(x.count, 0.0);
    let rows = bytes.chunks_exact_mut(stride).zip(&mut scales);
    let mut rows: Vec<(&mut [u8], &mut f32)> = rows.collect();
    parallel.for_each_mut(&mut rows, ROW_WORK.div_ceil(w.k), |row, (bytes, scale)| {
        let values = &x.data[row * x.stride..][..w.k];
        **scale = quantize(parallel.isa(), values, &mut bytes[..steps * STEP]);
    });
    let out = Out(y.as_mut_ptr());
    in_blocks(parallel, x.count, w.k, panels, |first, rows, panel| {
        let job = Job {
            isa: parallel.isa(),
            x: Bytes {
                data: &bytes[first * stride..],
                stride,
                rows,
            },
            x_scales: &scales[first..first + rows],
            panel: &w.groups[panel * steps..][..steps],
            lower: &w.lower[panel],
            scales: &w.scales.as_slice()[panel * PANEL..][..PANEL],
            bias: &w.bias.as_slice()[panel * PANEL..][..PANEL],
            // SAFETY: inside `y`, whose length was checked.
            y: unsafe { out.at(first * y_stride + panel * outputs) },
            y_stride,
            epilogue,
        };
        // SAFETY: lengths were checked above; each task writes rows and columns of its own.
        unsafe { panel_rows(parallel.isa(), job) }
    });
    ROOM.set((bytes, scales));
}

/// Some rows times one panel.
#[derive(Clone, Copy)]
struct Job<'a> {
    isa: Isa,
    x: Bytes<'a>,
    x_scales: &'a [f32],
    panel: &'a [Group],
    lower: &'a Sums,
    scales: &'a [f32],
    bias: &'a [f32],
    y: *mut f32,
    y_stride: usize,
    epilogue: Epilogue,
}

kernel! {
    /// `job`, tile by tile. Safety: `y` has its rows and its panel.
    ///
    /// # Shapes
    /// `x` `[rows, stride]` bytes, `x_scales` `[rows]`, `panel` `[k / STEP rounded up]`, `lower`, `scales` and `bias`
    /// `[PANEL]`, `y` `[rows, y_stride]`.
    unsafe fn panel_rows(job: Job<'_>) = panel_rows_generic
}

/// The body of [`panel_rows`]. Safety: the CPU has `V`'s instructions, and as there.
///
/// # Shapes
/// As of [`panel_rows`].
#[inline(always)]
unsafe fn panel_rows_generic<V: Lanes>(job: Job<'_>) {
    let mut sums = [[0; PANEL]; MAX_TILE_ROWS];
    for first in (0..job.x.rows).step_by(MAX_TILE_ROWS) {
        let rows = MAX_TILE_ROWS.min(job.x.rows - first);
        let x = Bytes {
            data: &job.x.data[first * job.x.stride..],
            rows,
            ..job.x
        };
        multiply_groups(job.isa, x, job.panel, job.lower, &mut sums);
        for (row, sums) in (first..first + rows).zip(&sums) {
            // SAFETY: the CPU is the caller's promise, and that `y` has the job's rows and panel; a panel's scales and
            // bias are two vectors.
            unsafe {
                let scale = V::splat(job.x_scales[row]);
                let low = value::<V>(&job, scale, sums, 0);
                let high = value::<V>(&job, scale, sums, LANES);
                let low_to = job.y.add(row * job.y_stride);
                let high_to = low_to.wrapping_add(LANES);
                match job.epilogue {
                    Epilogue::Store => {
                        low.store(low_to);
                        high.store(high_to);
                    }
                    Epilogue::Activate(activation) => {
                        activated(activation, low).store(low_to);
                        activated(activation, high).store(high_to);
                    }
                    Epilogue::Gate(activation) => {
                        activated(activation, low).mul(high).store(low_to);
                    }
                    Epilogue::Add => {
                        V::load(low_to).add(low).store(low_to);
                        V::load(high_to).add(high).store(high_to);
                    }
                }
            }
        }
    }
}

/// Sixteen values from their sums. Safety: the CPU has `V`'s instructions.
#[inline(always)]
unsafe fn value<V: Lanes>(job: &Job<'_>, x_scale: V, sums: &Sums, half: usize) -> V {
    let mut exact = [0.0_f32; LANES];
    for (exact, &sum) in exact.iter_mut().zip(&sums[half..]) {
        *exact = sum as f32;
    }
    // SAFETY: the CPU is the caller's promise; a panel's scales and bias are two vectors.
    unsafe {
        let scale = x_scale.mul(V::load(job.scales[half..].as_ptr()));
        let bias = V::load(job.bias[half..].as_ptr());
        V::load(exact.as_ptr()).fma(scale, bias)
    }
}
