//! The examples of one step, and how they are split.

use super::data::Example;

/// The examples of one step.
pub(super) struct Batch<'a> {
    examples: Vec<&'a Example>,
    /// Tokens that go in.
    pub(super) tokens: usize,
    /// Tokens that the loss counts.
    pub(super) loss_tokens: usize,
}

impl<'a> Batch<'a> {
    /// A batch of examples that have passed [`super::data::Prepared`].
    pub(super) fn new(examples: impl IntoIterator<Item = &'a Example>) -> Self {
        let examples: Vec<&Example> = examples.into_iter().collect();
        Self {
            tokens: examples.iter().map(|example| inputs(example)).sum(),
            loss_tokens: examples
                .iter()
                .map(|example| example.tokens.len() - example.loss_from)
                .sum(),
            examples,
        }
    }

    /// The examples in order, in parts of at most `limit` tokens each, unless one example is longer.
    pub(super) fn parts(&self, limit: usize) -> Vec<&[&'a Example]> {
        let (mut parts, mut start, mut tokens) = (Vec::new(), 0, 0);
        for (index, example) in self.examples.iter().enumerate() {
            let length = inputs(example);
            if index > start && tokens + length > limit {
                parts.push(&self.examples[start..index]);
                (start, tokens) = (index, 0);
            }
            tokens += length;
        }
        parts.push(&self.examples[start..]);
        parts
    }

    /// All of them, in order.
    pub(super) fn examples(&self) -> Vec<&'a Example> {
        self.examples.clone()
    }
}

/// The last token predicts nothing that is known, so it does not go in.
fn inputs(example: &Example) -> usize {
    example.tokens.len() - 1
}
