//! Every fused kernel against the stock operations: outputs and all gradients.

use burn::tensor::{Device, Tensor, TensorData};

use super::attention::attention;
use super::cross_entropy::cross_entropy;
use super::fused::on_cpu;
use super::gelu::gelu;
use super::layer_norm::layer_norm;
use super::linear::linear;
use crate::model::dropout::Dropout;
use crate::model::rows::{Spans, Targets};

/// Numbers in [-1, 1), another set for each `seed`.
fn numbers(shape: [usize; 2], seed: u32) -> TensorData {
    let mut state = seed.wrapping_mul(2_654_435_761);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    TensorData::new(
        std::iter::repeat_with(next)
            .take(shape[0] * shape[1])
            .collect(),
        shape,
    )
}

/// Runs `op` fused, and once more hidden from the kernels, on inputs of `shapes`; compares output and gradients.
fn compare(shapes: &[[usize; 2]], op: impl Fn(Vec<Tensor<2>>) -> Tensor<2>) {
    // The kernels run on `Autodiff<Flex>`; with gradient checkpointing it is another type, which they leave alone.
    let run = |device: &Device, fused: bool| {
        let inputs: Vec<Tensor<2>> = (1..)
            .zip(shapes)
            .map(|(seed, shape)| Tensor::from_data(numbers(*shape, seed), device).require_grad())
            .collect();
        assert!(inputs.iter().all(|input| on_cpu(input).is_some() == fused));
        let output = op(inputs.clone());
        let upstream = Tensor::from_data(numbers(output.dims(), 99), device);
        let gradients = (output.clone() * upstream).sum().backward();
        let mut results = vec![output.into_data()];
        results.extend(
            inputs
                .iter()
                .map(|input| input.grad(&gradients).unwrap().into_data()),
        );
        results
    };
    let fused = run(&Device::flex().autodiff(), true);
    let stock = run(&Device::flex().autodiff().gradient_checkpointing(), false);
    for (index, (fused, stock)) in fused.into_iter().zip(stock).enumerate() {
        let (fused, stock): (Vec<f32>, Vec<f32>) =
            (fused.try_into_vec().unwrap(), stock.try_into_vec().unwrap());
        assert_eq!(fused.len(), stock.len());
        for (place, (fused, stock)) in fused.iter().zip(&stock).enumerate() {
            assert!(
                (fused - stock).abs() < 1e-5 * stock.abs().max(1.0),
                "result {index}, place {place}: {fused} {stock}"
            );
        }
    }
}

#[test]
fn linear_agrees_with_stock() {
    compare(&[[37, 5], [5, 70], [1, 70]], |inputs| {
        let [x, weight, bias] = inputs.try_into().unwrap();
        linear(x, weight, bias.reshape([70]))
    });
}

#[test]
fn gelu_agrees_with_stock() {
    compare(&[[31, 7]], |inputs| gelu(inputs[0].clone() * 4.0));
}

#[test]
fn layer_norm_agrees_with_stock() {
    compare(&[[40, 19], [1, 19], [1, 19]], |inputs| {
        let [x, gamma, beta] = inputs.try_into().unwrap();
        layer_norm(x, gamma.reshape([19]), beta.reshape([19]), 1e-5)
    });
}

#[test]
fn attention_agrees_with_stock_with_and_without_dropout() {
    for mask in [None, Dropout::new(0.3, 1, 1).map(|dropout| (dropout, 5))] {
        compare(&[[12, 24]], |inputs| {
            attention(&(inputs[0].clone() * 2.0), &Spans::new([5, 1, 6]), 2, mask)
        });
    }
}

#[test]
fn cross_entropy_agrees_with_stock() {
    let targets = Targets {
        rows: (0..140).map(|index| index % 9).collect(),
        tokens: (0..140).map(|index| index % 11).collect(),
    };
    compare(&[[9, 6], [11, 6]], |inputs| {
        cross_entropy(inputs[0].clone(), inputs[1].clone(), &targets, 1.0 / 140.0)
    });
}

#[test]
fn a_loss_worked_by_hand() {
    let device = Device::flex().autodiff();
    let hidden = Tensor::<2>::from_data([[1.0, 0.0]], &device);
    let embedding = Tensor::<2>::from_data([[0.0, 0.0], [3.0_f32.ln(), 0.0]], &device);
    let targets = Targets {
        rows: vec![0],
        tokens: vec![0],
    };
    // Logits 0 and ln 3: p = 1/4.
    let loss = cross_entropy(hidden, embedding, &targets, 1.0).into_scalar::<f32>();
    assert!((loss - 4.0_f32.ln()).abs() < 1e-6);
}
