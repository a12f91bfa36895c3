//! Every family against HF `transformers` (`tests/fixtures/families`, whose README says what is in a folder), and every choice
//! of an architecture against itself.

use super::*;
use crate::model::Array;
use crate::model::architecture::{
    Activation, Attention, Biases, BlockAttention, FeedForward, FeedForwardKind, Heads, Norm,
    NormKind, Output, Part, Placement, Positions, QueryKeyNorm, Rotary, RotaryScaling,
};
use crate::model::parity::Parity;

/// The sequences of which the loss counts tokens.
fn counted(parity: &Parity) -> Vec<Example> {
    let example = |(tokens, loss_from): (&[u32], usize)| Example {
        tokens: tokens.to_vec(),
        loss_from,
    };
    parity.counted().map(example).collect()
}

#[test]
fn loss_and_every_gradient_are_those_of_transformers() {
    for parity in Parity::all() {
        let (family, weights) = (&parity.name, &parity.weights);
        let (examples, wanted) = (counted(&parity), parity.expected.loss);
        let batch = Batch::new(&examples);
        let mut network = Network::new(&parity.architecture, MICRO_BATCH_TOKENS, false);
        let mut gradients = weights.zeros();
        let loss = network.gradients(weights, &batch, None, &mut gradients);
        assert!((loss - wanted).abs() < 1e-4, "{family}: {loss} {wanted}");
        let again = network.loss(weights, &batch);
        assert!((again - loss).abs() < 1e-9, "{family}: {again} {loss}");
        let (apart, array) = parity.gradients_apart(&gradients);
        assert!(apart <= 1e-4, "{family}, {array}: {apart:e} of its largest");
    }
}

#[test]
fn ten_steps_of_adam_are_those_of_transformers() {
    for parity in Parity::all() {
        let (family, adam) = (&parity.name, parity.expected.adam);
        let options = TrainOptions {
            adam_beta1: adam.beta1,
            adam_beta2: adam.beta2,
            adam_epsilon: adam.epsilon,
            weight_decay: adam.weight_decay,
            ..TrainOptions::default()
        };
        let examples = counted(&parity);
        let batch = Batch::new(&examples);
        let mut state = TrainState::new(parity.weights.clone());
        let mut cpu = Cpu::new(&parity.architecture, 1, MICRO_BATCH_TOKENS, false).unwrap();
        let update = Update {
            options: &options,
            learning_rate: adam.learning_rate,
            dropout: None,
        };
        let step = |_: &f64| {
            let known = cpu.step(&mut state, &batch, &update).unwrap();
            known.losses()
        };
        let losses: Vec<f64> = parity.expected.adam_losses.iter().flat_map(step).collect();
        let worst = furthest(&losses, &parity.expected.adam_losses);
        assert!(worst < 1e-4, "{family}: {worst:e}");
        let (moved, noise) = parity.trained_apart(&state.weights);
        assert!(moved <= 1e-4, "{family}: {moved:e}");
        // Rows of the embedding that no token of the sequences has are most of the rest.
        let all = parity.weights.parameters();
        assert!(2 * noise < all, "{family}: {noise} of {all}");
    }
}

/// A small model of every choice, also of choices that no family makes together.
fn architectures() -> Vec<Architecture> {
    let heads = Heads {
        query: 4,
        key: 2,
        width: 6,
    };
    let rotary = Rotary {
        theta: 100.0,
        width: 4,
        scaling: RotaryScaling::None,
    };
    let block = |window, rotary| BlockAttention { window, rotary };
    let plain = Architecture {
        vocab_rows: 40,
        context: 32,
        width: 20,
        layers: 3,
        heads,
        positions: Positions::Rotary,
        embedding_scale: 1.0,
        attention: Attention {
            scale: None,
            score_cap: None,
            query_key_norm: None,
            pattern: vec![block(None, Some(rotary))],
        },
        norm: Norm {
            kind: NormKind::Rms { plus_one: false },
            placement: Placement {
                before: true,
                after: false,
            },
            epsilon: 1e-5,
        },
        parallel: false,
        biases: Biases::NONE,
        feed_forward: FeedForward {
            kind: FeedForwardKind::Gated(Activation::Silu),
            inner: 28,
        },
        output: Output::Separate,
        logit_cap: None,
        ..fixture_architecture()
    };
    let mut gemma = plain.clone();
    gemma.norm.kind = NormKind::Rms { plus_one: true };
    gemma.norm.placement.after = true;
    gemma.embedding_scale = 4.5;
    gemma.output = Output::Tied;
    gemma.logit_cap = Some(2.0);
    gemma.feed_forward.kind = FeedForwardKind::Gated(Activation::GeluTanh);
    gemma.attention = Attention {
        scale: Some(0.3),
        score_cap: Some(1.5),
        query_key_norm: Some(QueryKeyNorm::Head),
        pattern: vec![block(Some(4), Some(rotary)), block(None, None)],
    };
    let mut olmo = plain.clone();
    olmo.norm.placement = Placement {
        before: false,
        after: true,
    };
    olmo.attention.query_key_norm = Some(QueryKeyNorm::All);
    let mut neox = plain.clone();
    neox.norm.kind = NormKind::Layer;
    neox.parallel = true;
    neox.biases = Biases::ALL;
    neox.feed_forward.kind = FeedForwardKind::Plain(Activation::Gelu);
    // No family's: both halves read the input, and norms follow them.
    let mut both = neox.clone();
    both.norm.placement.after = true;
    both.attention.pattern = vec![block(Some(1), None), block(Some(3), Some(rotary))];
    both.biases.attention_out = false;
    both.feed_forward.kind = FeedForwardKind::Gated(Activation::Gelu);
    vec![plain, gemma, olmo, neox, both]
}

/// What the rest of an architecture is taken from.
fn fixture_architecture() -> Architecture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families/llama");
    Architecture::load(&folder).unwrap()
}

/// Weights of no pattern, large enough that nothing is uniform.
fn weights(architecture: &Architecture) -> Weights {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let arrays = architecture.arrays().into_iter().map(|spec| {
        let (middle, spread) = match (spec.shape.len(), spec.id.part) {
            (1, Part::Weight) => (1.0, 0.5),
            _ => (0.0, 0.4),
        };
        let data = (0..spec.len()).map(|_| middle + spread * next());
        let data = data.collect();
        (
            spec.id,
            Array {
                shape: spec.shape,
                data,
            },
        )
    });
    Weights {
        arrays: arrays.collect(),
    }
}

fn sequences() -> Vec<Example> {
    let token = |index: usize, place: usize| {
        u32::try_from((index * 31 + place * place * 7 + place) % 40).unwrap()
    };
    let lengths = [12, 2, 7, 20].into_iter().enumerate();
    let examples = lengths.map(|(index, length)| Example {
        tokens: (0..length).map(|place| token(index, place)).collect(),
        loss_from: (1 + index % 3).min(length - 1),
    });
    examples.collect()
}

/// The gradient of an array along itself against the loss that so changes.
#[test]
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn gradients_are_what_the_loss_changes_by() {
    for (which, architecture) in architectures().iter().enumerate() {
        let (weights, examples) = (weights(architecture), sequences());
        let batch = Batch::new(&examples);
        let dropout = Dropout::new([0.2, 0.0], 3, 4);
        let mut network = Network::new(architecture, usize::MAX, false);
        let mut gradients = weights.zeros();
        network.gradients(&weights, &batch, dropout, &mut gradients);
        let mut unused = weights.zeros();
        let mut wrong = Vec::new();
        for (id, gradient) in &gradients.arrays {
            let norm = gradient.data.iter().map(|x| f64::from(*x).powi(2));
            let norm = norm.sum::<f64>().sqrt();
            assert!(norm > 1e-4, "architecture {which}, {id:?}: {norm}");
            let mut at = |step: f64| {
                let mut moved = weights.clone();
                let pairs = moved.arrays[id].data.iter_mut().zip(&gradient.data);
                for (weight, gradient) in pairs {
                    *weight += (step / norm) as f32 * gradient;
                }
                network.gradients(&moved, &batch, dropout, &mut unused)
            };
            // Two differences, of which the error by the third derivative is taken out.
            let step = 0.002;
            let [one, two] = [step, 2.0 * step].map(|step| (at(step) - at(-step)) / (2.0 * step));
            let slope = (4.0 * one - two) / 3.0;
            let error = (slope / norm - 1.0).abs();
            if error > 1e-3 {
                wrong.push(format!(
                    "architecture {which}, {id:?}: {one} {two} {slope} {norm}"
                ));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn checkpointing_and_threads_change_no_bit_of_any_family() {
    for architecture in &architectures() {
        let (weights, examples) = (weights(architecture), sequences());
        let batch = Batch::new(&examples);
        let run = |threads: usize, checkpointing: bool, limit: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let mut network = Network::new(architecture, limit, checkpointing);
                let mut gradients = weights.zeros();
                let dropout = Dropout::new([0.1, 0.0], 1, 2);
                // Memory that was used before changes nothing either.
                network.gradients(&weights, &Batch::new(&examples[..2]), None, &mut gradients);
                let loss = network.gradients(&weights, &batch, dropout, &mut gradients);
                (loss, gradients)
            })
        };
        let whole = run(1, false, usize::MAX);
        assert!(run(3, false, usize::MAX) == whole);
        assert!(run(2, true, usize::MAX) == whole);
        let parts = run(2, false, 15);
        assert!((parts.0 - whole.0).abs() < 1e-5);
        assert!(run(1, true, 15) == parts);
    }
}
