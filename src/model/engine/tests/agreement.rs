//! The engine against a plain one: GPT-2 in f64, every draw by the book.
//!
//! At least 99.9 % of the paths are the same token for token. Where two part, the draw was so near to a boundary
//! (between two tokens' shares, of top-p, of top-k, or of two tokens in the order) that the rounding of f32 decides it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::reference::{Plain, Read};
use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::{Student, Vocabulary};
use crate::needs::shared;

/// What explains a parting: shares and logits this near to each other. The engine's logits are within 3e-5 of f64's.
const NEAR: f64 = 1e-4;

/// What a row of logits leaves to chance.
struct Choice {
    /// The tokens that can be drawn, likeliest first, and the sum of shares up to each.
    tokens: Vec<(u32, f64)>,
    /// How near the order, top-k or top-p came to another outcome.
    near: f64,
}

impl Choice {
    fn of(logits: &[f64], params: &SamplingParams) -> Self {
        let mut order: Vec<(f64, u32)> = logits.iter().copied().zip(0..).collect();
        let by_rank = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let count = (params.top_k as usize).min(order.len());
        if count + 1 < order.len() {
            order.select_nth_unstable_by(count, by_rank);
            order.truncate(count + 1);
        }
        order.sort_by(by_rank);
        let gaps = order.windows(2).map(|pair| pair[0].0 - pair[1].0);
        let mut near = gaps.fold(f64::INFINITY, f64::min);
        let weights: Vec<f64> = order[..count]
            .iter()
            .map(|(logit, _)| ((logit - order[0].0) / params.temperature).exp())
            .collect();
        let all: f64 = weights.iter().sum();
        let (mut kept, mut nucleus) = (0.0, 0);
        while nucleus < count && kept < params.top_p * all {
            kept += weights[nucleus];
            nucleus += 1;
            near = near.min((kept / all - params.top_p).abs());
        }
        let mut reached = 0.0;
        let tokens = order.iter().zip(&weights[..nucleus]);
        let tokens = tokens.map(|(&(_, token), weight)| {
            reached += weight / kept;
            (token, reached)
        });
        Self {
            tokens: tokens.collect(),
            near,
        }
    }

    /// The token for a number in [0, 1), and the draw's distance from the nearest boundary.
    fn draw(&self, uniform: f64) -> (u32, f64) {
        let last = self.tokens.len() - 1;
        let drawn = self.tokens.iter().position(|&(_, to)| uniform < to);
        let gaps = self.tokens.iter().map(|&(_, to)| (to - uniform).abs());
        (
            self.tokens[drawn.unwrap_or(last)].0,
            gaps.fold(self.near, f64::min),
        )
    }
}

/// A path of the engine: what it drew, end of text included, and the numbers it drew with.
struct Drawn {
    tokens: Vec<u32>,
    uniforms: Vec<f64>,
}

impl Drawn {
    fn new(path: &Generated, stream: Digest) -> Self {
        let mut numbers = ChaCha8Rng::from_seed(*stream.as_bytes());
        let tokens: Vec<u32> = path.tokens.iter().copied().chain(path.end_token).collect();
        let mut uniform = || (numbers.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        Self {
            uniforms: tokens.iter().map(|_| uniform()).collect(),
            tokens,
        }
    }
}

/// Places in a path and distances from a boundary there, where the plain engine draws another token. `paths` are in
/// order and the same up to `depth`, where the logits are `logits`; what the plain engine has read is `read`. Beyond its
/// parting a path says nothing.
fn partings(
    plain: &Plain,
    params: &SamplingParams,
    read: &mut Read,
    (prompt, depth): (usize, usize),
    logits: &[f64],
    paths: &[&Drawn],
) -> Vec<(usize, f64)> {
    let choice = Choice::of(logits, params);
    let mut found = Vec::new();
    for same in paths.chunk_by(|a, b| a.tokens[depth] == b.tokens[depth]) {
        let token = same[0].tokens[depth];
        let mut on = Vec::new();
        for &path in same {
            let (plainly, near) = choice.draw(path.uniforms[depth]);
            if plainly != token {
                found.push((depth, near));
            } else if path.tokens.len() > depth + 1 {
                on.push(path);
            }
        }
        if !on.is_empty() {
            read.truncate(prompt + depth);
            let hidden = plain.read(read, token);
            let below = (prompt, depth + 1);
            found.extend(partings(
                plain,
                params,
                read,
                below,
                &plain.logits(&hidden),
                &on,
            ));
        }
    }
    found
}

/// Draws `sequences` paths and compares each with the plain engine's.
fn compare(
    shape: &Architecture,
    weights: &Weights,
    prompts: &[Vec<u32>],
    sequences: usize,
    max_new_tokens: u32,
) {
    let engine = Engine::new(shape, weights, options(2, 0)).unwrap();
    let params = SamplingParams {
        max_new_tokens,
        ..SamplingParams::default()
    };
    let stream = |prompt: usize, tag: u64| Digest::of(format!("agree {prompt} {tag}").as_bytes());
    let each = sequences / prompts.len();
    let mut paths: Vec<Vec<Drawn>> = prompts.iter().map(|_| Vec::new()).collect();
    engine
        .generate(
            GenerationRequest {
                prompts,
                candidates: 0,
                params: &params,
                vocabulary: &Vocabulary::of(shape),
                stop: None,
            },
            &mut |prompt, _| {
                (0..each as u64)
                    .map(|tag| SequenceSpec {
                        forced_first: None,
                        stream: stream(prompt, tag),
                        tag,
                    })
                    .collect()
            },
            &mut |path| {
                let stream = stream(path.prompt_index, path.tag);
                paths[path.prompt_index].push(Drawn::new(&path, stream));
            },
            &CancelToken::default(),
        )
        .unwrap();
    drop(engine);
    assert!(paths.iter().all(|paths| paths.len() == each));
    let draws: usize = paths.iter().flatten().map(|path| path.tokens.len()).sum();
    let plain = Plain::new(shape, weights);
    let found: Vec<(usize, f64)> = prompts
        .par_iter()
        .zip(&paths)
        .flat_map_iter(|(prompt, paths)| {
            let mut paths: Vec<&Drawn> = paths.iter().collect();
            paths.sort_by(|a, b| a.tokens.cmp(&b.tokens));
            let (mut read, mut hidden) = (plain.nothing(), Vec::new());
            for &token in prompt {
                hidden = plain.read(&mut read, token);
            }
            let (at, logits) = ((prompt.len(), 0), plain.logits(&hidden));
            partings(&plain, &params, &mut read, at, &logits, &paths)
        })
        .collect();
    let count = each * prompts.len();
    println!(
        "{} of {count} paths part from the plain engine's, in {draws} draws; where, and how far from a boundary: {found:?}",
        found.len(),
    );
    for (place, near) in &found {
        assert!(*near < NEAR, "parts at {place}, {near:e} from a boundary");
    }
    assert!(found.len() * 1000 <= count, "{found:?}");
}

/// Paths to compare: `SERT_TEST_SEQUENCES`, or `few`.
fn sequences(few: usize) -> usize {
    std::env::var("SERT_TEST_SEQUENCES").map_or(few, |number| number.parse().unwrap())
}

#[test]
fn paths_are_those_of_a_plain_engine() {
    let shape = config([32, 2, 2, 60, 48]);
    let prompts: Vec<Vec<u32>> = (1..5)
        .map(|p| (0..3 * p).map(|i| (i * p * 13 + 5) % 60).collect())
        .collect();
    compare(&shape, &random(&shape), &prompts, sequences(2000), 24);
}

/// `SERT_TEST_SEQUENCES=100000 cargo test --lib trained_student_draws -- --nocapture` is the measurement in full.
#[test]
fn a_trained_student_draws_a_plain_engines_paths() {
    let (Some(questions), Some(student)) = (
        shared("data/strategyqa/train.jsonl"),
        shared("models/qa-nano"),
    ) else {
        return;
    };
    let questions = std::fs::read_to_string(questions).unwrap();
    let student = Student::load(&student).unwrap();
    let count = sequences(200);
    let prompts: Vec<Vec<u32>> = questions
        .lines()
        .take((count / 1000).clamp(4, 100))
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = format!("Question: {} Answer:", row["question"].as_str().unwrap());
            student.tokenizer.encode(&text).unwrap()
        })
        .collect();
    compare(&student.architecture, &student.weights, &prompts, count, 4);
}

#[test]
fn a_plain_draw_is_as_worked_by_hand() {
    let logits: Vec<f64> = [0.15_f64, 0.5, 0.05, 0.3].map(f64::ln).to_vec();
    let params = SamplingParams {
        top_k: 3,
        top_p: 0.8,
        ..SamplingParams::default()
    };
    // Of three, 0.95 in all; two reach 0.8 of that; the boundary between them is at 0.625.
    let choice = Choice::of(&logits, &params);
    let (token, near) = choice.draw(0.6);
    assert_eq!(token, 1);
    assert!((near - 0.025).abs() < 1e-12, "{near}");
    assert_eq!(choice.draw(0.63).0, 3);
    // top-p is met by a hair: 0.8 / 0.95 is what two hold.
    let params = SamplingParams {
        top_p: 0.8 / 0.95 - 1e-7,
        ..params
    };
    assert!(Choice::of(&logits, &params).near < 1.1e-7);
}
