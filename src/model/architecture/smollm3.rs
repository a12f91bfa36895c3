//! `SmolLM3`: Llama, of whose blocks every fourth knows no positions.
//!
//! Source: Bakouch et al. 2025; HF transformers, `SmolLM3Config` and `modeling_smollm3.py`.

use super::BlockAttention;
use super::like_llama::{Defaults, LikeLlama, module, slide};
use super::rope_keys::RotaryDefaults;

/// Of so many blocks the last knows no positions, where nothing else is said.
const DEFAULT_INTERVAL: usize = 4;

/// The family.
pub(super) static SMOLLM3: LikeLlama = LikeLlama {
    model_type: "smollm3",
    class: "SmolLM3ForCausalLM",
    keys: &[
        "layer_types",
        "max_window_layers",
        "no_rope_layer_interval",
        "no_rope_layers",
        "sliding_window",
        "use_sliding_window",
    ],
    defaults: Defaults {
        tied: true,
        rotary: RotaryDefaults::theta(2_000_000.0),
        ..Defaults::LLAMA
    },
    change: |config, architecture| {
        let interval = config.size_or("no_rope_layer_interval")?;
        let interval = interval.unwrap_or(DEFAULT_INTERVAL);
        if interval == 0 {
            return Err(config.wrong("no_rope_layer_interval", "1 or more"));
        }
        let turned = config.by_layer(
            "no_rope_layers",
            "1 where a layer is rotated and 0 where it is not, for each layer",
            |value| match value.as_u64()? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
            |layer| (layer + 1) % interval != 0,
        )?;
        let window = if config.flag("use_sliding_window", false)? {
            config.size_or("sliding_window")?
        } else {
            None
        };
        let sliding = config.sliding(|layer| window.is_some() && !turned[layer])?;
        slide(config, architecture, window, &sliding)?;
        let pattern = &mut architecture.attention.pattern;
        let blocks = turned.iter().enumerate().map(|(layer, turned)| {
            let BlockAttention { window, rotary } = pattern[layer % pattern.len()];
            let rotary = rotary.filter(|_| *turned);
            BlockAttention { window, rotary }
        });
        *pattern = blocks.collect();
        Ok(())
    },
    module,
};
