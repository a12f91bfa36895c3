//! Weights of 16 bits: the same bits as in 32 where they are the same numbers, and kept as files have them.

#![expect(
    clippy::many_single_char_names,
    reason = "the letters of matrix products"
)]

use super::families::CONFIGS;
use super::*;
use crate::model::architecture::{Activation, Output, Part};
use crate::model::engine::gemm::{Epilogue, MatrixRows, multiply};
use crate::model::engine::gemm_half::{PackedHalf, multiply_half};
use crate::model::engine::packed::{Columns, Packed};
use crate::model::engine::table::Table;
use crate::model::kernel::buffer::row_stride;
use crate::model::kernel::half::HalfFormat;
use crate::model::source::Values;
use crate::model::{ModelError, weight_bytes};

const FORMATS: [(Dtype, HalfFormat); 2] = [
    (Dtype::Bf16, HalfFormat::Bf16),
    (Dtype::F16, HalfFormat::F16),
];

/// `values` as `format` holds them.
fn rounded(format: HalfFormat, values: &[f32]) -> Vec<f32> {
    let mut bits = vec![0; values.len()];
    format.narrow(values, &mut bits);
    bits.into_iter().map(|bits| format.widen(bits)).collect()
}

/// `weights` with the matrices of products, and the embedding, rounded to `format`.
fn rounded_weights(format: HalfFormat, architecture: &Architecture, weights: &Weights) -> Weights {
    let mut weights = weights.clone();
    for (id, array) in &mut weights.arrays {
        let kept = matches!(
            id.role,
            Role::QueryKeyValue
                | Role::AttentionOut
                | Role::Up
                | Role::Down
                | Role::Output
                | Role::TokenEmbedding
        );
        if kept && id.part == Part::Weight {
            array.data = rounded(format, &array.data);
        }
    }
    assert_eq!(weights.arrays.len(), architecture.arrays().len());
    weights
}

/// Products are those of the rounded weights in f32, bit for bit: on every instruction set, for every number of rows, and
/// over several pieces of a panel.
#[test]
fn products_are_those_of_the_same_numbers_in_f32() {
    // `k` and `n` fill no piece and no panel; rows fill more than one block.
    let (k, n, rows) = (301, 75, 140);
    let mut numbers = Numbers(2);
    let (x, bias) = (numbers.list(rows * k, 2.0), numbers.list(n, 1.0));
    let mut w = numbers.list(k * n, 2.0);
    // Subnormal in f16, and what rounds to zero there.
    (w[3], w[4], w[5]) = (3e-6, -1e-9, 0.0);
    let stride = row_stride(n);
    for (_, format) in FORMATS {
        let f32 = Packed::new(&rounded(format, &w), k, Columns::Plain(n), Some(&bias));
        let half = PackedHalf::new(format, &w, k, Columns::Plain(n), Some(&bias));
        for epilogue in [
            Epilogue::Store,
            Epilogue::Activate(Activation::GeluTanh),
            Epilogue::Add,
        ] {
            let first = Parallel::serial(Isa::available()[0]);
            let all = MatrixRows::new(&x, k, rows);
            let mut expected = vec![1.0; rows * stride];
            multiply(first, all, &f32, epilogue, &mut expected, stride);
            for isa in Isa::available() {
                for count in (1..=14).chain([140]) {
                    let first = if count == 140 { 0 } else { 3 };
                    let x = MatrixRows::new(&x[first * k..], k, count);
                    let mut y = vec![1.0; count * stride];
                    multiply_half(Parallel::serial(isa), x, &half, epilogue, &mut y, stride);
                    let whole = &expected[first * stride..(first + count) * stride];
                    assert_eq!(bits(&y), bits(whole), "{isa:?} {count} {epilogue:?}");
                }
            }
        }
        // A gate and what it gates, of odd columns.
        let (w, gated) = (&w[..k * 74], Columns::Gated(37));
        let f32 = Packed::new(&rounded(format, w), k, gated, None);
        let half = PackedHalf::new(format, w, k, gated, None);
        let gate = Epilogue::Gate(Activation::Silu);
        let stride = row_stride(37);
        for isa in Isa::available() {
            let input = || MatrixRows::new(&x, k, 13);
            let [mut y, mut z] = [0.0, 0.0].map(|zero| vec![zero; 13 * stride]);
            multiply(Parallel::serial(isa), input(), &f32, gate, &mut y, stride);
            multiply_half(Parallel::serial(isa), input(), &half, gate, &mut z, stride);
            assert_eq!(bits(&y), bits(&z), "{isa:?}");
        }
    }
}

#[test]
fn a_transposed_matrix_is_the_matrix() {
    let (k, n) = (71, 600);
    let w = Numbers(4).list(k * n, 2.0);
    let turned: Vec<f32> = (0..n * k).map(|i| w[i % k * n + i / k]).collect();
    for (_, format) in FORMATS {
        let packed = PackedHalf::new(format, &w, k, Columns::Plain(n), None);
        let turned = Values::Borrowed(&turned);
        let turned = PackedHalf::transposed("w", format, &turned, k, n).unwrap();
        for column in 0..n {
            let exact: Vec<f32> = (0..k).map(|i| w[i * n + column]).collect();
            let mut columns = [vec![0.0; k], vec![0.0; k]];
            packed.copy_column(column, &mut columns[0]);
            turned.copy_column(column, &mut columns[1]);
            let expected = bits(&rounded(format, &exact));
            assert!(columns.iter().all(|found| bits(found) == expected));
        }
    }
}

/// All families, tied and untied, on every instruction set: a model whose weights are numbers of the format gives the
/// same bits as in f32, and another gives those of its rounded weights.
#[test]
fn a_model_of_rounded_weights_is_the_same_bits_as_in_f32() {
    let tokens: Vec<u32> = (0..40).map(|i| (i * i + 3) % 45).collect();
    let mut untied = 0;
    for (what, config) in CONFIGS {
        let architecture = super::families::odd(config);
        untied += usize::from(architecture.output == Output::Separate);
        let weights = random(&architecture);
        let logits = |weights: &Weights, dtype, isa| {
            let options = EngineOptions {
                dtype,
                ..options(2, 0)
            };
            let engine = Engine::with_isa(&architecture, weights, options, isa).unwrap();
            bits(&engine.logits(&tokens).unwrap())
        };
        let exact = logits(&weights, Dtype::F32, Isa::available()[0]);
        for (dtype, format) in FORMATS {
            let rounded = rounded_weights(format, &architecture, &weights);
            let expected = logits(&rounded, Dtype::F32, Isa::available()[0]);
            assert_ne!(expected, exact, "{what} {dtype}");
            for isa in Isa::available() {
                for weights in [&weights, &rounded] {
                    let found = logits(weights, dtype, isa);
                    assert!(found == expected, "{what} {dtype} {isa:?}");
                }
            }
        }
    }
    assert!(untied > 0 && untied < CONFIGS.len());
}

#[test]
fn what_is_beyond_f16_is_refused_by_name_and_damage_shows_when_it_is_used() {
    let config = config([40, 2, 1, 33, 40]);
    let with = |id, value, dtype| {
        let mut weights = random(&config);
        weights.arrays[&id].data[7] = value;
        let options = EngineOptions {
            dtype,
            ..options(2, 0)
        };
        Engine::new(&config, weights, options)
    };
    for (id, name) in [
        (ArrayId::weight(Role::Up, 1), "h.1.mlp.c_fc.weight"),
        (ArrayId::TOKEN_EMBEDDING, "wte.weight"),
    ] {
        for value in [65_520.0, -1e9, f32::MAX] {
            let refused = with(id, value, Dtype::F16).err().unwrap();
            let EngineError::Weights(ModelError::BeyondRange { index, .. }) = &refused else {
                panic!("{refused}");
            };
            let text = refused.to_string();
            assert!(*index == 7 && text.contains(name) && text.contains("hint: "));
        }
        assert!(with(id, 65_519.0, Dtype::F16).is_ok());
        assert!(with(id, 3e38, Dtype::Bf16).is_ok());
        assert!(with(id, f32::MAX, Dtype::Bf16).is_err());
        for damage in [f32::NAN, f32::INFINITY] {
            for (dtype, _) in FORMATS {
                let engine = with(id, damage, dtype).unwrap();
                let logits = engine.logits(&[1, 0, 3]).unwrap();
                assert!(logits.iter().any(|logit| !logit.is_finite()), "{dtype}");
            }
        }
    }
}

/// What is asked for before weights are read is what they take, to the byte where nothing is padded.
#[test]
fn the_memory_that_is_told_is_what_is_packed() {
    for tied in [true, false] {
        let architecture = parse(&format!(
            r#"{{"model_type": "llama", "vocab_size": 96, "max_position_embeddings": 64, "hidden_size": 64,
            "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "tie_word_embeddings": {tied}, "eos_token_id": 0}}"#
        ));
        for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F16, Dtype::Int8] {
            let options = EngineOptions {
                dtype,
                ..options(1, 0)
            };
            let engine = Engine::new(&architecture, random(&architecture), options).unwrap();
            let looked_up = match &engine.model.token_embedding {
                None => 0,
                Some(Table::F32(values)) => size_of_val(values.as_slice()),
                Some(Table::Half(_, values)) => size_of_val(values.as_slice()),
            };
            let norms = 4 * 5 * 64;
            let packed = engine.model.bytes() + looked_up + norms;
            assert_eq!(weight_bytes(&architecture, dtype), packed as u64, "{dtype}");
        }
    }
}
