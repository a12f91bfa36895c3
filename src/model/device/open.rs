//! From a name to a device of burn: the one place that knows which backends this build has.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::guard::guarded;
use super::{DeviceFailure, DeviceName};
use crate::model::Dtype;

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

/// How a device attends in one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FusedAttention {
    /// What a mask marks is not seen, as burn says.
    MaskHides,
    /// What a mask marks is seen: burn hands masks to `LibTorch` as they are, and that is their meaning there.
    MaskShows,
}

/// A device that has answered.
#[derive(Clone)]
pub struct OpenDevice {
    /// Its name.
    pub name: DeviceName,
    /// Where burn puts tensors.
    pub(crate) tensors: Device,
    /// `None` where attention is several operations anyway: those of `CubeCL` take the softmax in the products' number
    /// format, ours in f32.
    pub(crate) attention: Option<FusedAttention>,
    /// How many sequences it goes on with together at least, however few there are: a constant of the backend, so that what
    /// comes of one does not depend on the others. A card has room for many, and what bounds it is how often it is asked.
    pub(crate) places: usize,
    /// Tokens that go through a training together, each sequence as long as the longest, unless memory says otherwise.
    /// Changes rounding only.
    pub(crate) micro_batch_tokens: usize,
    /// Whether it can run operations that were captured as one.
    pub(crate) graphs: bool,
}

/// Sequences that go on together on a processor, or what plays a card.
const FEW_PLACES: usize = 64;
/// Sequences that go on together on a card.
const MANY_PLACES: usize = 512;
/// Tokens of a micro-batch on a processor, or what plays a card.
const FEW_TOKENS: usize = 1 << 10;
/// Tokens of a micro-batch on a card.
const MANY_TOKENS: usize = 1 << 14;

impl OpenDevice {
    pub(super) fn new(name: DeviceName, tensors: Device) -> Self {
        let attention = match name {
            DeviceName::Cpu | DeviceName::Flex => Some(FusedAttention::MaskHides),
            DeviceName::LibtorchCuda(_) => Some(FusedAttention::MaskShows),
            // LibTorch's own for a processor makes a sum that depends on a row's place in the batch (2e-6, in 2.11).
            DeviceName::LibtorchCpu | DeviceName::Wgpu(_) | DeviceName::Cuda(_) => None,
        };
        let places = match name {
            DeviceName::Cuda(_) | DeviceName::LibtorchCuda(_) => MANY_PLACES,
            // Of wgpu nobody knows beforehand whether it is a card.
            _ => FEW_PLACES,
        };
        let micro_batch_tokens = match name {
            DeviceName::Cuda(_) | DeviceName::LibtorchCuda(_) => MANY_TOKENS,
            _ => FEW_TOKENS,
        };
        Self {
            name,
            tensors,
            attention,
            places,
            micro_batch_tokens,
            graphs: matches!(name, DeviceName::Cuda(_)),
        }
    }

    /// A number format as burn has it; `None` where the device does not multiply in it.
    pub(crate) fn float(&self, dtype: Dtype) -> Option<FloatDType> {
        let float = match dtype {
            single if single == self.name.single() => FloatDType::F32,
            Dtype::Bf16 => FloatDType::BF16,
            Dtype::F16 => FloatDType::F16,
            Dtype::F32 | Dtype::Tf32 | Dtype::Int8 => return None,
        };
        self.tensors.supports_dtype(float).then_some(float)
    }

    /// Lets the device's own threads be so many, 0 for one per core, where it has any.
    pub(crate) fn set_threads(&self, threads: usize) {
        if !matches!(self.name, DeviceName::LibtorchCpu) {
            return;
        }
        #[cfg(feature = "tch")]
        {
            let cores = || std::thread::available_parallelism().map_or(1, usize::from);
            let threads = if threads == 0 { cores() } else { threads };
            tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
        }
        #[cfg(not(feature = "tch"))]
        let _ = threads;
    }
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
    pub fn open(self) -> Result<OpenDevice, DeviceError> {
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
            Ok(8.0) => Ok(OpenDevice::new(self, device)),
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
            Self::Cuda(index) => {
                #[cfg(feature = "kernel-cache")]
                super::kernel_cache::keep_kernels();
                Some(Device::cuda(index))
            }
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
