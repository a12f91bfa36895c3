//! Which questions are asked again: those of which no path so far is correct.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::StageError;
use crate::text::{Question, ReasoningPath};

/// The score by which a path is known to be correct: 1, or 0 where it is wrong.
pub(super) const CORRECT: &str = "correct";

/// Which questions are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asked {
    /// Every question of the port `questions`.
    #[default]
    All,
    /// Those of which no path at the port `paths` is correct; one that has none is unsolved too.
    Unsolved,
}

/// The questions of which none of `paths` is correct, in order.
///
/// # Errors
/// A path that nobody has verified.
pub(super) fn unsolved(
    questions: Vec<Question>,
    paths: &[ReasoningPath],
) -> Result<Vec<Question>, StageError> {
    let mut solved = BTreeSet::new();
    for path in paths {
        match path.scores.get(CORRECT) {
            Some(score) => {
                if *score >= 1.0 {
                    solved.insert(path.question_id.as_str());
                }
            }
            // An answer that could not be read solves nothing.
            None if path.unparsed.contains(CORRECT) => {}
            None => {
                return Err(StageError::Invalid(format!(
                    "a path of `{}` has no score `{CORRECT}`, and so it is not known whether the question is solved\nhint: put a stage that makes the score before it",
                    path.question_id
                )));
            }
        }
    }
    let mut questions = questions;
    questions.retain(|question| !solved.contains(question.id.as_str()));
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::key::Digest;
    use crate::text::{AnswerForm, EndReason, Hint};

    fn path(question: &str, correct: Option<f64>) -> ReasoningPath {
        ReasoningPath {
            question_id: question.into(),
            stream: Digest::default(),
            first_token: None,
            draw: 0,
            hint: Hint::None,
            text: String::new(),
            tokens: Vec::new(),
            log_prob: None,
            end: EndReason::EndOfText,
            end_token: None,
            answer_text: None,
            scores: correct
                .map(|score| (CORRECT.to_owned(), score))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            unparsed: BTreeSet::new(),
        }
    }

    #[test]
    fn one_correct_path_solves_a_question() {
        let questions: Vec<Question> = ["a", "b", "c", "d"]
            .map(|id| Question {
                id: id.into(),
                question: String::new(),
                choices: Vec::new(),
                form: AnswerForm::YesNo,
                answer: "yes".into(),
                rationale: None,
            })
            .into();
        let unread = ReasoningPath {
            unparsed: BTreeSet::from([CORRECT.to_owned()]),
            ..path("c", None)
        };
        let paths = [
            path("a", Some(0.0)),
            path("a", Some(1.0)),
            path("b", Some(0.0)),
            unread,
        ];
        let left = unsolved(questions.clone(), &paths).unwrap();
        let ids: Vec<&str> = left.iter().map(|question| question.id.as_str()).collect();
        // Of `d` there is no path.
        assert_eq!(ids, ["b", "c", "d"]);
        let error = unsolved(questions, &[path("b", None)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a path of `b` has no score `correct`"),
            "{error}"
        );
    }
}
