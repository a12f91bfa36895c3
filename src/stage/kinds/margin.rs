//! How sure a student is of a path's own answer: the answer's margin (CoT-decoding, Wang & Zhou 2024), by which answers are
//! chosen or weigh in a vote.
//!
//! The text is that of `gold`, with the path's own answer in place of the gold one: `{prompt} {r} So the answer is {a}`.
//! Where an answer begins and ends in a free text is not known to the token; behind the cue it is. At each token of ` {a}`
//! the probability of the second most probable token is taken from that of the most probable one, whichever the answer has
//! there; the margin is the mean.

use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::rows::{cached_rows, in_parts, row_key};
use super::score::Scoring;
use super::student_engine::once;
use super::training_text::written_answer;
use crate::artifact::ModelFolder;
use crate::key::Digest;
use crate::model::sampling::{
    FirstTokenCandidate, Generated, GenerationRequest, SamplingParams, SequenceSpec,
};
use crate::stage::StageError;
use crate::text::{ReasoningPath, parse_answer, parse_reply};

impl Scoring<'_> {
    /// The margin of each path's answer; `None` where none is read.
    pub(super) fn margins(
        &self,
        paths: &[ReasoningPath],
        folder: &ModelFolder,
    ) -> Result<Vec<Option<f64>>, StageError> {
        let mut answers: Vec<Vec<String>> = Vec::with_capacity(paths.len());
        for path in paths {
            let question = &self.questions[self.place(path)?];
            let reading = self.params.reading;
            let said = match &path.answer_text {
                Some(reply) => parse_reply(question, reply, reading),
                None => parse_answer(question, &path.text, reading),
            };
            let said = said.answer().into_iter();
            let written = |said: String| {
                format!(" {}", written_answer(question, &said, folder.choice_answer))
            };
            answers.push(said.map(written).collect());
        }
        let texts: Vec<&[String]> = answers.iter().map(Vec::as_slice).collect();
        let jobs = self.after_cue(paths, &texts, 0)?;
        // All that stands before each token of each answer.
        let mut before = Vec::new();
        let mut of_path = Vec::with_capacity(jobs.len());
        for job in jobs {
            let answer = job.continuations.into_iter().next().unwrap_or_default();
            of_path.push(answer.len());
            for place in 0..answer.len() {
                before.push([&job.prompt, &answer[..place]].concat());
            }
        }
        let mut margins = self.token_margins(&before, folder)?.into_iter();
        let mean = |tokens: usize| {
            let sum: f64 = margins.by_ref().take(tokens).sum();
            (tokens > 0).then(|| sum / tokens as f64)
        };
        Ok(of_path.into_iter().map(mean).collect())
    }

    /// How far the most probable token after each of `texts` lies above the second: from their rows, or computed and kept.
    fn token_margins(
        &self,
        texts: &[Vec<u32>],
        folder: &ModelFolder,
    ) -> Result<Vec<f64>, StageError> {
        let (context, student) = (self.context, self.student);
        let base = row_key(&json!({
            "row": "margin/1",
            "model": folder.identity(),
            "numerics": self.params.engine().computes(context),
        }));
        let keys: Vec<Digest> = texts
            .iter()
            .map(|text| row_key(&json!([base, text])))
            .collect();
        // Nothing is drawn.
        let params = SamplingParams {
            max_new_tokens: 1,
            ..SamplingParams::default()
        };
        let mut engine = None;
        cached_rows(context, "margins", &keys, |missing, rows| {
            let engine = once(&mut engine, student, self.params.engine(), context)?;
            let mut done = texts.len() - missing.len();
            in_parts(&keys, missing, rows, |part, rows| {
                let prompts: Vec<Vec<u32>> =
                    part.iter().map(|&place| texts[place].clone()).collect();
                let rows = Mutex::new(rows);
                let mut expand = |index: usize, best: &[FirstTokenCandidate]| {
                    done += 1;
                    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                    rows.push(keys[part[index]], &margin(best));
                    context.progress("answer tokens", done, texts.len(), 0, String::new());
                    if rows.failed() {
                        context.cancel.cancel();
                    }
                    Vec::<SequenceSpec>::new()
                };
                let mut finished = |_: Generated| {};
                let request = GenerationRequest {
                    prompts: &prompts,
                    candidates: 2,
                    params: &params,
                    vocabulary: &student.vocabulary,
                    stop: None,
                };
                engine.generate(request, &mut expand, &mut finished, context)
            })
        })
    }
}

/// The probability of the best candidate less that of the second, where there is one.
fn margin(best: &[FirstTokenCandidate]) -> f64 {
    let probability = |place: usize| best.get(place).map_or(0.0, |each| each.log_prob.exp());
    probability(0) - probability(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_taken_from_the_first() {
        let of = |probabilities: &[f64]| {
            let best: Vec<FirstTokenCandidate> = (0..)
                .zip(probabilities)
                .map(|(rank, p)| FirstTokenCandidate {
                    token: rank + 7,
                    rank,
                    log_prob: p.ln(),
                })
                .collect();
            margin(&best)
        };
        assert!((of(&[0.7, 0.2]) - 0.5).abs() < 1e-12);
        assert!(of(&[0.4, 0.4]).abs() < 1e-12);
        assert!((of(&[1.0]) - 1.0).abs() < 1e-12);
    }
}
