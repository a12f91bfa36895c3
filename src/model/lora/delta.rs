//! What an adapter adds to the weights of its model.

use super::adapter::Adapter;
use crate::model::architecture::ArrayId;

/// What a branch adds to a weight: `scale * A B` to some of its columns.
#[derive(Clone, Debug)]
pub(crate) struct Delta {
    first: usize,
    outputs: usize,
    rank: usize,
    scale: f32,
    /// `[inputs, rank]`.
    a: Vec<f32>,
    /// `[rank, outputs]`.
    b: Vec<f32>,
}

impl Adapter {
    /// What the branches beside a weight add to it.
    pub(crate) fn deltas(&self, weight: ArrayId) -> Vec<Delta> {
        let deltas = self.shape.of(weight).filter_map(|branch| {
            Some(Delta {
                first: branch.first,
                outputs: branch.outputs,
                rank: self.shape.rank,
                scale: self.shape.scale,
                a: self.find(branch.a())?.to_vec(),
                b: self.find(branch.b())?.to_vec(),
            })
        });
        deltas.collect()
    }
}

impl Delta {
    /// Adds it to some values of the weight, of which the first is number `at`. Every value is one sum over the ascending
    /// ranks, times the scale, added: the same bits however the weight is cut into pieces.
    ///
    /// # Shapes
    /// `values` are consecutive ones of `[inputs, columns]`.
    pub(crate) fn add_to(&self, values: &mut [f32], mut at: usize, columns: usize) {
        let mut sums = vec![0.0; self.outputs];
        let mut rest = values;
        while !rest.is_empty() {
            let (row, column) = (at / columns, at % columns);
            let count = rest.len().min(columns - column);
            let (part, later) = rest.split_at_mut(count);
            let from = column.clamp(self.first, self.first + self.outputs);
            let to = (column + count).clamp(from, (self.first + self.outputs).max(from));
            if from < to {
                let own = from - self.first..to - self.first;
                let sums = &mut sums[own.clone()];
                sums.fill(0.0);
                let factors = &self.a[row * self.rank..][..self.rank];
                for (factor, b) in factors.iter().zip(self.b.chunks_exact(self.outputs)) {
                    for (sum, b) in sums.iter_mut().zip(&b[own.clone()]) {
                        *sum += factor * b;
                    }
                }
                for (value, sum) in part[from - column..to - column].iter_mut().zip(sums) {
                    *value += self.scale * *sum;
                }
            }
            (rest, at) = (later, at + count);
        }
    }
}
