//! Weights on a device: one flat tensor for each array, by what it is for.

use std::sync::Arc;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use indexmap::IndexMap;

use crate::model::architecture::ArrayId;
use crate::model::lora::{LoraBranch, LoraShape};
use crate::model::{Array, Weights};

/// The arrays of a model, or of anything that has their shape (gradients, moments).
#[derive(Clone)]
pub(crate) struct Parameters {
    pub(crate) arrays: IndexMap<ArrayId, Parameter>,
    /// Where those of an adapter are among them, its branches.
    lora: Option<Arc<LoraShape>>,
}

/// One array, flat, and its shape.
#[derive(Clone)]
pub(crate) struct Parameter {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Tensor<1>,
    /// Whether it stays as it is: no gradient flows to it.
    pub(crate) frozen: bool,
}

impl Parameters {
    /// Brings weights to `device`, f32.
    pub(crate) fn upload(weights: &Weights, device: &Device) -> Self {
        Self::upload_in(weights, FloatDType::F32, device)
    }

    /// Brings weights to `device`: matrices in `dtype`, one after the other, so that no more than one is there twice.
    pub(crate) fn upload_in(weights: &Weights, dtype: FloatDType, device: &Device) -> Self {
        let one = |(id, array): (&ArrayId, &Array)| {
            let data = TensorData::new(array.data.clone(), [array.data.len()]);
            let values = Tensor::<1>::from_data(data, (device, DType::F32));
            let matrix = array.shape.len() > 1;
            let parameter = Parameter {
                shape: array.shape.clone(),
                values: if matrix { values.cast(dtype) } else { values },
                frozen: false,
            };
            (*id, parameter)
        };
        Self::new(weights.arrays.iter().map(one).collect())
    }

    /// Arrays that are on a device already.
    pub(crate) fn new(arrays: IndexMap<ArrayId, Parameter>) -> Self {
        Self { arrays, lora: None }
    }

    /// An adapter's arrays and those that it is trained beside, which are frozen.
    pub(crate) fn beside(mut self, frozen: &Self, shape: &Arc<LoraShape>) -> Self {
        let frozen = frozen.arrays.iter().map(|(id, parameter)| {
            let parameter = Parameter {
                frozen: true,
                ..parameter.clone()
            };
            (*id, parameter)
        });
        self.arrays.extend(frozen);
        self.lora = Some(Arc::clone(shape));
        self
    }

    /// The arrays that are trained.
    pub(crate) fn trained(&self) -> impl Iterator<Item = (&ArrayId, &Parameter)> {
        self.arrays
            .iter()
            .filter(|(_, parameter)| !parameter.frozen)
    }

    /// Whether an array is trained.
    pub(super) fn trains(&self, id: ArrayId) -> bool {
        self.arrays.get(&id).is_some_and(|array| !array.frozen)
    }

    /// All branches of an adapter.
    pub(super) fn all_branches(&self) -> &[LoraBranch] {
        self.lora.as_ref().map_or(&[], |shape| &shape.branches)
    }

    /// The branches beside a weight, and what they are multiplied by.
    pub(super) fn branches(&self, weight: ArrayId) -> impl Iterator<Item = (&LoraBranch, f32)> {
        let shape = self.lora.iter();
        shape.flat_map(move |shape| shape.of(weight).map(|branch| (branch, shape.scale)))
    }

    /// The same in another number format.
    pub(crate) fn cast(&self, dtype: FloatDType) -> Self {
        let one = |(id, parameter): (&ArrayId, &Parameter)| {
            let parameter = Parameter {
                values: parameter.values.clone().cast(dtype),
                ..parameter.clone()
            };
            (*id, parameter)
        };
        Self {
            arrays: self.arrays.iter().map(one).collect(),
            lora: self.lora.clone(),
        }
    }

    /// An array of two dimensions.
    ///
    /// # Shapes
    /// To what the architecture has: `[inputs, outputs]` of a weight, `[rows, width]` of an embedding.
    pub(super) fn matrix(&self, id: ArrayId) -> Tensor<2> {
        let parameter = self.get(id);
        parameter
            .values
            .clone()
            .reshape([parameter.shape[0], parameter.shape[1]])
    }

    /// An array of one dimension.
    ///
    /// # Shapes
    /// To `[values]`.
    pub(super) fn vector(&self, id: ArrayId) -> Tensor<1> {
        self.get(id).values.clone()
    }

    /// An array of one dimension, `None` where the architecture has none such.
    ///
    /// # Shapes
    /// To `[values]`.
    pub(super) fn find(&self, id: ArrayId) -> Option<Tensor<1>> {
        let parameter = self.arrays.get(&id)?;
        Some(parameter.values.clone())
    }

    fn get(&self, id: ArrayId) -> &Parameter {
        self.arrays
            .get(&id)
            .expect("the weights were checked against the architecture")
    }
}
