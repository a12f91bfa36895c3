//! `eval`: measures answers (accuracy, format, length, repetition), each figure with its interval, and what was answered.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::artifact::ArtifactKind;
use crate::metric::{EvalParams, LOG_PROB, Metric, QuestionOutcome, evaluate_scored};
use crate::stage::{
    Context, Estimate, Output, Outputs, ParamError, Port, Size, Sizes, StageError, StageKind, Work,
};
use crate::text::{Excerpt, Hint, Prediction, Question, ReasoningPath, excerpt};

/// Measures answers, each figure with its interval.
pub(crate) struct Eval;

impl StageKind for Eval {
    type Params = EvalParams;

    const NAME: &'static str = "eval";
    const VERSION: u32 = 3;
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
        refuse_hinted(&predictions)?;
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

/// A row whose prompt gave the answer away, as rows that were made elsewhere may be, measures nothing.
fn refuse_hinted(predictions: &[Prediction]) -> Result<(), StageError> {
    let hinted = |prediction: &&Prediction| prediction.hint != Hint::None;
    let Some(first) = predictions.iter().find(hinted) else {
        return Ok(());
    };
    Err(StageError::Invalid(format!(
        "{} of {} answers were written with the gold answer in the prompt (first: `{}`): they measure nothing\nhint: hinted rows may be trained on; measure what `predict` answers",
        predictions.iter().filter(hinted).count(),
        predictions.len(),
        first.question_id
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::EndReason;

    #[test]
    fn rows_that_were_told_the_answer_are_not_measured() {
        let answer = |hint| Prediction {
            question_id: "q-7".into(),
            draw: 0,
            prompt: String::new(),
            hint,
            output: " yes".into(),
            tokens: Vec::new(),
            end: EndReason::EndOfText,
            end_token: None,
            log_prob: None,
            option_log_probs: Vec::new(),
        };
        refuse_hinted(&[answer(Hint::None)]).unwrap();
        let rows = [answer(Hint::None), answer(Hint::Answer)];
        let error = refuse_hinted(&rows).unwrap_err().to_string();
        assert!(
            error.contains("1 of 2 answers") && error.contains("q-7"),
            "{error}"
        );
    }
}
