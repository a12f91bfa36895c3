//! An adapter: its branches and their values.

use indexmap::IndexMap;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::options::LoraOptions;
use super::shape::{LoraBranch, LoraShape};
use crate::model::Architecture;
use crate::model::architecture::ArrayId;
use crate::model::error::ModelError;
use crate::model::weights::{Array, Weights};

/// A low-rank adapter of a model.
#[derive(Clone, PartialEq, Debug)]
pub struct Adapter {
    /// How it was made.
    pub options: LoraOptions,
    pub(crate) shape: LoraShape,
    /// Of each branch `A` and then `B`.
    pub weights: Weights,
}

impl Adapter {
    /// An adapter that changes nothing yet: `A` uniform as PEFT draws it (Kaiming with a = sqrt 5, so within
    /// `1 / sqrt(inputs)`), `B` zeros. Every `A` has a random stream of its own.
    ///
    /// # Errors
    /// A target is none of the model's modules.
    pub fn init(
        architecture: &Architecture,
        options: &LoraOptions,
        seed: u64,
    ) -> Result<Self, ModelError> {
        let shape = LoraShape::new(architecture, options)?;
        let mut arrays = IndexMap::new();
        for (stream, branch) in (0..).zip(&shape.branches) {
            let mut a = Array::full(&[branch.inputs, shape.rank], 0.0);
            let bound = 1.0 / (branch.inputs as f64).sqrt();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            for value in &mut a.data {
                let uniform = f64::from(rng.next_u32()) * 2.0_f64.powi(-31) - 1.0;
                #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
                {
                    *value = (bound * uniform) as f32;
                }
            }
            arrays.insert(branch.a(), a);
            let b = Array::full(&[shape.rank, branch.outputs], 0.0);
            arrays.insert(branch.b(), b);
        }
        Ok(Self {
            options: options.clone(),
            shape,
            weights: Weights { arrays },
        })
    }

    /// The adapter that was made with `options` and has these values.
    ///
    /// # Errors
    /// A target is none of the model's modules.
    pub fn new(
        architecture: &Architecture,
        options: &LoraOptions,
        weights: Weights,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            options: options.clone(),
            shape: LoraShape::new(architecture, options)?,
            weights,
        })
    }

    /// One adapter that adds what `earlier`, of the same model, and this one add: the ranks are side by side. Where one of
    /// them has no branch, its part of the ranks is zeros.
    ///
    /// # Errors
    /// They are not of one model.
    pub fn after(&self, earlier: &Self, architecture: &Architecture) -> Result<Self, ModelError> {
        let rank = earlier.shape.rank + self.shape.rank;
        let options = LoraOptions {
            rank,
            // The scales are in the values: each part may have had another.
            alpha: rank as f64,
            dropout: self.options.dropout,
            targets: earlier
                .options
                .targets
                .clone()
                .and(self.options.targets.clone()),
            use_rslora: false,
        };
        let shape = LoraShape::new(architecture, &options)?;
        let mut arrays = IndexMap::new();
        for branch in &shape.branches {
            let mut a = Array::full(&[branch.inputs, rank], 0.0);
            let mut b = Array::full(&[rank, branch.outputs], 0.0);
            let mut before = 0;
            for part in [earlier, self] {
                part.put(branch, before, &mut a, &mut b);
                before += part.shape.rank;
            }
            arrays.insert(branch.a(), a);
            arrays.insert(branch.b(), b);
        }
        Ok(Self {
            options,
            shape,
            weights: Weights { arrays },
        })
    }

    /// Puts this adapter's part of `branch` into its ranks from `before` on.
    fn put(&self, branch: &LoraBranch, before: usize, a: &mut Array, b: &mut Array) {
        let (Some(own_a), Some(own_b)) = (self.find(branch.a()), self.find(branch.b())) else {
            return;
        };
        let (rank, all) = (self.shape.rank, a.shape[1]);
        for (row, own) in a.data.chunks_mut(all).zip(own_a.chunks(rank)) {
            row[before..before + rank].copy_from_slice(own);
        }
        let rows = &mut b.data[before * branch.outputs..];
        for (value, own) in rows.iter_mut().zip(own_b) {
            *value = own * self.shape.scale;
        }
    }

    /// The values of an array.
    pub(super) fn find(&self, id: ArrayId) -> Option<&[f32]> {
        Some(&self.weights.arrays.get(&id)?.data)
    }

    /// Checks that every value is a number.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check_finite(&self, architecture: &Architecture) -> Result<(), ModelError> {
        self.weights.check_finite(architecture)
    }
}
