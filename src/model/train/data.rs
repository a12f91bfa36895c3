//! Examples, and the order in which they are seen.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::TrainError;
use super::options::{LossMask, TrainOptions};
use crate::model::Architecture;

/// One training text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// Its tokens, the end of text included if the model is to write it.
    pub tokens: Vec<u32>,
    /// The first token that the model is to write itself: the loss counts `tokens[loss_from..]`.
    pub loss_from: usize,
}

/// Examples cut to length, and what that took.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Prepared {
    pub(super) examples: Vec<Example>,
    pub(super) truncated: usize,
    pub(super) skipped: usize,
}

impl Prepared {
    /// Cuts the ends of long examples off; leaves out those of which no token is left to learn.
    pub(super) fn new(
        examples: &[Example],
        architecture: &Architecture,
        options: &TrainOptions,
    ) -> Result<Self, TrainError> {
        let longest = options.longest(architecture.context);
        let mut prepared = Self::default();
        for (index, example) in examples.iter().enumerate() {
            if let Some(token) = example
                .tokens
                .iter()
                .find(|token| **token as usize >= architecture.vocab_rows)
            {
                return Err(TrainError::Token {
                    index,
                    token: *token,
                    vocabulary: architecture.vocab_rows,
                });
            }
            let mut example = example.clone();
            if example.tokens.len() > longest {
                example.tokens.truncate(longest);
                prepared.truncated += 1;
            }
            // Nothing comes before the first token, so it cannot be predicted.
            example.loss_from = match options.loss_mask {
                LossMask::Completion => example.loss_from.max(1),
                LossMask::All => 1,
            };
            if example.loss_from < example.tokens.len() {
                prepared.examples.push(example);
            } else {
                prepared.skipped += 1;
            }
        }
        Ok(prepared)
    }
}

/// The order of `count` examples in `epoch`: a seeded shuffle (Fisher-Yates).
pub(super) fn order(count: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // Of 2^64 draws, a multiply-shift favours none by more than count / 2^64.
        let place = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, usize::try_from(place).expect("it is at most `last`"));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::architecture::Gpt2;

    fn example(length: u32, loss_from: usize) -> Example {
        Example {
            tokens: (0..length).collect(),
            loss_from,
        }
    }

    #[test]
    fn long_examples_are_cut_and_empty_ones_left_out() {
        let architecture = Architecture::from(Gpt2 {
            vocab_rows: 10,
            context: 6,
            ..Gpt2::default()
        });
        let examples = [
            example(9, 2),
            example(9, 7),
            example(4, 0),
            example(1, 0),
            example(3, 3),
        ];
        let options = TrainOptions::default();
        let prepared = Prepared::new(&examples, &architecture, &options).unwrap();
        assert_eq!(prepared.examples, [example(6, 2), example(4, 1)]);
        assert_eq!((prepared.truncated, prepared.skipped), (2, 3));

        let options = TrainOptions {
            loss_mask: LossMask::All,
            max_length_tokens: Some(3),
            ..options
        };
        let prepared = Prepared::new(&examples, &architecture, &options).unwrap();
        assert_eq!(
            prepared.examples,
            [example(3, 1), example(3, 1), example(3, 1), example(3, 1)]
        );

        let message = Prepared::new(&[example(11, 0)], &architecture, &options)
            .unwrap_err()
            .to_string();
        assert!(message.contains("example 0 has token 10"), "{message}");
    }

    #[test]
    fn every_epoch_sees_every_example_in_its_own_order() {
        let orders = [order(50, 1, 0), order(50, 1, 1), order(50, 2, 0)];
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        }
        assert!(orders[0] != orders[1] && orders[0] != orders[2]);
        assert_eq!(order(50, 1, 0), orders[0]);
    }
}
