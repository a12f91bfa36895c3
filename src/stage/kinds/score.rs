//! `score`: adds to paths what needs a model to judge them; here, perplexity under another student.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::prompts::{LongPrompts, prompts};
use super::rows::{cached_rows, numerics, row_key};
use crate::artifact::ArtifactKind;
use crate::key::Digest;
use crate::model::Student;
use crate::model::engine::ScoreJob;
use crate::stage::{Context, Estimate, Output, Outputs, Port, Sizes, StageError, StageKind, Work};
use crate::text::{PromptForm, Question, ReasoningPath};

/// Parameters of `score`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScoreParams {
    /// The name under which the score is kept, and by which `filter` asks for it. Default
    /// `perplexity`.
    pub name: String,
    /// What to measure. Default `perplexity`.
    pub measure: Measure,
    /// The prompt before the path. Default `answer`: `Question: {q} Answer:`.
    pub prompt: PromptForm,
    /// What to do with a prompt that does not fit. Default `truncate-left` (ours).
    pub long_prompts: LongPrompts,
}

/// What `score` measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// `exp` of the mean negative log-likelihood of the path's tokens, as the scoring student
    /// tokenises them, given the prompt.
    #[default]
    Perplexity,
}

impl Default for ScoreParams {
    fn default() -> Self {
        Self {
            name: "perplexity".to_owned(),
            measure: Measure::Perplexity,
            prompt: PromptForm::Answer,
            long_prompts: LongPrompts::TruncateLeft,
        }
    }
}

/// See the module.
pub(crate) struct Score;

impl StageKind for Score {
    type Params = ScoreParams;

    const NAME: &'static str = "score";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Score paths with a student: perplexity under it.";
    const INPUTS: &'static [Port] = &[
        Port::required("paths", ArtifactKind::Paths, "The paths to score."),
        Port::model("The student that scores."),
        Port::questions(
            "questions",
            "data.train",
            "The questions that the paths answer.",
        ),
    ];
    const OUTPUTS: &'static [Output] = &[Output {
        name: "paths",
        kind: ArtifactKind::Paths,
        doc: "The same paths with the score added.",
    }];
    const RUNS_MODEL: bool = true;

    fn estimate(_: &ScoreParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (paths, shape) = (*inputs.get("paths")?, inputs.get("model")?.model?);
        let work = Work::inference(
            shape,
            paths.tokens,
            0,
            paths.rows.min(128),
            paths.tokens_per_row(),
        );
        Some((work, BTreeMap::from([("paths", paths)])))
    }

    fn run(params: &ScoreParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let mut paths: Vec<ReasoningPath> = context.input("paths")?;
        let questions: Vec<Question> = context.input("questions")?;
        let (folder, student) = context.student("model")?;
        let base = row_key(&json!({
            "row": "score/1",
            "model": folder.identity(),
            "numerics": numerics(),
        }));
        let jobs = jobs(params, context, &student, &questions, &paths)?;
        let keys: Vec<Digest> = jobs
            .iter()
            .map(|job| row_key(&json!([base, job.prompt, job.continuations])))
            .collect();
        let scored: Vec<Vec<f64>> = cached_rows(context, "scores", &keys, |missing, rows| {
            let wanted: Vec<ScoreJob> = missing.iter().map(|&place| jobs[place].clone()).collect();
            let mut done = paths.len() - wanted.len();
            let mut finished = |index: usize, scores: Vec<Vec<f64>>| {
                done += 1;
                rows.push(keys[missing[index]], &scores.concat());
                context.progress("paths", done, paths.len(), 0, String::new());
                if rows.failed() {
                    context.cancel.cancel();
                }
            };
            let engine = context.engine(&student)?;
            Ok(engine.score(&wanted, &mut finished, context.cancel)?)
        })?;
        for (path, log_probs) in paths.iter_mut().zip(scored) {
            if !log_probs.is_empty() {
                let mean = log_probs.iter().sum::<f64>() / log_probs.len() as f64;
                path.scores.insert(params.name.clone(), (-mean).exp());
            }
        }
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// What to score for each path. A text longer than the context loses its end, and that is told.
fn jobs(
    params: &ScoreParams,
    context: &Context<'_>,
    student: &Student,
    questions: &[Question],
    paths: &[ReasoningPath],
) -> Result<Vec<ScoreJob>, StageError> {
    let by_id: BTreeMap<&str, usize> = questions
        .iter()
        .zip(0..)
        .map(|(q, place)| (q.id.as_str(), place))
        .collect();
    let longest = paths
        .iter()
        .map(|path| path.tokens.len())
        .max()
        .unwrap_or_default();
    let room = u32::try_from(longest).unwrap_or(u32::MAX).max(1);
    let prompts = prompts(
        context,
        student,
        questions,
        params.prompt,
        room,
        params.long_prompts,
    )?;
    let mut cut = 0;
    let mut jobs = Vec::with_capacity(paths.len());
    for path in paths {
        let place = *by_id.get(path.question_id.as_str()).ok_or_else(|| {
            StageError::Invalid(format!(
                "the path of `{}` belongs to none of the {} questions\nhint: `paths` and `questions` must come from one dataset and one split",
                path.question_id,
                questions.len()
            ))
        })?;
        let prompt = prompts[place].tokens.clone();
        let mut tokens = student.tokenizer.encode(&path.text)?;
        let room = student.config.n_positions.saturating_sub(prompt.len());
        cut += usize::from(tokens.len() > room);
        tokens.truncate(room);
        jobs.push(ScoreJob {
            prompt,
            continuations: vec![tokens],
        });
    }
    if cut > 0 {
        context.report.warn(format!(
            "{cut} of {} paths are longer than the scoring student's context and were scored without their end",
            paths.len()
        ));
    }
    Ok(jobs)
}
