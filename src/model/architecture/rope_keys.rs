//! The keys of rotary positions: `rope_theta` and `rope_scaling` as transformers wrote them up to version 4, or
//! `rope_parameters` as it does since.
//!
//! Source: HF transformers, `modeling_rope_utils.py`.

use serde_json::{Value, json};

use super::config::Config;
use super::{Rotary, RotaryScaling};
use crate::model::ModelError;

/// What may stand in `rope_scaling` and in `rope_parameters`.
const KNOWN: &[&str] = &[
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "factor",
    "finetuned",
    "high_freq_factor",
    "low_freq_factor",
    "mscale",
    "mscale_all_dim",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "rope_theta",
    "rope_type",
    "truncate",
    "type",
];

/// What holds where the keys of rotary positions are absent.
#[derive(Clone, Copy)]
pub(super) struct RotaryDefaults {
    /// The base of the wavelengths, and an older key of it.
    pub(super) theta: (f64, &'static str),
    /// The part of a head that is turned, and an older key of it.
    pub(super) part: (f64, &'static str),
    /// The kind of blocks that they are of, where `rope_parameters` tells kinds apart.
    pub(super) of: Option<&'static str>,
}

impl RotaryDefaults {
    /// Of `theta`, under the keys that most families have.
    pub(super) const fn theta(theta: f64) -> Self {
        Self {
            theta: (theta, "rope_theta"),
            part: (1.0, "partial_rotary_factor"),
            of: None,
        }
    }
}

/// What is said of rotary positions under one key.
struct Said<'c> {
    config: &'c Config,
    key: &'static str,
    of: &'c Value,
}

impl Said<'_> {
    /// A number above 0, `None` where it is absent or null.
    fn number(&self, name: &str, accepted: &'static str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.of.get(name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let number = value
            .as_f64()
            .filter(|value| *value > 0.0 && value.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(accepted))
    }

    fn needed(&self, name: &str, accepted: &'static str) -> Result<f64, ModelError> {
        let number = self.number(name, accepted)?;
        number.ok_or_else(|| self.wrong(accepted))
    }

    fn wrong(&self, accepted: &'static str) -> ModelError {
        self.config.wrong(self.key, accepted)
    }

    /// The context of the first training.
    fn first_context(&self) -> Result<usize, ModelError> {
        const WANTS: &str = "a whole number as `original_max_position_embeddings`";
        match self.of.get("original_max_position_embeddings") {
            None | Some(Value::Null) => self.config.size("max_position_embeddings"),
            Some(named) => {
                let context = named.as_u64().filter(|context| *context > 0);
                let context = context.and_then(|context| usize::try_from(context).ok());
                context.ok_or_else(|| self.wrong(WANTS))
            }
        }
    }

    fn scaling(&self) -> Result<RotaryScaling, ModelError> {
        const TYPES: &str =
            "\"default\", \"linear\", \"dynamic\", \"llama3\", \"yarn\" as its type";
        const YARN: &str = "a `factor` above 0 with \"yarn\", and its other numbers above 0";
        let kind = self.of.get("rope_type").or_else(|| self.of.get("type"));
        match kind.map_or(Some("default"), Value::as_str) {
            // Within `max_position_embeddings` dynamic scaling changes nothing.
            Some("default" | "dynamic") => Ok(RotaryScaling::None),
            Some("linear") => Ok(RotaryScaling::Linear {
                factor: self.needed("factor", "a `factor` above 0 with \"linear\"")?,
            }),
            Some("llama3") => {
                const WANTS: &str = "`factor`, `low_freq_factor` and a greater `high_freq_factor` above 0 with \"llama3\"";
                let low_frequency = self.needed("low_freq_factor", WANTS)?;
                let high_frequency = self.needed("high_freq_factor", WANTS)?;
                if low_frequency >= high_frequency {
                    return Err(self.wrong(WANTS));
                }
                Ok(RotaryScaling::Llama3 {
                    factor: self.needed("factor", WANTS)?,
                    low_frequency,
                    high_frequency,
                    context: self.first_context()?,
                })
            }
            Some("yarn") => Ok(RotaryScaling::Yarn {
                factor: self.needed("factor", YARN)?,
                fast: self.number("beta_fast", YARN)?.unwrap_or(32.0),
                slow: self.number("beta_slow", YARN)?.unwrap_or(1.0),
                context: self.first_context()?,
                attention_factor: self.yarn_magnitude(YARN)?,
                truncate: self.of.get("truncate") != Some(&json!(false)),
            }),
            _ => Err(self.wrong(TYPES)),
        }
    }

    /// What `YaRN` multiplies queries and keys by. Source: `_compute_yarn_parameters`.
    fn yarn_magnitude(&self, accepted: &'static str) -> Result<f64, ModelError> {
        let factor = self.needed("factor", accepted)?;
        let sharpened = |by: f64| {
            if factor <= 1.0 {
                1.0
            } else {
                0.1 * by * libm::log(factor) + 1.0
            }
        };
        if let Some(named) = self.number("attention_factor", accepted)? {
            return Ok(named);
        }
        // A zero says that the other is not to be used.
        let scale = |name: &str| {
            self.of
                .get(name)
                .and_then(Value::as_f64)
                .filter(|by| *by != 0.0)
        };
        Ok(match (scale("mscale"), scale("mscale_all_dim")) {
            (Some(own), Some(all)) => sharpened(own) / sharpened(all),
            _ => sharpened(1.0),
        })
    }
}

impl Config {
    /// Rotary positions of heads of this width.
    ///
    /// # Errors
    /// A kind of scaling, or something about it, that is not known.
    pub(super) fn rotary(
        &self,
        head_width: usize,
        defaults: RotaryDefaults,
    ) -> Result<Rotary, ModelError> {
        // The older key first, as transformers has it.
        let key = match self.get("rope_scaling") {
            Some(_) => "rope_scaling",
            None => "rope_parameters",
        };
        let said = self.get(key);
        let said = said.map(|all| defaults.of.and_then(|of| all.get(of)).unwrap_or(all));
        self.rotary_of(head_width, key, said, defaults)
    }

    /// Rotary positions as `said` under `key`, which may be nothing.
    ///
    /// # Errors
    /// As of [`Config::rotary`].
    pub(super) fn rotary_of(
        &self,
        head_width: usize,
        key: &'static str,
        said: Option<&Value>,
        defaults: RotaryDefaults,
    ) -> Result<Rotary, ModelError> {
        let empty = json!({});
        let of = said.unwrap_or(&empty);
        let said = Said {
            config: self,
            key,
            of,
        };
        let Some(keys) = of.as_object() else {
            return Err(
                said.wrong("an object with the keys of the scalings that transformers describes")
            );
        };
        if let Some((name, value)) = keys
            .iter()
            .find(|(name, _)| !KNOWN.contains(&name.as_str()))
        {
            return Err(self.unknown(format!("{key}.{name}"), value));
        }
        let or_older = |name: &str, (default, older): (f64, &'static str)| match said
            .number(name, "numbers above 0")?
        {
            Some(number) => Ok(number),
            None => Ok(self.positive_or(older)?.unwrap_or(default)),
        };
        let theta = or_older("rope_theta", defaults.theta)?;
        let part = or_older("partial_rotary_factor", defaults.part)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "transformers truncates too; the width is checked"
        )]
        let width = (head_width as f64 * part) as usize;
        Ok(Rotary {
            theta,
            width,
            scaling: said.scaling()?,
        })
    }
}
