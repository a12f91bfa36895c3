//! Weights as the products want them: packed once into panels of 32 columns, `k` by `k`.

use std::ops::Range;

use rayon::prelude::*;

use crate::model::ModelError;
use crate::model::in_order::in_order;
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::lanes::LANES;
use crate::model::kernel::tile::PANEL;
use crate::model::source::Values;

/// Panels that one thread packs at a time: some 2 MiB of GPT-2 small's, the size of a page of memory.
pub(super) const PACK_PANELS: usize = 16;

/// The columns of a matrix, and how panels hold them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Columns {
    /// So many, as they come.
    Plain(usize),
    /// A gate of so many and as many that it gates: half a panel of each, so that a product has both at hand.
    Gated(usize),
}

impl Columns {
    /// How many the matrix has.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Plain(columns) => columns,
            Self::Gated(each) => 2 * each,
        }
    }

    /// How many panels they fill.
    pub(super) fn panels(self) -> usize {
        match self {
            Self::Plain(columns) => columns.div_ceil(PANEL),
            Self::Gated(each) => each.div_ceil(LANES),
        }
    }

    /// What a panel makes of a row: outputs.
    pub(super) fn outputs_per_panel(self) -> usize {
        match self {
            Self::Plain(_) => PANEL,
            Self::Gated(_) => LANES,
        }
    }

    /// The matrix's columns of panel `index`, and each stretch's place there.
    pub(super) fn of_panel(self, index: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let (first, second) = match self {
            Self::Plain(columns) => (index * PANEL..columns.min((index + 1) * PANEL), None),
            Self::Gated(each) => {
                let gate = index * LANES..each.min((index + 1) * LANES);
                let gated = each + gate.start..each + gate.end;
                (gate, Some((LANES, gated)))
            }
        };
        std::iter::once((0, first)).chain(second)
    }

    /// Puts what panel `index` holds of a row into its line there.
    ///
    /// # Shapes
    /// `row` `[count]`, `line` `[PANEL]`.
    pub(super) fn gather(self, index: usize, row: &[f32], line: &mut [f32; PANEL]) {
        for (place, columns) in self.of_panel(index) {
            line[place..place + columns.len()].copy_from_slice(&row[columns]);
        }
    }
}

/// A weight matrix `[k, n]` in panels, padded with zero columns, and its bias.
pub(super) struct Packed {
    pub(super) panels: Buffer,
    pub(super) bias: Buffer,
    pub(super) columns: Columns,
    pub(super) k: usize,
}

impl Packed {
    /// Packs a matrix, row-major, and its bias, if it has one.
    ///
    /// # Shapes
    /// `weights` `[k, n]`, `bias` `[n]`, with the `n` of `columns`.
    pub(super) fn new(weights: &[f32], k: usize, columns: Columns, bias: Option<&[f32]>) -> Self {
        let mut packed = Self::zeros(k, columns);
        let panels = packed.panels.as_mut_slice();
        for (index, panel) in panels.chunks_exact_mut(k * PANEL).enumerate() {
            let rows = panel.as_chunks_mut::<PANEL>().0.iter_mut();
            for (row, values) in rows.zip(weights.chunks_exact(columns.count())) {
                columns.gather(index, values, row);
            }
        }
        if let Some(bias) = bias {
            let panels = packed.bias.as_mut_slice().as_chunks_mut::<PANEL>().0;
            for (index, panel) in panels.iter_mut().enumerate() {
                columns.gather(index, bias, panel);
            }
        }
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
        let mut packed = Self::zeros(k, Columns::Plain(n));
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

    fn zeros(k: usize, columns: Columns) -> Self {
        let padded = columns.panels() * PANEL;
        Self {
            panels: Buffer::zeroed(k * padded),
            bias: Buffer::zeroed(padded),
            columns,
            k,
        }
    }

    /// Column `column` of a matrix whose columns stand as they come, into the head of `out`.
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
pub(super) fn transpose(columns: &[f32], k: usize, panel: &mut [f32]) {
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
