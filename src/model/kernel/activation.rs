//! Activations of rows, what they gate, and their gradients. Every value stands alone.
//!
//! Accuracy: values are within 4 units in the last place of `x` (of 0.3 where `x` is smaller), slopes within 1e-6.
//! Source: Hendrycks & Gimpel 2016; Shazeer 2020 for what is gated.
#![expect(unsafe_code, reason = "calls vector instructions through `Lanes`")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use super::lanes::{LANES, Lanes, kernel};
use super::vector::{exp, load_head, store_head};
use crate::model::architecture::Activation;

/// `Q(a) exp(a^2 / 2) / k` by powers of `k = 1 / (1 + 0.35 a)`, where `Q(a)` is the part of a normal
/// distribution above `a >= 0`; the
/// highest power first. Within 4e-8 of it. Fitted at Chebyshev's nodes.
const ABOVE: [f32; 9] = [
    -0.029_679_522,
    0.146_545_83,
    -0.260_961_23,
    0.165_051,
    -0.027_046_608,
    0.107_114_59,
    0.119_444_92,
    0.139_912_3,
    0.139_618_71,
];
/// `1 / sqrt(2 pi)`.
const DENSITY: f32 = 0.398_942_3;

/// An activation, value by value.
pub(crate) trait Function {
    /// What it makes of `x`. Safety: the CPU has `V`'s instructions.
    unsafe fn value<V: Lanes>(x: V) -> V;

    /// That, and its derivative at `x`. Safety: the CPU has `V`'s instructions.
    unsafe fn value_and_slope<V: Lanes>(x: V) -> [V; 2];
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, written as `x` times a logistic function.
pub(crate) struct GeluTanh;

impl Function for GeluTanh {
    #[inline(always)]
    unsafe fn value<V: Lanes>(x: V) -> V {
        // SAFETY: the caller's promise.
        unsafe {
            // -2 sqrt(2 / pi), and that times 0.044715.
            let inner = x.mul(x).fma(V::splat(-0.071_354_82), V::splat(-1.595_769));
            x.div(V::splat(1.0).add(exp(x.mul(inner))))
        }
    }

    #[inline(always)]
    unsafe fn value_and_slope<V: Lanes>(x: V) -> [V; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let (one, square) = (V::splat(1.0), x.mul(x));
            // x s with s = 1 / (1 + e), e = exp(-2u); s' = s (1 - s) 2u', and 1 - s = e s.
            let inner = square.fma(V::splat(-0.071_354_82), V::splat(-1.595_769));
            let e = exp(x.mul(inner));
            let s = one.div(one.add(e));
            // 2u' = 2 sqrt(2 / pi) (1 + 3 * 0.044715 x^2).
            let slope = square.fma(V::splat(0.214_064_46), V::splat(1.595_769));
            [x.mul(s), x.mul(slope).mul(e.mul(s)).fma(s, s)]
        }
    }
}

/// `x` times the part of a normal distribution below `x`.
pub(crate) struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    unsafe fn value<V: Lanes>(x: V) -> V {
        // SAFETY: the caller's promise.
        unsafe {
            let [above, _] = normal_above(x);
            V::splat(0.0).max(x).sub(magnitude(x).mul(above))
        }
    }

    #[inline(always)]
    unsafe fn value_and_slope<V: Lanes>(x: V) -> [V; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let (zero, one) = (V::splat(0.0), V::splat(1.0));
            let [above, e] = normal_above(x);
            let value = zero.max(x).sub(magnitude(x).mul(above));
            // Where x > 0 one less what is above it, else what is above -x.
            let positive = one.min(zero.max(x.mul(V::splat(f32::MAX))));
            let below = positive.fma(V::splat(-2.0), one).fma(above, positive);
            [value, x.mul(V::splat(DENSITY)).fma(e, below)]
        }
    }
}

/// `Q(|x|)` and `exp(-x^2 / 2)`; `Q` as of [`ABOVE`]. Safety: the CPU has `V`'s instructions.
#[inline(always)]
unsafe fn normal_above<V: Lanes>(x: V) -> [V; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let one = V::splat(1.0);
        let k = one.div(magnitude(x).fma(V::splat(0.35), one));
        let e = exp(x.mul(x).mul(V::splat(-0.5)));
        let [highest, lower @ ..] = ABOVE;
        let mut p = V::splat(highest);
        for coefficient in lower {
            p = p.fma(k, V::splat(coefficient));
        }
        [p.mul(k).mul(e), e]
    }
}

/// `|x|`. Safety: the CPU has `V`'s instructions.
#[inline(always)]
unsafe fn magnitude<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe { V::splat(0.0).sub(x).max(x) }
}

/// `x` times the logistic function of `x`.
pub(crate) struct Silu;

impl Function for Silu {
    #[inline(always)]
    unsafe fn value<V: Lanes>(x: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { x.div(V::splat(1.0).add(exp(V::splat(0.0).sub(x)))) }
    }

    #[inline(always)]
    unsafe fn value_and_slope<V: Lanes>(x: V) -> [V; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let one = V::splat(1.0);
            // s' = s (1 - s), and 1 - s = e s.
            let e = exp(V::splat(0.0).sub(x));
            let s = one.div(one.add(e));
            let value = x.mul(s);
            [value, value.mul(e.mul(s)).add(s)]
        }
    }
}

/// Calls a function that is generic over lanes and a [`Function`] with the one that an [`Activation`] names.
macro_rules! with_function {
    ($activation:expr, $generic:ident($($arg:expr),*)) => {
        // SAFETY: the caller's promise.
        unsafe {
            match $activation {
                Activation::Gelu => $generic::<V, Gelu>($($arg),*),
                Activation::GeluTanh => $generic::<V, GeluTanh>($($arg),*),
                Activation::Silu => $generic::<V, Silu>($($arg),*),
            }
        }
    };
}

/// Sixteen values from the place `at` on; zeros beyond the end. Safety: the CPU has `V`'s instructions.
#[inline(always)]
unsafe fn load_at<V: Lanes>(values: &[f32], at: usize) -> V {
    // SAFETY: the CPU is the caller's promise; the pointer is to sixteen values.
    unsafe {
        match values[at..].first_chunk::<LANES>() {
            Some(chunk) => V::load(chunk.as_ptr()),
            None => load_head(&values[at..], 0.0),
        }
    }
}

/// The counterpart of [`load_at`].
#[inline(always)]
fn store_at<V: Lanes>(lanes: V, values: &mut [f32], at: usize) {
    match values[at..].first_chunk_mut::<LANES>() {
        // SAFETY: the pointer is to sixteen values.
        Some(chunk) => unsafe { lanes.store(chunk.as_mut_ptr()) },
        None => store_head(lanes, &mut values[at..]),
    }
}

/// [`activate`] by one function. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x` and `out` are of one length.
#[inline(always)]
unsafe fn activate_by<V: Lanes, F: Function>(x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    for at in (0..x.len()).step_by(LANES) {
        // SAFETY: the caller's promise.
        store_at(unsafe { F::value(load_at::<V>(x, at)) }, out, at);
    }
}

/// The body of [`activate`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x` and `out` are of one length.
#[inline(always)]
unsafe fn activate_generic<V: Lanes>(activation: Activation, x: &[f32], out: &mut [f32]) {
    with_function!(activation, activate_by(x, out));
}

kernel! {
    /// What `activation` makes of every value, into `out`.
    ///
    /// # Shapes
    /// `x` and `out` are of one length.
    fn activate(activation: Activation, x: &[f32], out: &mut [f32]) = activate_generic
}

/// [`activate_backward`] by one function. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x`, `upstream` and `dx` are of one length.
#[inline(always)]
unsafe fn activate_backward_by<V: Lanes, F: Function>(x: &[f32], upstream: &[f32], dx: &mut [f32]) {
    assert!(x.len() == upstream.len() && x.len() == dx.len());
    for at in (0..x.len()).step_by(LANES) {
        // SAFETY: the caller's promise.
        let dx_here = unsafe {
            let [_, slope] = F::value_and_slope(load_at::<V>(x, at));
            slope.mul(load_at(upstream, at))
        };
        store_at(dx_here, dx, at);
    }
}

/// The body of [`activate_backward`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x`, `upstream` and `dx` are of one length.
#[inline(always)]
unsafe fn activate_backward_generic<V: Lanes>(
    activation: Activation,
    x: &[f32],
    upstream: &[f32],
    dx: &mut [f32],
) {
    with_function!(activation, activate_backward_by(x, upstream, dx));
}

kernel! {
    /// `upstream` times the derivative of `activation` at `x`, into `dx`.
    ///
    /// # Shapes
    /// `x`, `upstream` and `dx` are of one length.
    fn activate_backward(
        activation: Activation, x: &[f32], upstream: &[f32], dx: &mut [f32]
    ) = activate_backward_generic
}

/// [`gated`] by one function. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `gate`, `up` and `out` are of one length.
#[inline(always)]
unsafe fn gated_by<V: Lanes, F: Function>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert!(gate.len() == up.len() && gate.len() == out.len());
    for at in (0..gate.len()).step_by(LANES) {
        // SAFETY: the caller's promise.
        let product = unsafe { F::value(load_at::<V>(gate, at)).mul(load_at(up, at)) };
        store_at(product, out, at);
    }
}

/// The body of [`gated`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `gate`, `up` and `out` are of one length.
#[inline(always)]
unsafe fn gated_generic<V: Lanes>(
    activation: Activation,
    gate: &[f32],
    up: &[f32],
    out: &mut [f32],
) {
    with_function!(activation, gated_by(gate, up, out));
}

kernel! {
    /// What `activation` makes of `gate`, times `up`, into `out`.
    ///
    /// # Shapes
    /// `gate`, `up` and `out` are of one length.
    fn gated(activation: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) = gated_generic
}

/// [`gated_backward`] by one function. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// All are of one length.
#[inline(always)]
unsafe fn gated_backward_by<V: Lanes, F: Function>(
    [gate, up]: [&[f32]; 2],
    upstream: &[f32],
    [dgate, dup]: [&mut [f32]; 2],
) {
    assert!([up.len(), upstream.len(), dgate.len(), dup.len()] == [gate.len(); 4]);
    for at in (0..gate.len()).step_by(LANES) {
        // SAFETY: the caller's promise.
        let [dgate_here, dup_here] = unsafe {
            let [value, slope] = F::value_and_slope(load_at::<V>(gate, at));
            let upstream = load_at::<V>(upstream, at);
            [
                upstream.mul(load_at(up, at)).mul(slope),
                upstream.mul(value),
            ]
        };
        store_at(dgate_here, dgate, at);
        store_at(dup_here, dup, at);
    }
}

/// The body of [`gated_backward`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// All are of one length.
#[inline(always)]
unsafe fn gated_backward_generic<V: Lanes>(
    activation: Activation,
    inputs: [&[f32]; 2],
    upstream: &[f32],
    gradients: [&mut [f32]; 2],
) {
    with_function!(activation, gated_backward_by(inputs, upstream, gradients));
}

kernel! {
    /// The gradients of [`gated`]'s gate and of what it gates, into `gradients`, in this order as in `inputs`.
    ///
    /// # Shapes
    /// All are of one length.
    fn gated_backward(
        activation: Activation, inputs: [&[f32]; 2], upstream: &[f32], gradients: [&mut [f32]; 2]
    ) = gated_backward_generic
}
