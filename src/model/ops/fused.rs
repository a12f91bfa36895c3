//! The glue between kernels on slices and burn's autodiff.
//!
//! A [`Kernel`] computes forward and backward on plain f32 slices. [`apply`] records it as one node of the graph of
//! `Autodiff<Flex>`; on any other device the caller composes stock operations instead.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor, TensorData};

/// The backend that training runs on.
pub(crate) type Cpu = Autodiff<Flex>;

/// A differentiable operation on `N` row-major f32 arrays.
pub(crate) trait Kernel<const N: usize>: Clone + Debug + Send + 'static {
    /// What the backward pass needs beyond the inputs.
    type Saved: Clone + Debug + Send + 'static;

    /// Shape of the output.
    fn shape(&self) -> [usize; 2];

    /// Output, and what to save if `track`.
    fn forward(&self, inputs: [&[f32]; N], track: bool) -> (Vec<f32>, Option<Self::Saved>);

    /// Gradients of the inputs, of which `None` need not be computed when not `wanted`.
    fn backward(
        &self,
        inputs: [&[f32]; N],
        saved: Self::Saved,
        gradient: &[f32],
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N];
}

/// The primitive of a tensor that lives on the CPU with autodiff.
pub(crate) fn on_cpu<const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<Cpu>> {
    tensor.clone().try_into_primitive::<Cpu>().ok()
}

/// Runs `kernel` and records it.
pub(crate) fn apply<K: Kernel<N>, const N: usize>(
    kernel: K,
    inputs: [FloatTensor<Cpu>; N],
) -> Tensor<2> {
    let shape = kernel.shape();
    let (values, nodes): (Vec<_>, Vec<_>) = inputs
        .into_iter()
        .map(|tensor| {
            let (primitive, node) = tensor.into_parts();
            (primitive.to_contiguous(), node)
        })
        .unzip();
    let values: [FlexTensor; N] = values.try_into().expect("one value for each of N inputs");
    let nodes = nodes.try_into().expect("one node for each of N inputs");
    let prepared = Fused::<K>(PhantomData)
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound();
    let output = match prepared.stateful() {
        OpsKind::Tracked(prepared) => {
            let (output, saved) = kernel.forward(slices(&values), true);
            let saved = saved.expect("a kernel that is tracked saves its state");
            prepared.finish((kernel, values, saved), tensor(output, &shape))
        }
        OpsKind::UnTracked(prepared) => {
            let (output, _) = kernel.forward(slices(&values), false);
            prepared.finish(tensor(output, &shape))
        }
    };
    Tensor::<2, Float>::from_primitive::<Cpu>(output)
}

#[derive(Debug)]
struct Fused<K>(PhantomData<fn() -> K>);

impl<K: Kernel<N>, const N: usize> Backward<Flex, N> for Fused<K> {
    type State = (K, [FlexTensor; N], K::Saved);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = [gradients.consume::<Flex>(&ops.node).to_contiguous()];
        let (kernel, inputs, saved) = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let [gradient] = slices(&gradient);
        let results = kernel.backward(slices(&inputs), saved, gradient, wanted);
        for ((parent, input), result) in ops.parents.into_iter().zip(&inputs).zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                gradients.register::<Flex>(parent.id, tensor(result, input.layout().shape()));
            }
        }
    }
}

fn slices<const N: usize>(tensors: &[FlexTensor; N]) -> [&[f32]; N] {
    tensors.each_ref().map(|tensor| {
        tensor
            .as_slice::<f32>()
            .expect("contiguous f32, made so on entry")
    })
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}
