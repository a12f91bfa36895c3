//! How often a card is told something, and how much goes up and down: what bounds a fast card. `cargo test --lib -- counts
//! --nocapture` prints the table of docs/devices.md.
//!
//! The model has GPT-2 small's twelve layers and heads; how wide it is changes no launch, and of what goes up and down nothing but
//! whole rows, which do not.

use super::*;
use crate::model::device::counting::{counting, more, row};

/// Prompts whose sequences fill a batch of a card.
const PROMPTS: u32 = 32;
/// Sequences of each.
const EACH: usize = 16;

fn model() -> (Architecture, Weights) {
    let config = Architecture::from(Gpt2 {
        vocab_rows: 263,
        context: 128,
        width: 24,
        layers: 12,
        heads: 12,
    });
    let weights = Weights::init(&config, 3);
    (config, weights)
}

#[test]
fn counts_of_sampling_do_not_grow() {
    let (device, counts) = counting(1);
    let (config, weights) = model();
    let engine = DeviceEngine::new(&config, &weights, &device, EngineOptions::default()).unwrap();
    let prompts: Vec<Vec<u32>> = (0..PROMPTS).map(|index| vec![index; 20]).collect();
    let run = |prompts: &[Vec<u32>], max_new_tokens: u32, temperature: f64| {
        let params = SamplingParams {
            temperature,
            max_new_tokens,
            ..SamplingParams::default()
        };
        let request = GenerationRequest {
            prompts,
            candidates: 5,
            params: &params,
            vocabulary: &Vocabulary::new(260, []),
            stop: None,
        };
        let expand = &mut |prompt: usize, first: &[FirstTokenCandidate]| {
            let spec = |draw: usize| SequenceSpec {
                forced_first: Some(first[draw % first.len()].token),
                stream: Digest::of(format!("{prompt} {draw}").as_bytes()),
                tag: 0,
            };
            (0..EACH).map(spec).collect()
        };
        let mut paths = 0;
        counts();
        engine
            .generate(
                request,
                expand,
                &mut |_| paths += 1,
                &CancelToken::default(),
            )
            .unwrap();
        assert_eq!(paths, prompts.len() * EACH);
        counts()
    };
    assert_eq!(engine.together().places, prompts.len() * EACH);
    let read = run(&prompts[..8], 1, 1.0);
    let step = more(&run(&prompts, 10, 1.0), &run(&prompts, 9, 1.0));
    let greedy = more(&run(&prompts, 10, 0.0), &run(&prompts, 9, 0.0));
    let admitted = more(&more(&run(&prompts[..8], 2, 1.0), &read), &step);
    let jobs: Vec<ScoreJob> = prompts[..8]
        .iter()
        .map(|prompt| ScoreJob {
            prompt: prompt.clone(),
            continuations: vec![vec![1, 2, 3]],
        })
        .collect();
    counts();
    engine
        .score(&jobs, &mut |_, _| {}, &CancelToken::default())
        .unwrap();
    let scored = counts();
    for (what, counts) in [
        ("a token for each of 512 sequences", &step),
        ("the same, greedy", &greedy),
        ("128 sequences of 8 prompts admitted", &admitted),
        ("8 prompts read", &read),
        ("8 continuations of 3 tokens scored", &scored),
    ] {
        eprintln!("{}", row(what, counts));
    }
    assert!(step.launches <= 254, "{step:?}");
    // Token and position of each; and the columns' numbers, which go up here and are counted off on a card.
    assert_eq!((step.copies_up, step.bytes_up), (2, 512 * 2 * 8 + 64 * 8));
    assert_eq!((step.copies_down, step.bytes_down), (1, 512 * 120));
    assert_eq!((greedy.copies_down, greedy.bytes_down), (1, 512 * 48));
    // The batch itself is made in it, once.
    assert!(admitted.launches <= 36, "{admitted:?}");
    assert_eq!(admitted.copies_down, 0, "{admitted:?}");
    assert!(read.launches <= 258, "{read:?}");
    assert_eq!((read.copies_down, read.bytes_down), (1, 64 * 120));
    assert!(scored.launches <= 256, "{scored:?}");
    assert_eq!((scored.copies_down, scored.bytes_down), (1, 64 * 12));
}
