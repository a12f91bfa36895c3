//! The number format of a model's weights and products.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::device::DeviceName;

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
    /// 8-bit integers: weights with one scale for each output, activations with one for each row at each product. To
    /// sample and to read, on the CPU.
    Int8,
}

impl Dtype {
    /// As the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }

    /// Whether `device` may compute in it. That the CPU has no 16 bits and that 8 bits are the CPU's is certain; whether
    /// another device has 16 bits shows once it is opened.
    pub fn may_be_on(self, device: DeviceName) -> bool {
        match self {
            Self::F32 => true,
            Self::Bf16 | Self::F16 => device != DeviceName::Cpu,
            Self::Int8 => device == DeviceName::Cpu,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
