//! What is trained, end to end in a few tensors on a device: an update is then a few operations, however many arrays there
//! are.

use std::sync::Arc;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use indexmap::IndexMap;

use super::adam::{Adam, CLIP_EPSILON};
use super::backend::Update;
use super::checkpoint::TrainState;
use crate::model::architecture::ArrayId;
use crate::model::lora::LoraShape;
use crate::model::network::{Gradients, Parameter, Parameters};
use crate::model::{Array, Weights};

/// Trained arrays and Adam's moments of them, on a device.
pub(super) struct FlatState {
    /// Where each array lies, in the order of the weights.
    places: IndexMap<ArrayId, Place>,
    /// Those that decay, and those that do not; `None` where there are none.
    groups: [Option<Group>; 2],
    /// What an adapter is trained beside.
    frozen: Option<(Parameters, Arc<LoraShape>)>,
}

/// Where an array lies.
struct Place {
    group: usize,
    first: usize,
    shape: Vec<usize>,
}

impl Place {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Arrays of which the same is done: `[values]` each, f32.
struct Group {
    values: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
}

/// Gradients of [`FlatState`]'s groups, times the loss's scale.
pub(super) type FlatGradients = [Option<Tensor<1>>; 2];

impl FlatState {
    /// Brings weights and moments to `device`; `frozen` is what an adapter is trained beside, whose matrices are held in
    /// `dtype`.
    pub(super) fn upload(
        state: &TrainState,
        frozen: Option<&(Weights, Arc<LoraShape>)>,
        dtype: FloatDType,
        device: &Device,
    ) -> Self {
        let mut lengths = [0; 2];
        let place = |(id, array): (&ArrayId, &Array)| {
            // Biases and norms do not decay.
            let group = usize::from(array.shape.len() < 2);
            let first = lengths[group];
            lengths[group] += array.data.len();
            let shape = array.shape.clone();
            let place = Place {
                group,
                first,
                shape,
            };
            (*id, place)
        };
        let places: IndexMap<ArrayId, Place> = state.weights.arrays.iter().map(place).collect();
        let flat = |weights: &Weights, group| {
            let of_group = |id: &ArrayId| places[id].group == group;
            let arrays = weights.arrays.iter().filter(|(id, _)| of_group(id));
            let values: Vec<f32> = arrays.flat_map(|(_, array)| &array.data).copied().collect();
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), (device, DType::F32))
        };
        let groups = [0, 1].map(|group| {
            (lengths[group] > 0).then(|| Group {
                values: flat(&state.weights, group),
                first: flat(&state.adam.first, group),
                second: flat(&state.adam.second, group),
            })
        });
        Self {
            places,
            groups,
            frozen: frozen.map(|(weights, shape)| {
                let weights = Parameters::upload_in(weights, dtype, device);
                (weights, Arc::clone(shape))
            }),
        }
    }

    /// The arrays as a network reads them: matrices in `dtype`, all of them brought to it at once.
    pub(super) fn parameters(&self, dtype: FloatDType) -> Parameters {
        let dtypes = [dtype, FloatDType::F32];
        let groups = [0, 1].map(|group| {
            let values = self.groups[group].as_ref().map(|of| of.values.clone());
            values.map(|values| values.cast(dtypes[group]))
        });
        let one = |(id, place): (&ArrayId, &Place)| {
            let values = groups[place.group].clone();
            let values = values.expect("its arrays are not empty");
            let parameter = Parameter {
                shape: place.shape.clone(),
                values: values.narrow(0, place.first, place.len()),
                frozen: false,
            };
            (*id, parameter)
        };
        let trained = Parameters::new(self.places.iter().map(one).collect());
        match &self.frozen {
            None => trained,
            Some((frozen, shape)) => trained.beside(frozen, shape),
        }
    }

    /// Gradients of the arrays end to end, zeros for one that none reached.
    pub(super) fn flat(&self, mut gradients: Gradients) -> FlatGradients {
        let mut parts: [Vec<Tensor<1>>; 2] = [Vec::new(), Vec::new()];
        for (id, place) in &self.places {
            let values = self.groups[place.group].as_ref();
            let device = values.expect("its arrays are not empty").values.device();
            let zeros = || Tensor::zeros([place.len()], (&device, DType::F32));
            parts[place.group].push(gradients.take(*id).unwrap_or_else(zeros));
        }
        parts.map(|parts| (!parts.is_empty()).then(|| Tensor::cat(parts, 0)))
    }

    /// One update, as [`Adam::step`] does it on the CPU; f32. `gradients` are times `loss_scale`.
    pub(super) fn step(
        &mut self,
        gradients: FlatGradients,
        state: &Adam,
        update: &Update<'_>,
        loss_scale: f64,
    ) {
        let options = update.options;
        let scaled = scale(&gradients, options.grad_clip, loss_scale);
        let power = i32::try_from(state.steps).unwrap_or(i32::MAX);
        let (beta1, beta2) = (options.adam_beta1, options.adam_beta2);
        let step_size = update.learning_rate / (1.0 - beta1.powi(power));
        let root = (1.0 - beta2.powi(power)).sqrt();
        let decays = [1.0 - update.learning_rate * options.weight_decay, 1.0];
        let groups = self.groups.iter_mut().zip(gradients).zip(decays);
        for ((group, gradient), decay) in groups {
            let (Some(of), Some(gradient)) = (group.take(), gradient) else {
                continue;
            };
            let gradient = scaled(gradient);
            let first = of.first.clone() + (gradient.clone() - of.first) * (1.0 - beta1);
            let second = of.second * beta2 + gradient.clone() * gradient * (1.0 - beta2);
            let change =
                first.clone() * step_size / (second.clone().sqrt() / root + options.adam_epsilon);
            *group = Some(Group {
                values: of.values * decay - change,
                first,
                second,
            });
        }
    }

    /// A number for each group, which comes to be only if all values of the group have.
    ///
    /// # Shapes
    /// `[1]` each.
    pub(super) fn sums(&self) -> Vec<Tensor<1>> {
        let groups = self.groups.iter().flatten();
        groups.map(|of| of.values.clone().sum()).collect()
    }

    /// Brings weights and moments back.
    pub(super) fn download(&self, state: &mut TrainState) {
        let part = |part: fn(&Group) -> &Tensor<1>| {
            self.groups.each_ref().map(|group| group.as_ref().map(part))
        };
        self.bring(part(|of| &of.values), &mut state.weights);
        self.bring(part(|of| &of.first), &mut state.adam.first);
        self.bring(part(|of| &of.second), &mut state.adam.second);
    }

    /// Brings what lies as the groups do back to arrays.
    pub(super) fn bring(&self, groups: [Option<&Tensor<1>>; 2], weights: &mut Weights) {
        let host = |values: &Tensor<1>| {
            let data = values.clone().into_data();
            data.try_into_vec::<f32>().expect("they are f32")
        };
        let groups = groups.map(|values| values.map(host).unwrap_or_default());
        for (id, place) in &self.places {
            let own = place.first..place.first + place.len();
            let values = &groups[place.group][own];
            weights.arrays[id].data.copy_from_slice(values);
        }
    }
}

/// What brings gradients to their own size and their common norm down to `limit`; that one is found on the device.
fn scale(
    gradients: &FlatGradients,
    limit: Option<f64>,
    loss_scale: f64,
) -> impl Fn(Tensor<1>) -> Tensor<1> + use<> {
    let squares = gradients.iter().flatten();
    let squares = squares.map(|gradient| (gradient.clone() * gradient.clone()).sum());
    let factor = limit.and_then(|limit| {
        let sum = squares.reduce(|sum, more| sum + more)?;
        let norm = sum.sqrt() / loss_scale;
        Some(((norm + CLIP_EPSILON).recip() * limit).clamp_max(1.0) / loss_scale)
    });
    move |gradient| match &factor {
        Some(factor) => gradient * factor.clone(),
        None if loss_scale > 1.0 => gradient / loss_scale,
        None => gradient,
    }
}

/// Adds gradients to others.
pub(super) fn add(sums: &mut FlatGradients, more: FlatGradients) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = match (sum.take(), more) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
    }
}
