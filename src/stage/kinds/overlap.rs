//! `overlap`: what paths or questions share with the questions of a split, in n-grams of words, with a limit that fails
//! the run or drops the rows.
//!
//! In: paths or questions, and the split. Out: the rows within the limit, and a report of all that share something. Test
//! questions only take rows away here, so the rows may be trained on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactKind;
use crate::stage::{
    Carried, Context, Estimate, Output, Outputs, ParamError, Port, Sizes, StageError, StageKind,
    Work,
};
use crate::text::{NgramIndex, OverlapRow, Question, ReasoningPath};

/// Rows that messages name (ours).
const TOLD: usize = 3;

/// What to do with rows that share more than the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnExceed {
    /// Fail: nothing that follows runs.
    #[default]
    Fail,
    /// Leave them out.
    Drop,
    /// Keep them; the report has them.
    Keep,
}

/// Parameters of `overlap`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OverlapParams {
    /// Words of an n-gram. Default 8, as Open-R1 and s1 (Muennighoff et al. 2025) decontaminate; GPT-3 (Brown et al. 2020)
    /// and lm-eval have 13. A text of fewer words is compared as a whole.
    #[schemars(range(min = 1, max = 1000))]
    pub n: usize,
    /// The greatest share of a row's n-grams that may stand in `against`. Default 0: none.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_share: f64,
    /// What to do with rows above it. Default `fail` (ours).
    pub on_exceed: OnExceed,
}

impl Default for OverlapParams {
    fn default() -> Self {
        Self {
            n: 8,
            max_share: 0.0,
            on_exceed: OnExceed::default(),
        }
    }
}

/// Looks for test questions in what is trained on.
pub(crate) struct Overlap;

impl StageKind for Overlap {
    type Params = OverlapParams;

    const NAME: &'static str = "overlap";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Look for n-grams that paths or questions share with a split, and fail or drop rows above a limit.";
    const INPUTS: &'static [Port] = &[
        Port::required("paths", ArtifactKind::Paths, "The paths to look at.").optional(),
        Port::required(
            "questions",
            ArtifactKind::Questions,
            "The questions to look at, instead of paths.",
        )
        .optional(),
        Port::required(
            "against",
            ArtifactKind::Questions,
            "The questions whose words are looked for; a row's own question does not count.",
        )
        .or("data.test")
        .screens(),
    ];
    const OUTPUTS: &'static [Output] = &[
        Output::new(
            "paths",
            ArtifactKind::Paths,
            "The paths that are left; none where questions came in.",
        ),
        Output::new(
            "questions",
            ArtifactKind::Questions,
            "The questions that are left; none where paths came in.",
        ),
        Output::new(
            "overlap",
            ArtifactKind::Overlap,
            "Every row that shares an n-gram, with which question and which words.",
        ),
    ];

    fn check_ports(_: &OverlapParams, fed: &[&str]) -> Vec<ParamError> {
        let (field, message, hint) = match (fed.contains(&"paths"), fed.contains(&"questions")) {
            (false, false) => (
                "",
                "nothing is named to be looked at",
                "add `paths = \"STAGE\"` or `questions = \"data.train\"`",
            ),
            (true, true) => (
                "questions",
                "a stage looks at paths or questions, not both",
                "make two stages",
            ),
            _ => return Vec::new(),
        };
        vec![ParamError {
            field: field.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        }]
    }

    fn carried(_: &OverlapParams, input: Carried) -> Carried {
        input
    }

    fn estimate(_: &OverlapParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let size = |port: &str| inputs.get(port).copied().unwrap_or_default();
        let outputs = BTreeMap::from([("paths", size("paths")), ("questions", size("questions"))]);
        Some((Work::default(), outputs))
    }

    fn run(params: &OverlapParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let against: Vec<Question> = context.input("against")?;
        let paths: Option<Vec<ReasoningPath>> = context.optional_input("paths")?;
        let questions: Option<Vec<Question>> = context.optional_input("questions")?;
        let (mut paths, mut questions) = (paths.unwrap_or_default(), questions.unwrap_or_default());
        let of_paths = paths
            .iter()
            .map(|path| (path.question_id.as_str(), path.text.as_str()));
        let of_questions = questions
            .iter()
            .map(|each| (each.id.as_str(), each.question.as_str()));
        let rows: Vec<(&str, &str)> = of_paths.chain(of_questions).collect();
        let found = overlapping(params.n, &rows, &against);
        let over = |row: &&OverlapRow| row.share > params.max_share;
        let dropped: Vec<usize> = found.iter().filter(over).map(|row| row.row).collect();
        let told = told(params, &found, rows.len());
        match (&told, params.on_exceed) {
            (Some(told), OnExceed::Fail) if !dropped.is_empty() => {
                return Err(StageError::Invalid(format!(
                    "{told}\nhint: `on_exceed = \"drop\"` leaves them out, `\"keep\"` only reports them; `max_share` is how much may be shared"
                )));
            }
            (Some(told), _) => context.report.warn(told),
            (None, _) => context.report.info(format!(
                "none of {} rows shares {} words in a row with the {} questions",
                rows.len(),
                params.n,
                against.len()
            )),
        }
        if params.on_exceed == OnExceed::Drop {
            // One of the two is empty.
            without(&mut paths, &dropped);
            without(&mut questions, &dropped);
        }
        Ok(Outputs::from([
            ("paths".to_owned(), context.keep(&paths)?),
            ("questions".to_owned(), context.keep(&questions)?),
            ("overlap".to_owned(), context.keep(&found)?),
        ]))
    }
}

/// The rows (question and text) that share n-grams with questions other than their own, in order.
fn overlapping(n: usize, rows: &[(&str, &str)], against: &[Question]) -> Vec<OverlapRow> {
    let index = NgramIndex::new(n, against.iter().map(|question| question.question.as_str()));
    let places: BTreeMap<&str, usize> = against
        .iter()
        .zip(0..)
        .map(|(question, place)| (question.id.as_str(), place))
        .collect();
    let row = |(row, (id, text)): (usize, &(&str, &str))| {
        let found = index.shared(text, places.get(id).copied());
        let (place, words) = found.first.clone()?;
        Some(OverlapRow {
            question_id: (*id).to_owned(),
            row,
            share: found.share(),
            shared: found.shared,
            with: against[place].id.clone(),
            words,
        })
    };
    rows.iter().enumerate().filter_map(row).collect()
}

/// What a person is told of the rows that were found, if there are any.
fn told(params: &OverlapParams, found: &[OverlapRow], rows: usize) -> Option<String> {
    let over: Vec<&OverlapRow> = found
        .iter()
        .filter(|row| row.share > params.max_share)
        .collect();
    let shown = if over.is_empty() {
        found.iter().collect()
    } else {
        over.clone()
    };
    if shown.is_empty() {
        return None;
    }
    let some: Vec<String> = shown
        .iter()
        .take(TOLD)
        .map(|row| {
            format!(
                "`{}` with `{}`: \"{}\"",
                row.question_id, row.with, row.words
            )
        })
        .collect();
    let more = if shown.len() > TOLD { ", ..." } else { "" };
    let done = match params.on_exceed {
        OnExceed::Drop if !over.is_empty() => " and are left out",
        _ => "",
    };
    Some(format!(
        "{} of {rows} rows share {} words in a row with questions of `against`, {} of them more than `max_share`{done} ({}{more})",
        found.len(),
        params.n,
        over.len(),
        some.join(", ")
    ))
}

/// Takes the rows at these places, which are in order, out.
fn without<T>(rows: &mut Vec<T>, places: &[usize]) {
    let mut place = 0;
    rows.retain(|_| {
        let keep = places.binary_search(&place).is_err();
        place += 1;
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    fn question(id: &str, words: &str) -> Question {
        Question {
            id: id.into(),
            question: words.into(),
            choices: Vec::new(),
            form: AnswerForm::YesNo,
            answer: "yes".into(),
            rationale: None,
        }
    }

    #[test]
    fn rows_that_share_words_are_found_told_and_left_out() {
        let against = [
            question("t-1", "Can a bee fly over the sea?"),
            question("t-2", "Is tin a metal?"),
        ];
        let rows = [
            ("a", "So can a bee fly over the sea or not."),
            ("b", "No word of it."),
            // Its own question does not count.
            ("t-2", "Is tin a metal? It is."),
            ("c", "is TIN a metal"),
        ];
        let found = overlapping(4, &rows, &against);
        let short: Vec<_> = found
            .iter()
            .map(|row| (row.row, row.shared, row.with.as_str()))
            .collect();
        assert_eq!(short, [(0, 4, "t-1"), (3, 1, "t-2")]);
        assert_eq!(
            (found[0].words.as_str(), found[1].share),
            ("can a bee fly", 1.0)
        );
        let params = |max_share, on_exceed| OverlapParams {
            n: 4,
            max_share,
            on_exceed,
        };
        let text = told(&params(0.7, OnExceed::Drop), &found, 4).unwrap();
        assert!(
            text.starts_with("2 of 4 rows share 4 words in a row with questions of `against`, 1 of them more than `max_share` and are left out (`c` with `t-2`"),
            "{text}"
        );
        assert_eq!(told(&params(0.0, OnExceed::Fail), &[], 4), None);
        let mut left = vec!["a", "b", "t-2", "c"];
        without(&mut left, &[0, 3]);
        assert_eq!(left, ["b", "t-2"]);
    }
}
