//! GPT-NeoX, Pythia among them: layer norms, a plain feed-forward half beside attention, and rotary positions of a part of
//! each head.
//!
//! Source: Black et al. 2022; HF transformers, `GPTNeoXConfig` and `modeling_gpt_neox.py`.

use std::path::Path;

use serde_json::Value;

use super::check::check;
use super::config::{Config, written};
use super::like_llama::{KEYS, named, outputs};
use super::rope_keys::RotaryDefaults;
use super::{
    Activation, Architecture, ArrayId, Attention, Biases, BlockAttention, Family, FeedForward,
    FeedForwardKind, FileArray, Heads, Keys, Norm, NormKind, Output, OutputOrder, Placement,
    Positions, Role,
};
use crate::model::ModelError;

const ROTARY: RotaryDefaults = RotaryDefaults {
    theta: (10_000.0, "rotary_emb_base"),
    part: (0.25, "rotary_pct"),
    ..RotaryDefaults::theta(10_000.0)
};

/// The family.
#[derive(Debug)]
pub(super) struct GptNeox;

impl Family for GptNeox {
    fn model_type(&self) -> &'static str {
        "gpt_neox"
    }

    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&'static self, config: Value, _: &Path) -> Result<Architecture, ModelError> {
        let own = &[
            "layer_norm_eps",
            "rotary_emb_base",
            "rotary_pct",
            "use_parallel_residual",
        ];
        let config = Config::new(config, self.model_type(), own)?;
        let (width, heads) = (
            config.size("hidden_size")?,
            config.size("num_attention_heads")?,
        );
        if heads == 0 || width % heads != 0 {
            return Err(ModelError::BadShape(format!(
                "`hidden_size` {width} is not a multiple of `num_attention_heads` {heads}"
            )));
        }
        let head_width = width / heads;
        let tied = config.flag("tie_word_embeddings", false)?;
        let (end_of_text, ends) = config.ends()?;
        let bias = config.flag("attention_bias", true)?;
        Ok(Architecture {
            family: self,
            vocab_rows: config.size("vocab_size")?,
            context: config.size("max_position_embeddings")?,
            width,
            layers: config.size("num_hidden_layers")?,
            heads: Heads {
                query: heads,
                key: heads,
                width: head_width,
            },
            positions: Positions::Rotary,
            embedding_scale: 1.0,
            attention: Attention {
                scale: None,
                score_cap: None,
                query_key_norm: None,
                pattern: vec![BlockAttention {
                    window: None,
                    rotary: Some(config.rotary(head_width, ROTARY)?),
                }],
            },
            norm: Norm {
                kind: NormKind::Layer,
                placement: Placement {
                    before: true,
                    after: false,
                },
                epsilon: config.epsilon("layer_norm_eps", 1e-5)?,
            },
            parallel: config.flag("use_parallel_residual", true)?,
            biases: Biases {
                query_key_value: bias,
                attention_out: bias,
                feed_forward: true,
            },
            feed_forward: FeedForward {
                kind: FeedForwardKind::Plain(config.activation("hidden_act", Activation::Gelu)?),
                inner: config.size("intermediate_size")?,
            },
            output: if tied { Output::Tied } else { Output::Separate },
            logit_cap: None,
            end_of_text,
            ends,
            config: config.kept(),
        })
    }

    fn check(&self, architecture: &Architecture) -> Result<(), ModelError> {
        check(architecture)
    }

    fn config_json(&self, architecture: &Architecture) -> String {
        written(architecture, "GPTNeoXForCausalLM")
    }

    fn name(&self, id: ArrayId) -> String {
        let module = match id.role {
            Role::TokenEmbedding => "embed_in",
            Role::AttentionNorm => "input_layernorm",
            Role::QueryKeyValue => "attention.query_key_value",
            Role::AttentionOut => "attention.dense",
            Role::FeedForwardNorm => "post_attention_layernorm",
            Role::Up => "mlp.dense_h_to_4h",
            Role::Down => "mlp.dense_4h_to_h",
            Role::FinalNorm => "final_layer_norm",
            Role::Output => "embed_out",
            Role::PositionEmbedding
            | Role::QueryNorm
            | Role::KeyNorm
            | Role::AttentionPostNorm
            | Role::FeedForwardPostNorm => unreachable!("GPT-NeoX has no {:?}", id.role),
        };
        named(id, module)
    }

    fn files(&self, architecture: &Architecture, id: ArrayId, shape: &[usize]) -> Vec<FileArray> {
        let (order, count) = match id.role {
            Role::QueryKeyValue => {
                let heads = architecture.heads;
                (OutputOrder::ByHead(heads), heads.projected_width())
            }
            Role::Up => (OutputOrder::Same, architecture.feed_forward.inner),
            Role::AttentionOut | Role::Down => (OutputOrder::Same, architecture.width),
            _ => return vec![FileArray::same(self.name(id), shape.to_vec())],
        };
        outputs(id, shape, order, vec![(self.name(id), count)])
    }

    fn prefix(&self) -> &'static str {
        "gpt_neox."
    }

    fn output_name(&self) -> &'static str {
        "embed_out.weight"
    }

    /// Older files carry the causal mask and the frequencies of rotary positions.
    fn is_no_weight(&self, name: &str) -> bool {
        let carried = [
            ".attention.bias",
            ".attention.masked_bias",
            "rotary_emb.inv_freq",
        ];
        carried.iter().any(|end| name.ends_with(end))
    }
}
