//! Low-rank branches beside linear maps, forward and backward. What a branch makes on the way is small, and made again in the
//! backward pass.

use super::arrays::{values, values_mut};
use crate::model::Weights;
use crate::model::architecture::ArrayId;
use crate::model::dropout::Dropout;
use crate::model::lora::{LoraBranch, LoraShape};
use crate::model::ops::gemm::{Into, Matrix, product};
use crate::model::rows::Spans;

/// `scale * (x A) B`, added to some of a linear map's outputs.
pub(super) struct LowRank<'a> {
    branch: &'a LoraBranch,
    rank: usize,
    scale: f32,
    /// `[inputs, rank]`.
    a: &'a [f32],
    /// `[rank, outputs]`.
    b: &'a [f32],
}

/// Where the rows that go through belong, and what is dropped of them.
#[derive(Clone, Copy)]
pub(super) struct Masks<'a> {
    pub(super) spans: &'a Spans,
    pub(super) dropout: Option<Dropout>,
}

/// Memory that one branch after another uses.
#[derive(Default)]
pub(super) struct LowRankScratch {
    /// `[rows, inputs]` each.
    mask: Vec<f32>,
    dropped: Vec<f32>,
    /// `[rows, rank]` each.
    low: Vec<f32>,
    dlow: Vec<f32>,
}

impl<'a> LowRank<'a> {
    /// The branches beside a weight.
    pub(super) fn beside(weight: ArrayId, shape: &'a LoraShape, adapter: &'a Weights) -> Vec<Self> {
        let one = |branch: &'a LoraBranch| Self {
            branch,
            rank: shape.rank,
            scale: shape.scale,
            a: values(adapter, branch.a()),
            b: values(adapter, branch.b()),
        };
        shape.of(weight).map(one).collect()
    }

    /// Adds what the branch makes of `x`.
    ///
    /// # Shapes
    /// `x` `[rows, inputs]`, `out` `[rows, columns]`, whose columns the branch's outputs are among.
    pub(super) fn add(
        &self,
        x: &[f32],
        out: &mut [f32],
        columns: usize,
        masks: Masks<'_>,
        scratch: &mut LowRankScratch,
    ) {
        let LoraBranch {
            inputs,
            first,
            outputs,
            ..
        } = *self.branch;
        let rows = x.len() / inputs;
        let LowRankScratch {
            mask, dropped, low, ..
        } = scratch;
        let x = self.drop_out(x, masks, mask, dropped);
        self.lower(x, low);
        let sizes = [rows, self.rank, outputs];
        let (low, b) = (Matrix::rows(low, self.rank), Matrix::rows(self.b, outputs));
        product(sizes, low, b, Into::Add, &mut out[first..], columns);
    }

    /// Adds the gradients of `A` and `B`, and that of `x` to `dx`.
    ///
    /// # Shapes
    /// `x` and `dx` `[rows, inputs]`, `upstream` `[rows, columns]`, whose columns the branch's outputs are among.
    pub(super) fn backward(
        &self,
        (x, upstream): (&[f32], &[f32]),
        columns: usize,
        gradients: &mut Weights,
        dx: &mut [f32],
        masks: Masks<'_>,
        scratch: &mut LowRankScratch,
    ) {
        let LoraBranch {
            inputs,
            first,
            outputs,
            ..
        } = *self.branch;
        let (rows, rank) = (x.len() / inputs, self.rank);
        let LowRankScratch {
            mask,
            dropped,
            low,
            dlow,
        } = scratch;
        let upstream = Matrix::rows(&upstream[first..], columns);
        let x = self.drop_out(x, masks, mask, dropped);
        self.lower(x, low);
        let left = Matrix::rows(low, rank).transposed();
        let db = values_mut(gradients, self.branch.b());
        let db = db.expect("an adapter is trained as a whole");
        product(
            [rank, rows, outputs],
            left,
            upstream,
            Into::Add,
            db,
            outputs,
        );

        dlow.resize(rows * rank, 0.0);
        let right = Matrix::rows(self.b, outputs).transposed();
        product(
            [rows, outputs, rank],
            upstream,
            right,
            Into::Set,
            dlow,
            rank,
        );
        for value in dlow.iter_mut() {
            *value *= self.scale;
        }
        let left = Matrix::rows(x, inputs).transposed();
        let da = values_mut(gradients, self.branch.a());
        let da = da.expect("an adapter is trained as a whole");
        let right = Matrix::rows(dlow, rank);
        product([inputs, rows, rank], left, right, Into::Add, da, rank);

        let (left, right) = (right, Matrix::rows(self.a, rank).transposed());
        let sizes = [rows, rank, inputs];
        if masks
            .dropout
            .and_then(|dropout| dropout.at(self.branch.site))
            .is_none()
        {
            product(sizes, left, right, Into::Add, dx, inputs);
            return;
        }
        product(sizes, left, right, Into::Set, dropped, inputs);
        let kept = dropped.iter().zip(&*mask);
        for (dx, (value, mask)) in dx.iter_mut().zip(kept) {
            *dx += value * mask;
        }
    }

    /// `scale * x A`, into `low`.
    ///
    /// # Shapes
    /// `x` `[rows, inputs]`, `low` `[rows, rank]`.
    fn lower(&self, x: &[f32], low: &mut Vec<f32>) {
        let (inputs, rank) = (self.branch.inputs, self.rank);
        let rows = x.len() / inputs;
        low.resize(rows * rank, 0.0);
        let (x, a) = (Matrix::rows(x, inputs), Matrix::rows(self.a, rank));
        product([rows, inputs, rank], x, a, Into::Set, low, rank);
        for value in low.iter_mut() {
            *value *= self.scale;
        }
    }

    /// What of `x` goes into the branch: where something is dropped, a copy in `dropped` by the mask in `mask`.
    ///
    /// # Shapes
    /// `x`, and where they are used `mask` and `dropped`, `[rows, inputs]`.
    fn drop_out<'x>(
        &self,
        x: &'x [f32],
        masks: Masks<'_>,
        mask: &mut Vec<f32>,
        dropped: &'x mut Vec<f32>,
    ) -> &'x [f32] {
        let site = self.branch.site;
        let Some(dropout) = masks.dropout.and_then(|dropout| dropout.at(site)) else {
            return x;
        };
        mask.resize(x.len(), 0.0);
        dropout.fill_rows(site, masks.spans, self.branch.inputs, mask);
        dropped.clear();
        dropped.extend(x.iter().zip(&*mask).map(|(x, mask)| x * mask));
        dropped
    }
}
