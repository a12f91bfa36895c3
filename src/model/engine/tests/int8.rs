//! 8-bit products: against their own definition, across instruction sets, and what they cost a real student.

#![expect(
    clippy::many_single_char_names,
    reason = "the letters of matrix products"
)]

use std::collections::BTreeMap;

use super::reference::gelu_f64;
use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::architecture::Activation;
use crate::model::distance::furthest;
use crate::model::engine::gemm::{Epilogue, MatrixRows};
use crate::model::engine::gemm_int8::{PackedInt8, multiply_int8};
use crate::model::engine::packed::Columns;
use crate::model::kernel::buffer::row_stride;
use crate::model::source::Values;

/// What a row becomes: integers from -127 to 127, and their scale.
fn quantized(values: &[f32]) -> (Vec<i64>, f64) {
    let greatest = values.iter().fold(0.0_f32, |a, v| a.max(v.abs()));
    if greatest == 0.0 {
        return (vec![0; values.len()], 0.0);
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 127")]
    let round = |v: &f32| (v * (127.0 / greatest)).round_ties_even() as i64;
    (
        values.iter().map(round).collect(),
        f64::from(greatest) / 127.0,
    )
}

/// A product of `rows` rows with `[k, n]` weights.
struct Case {
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Vec<f32>,
    packed: PackedInt8,
    k: usize,
    n: usize,
}

impl Case {
    fn new(x: Vec<f32>, w: Vec<f32>, [k, n]: [usize; 2]) -> Self {
        let bias = Numbers(3).list(n, 1.0);
        let packed = PackedInt8::new(&w, k, Columns::Plain(n), Some(&bias));
        Self {
            x,
            w,
            bias,
            packed,
            k,
            n,
        }
    }

    /// `count` rows from `first` on, into rows of ones.
    fn run(&self, isa: Isa, first: usize, count: usize, epilogue: Epilogue) -> Vec<f32> {
        let (k, stride) = (self.k, row_stride(self.n));
        let mut y = vec![1.0; count * stride];
        let x = MatrixRows {
            data: &self.x[first * k..],
            stride: k,
            count,
        };
        let parallel = Parallel::serial(isa);
        multiply_int8(parallel, x, &self.packed, epilogue, &mut y, stride);
        y
    }

    /// Every product is that of the values which the bytes stand for, in f64; and the same bits on every instruction
    /// set and in any company.
    fn check(&self) {
        let (k, n, stride) = (self.k, self.n, row_stride(self.n));
        let rows = self.x.len() / k;
        let all = self.run(Isa::available()[0], 0, rows, Epilogue::Store);
        let columns: Vec<(Vec<i64>, f64)> = (0..n)
            .map(|j| (0..k).map(|i| self.w[i * n + j]).collect::<Vec<_>>())
            .map(|column| quantized(&column))
            .collect();
        for r in 0..rows {
            let (row, row_scale) = quantized(&self.x[r * k..][..k]);
            for (j, (column, scale)) in columns.iter().enumerate() {
                let sum: i64 = row.iter().zip(column).map(|(a, b)| a * b).sum();
                let expected = sum as f64 * row_scale * scale + f64::from(self.bias[j]);
                let found = f64::from(all[r * stride + j]);
                let error = (found - expected).abs() / (1.0 + expected.abs());
                assert!(error < 1e-6, "{r} {j}: {found} {expected}");
            }
        }
        for isa in Isa::available() {
            for count in (1..=14).filter(|&count| count < rows) {
                let part = self.run(isa, 1, count, Epilogue::Store);
                let whole = &all[stride..(1 + count) * stride];
                assert_eq!(bits(&part), bits(whole), "{isa:?} {count} rows");
            }
            for epilogue in [Epilogue::Activate(Activation::GeluTanh), Epilogue::Add] {
                let found = self.run(isa, 0, rows, epilogue);
                for r in 0..rows {
                    for (found, &sum) in found[r * stride..].iter().zip(&all[r * stride..]).take(n)
                    {
                        let sum = f64::from(sum);
                        let expected = match epilogue {
                            Epilogue::Activate(_) => gelu_f64(sum),
                            _ => 1.0 + sum,
                        };
                        let error = (f64::from(*found) - expected).abs();
                        assert!(error < 1e-6 * (1.0 + expected.abs()), "{epilogue:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn products_are_as_defined_on_every_instruction_set_and_for_every_row_count() {
    // `k` fills no step and `n` no panel.
    let (k, n, rows) = (71, 75, 29);
    let mut numbers = Numbers(1);
    let (mut x, mut w) = (numbers.list(rows * k, 2.0), numbers.list(k * n, 2.0));
    // A row and a column of zeros, a row of nothing but the extremes, and a row too small to have a scale.
    x[..k].fill(0.0);
    (0..k).for_each(|i| w[i * n + 3] = 0.0);
    for (i, value) in x[k..2 * k].iter_mut().enumerate() {
        *value = if i % 3 == 0 { -1.0 } else { 1.0 };
    }
    x[2 * k..3 * k].fill(0.0);
    let case = Case::new(x, w, [k, n]);
    case.check();

    let turned: Vec<f32> = (0..n * k).map(|i| case.w[i % k * n + i / k]).collect();
    let turned = PackedInt8::transposed(&Values::Borrowed(&turned), k, n).unwrap();
    let mut columns = [vec![0.0; k], vec![0.0; k]];
    for column in 0..n {
        case.packed.copy_column(column, &mut columns[0]);
        turned.copy_column(column, &mut columns[1]);
        assert_eq!(bits(&columns[0]), bits(&columns[1]));
        let exact = (0..k).map(|i| case.w[i * n + column]);
        let greatest = exact.clone().fold(0.0_f32, |a, v| a.max(v.abs()));
        for (near, exact) in columns[0].iter().zip(exact) {
            assert!((near - exact).abs() <= greatest / 253.0);
        }
    }
}

/// The longest row of a GPT-2 (`n_inner` of XL), of nothing but the greatest magnitudes: what would saturate sixteen
/// bits, or the sum of bytes that are kept 128 higher, shows.
#[test]
fn sums_hold_the_greatest_values_of_the_longest_rows() {
    let (k, n) = (6400, 33);
    let sign = |odd: bool| if odd { -1.0 } else { 1.0 };
    // Rows and columns of one sign, of alternating ones, and of pairs.
    let row = |r: usize| (0..k).map(move |i| sign(r >> (i % 4) & 1 == 1));
    let x: Vec<f32> = (0..16).flat_map(row).collect();
    let w: Vec<f32> = (0..k * n)
        .map(|at| sign((at % n) >> (at / n % 4) & 1 == 1))
        .collect();
    Case::new(x, w, [k, n]).check();
}

#[test]
fn what_is_not_finite_comes_out_as_such() {
    let (k, n) = (71, 40);
    let mut numbers = Numbers(5);
    let (x, w) = (numbers.list(3 * k, 2.0), numbers.list(k * n, 2.0));
    for damage in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for isa in Isa::available() {
            let (mut bad_x, mut bad_w) = (x.clone(), w.clone());
            bad_x[k + 70] = damage;
            let y = Case::new(bad_x, w.clone(), [k, n]).run(isa, 0, 3, Epilogue::Store);
            for (r, row) in y.chunks_exact(row_stride(n)).enumerate() {
                assert!(row[..n].iter().all(|y| y.is_finite() == (r != 1)));
            }
            bad_w[70 * n + 9] = damage;
            let y = Case::new(x.clone(), bad_w, [k, n]).run(isa, 0, 3, Epilogue::Store);
            for row in y.chunks_exact(row_stride(n)) {
                let finite = row[..n].iter().map(|y| y.is_finite());
                assert!(finite.enumerate().all(|(j, finite)| finite == (j != 9)));
            }
        }
    }
}

#[test]
fn logits_are_the_same_bits_on_every_instruction_set_and_damage_is_an_error() {
    let config = config([40, 2, 1, 33, 40]);
    let mut weights = random(&config);
    let options = EngineOptions {
        dtype: Dtype::Int8,
        ..options(2, 0)
    };
    let tokens: Vec<u32> = (0..37).map(|i| (i * i + 3) % 33).collect();
    let engine = |weights: &Weights, isa| Engine::with_isa(&config, weights, options, isa).unwrap();
    let first = engine(&weights, Isa::available()[0])
        .logits(&tokens)
        .unwrap();
    assert!(first.iter().all(|logit| logit.is_finite()));
    for isa in Isa::available() {
        let logits = engine(&weights, isa).logits(&tokens).unwrap();
        assert_eq!(bits(&logits), bits(&first), "{isa:?}");
    }
    let job = [ScoreJob {
        prompt: tokens[..30].to_vec(),
        continuations: vec![tokens[30..].to_vec()],
    }];
    for damage in [f32::NAN, f32::INFINITY] {
        weights.arrays[&ArrayId::weight(Role::Up, 1)].data[7] = damage;
        for isa in Isa::available() {
            let scored = engine(&weights, isa).score(&job, &mut |_, _| {}, &CancelToken::default());
            assert!(matches!(scored, Err(EngineError::NotFinite { index: 0 })));
        }
    }
}

#[test]
fn rows_whose_sums_might_overflow_are_refused() {
    let config = config([32, 1, 1, 33, 40]);
    let with = |config: &Architecture, dtype| {
        let options = EngineOptions {
            dtype,
            ..EngineOptions::default()
        };
        Engine::new(config, random(config), options).err()
    };
    let mut wide = config;
    wide.feed_forward.inner = (1 << 16) + 1;
    assert!(with(&wide, Dtype::F32).is_none());
    let refused = with(&wide, Dtype::Int8).unwrap().to_string();
    assert!(
        refused.contains("65537") && refused.contains("hint: "),
        "{refused}"
    );
}

/// What a student made of some prompts: every path by question, first token and draw, from the same random numbers.
fn paths(engine: &Engine, prompts: &[Vec<u32>]) -> BTreeMap<[u64; 3], Vec<u32>> {
    let mut tags = Vec::new();
    let mut expand = |prompt: usize, candidates: &[FirstTokenCandidate]| {
        let mut specs = Vec::new();
        for first in candidates {
            for draw in 0..5 {
                let tag = [prompt as u64, first.token.into(), draw];
                specs.push(SequenceSpec {
                    forced_first: Some(first.token),
                    stream: Digest::of(&tag.map(u64::to_le_bytes).concat()),
                    tag: tags.len() as u64,
                });
                tags.push(tag);
            }
        }
        specs
    };
    let mut all = Vec::new();
    let (drawing, cancel) = (SamplingParams::default(), CancelToken::default());
    let mut done = |path: Generated| all.push((path.tag, path.tokens));
    engine
        .generate(
            GenerationRequest {
                prompts,
                candidates: 5,
                params: &drawing,
                vocabulary: &vocabulary(engine),
                stop: None,
            },
            &mut expand,
            &mut done,
            &cancel,
        )
        .unwrap();
    let all = all.into_iter();
    all.map(|(tag, tokens)| (tags[usize::try_from(tag).unwrap()], tokens))
        .collect()
}

/// `SERT_TEST_SEQUENCES=2290 cargo test --release --lib int8_costs -- --nocapture` reads all of the teacher's rows.
#[test]
fn int8_costs_a_real_student_little() {
    let folder = crate::needs::shared("models/qa-nano");
    let (Some(folder), Some(rows)) = (folder, crate::text::teacher_fixture::rows()) else {
        return;
    };
    let count = std::env::var("SERT_TEST_SEQUENCES").map_or(12, |n| n.parse().unwrap());
    let student = crate::model::Student::load(&folder).unwrap();
    let encode = |text: &str| student.tokenizer.encode(text).unwrap();
    let jobs = rows.iter().take(count).map(|row| ScoreJob {
        prompt: encode(&format!("Question: {} Answer:", row.question.question)),
        continuations: vec![encode(&format!(" {}", row.reasoning.trim()))],
    });
    let jobs: Vec<ScoreJob> = jobs.collect();
    let prompts: Vec<Vec<u32>> = jobs.iter().map(|job| job.prompt.clone()).collect();
    let [exact, rough] = [Dtype::F32, Dtype::Int8].map(|dtype| {
        let options = EngineOptions {
            dtype,
            ..EngineOptions::default()
        };
        Engine::new(&student.architecture, &student.weights, options).unwrap()
    });

    for job in jobs.iter().take(8) {
        let text = [&job.prompt[..], &job.continuations[0]].concat();
        let [exact, rough] = [&exact, &rough].map(|engine| engine.logits(&text).unwrap());
        let far = furthest(&exact, &rough);
        println!("logits of a text are within {far:.3} of f32's");
        assert!(far > 0.0 && far < 1.0, "{far}");
    }

    let [fine, coarse] = [&exact, &rough].map(|engine| {
        let mut all = Vec::new();
        let mut done = |_, mut scores: Vec<Vec<f64>>| all.append(&mut scores[0]);
        engine
            .score(&jobs, &mut done, &CancelToken::default())
            .unwrap();
        (-all.iter().sum::<f64>() / all.len() as f64).exp()
    });
    println!(
        "perplexity of {} teacher's texts: {fine:.4} in f32, {coarse:.4} in int8",
        jobs.len()
    );
    assert!((coarse / fine - 1.0).abs() < 0.01, "{fine} {coarse}");

    let few = &prompts[..prompts.len().min(200)];
    let [fine, coarse] = [&exact, &rough].map(|engine| paths(engine, few));
    let (mut same, mut draws, mut partings) = (0, 0, 0);
    for (tag, path) in &fine {
        let Some(other) = coarse.get(tag) else {
            continue; // the five likeliest first tokens are not the same five
        };
        let alike = path.iter().zip(other).take_while(|(a, b)| a == b).count();
        draws += alike - 1; // the first token is not drawn
        same += usize::from(path == other);
        partings += usize::from(path != other);
    }
    println!(
        "of {} paths {} have the same first token, {same} are the same; {partings} part after {draws} draws alike",
        fine.len(),
        same + partings,
    );
    assert!(draws > 10 * partings, "{draws} {partings}");
}
