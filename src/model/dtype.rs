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
    /// 32-bit floating point whose products round what they multiply to 10 bits of mantissa (NVIDIA's TensorFloat-32).
    /// What `cuda` has in place of `f32`, and no other device.
    Tf32,
    /// bfloat16: f32's range in 16 bits. On the CPU to sample and to read: weights are, products are f32.
    Bf16,
    /// IEEE half precision. On the CPU as bfloat16.
    F16,
    /// 8-bit integers: weights with one scale for each output, activations with one for each row at each product. To
    /// sample and to read, on the CPU.
    Int8,
}

impl Dtype {
    /// As the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
