//! From a name to a device of burn: the one place that knows which backends this build has.

use burn::tensor::{DType, Device, Tensor};

use super::guard::guarded;
use super::{DeviceFailure, DeviceName};

/// Why a device cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeviceError {
    /// The build has not the backend.
    #[error(
        "this build has no {backend}\nhint: build it with `cargo build --release --features {feature}`{also}"
    )]
    NotCompiled {
        /// The backend.
        backend: &'static str,
        /// The feature that brings it.
        feature: &'static str,
        /// What else that needs.
        also: &'static str,
    },
    /// The machine has not the device.
    #[error("`{device}` is not there: {reason}\nhint: {hint}")]
    NotThere {
        /// The device.
        device: DeviceName,
        /// What was found instead, or how it failed.
        reason: String,
        /// How that is mended.
        hint: String,
    },
}

impl DeviceName {
    /// The cargo feature that brings its backend; `None` where every build has it.
    pub fn feature(self) -> Option<&'static str> {
        match self {
            Self::Cpu | Self::Flex => None,
            Self::Wgpu(_) => Some("wgpu"),
            Self::Cuda(_) => Some("cuda"),
            Self::LibtorchCpu | Self::LibtorchCuda(_) => Some("tch"),
        }
    }

    /// Whether this build has its backend.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Cpu | Self::Flex => true,
            Self::Wgpu(_) => cfg!(feature = "wgpu"),
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::LibtorchCpu | Self::LibtorchCuda(_) => cfg!(feature = "tch"),
        }
    }

    /// The device, after it has computed something.
    ///
    /// # Errors
    /// The build has not the backend, or the machine not the device.
    pub fn open(self) -> Result<Device, DeviceError> {
        if !self.is_compiled() {
            return Err(DeviceError::NotCompiled {
                backend: self.backend(),
                feature: self.feature().unwrap_or_default(),
                also: match self {
                    Self::LibtorchCpu | Self::LibtorchCuda(_) => {
                        ", which needs LibTorch 2.9: see docs/devices.md"
                    }
                    _ => "",
                },
            });
        }
        let not_there = |reason: String| DeviceError::NotThere {
            device: self,
            hint: super::probe::hint(self),
            reason,
        };
        let device = guarded(|| self.device())
            .map_err(|failure| not_there(failure.to_string()))?
            .ok_or_else(|| not_there("no such adapter was found".to_owned()))?;
        let answer = guarded(|| {
            let two = Tensor::<1>::ones([4], (&device, DType::F32)) + 1.0;
            two.sum().into_scalar::<f32>()
        });
        match answer {
            Ok(8.0) => Ok(device),
            Ok(wrong) => Err(not_there(format!("4 x (1 + 1) came out as {wrong}"))),
            Err(DeviceFailure::Other(reason) | DeviceFailure::OutOfMemory(reason)) => {
                Err(not_there(reason))
            }
        }
    }

    /// The device of burn, `None` where there is none of this number.
    #[cfg_attr(
        feature = "tch",
        expect(deprecated, reason = "burn 0.22 is the last with LibTorch")
    )]
    fn device(self) -> Option<Device> {
        match self {
            Self::Cpu | Self::Flex => Some(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(index) => {
                let adapters = super::probe::wgpu_adapters();
                match index {
                    Some(index) => adapters.into_iter().nth(index),
                    None => adapters.into_iter().min_by_key(super::probe::is_software),
                }
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Some(Device::cuda(index)),
            #[cfg(feature = "tch")]
            Self::LibtorchCpu => Some(Device::libtorch()),
            #[cfg(feature = "tch")]
            Self::LibtorchCuda(index) => Some(Device::libtorch_cuda(index)),
            #[allow(
                unreachable_patterns,
                reason = "which are left depends on the features"
            )]
            _ => None,
        }
    }
}
