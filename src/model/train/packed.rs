//! Examples as packed rows: what goes in, and what each row is to predict.

use std::ops::Range;

use super::data::Example;
use crate::model::rows::{Spans, Targets};

/// Examples laid end to end, without their last tokens, which predict nothing that is known.
pub(super) struct Packed {
    pub(super) tokens: Vec<u32>,
    pub(super) spans: Spans,
    pub(super) targets: Targets,
}

impl Packed {
    /// Examples that have passed [`super::data::Prepared`].
    pub(super) fn new(examples: &[&Example]) -> Self {
        let spans = Spans::new(examples.iter().map(|example| example.tokens.len() - 1));
        let mut tokens = Vec::with_capacity(spans.rows());
        let mut targets = Targets::default();
        for example in examples {
            // Row i of an example predicts its token i + 1.
            let first = tokens.len() + example.loss_from - 1;
            let wanted = &example.tokens[example.loss_from..];
            targets.rows.extend(first..first + wanted.len());
            targets.tokens.extend(wanted);
            tokens.extend(&example.tokens[..example.tokens.len() - 1]);
        }
        Self {
            tokens,
            spans,
            targets,
        }
    }
}

/// Cuts a batch into micro-batches that take at most `limit` tokens when all are padded to the longest, one example at
/// least.
pub(super) fn micro_batches(examples: &[&Example], limit: usize) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let (mut start, mut longest) = (0, 0);
    for (index, example) in examples.iter().enumerate() {
        let length = longest.max(example.tokens.len() - 1);
        if index > start && length * (index + 1 - start) > limit {
            cuts.push(start..index);
            (start, longest) = (index, example.tokens.len() - 1);
        } else {
            longest = length;
        }
    }
    cuts.push(start..examples.len());
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_cover_the_batch_and_keep_the_limit() {
        let examples: Vec<Example> = [3, 5, 2, 9, 2, 2]
            .map(|length| Example {
                tokens: vec![1; length + 1],
                loss_from: 1,
            })
            .into();
        let examples: Vec<&Example> = examples.iter().collect();
        assert_eq!(micro_batches(&examples, 10), [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(
            micro_batches(&examples, 1000).as_slice(),
            std::slice::from_ref(&(0..6))
        );
        assert_eq!(micro_batches(&examples, 1).len(), 6);
    }

    #[test]
    fn rows_predict_the_next_token_where_the_loss_asks() {
        let examples = [
            Example {
                tokens: vec![5, 6, 7, 8],
                loss_from: 2,
            },
            Example {
                tokens: vec![1, 2],
                loss_from: 1,
            },
        ];
        let packed = Packed::new(&examples.iter().collect::<Vec<_>>());
        assert_eq!(packed.tokens, [5, 6, 7, 1]);
        assert_eq!(packed.targets.rows, [1, 2, 3]);
        assert_eq!(packed.targets.tokens, [7, 8, 2]);
    }
}
