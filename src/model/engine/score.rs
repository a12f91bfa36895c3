//! Log-probabilities of given continuations, by the same kernels that draw them.

use super::cache::SequenceCache;
use super::forward::{LOGIT_ROWS, Scratch};
use super::parallel::Parallel;
use super::pass::Segment;
use super::{Engine, EngineError};
use crate::event::CancelToken;
use crate::model::sampling::{LogitsRow, Normalizer, Read};
use crate::model::score_job::{ScoreJob, check_job};

/// Tokens that are read together, about.
const SCORE_ROWS: usize = 256;

/// A continuation being scored.
struct Continuation<'a> {
    index: usize,
    tokens: &'a [u32],
    cache: SequenceCache,
    log_probs: Vec<f64>,
}

impl Engine {
    /// Log-probabilities in nats, under the untempered full softmax, of every token of each
    /// continuation after its prompt. `done` gets each job's index and results, in order; it runs on a
    /// thread of the engine's pool.
    ///
    /// # Shapes
    /// A job's results are a list for each continuation, as long as that.
    ///
    /// # Errors
    /// A prompt is empty; a prompt with its continuation is longer than the context; a token is not in
    /// the vocabulary; the logits are not finite; somebody cancelled.
    pub fn score(
        &self,
        jobs: &[ScoreJob],
        done: &mut (dyn FnMut(usize, Vec<Vec<f64>>) + Send),
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        for (index, job) in jobs.iter().enumerate() {
            check_job(
                index,
                job,
                self.model.architecture.context,
                self.model.architecture.vocab_rows,
            )?;
        }
        self.pool.install(|| {
            let mut scratches = self.scratches();
            let mut start = 0;
            while start < jobs.len() {
                let mut end = start;
                let mut rows = 0;
                while end < jobs.len() && (rows == 0 || rows + jobs[end].prompt.len() <= SCORE_ROWS)
                {
                    rows += jobs[end].prompt.len();
                    end += 1;
                }
                if cancel.is_cancelled() {
                    return Err(EngineError::Cancelled);
                }
                let group = &jobs[start..end];
                let prompts: Vec<&[u32]> = group.iter().map(|job| job.prompt.as_slice()).collect();
                let read = self.prefill(&prompts, &mut scratches);
                let mut continuations = Vec::new();
                for (index, (job, Read { row, prefix })) in (start..).zip(group.iter().zip(read)) {
                    let first = row.normalizer().ok_or(EngineError::NotFinite { index })?;
                    continuations.extend(job.continuations.iter().map(|tokens| {
                        Continuation {
                            index,
                            tokens,
                            cache: prefix.clone(),
                            log_probs: tokens
                                .first()
                                .map(|&token| first.log_prob(row.logit(token)))
                                .into_iter()
                                .collect(),
                        }
                    }));
                }
                for group in groups(&mut continuations) {
                    if cancel.is_cancelled() {
                        return Err(EngineError::Cancelled);
                    }
                    self.in_shares(group, &mut scratches, |parallel, group, scratch| {
                        self.score_group(parallel, group, scratch);
                    });
                    // Positions are not needed any more.
                    for continuation in group {
                        continuation.cache = SequenceCache::empty();
                        if continuation.log_probs.iter().any(|p| p.is_nan()) {
                            let index = continuation.index;
                            return Err(EngineError::NotFinite { index });
                        }
                    }
                }
                let mut scored = continuations.into_iter().map(|c| c.log_probs);
                for (index, job) in (start..).zip(group) {
                    let count = job.continuations.len();
                    done(index, scored.by_ref().take(count).collect());
                }
                start = end;
            }
            Ok(())
        })
    }

    fn score_group(
        &self,
        parallel: Parallel,
        group: &mut [Continuation<'_>],
        scratch: &mut Scratch,
    ) {
        // The last token's successor is not asked for, so it need not be read.
        let rows = |tokens: &[u32]| tokens.len().saturating_sub(1);
        let mut segments: Vec<Segment<'_>> = group
            .iter_mut()
            .map(|continuation| Segment {
                cache: &mut continuation.cache,
                tokens: &continuation.tokens[..rows(continuation.tokens)],
                wanted: rows(continuation.tokens),
            })
            .collect();
        self.model.forward(parallel, &mut segments, scratch);
        let mut targets: Vec<(u32, f64)> = group
            .iter()
            .flat_map(|continuation| continuation.tokens.iter().skip(1))
            .map(|&token| (token, f64::NAN))
            .collect();
        for start in (0..targets.len()).step_by(LOGIT_ROWS) {
            let end = targets.len().min(start + LOGIT_ROWS);
            let logits = self.model.project(parallel, scratch, start..end);
            let stride = self.model.logit_stride();
            parallel.for_each_mut(&mut targets[start..end], 1, |i, (token, log_prob)| {
                let row = &logits[i * stride..][..self.model.architecture.vocab_rows];
                if let Some(normalizer) = Normalizer::of(self.isa, row) {
                    *log_prob = normalizer.log_prob(row[*token as usize]);
                }
            });
        }
        let mut scored = targets.into_iter().map(|(_, log_prob)| log_prob);
        for continuation in group {
            let count = rows(continuation.tokens);
            continuation.log_probs.extend(scored.by_ref().take(count));
        }
    }
}

/// Cuts `continuations` into groups of about [`SCORE_ROWS`] tokens.
fn groups<'g, 'a>(
    continuations: &'g mut [Continuation<'a>],
) -> impl Iterator<Item = &'g mut [Continuation<'a>]> {
    let mut left = continuations;
    std::iter::from_fn(move || {
        let (mut rows, mut group) = (0, 0);
        while group < left.len() && (group == 0 || rows + left[group].tokens.len() <= SCORE_ROWS) {
            rows += left[group].tokens.len();
            group += 1;
        }
        let (now, later) = std::mem::take(&mut left).split_at_mut(group);
        left = later;
        (!now.is_empty()).then_some(now)
    })
}
