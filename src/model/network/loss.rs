//! The loss of packed rows, and the gradients of a model, with or without keeping every activation.

use burn::tensor::{FloatDType, Int, Tensor, activation};

use super::packed::PassContext;
use super::{Block, Embedding, Network, NetworkConfig, Parameters, final_norm, ops};
use crate::model::Architecture;
use crate::model::architecture::ArrayId;
use crate::model::dropout::Dropout;
use crate::model::rows::{Spans, Targets};

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
    /// Keep each block's input alone and compute the block again in the backward pass.
    pub(crate) gradient_checkpointing: bool,
}

/// The loss and the gradients of every array that is trained, in the order of the parameters; `None` where none came.
///
/// # Shapes
/// The loss `[1]`; a gradient is flat, as long as its array.
pub(crate) fn gradients(
    architecture: &Architecture,
    parameters: &Parameters,
    asked: &Asked<'_>,
    arithmetic: Arithmetic,
) -> (Tensor<1>, Vec<Option<Tensor<1>>>) {
    let leaves = parameters.leaves();
    if arithmetic.gradient_checkpointing {
        return checkpointed(architecture, parameters, &leaves, asked, arithmetic.dtype);
    }
    let loss = loss_alone(architecture, &leaves, asked, arithmetic.dtype);
    let mut gradients = loss.backward();
    let found = leaves.gradients(&mut gradients);
    (loss.inner(), found)
}

/// The loss alone; gradients can be taken of it where the parameters are leaves.
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
    let device = network.embedding.device();
    let context = PassContext::new(architecture, asked.spans, asked.dropout, &device);
    let hidden = network.hidden(asked.tokens, &context);
    head_loss(&network.embedding, hidden, asked)
}

/// From the last hidden states to the loss. Logits are made only where the loss asks for them.
///
/// # Shapes
/// `hidden` `[rows, width]`; to `[1]`.
fn head_loss(embedding: &Embedding, hidden: Tensor<2>, asked: &Asked<'_>) -> Tensor<1> {
    let device = hidden.device();
    let rows = ops::indices(asked.targets.rows.iter().copied(), &device);
    let tokens = asked.targets.tokens.iter().map(|token| i64::from(*token));
    let tokens: Tensor<2, Int> = ops::integers(tokens.collect(), &device).unsqueeze_dim(1);
    let logits = embedding.logits(hidden.select(0, rows));
    let chosen = activation::log_softmax(logits, 1).gather(1, tokens);
    chosen.sum() * -asked.scale
}

/// The same gradients from each block's input alone: blocks run forward without a graph, then backward one by one,
/// each computed again. Source: Chen et al. 2016.
///
/// # Shapes
/// As of [`gradients`].
fn checkpointed(
    architecture: &Architecture,
    parameters: &Parameters,
    leaves: &Parameters,
    asked: &Asked<'_>,
    dtype: FloatDType,
) -> (Tensor<1>, Vec<Option<Tensor<1>>>) {
    let config = NetworkConfig {
        architecture,
        dtype,
    };
    let plain = Embedding::new(parameters, config);
    let context = PassContext::new(architecture, asked.spans, asked.dropout, &plain.device());
    let mut inputs = vec![plain.embed(asked.tokens, &context)];
    for layer in 0..architecture.layers {
        let block = Block::new(parameters, layer, config);
        inputs.push(block.apply_packed(inputs[layer].clone(), &context));
    }
    let mut found: Vec<Option<Tensor<1>>> = vec![None; leaves.trained().count()];
    let mut next = || {
        leaf(
            inputs
                .pop()
                .expect("one for each block and one for the head"),
        )
    };
    // The head. Graphs live for one pass each, so every part is made anew from the leaves.
    let input = next();
    let hidden = final_norm(leaves, config).apply(input.clone());
    let loss = head_loss(&Embedding::new(leaves, config), hidden, asked);
    let mut upstream = back(&loss, &input, leaves, &mut found);
    // The blocks, from the last.
    let context = PassContext::new(architecture, asked.spans, asked.dropout, &input.device());
    for layer in (0..architecture.layers).rev() {
        let input = next();
        let block = Block::new(leaves, layer, config);
        let output = block.apply_packed(input.clone(), &context);
        let product = (output * upstream.autodiff()).sum();
        upstream = back(&product, &input, leaves, &mut found);
    }
    if !leaves.trains(ArrayId::TOKEN_EMBEDDING) {
        return (loss.inner(), found);
    }
    // The embeddings.
    let embedded = Embedding::new(leaves, config).embed(asked.tokens, &context);
    let mut gradients = (embedded * upstream.autodiff()).sum().backward();
    add(&mut found, leaves.gradients(&mut gradients));
    (loss.inner(), found)
}

fn leaf(values: Tensor<2>) -> Tensor<2> {
    values.autodiff().require_grad()
}

/// Backward from `from`: adds the leaves' gradients to `found`, gives that of `input`.
///
/// # Shapes
/// `from` `[1]`, `input` `[rows, width]`, which the result is too.
fn back(
    from: &Tensor<1>,
    input: &Tensor<2>,
    leaves: &Parameters,
    found: &mut [Option<Tensor<1>>],
) -> Tensor<2> {
    let mut gradients = from.backward();
    add(found, leaves.gradients(&mut gradients));
    input
        .grad_remove(&mut gradients)
        .expect("a block's output depends on its input")
}

/// Adds gradients to others of the same arrays.
///
/// # Shapes
/// `sums` and `more` `[arrays]`; each tensor is flat, and two that are added are of one length.
fn add(sums: &mut [Option<Tensor<1>>], more: Vec<Option<Tensor<1>>>) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = match (sum.take(), more) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
    }
}
