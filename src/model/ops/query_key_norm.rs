//! The norm of queries and keys, over each head or over all of a token's.
//! Source: Dehghani et al. 2023; HF transformers, `modeling_qwen3.py` (heads), `modeling_olmo2.py` (all).

use std::ops::Range;

use rayon::prelude::*;

use super::gemm::isa;
use super::linear::column_sums;
use crate::model::architecture::{Heads, QueryKeyNorm as Over};
use crate::model::kernel::rms_norm as kernel;

/// Rows that a thread takes at a time; each stands alone, so it changes no bit.
const ROWS: usize = 32;

/// The norm of a block's queries and keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryKeyNorm<'a> {
    pub(crate) over: Over,
    pub(crate) heads: Heads,
    /// Of queries and of keys: `[head width]` each, or `[query_width]` and `[key_width]`.
    pub(crate) gains: [&'a [f32]; 2],
    /// Added to the gains.
    pub(crate) offset: f32,
    pub(crate) epsilon: f32,
}

impl QueryKeyNorm<'_> {
    /// How many norms a row has.
    pub(crate) fn count(over: Over, heads: Heads) -> usize {
        match over {
            Over::Head => heads.query + heads.key,
            Over::All => 2,
        }
    }

    /// What of a row is normed together, of queries and of keys.
    fn parts(&self) -> [Vec<Range<usize>>; 2] {
        let (queries, keys) = (self.heads.query_width(), self.heads.key_width());
        [0..queries, queries..queries + keys].map(|all| match self.over {
            Over::All => vec![all],
            Over::Head => all
                .step_by(self.heads.width)
                .map(|first| first..first + self.heads.width)
                .collect(),
        })
    }

    /// The same in one list, each with its gain.
    fn gained_parts(&self) -> Vec<(Range<usize>, &[f32])> {
        let parts = self.parts().into_iter().zip(self.gains);
        let gained =
            parts.flat_map(|(parts, gain)| parts.into_iter().map(move |part| (part, gain)));
        gained.collect()
    }

    /// Queries and keys normed, and values as they are, into `out`; what each was multiplied by into `scales`.
    ///
    /// # Shapes
    /// `qkv` and `out` `[rows, projected_width]`, `scales` `[rows, count]`.
    pub(crate) fn forward(&self, qkv: &[f32], out: &mut [f32], scales: &mut [f32]) {
        let (parts, stride) = (self.gained_parts(), self.heads.projected_width());
        let outputs = out
            .par_chunks_mut(ROWS * stride)
            .zip(scales.par_chunks_mut(ROWS * parts.len()));
        let blocks = outputs.zip(qkv.par_chunks(ROWS * stride));
        blocks.for_each(|((out, scales), qkv)| {
            let outputs = out
                .chunks_exact_mut(stride)
                .zip(scales.chunks_exact_mut(parts.len()));
            for ((out, scales), row) in outputs.zip(qkv.chunks_exact(stride)) {
                out.copy_from_slice(row);
                for ((part, gain), scale) in parts.iter().zip(scales) {
                    let (x, out) = (&row[part.clone()], &mut out[part.clone()]);
                    *scale = kernel::rms_norm(isa(), x, gain, self.offset, self.epsilon, out);
                }
            }
        });
    }

    /// Adds the gradients of the gains of queries and of keys, from those of what was normed.
    ///
    /// # Shapes
    /// `qkv` and `upstream` `[rows, projected_width]`, `scales` `[rows, count]`; `dgain` as the gain of queries, where
    /// `which` is 0, or of keys, where it is 1.
    pub(crate) fn add_gain_gradient(
        &self,
        which: usize,
        qkv: &[f32],
        scales: &[f32],
        upstream: &[f32],
        dgain: &mut [f32],
    ) {
        let stride = self.heads.projected_width();
        let parts = self.parts();
        let count = parts[0].len() + parts[1].len();
        let first = if which == 0 { 0 } else { parts[0].len() };
        column_sums(dgain, |sums, columns| {
            let rows = qkv.chunks_exact(stride).zip(upstream.chunks_exact(stride));
            for ((x, upstream), scales) in rows.zip(scales.chunks_exact(count)) {
                for (part, scale) in parts[which].iter().zip(&scales[first..]) {
                    let columns = part.start + columns.start..part.start + columns.end;
                    let pairs = x[columns.clone()].iter().zip(&upstream[columns]);
                    for (sum, (x, g)) in sums.iter_mut().zip(pairs) {
                        *sum += g * x * scale;
                    }
                }
            }
        });
    }

    /// Turns gradients of what was normed into those of queries and keys, in place.
    ///
    /// # Shapes
    /// `qkv` and `dqkv` `[rows, projected_width]`, `scales` `[rows, count]`.
    pub(crate) fn input_gradient(&self, qkv: &[f32], scales: &[f32], dqkv: &mut [f32]) {
        let (parts, stride) = (self.gained_parts(), self.heads.projected_width());
        let inputs = qkv
            .par_chunks(ROWS * stride)
            .zip(scales.par_chunks(ROWS * parts.len()));
        let blocks = dqkv.par_chunks_mut(ROWS * stride).zip(inputs);
        blocks.for_each(|(dqkv, (qkv, scales))| {
            let mut upstream = vec![0.0; stride];
            let inputs = qkv
                .chunks_exact(stride)
                .zip(scales.chunks_exact(parts.len()));
            for (drow, (row, scales)) in dqkv.chunks_exact_mut(stride).zip(inputs) {
                for ((part, gain), scale) in parts.iter().zip(scales) {
                    let upstream = &mut upstream[part.clone()];
                    let (x, dx) = (&row[part.clone()], &mut drow[part.clone()]);
                    upstream.copy_from_slice(dx);
                    dx.fill(0.0);
                    let offset = self.offset;
                    kernel::rms_norm_backward(isa(), x, gain, offset, *scale, upstream, dx);
                }
            }
        });
    }
}
