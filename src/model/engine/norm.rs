//! Norms of rows.

use crate::model::architecture::NormKind;
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::lanes::Isa;
use crate::model::kernel::rms_norm::rms_norm;
use crate::model::kernel::vector::layer_norm;

/// A norm: what it takes out, and what follows.
pub(super) enum Norm {
    /// Mean and scale; weight and bias are padded with zeros to whole vectors.
    Layer {
        gain: Buffer,
        bias: Buffer,
        epsilon: f32,
    },
    /// The root of the mean square; `offset` is added to the weight.
    Rms {
        gain: Buffer,
        offset: f32,
        epsilon: f32,
    },
}

impl Norm {
    /// A norm of this kind. `bias` is a layer norm's.
    pub(super) fn new(kind: NormKind, gain: &[f32], bias: &[f32], epsilon: f32) -> Self {
        let gain = padded(gain);
        match kind {
            NormKind::Layer => Self::Layer {
                gain,
                bias: padded(bias),
                epsilon,
            },
            NormKind::Rms { plus_one } => Self::Rms {
                gain,
                offset: if plus_one { 1.0 } else { 0.0 },
                epsilon,
            },
        }
    }

    /// Norms `x`, into the head of `out`.
    ///
    /// # Shapes
    /// `x` as long as the norm, `out` the same or longer.
    pub(super) fn row(&self, isa: Isa, x: &[f32], out: &mut [f32]) {
        match self {
            Self::Layer {
                gain,
                bias,
                epsilon,
            } => {
                layer_norm(isa, x, gain.as_slice(), bias.as_slice(), *epsilon, out);
            }
            Self::Rms {
                gain,
                offset,
                epsilon,
            } => {
                rms_norm(isa, x, gain.as_slice(), *offset, *epsilon, out);
            }
        }
    }
}

fn padded(values: &[f32]) -> Buffer {
    let mut buffer = Buffer::zeroed(values.len());
    buffer.as_mut_slice()[..values.len()].copy_from_slice(values);
    buffer
}
