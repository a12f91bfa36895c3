//! `predict-recorded`: a recorded teacher's own answers as predictions, so that a teacher's row of a table
//! is measured like any other (paper, Table II, zero-shot-CoT).
//!
//! In: questions of any split and a recording. Out: for each question the whole output, as Ho et al. 2023
//! asked for it in two steps: the reasoning, `\nTherefore, the answer is`, the answer. Raw, neither stripped
//! nor joined otherwise: so it gives the paper's Len and Rep on `StrategyQA`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::teach::{Teach, check_recording, located};
use crate::artifact::ArtifactKind;
use crate::stage::{
    Brings, Context, Estimate, Output, Outputs, OutsideFile, ParamError, Port, Size, Sizes,
    StageError, StageKind, Work,
};
use crate::teacher::{RecordingName, TeachParams, files, load};
use crate::text::{EndReason, Prediction, Question, ReasoningPath};

/// What asks for the answer after the reasoning (Ho et al. 2023).
const ANSWER_CUE: &str = "\nTherefore, the answer is";

/// Whose recorded answers to take.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecordedParams {
    /// Which recording. Default `strategyqa-text-davinci-002`.
    pub recording: RecordingName,
    /// Recordings `completions` and `jsonl` only: the file, as a path or an https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Recordings `completions` and `jsonl` only: the teacher's name for tables. Default: as the
    /// file says, or the file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
}

impl RecordedParams {
    fn teach(&self) -> TeachParams {
        TeachParams {
            recording: self.recording,
            path: self.path.clone(),
            teacher: self.teacher.clone(),
            ..TeachParams::default()
        }
    }
}

/// Takes a recorded teacher's own answers as predictions.
pub(crate) struct PredictRecorded;

impl StageKind for PredictRecorded {
    type Params = RecordedParams;

    const NAME: &'static str = "predict-recorded";
    const VERSION: u32 = 1;
    const DOC: &'static str =
        "Take a recorded teacher's own answers as predictions; nothing is asked of a model.";
    const INPUTS: &'static [Port] =
        &[Port::questions("questions", "data.test", "The questions that were asked.").any_split()];
    const BRINGS: Option<Brings> = Some(Brings::Teacher);
    const OUTPUTS: &'static [Output] = &[Output::new(
        "predictions",
        ArtifactKind::Predictions,
        "The teacher's raw answers, one for each question.",
    )];
    const LOCATIONS: &'static [&'static str] = TeachParams::PATH_FIELDS;

    fn check(params: &RecordedParams) -> Vec<ParamError> {
        check_recording(&params.teach())
    }

    fn check_outside(params: &RecordedParams, context: &Context<'_>) -> Vec<ParamError> {
        Teach::check_outside(&params.teach(), context)
    }

    fn files(
        params: &RecordedParams,
        context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError> {
        context.outside(&files(&located(&params.teach(), context))?)
    }

    fn estimate(_: &RecordedParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        // About as long as the paper's, 77 words (paper, Table II).
        let rows = inputs.get("questions")?.rows;
        let size = Size {
            rows,
            tokens: rows * 100,
            model: None,
        };
        Some((Work::default(), BTreeMap::from([("predictions", size)])))
    }

    fn run(params: &RecordedParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let params = located(&params.teach(), context);
        let recorded = context.with_source(|source| load(&params, &questions, source))?;
        context.report.info(recorded.summary());
        let predictions = predictions(&questions, &recorded.paths)?;
        let more = recorded.paths.len() - predictions.len();
        if more > 0 {
            context.report.info(format!(
                "the recording has {more} further answers; each question's first is taken"
            ));
        }
        let ends = predictions.iter().map(|each| each.end);
        context
            .report
            .info(EndReason::cut_told(ends, "recorded paths"));
        Ok(Outputs::from([(
            "predictions".to_owned(),
            context.keep(&predictions)?,
        )]))
    }
}

/// Each question's first recorded answer.
///
/// # Errors
/// Questions that the recording lacks, counted: a measure needs an answer to each.
fn predictions(
    questions: &[Question],
    paths: &[ReasoningPath],
) -> Result<Vec<Prediction>, StageError> {
    let mut first: BTreeMap<&str, &ReasoningPath> = BTreeMap::new();
    for path in paths {
        first.entry(&path.question_id).or_insert(path);
    }
    let lacking: Vec<&str> = questions
        .iter()
        .map(|question| question.id.as_str())
        .filter(|id| !first.contains_key(id))
        .collect();
    if let Some(id) = lacking.first() {
        return Err(StageError::Invalid(format!(
            "the recording lacks {} of {} questions (first: `{id}`), and a measure needs an answer to each\nhint: give `questions` of a split that the recording has whole",
            lacking.len(),
            questions.len()
        )));
    }
    let predictions = questions.iter().filter_map(|question| {
        let path = first.get(question.id.as_str())?;
        Some(Prediction {
            question_id: question.id.clone(),
            draw: 0,
            // A recording does not say what its teacher saw.
            prompt: String::new(),
            hint: path.hint,
            output: output(path),
            tokens: Vec::new(),
            end: path.end,
            end_token: path.end_token,
            log_prob: None,
            option_log_probs: Vec::new(),
        })
    });
    Ok(predictions.collect())
}

/// The reasoning, the cue and the answer. A blank goes before an answer that would run into the cue,
/// where a recording keeps its answers without it. Reasoning alone where no answer was recorded.
fn output(path: &ReasoningPath) -> String {
    let Some(answer) = &path.answer_text else {
        return path.text.clone();
    };
    let joined = answer.starts_with(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '.'));
    let gap = if joined || answer.is_empty() { "" } else { " " };
    format!("{}{ANSWER_CUE}{gap}{answer}", path.text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::key::Digest;
    use crate::text::AnswerForm;

    fn path(id: &str, draw: u32, text: &str, answer: Option<&str>) -> ReasoningPath {
        ReasoningPath {
            question_id: id.into(),
            stream: Digest::default(),
            first_token: None,
            draw,
            hint: crate::text::Hint::None,
            text: text.into(),
            tokens: Vec::new(),
            log_prob: None,
            end: EndReason::Length,
            end_token: None,
            answer_text: answer.map(str::to_owned),
            scores: BTreeMap::new(),
            unparsed: BTreeSet::new(),
        }
    }

    fn question(id: &str) -> Question {
        Question {
            id: id.into(),
            question: "Is it?".into(),
            choices: Vec::new(),
            form: AnswerForm::YesNo,
            answer: "yes".into(),
            rationale: None,
        }
    }

    #[test]
    fn the_output_is_raw_and_never_runs_into_the_cue() {
        let whole = |answer| output(&path("q", 0, " It is. ", answer));
        assert_eq!(
            whole(Some(" yes. ")),
            " It is. \nTherefore, the answer is yes. "
        );
        assert_eq!(
            whole(Some(": yes")),
            " It is. \nTherefore, the answer is: yes"
        );
        assert_eq!(whole(Some("(b)")), " It is. \nTherefore, the answer is (b)");
        assert_eq!(whole(None), " It is. ");
    }

    #[test]
    fn each_question_gets_its_first_answer() {
        let paths = [
            path("b", 0, "B", Some(" no")),
            path("a", 0, "A", Some(" yes")),
            path("a", 1, "later", Some(" no")),
        ];
        let found = predictions(&[question("a"), question("b")], &paths).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|each| (each.question_id.as_str(), each.output.as_str(), each.end))
            .collect();
        assert_eq!(
            found,
            [
                ("a", "A\nTherefore, the answer is yes", EndReason::Length),
                ("b", "B\nTherefore, the answer is no", EndReason::Length),
            ]
        );
    }

    #[test]
    fn lacking_questions_are_counted() {
        let questions = ["a", "b", "c"].map(question);
        let error = predictions(&questions, &[path("b", 0, "B", None)]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("lacks 2 of 3 questions (first: `a`)"),
            "{error}"
        );
    }
}
