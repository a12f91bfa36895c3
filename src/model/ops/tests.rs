//! Every kernel against burn's stock operations and its autodiff: outputs and all gradients.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};

use super::activation::{activate, activate_gradient};
use super::attention::Attention;
use super::cross_entropy::{Head, HeadScratch, cross_entropy};
use super::layer_norm::{add_gamma_gradient, add_input_gradient, layer_norm};
use super::linear::{add_bias_gradient, add_weight_gradient, input_gradient, linear};
use crate::model::architecture::{Activation, Heads};
use crate::model::dropout::Dropout;
use crate::model::rows::{Spans, Targets};

mod families;

/// Numbers in [-1, 1), another set for each `seed`.
fn numbers([rows, columns]: [usize; 2], seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(rows * columns).collect()
}

/// Output and gradients of `op` by autodiff, on inputs of `shapes` numbered from 1 and the upstream numbered 99.
fn stock(shapes: &[[usize; 2]], op: impl Fn(Vec<Tensor<2>>) -> Tensor<2>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let tensor =
        |shape, seed| Tensor::<2>::from_data(TensorData::new(numbers(shape, seed), shape), &device);
    let inputs: Vec<Tensor<2>> = (1..)
        .zip(shapes)
        .map(|(seed, shape)| tensor(*shape, seed).require_grad())
        .collect();
    let output = op(inputs.clone());
    let upstream = tensor(output.dims(), 99);
    let gradients = (output.clone() * upstream).sum().backward();
    let mut results = vec![output.into_data()];
    results.extend(
        inputs
            .iter()
            .map(|input| input.grad(&gradients).unwrap().into_data()),
    );
    let values = |data: TensorData| data.try_into_vec().unwrap();
    results.into_iter().map(values).collect()
}

fn assert_close(found: &[Vec<f32>], wanted: &[Vec<f32>]) {
    assert_eq!(found.len(), wanted.len());
    for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert_eq!(found.len(), wanted.len());
        for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!(
                (found - wanted).abs() < 1e-5 * wanted.abs().max(1.0),
                "result {index}, place {place}: {found} {wanted}"
            );
        }
    }
}

/// Takes away the ones from which a sum of gradients began.
fn less_one(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|value| value - 1.0).collect()
}

#[test]
fn linear_agrees_with_stock() {
    let shapes = [[37, 5], [5, 70], [1, 70]];
    let wanted = stock(&shapes, |inputs| {
        inputs[0].clone().matmul(inputs[1].clone()) + inputs[2].clone()
    });
    let (x, weight) = (numbers(shapes[0], 1), numbers(shapes[1], 2));
    let (bias, upstream) = (numbers(shapes[2], 3), numbers([37, 70], 99));
    // What is set may hold anything before; what is added to holds ones.
    let (mut out, mut dx) = (vec![f32::NAN; 37 * 70], vec![f32::NAN; 37 * 5]);
    let (mut dweight, mut dbias) = (vec![1.0; 5 * 70], vec![1.0; 70]);
    linear(&x, &weight, Some(&bias), 70, &mut out);
    input_gradient(&upstream, &weight, 70, &mut dx);
    add_weight_gradient(&x, &upstream, 70, &mut dweight);
    add_bias_gradient(&upstream, &mut dbias);
    assert_close(&[out, dx, less_one(dweight), less_one(dbias)], &wanted);
}

#[test]
fn activations_agree_with_stock() {
    for kind in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
        let wanted = stock(&[[31, 7]], |inputs| match kind {
            Activation::Gelu => activation::gelu(inputs[0].clone()),
            Activation::GeluTanh => activation::gelu_approximate(inputs[0].clone()),
            Activation::Silu => activation::silu(inputs[0].clone()),
        });
        let (x, upstream) = (numbers([31, 7], 1), numbers([31, 7], 99));
        let (mut out, mut dx) = (vec![f32::NAN; 217], vec![f32::NAN; 217]);
        activate(kind, &x, &mut out);
        activate_gradient(kind, &x, &upstream, &mut dx);
        assert_close(&[out, dx], &wanted);
    }
}

#[test]
fn layer_norm_agrees_with_stock() {
    let shapes = [[40, 19], [1, 19], [1, 19]];
    let wanted = stock(&shapes, |inputs| {
        let centred = inputs[0].clone() - inputs[0].clone().mean_dim(1);
        let variance = (centred.clone() * centred.clone()).mean_dim(1);
        centred / (variance + 1e-5).sqrt() * inputs[1].clone() + inputs[2].clone()
    });
    let (x, gamma) = (numbers(shapes[0], 1), numbers(shapes[1], 2));
    let (beta, upstream) = (numbers(shapes[2], 3), numbers(shapes[0], 99));
    let (mut out, mut moments) = (vec![f32::NAN; 760], vec![[f32::NAN; 2]; 40]);
    layer_norm(&x, [&gamma, &beta], 1e-5, &mut out, &mut moments);
    let (mut dx, mut dgamma, mut dbeta) = (vec![1.0; 760], vec![1.0; 19], vec![1.0; 19]);
    add_input_gradient(&x, &gamma, &moments, &upstream, &mut dx);
    add_gamma_gradient(&x, &moments, &upstream, &mut dgamma);
    add_bias_gradient(&upstream, &mut dbeta);
    let found = [out, less_one(dx), less_one(dgamma), less_one(dbeta)];
    assert_close(&found, &wanted);
}

#[test]
fn attention_agrees_with_stock_with_and_without_dropout() {
    let (heads, width, spans) = (2, 8, Spans::new([5, 1, 6]));
    for mask in [
        None,
        Dropout::new([0.3, 0.0], 1, 1).map(|dropout| (dropout, 5)),
    ] {
        let wanted = stock(&[[12, 24]], |inputs| {
            let outputs = spans.ranges().iter().enumerate().map(|(part, span)| {
                let rows = inputs[0].clone().slice([span.clone()]);
                stock_attention(&rows, heads, |values, head| {
                    if let Some((dropout, site)) = mask {
                        dropout.fill_head(site, part, (head, heads), values);
                    }
                })
            });
            Tensor::cat(outputs.collect(), 0)
        });
        let (qkv, upstream) = (numbers([12, 24], 1), numbers([12, 8], 99));
        let attention = Attention {
            spans: &spans,
            heads: Heads {
                query: heads,
                key: heads,
                width: width / heads,
            },
            scale: 0.5,
            cap: None,
            window: None,
            mask,
        };
        let (mut out, mut dqkv) = (vec![f32::NAN; 12 * 8], vec![f32::NAN; 12 * 24]);
        attention.forward(&qkv, &mut out);
        attention.backward(&qkv, &upstream, &mut dqkv);
        assert_close(&[out, dqkv], &wanted);
    }
}

/// One sequence; `fill` makes a head's mask of ones.
fn stock_attention(qkv: &Tensor<2>, heads: usize, fill: impl Fn(&mut [f32], usize)) -> Tensor<2> {
    let [length, columns] = qkv.dims();
    let width = columns / 3;
    let part = |index: usize| {
        let columns = index * width..(index + 1) * width;
        let part = qkv.clone().slice([0..length, columns]);
        part.reshape([length, heads, width / heads]).swap_dims(0, 1)
    };
    let (query, key, value) = (part(0), part(1), part(2));
    let scores = query.matmul(key.swap_dims(1, 2)) / ((width / heads) as f64).sqrt();
    let future = Tensor::<2, Bool>::tril_mask([length, length], 0, &qkv.device());
    let scores = scores.mask_fill(future.unsqueeze(), f32::NEG_INFINITY);
    let mut mask = vec![1.0; heads * length * length];
    for (head, mask) in mask.chunks_mut(length * length).enumerate() {
        fill(mask, head);
    }
    let mask = TensorData::new(mask, [heads, length, length]);
    let weights = activation::softmax(scores, 2) * Tensor::from_data(mask, &qkv.device());
    weights
        .matmul(value)
        .swap_dims(0, 1)
        .reshape([length, width])
}

#[test]
#[expect(clippy::cast_possible_truncation, reason = "compared to five digits")]
fn cross_entropy_agrees_with_stock() {
    let targets = Targets {
        rows: (0..140).map(|index| index % 9).collect(),
        tokens: (0..140).map(|index| index % 11).collect(),
    };
    let wanted = stock(&[[9, 6], [11, 6]], |inputs| {
        let device = inputs[0].device();
        let rows: Vec<i64> = (0..140).map(|index| index % 9).collect();
        let tokens: Vec<i64> = (0..140).map(|index| index % 11).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [140]), &device);
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [140, 1]), &device);
        let logits = inputs[0].clone().select(0, rows);
        let logits = logits.matmul(inputs[1].clone().transpose());
        let chosen = activation::log_softmax(logits, 1).gather(1, tokens);
        (chosen.sum() * (-1.0 / 140.0)).reshape([1, 1])
    });
    let (hidden, embedding) = (numbers([9, 6], 1), numbers([11, 6], 2));
    let upstream = numbers([1, 1], 99)[0];
    let (mut dhidden, mut dembedding) = (vec![1.0; 54], vec![1.0; 66]);
    let mut scratch = HeadScratch::default();
    let mut loss = |gradients| {
        let scale = 1.0 / 140.0;
        let head = Head {
            weight: &embedding,
            width: 6,
            cap: None,
        };
        cross_entropy(&hidden, head, &targets, scale, gradients, &mut scratch)
    };
    let found = loss(Some((&mut dhidden[..], Some(&mut dembedding[..]))));
    assert_eq!(found.to_bits(), loss(None).to_bits());
    let scaled = |values: Vec<f32>| {
        let values = less_one(values).into_iter();
        values.map(|value| value * upstream).collect()
    };
    let found = [vec![found as f32], scaled(dhidden), scaled(dembedding)];
    assert_close(&found, &wanted);
}

#[test]
fn a_loss_worked_by_hand() {
    let targets = Targets {
        rows: vec![0],
        tokens: vec![0],
    };
    // Logits 0 and ln 3: p = 1/4.
    let embedding = [0.0, 0.0, 3.0_f32.ln(), 0.0];
    let mut scratch = HeadScratch::default();
    let head = Head {
        weight: &embedding,
        width: 2,
        cap: None,
    };
    let loss = cross_entropy(&[1.0, 0.0], head, &targets, 1.0, None, &mut scratch);
    assert!((loss - 4.0_f64.ln()).abs() < 1e-6);
}
