//! The names of devices, as `--device` takes them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Dtype;

/// A device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum DeviceName {
    /// The processor, by kernels of our own. In every build.
    #[default]
    Cpu,
    /// The processor, by burn's own backend: slow, and the way that other devices take through a model, so that it can be
    /// tried anywhere. In every build.
    Flex,
    /// Vulkan, Metal or DirectX 12; the adapter that is best, or one by its number. Feature `wgpu`.
    Wgpu(Option<usize>),
    /// An NVIDIA card through `CubeCL`. Feature `cuda`.
    Cuda(usize),
    /// The processor through `LibTorch`. Feature `tch`.
    LibtorchCpu,
    /// An NVIDIA card through `LibTorch`. Feature `tch`.
    LibtorchCuda(usize),
}

/// What every message says that names what is accepted.
pub(super) const ACCEPTED: &str =
    "auto, cpu, flex, wgpu, wgpu:N, cuda:N, libtorch-cpu, libtorch-cuda:N";

impl DeviceName {
    /// The number of the NVIDIA card that it is.
    pub fn card(self) -> Option<usize> {
        match self {
            Self::Cuda(index) | Self::LibtorchCuda(index) => Some(index),
            Self::Cpu | Self::Flex | Self::Wgpu(_) | Self::LibtorchCpu => None,
        }
    }

    /// The one whose number is so many more, for devices that have numbers; else itself.
    pub(crate) fn further(self, count: usize) -> Self {
        match self {
            Self::Wgpu(Some(index)) => Self::Wgpu(Some(index + count)),
            Self::Cuda(index) => Self::Cuda(index + count),
            Self::LibtorchCuda(index) => Self::LibtorchCuda(index + count),
            Self::Cpu | Self::Flex | Self::Wgpu(None) | Self::LibtorchCpu => self,
        }
    }

    /// The backend, which is part of the key of everything that a model makes; the card's number is not.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Flex => "flex",
            Self::Wgpu(_) => "wgpu",
            Self::Cuda(_) => "cuda",
            Self::LibtorchCpu => "libtorch-cpu",
            Self::LibtorchCuda(_) => "libtorch-cuda",
        }
    }

    /// What its products of 32-bit numbers are in. On NVIDIA's cards `CubeCL` rounds what is multiplied to TF32, and has no
    /// switch for it; on cards before Ampere, which have no TF32, that name stands for f32.
    pub fn single(self) -> Dtype {
        match self {
            Self::Cuda(_) => Dtype::Tf32,
            _ => Dtype::F32,
        }
    }
}

#[cfg(test)]
impl DeviceName {
    /// How many times further from what they should be its numbers may be than those of f32: TF32 has 13 bits less.
    pub(crate) fn slack(self) -> f64 {
        match self.single() {
            Dtype::Tf32 => 500.0,
            _ => 1.0,
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = self.backend();
        match self {
            Self::Wgpu(Some(index)) | Self::Cuda(index) | Self::LibtorchCuda(index) => {
                write!(f, "{backend}:{index}")
            }
            _ => f.write_str(backend),
        }
    }
}

/// A name that no device has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no device is called `{0}`; accepted: {ACCEPTED}\nhint: `sert-run doctor` lists the devices of this machine"
)]
pub struct UnknownDevice(String);

impl FromStr for DeviceName {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownDevice(text.to_owned());
        let (backend, index) = match text.split_once(':') {
            Some((backend, index)) => {
                let index = index.parse::<usize>().map_err(|_| unknown())?;
                (backend, Some(index))
            }
            None => (text, None),
        };
        match (backend, index) {
            ("cpu", None) => Ok(Self::Cpu),
            ("flex", None) => Ok(Self::Flex),
            ("wgpu", index) => Ok(Self::Wgpu(index)),
            ("cuda", index) => Ok(Self::Cuda(index.unwrap_or(0))),
            ("libtorch-cpu", None) => Ok(Self::LibtorchCpu),
            ("libtorch-cuda", index) => Ok(Self::LibtorchCuda(index.unwrap_or(0))),
            _ => Err(unknown()),
        }
    }
}

/// What `--device` and `[run] device` say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The best device that answers.
    #[default]
    Auto,
    /// This one.
    Named(DeviceName),
}

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            name => name.parse().map(Self::Named),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = UnknownDevice;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        match choice {
            DeviceChoice::Auto => "auto".to_owned(),
            DeviceChoice::Named(name) => name.to_string(),
        }
    }
}

impl JsonSchema for DeviceChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceChoice".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(auto|cpu|flex|wgpu(:[0-9]+)?|cuda(:[0-9]+)?|libtorch-cpu|libtorch-cuda(:[0-9]+)?)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            DeviceName::Cpu,
            DeviceName::Flex,
            DeviceName::Wgpu(None),
            DeviceName::Wgpu(Some(2)),
            DeviceName::Cuda(1),
            DeviceName::LibtorchCpu,
            DeviceName::LibtorchCuda(0),
        ] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        for wrong in ["gpu", "cpu:1", "cuda:x", "cuda:-1", "", "auto:1"] {
            let message = wrong.parse::<DeviceName>().unwrap_err().to_string();
            assert!(message.contains("accepted: auto, cpu"), "{message}");
        }
    }
}
