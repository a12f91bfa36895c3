//! Every family: against the f64 model at odd shapes, and against HF transformers at its fixtures.

use serde_json::Value;

use super::reference::reference;
use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::distance::furthest;
use crate::model::parity::{Greedy, Parity};

/// A `config.json` of each family, and what is odd about it.
pub(super) const CONFIGS: [(&str, &str); 16] = [
    (
        "two queries to a head of keys, heads of two vectors and a rest",
        r#"{"model_type": "llama", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 34}"#,
    ),
    (
        "three queries, heads narrower than a vector, a gate that fills no panel",
        r#"{"model_type": "llama", "hidden_size": 30, "intermediate_size": 37, "num_hidden_layers": 2,
            "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 10, "attention_bias": true,
            "mlp_bias": true, "tie_word_embeddings": true,
            "rope_scaling": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16}}"#,
    ),
    (
        "seven queries, heads of five vectors",
        r#"{"model_type": "llama", "hidden_size": 17, "intermediate_size": 33, "num_hidden_layers": 1,
            "num_attention_heads": 7, "num_key_value_heads": 1, "head_dim": 70, "rope_scaling": {"type": "yarn",
                "factor": 4.0, "original_max_position_embeddings": 16}}"#,
    ),
    (
        "one query to a head of keys",
        r#"{"model_type": "llama", "hidden_size": 40, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "rope_scaling": {"type": "linear", "factor": 2.0}}"#,
    ),
    (
        "a window that is no multiple of a page",
        r#"{"model_type": "mistral", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 1, "sliding_window": 19}"#,
    ),
    (
        "a window of one",
        r#"{"model_type": "mistral", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2,
            "num_attention_heads": 3, "num_key_value_heads": 3, "sliding_window": 1}"#,
    ),
    (
        "biases of queries, keys and values alone",
        r#"{"model_type": "qwen2", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 3,
            "num_attention_heads": 6, "num_key_value_heads": 2, "use_sliding_window": true, "sliding_window": 7,
            "max_window_layers": 1}"#,
    ),
    (
        "norms of each head",
        r#"{"model_type": "qwen3", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2,
            "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 18}"#,
    ),
    (
        "caps, windows in every other block",
        r#"{"model_type": "gemma2", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "sliding_window": 9,
            "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 7}"#,
    ),
    (
        "two kinds of rotary positions",
        r#"{"model_type": "gemma3_text", "hidden_size": 28, "intermediate_size": 20, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 22, "sliding_window": 17,
            "sliding_window_pattern": 3, "query_pre_attn_scalar": 9, "rope_local_base_freq": 50.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0}}"#,
    ),
    (
        "norms after, and of all heads",
        r#"{"model_type": "olmo2", "hidden_size": 36, "intermediate_size": 20, "num_hidden_layers": 2,
            "num_attention_heads": 6, "num_key_value_heads": 2}"#,
    ),
    (
        "both halves beside each other, a part of a head turned",
        r#"{"model_type": "gpt_neox", "hidden_size": 28, "intermediate_size": 44, "num_hidden_layers": 2,
            "num_attention_heads": 2, "rotary_pct": 0.3}"#,
    ),
    (
        "one half after the other",
        r#"{"model_type": "gpt_neox", "hidden_size": 34, "intermediate_size": 31, "num_hidden_layers": 2,
            "num_attention_heads": 1, "use_parallel_residual": false, "hidden_act": "gelu_fast"}"#,
    ),
    (
        "a block without positions",
        r#"{"model_type": "smollm3", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 2, "no_rope_layers": [1, 0, 1]}"#,
    ),
    (
        "windows where there are no positions",
        r#"{"model_type": "smollm3", "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 3,
            "num_attention_heads": 2, "num_key_value_heads": 1, "no_rope_layer_interval": 2,
            "use_sliding_window": true, "sliding_window": 20}"#,
    ),
    (
        "wide heads, an activation that is another",
        r#"{"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
            "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "hidden_act": "gelu"}"#,
    ),
];

/// The architecture of one of [`CONFIGS`], with the sizes that all of them have.
pub(super) fn odd(config: &str) -> Architecture {
    let mut config: Value = serde_json::from_str(config).unwrap();
    config["vocab_size"] = 45.into();
    config["max_position_embeddings"] = 64.into();
    config["eos_token_id"] = 0.into();
    parse(&config.to_string())
}

#[test]
fn every_family_agrees_with_f64_on_every_instruction_set() {
    let tokens: Vec<u32> = (0..53).map(|i| (i * i + 3) % 45).collect();
    for (what, config) in CONFIGS {
        let architecture = odd(config);
        let weights = random(&architecture);
        let expected = reference(&architecture, &weights, &tokens);
        let mut first = None;
        for isa in Isa::available() {
            let engine = Engine::with_isa(&architecture, &weights, options(2, 0), isa).unwrap();
            let found = engine.logits(&tokens).unwrap();
            let exact: Vec<f64> = found.iter().map(|logit| f64::from(*logit)).collect();
            let worst = furthest(&exact, &expected);
            assert!(worst < 5e-5, "{what}: {worst:e}");
            let seen = bits(&found);
            assert!(
                *first.get_or_insert_with(|| seen.clone()) == seen,
                "{what}: {isa:?}"
            );
        }
    }
}

/// What 8-bit products cost is measured on real models; here that each family's go the right way.
#[test]
fn every_family_is_near_itself_in_int8() {
    let tokens: Vec<u32> = (0..40).map(|i| (i * i + 3) % 45).collect();
    for (what, config) in CONFIGS {
        let architecture = odd(config);
        let weights = random(&architecture);
        let logits = |dtype| {
            let options = EngineOptions {
                dtype,
                ..options(2, 0)
            };
            let engine = Engine::new(&architecture, &weights, options).unwrap();
            let logits = engine.logits(&tokens).unwrap();
            logits.into_iter().map(f64::from).collect::<Vec<_>>()
        };
        let (exact, near) = (logits(Dtype::F32), logits(Dtype::Int8));
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let error = norm(&mut exact.iter().zip(&near).map(|(a, b)| a - b));
        let share = error / norm(&mut exact.iter().copied());
        assert!(share > 1e-6 && share < 0.12, "{what}: {share}");
    }
}

#[test]
fn every_family_is_what_transformers_computes() {
    for parity in Parity::all() {
        let (architecture, weights) = parity.by_older_keys();
        let spelled = [
            ("config.json", (&parity.architecture, &parity.weights)),
            ("config.hub.json", (&architecture, &weights)),
        ];
        for (config, (architecture, weights)) in spelled {
            let name = format!("{} {config}", parity.name);
            let engine = Engine::new(architecture, weights, options(2, 0)).unwrap();
            let sequences = parity.expected.sequences.iter();
            let found: Vec<f32> = sequences
                .flat_map(|tokens| engine.logits(tokens).unwrap())
                .collect();
            let worst = furthest(&found, &parity.logits());
            assert!(worst < 1e-4, "{name}: {worst:e}");
            greedy(&name, &engine, &parity.expected.greedy);
        }
    }
}

/// Drawn from the most probable token alone, each prompt goes on as transformers' greedy search does.
fn greedy(name: &str, engine: &Engine, expected: &[Greedy]) {
    let prompts: Vec<Vec<u32>> = expected.iter().map(|one| one.prompt.clone()).collect();
    let params = SamplingParams {
        max_new_tokens: u32::try_from(expected[0].continuation.len()).unwrap(),
        top_k: 1,
        ..SamplingParams::default()
    };
    let mut found = vec![Vec::new(); prompts.len()];
    engine
        .generate(
            GenerationRequest {
                prompts: &prompts,
                candidates: 0,
                params: &params,
                vocabulary: &vocabulary(engine),
                stop: None,
            },
            &mut |prompt, _| {
                vec![SequenceSpec {
                    forced_first: None,
                    stream: Digest::of(format!("greedy {prompt}").as_bytes()),
                    tag: 0,
                }]
            },
            &mut |one| found[one.prompt_index].clone_from(&one.tokens),
            &CancelToken::default(),
        )
        .unwrap();
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(*found, expected.continuation, "{name}");
    }
}
