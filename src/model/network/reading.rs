//! Sequences that are read and go on token by token, in batches of one fixed shape.
//!
//! A device may sum in another order when a tensor has another shape, so shapes never depend on how many sequences there
//! are: batches are filled up with sequences that nobody reads, and keys and values are as long as the bucket of
//! the sequence's own length. What comes of a sequence then depends on nothing but itself.

use std::sync::PoisonError;

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};

use super::attention::AttentionContext;
use super::best::LogitRows;
use super::rotary::Turns;
use super::{Network, ops};

/// Sequences that are read together, however few there are.
pub(crate) const READ_BATCH: usize = 8;
/// Rows of logits that are made together, however few are wanted.
pub(crate) const LOGIT_BATCH: usize = 64;
/// The shortest bucket, in tokens.
const SHORTEST_BUCKET: usize = 64;

/// The length, in tokens, that keys and values of a sequence of `length` tokens have: a power of two.
pub(crate) fn bucket(length: usize, positions: usize) -> usize {
    length
        .next_power_of_two()
        .max(SHORTEST_BUCKET)
        .min(positions)
}

/// Keys and values of some sequences, in one bucket: for each layer a tensor `[sequences, bucket, 2 * key heads, head
/// width]`. Beyond a sequence's end there is something, which nobody sees.
#[derive(Clone)]
pub(crate) struct DecodeBatch {
    pub(crate) bucket: usize,
    pub(crate) layers: Vec<Tensor<4>>,
}

/// Sequences of a batch that are copied to places of another one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Copies {
    pub(crate) from: Vec<usize>,
    pub(crate) to: Vec<usize>,
}

/// A token that is to be read next, and its position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Next {
    pub(crate) token: u32,
    pub(crate) position: usize,
}

impl DecodeBatch {
    /// A batch for so many sequences, empty.
    pub(crate) fn new(network: &Network, places: usize, bucket: usize) -> Self {
        let heads = network.heads;
        let empty = || {
            let options = (&network.device(), network.embedding.tokens.dtype());
            Tensor::zeros([places, bucket, 2 * heads.key, heads.width], options)
        };
        Self {
            bucket,
            layers: network.blocks.iter().map(|_| empty()).collect(),
        }
    }

    /// Copies keys and values of `other`, whose bucket is not longer: for each layer one operation and one for each run of
    /// places that lie side by side.
    ///
    /// # Shapes
    /// `other` has this batch's heads and their width.
    pub(crate) fn put(&mut self, other: &Self, copies: &Copies) {
        let from = ops::indices(copies.from.iter().copied(), &other.layers[0].device());
        let layers = std::mem::take(&mut self.layers).into_iter();
        let put = |(mut mine, theirs): (Tensor<4>, &Tensor<4>)| {
            let rows = theirs.clone().select(0, from.clone());
            let [_, length, heads, width] = rows.dims();
            let mut row = 0;
            for run in copies.to.chunk_by(|place, next| place + 1 == *next) {
                let part = rows.clone().narrow(0, row, run.len());
                let places = run[0]..run[0] + run.len();
                mine = mine.slice_assign([places, 0..length, 0..heads, 0..width], part);
                row += run.len();
            }
            mine
        };
        self.layers = layers.zip(&other.layers).map(put).collect();
    }

    /// Whether nothing else has a hand on keys and values, so that they change where they are. A backend that does not know
    /// says no.
    pub(crate) fn is_alone(&self) -> bool {
        self.layers.iter().all(Tensor::can_mut)
    }
}

/// What a step is told: each place's token, then each one's position.
///
/// # Shapes
/// To `[2 * places]`.
pub(crate) fn step_input(next: &[Next], device: &Device) -> Tensor<1, Int> {
    let number = |value: usize| i64::try_from(value).expect("indices fit");
    let tokens = next.iter().map(|next| i64::from(next.token));
    let positions = next.iter().map(|next| number(next.position));
    ops::integers(tokens.chain(positions).collect(), device)
}

impl Network {
    /// Reads up to [`READ_BATCH`] sequences of one bucket: hidden states after the last norm, and keys and values.
    ///
    /// # Shapes
    /// `sequences` of `bucket` tokens at most; hidden states `[READ_BATCH * bucket, width]`, a sequence's rows from its
    /// place times `bucket` on; keys and values of [`READ_BATCH`] sequences.
    pub(crate) fn read(&self, sequences: &[&[u32]], bucket: usize) -> (Tensor<2>, DecodeBatch) {
        let device = self.device();
        let mut tokens = vec![0; READ_BATCH * bucket];
        for (place, sequence) in sequences.iter().enumerate() {
            let row = place * bucket;
            for (token, given) in tokens[row..].iter_mut().zip(*sequence) {
                *token = *given as usize;
            }
        }
        let tokens = ops::indices(tokens, &device);
        let number = |value| i64::try_from(value).expect("lengths fit");
        let rows = number(READ_BATCH * bucket);
        let positions = Tensor::<1, Int>::arange(0..rows, &device) % number(bucket);
        let (pattern, turns) = (&self.pattern, self.turns(bucket));
        let context = AttentionContext::of_sequences(pattern, &turns, bucket, &device);
        let mut x = self.embedding.look_up(tokens, &positions);
        let mut layers = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let attend = |qkv| {
                let attention = &block.attention;
                let (query, cached) = attention.split_for_cache(qkv, READ_BATCH, &context);
                layers.push(cached.clone());
                (attention.attend(query, &cached, &context, self.fused), ())
            };
            (x, _) = block.apply(x, attend, |x, _| x);
        }
        (self.final_norm.apply(x), DecodeBatch { bucket, layers })
    }

    /// One more token for each place of a batch; logits after it. Nothing comes from the host or waits for it, so that the
    /// whole can be captured as a graph.
    ///
    /// # Shapes
    /// `input` [`step_input`]'s; a row for each place.
    pub(crate) fn decode(&self, batch: &mut DecodeBatch, input: &Tensor<1, Int>) -> LogitRows {
        let count = input.dims()[0] / 2;
        let [tokens, positions] = [0, count].map(|first| input.clone().narrow(0, first, count));
        let heads = self.heads;
        let column: Tensor<4, Int> = positions.clone().reshape([count, 1, 1, 1]).expand([
            count,
            1,
            2 * heads.key,
            heads.width,
        ]);
        let (pattern, turns) = (&self.pattern, self.turns(batch.bucket));
        let context = AttentionContext::of_tokens(pattern, &turns, &positions, batch.bucket);
        let mut x = self.embedding.look_up(tokens, &positions);
        let layers = std::mem::take(&mut batch.layers);
        for (block, cached) in self.blocks.iter().zip(layers) {
            let attend = |qkv| {
                let attention = &block.attention;
                let (query, own) = attention.split_for_cache(qkv, count, &context);
                // In place on `CubeCL`; burn's binding of LibTorch copies. Its `scatter_nd` would not, but multiplies integers,
                // which LibTorch cannot on a card.
                let cached = cached.scatter(1, column.clone(), own, IndexingUpdateOp::Assign);
                let mixed = attention.attend(query, &cached, &context, self.fused);
                batch.layers.push(cached);
                (mixed, ())
            };
            (x, _) = block.apply(x, attend, |x, _| x);
        }
        LogitRows(self.embedding.logits(self.final_norm.apply(x)))
    }

    /// How the positions of a bucket are turned; made at its first use.
    fn turns(&self, bucket: usize) -> Turns {
        let mut made = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = made
            .entry(bucket)
            .or_insert_with(|| Turns::new(&self.pattern, bucket, &self.device()));
        turns.clone()
    }

    /// Logits of up to [`LOGIT_BATCH`] rows of hidden states.
    ///
    /// # Shapes
    /// `hidden` `[any, width]`; [`LOGIT_BATCH`] rows, whatever the number of `rows`.
    pub(crate) fn logits_of(&self, hidden: &Tensor<2>, rows: &[usize]) -> LogitRows {
        let filled = rows.iter().copied().chain(std::iter::repeat(0));
        let rows = ops::indices(filled.take(LOGIT_BATCH), &hidden.device());
        LogitRows(self.embedding.logits(hidden.clone().select(0, rows)))
    }
}
