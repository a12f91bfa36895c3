//! What a draw asks of logits, taken out of them where they are: the most probable tokens and what the whole row sums to. A
//! row of a vocabulary is 200 kB, its ten most probable tokens 120 bytes.

use burn::tensor::{Int, Tensor};

use super::ops;

/// Tokens more than are asked for. A device does not say which of equal logits it takes, so what ends among equals is not
/// known to be right; with a few more it seldom ends there.
const SPARE: usize = 4;

/// Rows of logits on a device, `[rows, vocabulary]`.
#[derive(Clone)]
pub(crate) struct LogitRows(pub(super) Tensor<2>);

/// A row's most probable tokens.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct BestLogits {
    /// Logits and tokens, the greatest first, of equals the one with the lowest id: no token that is not here has a
    /// logit above the last one's.
    pub(crate) tokens: Vec<(f32, u32)>,
    /// The last one's logit: others may have the same.
    bound: f32,
    /// The greatest logit of the whole row.
    pub(crate) max: f32,
    /// The sum of exp(logit - max) over the whole row.
    pub(crate) sum: f32,
}

impl BestLogits {
    /// Whether the first `count` are the most probable tokens, whatever the device made of equal logits.
    pub(crate) fn settles(&self, count: usize) -> bool {
        // Below minus infinity there is nothing, and that is never drawn.
        let all = self.bound.is_infinite() && self.bound < 0.0;
        let last = self.tokens.get(count.saturating_sub(1));
        count == 0 || all || last.is_some_and(|(logit, _)| *logit > self.bound)
    }
}

/// The logit of one token of a row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct TokenLogits {
    pub(crate) logit: f32,
    /// As of [`BestLogits`].
    pub(crate) max: f32,
    /// As of [`BestLogits`].
    pub(crate) sum: f32,
}

impl LogitRows {
    /// Whether so many of the first `tokens` tokens can be found on the device: else whole rows are needed.
    pub(crate) fn finds(count: usize, tokens: usize) -> bool {
        // Ids come as f32, which is exact up to 2^24.
        count + SPARE < tokens && tokens < 1 << 24
    }

    /// How many logits a row has.
    pub(crate) fn vocabulary(&self) -> usize {
        self.0.dims()[1]
    }

    /// Asks for the `count` most probable of the first `tokens` tokens of each row, and a few more.
    pub(crate) fn best(&self, count: usize, tokens: usize) -> BestAsked {
        let (logits, count) = (&self.0, count + SPARE);
        let drawable = if tokens < self.vocabulary() {
            logits.clone().narrow(1, 0, tokens)
        } else {
            logits.clone()
        };
        let ids = drawable.clone().argtopk(count, 1);
        let values = drawable.gather(1, ids.clone());
        let ids = ids.float().cast(values.dtype());
        let [max, sum] = sums(logits);
        BestAsked {
            numbers: Tensor::cat(vec![values, ids, max, sum], 1),
            count,
        }
    }

    /// Waits for both; whether they are the same, bit for bit.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        bits(self.0.clone()) == bits(other.0.clone())
    }

    /// The logit of a token of each row.
    ///
    /// # Shapes
    /// `tokens` of as many rows or fewer, which the result has too.
    pub(crate) fn of_tokens(&self, tokens: &[u32]) -> Vec<TokenLogits> {
        let logits = &self.0;
        let [rows, _] = logits.dims();
        let filled = tokens.iter().map(|token| *token as usize);
        let filled = filled.chain(std::iter::repeat(0)).take(rows);
        let ids: Tensor<2, Int> = ops::indices(filled, &logits.device()).unsqueeze_dim(1);
        let [max, sum] = sums(logits);
        let numbers = vec![logits.clone().gather(1, ids), max, sum];
        let numbers = to_host(Tensor::cat(numbers, 1));
        let of_token = |row: &[f32]| TokenLogits {
            logit: row[0],
            max: row[1],
            sum: row[2],
        };
        let found = numbers.chunks_exact(3).map(of_token);
        found.take(tokens.len()).collect()
    }

    /// Whole rows, flat, to the host.
    ///
    /// # Shapes
    /// To `rows * vocabulary` values.
    pub(crate) fn whole(&self, rows: &[usize]) -> Vec<f32> {
        let rows = ops::indices(rows.iter().copied(), &self.0.device());
        to_host(self.0.clone().select(0, rows))
    }
}

/// What [`LogitRows::best`] was asked for, still on the device.
#[derive(Clone)]
pub(crate) struct BestAsked {
    /// Of each row the logits, the ids, the greatest and the sum, `[rows, 2 * count + 2]`.
    numbers: Tensor<2>,
    count: usize,
}

impl BestAsked {
    /// Waits for both; whether they are the same, bit for bit.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        bits(self.numbers.clone()) == bits(other.numbers.clone())
    }

    /// Waits for it.
    ///
    /// # Shapes
    /// One for each row.
    pub(crate) fn read(self) -> Vec<BestLogits> {
        let (numbers, count) = (to_host(self.numbers), self.count);
        let one = |row: &[f32]| {
            let (values, ids) = row[..2 * count].split_at(count);
            let mut tokens: Vec<(f32, u32)> = values
                .iter()
                .zip(ids)
                .filter(|(logit, _)| **logit > f32::NEG_INFINITY)
                .map(|(logit, id)| (*logit, token(*id)))
                .collect();
            tokens.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let bound = values.iter().copied().fold(f32::INFINITY, f32::min);
            BestLogits {
                tokens,
                bound,
                max: row[2 * count],
                sum: row[2 * count + 1],
            }
        };
        numbers.chunks_exact(2 * count + 2).map(one).collect()
    }
}

/// The greatest logit of each row, and the sum of exp(logit - greatest).
///
/// # Shapes
/// `logits` `[rows, vocabulary]`; to `[rows, 1]` each.
fn sums(logits: &Tensor<2>) -> [Tensor<2>; 2] {
    let max = logits.clone().max_dim(1);
    let sum = (logits.clone() - max.clone()).exp().sum_dim(1);
    [max, sum]
}

/// Numbers, flat, to the host.
///
/// # Shapes
/// `numbers` `[rows, columns]`; to as many values, row by row.
fn to_host(numbers: Tensor<2>) -> Vec<f32> {
    let data = numbers.into_data();
    data.try_into_vec().expect("logits are f32")
}

/// The bits of numbers, flat, on the host: as such a number that is none equals itself.
fn bits(numbers: Tensor<2>) -> Vec<u32> {
    to_host(numbers).into_iter().map(f32::to_bits).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an id that was brought as f32"
)]
fn token(id: f32) -> u32 {
    id as u32
}
