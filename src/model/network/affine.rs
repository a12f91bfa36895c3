//! Linear maps with the low-rank branches beside them, forward and backward.

use burn::tensor::{FloatDType, Tensor};

use super::gradients::Gradients;
use super::ops::single;
use super::{NetworkConfig, Parameters};
use crate::model::architecture::{ArrayId, Role};
use crate::model::lora::LoraBranch;

/// `x * weight + bias`; `weight` `[inputs, outputs]`, `bias` `[outputs]`; and the low-rank branches beside it.
pub(super) struct Affine {
    ids: [ArrayId; 2],
    /// Whether the weight is trained.
    trained: bool,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    branches: Vec<LowRank>,
}

/// `scale * (x * a) * b`, added to some of the outputs; `a` `[inputs, rank]`, `b` `[rank, outputs]`.
struct LowRank {
    ids: [ArrayId; 2],
    a: Tensor<2>,
    b: Tensor<2>,
    scale: f32,
    /// The first of the outputs that it is added to.
    first: usize,
    site: u32,
}

/// What a linear map leaves for its backward pass.
pub(super) struct AffineTape {
    /// What was multiplied, `[rows, inputs]`, in the weights' number format; where that is asked for.
    x: Option<Tensor<2>>,
    branches: Vec<BranchTape>,
}

/// The same of a branch.
struct BranchTape {
    /// What was multiplied, `[rows, inputs]`.
    x: Tensor<2>,
    /// Between its two products, `[rows, rank]`.
    inner: Tensor<2>,
}

impl Affine {
    pub(super) fn new(
        parameters: &Parameters,
        role: Role,
        layer: usize,
        config: NetworkConfig<'_>,
    ) -> Self {
        let ids = [ArrayId::weight(role, layer), ArrayId::bias(role, layer)];
        let bias = parameters.find(ids[1]);
        let matrix = |id| parameters.matrix(id).cast(config.dtype);
        let branch = |(branch, scale): (&LoraBranch, f32)| {
            let ids = [branch.a(), branch.b()];
            let [a, b] = ids.map(matrix);
            LowRank {
                ids,
                a,
                b,
                scale,
                first: branch.first,
                site: branch.site,
            }
        };
        Self {
            ids,
            trained: parameters.trains(ids[0]),
            weight: matrix(ids[0]),
            bias: bias.map(|bias| bias.cast(config.dtype)),
            branches: parameters.branches(ids[0]).map(branch).collect(),
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
    ) -> (Tensor<2>, AffineTape) {
        let read = x.clone().cast(self.weight.dtype());
        let mut tape = AffineTape {
            x: self.trained.then(|| read.clone()),
            branches: Vec::new(),
        };
        let product = read.matmul(self.weight.clone());
        let out = match &self.bias {
            None => product,
            Some(bias) => product + bias.clone().unsqueeze(),
        };
        if self.branches.is_empty() {
            return (out, tape);
        }
        // Branches side by side, zeros where there is none between them.
        let [rows, columns] = out.dims();
        let zeros = |width| Tensor::zeros([rows, width], (&out.device(), out.dtype()));
        let (mut parts, mut end) = (Vec::new(), 0);
        for branch in &self.branches {
            if branch.first > end {
                parts.push(zeros(branch.first - end));
            }
            let (part, of_branch) = branch.apply(x.clone(), &drop_out);
            end = branch.first + part.dims()[1];
            parts.push(part);
            tape.branches.push(of_branch);
        }
        if end < columns {
            parts.push(zeros(columns - end));
        }
        (out + Tensor::cat(parts, 1), tape)
    }

    /// The gradient of what was read; those of the arrays go to `gradients`. `drop_out` as before.
    ///
    /// # Shapes
    /// `upstream` `[rows, outputs]`; to `[rows, inputs]`.
    pub(super) fn backward(
        &self,
        tape: AffineTape,
        upstream: Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let [weight, bias] = self.ids;
        if self.bias.is_some() && gradients.wants(bias) {
            gradients.add(bias, upstream.clone().sum_dim(0));
        }
        let upstream = upstream.cast(self.weight.dtype());
        if let Some(x) = tape.x {
            gradients.add(weight, x.transpose().matmul(upstream.clone()));
        }
        let mut out = upstream.clone().matmul(self.weight.clone().transpose());
        for (branch, tape) in self.branches.iter().zip(tape.branches) {
            let part = branch.backward(tape, &upstream, &drop_out, gradients);
            out = out.cast(FloatDType::F32) + part;
        }
        out
    }
}

impl LowRank {
    /// # Shapes
    /// `[rows, inputs]` to `[rows, the branch's outputs]`.
    fn apply(
        &self,
        x: Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
    ) -> (Tensor<2>, BranchTape) {
        let x = drop_out(single(x), self.site).cast(self.a.dtype());
        let inner = x.clone().matmul(self.a.clone());
        let out = inner.clone().matmul(self.b.clone()) * self.scale;
        (out, BranchTape { x, inner })
    }

    /// As [`Affine::backward`], f32.
    ///
    /// # Shapes
    /// `upstream` `[rows, the map's outputs]`; to `[rows, inputs]`.
    fn backward(
        &self,
        tape: BranchTape,
        upstream: &Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let [_, outputs] = self.b.dims();
        let upstream = upstream.clone().narrow(1, self.first, outputs) * self.scale;
        let [a, b] = self.ids;
        if gradients.wants(b) {
            gradients.add(b, tape.inner.transpose().matmul(upstream.clone()));
        }
        let inner = upstream.matmul(self.b.clone().transpose());
        if gradients.wants(a) {
            gradients.add(a, tape.x.transpose().matmul(inner.clone()));
        }
        drop_out(single(inner.matmul(self.a.clone().transpose())), self.site)
    }
}
