//! Kernels against f64, and instruction sets against each other.
#![expect(unsafe_code, reason = "calls kernels that are generic over `Lanes`")]
#![expect(
    clippy::many_single_char_names,
    reason = "the letters of matrix products"
)]

use super::reference::{activated, gelu_f64};
use super::{Numbers, bits};
use crate::model::architecture::Activation;
use crate::model::engine::gemm::{Epilogue, MatrixRows, PART, multiply};
use crate::model::engine::gemm_int8::{PackedInt8, multiply_int8};
use crate::model::engine::packed::{Columns, Packed};
use crate::model::engine::parallel::Parallel;
use crate::model::kernel::activation::{Function, GeluTanh};
use crate::model::kernel::buffer::row_stride;
use crate::model::kernel::lanes::{Isa, LANES, Lanes, kernel};
use crate::model::kernel::vector::{
    dot, exp, exp_all, exp_of_scores, layer_norm, most_probable, softmax, sum_exp,
};
use crate::model::source::Values;

#[test]
fn products_agree_with_f64_and_across_instruction_sets_and_row_counts() {
    let (k, n, rows) = (70, 75, 29);
    let mut numbers = Numbers(1);
    let (x, w) = (numbers.list(rows * k, 2.0), numbers.list(k * n, 2.0));
    let (bias, old) = (
        numbers.list(n, 1.0),
        numbers.list(rows * row_stride(n), 1.0),
    );
    let packed = Packed::new(&w, k, Columns::Plain(n), Some(&bias));
    let stride = row_stride(n);
    for epilogue in [
        Epilogue::Store,
        Epilogue::Activate(Activation::Gelu),
        Epilogue::Activate(Activation::GeluTanh),
        Epilogue::Activate(Activation::Silu),
        Epilogue::Add,
    ] {
        let run = |isa: Isa, first: usize, count: usize| {
            let mut y = old[first * stride..(first + count) * stride].to_vec();
            let input = MatrixRows {
                data: &x[first * k..],
                stride: k,
                count,
            };
            multiply(
                Parallel::serial(isa),
                input,
                &packed,
                epilogue,
                &mut y,
                stride,
            );
            y
        };
        let all = run(Isa::available()[0], 0, rows);
        for r in 0..rows {
            for j in 0..n {
                let dot = |i| f64::from(x[r * k + i]) * f64::from(w[i * n + j]);
                let sum = (0..k).map(dot).sum::<f64>() + f64::from(bias[j]);
                let expected = match epilogue {
                    Epilogue::Store => sum,
                    Epilogue::Activate(activation) => activated(activation, sum),
                    Epilogue::Gate(_) => unreachable!("tried below"),
                    Epilogue::Add => sum + f64::from(old[r * stride + j]),
                };
                let found = f64::from(all[r * stride + j]);
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
        for isa in Isa::available() {
            for count in 1..=14 {
                let part = run(isa, 3, count);
                let whole = &all[3 * stride..(3 + count) * stride];
                assert_eq!(
                    bits(&part),
                    bits(whole),
                    "{isa:?} {count} rows {epilogue:?}"
                );
            }
        }
    }
}

/// A chain that goes through in parts is one chain all the same.
#[test]
fn long_chains_in_parts_change_no_bit() {
    let (k, n, rows) = (2 * PART + 7, 40, 13);
    let mut numbers = Numbers(3);
    let (x, w) = (numbers.list(rows * k, 2.0), numbers.list(k * n, 2.0));
    let stride = row_stride(n);
    let (bias, old) = (numbers.list(n, 1.0), numbers.list(rows * stride, 1.0));
    let packed = Packed::new(&w, k, Columns::Plain(n), Some(&bias));
    let chain =
        |r: usize, j: usize| (0..k).fold(bias[j], |sum, i| x[r * k + i].mul_add(w[i * n + j], sum));
    for isa in Isa::available() {
        for epilogue in [Epilogue::Store, Epilogue::Add] {
            let mut y = old.clone();
            let input = MatrixRows::new(&x, k, rows);
            let serial = Parallel::serial(isa);
            multiply(serial, input, &packed, epilogue, &mut y, stride);
            for r in 0..rows {
                for j in 0..n {
                    let before = old[r * stride + j];
                    let expected = match epilogue {
                        Epilogue::Add => before + chain(r, j),
                        _ => chain(r, j),
                    };
                    let found = y[r * stride + j];
                    assert_eq!(found.to_bits(), expected.to_bits(), "{isa:?} {r} {j}");
                }
            }
        }
    }
}

/// A gate of `half` columns and what it gates are one product, whatever `half` leaves of a panel.
#[test]
fn gated_products_are_the_gate_times_what_it_gates() {
    let (k, rows) = (23, 13);
    for half in [5, 16, 41] {
        let mut numbers = Numbers(5);
        let x = numbers.list(rows * k, 2.0);
        let (w, bias) = (numbers.list(k * 2 * half, 2.0), numbers.list(2 * half, 1.0));
        let stride = row_stride(half);
        let f32 = Packed::new(&w, k, Columns::Gated(half), Some(&bias));
        let int8 = PackedInt8::new(&w, k, Columns::Gated(half), Some(&bias));
        let whole = PackedInt8::new(&w, k, Columns::Plain(2 * half), Some(&bias));
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            let gate = Epilogue::Gate(activation);
            let mut first = None;
            for isa in Isa::available() {
                let parallel = Parallel::serial(isa);
                let input = || MatrixRows::new(&x, k, rows);
                let (mut y, mut y8) = (vec![0.0; rows * stride], vec![0.0; rows * stride]);
                multiply(parallel, input(), &f32, gate, &mut y, stride);
                multiply_int8(parallel, input(), &int8, gate, &mut y8, stride);
                let mut sums = vec![0.0; rows * row_stride(2 * half)];
                let store = Epilogue::Store;
                multiply_int8(
                    parallel,
                    input(),
                    &whole,
                    store,
                    &mut sums,
                    row_stride(2 * half),
                );
                for r in 0..rows {
                    for j in 0..half {
                        let sum = |j: usize| {
                            let dot = |i| f64::from(x[r * k + i]) * f64::from(w[i * 2 * half + j]);
                            (0..k).map(dot).sum::<f64>() + f64::from(bias[j])
                        };
                        let expected = activated(activation, sum(j)) * sum(half + j);
                        let found = f64::from(y[r * stride + j]);
                        assert!((found - expected).abs() < 2e-5, "{found} {expected}");
                        let sum = |j: usize| f64::from(sums[r * row_stride(2 * half) + j]);
                        let expected = activated(activation, sum(j)) * sum(half + j);
                        let found = f64::from(y8[r * stride + j]);
                        assert!((found - expected).abs() < 2e-5, "int8 {found} {expected}");
                    }
                }
                let seen = (bits(&y), bits(&y8));
                assert!(
                    *first.get_or_insert_with(|| seen.clone()) == seen,
                    "{isa:?}"
                );
            }
        }
    }
}

#[test]
fn a_transposed_pack_is_the_same_matrix() {
    let (k, n) = (5, 40);
    let w = Numbers(2).list(k * n, 1.0);
    let turned: Vec<f32> = (0..n * k).map(|i| w[i % k * n + i / k]).collect();
    let (a, b) = (
        Packed::new(&w, k, Columns::Plain(n), None),
        Packed::transposed(&Values::Borrowed(&turned), k, n).unwrap(),
    );
    let mut columns = [vec![0.0; k], vec![0.0; k]];
    for column in 0..n {
        a.copy_column(column, &mut columns[0]);
        b.copy_column(column, &mut columns[1]);
        assert_eq!(columns[0], turned[column * k..][..k]);
        assert_eq!(columns[0], columns[1]);
    }
}

unsafe fn apply_generic<V: Lanes>(x: &[f32], exps: &mut Vec<f32>, gelus: &mut Vec<f32>) {
    for block in x.as_chunks::<LANES>().0 {
        // SAFETY: sixteen values; the CPU is the caller's promise.
        let v = unsafe { V::load(block.as_ptr()) };
        // SAFETY: as above.
        exps.extend(unsafe { exp(v) }.to_array());
        // SAFETY: as above.
        gelus.extend(unsafe { GeluTanh::value(v) }.to_array());
    }
}
kernel! { fn apply(x: &[f32], exps: &mut Vec<f32>, gelus: &mut Vec<f32>) = apply_generic }

#[test]
fn exp_and_gelu_are_as_accurate_as_stated_and_pass_on_nan() {
    let x: Vec<f32> = (-139_200..139_200).map(|i| i as f32 / 1600.0).collect();
    let mut first: Option<(Vec<u32>, Vec<u32>)> = None;
    for isa in Isa::available() {
        let (mut exps, mut gelus) = (Vec::new(), Vec::new());
        apply(isa, &x, &mut exps, &mut gelus);
        for (i, &x) in x.iter().enumerate() {
            let x = f64::from(x);
            let error = (f64::from(exps[i]) / x.exp() - 1.0).abs();
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}): {error:e}");
            let error = (f64::from(gelus[i]) - gelu_f64(x)).abs();
            assert!(error < 4e-7 * x.abs().max(0.3), "gelu({x}): {error:e}");
        }
        let both = (bits(&exps), bits(&gelus));
        assert!(
            *first.get_or_insert_with(|| both.clone()) == both,
            "{isa:?}"
        );
        let (mut exps, mut gelus) = (Vec::new(), Vec::new());
        apply(isa, &[f32::NAN; 16], &mut exps, &mut gelus);
        assert!(exps[0].is_nan() && gelus[0].is_nan());
    }
}

unsafe fn scores_of_generic<V: Lanes>(scores: &mut [f32], scale: f32) -> f32 {
    // SAFETY: the CPU is the caller's promise.
    unsafe { exp_of_scores::<V>(scores, scale) }
}
kernel! { fn scores_of(scores: &mut [f32], scale: f32) -> f32 = scores_of_generic }

#[test]
fn row_kernels_agree_with_f64_and_across_instruction_sets() {
    let mut numbers = Numbers(3);
    for width in [1, 15, 16, 40, 129] {
        let x = numbers.list(width, 6.0);
        let padded = width.next_multiple_of(LANES);
        let (mut gain, mut bias) = (numbers.list(padded, 2.0), numbers.list(padded, 2.0));
        gain[width..].fill(0.0);
        bias[width..].fill(0.0);
        let exact: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let mean = exact.iter().sum::<f64>() / width as f64;
        let variance = exact.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
        let max = exact.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = exact.iter().map(|v| (v - max).exp()).sum();
        let mut first = None;
        for isa in Isa::available() {
            let mut out = vec![9.0; padded];
            let [centre, scale] = layer_norm(isa, &x, &gain, &bias, 1e-5, &mut out);
            assert!((f64::from(centre) - mean).abs() < 1e-6);
            assert!((f64::from(scale) * (variance + 1e-5).sqrt() - 1.0).abs() < 1e-5);
            let mut unpadded = vec![9.0; width];
            layer_norm(isa, &x, &gain[..width], &bias[..width], 1e-5, &mut unpadded);
            assert_eq!(bits(&unpadded), bits(&out[..width]));
            for i in 0..width {
                let normal = (exact[i] - mean) / (variance + 1e-5).sqrt();
                let expected = normal * f64::from(gain[i]) + f64::from(bias[i]);
                assert!((f64::from(out[i]) - expected).abs() < 2e-6);
            }
            assert!(out[width..].iter().all(|&v| v == 0.0));
            let (top, sum) = sum_exp(isa, &x, 1.0);
            assert!((f64::from(top) - max).abs() < 1e-9);
            assert!((sum / total - 1.0).abs() < 1e-6);
            let mut scores = x.clone();
            let weight = scores_of(isa, &mut scores, 0.5);
            let half: f64 = exact.iter().map(|v| (0.5 * (v - max)).exp()).sum();
            assert!((f64::from(weight) / half - 1.0).abs() < 1e-6);
            let mut shares = x.clone();
            softmax(isa, &mut shares, 0.5);
            for (share, score) in shares.iter().zip(&scores) {
                assert!((share * weight / score - 1.0).abs() < 1e-6);
            }
            let mut exps = x.clone();
            exp_all(isa, &mut exps, top, 3.0);
            for (exp, exact) in exps.iter().zip(&exact) {
                assert!((f64::from(*exp) / (3.0 * (exact - max).exp()) - 1.0).abs() < 1e-6);
            }
            let product = dot(isa, &x, &gain[..width]);
            let exact_product: f64 = exact
                .iter()
                .zip(&gain)
                .map(|(x, g)| x * f64::from(*g))
                .sum();
            assert!((f64::from(product) - exact_product).abs() < 1e-4);
            scores.extend([product]);
            scores.extend(shares);
            scores.extend(exps);
            let seen = (
                bits(&out),
                top.to_bits(),
                sum.to_bits(),
                bits(&scores),
                weight.to_bits(),
            );
            assert!(
                *first.get_or_insert_with(|| seen.clone()) == seen,
                "{isa:?}"
            );
        }
    }
    assert!(
        !sum_exp(Isa::available()[0], &[1.0, f32::NAN], 1.0)
            .1
            .is_finite()
    );
    assert!(
        !sum_exp(Isa::available()[0], &[1.0, f32::INFINITY], 1.0)
            .1
            .is_finite()
    );
}

#[test]
fn the_most_probable_are_sorted_and_ties_go_to_the_lower_id() {
    let mut x = vec![0.5; 37];
    x[36] = 3.0;
    x[20] = 3.0;
    x[2] = f32::NAN;
    x[5] = f32::NEG_INFINITY;
    for isa in Isa::available() {
        let mut best = Vec::new();
        most_probable(isa, &x, 4, &mut best);
        assert_eq!(best, [(3.0, 20), (3.0, 36), (0.5, 0), (0.5, 1)]);
        most_probable(isa, &x, 99, &mut best);
        assert_eq!(best.len(), 35);
        most_probable(isa, &x, 0, &mut best);
        assert!(best.is_empty());
    }
}
