//! What a manifest can say about low-rank adapters.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a low-rank adapter (`LoRA`, Hu et al. 2021) is made; names as PEFT's, without their `lora_`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraOptions {
    /// Rank of what is added to each weight, 1 to 1024. Default 16 (TRL's).
    #[schemars(range(min = 1, max = 1024))]
    pub rank: usize,
    /// What is added is multiplied by alpha / rank, above 0 to 65536. Default 32 (TRL's).
    #[schemars(range(min = 1e-6, max = 65536.0))]
    pub alpha: f64,
    /// Share of elements dropped of what goes into a branch, 0 to 0.9; beside `dropout`, which the model itself has.
    /// Default 0 (PEFT's).
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// Which linear maps have a branch: `all-linear`, those of attention and of the feed-forward half, or a list of
    /// modules by the ends of their names, as in PEFT, for example `["q_proj", "v_proj"]`. Default `all-linear` (`QLoRA`'s,
    /// Dettmers et al. 2023).
    pub targets: LoraTargets,
    /// Whether alpha is divided by the root of the rank (Kalajdzievski 2023) and not by the rank. Default false (PEFT's).
    pub use_rslora: bool,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            targets: LoraTargets::AllLinear,
            use_rslora: false,
        }
    }
}

impl LoraOptions {
    /// What a branch is multiplied by.
    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
    pub(super) fn scale(&self) -> f32 {
        let rank = self.rank as f64;
        let over = if self.use_rslora { rank.sqrt() } else { rank };
        (self.alpha / over) as f32
    }
}

/// Which linear maps have a branch. In a manifest `"all-linear"` or a list of names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum LoraTargets {
    /// All in the blocks.
    AllLinear,
    /// Those whose names end so.
    Modules(Vec<String>),
}

/// PEFT's word for all linear maps of the blocks.
const ALL_LINEAR: &str = "all-linear";

impl From<LoraTargets> for Value {
    fn from(targets: LoraTargets) -> Self {
        match targets {
            LoraTargets::AllLinear => ALL_LINEAR.into(),
            LoraTargets::Modules(names) => names.into(),
        }
    }
}

impl TryFrom<Value> for LoraTargets {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value == ALL_LINEAR {
            return Ok(Self::AllLinear);
        }
        let names = Vec::<String>::deserialize(&value).ok();
        let names = names.filter(|names| !names.is_empty());
        names
            .map(Self::Modules)
            .ok_or_else(|| format!("{value} is neither \"{ALL_LINEAR}\" nor a list of modules"))
    }
}

impl JsonSchema for LoraTargets {
    fn schema_name() -> Cow<'static, str> {
        "LoraTargets".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "const": ALL_LINEAR },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ],
        })
    }
}

impl LoraTargets {
    /// Whether `module` (`layers.0.self_attn.q_proj`) is one of them, by PEFT's rule: its name, with the family's `prefix` or without,
    /// or an end of it from a dot on.
    pub(super) fn take(&self, module: &str, prefix: &str) -> bool {
        match self {
            Self::AllLinear => true,
            Self::Modules(names) => names.iter().any(|name| is_called(module, name, prefix)),
        }
    }

    /// The modules that these targets or `others` name: all linear maps where one of them means all.
    pub(super) fn and(self, others: Self) -> Self {
        match (self, others) {
            (Self::Modules(mut names), Self::Modules(others)) => {
                names.extend(others);
                names.sort();
                names.dedup();
                Self::Modules(names)
            }
            _ => Self::AllLinear,
        }
    }
}

/// Whether `module` is called `name`, as here or as transformers has it, with the family's `prefix`, or ends so from a dot on.
pub(super) fn is_called(module: &str, name: &str, prefix: &str) -> bool {
    let before = module.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        || name.strip_prefix(prefix) == Some(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_as_in_peft() {
        let module = "layers.0.self_attn.q_proj";
        for (name, is_it) in [
            ("q_proj", true),
            ("self_attn.q_proj", true),
            (module, true),
            ("model.layers.0.self_attn.q_proj", true),
            ("model.layers.10.self_attn.q_proj", false),
            ("proj", false),
            ("gpt_neox.layers.0.self_attn.q_proj", false),
        ] {
            assert_eq!(is_called(module, name, "model."), is_it, "{name}");
        }
    }

    #[test]
    fn targets_are_the_word_or_a_list() {
        let read = |text: &str| toml::from_str::<LoraOptions>(text);
        let every = LoraTargets::AllLinear;
        assert_eq!(read("").unwrap().targets, every);
        assert_eq!(read("targets = 'all-linear'").unwrap().targets, every);
        let list = read("targets = ['q_proj', 'attn.c_proj']").unwrap().targets;
        for (module, taken) in [
            ("layers.0.self_attn.q_proj", true),
            ("layers.0.self_attn.xq_proj", false),
            ("h.0.attn.c_proj", true),
            ("h.0.mlp.c_proj", false),
        ] {
            assert_eq!(list.take(module, "model."), taken, "{module}");
            assert!(every.take(module, "model."));
        }
        for wrong in ["targets = 'all'", "targets = []", "targets = [3]", "r = 3"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let all = [every, list];
        for targets in all {
            let value = Value::from(targets.clone());
            assert_eq!(LoraTargets::try_from(value).unwrap(), targets);
        }
    }

    #[test]
    fn scales_are_pefts() {
        let mut options = LoraOptions::default();
        assert_eq!(options.scale().to_bits(), 2.0_f32.to_bits());
        options.use_rslora = true;
        assert_eq!(options.scale().to_bits(), 8.0_f32.to_bits());
    }
}
