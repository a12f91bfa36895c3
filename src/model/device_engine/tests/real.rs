//! A real pretrained model on every device: most paths are the CPU's token for token, and where one parts from it the draw
//! was near.

use super::*;
use crate::model::sampling::{BorrowedLogits, nearness};
use crate::needs::shared;

/// How near a draw is that rounding may turn.
const NEAR: f64 = 1e-3;
const BEGINNINGS: [&str; 8] = [
    "Once upon a time",
    "Lily had a red ball. One day",
    "The little dog wanted to",
    "Tom and his mom went to the park",
    "It was a dark night, and the cat",
    "Ben saw a big bird in the tree. He said",
    "There was a girl who liked",
    "The sun was hot. Sue",
];

#[test]
fn real_paths_are_the_cpus_or_part_where_a_draw_is_near() {
    let Some(folder) = shared("models/stories260K") else {
        return;
    };
    let student = Student::load(&folder).unwrap();
    let model = (student.architecture.clone(), student.weights.clone());
    let prompts = BEGINNINGS.map(|text| student.tokenizer.encode(text).unwrap());
    let vocabulary = Vocabulary::new(model.0.vocab_rows, []);
    let params = SamplingParams {
        max_new_tokens: 64,
        ..SamplingParams::default()
    };
    let draw = |generate: &mut Draw<'_>| {
        let mut found = Vec::new();
        let request = GenerationRequest {
            prompts: &prompts,
            candidates: 5,
            params: &params,
            vocabulary: &vocabulary,
            stop: None,
        };
        generate(request, &mut specs, &mut |path| found.push(path)).unwrap();
        found.sort_by_key(|path: &Generated| path.tag);
        found
    };
    let cpu = Engine::new(&model.0, &model.1, EngineOptions::default()).unwrap();
    let expected = draw(&mut |request, expand, done| {
        cpu.generate(request, expand, done, &CancelToken::default())
    });
    assert_eq!(expected.len(), 200);
    for device in devices() {
        let engine = engine_of(&model, device, 0);
        let found = draw(&mut |request, expand, done| {
            engine.generate(request, expand, done, &CancelToken::default())
        });
        let mut nearest = Vec::new();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.tag, expected.tag);
            let pairs = found.tokens.iter().zip(&expected.tokens);
            let Some(place) = pairs
                .clone()
                .position(|(found, expected)| found != expected)
            else {
                assert_eq!(found.tokens.len(), expected.tokens.len(), "{device}");
                continue;
            };
            let prompt = usize::try_from(expected.tag / 100).unwrap();
            let read = [&prompts[prompt][..], &expected.tokens[..place]].concat();
            let logits = cpu.logits(&read).unwrap();
            let last = &logits[logits.len() - model.0.vocab_rows..];
            let row = BorrowedLogits {
                isa: Isa::available()[0],
                values: last,
            };
            let stream = Digest::of(&expected.tag.to_le_bytes());
            // The first token is not drawn.
            let near = nearness(&row, vocabulary.tokens(), &params, &stream, place - 1);
            assert!(
                near < NEAR * device.slack(),
                "{device}: path {} parts at {place}: {near:e}",
                found.tag
            );
            nearest.push(near);
        }
        eprintln!(
            "{device}: {} of 200 real paths are the CPU's; at their partings draws are as near as {nearest:?}",
            200 - nearest.len()
        );
        assert!(
            nearest.len() as f64 <= 2.0 * device.slack(),
            "{device}: {nearest:?}"
        );
    }
}
