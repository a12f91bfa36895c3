//! The loss of packed rows, and the gradients of a model, with or without keeping what blocks leave for their backward
//! passes.

use burn::tensor::{DType, FloatDType, IndexingUpdateOp, Int, Tensor};

use super::gradients::Gradients;
use super::packed::PassContext;
use super::{Network, Parameters, ops};
use crate::model::Architecture;
use crate::model::dropout::Dropout;
use crate::model::rows::{Spans, Targets};

/// Logits that are there at a time: rows of a vocabulary are never all made together.
const CHUNK_LOGITS: usize = 1 << 26;

/// Packed sequences and what is asked of them.
pub(crate) struct Asked<'a> {
    /// The sequences of `spans` end to end, `[rows]`.
    pub(crate) tokens: &'a [u32],
    pub(crate) spans: &'a Spans,
    pub(crate) targets: &'a Targets,
    /// The loss is this times the sum of -ln p(target).
    pub(crate) scale: f64,
    pub(crate) dropout: Option<Dropout>,
}

/// How gradients are computed.
#[derive(Clone, Copy)]
pub(crate) struct Arithmetic {
    pub(crate) dtype: FloatDType,
    /// Keep each block's input alone and compute the block again in the backward pass. Source: Chen et al. 2016.
    pub(crate) gradient_checkpointing: bool,
}

/// The loss, and the gradients of every array that is trained.
///
/// # Shapes
/// The loss `[1]`.
pub(crate) fn gradients(
    architecture: &Architecture,
    parameters: &Parameters,
    asked: &Asked<'_>,
    arithmetic: Arithmetic,
) -> (Tensor<1>, Gradients) {
    let network = Network::new(architecture, parameters, arithmetic.dtype);
    let lean = arithmetic.gradient_checkpointing;
    let context = context(architecture, parameters, asked, !lean, &network);
    let (mut x, embedded) = network.embedding.embed(asked.tokens, &context);
    let mut kept = Vec::new();
    for block in &network.blocks {
        let (out, tape) = block.apply_packed(x.clone(), &context);
        kept.push((x, (!lean).then_some(tape)));
        x = out;
    }
    let mut gradients = Gradients::of(parameters);
    let head = Head::new(&network, asked);
    let (loss, mut upstream) = head.gradients(x, &mut gradients);
    for (block, (x, tape)) in network.blocks.iter().zip(kept).rev() {
        let tape = tape.unwrap_or_else(|| block.apply_packed(x, &context).1);
        upstream = block.backward_packed(tape, upstream, &context, &mut gradients);
    }
    let embedding = &network.embedding;
    embedding.backward(embedded, upstream, &context, &mut gradients);
    (loss, gradients)
}

/// The loss alone.
///
/// # Shapes
/// To `[1]`.
pub(crate) fn loss_alone(
    architecture: &Architecture,
    parameters: &Parameters,
    asked: &Asked<'_>,
    dtype: FloatDType,
) -> Tensor<1> {
    let network = Network::new(architecture, parameters, dtype);
    let context = context(architecture, parameters, asked, true, &network);
    let (mut x, _) = network.embedding.embed(asked.tokens, &context);
    for block in &network.blocks {
        x = block.apply_packed(x, &context).0;
    }
    Head::new(&network, asked).loss(x)
}

fn context<'a>(
    architecture: &Architecture,
    parameters: &Parameters,
    asked: &Asked<'a>,
    keep_masks: bool,
    network: &Network,
) -> PassContext<'a> {
    let device = network.embedding.device();
    let (spans, dropout) = (asked.spans, asked.dropout);
    PassContext::new(
        architecture,
        parameters,
        spans,
        dropout,
        keep_masks,
        &device,
    )
}

/// From the last block's output to the loss: only rows that the loss asks for are normed, and their logits are made a few
/// at a time.
struct Head<'a> {
    network: &'a Network,
    scale: f64,
    /// `[targets]` each.
    rows: Tensor<1, Int>,
    tokens: Tensor<1, Int>,
}

/// What the loss asks of some rows.
struct ChunkLoss {
    /// `[1]`
    loss: Tensor<1>,
    /// Logits, where they have a cap, and exp of them above the greatest of their rows: `[rows, vocabulary]`.
    capped: Option<Tensor<2>>,
    exponentials: Tensor<2>,
    /// The rows' sums of these, `[rows, 1]`.
    sums: Tensor<2>,
}

impl<'a> Head<'a> {
    fn new(network: &'a Network, asked: &Asked<'_>) -> Self {
        let device = network.embedding.device();
        let tokens = asked.targets.tokens.iter().map(|token| *token as usize);
        Self {
            network,
            scale: asked.scale,
            rows: ops::indices(asked.targets.rows.iter().copied(), &device),
            tokens: ops::indices(tokens, &device),
        }
    }

    /// # Shapes
    /// `x` `[rows, width]`; to `[1]`.
    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let normed = self
            .network
            .final_norm
            .apply(x.select(0, self.rows.clone()));
        let losses = self.chunks().map(|(first, count)| {
            let hidden = normed.clone().narrow(0, first, count);
            self.chunk(hidden, self.targets(first, count)).loss
        });
        sum(losses.collect())
    }

    /// The loss, and the gradient of the last block's output.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to `[1]` and `[rows, width]`.
    fn gradients(&self, x: Tensor<2>, gradients: &mut Gradients) -> (Tensor<1>, Tensor<2>) {
        let norm = &self.network.final_norm;
        let (output, id) = self.network.embedding.output();
        let shape = x.dims();
        let read = x.select(0, self.rows.clone());
        let normed = norm.apply(read.clone()).cast(output.dtype());
        let (mut losses, mut parts) = (Vec::new(), Vec::new());
        for (first, count) in self.chunks() {
            let hidden = normed.clone().narrow(0, first, count);
            let targets = self.targets(first, count);
            let of_chunk = self.chunk(hidden.clone(), targets.clone());
            losses.push(of_chunk.loss.clone());
            let logits = self.logits_backward(of_chunk, targets).cast(output.dtype());
            parts.push(logits.clone().matmul(output.clone()));
            if gradients.wants(id) {
                gradients.add(id, logits.transpose().matmul(hidden));
            }
        }
        let upstream = ops::single(Tensor::cat(parts, 0));
        let upstream = norm.backward(read, upstream, gradients);
        let zeros = Tensor::<2>::zeros(shape, (&upstream.device(), DType::F32));
        let upstream = zeros.select_assign(0, self.rows.clone(), upstream, IndexingUpdateOp::Add);
        (sum(losses), upstream)
    }

    /// The first row and the number of rows of each chunk.
    fn chunks(&self) -> impl Iterator<Item = (usize, usize)> {
        let [rows] = self.rows.dims();
        let (output, _) = self.network.embedding.output();
        let chunk = (CHUNK_LOGITS / output.dims()[0]).max(1);
        (0..rows)
            .step_by(chunk)
            .map(move |first| (first, chunk.min(rows - first)))
    }

    /// # Shapes
    /// To `[count, 1]`.
    fn targets(&self, first: usize, count: usize) -> Tensor<2, Int> {
        self.tokens.clone().narrow(0, first, count).unsqueeze_dim(1)
    }

    /// # Shapes
    /// `hidden` `[rows, width]`, `targets` `[rows, 1]`.
    fn chunk(&self, hidden: Tensor<2>, targets: Tensor<2, Int>) -> ChunkLoss {
        let logits = self.network.embedding.logits(hidden);
        let capped = self.network.embedding.logit_cap.map(|_| logits.clone());
        let greatest = logits.clone().max_dim(1);
        let above = logits - greatest;
        let exponentials = above.clone().exp();
        let sums = exponentials.clone().sum_dim(1);
        let nats = sums.clone().log() - above.gather(1, targets);
        ChunkLoss {
            loss: nats.sum() * self.scale,
            capped,
            exponentials,
            sums,
        }
    }

    /// The gradient of the product that logits are made of, f32.
    ///
    /// # Shapes
    /// `targets` `[rows, 1]`; to `[rows, vocabulary]`.
    fn logits_backward(&self, chunk: ChunkLoss, targets: Tensor<2, Int>) -> Tensor<2> {
        let shares = chunk.exponentials * (chunk.sums.recip() * self.scale);
        let wanted =
            Tensor::<2>::full(targets.dims(), -self.scale, (&targets.device(), DType::F32));
        let upstream = shares.scatter(1, targets, wanted, IndexingUpdateOp::Add);
        match chunk.capped.zip(self.network.embedding.logit_cap) {
            None => upstream,
            Some((logits, cap)) => {
                let tangent = logits / cap;
                upstream.clone() - upstream * tangent.clone() * tangent
            }
        }
    }
}

/// # Shapes
/// `parts` `[1]` each; to `[1]`.
fn sum(parts: Vec<Tensor<1>>) -> Tensor<1> {
    let sum = parts.into_iter().reduce(|sum, more| sum + more);
    sum.expect("every example has a token that counts")
}
