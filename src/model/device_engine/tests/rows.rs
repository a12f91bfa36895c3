//! What comes here of a row of logits: as little as a draw asks for, and enough.

use super::super::row::{AskedRows, DeviceRow, Wanted};
use super::*;
use crate::model::architecture::ArrayId;
use crate::model::sampling::LogitsRow;

/// A model in which many tokens are equally probable, always: each embedding is there seven times.
fn with_equals() -> (Architecture, Weights) {
    let (config, mut weights) = model();
    let embeddings = &mut weights.arrays[&ArrayId::TOKEN_EMBEDDING];
    let width = embeddings.shape[1];
    for token in 0..embeddings.shape[0] {
        let first = token / 7 * 7 * width;
        embeddings
            .data
            .copy_within(first..first + width, token * width);
    }
    (config, weights)
}

fn drawing(change: impl FnOnce(&mut SamplingParams)) -> SamplingParams {
    let mut drawing = SamplingParams {
        max_new_tokens: 12,
        ..SamplingParams::default()
    };
    change(&mut drawing);
    drawing
}

/// Paths of a few prompts. Their first tokens are given: the most probable, one that no list of those has, or none.
fn drawn_by(
    params: &SamplingParams,
    candidates: usize,
    mut generate: impl FnMut(GenerationRequest<'_>, &mut Expand<'_>, &mut (dyn FnMut(Generated) + Send)),
) -> Vec<Generated> {
    let (prompts, mut found) = (prompts(), Vec::new());
    let request = GenerationRequest {
        prompts: &prompts[..4],
        candidates,
        params,
        vocabulary: &Vocabulary::new(250, [3]),
        stop: None,
    };
    let expand = &mut |prompt: usize, first: &[FirstTokenCandidate]| {
        let given = first.iter().map(|first| Some(first.token));
        let given = given.chain([Some(249), Some(200), None, None]);
        let spec = |(draw, forced_first): (usize, Option<u32>)| {
            let tag = (prompt * 100 + draw) as u64;
            SequenceSpec {
                forced_first,
                stream: Digest::of(&tag.to_le_bytes()),
                tag,
            }
        };
        given.enumerate().map(spec).collect()
    };
    generate(request, expand, &mut |path| found.push(path));
    found.sort_by_key(|path| path.tag);
    found
}

#[test]
fn draws_of_every_kind_are_the_cpus_among_equals_too() {
    for (name, model) in [("all apart", model()), ("equals", with_equals())] {
        let cpu = Engine::new(&model.0, &model.1, EngineOptions::default()).unwrap();
        let device = engine_with(&model, 64);
        for (kind, params, candidates) in [
            ("top-k", drawing(|_| {}), 5),
            ("greedy", drawing(|params| params.temperature = 0.0), 1),
            (
                "more candidates than draws ask for",
                drawing(|params| params.top_k = 2),
                30,
            ),
            ("all tokens", drawing(|params| params.top_k = 0), 5),
            ("nearly all tokens", drawing(|params| params.top_k = 249), 5),
            (
                "more than there are",
                drawing(|params| params.top_k = 1000),
                5,
            ),
            ("without top-p", drawing(|params| params.top_p = 1.0), 0),
        ] {
            let expected = drawn_by(&params, candidates, |request, expand, done| {
                cpu.generate(request, expand, done, &CancelToken::default())
                    .unwrap();
            });
            let found = drawn_by(&params, candidates, |request, expand, done| {
                device
                    .generate(request, expand, done, &CancelToken::default())
                    .unwrap();
            });
            assert_eq!(found.len(), 4 * (candidates + 4), "{name}, {kind}");
            // A number that falls between two roundings may part two paths, which is rare; equals would part nearly all.
            let share = share_alike(&found, &expected);
            assert!(share > 0.94, "{name}, {kind}: {share}");
            for (found, expected) in found.iter().zip(&expected) {
                let apart = (found.log_prob.sum - expected.log_prob.sum).abs();
                assert!(
                    found.tokens != expected.tokens || apart < 1e-4,
                    "{name}, {kind}: {apart}"
                );
            }
        }
    }
}

/// Rows whose best are settled come as these; where equals straddle the end of what came, the whole comes too.
#[test]
fn a_whole_row_comes_where_equals_leave_it_open() {
    for (model, settled) in [(model(), true), (with_equals(), false)] {
        let engine = engine_with(&model, 64);
        let (hidden, _) = engine.network.read(&[&[1, 2, 3]], 64);
        let wanted = Wanted {
            count: Some(2),
            tokens: 250,
        };
        let read = |places: &[usize]| {
            let logits = engine.network.logits_of(&hidden, &[2]);
            AskedRows::new(logits, wanted).read(engine.isa, places)
        };
        let mut row = read(&[0]).pop().unwrap();
        let DeviceRow::Best { best, whole, .. } = &row else {
            panic!("it is not asked for whole");
        };
        assert_eq!(best.settles(2), settled);
        assert_eq!(whole.is_some(), !settled);
        assert_eq!(row.vocab_size(), 257);
        let known = (0..257).filter(|token| row.knows(*token)).count();
        assert_eq!(known, if settled { 2 + 4 } else { 257 });
        row.complete(engine.isa);
        assert!((0..257).all(|token| row.knows(token)));
        assert!(read(&[]).is_empty());
    }
}

#[test]
fn batches_of_a_card_give_the_same_paths() {
    let model = model();
    let few = on(&engine_with(&model, 64));
    let many = engine_with(&model, 512);
    assert_eq!(
        (many.together().places, many.batch_ladder()),
        (512, vec![1024])
    );
    assert_eq!(on(&many), few);
}

/// What is not finite is told, however little of a row comes.
#[test]
fn logits_that_are_no_numbers_are_told() {
    let (config, mut weights) = model();
    weights.arrays[&ArrayId::TOKEN_EMBEDDING].data[32 * 256..].fill(f32::MAX);
    let engine = engine_with(&(config, weights), 64);
    let (prompts, params) = (prompts(), drawing(|_| {}));
    let failure = engine.generate(
        GenerationRequest {
            prompts: &prompts[..1],
            candidates: 2,
            params: &params,
            // The row that is none is never drawn.
            vocabulary: &Vocabulary::new(250, []),
            stop: None,
        },
        &mut specs,
        &mut |_| {},
        &CancelToken::default(),
    );
    assert!(matches!(failure, Err(EngineError::NotFinite { index: 0 })));
}
