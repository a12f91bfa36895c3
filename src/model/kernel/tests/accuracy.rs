//! Kernels of rows against f64: values by their formulas, gradients by differences.

use super::*;

/// Values of all sizes, both signs, and 0.
fn wide() -> Vec<f32> {
    let near = (-600..=600).map(|i| i as f32 / 50.0);
    let small = (-30..=3).flat_map(|power| [1.3, -1.7].map(|x: f32| x * 2.0_f32.powi(power)));
    near.chain(small).chain([50.0, -50.0, 1e4, -1e4]).collect()
}

/// An activation in f64.
fn exact(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => x / 2.0 * libm::erfc(-x / 2.0_f64.sqrt()),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x / (1.0 + (-2.0 * inner).exp())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// The derivative of `f` at `x`.
fn derivative(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let step = 1e-5 * x.abs().max(1.0);
    (f(x + step) - f(x - step)) / (2.0 * step)
}

fn assert_near(found: f32, wanted: f64, tolerance: f64, what: &str) {
    let error = (f64::from(found) - wanted).abs();
    assert!(error <= tolerance, "{what}: {found} {wanted} ({error:e})");
}

#[test]
fn activations_and_their_slopes_are_as_accurate_as_stated() {
    let x = wide();
    let (up, upstream) = (numbers(x.len(), 1), numbers(x.len(), 2));
    let mut outs: [Vec<f32>; 5] = std::array::from_fn(|_| vec![f32::NAN; x.len()]);
    for isa in Isa::available() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            let [value, slope, product, dgate, dup] = &mut outs;
            activate(isa, activation, &x, value);
            activate_backward(isa, activation, &x, &vec![1.0; x.len()], slope);
            gated(isa, activation, &x, &up, product);
            gated_backward(isa, activation, [&x, &up], &upstream, [dgate, dup]);
            for (i, &x) in x.iter().enumerate() {
                let place = format!("{isa:?} {activation:?}({x})");
                let (x, up) = (f64::from(x), f64::from(up[i]));
                let (wanted, wanted_slope) = (
                    exact(activation, x),
                    derivative(|x| exact(activation, x), x),
                );
                let tolerance = 2.4e-7 * x.abs().max(0.3);
                assert_near(value[i], wanted, tolerance, &place);
                assert_near(slope[i], wanted_slope, 1e-6, &place);
                assert_near(product[i], wanted * up, 5.0 * tolerance, &place);
                let upstream = f64::from(upstream[i]);
                assert_near(dgate[i], upstream * up * wanted_slope, 1.6e-5, &place);
                assert_near(dup[i], upstream * wanted, 5.0 * tolerance, &place);
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let mut x = vec![1.0; 35];
    for place in [3, 20, 34] {
        x[place] = f32::NAN;
    }
    for isa in Isa::available() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            let (mut value, mut slope) = (vec![0.0; 35], vec![0.0; 35]);
            activate(isa, activation, &x, &mut value);
            activate_backward(isa, activation, &x, &[1.0; 35], &mut slope);
            for ((x, value), slope) in x.iter().zip(&value).zip(&slope) {
                let none = [value.is_nan(), slope.is_nan()];
                assert_eq!(none, [x.is_nan(); 2], "{activation:?}({x})");
            }
        }
        let mut capped = x.clone();
        soft_cap(isa, &mut capped, 1.0, 30.0);
        let same = capped
            .iter()
            .zip(&x)
            .all(|(capped, x)| capped.is_nan() == x.is_nan());
        assert!(same, "{capped:?}");
        let mut out = vec![0.0; 35];
        let scale = rms_norm(isa, &x, &[1.0; 35], 0.0, 1e-6, &mut out);
        assert!(scale.is_nan() && out.iter().all(|x| x.is_nan()));
    }
}

#[test]
fn soft_caps_are_as_accurate_as_stated() {
    let x = wide();
    let (scale, cap) = (0.7_f32, 5.0_f32);
    let exact = |x: f64| f64::from(cap) * (f64::from(scale) * x / f64::from(cap)).tanh();
    for isa in Isa::available() {
        let (mut capped, mut slopes) = (x.clone(), vec![1.0; x.len()]);
        soft_cap(isa, &mut capped, scale, cap);
        soft_cap_backward(isa, &capped, cap, &mut slopes);
        let mut weights = capped.clone();
        exp_all_of_capped(isa, &mut weights, cap, 3.0, cap);
        for (i, &x) in x.iter().enumerate() {
            let (place, x) = (format!("{isa:?} {x}"), f64::from(x));
            let wanted = exact(x);
            assert_near(capped[i], wanted, 6e-7 * wanted.abs() + 1e-44, &place);
            let slope = derivative(exact, x) / f64::from(scale);
            assert_near(slopes[i], slope, 1e-6, &place);
            let weight = 3.0 * (wanted - f64::from(cap)).exp();
            assert_near(weights[i], weight * slope, 4e-6, &place);
        }
    }
}

#[test]
fn root_mean_square_norms_and_their_gradients_agree_with_f64() {
    for width in [1, 7, 16, 40, 64, 577] {
        let [x, gain, upstream, before] = [1, 2, 3, 4].map(|seed| numbers(width, seed));
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().copied().map(f64::from).collect() };
        let [x64, gain64, upstream64] = [&x, &gain, &upstream].map(|values| wide(values));
        for (isa, offset) in Isa::available()
            .into_iter()
            .zip([0.0_f32, 1.0].into_iter().cycle())
        {
            let norm = |x: &[f64]| -> Vec<f64> {
                let mean = x.iter().map(|x| x * x).sum::<f64>() / width as f64;
                let scale = 1.0 / (mean + 1e-2).sqrt();
                let pairs = x.iter().zip(&gain64);
                pairs
                    .map(|(x, gain)| x * scale * (gain + f64::from(offset)))
                    .collect()
            };
            // Room for whole vectors, as the engine's rows have.
            let mut out = vec![f32::NAN; width.next_multiple_of(LANES)];
            let scale = rms_norm(isa, &x, &gain, offset, 1e-2, &mut out);
            for (i, wanted) in norm(&x64).into_iter().enumerate() {
                assert_near(out[i], wanted, 4e-6, &format!("{isa:?} {width} {i}"));
            }
            let mut dx = before.clone();
            rms_norm_backward(isa, &x, &gain, offset, scale, &upstream, &mut dx);
            for i in 0..width {
                let along = |value: f64| {
                    let mut x = x64.clone();
                    x[i] = value;
                    let products = norm(&x).into_iter().zip(&upstream64).map(|(y, g)| y * g);
                    products.sum()
                };
                let wanted = f64::from(before[i]) + derivative(along, x64[i]);
                assert_near(dx[i], wanted, 3e-5, &format!("{isa:?} {width} {i}"));
            }
        }
    }
}

#[test]
fn heads_are_rotated_by_halves_and_back() {
    // Of 45 values the first 38 are rotated, by pairs 19 apart.
    let (width, half) = (45, 19);
    let heads = numbers(3 * width, 1);
    let (cosines, sines) = (numbers(half, 2), numbers(half, 3));
    let upstream = numbers(3 * width, 4);
    for isa in Isa::available() {
        let mut rotated = heads.clone();
        rotate(isa, &mut rotated, width, &cosines, &sines);
        let mut gradient = upstream.clone();
        rotate_backward(isa, &mut gradient, width, &cosines, &sines);
        for head in 0..3 {
            for i in 0..width {
                let at = |values: &[f32], i: usize| f64::from(values[head * width + i]);
                let place = format!("{isa:?} head {head} value {i}");
                let (found, back) = (rotated[head * width + i], gradient[head * width + i]);
                if i >= 2 * half {
                    assert_near(found, at(&heads, i), 0.0, &place);
                    assert_near(back, at(&upstream, i), 0.0, &place);
                    continue;
                }
                let pair = i % half;
                let [cosine, sine] = [&cosines, &sines].map(|values| f64::from(values[pair]));
                let (other, sign) = if i < half {
                    (i + half, -1.0)
                } else {
                    (i - half, 1.0)
                };
                let wanted = at(&heads, i) * cosine + sign * at(&heads, other) * sine;
                assert_near(found, wanted, 4e-6, &place);
                let wanted = at(&upstream, i) * cosine - sign * at(&upstream, other) * sine;
                assert_near(back, wanted, 4e-6, &place);
            }
        }
    }
}
