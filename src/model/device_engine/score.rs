//! Log-probabilities of given continuations.

use super::super::device::guarded;
use super::super::network::{LOGIT_BATCH, READ_BATCH, TokenLogits, bucket};
use super::super::sampling::Normalizer;
use super::super::score_job::{ScoreJob, check_job};
use super::{DeviceEngine, EngineError, failed};
use crate::event::CancelToken;

/// Jobs whose sequences are sorted by length together: batches are of one bucket, and results go out in order.
const JOBS: usize = 64;

/// One continuation of a job.
struct Asked<'a> {
    job: usize,
    continuation: usize,
    /// The prompt and all but the continuation's last token.
    tokens: Vec<u32>,
    /// The continuation.
    targets: &'a [u32],
}

impl DeviceEngine {
    /// As [`super::super::engine::Engine::score`].
    ///
    /// # Shapes
    /// `done` gets, for each continuation of a job, a log-probability for each of its tokens.
    ///
    /// # Errors
    /// The same; the device fails.
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
                self.architecture.context,
                self.architecture.vocab_rows,
            )?;
        }
        for (chunk, jobs) in jobs.chunks(JOBS).enumerate() {
            let first = chunk * JOBS;
            let mut results: Vec<Vec<Vec<f64>>> = jobs
                .iter()
                .map(|job| vec![Vec::new(); job.continuations.len()])
                .collect();
            let mut asked: Vec<Asked<'_>> = Vec::new();
            for (index, job) in jobs.iter().enumerate() {
                for (place, continuation) in job.continuations.iter().enumerate() {
                    let Some((_, read)) = continuation.split_last() else {
                        continue;
                    };
                    asked.push(Asked {
                        job: index,
                        continuation: place,
                        tokens: [&job.prompt, read].concat(),
                        targets: continuation,
                    });
                }
            }
            let length = |asked: &Asked<'_>| bucket(asked.tokens.len(), self.architecture.context);
            asked.sort_by_key(length);
            for same in asked.chunk_by(|a, b| length(a) == length(b)) {
                for batch in same.chunks(READ_BATCH) {
                    if cancel.is_cancelled() {
                        return Err(EngineError::Cancelled);
                    }
                    let scores =
                        guarded(|| self.score_batch(batch, length(&batch[0]))).map_err(failed)?;
                    for (asked, scores) in batch.iter().zip(scores) {
                        let index = first + asked.job;
                        let scores = scores.ok_or(EngineError::NotFinite { index })?;
                        results[asked.job][asked.continuation] = scores;
                    }
                }
            }
            for (index, result) in (first..).zip(results) {
                done(index, result);
            }
        }
        Ok(())
    }

    /// The scores of up to [`READ_BATCH`] sequences; `None` where logits are not finite.
    ///
    /// # Shapes
    /// A list for each of `batch`, as long as its continuation.
    fn score_batch(&self, batch: &[Asked<'_>], bucket: usize) -> Vec<Option<Vec<f64>>> {
        let texts: Vec<&[u32]> = batch.iter().map(|asked| &*asked.tokens).collect();
        let (hidden, _) = self.network.read(&texts, bucket);
        let rows: Vec<(usize, u32)> = batch
            .iter()
            .enumerate()
            .flat_map(|(place, asked)| {
                let end = place * bucket + asked.tokens.len();
                (end - asked.targets.len()..end).zip(asked.targets.iter().copied())
            })
            .collect();
        let mut scores = Vec::with_capacity(rows.len());
        for rows in rows.chunks(LOGIT_BATCH) {
            let (places, targets): (Vec<usize>, Vec<u32>) = rows.iter().copied().unzip();
            let logits = self.network.logits_of(&hidden, &places);
            let found = logits.of_tokens(&targets);
            scores.extend(found.into_iter().map(|TokenLogits { logit, max, sum }| {
                let normalizer = Normalizer::of_sum(max, f64::from(sum))?;
                Some(normalizer.log_prob(logit))
            }));
        }
        let mut scores = scores.into_iter();
        batch
            .iter()
            .map(|asked| scores.by_ref().take(asked.targets.len()).collect())
            .collect()
    }
}
