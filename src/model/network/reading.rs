//! Sequences that are read and go on token by token, in batches of one fixed shape.
//!
//! A device may sum in another order when a tensor has another shape, so shapes never depend on how many sequences there
//! are: batches are filled up with sequences that nobody reads, and keys and values are as long as the bucket of
//! the sequence's own length. What comes of a sequence then depends on nothing but itself.

use std::sync::PoisonError;

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};

use super::attention::AttentionContext;
use super::rotary::Turns;
use super::{Network, ops};

/// Sequences that are read together, however few there are.
pub(crate) const READ_BATCH: usize = 8;
/// Sequences that go on together, however few there are.
pub(crate) const DECODE_BATCH: usize = 64;
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

/// Keys and values of some sequences, in one bucket: for each layer two tensors
/// `[sequences, key heads, bucket, head width]`, zeros beyond a sequence's end.
#[derive(Clone)]
pub(crate) struct DecodeBatch {
    pub(crate) bucket: usize,
    layers: Vec<[Tensor<4>; 2]>,
}

impl DecodeBatch {
    /// A batch for [`DECODE_BATCH`] sequences, empty.
    pub(crate) fn new(network: &Network, bucket: usize) -> Self {
        let heads = network.heads;
        let empty = || {
            let options = (
                &network.embedding.device(),
                network.embedding.tokens.dtype(),
            );
            Tensor::zeros([DECODE_BATCH, heads.key, bucket, heads.width], options)
        };
        Self {
            bucket,
            layers: network.blocks.iter().map(|_| [empty(), empty()]).collect(),
        }
    }

    /// Puts the keys and values of sequence `from` of `other`, which is not longer, at place `to`.
    ///
    /// # Shapes
    /// `other` has this batch's heads and their width, and a bucket that is not longer.
    pub(crate) fn put(&mut self, to: usize, other: &Self, from: usize) {
        let bucket = self.bucket;
        for (mine, theirs) in self.layers.iter_mut().zip(&other.layers) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                let [_, heads, length, head_width] = theirs.dims();
                let one = theirs.clone().narrow(0, from, 1);
                let place = [to..to + 1, 0..heads, 0..length, 0..head_width];
                in_place(mine, |all| {
                    let mut all = all.slice_assign(place, one);
                    if length < bucket {
                        let rest = [1, heads, bucket - length, head_width];
                        let zeros = Tensor::zeros(rest, (&all.device(), all.dtype()));
                        let place = [to..to + 1, 0..heads, length..bucket, 0..head_width];
                        all = all.slice_assign(place, zeros);
                    }
                    all
                });
            }
        }
    }
}

/// Changes a tensor without another hand on it, so that it need not be copied.
fn in_place(tensor: &mut Tensor<4>, change: impl FnOnce(Tensor<4>) -> Tensor<4>) {
    let nothing = Tensor::empty([0; 4], (&tensor.device(), tensor.dtype()));
    *tensor = change(std::mem::replace(tensor, nothing));
}

impl Network {
    /// Reads up to [`READ_BATCH`] sequences of one bucket: hidden states after the last norm, and keys and values.
    ///
    /// # Shapes
    /// `sequences` of `bucket` tokens at most; hidden states `[READ_BATCH * bucket, width]`, a sequence's rows from its
    /// place times `bucket` on; keys and values `[READ_BATCH, key heads, bucket, head width]`.
    pub(crate) fn read(&self, sequences: &[&[u32]], bucket: usize) -> (Tensor<2>, DecodeBatch) {
        let device = self.embedding.device();
        let mut tokens = vec![0; READ_BATCH * bucket];
        let mut kept = vec![0.0_f32; READ_BATCH * bucket];
        for (place, sequence) in sequences.iter().enumerate() {
            let row = place * bucket;
            tokens[row..row + sequence.len()].copy_from_slice(sequence);
            kept[row..row + sequence.len()].fill(1.0);
        }
        let dtype = self.embedding.tokens.dtype();
        let kept = TensorData::new(kept, [READ_BATCH, 1, bucket, 1]);
        let kept = Tensor::<4>::from_data(kept, (&device, DType::F32)).cast(dtype);
        let (pattern, turns) = (&self.pattern, self.turns(bucket));
        let context = AttentionContext::of_sequences(pattern, &turns, bucket, &device);
        let positions = (0..READ_BATCH).flat_map(|_| 0..bucket);
        let mut x = self.embedding.look_up(&tokens, positions);
        let mut layers = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let attend = |qkv| {
                let attention = &block.attention;
                let [query, key, value] = attention.split(qkv, READ_BATCH, &context);
                let weights = attention.weights(query, key.clone(), &context);
                layers.push([key * kept.clone(), value.clone() * kept.clone()]);
                attention.mix(weights, value)
            };
            x = block.apply(x, attend, |x, _| x);
        }
        (self.final_norm.apply(x), DecodeBatch { bucket, layers })
    }

    /// One more token for each sequence of a batch, at its position; logits after it, to the host.
    ///
    /// # Shapes
    /// `tokens` and `positions` of [`DECODE_BATCH`] sequences; to `DECODE_BATCH * vocabulary` values.
    pub(crate) fn decode(
        &self,
        batch: &mut DecodeBatch,
        tokens: &[u32],
        positions: &[usize],
    ) -> Vec<f32> {
        let device = self.embedding.device();
        let (heads, count) = (self.heads, tokens.len());
        let (pattern, turns) = (&self.pattern, self.turns(batch.bucket));
        let context =
            AttentionContext::of_tokens(pattern, &turns, positions, batch.bucket, &device);
        let column: Tensor<4, Int> = ops::indices(positions.iter().copied(), &device)
            .reshape([count, 1, 1, 1])
            .expand([count, heads.key, 1, heads.width]);
        let mut x = self.embedding.look_up(tokens, positions.iter().copied());
        for (block, [keys, values]) in self.blocks.iter().zip(&mut batch.layers) {
            let attend = |qkv| {
                let attention = &block.attention;
                let [query, key, value] = attention.split(qkv, count, &context);
                // Added to zeros: the place was empty.
                let add = IndexingUpdateOp::Add;
                in_place(keys, |keys| keys.scatter(2, column.clone(), key, add));
                in_place(values, |values| {
                    values.scatter(2, column.clone(), value, add)
                });
                let weights = attention.weights(query, keys.clone(), &context);
                attention.mix(weights, values.clone())
            };
            x = block.apply(x, attend, |x, _| x);
        }
        to_host(self.embedding.logits(self.final_norm.apply(x)))
    }

    /// How the positions of a bucket are turned; made at its first use.
    fn turns(&self, bucket: usize) -> Turns {
        let mut made = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = made
            .entry(bucket)
            .or_insert_with(|| Turns::new(&self.pattern, bucket, &self.embedding.device()));
        turns.clone()
    }

    /// Logits of up to [`LOGIT_BATCH`] rows of hidden states, to the host.
    ///
    /// # Shapes
    /// `hidden` `[any, width]`; to `[LOGIT_BATCH, vocabulary]`, whatever the number of `rows`.
    pub(crate) fn logits_of(&self, hidden: &Tensor<2>, rows: &[usize]) -> Vec<f32> {
        let filled = rows.iter().copied().chain(std::iter::repeat(0));
        let rows = ops::indices(filled.take(LOGIT_BATCH), &hidden.device());
        to_host(self.embedding.logits(hidden.clone().select(0, rows)))
    }
}

/// Logits, flat, to the host.
///
/// # Shapes
/// `logits` `[rows, vocabulary]`; to as many values, row by row.
fn to_host(logits: Tensor<2>) -> Vec<f32> {
    let data = logits.into_data();
    data.try_into_vec().expect("logits are f32")
}
