//! Weights on a device: one flat tensor for each array, by what it is for.

use burn::tensor::{DType, Device, FloatDType, Gradients, Tensor, TensorData};
use indexmap::IndexMap;

use crate::model::architecture::ArrayId;
use crate::model::{Array, Dtype, Weights};

/// The arrays of a model, or of anything that has their shape (gradients, moments).
#[derive(Clone)]
pub(crate) struct Parameters {
    pub(crate) arrays: IndexMap<ArrayId, Parameter>,
}

/// One array, flat, and its shape.
#[derive(Clone)]
pub(crate) struct Parameter {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Tensor<1>,
}

impl Dtype {
    /// As burn has it; `None` where `device` does not multiply in it.
    pub(crate) fn on_device(self, device: &Device) -> Option<FloatDType> {
        let dtype = match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
            Self::Int8 => return None,
        };
        device.supports_dtype(dtype).then_some(dtype)
    }
}

impl Parameters {
    /// Brings weights to `device`, f32.
    pub(crate) fn upload(weights: &Weights, device: &Device) -> Self {
        let one = |(id, array): (&ArrayId, &Array)| {
            let data = TensorData::new(array.data.clone(), [array.data.len()]);
            let values = Tensor::from_data(data, (device, DType::F32));
            let shape = array.shape.clone();
            (*id, Parameter { shape, values })
        };
        Self {
            arrays: weights.arrays.iter().map(one).collect(),
        }
    }

    /// Brings the values back, as f32.
    pub(crate) fn download(&self) -> Weights {
        let one = |(id, parameter): (&ArrayId, &Parameter)| {
            let data = parameter.values.clone().cast(FloatDType::F32).into_data();
            let data = data.try_into_vec().expect("cast to f32 above");
            let shape = parameter.shape.clone();
            (*id, Array { shape, data })
        };
        Weights {
            arrays: self.arrays.iter().map(one).collect(),
        }
    }

    /// The same in another number format; differentiable.
    pub(crate) fn cast(&self, dtype: FloatDType) -> Self {
        self.map(|values| values.cast(dtype))
    }

    /// As leaves of a graph that gradients flow to.
    pub(crate) fn leaves(&self) -> Self {
        self.map(|values| values.autodiff().require_grad())
    }

    /// The gradients of these leaves, `None` for an array that none reached.
    ///
    /// # Shapes
    /// One for each array, flat.
    pub(crate) fn gradients(&self, gradients: &mut Gradients) -> Vec<Option<Tensor<1>>> {
        let leaves = self.arrays.values();
        leaves
            .map(|leaf| leaf.values.grad_remove(gradients))
            .collect()
    }

    fn map(&self, change: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        let one = |(id, parameter): (&ArrayId, &Parameter)| {
            let parameter = Parameter {
                shape: parameter.shape.clone(),
                values: change(parameter.values.clone()),
            };
            (*id, parameter)
        };
        Self {
            arrays: self.arrays.iter().map(one).collect(),
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
