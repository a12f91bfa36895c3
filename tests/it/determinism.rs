//! Batch size and thread count do not change a path.

use sert_run::event::CancelToken;
use sert_run::key::Digest;
use sert_run::model::EngineOptions;
use sert_run::model::architecture::Gpt2;
use sert_run::model::engine::Engine;
use sert_run::model::sampling::{Generated, GenerationRequest, SamplingParams, SequenceSpec};
use sert_run::model::{Architecture, Student, Vocabulary, Weights};

use crate::needs::shared;

/// Batch sizes and threads that must agree.
const WAYS: [(usize, usize); 6] = [(32, 1), (32, 4), (7, 1), (7, 4), (1, 1), (1, 4)];

/// Draws `sequences` sequences from each prompt; all of them in order of prompt and tag.
fn draw(
    config: &Architecture,
    weights: &Weights,
    prompts: &[Vec<u32>],
    work: Work,
    way: (usize, usize),
) -> Vec<Generated> {
    let (max_batch, threads) = way;
    let engine = Engine::new(
        config,
        weights,
        EngineOptions {
            threads,
            max_batch,
            ..EngineOptions::default()
        },
    )
    .unwrap();
    let drawing = SamplingParams {
        max_new_tokens: work.tokens,
        ..SamplingParams::default()
    };
    let mut all = Vec::new();
    engine
        .generate(
            GenerationRequest {
                prompts,
                candidates: 5,
                params: &drawing,
                vocabulary: &Vocabulary::of(config),
                stop: None,
            },
            &mut |prompt, first| {
                (0..work.sequences)
                    .map(|tag| SequenceSpec {
                        forced_first: Some(
                            first[usize::try_from(tag).unwrap() % first.len()].token,
                        ),
                        stream: Digest::of(format!("{prompt}/{tag}").as_bytes()),
                        tag,
                    })
                    .collect()
            },
            &mut |generated| all.push(generated),
            &CancelToken::default(),
        )
        .unwrap();
    all.sort_by_key(|each| (each.prompt_index, each.tag));
    all
}

#[derive(Clone, Copy)]
struct Work {
    sequences: u64,
    tokens: u32,
}

/// The number of drawn tokens, after every way of drawing them has agreed on each.
fn agreed_tokens(
    config: &Architecture,
    weights: &Weights,
    prompts: &[Vec<u32>],
    work: Work,
    ways: &[(usize, usize)],
) -> usize {
    let expected = draw(config, weights, prompts, work, ways[0]);
    for way in &ways[1..] {
        let found = draw(config, weights, prompts, work, *way);
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            // Bits, not closeness: log-probabilities too.
            assert_eq!(a, b, "batch and threads {way:?} against {:?}", ways[0]);
        }
    }
    expected.iter().map(|each| each.tokens.len()).sum()
}

fn config(vocab_rows: usize, width: usize, layers: usize, heads: usize) -> Architecture {
    let gpt2 = Gpt2 {
        vocab_rows,
        context: 256,
        width,
        layers,
        heads,
    };
    Architecture {
        end_of_text: Some(0),
        ..gpt2.into()
    }
}

/// Prompts of uneven lengths.
fn prompts(count: u32, vocab: u32) -> Vec<Vec<u32>> {
    (0..count)
        .map(|i| {
            (0..5 + i % 23)
                .map(|j| 1 + (i * 31 + j * 17) % (vocab - 1))
                .collect()
        })
        .collect()
}

#[test]
fn a_million_tokens_do_not_depend_on_batch_or_threads() {
    let config = config(512, 32, 2, 2);
    let weights = Weights::init(&config, 1);
    let work = Work {
        sequences: 25,
        tokens: 200,
    };
    let tokens = agreed_tokens(&config, &weights, &prompts(320, 512), work, &WAYS);
    assert!(tokens >= 1_000_000, "{tokens} tokens were drawn");
}

/// GPT-2 small's width, heads and vocabulary; fewer layers, since each layer is the same kernels.
#[test]
fn nor_on_a_model_of_real_width() {
    let config = config(50257, 768, 2, 12);
    let weights = Weights::init(&config, 2);
    let work = Work {
        sequences: 5,
        tokens: 12,
    };
    let tokens = agreed_tokens(&config, &weights, &prompts(8, 50257), work, &WAYS);
    assert!(tokens >= 400, "{tokens} tokens were drawn");
}

/// A real student with the full GPT-2 vocabulary. `SERT_TEST_SEQUENCES=800 cargo test --release nor_on_a_real`
/// draws a hundred thousand tokens each way, in minutes.
#[test]
fn nor_on_a_real_student() {
    let Some(folder) = shared("models/qa-nano") else {
        return;
    };
    let student = Student::load(&folder).unwrap();
    let questions = [
        "Would a pear sink in water?",
        "Are all limbs required for jujutsu?",
        "Is the sea salty?",
    ];
    let prompts: Vec<Vec<u32>> = questions
        .iter()
        .map(|q| {
            student
                .tokenizer
                .encode(&format!("Question: {q} Answer:"))
                .unwrap()
        })
        .collect();
    let sequences = std::env::var("SERT_TEST_SEQUENCES").map_or(25, |text| text.parse().unwrap());
    let work = Work {
        sequences,
        tokens: 64,
    };
    let tokens = agreed_tokens(
        &student.architecture,
        &student.weights,
        &prompts,
        work,
        &WAYS,
    );
    assert!(tokens >= 1000, "{tokens} tokens were drawn");
    eprintln!(
        "{tokens} tokens of a real student agree in {} ways",
        WAYS.len()
    );
}
