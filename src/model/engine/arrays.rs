//! The arrays that a model is packed of: looked up by role, checked by shape, read or taken as they are packed.

use indexmap::IndexMap;

use super::linear::Linear;
use super::norm::Norm;
use super::packed::Columns;
use super::pass::single;
use crate::model::architecture::{
    Architecture, ArrayId, ArraySpec, Norm as NormSpec, NormKind, Role,
};
use crate::model::source::Values;
use crate::model::{Dtype, EngineError, ModelError, WeightSource};

/// The arrays that are there, and those that are to be.
pub(super) struct Arrays<'a> {
    weights: WeightSource<'a>,
    specs: IndexMap<ArrayId, ArraySpec>,
    norm: NormSpec,
}

impl<'a> Arrays<'a> {
    /// # Errors
    /// There is an array that the architecture has not: the weights are another's.
    pub(super) fn new(
        architecture: &Architecture,
        weights: WeightSource<'a>,
    ) -> Result<Self, EngineError> {
        let specs = architecture.arrays().into_iter();
        let specs: IndexMap<ArrayId, ArraySpec> = specs.map(|spec| (spec.id, spec)).collect();
        let mut ids = weights.ids().into_iter();
        if let Some(stranger) = ids.find(|id| !specs.contains_key(id)) {
            return Err(EngineError::UnknownArray(architecture.name(stranger)));
        }
        Ok(Self {
            weights,
            specs,
            norm: architecture.norm,
        })
    }

    /// An array's values and shape.
    pub(super) fn take(&mut self, id: ArrayId) -> Result<(Values<'a>, &[usize]), EngineError> {
        let ArraySpec { name, shape, .. } = &self.specs[&id];
        let array = self.weights.take(id);
        let (found, values) = array.ok_or_else(|| EngineError::MissingArray {
            name: name.clone(),
            shape: shape.clone(),
        })?;
        if found != *shape || values.len() != shape.iter().product::<usize>() {
            return Err(EngineError::ArrayShape {
                name: name.clone(),
                found,
                values: values.len(),
                expected: shape.clone(),
            });
        }
        Ok((values, shape))
    }

    /// An array's values, in memory.
    pub(super) fn read(&mut self, id: ArrayId) -> Result<Vec<f32>, EngineError> {
        let (values, _) = self.take(id)?;
        Ok(values.all(&mut Vec::new())?.to_vec())
    }

    /// A linear map, still to be packed.
    pub(super) fn linear(
        &mut self,
        role: Role,
        layer: usize,
        columns: impl Fn(usize) -> Columns,
    ) -> Result<Unpacked<'a>, EngineError> {
        let bias = ArrayId::bias(role, layer);
        let bias = if self.specs.contains_key(&bias) {
            Some(self.take(bias)?.0)
        } else {
            None
        };
        let id = ArrayId::weight(role, layer);
        let name = self.specs[&id].name.clone();
        let (weights, shape) = self.take(id)?;
        Ok(Unpacked {
            name,
            weights,
            bias,
            k: shape[0],
            columns: columns(shape[1]),
        })
    }

    /// A norm; `None` where the architecture has none there.
    pub(super) fn norm(
        &mut self,
        role: Role,
        layer: Option<usize>,
    ) -> Result<Option<Norm>, EngineError> {
        let gain = ArrayId::weight(role, layer);
        if !self.specs.contains_key(&gain) {
            return Ok(None);
        }
        let gain = self.read(gain)?;
        let bias = match self.norm.kind {
            NormKind::Layer => self.read(ArrayId::bias(role, layer))?,
            NormKind::Rms { .. } => Vec::new(),
        };
        let NormSpec { kind, epsilon, .. } = self.norm;
        Ok(Some(Norm::new(kind, &gain, &bias, single(epsilon))))
    }
}

/// A weight matrix `[k, n]` and its bias, still to be packed.
pub(super) struct Unpacked<'a> {
    name: String,
    weights: Values<'a>,
    bias: Option<Values<'a>>,
    k: usize,
    columns: Columns,
}

impl Unpacked<'_> {
    /// `room` holds what has to be read.
    pub(super) fn pack(self, dtype: Dtype, room: &mut Vec<f32>) -> Result<Linear, ModelError> {
        let bias = match &self.bias {
            Some(bias) => Some(bias.all(room)?.to_vec()),
            None => None,
        };
        let weights = self.weights.all(room)?;
        Linear::new(
            &self.name,
            dtype,
            weights,
            self.k,
            self.columns,
            bias.as_deref(),
        )
    }
}
