//! Families by their configurations: what is refused, what is written, and what files hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::model::architecture::{Architecture, Output, Rotary, RotaryScaling};
use crate::model::{ModelError, WeightFiles};

/// What a small model of a family says of itself, with these keys in place of its own.
#[expect(
    clippy::needless_pass_by_value,
    reason = "so that cases are written short"
)]
fn read(model_type: &str, keys: Value) -> Result<Architecture, ModelError> {
    let mut config = json!({
        "model_type": model_type, "vocab_size": 45, "max_position_embeddings": 64, "hidden_size": 24,
        "intermediate_size": 20, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 6,
    });
    let map = config.as_object_mut().unwrap();
    if model_type == "gpt_neox" {
        map.remove("num_key_value_heads");
        map.remove("head_dim");
        map.insert("hidden_size".to_owned(), json!(32));
    }
    for (key, value) in keys.as_object().unwrap() {
        map.insert(key.clone(), value.clone());
    }
    Architecture::parse(config.to_string().as_bytes(), Path::new("config.json"))
}

#[test]
fn each_refusal_names_the_key() {
    let cases = [
        // Unknown, and half known.
        ("mamba", json!({}), "`model_type` is \"mamba\""),
        ("qwen3_moe", json!({}), "`model_type` is \"qwen3_moe\""),
        ("gemma3", json!({}), "`model_type` is \"gemma3\""),
        (
            "llama",
            json!({"num_local_experts": 8}),
            "`num_local_experts` is 8",
        ),
        ("qwen3", json!({"num_experts": 128}), "`num_experts` is 128"),
        (
            "llama",
            json!({"quantization_config": {"bits": 4}}),
            "`quantization_config` is",
        ),
        (
            "gemma3_text",
            json!({"vision_config": {"depth": 2}}),
            "`vision_config` is",
        ),
        (
            "gemma3_text",
            json!({"use_bidirectional_attention": true}),
            "`use_bidirectional_attention` is true",
        ),
        (
            "gemma2",
            json!({"use_bidirectional_attention": true}),
            "`use_bidirectional_attention` is true",
        ),
        (
            "gemma3_text",
            json!({"attn_logit_softcapping": 50.0}),
            "`attn_logit_softcapping` is 50.0",
        ),
        (
            "llama",
            json!({"sliding_window": 8}),
            "`sliding_window` is 8",
        ),
        ("olmo2", json!({"clip_qkv": 8.0}), "`clip_qkv` is 8.0"),
        // Values that are no values.
        (
            "llama",
            json!({"hidden_act": "relu"}),
            "`hidden_act` is \"relu\"",
        ),
        (
            "gemma2",
            json!({"hidden_activation": "relu"}),
            "`hidden_activation` is \"relu\"",
        ),
        ("llama", json!({"vocab_size": null}), "`vocab_size` is null"),
        ("llama", json!({"hidden_act": null}), "`hidden_act` is null"),
        (
            "gemma3_text",
            json!({"hidden_activation": null}),
            "`hidden_activation` is null",
        ),
        (
            "qwen2",
            json!({"rms_norm_eps": null}),
            "`rms_norm_eps` is null",
        ),
        (
            "gpt_neox",
            json!({"layer_norm_eps": null}),
            "`layer_norm_eps` is null",
        ),
        ("llama", json!({"vocab_size": -3}), "`vocab_size` is -3"),
        (
            "llama",
            json!({"tie_word_embeddings": 1}),
            "`tie_word_embeddings` is 1",
        ),
        (
            "llama",
            json!({"rms_norm_eps": "1e-5"}),
            "`rms_norm_eps` is \"1e-5\"",
        ),
        (
            "llama",
            json!({"eos_token_id": [1, "2"]}),
            "`eos_token_id` is \"2\"",
        ),
        (
            "llama",
            json!({"eos_token_id": [1, 45]}),
            "`eos_token_id` 45",
        ),
        (
            "gemma2",
            json!({"final_logit_softcapping": -1.0}),
            "`final_logit_softcapping` is -1.0",
        ),
        (
            "gemma2",
            json!({"query_pre_attn_scalar": 0}),
            "`query_pre_attn_scalar` is 0",
        ),
        // Numbers that do not go together.
        (
            "llama",
            json!({"num_key_value_heads": 3}),
            "`num_key_value_heads` 3",
        ),
        (
            "llama",
            json!({"num_key_value_heads": 0}),
            "`num_key_value_heads` is 0",
        ),
        (
            "llama",
            json!({"num_attention_heads": 0, "head_dim": null}),
            "`num_attention_heads` 0",
        ),
        (
            "llama",
            json!({"num_attention_heads": 5, "head_dim": null}),
            "`num_attention_heads` 5",
        ),
        (
            "gpt_neox",
            json!({"num_attention_heads": 5}),
            "`num_attention_heads` 5",
        ),
        (
            "llama",
            json!({"head_dim": 5}),
            "rotary positions turn 5 values of a head of 5",
        ),
        (
            "gpt_neox",
            json!({"rotary_pct": 0.1}),
            "rotary positions turn 0 values of a head of 8",
        ),
        (
            "llama",
            json!({"num_hidden_layers": 1_u64 << 60}),
            "`num_hidden_layers` is 1152921504606846976",
        ),
        (
            "smollm3",
            json!({"num_hidden_layers": 1_u64 << 60}),
            "`num_hidden_layers` is 1152921504606846976",
        ),
        // Rotary positions.
        ("llama", json!({"rope_theta": 0}), "`rope_theta` is 0"),
        ("llama", json!({"rope_theta": 1}), "`rope_theta` is 1"),
        (
            "llama",
            json!({"rope_scaling": {"type": "longrope", "factor": 2.0}}),
            "`rope_scaling` is",
        ),
        (
            "llama",
            json!({"rope_scaling": {"type": "linear"}}),
            "`rope_scaling` is",
        ),
        (
            "llama",
            json!({"rope_scaling": {"type": "linear", "factor": 0}}),
            "`rope_scaling` is",
        ),
        (
            "llama",
            json!({"rope_scaling": {"type": "yarn", "factor": 2.0, "beta_fast": "32"}}),
            "`rope_scaling` is",
        ),
        (
            "llama",
            json!({"rope_scaling": {"type": "default", "mrope_section": [1]}}),
            "`rope_scaling.mrope_section` is [1], which is not known",
        ),
        (
            "llama",
            json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0,
            "high_freq_factor": 4.0}}),
            "`rope_scaling` is",
        ),
        (
            "llama",
            json!({"rope_scaling": 2.0}),
            "`rope_scaling` is 2.0",
        ),
        (
            "llama",
            json!({"rope_parameters": {"full_attention": {"rope_theta": 5.0}}}),
            "`rope_parameters.full_attention` is",
        ),
        // Blocks one by one.
        (
            "qwen2",
            json!({"layer_types": ["full_attention"]}),
            "`layer_types` is",
        ),
        (
            "qwen2",
            json!({"layer_types": vec!["chunked_attention"; 3]}),
            "`layer_types` is",
        ),
        (
            "qwen2",
            json!({"layer_types": vec!["sliding_attention"; 3]}),
            "`sliding_window` is missing",
        ),
        (
            "mistral",
            json!({"sliding_window": 0}),
            "`sliding_window` is 0",
        ),
        (
            "gemma2",
            json!({"sliding_window": null}),
            "`sliding_window` is null",
        ),
        (
            "gemma3_text",
            json!({"sliding_window_pattern": 0}),
            "`sliding_window_pattern` is 0",
        ),
        (
            "smollm3",
            json!({"no_rope_layers": [1, 0]}),
            "`no_rope_layers` is [1,0]",
        ),
        (
            "smollm3",
            json!({"no_rope_layers": [1, 0, 2]}),
            "`no_rope_layers` is [1,0,2]",
        ),
        (
            "smollm3",
            json!({"no_rope_layer_interval": 0}),
            "`no_rope_layer_interval` is 0",
        ),
    ];
    for (model_type, keys, expected) in cases {
        match read(model_type, keys.clone()) {
            Ok(_) => panic!("{model_type} {keys} was read"),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(expected), "{model_type} {keys}: {message}");
                assert!(message.contains("\nhint: "), "{message}");
                let lists = message.contains("lists the models that are students");
                assert_eq!(lists, message.contains("`model_type` is"), "{message}");
            }
        }
    }
    let folder = Path::new("folder/config.json");
    for (text, expected) in [
        ("[]", "invalid type: sequence, expected a map"),
        ("{", "EOF"),
        ("\"llama\"", "invalid type: string"),
    ] {
        let error = Architecture::parse(text.as_bytes(), folder).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("`folder/config.json` is not what was"),
            "{said}"
        );
        assert!(
            said.contains(expected) && said.contains("\nhint: "),
            "{said}"
        );
    }
}

#[test]
fn what_says_nothing_is_no_reason_to_refuse() {
    let silent = json!({
        "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": true, "attention_dropout": 0.1,
        "num_experts": 0, "quantization_config": null, "auto_map": {"AutoModel": "x"}, "use_qk_norm": false,
    });
    for model_type in [
        "llama",
        "mistral",
        "qwen2",
        "qwen3",
        "gemma2",
        "gemma3_text",
        "olmo2",
        "gpt_neox",
        "smollm3",
    ] {
        read(model_type, silent.clone()).unwrap_or_else(|error| panic!("{model_type}: {error}"));
    }
}

fn windows(architecture: &Architecture) -> Vec<Option<usize>> {
    let layers = 0..architecture.layers;
    layers
        .map(|layer| architecture.block_attention(layer).window)
        .collect()
}

fn thetas(architecture: &Architecture) -> Vec<Option<f64>> {
    let theta = |layer| {
        architecture
            .block_attention(layer)
            .rotary
            .map(|rotary: Rotary| rotary.theta)
    };
    (0..architecture.layers).map(theta).collect()
}

#[test]
fn what_is_left_out_is_of_its_family() {
    let own = |model_type, keys| read(model_type, keys).unwrap();
    let none = json!({});
    assert_eq!(windows(&own("mistral", none.clone())), [Some(4096); 3]);
    assert_eq!(
        windows(&own("mistral", json!({"sliding_window": null}))),
        [None; 3]
    );
    let asked = json!({"use_sliding_window": true, "sliding_window": 9, "max_window_layers": 2});
    assert_eq!(windows(&own("qwen3", asked)), [None, None, Some(9)]);
    let unasked = json!({"use_sliding_window": false, "sliding_window": 9, "max_window_layers": 2});
    assert_eq!(windows(&own("qwen2", unasked)), [None; 3]);
    assert_eq!(
        windows(&own("gemma2", none.clone())),
        [Some(4096), None, Some(4096)]
    );
    let every = json!({"sliding_window_pattern": 2, "sliding_window": 5});
    let gemma = own("gemma3_text", every);
    assert_eq!(windows(&gemma), [Some(5), None, Some(5)]);
    assert_eq!(thetas(&gemma), [Some(1e4), Some(1e6), Some(1e4)]);
    let smollm = own("smollm3", json!({"no_rope_layer_interval": 2}));
    assert_eq!(thetas(&smollm), [Some(2e6), None, Some(2e6)]);
    for (model_type, tied) in [
        ("llama", false),
        ("gemma2", true),
        ("smollm3", true),
        ("gpt_neox", false),
    ] {
        let tied = if tied { Output::Tied } else { Output::Separate };
        assert_eq!(own(model_type, none.clone()).output, tied, "{model_type}");
    }
    let gemma = own("gemma2", none.clone());
    assert_eq!(
        (gemma.attention.score_cap, gemma.logit_cap),
        (Some(50.0), Some(30.0))
    );
    let uncapped = own("gemma2", json!({"final_logit_softcapping": null}));
    assert_eq!(
        (uncapped.attention.score_cap, uncapped.logit_cap),
        (Some(50.0), None)
    );
    let several = own("llama", json!({"eos_token_id": [7, 8]}));
    assert_eq!((several.end_of_text, several.ends), (None, vec![7, 8]));
    let dynamic = own(
        "llama",
        json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}),
    );
    assert_eq!(
        dynamic.block_attention(0).rotary.unwrap().scaling,
        RotaryScaling::None
    );
}

/// The folders that `tests/fixtures/make_families.py` wrote.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families");
    let entries = fs::read_dir(folder).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path());
    folders.filter(|path| path.is_dir()).collect()
}

/// Everything but the keys that are kept; what differs from block to block of every one.
fn meaning(architecture: &Architecture) -> String {
    let mut architecture = architecture.clone();
    architecture.config.clear();
    let blocks = (0..architecture.layers).map(|layer| architecture.block_attention(layer));
    architecture.attention.pattern = blocks.collect();
    format!("{architecture:?}")
}

#[test]
fn what_is_written_is_what_was_read_under_either_spelling() {
    for folder in fixtures() {
        let mut meanings = Vec::new();
        for name in ["config.json", "config.hub.json"] {
            let path = folder.join(name);
            let first = Architecture::parse(&fs::read(&path).unwrap(), &path).unwrap();
            let text = first.config_json();
            let again = Architecture::parse(text.as_bytes(), &path).unwrap();
            assert_eq!(meaning(&again), meaning(&first), "{}", path.display());
            assert_eq!(again.config_json(), text, "{}", path.display());
            meanings.push(meaning(&first));
        }
        assert_eq!(meanings[0], meanings[1], "{}", folder.display());
    }
}

#[test]
fn weights_are_written_as_transformers_wrote_them() {
    for folder in fixtures() {
        let architecture = Architecture::load(&folder).unwrap();
        let weights = WeightFiles::open(&folder, &architecture)
            .unwrap()
            .read()
            .unwrap();
        let written = tempfile::tempdir().unwrap();
        let path = written.path().join("model.safetensors");
        weights.save(&path, &architecture).unwrap();
        let (theirs, ours) = (
            fs::read(folder.join("model.safetensors")).unwrap(),
            fs::read(&path).unwrap(),
        );
        let arrays = |bytes: &[u8]| {
            let file = SafeTensors::deserialize(bytes).unwrap();
            let arrays = file.tensors().into_iter();
            let arrays =
                arrays.map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())));
            arrays.collect::<BTreeMap<_, _>>()
        };
        let (theirs, ours) = (arrays(&theirs), arrays(&ours));
        let names = |arrays: &BTreeMap<String, _>| arrays.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{}", folder.display());
        assert!(ours == theirs, "{}", folder.display());
    }
}
