//! What results depend on beside weights and parameters: the arithmetic, named by backend and purpose.
//!
//! The name stands in the key of every stage that runs a model and of every row that a model makes. Its number rises when a
//! change moves bits, which empties what that arithmetic made and nothing else: a trainer's change leaves samples,
//! a card's leaves a CPU's.

use super::Dtype;
use super::device::DeviceName;

/// What a model is run for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To draw tokens, and to read text for its log-probabilities.
    Sample,
    /// To change its weights.
    Train,
}

/// The arithmetic that a stage asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arithmetic {
    /// What the model is run for.
    pub purpose: Purpose,
    /// The number format of weights and products.
    pub dtype: Dtype,
}

impl Arithmetic {
    /// To draw and to read.
    pub fn sample(dtype: Dtype) -> Self {
        Self {
            purpose: Purpose::Sample,
            dtype,
        }
    }

    /// To train.
    pub fn train(dtype: Dtype) -> Self {
        Self {
            purpose: Purpose::Train,
            dtype,
        }
    }

    /// Whether `device` may compute so. What the CPU does is certain, that 8 bits are the CPU's, and that products of 32
    /// bits are TF32's on `cuda` and nowhere else; whether another device has 16 bits shows once it is opened.
    pub fn may_be_on(self, device: DeviceName) -> bool {
        match (device, self.purpose, self.dtype) {
            (device, _, dtype @ (Dtype::F32 | Dtype::Tf32)) => dtype == device.single(),
            (DeviceName::Cpu, purpose, _) => purpose == Purpose::Sample,
            (_, _, dtype) => dtype != Dtype::Int8,
        }
    }

    /// Its name on `device`.
    pub fn engine(self, device: DeviceName) -> &'static str {
        match (device, self.purpose, self.dtype) {
            (DeviceName::Cpu, Purpose::Sample, Dtype::Int8) => "cpu-int8/1",
            (DeviceName::Cpu, Purpose::Sample, Dtype::Bf16) => "cpu-bf16/1",
            (DeviceName::Cpu, Purpose::Sample, Dtype::F16) => "cpu-f16/1",
            (DeviceName::Cpu, Purpose::Sample, Dtype::F32) => "cpu-sample/2",
            (DeviceName::Cpu, Purpose::Train, _) => "cpu-train/2",
            (_, Purpose::Sample, _) => "burn-sample/3",
            (_, Purpose::Train, _) => "burn-train/3",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f32_is_f32_wherever_it_is_called_so() {
        for device in [
            "cpu",
            "flex",
            "wgpu",
            "cuda:1",
            "libtorch-cpu",
            "libtorch-cuda:0",
        ] {
            let device: DeviceName = device.parse().unwrap();
            let rounded = matches!(device, DeviceName::Cuda(_));
            for arithmetic in [Arithmetic::sample, Arithmetic::train] {
                assert_eq!(arithmetic(Dtype::F32).may_be_on(device), !rounded);
                assert_eq!(arithmetic(Dtype::Tf32).may_be_on(device), rounded);
            }
            assert_eq!(device.single() == Dtype::Tf32, rounded);
        }
    }
}
