//! Loss and gradients of one batch.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::data::Example;
use crate::model::dropout::Dropout;
use crate::model::ops::cross_entropy::cross_entropy;
use crate::model::rows::{Spans, Targets};
use crate::model::{Gpt2, Gpt2Config, Weights};

/// Tokens that go through the model at a time, unless one example is longer; larger batches are split and their
/// gradients added, so that memory stays bounded. Part of the arithmetic, hence no option. Ours.
const MICRO_BATCH_TOKENS: usize = 4096;

/// The examples of one step.
pub(super) struct Batch<'a> {
    parts: Vec<Vec<&'a Example>>,
    /// Tokens that go in.
    pub(super) tokens: usize,
    /// Tokens that the loss counts.
    pub(super) loss_tokens: usize,
}

impl<'a> Batch<'a> {
    /// A batch of examples that have passed [`super::data::Prepared`].
    pub(super) fn new(examples: impl IntoIterator<Item = &'a Example>) -> Self {
        let mut batch = Self {
            parts: Vec::new(),
            tokens: 0,
            loss_tokens: 0,
        };
        let mut room = 0;
        for example in examples {
            // The last token predicts nothing that is known, so it does not go in.
            let length = example.tokens.len() - 1;
            if length > room || batch.parts.is_empty() {
                batch.parts.push(Vec::new());
                room = MICRO_BATCH_TOKENS;
            }
            room = room.saturating_sub(length);
            batch
                .parts
                .last_mut()
                .expect("one was pushed")
                .push(example);
            batch.tokens += length;
            batch.loss_tokens += example.tokens.len() - example.loss_from;
        }
        batch
    }

    /// All of them, in order.
    pub(super) fn examples(&self) -> Vec<&'a Example> {
        self.parts.iter().flatten().copied().collect()
    }
}

/// Mean loss over the tokens that count, and its gradients.
pub(super) fn gradients(
    config: &Gpt2Config,
    weights: &Weights,
    batch: &Batch<'_>,
    dropout: Option<Dropout>,
) -> (f64, Weights) {
    let device = Device::flex().autodiff();
    let model = Gpt2::new(config, weights, &device);
    let (mut total, mut sum, mut first) = (0.0, None::<Weights>, 0);
    for part in &batch.parts {
        let dropout = dropout.map(|dropout| dropout.from_example(first));
        first += part.len();
        let loss = loss_of(&model, part, batch.loss_tokens, dropout, &device);
        let mut gradients = loss.backward();
        total += f64::from(loss.into_scalar::<f32>());
        let gradients = model.gradients(&mut gradients);
        match &mut sum {
            None => sum = Some(gradients),
            Some(sum) => add(sum, &gradients),
        }
    }
    (total, sum.expect("a batch has an example"))
}

/// Mean loss over the tokens that count, without dropout.
pub(super) fn loss(config: &Gpt2Config, weights: &Weights, batch: &Batch<'_>) -> f64 {
    let device = Device::flex().autodiff();
    // Without gradients the same kernels run and save nothing.
    let model = Gpt2::new(config, weights, &device).no_grad();
    let part = |part: &Vec<&Example>| {
        let loss = loss_of(&model, part, batch.loss_tokens, None, &device);
        f64::from(loss.into_scalar::<f32>())
    };
    batch.parts.iter().map(part).sum()
}

fn loss_of(
    model: &Gpt2,
    examples: &[&Example],
    count: usize,
    dropout: Option<Dropout>,
    device: &Device,
) -> Tensor<2> {
    let spans = Spans::new(examples.iter().map(|example| example.tokens.len() - 1));
    let mut tokens = Vec::new();
    let mut targets = Targets::default();
    for example in examples {
        // Row i of an example predicts its token i + 1.
        let first = tokens.len() + example.loss_from - 1;
        let wanted = &example.tokens[example.loss_from..];
        targets.rows.extend(first..first + wanted.len());
        targets.tokens.extend(wanted);
        let inputs = &example.tokens[..example.tokens.len() - 1];
        tokens.extend(inputs.iter().map(|token| i64::from(*token)));
    }
    let rows = tokens.len();
    let tokens = Tensor::<1, Int>::from_data(TensorData::new(tokens, [rows]), device);
    let hidden = model.hidden(tokens, &spans, dropout);
    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
    let scale = (1.0 / count as f64) as f32;
    cross_entropy(hidden, model.embedding(), &targets, scale)
}

fn add(sum: &mut Weights, gradients: &Weights) {
    for (sum, array) in sum.arrays.values_mut().zip(gradients.arrays.values()) {
        sum.data
            .iter_mut()
            .zip(&array.data)
            .for_each(|(sum, value)| *sum += value);
    }
}
