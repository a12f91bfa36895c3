//! The same of every family: whatever an architecture chooses, the device computes what the CPU's engine does.

use super::*;
use crate::model::architecture::tests::variants::variants;
use crate::model::network::{Copies, DecodeBatch, Next, step_input};
use crate::model::parity::Parity;

/// Each family's, whose sequences here grow through three buckets.
fn models() -> impl Iterator<Item = (&'static str, (Architecture, Weights))> {
    variants().into_iter().map(|(name, architecture)| {
        let weights = Weights::spread(&architecture, 3, 12.0);
        (name, (architecture, weights))
    })
}

#[test]
fn logits_are_the_cpus_for_every_family() {
    // Beyond every window, and of no bucket's length.
    let tokens: Vec<u32> = (0..71).map(|place| place * place % 263).collect();
    for (name, model) in models() {
        let cpu = Engine::new(&model.0, &model.1, EngineOptions::default()).unwrap();
        let expected = cpu.logits(&tokens).unwrap();
        let largest = expected.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        assert!(largest > 1.0, "{name}: near uniform, {largest}");
        for device in devices() {
            let found = engine_of(&model, device, 0).logits(&tokens).unwrap();
            let worst = furthest(&found, &expected);
            eprintln!("{name} on {device}: logits up to {largest:.1} within {worst:.1e}");
            assert!(
                worst < 2e-5 * f64::from(largest.max(5.0)) * device.slack(),
                "{name} on {device}: {worst}"
            );
        }
    }
}

/// What is read at once and what goes on token by token are one model: windows, turned keys, buckets.
#[test]
fn going_on_is_reading_for_every_family() {
    let tokens: Vec<u32> = (0..150).map(|place| (place * 31 + 5) % 257).collect();
    for (name, model) in models() {
        for device in devices() {
            let engine = engine_of(&model, device, 0);
            let (network, rows) = (&engine.network, model.0.vocab_rows);
            let whole = engine.logits(&tokens).unwrap();
            let start = 60;
            let (_, read) = network.read(&[&tokens[..start]], 64);
            let copies = |from, to| Copies {
                from: vec![from],
                to: vec![to],
            };
            let mut batch = DecodeBatch::new(network, engine.together().places, 64);
            batch.put(&read, &copies(0, 5));
            let mut worst = 0.0_f64;
            for position in start..tokens.len() {
                let bucket = bucket(position + 1, model.0.context);
                if bucket > batch.bucket {
                    let mut longer = DecodeBatch::new(network, engine.together().places, bucket);
                    longer.put(&batch, &copies(5, 5));
                    batch = longer;
                }
                let mut next = vec![Next::default(); engine.together().places];
                next[5] = Next {
                    token: tokens[position],
                    position,
                };
                let logits = network.decode(&mut batch, &step_input(&next, &network.device()));
                let found = logits.whole(&[5]);
                let expected = &whole[position * rows..(position + 1) * rows];
                let apart = furthest(&found, expected);
                assert!(
                    apart < 1e-3 * device.slack(),
                    "{name} on {device}, {position}: {apart}"
                );
                worst = worst.max(apart);
            }
            eprintln!("{name} on {device}: going on within {worst:.1e} of reading");
        }
    }
}

#[test]
fn paths_are_the_cpus_for_every_family_and_the_same_at_any_batch_size() {
    for (name, model) in models() {
        let expected = cpu_paths(&model.0, &model.1);
        for device in devices() {
            let all = on(&engine_of(&model, device, 0));
            assert_eq!(all.len(), expected.len(), "{name} on {device}");
            let share = share_alike(&all, &expected);
            eprintln!("{name} on {device}: {:.1} % are the CPU's", 100.0 * share);
            assert!(
                1.0 - share < 0.03 * device.slack(),
                "{name} on {device}: {share}"
            );
            assert_eq!(on(&engine_of(&model, device, 1)), all, "{name} on {device}");
        }
    }
}

#[test]
fn scores_are_the_cpus_for_every_family() {
    for (name, model) in models() {
        scores_are_alike(name, &model, &devices());
    }
}

#[test]
fn logits_and_greedy_tokens_of_every_family_are_those_of_transformers() {
    for parity in Parity::all() {
        let (name, wanted) = (&parity.name, parity.logits());
        let model = (parity.architecture.clone(), parity.weights.clone());
        for device in devices() {
            let engine = engine_of(&model, device, 0);
            let sequences = parity.expected.sequences.iter();
            let found: Vec<f32> = sequences
                .flat_map(|tokens| engine.logits(tokens).unwrap())
                .collect();
            let worst = furthest(&found, &wanted);
            eprintln!("{name} on {device}: logits within {worst:.1e} of transformers'");
            assert!(worst < 1e-4 * device.slack(), "{name} on {device}: {worst}");
            greedy(&parity, &engine, &format!("{name} on {device}"));
        }
    }
}

/// What goes on from each prompt, all prompts together, by the likeliest token.
fn greedy(parity: &Parity, engine: &DeviceEngine, name: &str) {
    let prompts = parity.expected.greedy.iter();
    let prompts: Vec<Vec<u32>> = prompts.map(|each| each.prompt.clone()).collect();
    let drawing = SamplingParams {
        temperature: 0.0,
        max_new_tokens: 12,
        ..SamplingParams::default()
    };
    let mut found = vec![Vec::new(); prompts.len()];
    let request = GenerationRequest {
        prompts: &prompts,
        candidates: 0,
        params: &drawing,
        vocabulary: &Vocabulary::new(parity.architecture.vocab_rows, []),
        stop: None,
    };
    let one = |prompt: usize| SequenceSpec {
        forced_first: None,
        stream: Digest::of(b"greedy"),
        tag: prompt as u64,
    };
    engine
        .generate(
            request,
            &mut |prompt, _| vec![one(prompt)],
            &mut |path| found[usize::try_from(path.tag).unwrap()] = path.tokens,
            &CancelToken::default(),
        )
        .unwrap();
    for (found, expected) in found.iter().zip(&parity.expected.greedy) {
        assert_eq!(
            *found, expected.continuation,
            "{name}: {:?}",
            expected.prompt
        );
    }
}
