//! The sampling engine: a model on a CPU, over its own kernels.
//!
//! In: an [`Architecture`] and a [`WeightSource`]; prompts as token ids. Out: generated sequences with the
//! log-probabilities of their tokens ([`Engine::generate`]), log-probabilities of given continuations
//! ([`Engine::score`]), or plain logits ([`Engine::logits`]).
//!
//! A prompt is read once and its keys and values are shared by all its sequences (25 in the paper), and what those
//! draw alike goes through once; slots stay full by admitting the next sequence as one ends; the vocabulary projection
//! is computed only where a token is drawn. The engine is batch-invariant: tokens and log-probabilities of a sequence
//! are the same bits at any batch size, number of threads, order of admission and instruction set,
//! because every reduction has one order that depends on its row alone (see `gemm`, `vector`, `attention`), or is of
//! integers (`gemm_int8`, with [`Dtype::Int8`](crate::model::Dtype::Int8)).

mod arrays;
mod attention;
mod cache;
mod decoder;
mod forward;
mod gemm;
mod gemm_half;
mod gemm_int8;
mod heads;
mod linear;
mod model;
mod norm;
mod packed;
mod pages;
mod parallel;
mod pass;
mod peak;
mod score;
mod table;
mod turns;
#[cfg(test)]
mod tests;

pub use peak::product_rate;

use rayon::prelude::*;

use self::cache::SequenceCache;
use self::forward::{LOGIT_ROWS, Scratch};
use self::model::Model;
use self::parallel::Parallel;
use self::pass::Segment;
use crate::memory;
use crate::model::engine_error::check_tokens;
use crate::model::kernel::lanes::{Isa, LANES};
use crate::model::{Architecture, EngineError, EngineOptions, WeightSource, thread_pool};

/// Sequences decoded together, about, where the caller leaves the choice: eight tiles of GEMM rows.
const AUTO_BATCH: usize = 96;
/// The same, at least.
const AUTO_BATCH_MIN: usize = 12;
/// Bytes that the keys and values of so many sequences may take, of the length that is asked for but not of more
/// tokens than [`AUTO_TOKENS`]: few grow longer at once.
const AUTO_CACHE_BYTES: usize = 1 << 30;
/// See [`AUTO_CACHE_BYTES`].
const AUTO_TOKENS: usize = 128;
/// Up to this size of the weights every thread streams all of them for a share of the rows, which
/// needs no hand-overs within a step; above, threads share the weights out.
const SHARDED_BYTES: usize = 4 << 20;

/// A model, packed and ready.
pub struct Engine {
    model: Model,
    pool: rayon::ThreadPool,
    /// Sequences decoded together, at most; 0 to choose.
    max_batch: usize,
    isa: Isa,
    sharded: bool,
}

impl Engine {
    /// Checks every array's name and shape, starts the threads and lets them pack the weights. Weights that are given
    /// away instead of lent are freed as they are packed; weights in files are read as they are packed.
    ///
    /// # Errors
    /// A file cannot be read; an array is missing, has another shape or is another model's; threads cannot be started.
    pub fn new<'a>(
        architecture: &Architecture,
        weights: impl Into<WeightSource<'a>>,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        Self::with_isa(architecture, weights, options, Isa::available()[0])
    }

    fn with_isa<'a>(
        architecture: &Architecture,
        weights: impl Into<WeightSource<'a>>,
        options: EngineOptions,
        isa: Isa,
    ) -> Result<Self, EngineError> {
        let pool = thread_pool(options.threads)?;
        let weights = weights.into();
        let model = pool.install(|| Model::new(architecture, weights, options.dtype))?;
        let sharded = model.bytes() <= SHARDED_BYTES;
        Ok(Self {
            model,
            pool,
            max_batch: options.max_batch,
            isa,
            sharded,
        })
    }

    /// How many sequences of so many new tokens are decoded together, and how many more the last of them may be:
    /// a few that are left alone would stream all weights for themselves.
    fn batch(&self, max_new_tokens: usize) -> (usize, usize) {
        let sequence_bytes =
            |tokens: usize| self.model.pages.shape().page_bytes() * tokens.max(1).div_ceil(LANES);
        if self.max_batch != 0 {
            // Not more than memory can hold: no result depends on it.
            let longest = sequence_bytes(max_new_tokens.min(self.model.architecture.context));
            let most = memory::total() / longest.max(1) as u64;
            let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
            return (self.max_batch.min(most), 0);
        }
        let sequence_bytes = sequence_bytes(max_new_tokens.min(AUTO_TOKENS));
        let batch = (AUTO_CACHE_BYTES / sequence_bytes).clamp(AUTO_BATCH_MIN, AUTO_BATCH);
        (batch, batch / 4)
    }

    /// Logits after each token of one sequence.
    ///
    /// # Shapes
    /// `tokens` `[tokens]`; to `[tokens, vocab_rows]`.
    ///
    /// # Errors
    /// The sequence is empty, too long, or has a token that the vocabulary has not.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        self.check_tokens(0, tokens, self.model.architecture.context)?;
        Ok(self.pool.install(|| {
            let parallel = Parallel::pool(self.isa);
            let mut cache = SequenceCache::empty();
            let mut scratch = Scratch::new();
            let segment = Segment {
                cache: &mut cache,
                tokens,
                wanted: tokens.len(),
            };
            self.model.forward(parallel, &mut [segment], &mut scratch);
            let mut all = Vec::with_capacity(tokens.len() * self.model.architecture.vocab_rows);
            for start in (0..tokens.len()).step_by(LOGIT_ROWS) {
                let range = start..tokens.len().min(start + LOGIT_ROWS);
                let logits = self.model.project(parallel, &mut scratch, range);
                for row in logits.chunks_exact(self.model.logit_stride()) {
                    all.extend_from_slice(&row[..self.model.architecture.vocab_rows]);
                }
            }
            all
        }))
    }

    fn check_tokens(&self, index: usize, tokens: &[u32], limit: usize) -> Result<(), EngineError> {
        check_tokens(index, tokens, limit, self.model.architecture.vocab_rows)
    }

    /// One scratch per share of a step.
    fn scratches(&self) -> Vec<Scratch> {
        let shares = if self.sharded {
            self.pool.current_num_threads()
        } else {
            1
        };
        (0..shares).map(|_| Scratch::new()).collect()
    }

    /// Runs `step` over `items`: in shares, one per thread, where the model is small; else at once, and
    /// the step shares out its own work. Call it inside the pool.
    fn in_shares<T: Send>(
        &self,
        items: &mut [T],
        scratches: &mut [Scratch],
        step: impl Fn(Parallel, &mut [T], &mut Scratch) + Sync,
    ) {
        if let [scratch] = scratches {
            let parallel = if self.sharded {
                Parallel::serial(self.isa)
            } else {
                Parallel::pool(self.isa)
            };
            step(parallel, items, scratch);
        } else {
            let share = items.len().div_ceil(scratches.len()).max(1);
            let shares = items.par_chunks_mut(share).zip(scratches);
            shares.for_each(|(items, scratch)| step(Parallel::serial(self.isa), items, scratch));
        }
    }
}
