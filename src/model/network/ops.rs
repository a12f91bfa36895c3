//! The parts of a block, by stock operations.

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData, module};

use super::masks::expanded;
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
                let (weight, bias) = (self.weight.clone(), self.bias.clone());
                return module::layer_norm(x, weight, bias, self.epsilon);
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

/// `x` times its dropout mask at `site`, which goes up for it alone.
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
    let [rows, width] = x.dims();
    let bits = dropout.row_bits(site, spans, width);
    let words = bits.into_iter().map(u32::cast_signed).collect();
    let mask = expanded(words, dropout, &x.device());
    let padded = mask.dims()[0] / rows;
    x * mask.reshape([rows, padded]).narrow(1, 0, width)
}
