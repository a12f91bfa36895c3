//! How sequences begin and end, and what is refused.

use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::text::EndReason;

/// An engine whose logits do not depend on the context: token `i` has logit `bias[i]` at width 16.
fn constant(logits: &[f32], context: usize) -> Engine {
    let config = config([16, 1, 1, logits.len(), context]);
    let mut weights = random(&config);
    let arrays = &mut weights.arrays;
    for (row, &logit) in logits.iter().enumerate() {
        let embedding = &mut arrays[&ArrayId::TOKEN_EMBEDDING].data;
        embedding[row * 16..(row + 1) * 16].fill(0.0);
        embedding[row * 16] = logit;
    }
    let norm = Role::FinalNorm;
    arrays[&ArrayId::weight(norm, None)].data.fill(0.0);
    let bias = &mut arrays[&ArrayId::bias(norm, None)].data;
    bias.fill(0.0);
    bias[0] = 1.0;
    Engine::new(&config, &weights, options(2, 5)).unwrap()
}

fn one(
    engine: &Engine,
    params: &SamplingParams,
    first: Option<u32>,
    stop: Option<u32>,
) -> Generated {
    one_of(&vocabulary(engine), engine, params, first, stop)
}

fn one_of(
    vocabulary: &Vocabulary,
    engine: &Engine,
    params: &SamplingParams,
    first: Option<u32>,
    stop: Option<u32>,
) -> Generated {
    let rule = move |tokens: &[u32]| tokens.last().copied() == stop;
    let spec = SequenceSpec {
        forced_first: first,
        stream: Digest::of(b"one"),
        tag: 4,
    };
    let mut result = None;
    let (mut expand, mut done) = (
        |_: usize, _: &[FirstTokenCandidate]| vec![spec],
        |g| result = Some(g),
    );
    let cancel = CancelToken::default();
    engine
        .generate(
            GenerationRequest {
                prompts: &[vec![1, 1]],
                candidates: 0,
                params,
                vocabulary,
                stop: Some(&rule),
            },
            &mut expand,
            &mut done,
            &cancel,
        )
        .unwrap();
    result.unwrap()
}

#[test]
fn sequences_end_as_the_paper_says() {
    let greedy = SamplingParams {
        temperature: 0.0,
        max_new_tokens: 5,
        ..SamplingParams::default()
    };
    // End-of-text (0) is the most probable: a drawn one ends, a forced first one does not.
    let engine = constant(&[2.0, 0.0, 1.0], 32);
    let g = one(&engine, &greedy, None, None);
    assert_eq!(
        (g.tokens.len(), g.log_prob.count, g.end),
        (0, 1, EndReason::EndOfText)
    );
    let g = one(&engine, &greedy, Some(0), None);
    assert_eq!((&g.tokens[..], g.log_prob.count), (&[0][..], 2));
    assert_eq!((g.end, g.tag), (EndReason::EndOfText, 4));
    // ln(e^2 / (e^2 + 1 + e)), twice.
    assert!((g.log_prob.sum + 2.0 * 0.407_606).abs() < 1e-5);
    let g = one(&engine, &greedy, Some(1), None);
    assert!((g.log_prob.min + 2.407_606).abs() < 1e-5 && g.log_prob.first < -2.4);
    // Ties go to the lower id, and the length counts the first token.
    let engine = constant(&[0.0, 1.0, 1.0], 32);
    let g = one(&engine, &greedy, Some(2), None);
    assert_eq!(
        (&g.tokens[..], g.end),
        (&[2, 1, 1, 1, 1][..], EndReason::Length)
    );
    let g = one(&engine, &greedy, Some(1), Some(1));
    assert_eq!((&g.tokens[..], g.end), (&[1, 1][..], EndReason::Imitative));
    // A context of 4 has room for 2 tokens after a prompt of 2.
    let g = one(&constant(&[0.0, 1.0], 4), &greedy, None, None);
    assert_eq!(
        (g.tokens.len(), g.log_prob.count, g.end),
        (2, 2, EndReason::Length)
    );
}

/// The two last of five rows are padding, and likelier than any token.
#[test]
fn padding_is_never_drawn_and_is_in_the_softmax() {
    let engine = constant(&[0.0, 1.0, 2.0, 3.0, 9.0], 40);
    let total: f64 = [0.0_f64, 1.0, 2.0, 3.0, 9.0].iter().map(|l| l.exp()).sum();
    let three = Vocabulary::new(3, [0]);
    for (temperature, top_k) in [(0.0, 0), (1.0, 0), (1.0, 2), (5.0, 5), (1.0, 1)] {
        let params = SamplingParams {
            temperature,
            top_k,
            top_p: 1.0,
            max_new_tokens: 30,
        };
        let g = one_of(&three, &engine, &params, None, None);
        assert!(g.tokens.iter().all(|&token| token < 3), "{:?}", g.tokens);
        let drawn = g.tokens.iter().chain(&g.end_token);
        let wanted: f64 = drawn.map(|&token| f64::from(token) - total.ln()).sum();
        assert!(
            (g.log_prob.sum - wanted).abs() < 1e-3,
            "{} {wanted}",
            g.log_prob.sum
        );
    }
    let mut seen = Vec::new();
    let params = SamplingParams::default();
    let mut expand = |_: usize, candidates: &[FirstTokenCandidate]| {
        seen.extend(candidates.iter().map(|c| c.token));
        Vec::new()
    };
    let request = GenerationRequest {
        prompts: &[vec![1]],
        candidates: 5,
        params: &params,
        vocabulary: &three,
        stop: None,
    };
    engine
        .generate(request, &mut expand, &mut |_| {}, &CancelToken::default())
        .unwrap();
    assert_eq!(seen, [2, 1, 0]);
}

#[test]
fn whichever_end_is_drawn_ends_the_sequence_and_is_told() {
    let engine = constant(&[0.0, 1.0, 2.0], 8);
    let greedy = SamplingParams {
        temperature: 0.0,
        max_new_tokens: 4,
        ..SamplingParams::default()
    };
    for (ends, tokens, end, end_token) in [
        (&[0][..], 4, EndReason::Length, None),
        (&[0, 2], 0, EndReason::EndOfText, Some(2)),
        (&[2], 0, EndReason::EndOfText, Some(2)),
    ] {
        let vocabulary = Vocabulary::new(3, ends.iter().copied());
        let g = one_of(&vocabulary, &engine, &greedy, None, None);
        assert_eq!(
            (g.tokens.len(), g.end, g.end_token),
            (tokens, end, end_token)
        );
        // Its log-probability counts like a token's.
        assert_eq!(
            g.log_prob.count as usize,
            tokens + usize::from(end_token.is_some())
        );
    }
}

#[test]
fn candidates_are_the_most_probable_first_tokens() {
    let engine = constant(&[0.0, 3.0, 3.0, 1.0], 8);
    let mut seen = Vec::new();
    let mut expand = |_: usize, candidates: &[FirstTokenCandidate]| {
        seen.extend(candidates.iter().map(|c| (c.token, c.rank, c.log_prob)));
        Vec::new()
    };
    let (params, cancel) = (SamplingParams::default(), CancelToken::default());
    let prompts = [vec![1], vec![2]];
    engine
        .generate(
            GenerationRequest {
                prompts: &prompts,
                candidates: 3,
                params: &params,
                vocabulary: &vocabulary(&engine),
                stop: None,
            },
            &mut expand,
            &mut |_| {},
            &cancel,
        )
        .unwrap();
    let order: Vec<(u32, u32)> = seen.iter().map(|c| (c.0, c.1)).collect();
    assert_eq!(order, [(1, 0), (2, 1), (3, 2), (1, 0), (2, 1), (3, 2)]);
    // ln(e^3 / (1 + 2 e^3 + e)).
    assert!((seen[0].2 + 0.781_671).abs() < 1e-5, "{}", seen[0].2);
    cancel.cancel();
    let refused = engine.generate(
        GenerationRequest {
            prompts: &prompts,
            candidates: 3,
            params: &params,
            vocabulary: &vocabulary(&engine),
            stop: None,
        },
        &mut |_, _| Vec::new(),
        &mut |_| {},
        &cancel,
    );
    assert!(matches!(refused, Err(EngineError::Cancelled)));
}

#[test]
fn bad_input_is_an_error_and_says_what_to_do() {
    let shape = config([16, 1, 2, 30, 8]);
    let weights = random(&shape);
    let engine = Engine::new(&shape, &weights, options(1, 2)).unwrap();
    let run = |prompt: Vec<u32>, params: &SamplingParams| {
        let cancel = CancelToken::default();
        let prompts = [vec![1], prompt];
        engine.generate(
            GenerationRequest {
                prompts: &prompts,
                candidates: 1,
                params,
                vocabulary: &vocabulary(&engine),
                stop: None,
            },
            &mut |_, _| Vec::new(),
            &mut |_| {},
            &cancel,
        )
    };
    let good = SamplingParams::default();
    assert!(run(vec![1; 7], &good).is_ok());
    assert!(matches!(
        run(vec![], &good),
        Err(EngineError::EmptyPrompt { index: 1 })
    ));
    let error = run(vec![1; 8], &good).unwrap_err().to_string();
    assert!(error.starts_with("prompt 1: 8 tokens, at most 7 fit") && error.contains("\nhint: "));
    assert!(matches!(
        run(vec![30], &good),
        Err(EngineError::Token { token: 30, .. })
    ));
    for (temperature, top_p, max_new_tokens) in [
        (-1.0, 0.5, 1),
        (f64::NAN, 0.5, 1),
        (1.0, 0.0, 1),
        (1.0, 1.0, 0),
    ] {
        let params = SamplingParams {
            temperature,
            top_p,
            max_new_tokens,
            ..SamplingParams::default()
        };
        assert!(matches!(run(vec![1], &params), Err(EngineError::Params(_))));
    }
    let new =
        |config: &Architecture, weights: &Weights| Engine::new(config, weights, options(1, 2));
    let mut less = weights.clone();
    less.arrays.swap_remove(&ArrayId::bias(Role::Up, 0));
    assert!(
        matches!(new(&shape, &less), Err(EngineError::MissingArray { name, .. }) if name == "h.0.mlp.c_fc.bias")
    );
    let mut more = weights.clone();
    more.arrays.insert(
        ArrayId::bias(Role::AttentionNorm, 1),
        Array {
            shape: vec![1],
            data: vec![0.0],
        },
    );
    assert!(matches!(
        new(&shape, &more),
        Err(EngineError::UnknownArray(_))
    ));
    let mut turned = weights.clone();
    turned.arrays[&ArrayId::POSITION_EMBEDDING].shape = vec![16, 8];
    assert!(matches!(
        new(&shape, &turned),
        Err(EngineError::ArrayShape { .. })
    ));
    assert!(matches!(
        new(&config([16, 1, 3, 30, 8]), &weights),
        Err(EngineError::Shape(_))
    ));
    let mut diverged = weights.clone();
    diverged.arrays[&ArrayId::bias(Role::FinalNorm, None)].data[3] = f32::NAN;
    let engine = new(&shape, &diverged).unwrap();
    let prompts = [vec![1]];
    let cancel = CancelToken::default();
    let refused = engine.generate(
        GenerationRequest {
            prompts: &prompts,
            candidates: 1,
            params: &good,
            vocabulary: &vocabulary(&engine),
            stop: None,
        },
        &mut |_, _| Vec::new(),
        &mut |_| {},
        &cancel,
    );
    assert!(matches!(refused, Err(EngineError::NotFinite { index: 0 })));
}
