//! The parts of a block, by stock operations.

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};

use super::{NetworkConfig, Parameters};
use crate::model::architecture::{ArrayId, NormKind, Role};
use crate::model::dropout::Dropout;
use crate::model::rows::Spans;

/// `x * weight + bias`; `weight` `[inputs, outputs]`, `bias` `[outputs]`.
pub(super) struct Affine {
    weight: Tensor<2>,
    bias: Tensor<1>,
}

impl Affine {
    pub(super) fn new(
        parameters: &Parameters,
        role: Role,
        layer: usize,
        config: NetworkConfig,
    ) -> Self {
        let (weight, bias) = (ArrayId::weight(role, layer), ArrayId::bias(role, layer));
        Self {
            weight: parameters.matrix(weight).cast(config.dtype),
            bias: parameters.vector(bias).cast(config.dtype),
        }
    }

    /// In the weights' number format.
    ///
    /// # Shapes
    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let x = x.cast(self.weight.dtype());
        x.matmul(self.weight.clone()) + self.bias.clone().unsqueeze()
    }
}

/// A norm, in f32.
pub(super) struct Norm {
    kind: NormKind,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
}

impl Norm {
    pub(super) fn new(
        parameters: &Parameters,
        role: Role,
        layer: Option<usize>,
        config: NetworkConfig,
    ) -> Self {
        let single = |id| parameters.vector(id).cast(FloatDType::F32);
        Self {
            kind: config.norm.kind,
            gamma: single(ArrayId::weight(role, layer)),
            beta: single(ArrayId::bias(role, layer)),
            epsilon: config.norm.epsilon,
        }
    }

    /// `x` normed, row by row.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    pub(super) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        match self.kind {
            NormKind::Rms { .. } => todo!("families"),
            NormKind::Layer => {
                let centred = x.clone() - x.mean_dim(1);
                let variance = (centred.clone() * centred.clone()).mean_dim(1);
                let normed = centred / (variance + self.epsilon).sqrt();
                normed * self.gamma.clone().unsqueeze() + self.beta.clone().unsqueeze()
            }
        }
    }
}

/// `x` in f32.
///
/// # Shapes
/// `x` `[rows, columns]`; to the same.
pub(super) fn single(x: Tensor<2>) -> Tensor<2> {
    x.cast(FloatDType::F32)
}

/// Indices as a tensor.
///
/// # Shapes
/// To `[values]`.
pub(super) fn indices(values: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values = values
        .into_iter()
        .map(|index| i64::try_from(index).expect("indices fit"));
    integers(values.collect(), device)
}

/// Integers as a tensor.
///
/// # Shapes
/// To `[values]`.
pub(super) fn integers(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// `x` times its dropout mask at `site`.
///
/// # Shapes
/// `x` `[rows, width]`, the rows those of `spans`; to the same.
pub(super) fn drop_out(
    x: Tensor<2>,
    site: u32,
    spans: &Spans,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let Some(dropout) = dropout else { return x };
    let [_, width] = x.dims();
    let bits = dropout.row_bits(site, spans, width);
    let mask = expanded(&bits, width, dropout, &x.device());
    x * mask
}

/// Masks that went up as bits, one row of `columns` for every so many words: 0 where a bit is 0, else what keeps the
/// mean.
///
/// # Shapes
/// `bits` `[rows, columns / 32 rounded up]`; to `[rows, columns]`, f32.
pub(super) fn expanded(
    bits: &[u32],
    columns: usize,
    dropout: Dropout,
    device: &Device,
) -> Tensor<2> {
    let words = bits.iter().map(|word| i64::from(word.cast_signed()));
    let words: Tensor<2, Int> = integers(words.collect(), device).unsqueeze_dim(1);
    let places: Tensor<2, Int> = integers((0..32).collect(), device).unsqueeze_dim(0);
    let all = [bits.len(), 32];
    let bits = words.expand(all).bitwise_right_shift(places.expand(all));
    let padded = 32 * columns.div_ceil(32);
    let kept = bits
        .bitwise_and_scalar(1)
        .reshape([32 * all[0] / padded, padded])
        .narrow(1, 0, columns);
    kept.float().cast(FloatDType::F32) * dropout.scale()
}
