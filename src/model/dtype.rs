//! The number format of a model's weights and products.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What weights and matrix products are computed in. Softmax, loss, log-probabilities and the optimiser's state are
/// f32 in each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dtype {
    /// 32-bit floating point.
    #[default]
    F32,
    /// bfloat16: f32's range in 16 bits.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl Dtype {
    /// As the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
