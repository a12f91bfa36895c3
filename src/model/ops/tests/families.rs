//! What families beside GPT-2 need, against f64: values by their formulas, gradients by differences.

use crate::model::architecture::{Activation, Heads, QueryKeyNorm as Over, Rotary, RotaryScaling};
use crate::model::ops::activation::{gated, gated_gradient};
use crate::model::ops::attention::Attention;
use crate::model::ops::cross_entropy::{Head, HeadScratch, cross_entropy};
use crate::model::ops::layer_norm::add_gamma_gradient;
use crate::model::ops::query_key_norm::QueryKeyNorm;
use crate::model::ops::rms_norm::{add_input_gradient, rms_norm};
use crate::model::ops::rotary::Turns;
use crate::model::rows::{Spans, Targets};

/// Numbers in [-1, 1), another set for each `seed`.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn assert_close(found: &[f32], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let error = (f64::from(*found) - wanted).abs();
        let most = 1e-5 * wanted.abs().max(1.0);
        assert!(error < most, "place {place}: {found} {wanted}");
    }
}

/// The gradient at `x` of the sum of `f` times `upstream`, by differences.
fn gradient(f: impl Fn(&[f64]) -> Vec<f64>, x: &[f32], upstream: &[f32]) -> Vec<f64> {
    let (mut x, upstream, step) = (wide(x), wide(upstream), 1e-4);
    let along = |x: &[f64]| -> f64 { f(x).iter().zip(&upstream).map(|(y, g)| y * g).sum() };
    let mut differences = Vec::new();
    for index in 0..x.len() {
        let here = x[index];
        x[index] = here + step;
        let above = along(&x);
        x[index] = here - step;
        differences.push((above - along(&x)) / (2.0 * step));
        x[index] = here;
    }
    differences
}

#[test]
fn gated_rows_agree_with_f64() {
    let (rows, inner) = (9, 21);
    let (x, upstream) = (numbers(rows * 2 * inner, 1), numbers(rows * inner, 2));
    for kind in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
        let exact = |x: &[f64]| -> Vec<f64> {
            let row = |row: &[f64]| -> Vec<f64> {
                let (gate, up) = row.split_at(inner);
                let pairs = gate.iter().zip(up);
                pairs
                    .map(|(gate, up)| activated(kind, *gate) * up)
                    .collect()
            };
            x.chunks(2 * inner).flat_map(row).collect()
        };
        let (mut out, mut dx) = (vec![f32::NAN; rows * inner], vec![f32::NAN; x.len()]);
        gated(kind, inner, &x, &mut out);
        gated_gradient(kind, inner, &x, &upstream, &mut dx);
        assert_close(&out, &exact(&wide(&x)));
        assert_close(&dx, &gradient(exact, &x, &upstream));
    }
}

fn activated(kind: Activation, x: f64) -> f64 {
    match kind {
        Activation::Gelu => x / 2.0 * libm::erfc(-x / 2.0_f64.sqrt()),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x / 2.0 * (1.0 + inner.tanh())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// A row normed by the root of its mean square.
fn normed(x: &[f64], gain: &[f64], offset: f64) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean + 0.1).sqrt();
    let pairs = x.iter().zip(gain);
    pairs.map(|(x, gain)| x * scale * (gain + offset)).collect()
}

#[test]
fn root_mean_square_norms_agree_with_f64() {
    let (rows, width) = (35, 19);
    let (x, upstream) = (numbers(rows * width, 1), numbers(rows * width, 2));
    let gain = numbers(width, 3);
    for offset in [0.0_f32, 1.0] {
        let norm = |x: &[f64], gain: &[f64]| -> Vec<f64> {
            let rows = x.chunks(width);
            rows.flat_map(|row| normed(row, gain, offset.into()))
                .collect()
        };
        let (mut out, mut moments) = (vec![f32::NAN; x.len()], vec![[f32::NAN; 2]; rows]);
        rms_norm(&x, (&gain, offset), 0.1, &mut out, &mut moments);
        let (mut dx, mut dgain) = (vec![1.0; x.len()], vec![1.0; width]);
        add_input_gradient(&x, (&gain, offset), &moments, &upstream, &mut dx);
        add_gamma_gradient(&x, &moments, &upstream, &mut dgain);
        assert_close(&out, &norm(&wide(&x), &wide(&gain)));
        let plus_one = |values: Vec<f64>| -> Vec<f64> { values.iter().map(|x| x + 1.0).collect() };
        let wanted = gradient(|x| norm(x, &wide(&gain)), &x, &upstream);
        assert_close(&dx, &plus_one(wanted));
        let wanted = gradient(|gain| norm(&wide(&x), gain), &gain, &upstream);
        assert_close(&dgain, &plus_one(wanted));
    }
}

const HEADS: Heads = Heads {
    query: 6,
    key: 2,
    width: 5,
};

#[test]
fn norms_of_queries_and_keys_agree_with_f64() {
    let (rows, stride) = (35, HEADS.projected_width());
    let (queries, keys) = (HEADS.query_width(), HEADS.key_width());
    let (qkv, upstream) = (numbers(rows * stride, 1), numbers(rows * stride, 2));
    for (over, offset) in [(Over::Head, 1.0_f32), (Over::All, 0.0)] {
        let parts = match over {
            Over::Head => [HEADS.width; 2],
            Over::All => [queries, keys],
        };
        let gains = [3, 4].map(|seed| numbers(parts[seed as usize - 3], seed));
        let exact = |x: &[f64], gains: [&[f64]; 2]| -> Vec<f64> {
            let row = |row: &[f64]| -> Vec<f64> {
                let (query, rest) = row.split_at(queries);
                let (key, value) = rest.split_at(keys);
                let sides = [query, key].into_iter().zip(gains);
                let sides = sides.flat_map(|(side, gain)| {
                    let parts = side.chunks(gain.len());
                    parts
                        .flat_map(|part| normed(part, gain, offset.into()))
                        .collect::<Vec<_>>()
                });
                sides.chain(value.iter().copied()).collect()
            };
            x.chunks(stride).flat_map(row).collect()
        };
        let norm = QueryKeyNorm {
            over,
            heads: HEADS,
            gains: gains.each_ref().map(|gain| &gain[..]),
            offset,
            epsilon: 0.1,
        };
        let count = QueryKeyNorm::count(over, HEADS);
        let (mut out, mut scales) = (vec![f32::NAN; qkv.len()], vec![f32::NAN; rows * count]);
        norm.forward(&qkv, &mut out, &mut scales);
        let [query, key] = gains.each_ref().map(|gain| wide(gain));
        assert_close(&out, &exact(&wide(&qkv), [&query, &key]));
        let x = wide(&qkv);
        let wanted = [
            gradient(|gain| exact(&x, [gain, &key]), &gains[0], &upstream),
            gradient(|gain| exact(&x, [&query, gain]), &gains[1], &upstream),
        ];
        for (which, wanted) in wanted.into_iter().enumerate() {
            let mut dgain = vec![1.0; wanted.len()];
            norm.add_gain_gradient(which, &qkv, &scales, &upstream, &mut dgain);
            let wanted: Vec<f64> = wanted.iter().map(|x| x + 1.0).collect();
            assert_close(&dgain, &wanted);
        }
        let mut dqkv = upstream.clone();
        norm.input_gradient(&qkv, &scales, &mut dqkv);
        let wanted = gradient(|x| exact(x, [&query, &key]), &qkv, &upstream);
        assert_close(&dqkv, &wanted);
    }
}

#[test]
fn rotations_follow_positions_and_leave_values_alone() {
    let rotary = Rotary {
        theta: 100.0,
        width: 4,
        scaling: RotaryScaling::None,
    };
    let mut turns = Turns::new(rotary);
    // As memory of one micro-batch after another grows.
    turns.reserve(2);
    turns.reserve(40);
    let positions: Vec<usize> = (0..3).chain(0..38).collect();
    let stride = HEADS.projected_width();
    let turned = HEADS.query_width() + HEADS.key_width();
    let exact = |x: &[f64]| -> Vec<f64> {
        let mut out = x.to_vec();
        for (row, position) in out.chunks_mut(stride).zip(&positions) {
            for head in row[..turned].chunks_mut(HEADS.width) {
                for pair in 0..2 {
                    let angle = *position as f64 * 100.0_f64.powf(-(pair as f64) / 2.0);
                    let (a, b) = (head[pair], head[pair + 2]);
                    head[pair] = a * angle.cos() - b * angle.sin();
                    head[pair + 2] = b * angle.cos() + a * angle.sin();
                }
            }
        }
        out
    };
    let (qkv, upstream) = (numbers(41 * stride, 1), numbers(41 * stride, 2));
    let (mut out, mut dqkv) = (qkv.clone(), upstream.clone());
    turns.rotate(HEADS, &positions, &mut out);
    turns.rotate_gradient(HEADS, &positions, &mut dqkv);
    assert_close(&out, &exact(&wide(&qkv)));
    assert_close(&dqkv, &gradient(exact, &qkv, &upstream));
}

/// Attention as its formula says.
fn attended(attention: &Attention<'_>, qkv: &[f64]) -> Vec<f64> {
    let heads = attention.heads;
    let (stride, width) = (heads.projected_width(), heads.query_width());
    let mut out = vec![0.0; attention.spans.rows() * width];
    for span in attention.spans.ranges() {
        for row in span.clone() {
            let first = attention.window.map_or(span.start, |window| {
                (row + 1).saturating_sub(window).max(span.start)
            });
            for head in 0..heads.query {
                let shared = head / (heads.query / heads.key);
                let at = |row: usize, column: usize| &qkv[row * stride + column..][..heads.width];
                let query = at(row, head * heads.width);
                let weights: Vec<f64> = (first..=row)
                    .map(|seen| {
                        let key = at(seen, width + shared * heads.width);
                        let dot: f64 = query.iter().zip(key).map(|(q, k)| q * k).sum();
                        let score = dot * f64::from(attention.scale);
                        let cap = attention.cap.map(f64::from);
                        cap.map_or(score, |cap| cap * (score / cap).tanh()).exp()
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                for (seen, weight) in (first..=row).zip(&weights) {
                    let value = at(seen, width + heads.key_width() + shared * heads.width);
                    let out = &mut out[row * width + head * heads.width..];
                    for (out, value) in out.iter_mut().zip(value) {
                        *out += weight / total * value;
                    }
                }
            }
        }
    }
    out
}

#[test]
fn attention_with_shared_keys_windows_and_caps_agrees_with_f64() {
    let spans = Spans::new([5, 1, 7]);
    let qkv = numbers(13 * HEADS.projected_width(), 1);
    let upstream = numbers(13 * HEADS.query_width(), 2);
    for (cap, window) in [
        (None, None),
        (None, Some(3)),
        (Some(0.7), None),
        (Some(0.7), Some(1)),
        (Some(0.7), Some(4)),
        (None, Some(7)),
    ] {
        let attention = Attention {
            spans: &spans,
            heads: HEADS,
            scale: 0.8,
            cap,
            window,
            mask: None,
        };
        let (mut out, mut dqkv) = (vec![f32::NAN; upstream.len()], vec![f32::NAN; qkv.len()]);
        attention.forward(&qkv, &mut out);
        attention.backward(&qkv, &upstream, &mut dqkv);
        let exact = |qkv: &[f64]| attended(&attention, qkv);
        assert_close(&out, &exact(&wide(&qkv)));
        assert_close(&dqkv, &gradient(exact, &qkv, &upstream));
    }
}

#[test]
#[expect(clippy::cast_possible_truncation, reason = "compared to five digits")]
fn cross_entropy_of_capped_logits_agrees_with_f64() {
    let (width, cap) = (6, 0.9);
    let targets = Targets {
        rows: (0..140).map(|index| index % 9).collect(),
        tokens: (0..140).map(|index| index % 11).collect(),
    };
    let (hidden, weight) = (numbers(9 * width, 1), numbers(11 * width, 2));
    let exact = |hidden: &[f64], weight: &[f64]| -> Vec<f64> {
        let pairs = targets.rows.iter().zip(&targets.tokens);
        let loss = |(row, token): (&usize, &u32)| {
            let hidden = &hidden[row * width..][..width];
            let logits: Vec<f64> = weight
                .chunks(width)
                .map(|weight| {
                    let logit: f64 = hidden.iter().zip(weight).map(|(h, w)| h * w).sum();
                    f64::from(cap) * (logit / f64::from(cap)).tanh()
                })
                .collect();
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            total.ln() - logits[*token as usize]
        };
        vec![pairs.map(loss).sum::<f64>() / 140.0]
    };
    let head = Head {
        weight: &weight,
        width,
        cap: Some(cap),
    };
    let (mut dhidden, mut dweight) = (vec![1.0; hidden.len()], vec![1.0; weight.len()]);
    let mut scratch = HeadScratch::default();
    let scale = 1.0 / 140.0;
    let wanted = Some((&mut dhidden[..], Some(&mut dweight[..])));
    let loss = cross_entropy(&hidden, head, &targets, scale, wanted, &mut scratch);
    let again = cross_entropy(&hidden, head, &targets, scale, None, &mut scratch);
    assert_eq!(loss.to_bits(), again.to_bits());
    let (wide_hidden, wide_weight) = (wide(&hidden), wide(&weight));
    assert_close(&[loss as f32], &exact(&wide_hidden, &wide_weight));
    let plus_one = |values: Vec<f64>| -> Vec<f64> { values.iter().map(|x| x + 1.0).collect() };
    let wanted = gradient(|hidden| exact(hidden, &wide_weight), &hidden, &[1.0]);
    assert_close(&dhidden, &plus_one(wanted));
    let wanted = gradient(|weight| exact(&wide_hidden, weight), &weight, &[1.0]);
    assert_close(&dweight, &plus_one(wanted));
}
