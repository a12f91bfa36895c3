//! `eval`: measures answers (accuracy, format, length, repetition), each figure with its interval, and what was answered.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::artifact::ArtifactKind;
use crate::metric::{EvalParams, Metric, QuestionOutcome, evaluate};
use crate::stage::{
    Context, Estimate, Output, Outputs, Port, Size, Sizes, StageError, StageKind, Work,
};
use crate::text::{Excerpt, Prediction, Question, excerpt};

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
    ];

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
        let evaluation = evaluate(&questions, &predictions, &params)?;
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
