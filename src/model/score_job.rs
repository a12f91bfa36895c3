//! What is asked of an engine that reads: how likely are these continuations?

use super::EngineError;
use super::engine_error::check_tokens;

/// A prompt and what might follow it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScoreJob {
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// The tokens of each continuation.
    pub continuations: Vec<Vec<u32>>,
}

/// Whether a job can be read.
pub(super) fn check_job(
    index: usize,
    job: &ScoreJob,
    limit: usize,
    vocab_size: usize,
) -> Result<(), EngineError> {
    check_tokens(index, &job.prompt, limit, vocab_size)?;
    for continuation in job.continuations.iter().filter(|c| !c.is_empty()) {
        check_tokens(index, continuation, usize::MAX, vocab_size)?;
        let tokens = job.prompt.len() + continuation.len();
        if tokens > limit {
            return Err(EngineError::TooLong {
                index,
                tokens,
                limit,
            });
        }
    }
    Ok(())
}
