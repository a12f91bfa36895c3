//! What must not change a bit: instruction set, reading in pieces, batch, threads, order, company.

use super::reference::reference;
use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::distance::furthest;
use crate::text::EndReason;

#[test]
fn logits_agree_with_f64_on_every_instruction_set() {
    // Odd sizes: heads narrower than a vector and wider, a vocabulary that fills no panel.
    for shape in [[24, 2, 3, 45, 40], [40, 1, 1, 33, 40], [128, 1, 2, 50, 40]] {
        let config = config(shape);
        let weights = random(&config);
        let tokens: Vec<u32> = (0..37).map(|i| (i * i + 3) % 33).collect();
        let expected = reference(&config, &weights, &tokens);
        let mut first = None;
        for isa in Isa::available() {
            let engine = Engine::with_isa(&config, &weights, options(2, 0), isa).unwrap();
            let found = engine.logits(&tokens).unwrap();
            let exact: Vec<f64> = found.iter().map(|logit| f64::from(*logit)).collect();
            let worst = furthest(&exact, &expected);
            assert!(worst < 3e-5, "{worst:e}");
            let seen = bits(&found);
            assert!(
                *first.get_or_insert_with(|| seen.clone()) == seen,
                "{isa:?}"
            );
        }
    }
}

#[test]
fn reading_in_pieces_changes_no_bit() {
    reading_in_pieces(Dtype::F32);
    reading_in_pieces(Dtype::Int8);
    reading_in_pieces(Dtype::Bf16);
    reading_in_pieces(Dtype::F16);
}

/// A small Llama with three queries to a head of keys.
const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 60, "max_position_embeddings": 64, "hidden_size": 36,
    "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2,
    "head_dim": 20, "eos_token_id": 0}"#;
/// A small Gemma 3 whose windows end within what is shared and within what is not.
const GEMMA: &str = r#"{"model_type": "gemma3_text", "vocab_size": 60, "max_position_embeddings": 64, "hidden_size": 36,
    "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 1,
    "head_dim": 10, "sliding_window": 19, "sliding_window_pattern": 3, "eos_token_id": 0}"#;

fn reading_in_pieces(dtype: Dtype) {
    for config in [config([48, 2, 3, 40, 64]), parse(LLAMA), parse(GEMMA)] {
        reading_in_pieces_of(&config, dtype);
    }
}

fn reading_in_pieces_of(config: &Architecture, dtype: Dtype) {
    let options = EngineOptions {
        dtype,
        ..options(1, 0)
    };
    let engine = Engine::new(config, random(config), options).unwrap();
    let tokens: Vec<u32> = (0..50).map(|i| (i * 7 + 1) % 40).collect();
    let whole = engine.logits(&tokens).unwrap();
    let parallel = Parallel::serial(engine.isa);
    // What is shared is 21 long: its last page is partly filled.
    let mut cache = SequenceCache::empty();
    let mut shared = None;
    let mut logits = Vec::new();
    let mut scratch = Scratch::new();
    for (i, piece) in [0..1, 1..18, 18..21, 21..22, 22..40, 40..41, 41..50]
        .into_iter()
        .enumerate()
    {
        if i == 3 {
            shared = Some(cache.clone());
        }
        let wanted = piece.len();
        let segment = Segment {
            cache: &mut cache,
            tokens: &tokens[piece],
            wanted,
        };
        engine.model.forward(parallel, &mut [segment], &mut scratch);
        let rows = engine.model.project(parallel, &mut scratch, 0..wanted);
        for row in rows.chunks_exact(engine.model.logit_stride()) {
            logits.extend_from_slice(&row[..config.vocab_rows]);
        }
    }
    assert_eq!(bits(&logits), bits(&whole));
    // What was shared is as it was, though another wrote on from the middle of its last page.
    let mut cache = shared.expect("the fourth piece begins from it");
    let segment = Segment {
        cache: &mut cache,
        tokens: &tokens[21..],
        wanted: 29,
    };
    engine.model.forward(parallel, &mut [segment], &mut scratch);
    let rows = engine.model.project(parallel, &mut scratch, 0..29);
    let rows = rows.chunks_exact(engine.model.logit_stride());
    let again: Vec<f32> = rows
        .flat_map(|row| &row[..config.vocab_rows])
        .copied()
        .collect();
    assert_eq!(bits(&again), bits(&whole[21 * config.vocab_rows..]));
}

/// Everything that the sequences of `prompts` came to, sorted.
fn generated(
    engine: &Engine,
    prompts: &[Vec<u32>],
    params: &SamplingParams,
    draws: u32,
) -> Vec<Generated> {
    let mut all = Vec::new();
    let mut expand = |prompt: usize, candidates: &[FirstTokenCandidate]| {
        (0..draws)
            .map(|draw| SequenceSpec {
                // Some sequences are branches, some are plain draws.
                forced_first: candidates.get(draw as usize % 4).map(|c| c.token),
                stream: Digest::of(format!("{:?} {draw}", prompts[prompt]).as_bytes()),
                tag: u64::from(draw),
            })
            .collect()
    };
    let cancel = CancelToken::default();
    engine
        .generate(
            GenerationRequest {
                prompts,
                candidates: 3,
                params,
                vocabulary: &vocabulary(engine),
                stop: None,
            },
            &mut expand,
            &mut |g| all.push(g),
            &cancel,
        )
        .unwrap();
    all.sort_by_key(|g| (g.prompt_index, g.tag));
    all
}

fn same(a: &Generated, b: &Generated) -> bool {
    let bits = |g: &Generated| {
        let p = g.log_prob;
        [p.sum, p.first, p.min].map(f64::to_bits)
    };
    a.tokens == b.tokens
        && a.end == b.end
        && a.end_token == b.end_token
        && bits(a) == bits(b)
        && a.log_prob.count == b.log_prob.count
}

#[test]
fn batch_threads_order_and_company_change_no_bit() {
    // The first is computed in shares, the second by shared-out products; the third is wide. The first has a few more
    // sequences than a batch that the engine chooses, which then takes them in.
    let shapes = [
        [32, 2, 2, 60, 48],
        [192, 3, 4, 3000, 48],
        [256, 1, 8, 50_257, 48],
    ];
    let (f32, int8) = (Dtype::F32, Dtype::Int8);
    let (bf16, f16) = (Dtype::Bf16, Dtype::F16);
    let [small, shared, wide] = shapes.map(config);
    let [llama, gemma] = [parse(LLAMA), parse(GEMMA)];
    for (dtype, config, draws, tokens) in [
        (f32, &small, 27, 40),
        (f32, &shared, 5, 12),
        (f32, &wide, 3, 4),
        (int8, &small, 27, 40),
        (int8, &config([400, 3, 4, 5000, 48]), 5, 8),
        (f32, &llama, 27, 40),
        (f32, &gemma, 27, 40),
        (int8, &gemma, 9, 20),
        (bf16, &small, 27, 40),
        (f16, &config([300, 3, 4, 4000, 48]), 5, 8),
        (f16, &llama, 9, 20),
        (bf16, &gemma, 9, 20),
    ] {
        let options = |threads, max_batch| EngineOptions {
            dtype,
            ..options(threads, max_batch)
        };
        let weights = random(config);
        let prompts: Vec<Vec<u32>> = (1..5)
            .map(|p| (0..=p * 5).map(|i| (i * p * 13 + 5) % 60).collect())
            .collect();
        let params = SamplingParams {
            max_new_tokens: tokens,
            ..SamplingParams::default()
        };
        let alone = Engine::new(config, &weights, options(1, 1)).unwrap();
        assert_eq!(alone.sharded, config.width <= 36);
        let expected = generated(&alone, &prompts, &params, draws);
        assert_eq!(expected.len(), prompts.len() * draws as usize);
        for (threads, batch) in [(4, 1), (1, 7), (4, 7), (2, 32), (4, 32), (2, 0)] {
            let engine = Engine::new(config, &weights, options(threads, batch)).unwrap();
            let found = generated(&engine, &prompts, &params, draws);
            assert!(
                found.len() == expected.len()
                    && found.iter().zip(&expected).all(|(a, b)| same(a, b)),
                "{threads} {batch}"
            );
            let turned: Vec<Vec<u32>> = prompts.iter().rev().cloned().collect();
            let found = generated(&engine, &turned[..2], &params, draws);
            for g in found {
                let prompt = prompts.len() - 1 - g.prompt_index;
                let other = expected
                    .iter()
                    .find(|e| e.prompt_index == prompt && e.tag == g.tag);
                assert!(same(&g, other.unwrap()), "{threads} {batch}");
            }
        }
    }
}

/// `SERT_TEST_TOKENS=1000000 cargo test --lib tokens_of_a_small_llama` is the measurement in full, minutes.
#[test]
fn tokens_of_a_small_llama_are_the_same_in_any_batch_and_on_any_threads() {
    let wanted = std::env::var("SERT_TEST_TOKENS").map_or(10_000, |number| number.parse().unwrap());
    let config = parse(LLAMA);
    let weights = random(&config);
    let engines = [
        (1, 1),
        (1, 7),
        (1, 32),
        (2, 1),
        (2, 7),
        (2, 32),
        (4, 1),
        (4, 7),
        (4, 32),
    ];
    let engines = engines
        .map(|(threads, batch)| Engine::new(&config, &weights, options(threads, batch)).unwrap());
    let params = SamplingParams {
        max_new_tokens: 40,
        ..SamplingParams::default()
    };
    let mut tokens = 0;
    for round in 0.. {
        let prompts: Vec<Vec<u32>> = (1..9)
            .map(|p| {
                (0..=p * 2)
                    .map(|i| (i * p * 13 + round * 7 + 5) % 60)
                    .chain([round % 60, round / 60])
                    .collect()
            })
            .collect();
        let [alone, others @ ..] = &engines;
        let expected = generated(alone, &prompts, &params, 12);
        for engine in others {
            let found = generated(engine, &prompts, &params, 12);
            assert!(
                found.len() == expected.len()
                    && found.iter().zip(&expected).all(|(a, b)| same(a, b)),
                "round {round}: {} threads, batch {}",
                engine.pool.current_num_threads(),
                engine.max_batch
            );
        }
        tokens += expected.iter().map(|one| one.tokens.len()).sum::<usize>();
        if tokens >= wanted {
            break;
        }
    }
    println!("{tokens} tokens of each of {} engines", engines.len());
}

#[test]
fn scores_are_the_log_probabilities_of_drawing() {
    let config = config([32, 2, 2, 60, 48]);
    let weights = random(&config);
    let engine = Engine::new(&config, &weights, options(2, 8)).unwrap();
    let prompts = [vec![3, 4, 5], vec![9; 20]];
    let params = SamplingParams {
        max_new_tokens: 30,
        temperature: 1.3,
        top_k: 0,
        top_p: 1.0,
    };
    let drawn = generated(&engine, &prompts, &params, 6);
    assert!(drawn.iter().any(|g| g.end == EndReason::EndOfText));
    let mut jobs: Vec<ScoreJob> = Vec::new();
    for (prompt_index, prompt) in prompts.iter().enumerate() {
        let of_prompt = drawn.iter().filter(|g| g.prompt_index == prompt_index);
        let whole = |g: &Generated| {
            let end = (g.end == EndReason::EndOfText).then_some(0);
            g.tokens.iter().copied().chain(end).collect()
        };
        jobs.push(ScoreJob {
            prompt: prompt.clone(),
            continuations: of_prompt.map(whole).chain([Vec::new()]).collect(),
        });
    }
    let mut scores = Vec::new();
    let mut done = |index, result| scores.push((index, result));
    engine
        .score(&jobs, &mut done, &CancelToken::default())
        .unwrap();
    assert_eq!(scores.len(), 2);
    for g in &drawn {
        let (index, results) = &scores[g.prompt_index];
        assert_eq!(*index, g.prompt_index);
        let found = &results[usize::try_from(g.tag).unwrap()];
        assert_eq!(found.len(), g.log_prob.count as usize);
        assert_eq!(
            found.iter().sum::<f64>().to_bits(),
            g.log_prob.sum.to_bits()
        );
        assert_eq!(found[0].to_bits(), g.log_prob.first.to_bits());
        assert!(found.iter().all(|&p| p < 0.0 && p >= g.log_prob.min));
    }
    assert!(scores[0].1[6].is_empty());
    // Against the reference: log-softmax of the row before each token.
    let whole: Vec<u32> = [&prompts[0][..], &drawn[0].tokens].concat();
    let logits = reference(&config, &weights, &whole);
    for (i, &token) in drawn[0].tokens.iter().enumerate() {
        let row = &logits[(prompts[0].len() - 1 + i) * 60..][..60];
        let total: f64 = row.iter().map(|v| v.exp()).sum();
        let expected = row[token as usize] - total.ln();
        assert!((scores[0].1[0][i] - expected).abs() < 1e-4);
    }
}
