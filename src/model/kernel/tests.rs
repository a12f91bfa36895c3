//! Every instruction set against the portable lanes, and every machine against the one that wrote the digest below.
#![expect(unsafe_code, reason = "calls kernels that are generic over `Lanes`")]

use super::activation::{activate, activate_backward, gated, gated_backward};
use super::int8::{Bytes, Group, STEP, Sums, ZERO, multiply_groups, quantize};
use super::lanes::{Isa, LANES, Lanes, kernel};
use super::rms_norm::{rms_norm, rms_norm_backward};
use super::rotary::{rotate, rotate_backward};
use super::soft_cap::{exp_all_of_capped, soft_cap, soft_cap_backward};
use super::tile::{MAX_TILE_ROWS, PANEL};
use super::vector::{dot, exp_all, layer_norm, layer_norm_backward, softmax, sum_exp};
use crate::model::architecture::Activation;

mod accuracy;

/// Signs, limits, subnormal numbers, numbers that round, what `pow2` takes, and what is no number.
const SPECIAL: [f32; LANES] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    f32::MIN_POSITIVE,
    1e-45,
    -1e-40,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    12_582_912.0 - 126.0,
    12_582_912.0 + 127.0,
    -7.3e19,
];

/// Results of every operation. Which NaN arithmetic gives is left to the CPU, so that is one number here; `max` and
/// `min` give their argument, whichever NaN it is.
unsafe fn operate_generic<V: Lanes>(operands: [&[f32; LANES]; 3], out: &mut Vec<u32>) {
    // SAFETY: sixteen values each; the CPU is the caller's promise.
    let [a, b, c] = operands.map(|values| unsafe { V::load(values.as_ptr()) });
    let one_nan = |x: f32| if x.is_nan() { f32::NAN } else { x };
    let arithmetic = [a.add(b), a.sub(b), a.mul(b), a.div(b), a.fma(b, c)];
    for lanes in arithmetic {
        out.extend(lanes.to_array().map(|x| one_nan(x).to_bits()));
    }
    for lanes in [a.max(b), a.min(b), a.pow2()] {
        out.extend(lanes.to_array().map(f32::to_bits));
    }
    // SAFETY: the CPU is the caller's promise.
    let first = unsafe { V::splat(operands[0][0]) };
    let whole = [a.add(first).sum(), a.greatest(), b.max(first).greatest()];
    out.extend(whole.map(|x| one_nan(x).to_bits()));
    out.extend([a.above(b), b.above(first)]);
}
kernel! { fn operate(operands: [&[f32; LANES]; 3], out: &mut Vec<u32>) = operate_generic }

#[test]
fn every_operation_gives_the_portable_bits_in_every_lane() {
    let turned = |by: usize| std::array::from_fn(|i| SPECIAL[(i + by) % LANES]);
    let isas = Isa::available();
    // All triples, each in all lanes.
    for place in 0..LANES * LANES * LANES {
        let by = [place / LANES / LANES, place / LANES % LANES, place % LANES];
        let values: [[f32; LANES]; 3] = by.map(turned);
        let results = isas.iter().map(|&isa| {
            let mut out = Vec::new();
            operate(isa, values.each_ref(), &mut out);
            (isa, out)
        });
        let results: Vec<(Isa, Vec<u32>)> = results.collect();
        let (_, portable) = results.last().unwrap();
        for (isa, out) in &results {
            assert_eq!(out, portable, "{isa:?} {values:?}");
        }
    }
}

unsafe fn turn_generic<V: Lanes>(from: &[f32], from_row: usize, to: &mut [f32], to_row: usize) {
    assert!(from.len() >= (LANES - 1) * from_row + LANES);
    assert!(to.len() >= (LANES - 1) * to_row + LANES);
    // SAFETY: both hold sixteen rows (asserted); the CPU is the caller's promise.
    unsafe { V::transpose(from.as_ptr(), from_row, to.as_mut_ptr(), to_row) };
}
kernel! { fn turn(from: &[f32], from_row: usize, to: &mut [f32], to_row: usize) = turn_generic }

#[test]
fn a_transpose_puts_every_value_in_its_place_and_writes_nothing_else() {
    let from: Vec<f32> = (0..LANES * 40).map(|value| value as f32).collect();
    for isa in Isa::available() {
        for [from_row, to_row] in [[LANES, LANES], [37, 18], [17, 32]] {
            let mut to = vec![-1.0; LANES * to_row];
            turn(isa, &from, from_row, &mut to, to_row);
            for (place, value) in to.iter().enumerate() {
                let (row, column) = (place / to_row, place % to_row);
                let expected = if column < LANES {
                    from[column * from_row + row]
                } else {
                    -1.0
                };
                let is_it = value.to_bits() == f32::to_bits(expected);
                assert!(is_it, "{isa:?}: row {row}, column {column}: {value}");
            }
        }
    }
}

/// Numbers in [-4, 4), another list for each `seed`.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 2_097_152.0 - 4.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// What the row kernels of GPT-2 make of rows of many lengths.
fn rows(isa: Isa) -> Vec<f32> {
    let mut all = Vec::new();
    for width in (1..=50).chain([129, 1000]) {
        let [x, gain, bias, upstream] = [1, 2, 3, 4].map(|seed| numbers(width, seed));
        let mut out = vec![0.0; width];
        activate(isa, Activation::GeluTanh, &x, &mut out);
        all.extend(&out);
        activate_backward(isa, Activation::GeluTanh, &x, &upstream, &mut out);
        all.extend(&out);
        let moments = layer_norm(isa, &x, &gain, &bias, 1e-5, &mut out);
        all.extend(moments);
        all.extend(&out);
        layer_norm_backward(isa, &x, &gain, moments, &upstream, &mut out);
        all.extend(&out);
        let (greatest, sum) = sum_exp(isa, &x, 0.7);
        #[expect(clippy::cast_possible_truncation, reason = "24 bits of it will do")]
        all.extend([greatest, sum as f32, dot(isa, &x, &gain)]);
        out.copy_from_slice(&x);
        softmax(isa, &mut out, 0.7);
        all.extend(&out);
        out.copy_from_slice(&x);
        exp_all(isa, &mut out, greatest, 3.0);
        all.extend(&out);
        let mut bytes = vec![0; width.next_multiple_of(4)];
        all.push(quantize(isa, &x, &mut bytes));
        all.extend(bytes.into_iter().map(f32::from));
    }
    all
}

/// The same of those that other families need.
fn rows_of_families(isa: Isa) -> Vec<f32> {
    let mut all = Vec::new();
    for width in (1..=50).chain([129, 1000]) {
        let [x, gain, upstream] = [5, 6, 7].map(|seed| numbers(width, seed));
        let mut out = vec![0.0; width];
        let mut other = out.clone();
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            activate(isa, activation, &x, &mut out);
            all.extend(&out);
            activate_backward(isa, activation, &x, &upstream, &mut out);
            all.extend(&out);
            gated(isa, activation, &x, &gain, &mut out);
            all.extend(&out);
            let gradients = [&mut out[..], &mut other];
            gated_backward(isa, activation, [&x, &gain], &upstream, gradients);
            all.extend(out.iter().chain(&other));
        }
        for offset in [0.0, 1.0] {
            let scale = rms_norm(isa, &x, &gain, offset, 1e-6, &mut out);
            all.push(scale);
            all.extend(&out);
            rms_norm_backward(isa, &x, &gain, offset, scale, &upstream, &mut out);
            all.extend(&out);
        }
        // Two heads, of which the last values stay where they are.
        let mut heads = numbers(2 * (2 * width + 3), 8);
        rotate(isa, &mut heads, 2 * width + 3, &gain, &upstream);
        all.extend(&heads);
        rotate_backward(isa, &mut heads, 2 * width + 3, &upstream, &x);
        all.extend(&heads);
        out.copy_from_slice(&x);
        soft_cap(isa, &mut out, 0.7, 2.5);
        all.extend(&out);
        other.copy_from_slice(&upstream);
        soft_cap_backward(isa, &out, 2.5, &mut other);
        all.extend(&other);
        exp_all_of_capped(isa, &mut out, 2.0, 3.0, 2.5);
        all.extend(&out);
    }
    all
}

/// FNV-1a, by words.
fn digest(values: &[f32]) -> String {
    let digest = values.iter().fold(0xcbf2_9ce4_8422_2325, |hash, x| {
        (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{digest:016x}")
}

/// A kernel that is changed on purpose changes these, and the numbers of `model::numerics` with them.
#[test]
fn rows_have_the_same_bits_on_every_machine() {
    for isa in Isa::available() {
        assert_eq!(digest(&rows(isa)), "a889d7582120d026", "{isa:?}");
        let digest = digest(&rows_of_families(isa));
        assert_eq!(digest, "4b8300d650b98bbe", "{isa:?}");
    }
}

#[test]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "remainders of 255"
)]
fn sums_of_bytes_are_exact_on_every_instruction_set() {
    for (rows, steps) in [(1, 1), (MAX_TILE_ROWS, 3), (5, 257)] {
        let stride = steps * STEP + 7;
        // All bytes that quantised rows and weights have, in both orders of sign.
        let data: Vec<u8> = (0..rows * stride)
            .map(|i| (1 + i * 89 % 255) as u8)
            .collect();
        let weight = |at: usize| ((at * 151 % 255) as i32 - 127) as i8;
        let group = |step| Group(std::array::from_fn(|at| weight(step * PANEL * STEP + at)));
        let panel: Vec<Group> = (0..steps).map(group).collect();
        let column = |column: usize, byte: &dyn Fn(usize) -> i64| {
            let along = (0..steps * STEP).map(|k| {
                let weight = panel[k / STEP].0[column * STEP + k % STEP];
                byte(k) * i64::from(weight)
            });
            i32::try_from(along.sum::<i64>()).unwrap()
        };
        let zero = i64::from(ZERO);
        let lower: Sums = std::array::from_fn(|at| column(at, &|_| zero));
        let expected: Vec<Sums> = (0..rows)
            .map(|row| {
                let byte = |k: usize| i64::from(data[row * stride + k]) - zero;
                std::array::from_fn(|at| column(at, &byte))
            })
            .collect();
        for isa in Isa::available() {
            let mut sums = [[0; PANEL]; MAX_TILE_ROWS];
            let x = Bytes {
                data: &data,
                stride,
                rows,
            };
            multiply_groups(isa, x, &panel, &lower, &mut sums);
            assert_eq!(sums[..rows], expected, "{isa:?}: {rows} rows of {steps}");
        }
    }
}
