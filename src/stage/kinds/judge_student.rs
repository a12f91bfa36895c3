//! A student as judge: it writes no score, but says how probable each is, and its expectation counts.
//!
//! After the prompt and `- Score for Coherence:` the student's log-probabilities of ` [0]` to ` [10]`
//! are taken, made to sum to one, and the expected score is theirs. The closing bracket tells 1 from
//! the beginning of 10. Each criterion is asked for by itself. Ours; the paper's judge writes.

use serde_json::json;

use super::engine_params::Engine;
use super::judge_params::{JudgeParams, Rating};
use super::prompts::{LongPrompts, cut_left};
use super::rows::{cached_rows, in_parts, row_key};
use super::student_engine::once;
use crate::key::Digest;
use crate::model::ScoreJob;
use crate::model::{Arithmetic, Dtype, Student, WeightFiles};
use crate::stage::{Context, Shape, StageError, Work};
use crate::teacher::judge::label;

/// The best score (paper, Table I).
const BEST: u32 = 10;
/// Tokens that all scores take, roughly, for estimates.
const SCORE_TOKENS: u64 = 40;

/// The work of judging so many paths by so many criteria.
pub(super) fn work(shape: Shape, paths: u64, prompt_tokens: u64, criteria: u64) -> Work {
    let jobs = paths * criteria;
    let read = jobs * (prompt_tokens + SCORE_TOKENS);
    let length = prompt_tokens + SCORE_TOKENS;
    Work::inference(shape, Dtype::F32, read, 0, jobs.min(128), length)
}

/// The student's rating of each prompt.
pub(super) fn ratings(
    params: &JudgeParams,
    prompts: &[String],
    context: &Context<'_>,
) -> Result<Vec<Rating>, StageError> {
    let (folder, student) = context.opened_student("model")?;
    let jobs = jobs(params, prompts, &student, context)?;
    let base = json!({ "row": "judge/1", "model": folder.identity(), "numerics": context.numerics(Arithmetic::sample(Dtype::F32)) });
    let base = row_key(&base);
    let keys: Vec<Digest> = jobs
        .iter()
        .map(|job| row_key(&json!([base, job.prompt, job.continuations])))
        .collect();
    let mut engine = None;
    let log_probs: Vec<Vec<f64>> = cached_rows(context, "scores", &keys, |missing, rows| {
        let engine = once(&mut engine, &student, Engine::builtin(Dtype::F32), context)?;
        let mut done = jobs.len() - missing.len();
        in_parts(&keys, missing, rows, |part, rows| {
            let wanted: Vec<ScoreJob> = part.iter().map(|&place| jobs[place].clone()).collect();
            let mut finished = |index: usize, scores: Vec<Vec<f64>>| {
                done += 1;
                let sums: Vec<f64> = scores.iter().map(|tokens| tokens.iter().sum()).collect();
                rows.push(keys[part[index]], &sums);
                context.progress("scores", done, jobs.len(), 0, String::new());
                if rows.failed() {
                    context.cancel.cancel();
                }
            };
            engine.score(&wanted, &mut finished, context)
        })
    })?;
    Ok(log_probs
        .chunks(params.criteria.len())
        .map(|rating| rating.iter().map(|scores| expected(scores)).collect())
        .collect())
}

/// One job for each prompt and criterion.
fn jobs(
    params: &JudgeParams,
    prompts: &[String],
    student: &Student<WeightFiles>,
    context: &Context<'_>,
) -> Result<Vec<ScoreJob>, StageError> {
    let scores: Vec<String> = (0..=BEST).map(|score| format!(" [{score}]")).collect();
    let mut long = 0;
    let mut jobs = Vec::with_capacity(prompts.len() * params.criteria.len());
    for prompt in prompts {
        for criterion in &params.criteria {
            let text = format!("{prompt}\n- Score for {}:", label(criterion));
            let (mut prompt, [], continuations) =
                (student.tokenizer).encode_choices(&text.as_str().into(), [], &scores)?;
            let longest = continuations.iter().map(Vec::len).max().unwrap_or_default();
            let room = student.architecture.context.saturating_sub(longest).max(1);
            long += usize::from(cut_left(&mut prompt, room, student) > 0);
            jobs.push(ScoreJob {
                prompt,
                continuations,
            });
        }
    }
    if long > 0 {
        let what = format!(
            "{long} of {} prompts do not fit the student's context of {}",
            jobs.len(),
            student.architecture.context
        );
        match params.long_prompts {
            LongPrompts::Refuse => {
                return Err(StageError::Invalid(format!(
                    "{what}\nhint: give a shorter `prompt`, or set `long_prompts = \"truncate-left\"`"
                )));
            }
            LongPrompts::TruncateLeft => {
                context
                    .report
                    .warn(format!("{what}; they were cut on the left"));
            }
        }
    }
    Ok(jobs)
}

/// The expected score under the log-probabilities of 0 to 10, made to sum to one.
fn expected(log_probs: &[f64]) -> Option<f64> {
    let most = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = log_probs.iter().map(|log_prob| (log_prob - most).exp());
    let total: f64 = weights.clone().sum();
    let sum: f64 = (0..=BEST)
        .zip(weights)
        .map(|(score, weight)| f64::from(score) * weight)
        .sum();
    (total.is_finite() && total > 0.0).then(|| sum / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expectation_of_what_is_certain_even_or_far_away() {
        let mut log_probs = vec![f64::NEG_INFINITY; 11];
        log_probs[7] = -700.0;
        assert_eq!(expected(&log_probs), Some(7.0));
        log_probs[8] = -700.0;
        assert_eq!(expected(&log_probs), Some(7.5));
        assert_eq!(expected(&[-3.0; 11]), Some(5.0));
        assert_eq!(expected(&[f64::NEG_INFINITY; 11]), None);
        // Three to one for 10 over 2.
        let mut log_probs = vec![f64::NEG_INFINITY; 11];
        (log_probs[2], log_probs[10]) = (0.25_f64.ln(), 0.75_f64.ln());
        assert!((expected(&log_probs).unwrap() - 8.0).abs() < 1e-12);
    }
}
