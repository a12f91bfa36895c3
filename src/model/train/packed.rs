//! Examples as packed rows: what goes in, and what each row is to predict.

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

#[cfg(test)]
mod tests {
    use super::*;

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
