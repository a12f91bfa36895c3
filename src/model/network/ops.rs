//! The parts of a block, by stock operations.

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};

use super::{NetworkConfig, Parameters};
use crate::model::architecture::{ArrayId, NormKind, Role};
use crate::model::dropout::Dropout;
use crate::model::lora::LoraBranch;
use crate::model::rows::Spans;

/// `x * weight + bias`; `weight` `[inputs, outputs]`, `bias` `[outputs]`; and the low-rank branches beside it.
pub(super) struct Affine {
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    branches: Vec<LowRank>,
}

/// `scale * (x * a) * b`, added to some of the outputs; `a` `[inputs, rank]`, `b` `[rank, outputs]`.
struct LowRank {
    a: Tensor<2>,
    b: Tensor<2>,
    scale: f32,
    /// The first of the outputs that it is added to.
    first: usize,
    site: u32,
}

impl Affine {
    pub(super) fn new(
        parameters: &Parameters,
        role: Role,
        layer: usize,
        config: NetworkConfig<'_>,
    ) -> Self {
        let bias = parameters.find(ArrayId::bias(role, layer));
        let weight = ArrayId::weight(role, layer);
        let matrix = |id| parameters.matrix(id).cast(config.dtype);
        let branch = |(branch, scale): (&LoraBranch, f32)| LowRank {
            a: matrix(branch.a()),
            b: matrix(branch.b()),
            scale,
            first: branch.first,
            site: branch.site,
        };
        Self {
            weight: matrix(weight),
            bias: bias.map(|bias| bias.cast(config.dtype)),
            branches: parameters.branches(weight).map(branch).collect(),
        }
    }

    /// In the weights' number format; `drop_out` is handed what goes into each branch with its place.
    ///
    /// # Shapes
    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn apply(
        &self,
        x: &Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
    ) -> Tensor<2> {
        let product = x
            .clone()
            .cast(self.weight.dtype())
            .matmul(self.weight.clone());
        let out = match &self.bias {
            None => product,
            Some(bias) => product + bias.clone().unsqueeze(),
        };
        if self.branches.is_empty() {
            return out;
        }
        // Branches side by side, zeros where there is none between them.
        let [rows, columns] = out.dims();
        let zeros = |width| Tensor::zeros([rows, width], (&out.device(), out.dtype()));
        let (mut parts, mut end) = (Vec::new(), 0);
        for branch in &self.branches {
            if branch.first > end {
                parts.push(zeros(branch.first - end));
            }
            let part = branch.apply(x.clone(), &drop_out);
            end = branch.first + part.dims()[1];
            parts.push(part);
        }
        if end < columns {
            parts.push(zeros(columns - end));
        }
        out + Tensor::cat(parts, 1)
    }
}

impl LowRank {
    /// # Shapes
    /// `[rows, inputs]` to `[rows, the branch's outputs]`.
    fn apply(&self, x: Tensor<2>, drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>) -> Tensor<2> {
        let x = drop_out(single(x), self.site).cast(self.a.dtype());
        x.matmul(self.a.clone()).matmul(self.b.clone()) * self.scale
    }
}

/// A norm over the width, in f32.
pub(super) struct Norm {
    kind: NormKind,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
    epsilon: f64,
}

impl Norm {
    /// `None` where the architecture has none there.
    pub(super) fn new(
        parameters: &Parameters,
        role: Role,
        layer: Option<usize>,
        config: NetworkConfig<'_>,
    ) -> Option<Self> {
        let norm = config.architecture.norm;
        let weight = parameters.find(ArrayId::weight(role, layer))?;
        let bias = parameters.find(ArrayId::bias(role, layer));
        Some(Self {
            kind: norm.kind,
            weight: norm_weight(weight, norm.kind),
            bias: bias.map(|bias| bias.cast(FloatDType::F32)),
            epsilon: norm.epsilon,
        })
    }

    /// `x` normed, row by row.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    pub(super) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let normed = match self.kind {
            NormKind::Rms { .. } => normed_by_rms(x, &[1], self.epsilon),
            NormKind::Layer => {
                let centred = x.clone() - x.mean_dim(1);
                let variance = (centred.clone() * centred.clone()).mean_dim(1);
                centred / (variance + self.epsilon).sqrt()
            }
        };
        let scaled = normed * self.weight.clone().unsqueeze();
        match &self.bias {
            None => scaled,
            Some(bias) => scaled + bias.clone().unsqueeze(),
        }
    }
}

/// What a norm of this kind multiplies by, f32.
///
/// # Shapes
/// `weight` of any length; to the same.
pub(super) fn norm_weight(weight: Tensor<1>, kind: NormKind) -> Tensor<1> {
    let weight = weight.cast(FloatDType::F32);
    match kind {
        NormKind::Rms { plus_one: true } => weight + 1.0,
        NormKind::Rms { plus_one: false } | NormKind::Layer => weight,
    }
}

/// `x` over the root of its mean square along `over`.
///
/// # Shapes
/// `x` of any shape; to the same.
pub(super) fn normed_by_rms<const D: usize>(
    x: Tensor<D>,
    over: &[usize],
    epsilon: f64,
) -> Tensor<D> {
    let squares = (x.clone() * x.clone()).mean_dims(over);
    x / (squares + epsilon).sqrt()
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
    let Some(dropout) = dropout.and_then(|dropout| dropout.at(site)) else {
        return x;
    };
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
