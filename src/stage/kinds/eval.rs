//! `eval`: measures answers (accuracy, format, length, repetition), each figure with its interval, and what was answered.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::artifact::ArtifactKind;
use crate::metric::{EvalParams, LOG_PROB, Metric, QuestionOutcome, evaluate_scored};
use crate::stage::{
    Context, Estimate, Output, Outputs, ParamError, Port, Size, Sizes, StageError, StageKind, Work,
};
use crate::text::{Excerpt, Prediction, Question, ReasoningPath, excerpt};

/// Measures answers, each figure with its interval.
pub(crate) struct Eval;

impl StageKind for Eval {
    type Params = EvalParams;

    const NAME: &'static str = "eval";
    const VERSION: u32 = 2;
    const DOC: &'static str =
        "Measure answers; reads them only, so a new metric never runs the model.";
    const INPUTS: &'static [Port] = &[
        Port::required(
            "predictions",
            ArtifactKind::Predictions,
            "The answers to measure.",
        ),
        Port::questions(
            "questions",
            "data.test",
            "The questions that were answered.",
        )
        .any_split(),
        Port::required(
            "scored",
            ArtifactKind::Paths,
            "The same answers as paths (`answers-as-paths`) with scores, by which one of several is chosen or weighs in a vote.",
        )
        .optional(),
    ];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "evaluation",
        ArtifactKind::Evaluation,
        "Figures with their intervals, what was answered how often, the outcome for each question, the settings.",
    )];

    const SEEDED: bool = true;
    const READS_ANSWERS: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = &[
        ("bootstrap_interval", "\"percentile\""),
        ("reading", "\"paper\""),
        ("pass_k", "[]"),
        ("best_by", "\"log_prob\""),
        ("vote_by", "\"answer_margin\""),
        ("calibration", "false"),
    ];

    fn check_ports(params: &EvalParams, fed: &[&str]) -> Vec<ParamError> {
        let usual = EvalParams::default();
        let fields = [
            ("best_by", &params.best_by, &usual.best_by),
            ("vote_by", &params.vote_by, &usual.vote_by),
        ];
        let lacking = fields.into_iter().filter(|(_, name, usual)| {
            !fed.contains(&"scored") && name != usual && *name != LOG_PROB
        });
        lacking
            .map(|(field, name, _)| ParamError {
                field: field.to_owned(),
                message: format!("no paths come in that could carry the score `{name}`"),
                hint: Some(
                    "`scored` takes the paths of a stage that scores what `answers-as-paths` makes of the predictions"
                        .to_owned(),
                ),
            })
            .collect()
    }

    /// What is measured beside what every evaluation records is in the key too, so that a metric more makes evaluations
    /// anew, and nothing else.
    fn retain_key_fields(params: &mut Map<String, Value>) {
        let measured: Vec<&str> = Metric::measured()
            .map(|(metric, _)| metric.name())
            .collect();
        if !measured.is_empty() {
            params.insert("measured".to_owned(), measured.into());
        }
    }

    fn estimate(_: &EvalParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let size = Size {
            rows: inputs.get("predictions")?.rows,
            ..Size::default()
        };
        Some((Work::default(), BTreeMap::from([("evaluation", size)])))
    }

    fn run(params: &EvalParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let predictions: Vec<Prediction> = context.input("predictions")?;
        let params = EvalParams {
            seed: context.seed,
            ..params.clone()
        };
        let scored: Option<Vec<ReasoningPath>> = context.optional_input("scored")?;
        let evaluation = evaluate_scored(&questions, &predictions, scored.as_deref(), &params)?;
        if params.calibration && evaluation.brier.is_none() {
            context.report.warn(
                "`calibration` asks for probabilities, and these answers carry none\nhint: `option_log_probs = true` of `predict` scores the legal answers; a free answer has none",
            );
        }
        let read = |each: &QuestionOutcome| each.parsed.is_some();
        if let (false, Some(first)) = (evaluation.outcomes.iter().any(read), predictions.first()) {
            context.report.warn(format!(
                "of none of {} outputs an answer can be read, for example of `{}`: {}\nhint: docs/answers.md tells what `reading = \"{}\"` reads",
                predictions.len(),
                first.question_id,
                excerpt(&first.output, Excerpt::End),
                params.reading.name(),
            ));
        }
        Ok(Outputs::from([(
            "evaluation".to_owned(),
            context.keep(&evaluation)?,
        )]))
    }
}
