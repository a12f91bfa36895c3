//! The engine against a plain one: GPT-2 in f64 read from the start for every path, every draw by the book.
//!
//! 99.9 % of the paths are the same token for token. Where two part, the draw was so near to a boundary (between two
//! tokens' shares, of top-p, of top-k, or of two tokens in the order) that the rounding of f32 decides it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::reference::reference;
use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::text::EndReason;

/// What explains a parting: shares and logits this near to each other. The engine's logits are within 3e-5 of f64's.
const NEAR: f64 = 1e-4;
const PROMPTS: usize = 4;

/// A plain draw among `logits`, and its distance from the nearest boundary.
fn plain(logits: &[f64], params: &SamplingParams, uniform: f64) -> (u32, f64) {
    let mut order: Vec<(f64, u32)> = logits.iter().copied().zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let count = (params.top_k as usize).min(order.len());
    let gaps = order
        .windows(2)
        .take(count)
        .map(|pair| pair[0].0 - pair[1].0);
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
    let (mut reached, mut drawn) = (0.0, None);
    for (place, weight) in weights[..nucleus].iter().enumerate() {
        reached += weight / kept;
        near = near.min((reached - uniform).abs());
        if drawn.is_none() && uniform < reached {
            drawn = Some(place);
        }
    }
    (order[drawn.unwrap_or(nucleus - 1)].1, near)
}

/// Where the plain engine parts from `path`, with the distance from a boundary there; `None` where it never does. Up to
/// there both have read the same, so one pass over the path is what the plain engine would have read.
fn parting(
    shape: &Gpt2Config,
    weights: &Weights,
    prompt: &[u32],
    path: &Generated,
    params: &SamplingParams,
    stream: Digest,
) -> Option<(usize, f64)> {
    let mut numbers = ChaCha8Rng::from_seed(*stream.as_bytes());
    let end = (path.end == EndReason::EndOfText).then_some(shape.eos_token_id);
    let drawn: Vec<u32> = path.tokens.iter().copied().chain(end).collect();
    let read = [prompt, &drawn[..drawn.len() - 1]].concat();
    let logits = reference(shape, weights, &read);
    let rows = logits.chunks_exact(shape.vocab_size).skip(prompt.len() - 1);
    rows.zip(&drawn)
        .enumerate()
        .find_map(|(place, (row, &token))| {
            let uniform = (numbers.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            let (plainly, near) = plain(row, params, uniform);
            (plainly != token).then_some((place, near))
        })
}

/// `SERT_TEST_SEQUENCES=100000 cargo test --release plain_engine -- --nocapture` is the measurement in full.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the measurement, where more is asked for"
)]
fn paths_are_those_of_a_plain_engine() {
    let sequences = std::env::var("SERT_TEST_SEQUENCES").map_or(1000, |n| n.parse().unwrap());
    let shape = config([32, 2, 2, 60, 48]);
    let weights = random(&shape);
    let engine = Engine::new(&shape, &weights, options(2, 32)).unwrap();
    let params = SamplingParams {
        max_new_tokens: 24,
        ..SamplingParams::default()
    };
    let prompts: Vec<Vec<u32>> = (1..=PROMPTS)
        .map(|p| (0..3 * p).map(|i| ((i * p * 13 + 5) % 60) as u32).collect())
        .collect();
    let stream = |prompt: usize, tag: u64| Digest::of(format!("agree {prompt} {tag}").as_bytes());
    let mut paths = Vec::new();
    engine
        .generate(
            &prompts,
            0,
            &params,
            None,
            &mut |prompt, _| {
                (0..(sequences / PROMPTS) as u64)
                    .map(|tag| SequenceSpec {
                        forced_first: None,
                        stream: stream(prompt, tag),
                        tag,
                    })
                    .collect()
            },
            &mut |path| paths.push(path),
            &CancelToken::default(),
        )
        .unwrap();
    assert_eq!(paths.len(), sequences / PROMPTS * PROMPTS);
    let partings: Vec<(usize, f64)> = paths
        .par_iter()
        .filter_map(|path| {
            let prompt = &prompts[path.prompt_index];
            let stream = stream(path.prompt_index, path.tag);
            parting(&shape, &weights, prompt, path, &params, stream)
        })
        .collect();
    let draws: u32 = paths.iter().map(|path| path.log_prob.count).sum();
    println!(
        "{} of {} paths part from the plain engine's, in {draws} draws: {partings:?}",
        partings.len(),
        paths.len()
    );
    for (place, near) in &partings {
        assert!(*near < NEAR, "parts at {place}, {near:e} from a boundary");
    }
    assert!(partings.len() * 1000 <= paths.len(), "{partings:?}");
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
    let (token, near) = plain(&logits, &params, 0.6);
    assert_eq!(token, 1);
    assert!((near - 0.025).abs() < 1e-12, "{near}");
    assert_eq!(plain(&logits, &params, 0.63).0, 3);
    // top-p is met by a hair: 0.8 / 0.95 is what two hold.
    let params = SamplingParams {
        top_p: 0.8 / 0.95 - 1e-7,
        ..params
    };
    assert!(plain(&logits, &params, 0.3).1 < 1.1e-7);
}
