//! What a Hub folder gets of a file: its configuration, and its arrays in the Hub's layout.

use serde_json::{Value, json};

use super::super::arrays::{HubArray, arrays};
use super::super::config::{config, generation_config};
use super::super::{Gguf, GgufError};
use super::{File, says};

/// A family's sizes under its names.
fn sized(architecture: &str) -> File {
    let key = |name: &str| format!("{architecture}.{name}");
    File::new(architecture)
        .count(&key("block_count"), 2)
        .count(&key("embedding_length"), 8)
        .count(&key("feed_forward_length"), 12)
        .count(&key("context_length"), 64)
        .count(&key("attention.head_count"), 4)
        .number(&key("attention.layer_norm_rms_epsilon"), 1e-6)
        .number(&key("attention.layer_norm_epsilon"), 1e-5)
        .count("tokenizer.ggml.bos_token_id", 1)
        .count("tokenizer.ggml.eos_token_id", 2)
        .tensor("token_embd.weight", &[5, 8], &[0.0; 40])
}

fn made(file: &File) -> Value {
    config(&file.open().unwrap()).unwrap()
}

/// Checks some keys of a configuration.
#[track_caller]
fn has(found: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&found[key], value, "{key} of {found:#}");
    }
}

#[test]
fn a_configuration_has_the_hubs_keys() {
    let llama = sized("llama")
        .count("llama.attention.head_count_kv", 2)
        .number("llama.rope.freq_base", 5e5);
    let expected = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 5, "hidden_size": 8,
        "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 5e5,
        "rope_scaling": null, "hidden_act": "silu", "attention_bias": false, "mlp_bias": false,
        "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": null,
    });
    assert_eq!(made(&llama), expected);
    let untied = llama.tensor("output.weight", &[5, 8], &[0.0; 40]);
    has(&made(&untied), &json!({"tie_word_embeddings": false}));

    for (architecture, model_type) in [("qwen2", "qwen2"), ("qwen3", "qwen3"), ("olmo2", "olmo2")] {
        let file = sized(architecture).count(&format!("{architecture}.attention.key_length"), 6);
        has(
            &made(&file),
            &json!({"model_type": model_type, "head_dim": 6, "num_key_value_heads": 4, "rope_theta": 1e4}),
        );
    }
    let gemma2 = sized("gemma2").number("gemma2.final_logit_softcapping", 25.0);
    has(
        &made(&gemma2),
        &json!({"model_type": "gemma2", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 2,
            "sliding_window": 4096, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 25.0,
            "layer_types": ["sliding_attention", "full_attention"]}),
    );
    let gemma3 = sized("gemma3").count("gemma3.attention.sliding_window", 16);
    has(
        &made(&gemma3),
        &json!({"model_type": "gemma3_text", "sliding_window": 16, "rope_local_base_freq": 1e4,
            "final_logit_softcapping": null, "layer_types": ["sliding_attention", "sliding_attention"]}),
    );
    let neox = sized("gptneox")
        .count("gptneox.rope.dimension_count", 1)
        .truth("gptneox.use_parallel_residual", false);
    has(
        &made(&neox),
        &json!({"model_type": "gpt_neox", "rotary_pct": 0.5, "use_parallel_residual": false, "layer_norm_eps": 1e-5,
            "rotary_emb_base": 1e4}),
    );
    has(
        &made(&sized("gpt2")),
        &json!({"model_type": "gpt2", "n_embd": 8, "n_inner": 12, "n_layer": 2, "n_head": 4, "n_positions": 64,
            "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"}),
    );
}

#[test]
fn every_end_of_a_text_is_told() {
    let file = sized("llama")
        .count("tokenizer.ggml.eot_token_id", 4)
        .count("tokenizer.ggml.eom_token_id", 2);
    let found = generation_config(&file.open().unwrap()).unwrap();
    assert_eq!(
        found,
        json!({"bos_token_id": 1, "eos_token_id": [2, 4], "pad_token_id": null})
    );
}

#[test]
fn each_refusal_names_the_key() {
    let refused = |file: File, expected: &[&str]| says(config(&file.open().unwrap()), expected);
    refused(
        File::new("mamba"),
        &["`general.architecture`", "\"mamba\"", "llama, qwen2"],
    );
    refused(
        File::new("llama"),
        &["`llama.embedding_length` of the metadata: it is missing"],
    );
    refused(
        sized("llama").count("split.count", 3),
        &["3 files", "llama-gguf-split --merge"],
    );
    refused(
        sized("llama").count("llama.expert_count", 8),
        &["8 experts"],
    );
    refused(
        sized("llama").text("general.type", "adapter"),
        &["\"adapter\""],
    );
    refused(
        sized("llama").count("llama.rope.dimension_count", 1),
        &["turned in part"],
    );
    refused(
        sized("llama").count("llama.attention.value_length", 3),
        &["`llama.attention.value_length`"],
    );
    refused(
        sized("llama").text("llama.rope.freq_base", "x"),
        &["\"x\"", "a number"],
    );
    refused(
        sized("llama").text("llama.rope.scaling.type", "longrope"),
        &["\"longrope\"", "none, linear, yarn"],
    );
    refused(
        sized("olmo2").count("olmo2.attention.sliding_window", 8),
        &["OLMo 3"],
    );
    let two = [1, 2_u32].map(u32::to_le_bytes);
    let file = sized("llama").list("llama.attention.head_count_kv", 4, 2, two.as_flattened());
    refused(file, &["2 numbers", "one for all layers"]);
}

#[test]
fn a_key_that_asks_for_what_is_not_computed_is_refused() {
    let with = |file: File| config(&file.open().unwrap());
    let names = [
        "logit_scale",
        "residual_scale",
        "embedding_scale",
        "attention.scale",
        "attention.clamp_kqv",
        "attention.max_alibi_bias",
        "rope.freq_base_swa",
        "rope.scaling.attn_factor",
        "rope.scaling.yarn_log_multiplier",
        "attn_logit_softcapping",
        "activation_sparsity_scale",
    ];
    for name in names {
        let key = format!("llama.{name}");
        with(sized("llama").number(&key, 0.0)).unwrap();
        says(
            with(sized("llama").number(&key, 0.5)),
            &[&format!("`{key}` of the metadata: 0.5"), "not left out"],
        );
    }
    // A factor of 1, what says nothing, another family's, and what is none of a family's.
    let harmless = sized("llama")
        .number("llama.logit_scale", 1.0)
        .number("llama.rope.scaling.yarn_attn_factor", 1.0)
        .count("llama.vocab_size", 7)
        .truth("llama.use_parallel_residual", true)
        .truth("llama.attention.causal", true)
        .truth("llama.rope.scaling.finetuned", true)
        .text("llama.tensor_data_layout", "Meta AI original pth")
        .count("llama.attention.sliding_window", 64)
        .number("qwen2.logit_scale", 0.5)
        .text("general.name", "x");
    with(harmless).unwrap();
    for family in ["llama", "qwen2", "qwen3"] {
        let key = format!("{family}.attention.sliding_window");
        says(with(sized(family).count(&key, 63)), &[&key, ": 63"]);
    }
    says(
        with(sized("qwen3").truth("qwen3.attention.causal", false)),
        &["`qwen3.attention.causal`", "false"],
    );
    says(
        with(sized("gpt2").number("gpt2.rope.freq_base", 1e4)),
        &["`gpt2.rope.freq_base`"],
    );
    for (family, name, found) in [
        ("gpt2", "attention.head_count_kv", 2),
        ("gptneox", "attention.key_length", 3),
    ] {
        let key = format!("{family}.{name}");
        says(with(sized(family).count(&key, found)), &[&key]);
    }
    // Gemma's windows, in the order that is computed.
    let gemma = |pattern: &[u8]| {
        let file = sized("gemma3").count("gemma3.attention.sliding_window", 16);
        file.list(
            "gemma3.attention.sliding_window_pattern",
            7,
            pattern.len(),
            pattern,
        )
    };
    with(gemma(&[1, 1])).unwrap();
    says(
        with(gemma(&[1, 0])),
        &["sliding_window_pattern`", "all but each 6th"],
    );
}

#[test]
fn an_epsilon_is_a_number() {
    for (family, name) in [
        ("llama", "attention.layer_norm_rms_epsilon"),
        ("gptneox", "attention.layer_norm_epsilon"),
        ("gpt2", "attention.layer_norm_epsilon"),
    ] {
        let key = format!("{family}.{name}");
        for value in [f32::NAN, f32::INFINITY] {
            let mut file = sized(family);
            file.pairs.retain(|(other, _)| *other != key);
            let file = file.number(&key, value);
            says(
                config(&file.open().unwrap()),
                &[&format!("`{key}`"), "expected a number"],
            );
        }
    }
}

#[test]
#[expect(clippy::cast_possible_truncation, reason = "files have f32")]
fn stretched_positions_are_told_as_the_hub_does() {
    let scaling = |file: File| made(&file)["rope_scaling"].clone();
    let linear = sized("llama")
        .text("llama.rope.scaling.type", "linear")
        .number("llama.rope.scaling.factor", 4.0);
    assert_eq!(
        scaling(linear),
        json!({"rope_type": "linear", "factor": 4.0})
    );
    let yarn = sized("qwen2")
        .text("qwen2.rope.scaling.type", "yarn")
        .number("qwen2.rope.scaling.factor", 4.0)
        .count("qwen2.rope.scaling.original_context_length", 32768);
    let expected =
        json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768});
    assert_eq!(scaling(yarn), expected);
    // Llama 3.2's, by the factors that llama.cpp keeps of it: of heads of 64 and a base of 500000 the first that
    // is divided at all is the 16th or so.
    let factors = |factor: f64| -> Vec<f32> {
        let factors = (0..32).map(|index| {
            let wavelength = std::f64::consts::TAU * 5e5_f64.powf(f64::from(index) / 32.0);
            if wavelength < 2048.0 {
                1.0
            } else if wavelength > 8192.0 {
                factor
            } else {
                let smooth = (8192.0 / wavelength - 1.0) / 3.0;
                1.0 / ((1.0 - smooth) / factor + smooth)
            }
        });
        factors.map(|factor| factor as f32).collect()
    };
    let file = |values: &[f32]| {
        let wide = sized("llama")
            .count("llama.attention.key_length", 64)
            .number("llama.rope.freq_base", 5e5);
        wide.tensor("rope_freqs.weight", &[values.len()], values)
    };
    let expected = json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    assert_eq!(scaling(file(&factors(32.0))), expected);
    assert_eq!(scaling(file(&[1.0; 32])), Value::Null);
    assert_eq!(arrays(&file(&[1.0; 32]).open().unwrap()).unwrap().len(), 1);
    let mut other = factors(8.0);
    other[20] *= 1.1;
    says(
        config(&file(&other).open().unwrap()),
        &["`rope_freqs.weight`", "those of Llama 3"],
    );
    says(
        config(&file(&[1.0; 16]).open().unwrap()),
        &["shape [16]", "[32]"],
    );
}

fn array(gguf: &Gguf, name: &str) -> HubArray {
    let arrays = arrays(gguf).unwrap();
    let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
    let found = arrays.iter().find(|array| array.name == name);
    found
        .unwrap_or_else(|| panic!("{name} is not in {names:?}"))
        .clone()
}

/// Checks all values of an array, and each part.
#[track_caller]
fn holds(gguf: &Gguf, name: &str, shape: &[usize], expected: &[f32]) {
    let array = array(gguf, name);
    assert_eq!(array.shape, shape, "{name}");
    assert_eq!(array.read_all(gguf).unwrap(), expected, "{name}");
    for first in 0..expected.len() {
        for last in first..=expected.len() {
            let mut part = vec![f32::NAN; last - first];
            array.read_at(gguf, first, &mut part).unwrap();
            assert_eq!(part, expected[first..last], "{name} {first}..{last}");
        }
    }
}

fn counted(count: usize) -> Vec<f32> {
    (0..count).map(|value| value as f32).collect()
}

/// Rows of two, by number.
fn rows(order: &[usize]) -> Vec<f32> {
    let row = |row: &usize| [2.0 * *row as f32, 2.0 * *row as f32 + 1.0];
    order.iter().flat_map(row).collect()
}

#[test]
fn arrays_are_as_the_hub_has_them() {
    // Two heads of 4 rows, one of keys: the file has pairs side by side.
    let llama = File::new("llama")
        .count("llama.block_count", 1)
        .count("llama.attention.head_count", 2)
        .count("llama.attention.head_count_kv", 1)
        .tensor("blk.0.attn_q.weight", &[8, 2], &counted(16))
        .tensor("blk.0.attn_q.bias", &[8], &counted(8))
        .tensor("blk.0.attn_k.weight", &[4, 2], &counted(8))
        .tensor("blk.0.attn_v.weight", &[4, 2], &counted(8))
        .tensor("blk.0.ffn_norm.weight", &[3], &counted(3))
        .open()
        .unwrap();
    let layer = |name: &str| format!("model.layers.0.{name}");
    let turned = [0, 2, 1, 3, 4, 6, 5, 7];
    holds(
        &llama,
        &layer("self_attn.q_proj.weight"),
        &[8, 2],
        &rows(&turned),
    );
    holds(
        &llama,
        &layer("self_attn.q_proj.bias"),
        &[8],
        &turned.map(|row| row as f32),
    );
    holds(
        &llama,
        &layer("self_attn.k_proj.weight"),
        &[4, 2],
        &rows(&[0, 2, 1, 3]),
    );
    holds(
        &llama,
        &layer("self_attn.v_proj.weight"),
        &[4, 2],
        &counted(8),
    );
    holds(
        &llama,
        &layer("post_attention_layernorm.weight"),
        &[3],
        &counted(3),
    );

    let gemma = File::new("gemma3")
        .count("gemma3.block_count", 1)
        .count("gemma3.attention.head_count", 2)
        .tensor("output_norm.weight", &[2], &[1.0, 1.5])
        .tensor("blk.0.attn_q_norm.weight", &[2], &[0.0, 3.0])
        .tensor("blk.0.ffn_norm.weight", &[1], &[2.0])
        .tensor("blk.0.attn_q.weight", &[2, 2], &counted(4))
        .open()
        .unwrap();
    holds(&gemma, "model.norm.weight", &[2], &[0.0, 0.5]);
    holds(
        &gemma,
        &layer("self_attn.q_norm.weight"),
        &[2],
        &[-1.0, 2.0],
    );
    holds(
        &gemma,
        &layer("pre_feedforward_layernorm.weight"),
        &[1],
        &[1.0],
    );
    holds(
        &gemma,
        &layer("self_attn.q_proj.weight"),
        &[2, 2],
        &counted(4),
    );

    // Two heads of one: q0 q1 k0 k1 v0 v1 are q0 k0 v0 q1 k1 v1.
    let neox = File::new("gptneox")
        .count("gptneox.block_count", 1)
        .count("gptneox.attention.head_count", 2)
        .tensor("blk.0.attn_qkv.weight", &[6, 2], &counted(12))
        .tensor("blk.0.attn_qkv.bias", &[6], &counted(6))
        .tensor("output.weight", &[1, 2], &counted(2))
        .open()
        .unwrap();
    let fused = [0, 2, 4, 1, 3, 5];
    let layer = |name: &str| format!("gpt_neox.layers.0.attention.{name}");
    holds(
        &neox,
        &layer("query_key_value.weight"),
        &[6, 2],
        &rows(&fused),
    );
    holds(
        &neox,
        &layer("query_key_value.bias"),
        &[6],
        &fused.map(|row| row as f32),
    );
    holds(&neox, "embed_out.weight", &[1, 2], &counted(2));

    let gpt2 = File::new("gpt2")
        .count("gpt2.block_count", 1)
        .count("gpt2.attention.head_count", 2)
        .tensor("position_embd.weight", &[2, 2], &counted(4))
        .tensor("blk.0.ffn_up.weight", &[3, 2], &counted(6))
        .tensor("blk.0.ffn_up.bias", &[3], &counted(3))
        .open()
        .unwrap();
    holds(&gpt2, "transformer.wpe.weight", &[2, 2], &counted(4));
    holds(
        &gpt2,
        "transformer.h.0.mlp.c_fc.weight",
        &[2, 3],
        &[0.0, 2.0, 4.0, 1.0, 3.0, 5.0],
    );
    holds(&gpt2, "transformer.h.0.mlp.c_fc.bias", &[3], &counted(3));
}

#[test]
fn a_tensor_without_a_place_is_refused() {
    let found = |name: &str, shape: &[usize]| -> Result<Vec<HubArray>, GgufError> {
        let count = shape.iter().product();
        arrays(
            &sized("llama")
                .tensor(name, shape, &vec![0.0; count])
                .open()
                .unwrap(),
        )
    };
    found("blk.1.attn_q.weight", &[8, 8]).unwrap();
    for name in [
        "blk.2.attn_q.weight",
        "blk.01.attn_q.weight",
        "blk.1.attn_rot.weight",
        "blk.1.attn_q",
        "blk.x.attn_q.weight",
        "blk.1.ssm_a.weight",
        "position_embd.weight",
        "token_embd.scale",
    ] {
        says(
            found(name, &[8, 8]),
            &[&format!("tensor `{name}`"), "no place"],
        );
    }
    says(
        found("blk.0.attn_q.weight", &[4, 8]),
        &["shape [4, 8]", "pairs of 4 heads"],
    );
}
