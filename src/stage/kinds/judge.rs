//! `judge`: how good paths or answers are by criteria from 0 to 10 (paper, Table I), by a model behind a
//! server or by a student.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::judge_params::{JudgeParams, MEAN};
use super::replies;
use super::rows::row_key;
use super::{judge_server, judge_student};
use crate::artifact::ArtifactKind;
use crate::model::{Arithmetic, Dtype};
use crate::stage::{
    Brings, Carried, Context, Estimate, Output, Outputs, ParamError, Port, ScoreRange, Sizes,
    StageError, StageKind,
};
use crate::teacher::http::Endpoint;
use crate::teacher::judge::{Template, label};
use crate::text::{Prediction, Question, ReasoningPath};

/// Tokens of the prompt around a question and a response, roughly, for estimates.
const PROMPT_TOKENS: u64 = 200;

/// Scores paths or answers by criteria, asked of a server's model or of a student.
pub(crate) struct Judge;

impl StageKind for Judge {
    type Params = JudgeParams;

    const NAME: &'static str = "judge";
    const VERSION: u32 = 2;
    const DOC: &'static str =
        "Score paths or answers by criteria from 0 to 10, by a server's model or a student.";
    const INPUTS: &'static [Port] = &[
        Port::required("paths", ArtifactKind::Paths, "The paths to judge.")
            .optional()
            .passes_on(),
        Port::required(
            "predictions",
            ArtifactKind::Predictions,
            "Answers to judge, instead of paths.",
        )
        .optional(),
        Port::questions("questions", "data.train", "The questions that they answer.").any_split(),
        Port::required(
            "model",
            ArtifactKind::Model,
            "The student that judges, instead of `endpoint`: its expected score over 0 to 10.",
        )
        .optional(),
    ];
    const BRINGS: Option<Brings> = Some(Brings::Judge);
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "The same paths, or the answers as paths, with the scores added.",
    )];

    fn numerics(params: &JudgeParams) -> Option<Arithmetic> {
        params
            .endpoint
            .is_none()
            .then(|| Arithmetic::sample(Dtype::F32))
    }

    fn check(params: &JudgeParams) -> Vec<ParamError> {
        let mut param_errors = match &params.endpoint {
            Some(endpoint) => replies::param_errors(endpoint, params.budget.as_ref()),
            None => Vec::new(),
        };
        if let Some(prompt_error) = params.prompt.as_deref().and_then(Template::prompt_error) {
            param_errors.push(ParamError {
                field: "prompt".to_owned(),
                message: prompt_error,
                hint: Some("write {question} and {response} where they shall stand".to_owned()),
            });
        }
        let labels: BTreeSet<String> = params.criteria.iter().map(|name| label(name)).collect();
        if labels.len() < params.criteria.len() || params.criteria.iter().any(|name| name == MEAN) {
            param_errors.push(ParamError {
                field: "criteria".to_owned(),
                message: format!("a name occurs twice, or is `{MEAN}`, the name of their mean"),
                hint: None,
            });
        }
        param_errors
    }

    fn check_ports(params: &JudgeParams, fed: &[&str]) -> Vec<ParamError> {
        let is_fed = |port: &str| fed.contains(&port);
        let param_error = |field: &str, message: &str, hint: &str| ParamError {
            field: field.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let mut param_errors = Vec::new();
        match (is_fed("paths"), is_fed("predictions")) {
            (false, false) => param_errors.push(param_error(
                "",
                "nothing is named to be judged",
                "add `paths = \"STAGE\"` or `predictions = \"STAGE\"`",
            )),
            (true, true) => param_errors.push(param_error(
                "predictions",
                "a stage judges paths or answers, not both",
                "make two stages",
            )),
            _ => {}
        }
        match (&params.endpoint, is_fed("model")) {
            (None, false) => param_errors.push(param_error(
                "",
                "nobody is named who judges",
                "add `endpoint = { base_url = \"...\", model = \"...\" }`, or `model = \"STAGE\"` for a student",
            )),
            (Some(_), true) => param_errors.push(param_error(
                "model",
                "a server or a student judges, not both",
                "make two stages, each with a `prefix`",
            )),
            _ => {}
        }
        param_errors
    }

    fn sharded_by(params: &JudgeParams) -> &'static [&'static str] {
        // A server is asked from one place, which keeps its pace and its account.
        match params.endpoint {
            None => &["paths", "predictions"],
            Some(_) => &[],
        }
    }

    fn endpoint(params: &JudgeParams) -> Option<Endpoint> {
        params.endpoint.clone()
    }

    fn carried(params: &JudgeParams, input: Carried) -> Carried {
        let names = params.criteria.iter().map(String::as_str).chain([MEAN]);
        names.fold(input, |carried, name| {
            carried.with(format!("{}{name}", params.prefix), ScoreRange::TEN)
        })
    }

    fn retain_key_fields(params: &mut Map<String, Value>) {
        replies::retain_key_fields(params);
    }

    fn estimate(params: &JudgeParams, inputs: &Sizes, context: &Context<'_>) -> Option<Estimate> {
        let size = *inputs.get("paths").or_else(|| inputs.get("predictions"))?;
        let questions = inputs.get("questions")?;
        let prompt = PROMPT_TOKENS + questions.tokens_per_row() + size.tokens_per_row();
        let work = match &params.endpoint {
            None => {
                let shape = inputs.get("model")?.model?;
                judge_student::work(shape, size.rows, prompt, params.criteria.len() as u64)
            }
            Some(endpoint) => {
                let known = judged(context)
                    .and_then(|paths| prompts(params, context, &paths))
                    .ok();
                judge_server::work(endpoint, known.as_deref(), size.rows, prompt, context)
            }
        };
        Some((work, BTreeMap::from([("paths", size)])))
    }

    fn run(params: &JudgeParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let mut paths = context.part(judged(context)?, |path| &path.question_id);
        let prompts = prompts(params, context, &paths)?;
        let ratings = match &params.endpoint {
            Some(endpoint) => judge_server::ratings(params, endpoint, &prompts, context)?,
            None => judge_student::ratings(params, &prompts, context)?,
        };
        for (path, rating) in paths.iter_mut().zip(ratings) {
            params.note(path, &rating);
        }
        params.tell(context, &paths);
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// What comes in, as paths.
fn judged(context: &Context<'_>) -> Result<Vec<ReasoningPath>, StageError> {
    if let Some(paths) = context.optional_input("paths")? {
        return Ok(paths);
    }
    let predictions: Vec<Prediction> = context.input("predictions")?;
    let path = |prediction: Prediction| ReasoningPath {
        stream: row_key(&match prediction.draw {
            0 => json!(["judged/1", prediction.question_id, prediction.output]),
            draw => json!(["judged/1", prediction.question_id, prediction.output, draw]),
        }),
        question_id: prediction.question_id,
        first_token: None,
        draw: prediction.draw,
        hint: prediction.hint,
        text: prediction.output,
        tokens: prediction.tokens,
        log_prob: None,
        end: prediction.end,
        end_token: prediction.end_token,
        answer_text: None,
        scores: BTreeMap::new(),
        unparsed: BTreeSet::new(),
    };
    Ok(predictions.into_iter().map(path).collect())
}

/// The judge's prompt for each path.
fn prompts(
    params: &JudgeParams,
    context: &Context<'_>,
    paths: &[ReasoningPath],
) -> Result<Vec<String>, StageError> {
    let questions: Vec<Question> = context.input("questions")?;
    let by_id: BTreeMap<&str, &Question> = questions.iter().map(|q| (q.id.as_str(), q)).collect();
    let template = Template::new(params.prompt.as_deref(), &params.criteria);
    let prompt = |path: &ReasoningPath| match by_id.get(path.question_id.as_str()) {
        Some(question) => Ok(template.prompt(&question.asked(), &path.text)),
        None => Err(StageError::Invalid(format!(
            "what was written for `{}` belongs to none of the {} questions\nhint: `questions` must be those that were answered, for example `data.test` for predictions on the test split",
            path.question_id,
            questions.len()
        ))),
    };
    paths.iter().map(prompt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> ReasoningPath {
        serde_json::from_value(json!({ "question_id": "q", "text": "t" })).unwrap()
    }

    #[test]
    fn the_mean_needs_every_criterion() {
        let params = JudgeParams {
            prefix: "x-".into(),
            ..JudgeParams::default()
        };
        let mut whole = path();
        params.note(&mut whole, &[8.0, 7.0, 9.0, 6.0].map(Some).to_vec());
        assert!((whole.scores["x-judge"] - 7.5).abs() < 1e-12);
        assert!(whole.unparsed.is_empty());
        // Judged again, it has the new scores only.
        params.note(&mut whole, &vec![Some(8.0), None, Some(9.0), Some(6.0)]);
        let unparsed: Vec<&str> = whole.unparsed.iter().map(String::as_str).collect();
        assert_eq!(unparsed, ["x-judge", "x-relevance"]);
        assert_eq!(whole.scores.len(), 3);
    }

    #[test]
    fn ports_and_parameters_must_go_together() {
        let fields = |params: &JudgeParams, fed: &[&str]| {
            let param_errors = Judge::check_ports(params, fed);
            param_errors
                .into_iter()
                .map(|it| it.message)
                .collect::<Vec<_>>()
                .join("; ")
        };
        let none = JudgeParams::default();
        assert!(fields(&none, &["paths", "model"]).is_empty());
        assert!(fields(&none, &["model"]).contains("nothing is named"));
        assert!(fields(&none, &["paths"]).contains("nobody"));
        assert!(fields(&none, &["paths", "predictions", "model"]).contains("not both"));
        let server: JudgeParams = serde_json::from_value(
            json!({ "endpoint": { "base_url": "http://a/v1", "model": "m" } }),
        )
        .unwrap();
        assert!(fields(&server, &["predictions"]).is_empty());
        assert!(fields(&server, &["paths", "model"]).contains("not both"));
        let twice: JudgeParams =
            serde_json::from_value(json!({ "criteria": ["a_b", "a_b"], "prompt": "{question}" }))
                .unwrap();
        let param_errors = Judge::check(&twice);
        let found: Vec<&str> = param_errors.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(found, ["prompt", "criteria"]);
    }
}
