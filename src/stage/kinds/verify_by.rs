//! The verifiers that need nobody: by the answer as it is read, by its value, by a pattern.

use regex::Regex;

use super::finding::Finding;
use super::verify_params::{ANSWER_GROUP, Verifier, VerifyParams};
use crate::stage::StageError;
use crate::text::{
    AnswerForm, Question, Reading, ReasoningPath, is_gold, parse_answer, parse_reply,
};
use crate::verify::math::{self, Match};

/// Why `math` leaves a path undecided.
const UNSURE: &str = "`math` is not sure whether the answer is the gold one";

/// What the verifier of `params` finds of each path, each with its question.
///
/// # Errors
/// A question whose answers have no value to compare.
pub(super) fn find(
    params: &VerifyParams,
    paths: &[(&Question, &ReasoningPath)],
) -> Result<Vec<Finding>, StageError> {
    let pattern = params.pattern.as_deref().map(Regex::new).transpose();
    let pattern = pattern.map_err(|error| StageError::Invalid(error.to_string()))?;
    let check = |(question, path): &(&Question, &ReasoningPath)| {
        Ok(match (&pattern, params.verifier) {
            (Some(pattern), _) => by_pattern(question, path, pattern, params.reading),
            (None, Verifier::Math) => {
                has_value(question)?;
                by_value(question, path)
            }
            (None, _) => by_answer(question, path, params.reading),
        })
    };
    paths.iter().map(check).collect()
}

fn has_value(question: &Question) -> Result<(), StageError> {
    let form = match question.form {
        AnswerForm::YesNo => "yes or no",
        AnswerForm::Choice => "one of its choices",
        AnswerForm::Number | AnswerForm::Text => return Ok(()),
    };
    Err(StageError::Invalid(format!(
        "the answer to `{}` is {form}, which has no value to compare\nhint: set `verifier = \"answer\"`",
        question.id
    )))
}

/// As `eval` reads it. A teacher's path answers with what it was asked for after its reasoning.
fn by_answer(question: &Question, path: &ReasoningPath, reading: Reading) -> Finding {
    let parsed = match &path.answer_text {
        Some(answer) => parse_reply(question, answer, reading),
        None => parse_answer(question, &path.text, reading),
    };
    of_answer(question, parsed.answer())
}

/// As values: the answer that the text declares, or a teacher's reply to being asked for it.
fn by_value(question: &Question, path: &ReasoningPath) -> Finding {
    let given = match &path.answer_text {
        Some(reply) => math::extract(reply).or_else(|| Some(reply.trim().to_owned())),
        None => math::extract(&path.text),
    };
    match given.filter(|given| !given.is_empty()) {
        None => Finding::NoAnswer,
        Some(given) => match math::equal(&question.answer, &given) {
            Match::Equal => Finding::Right,
            Match::Different => Finding::Wrong,
            Match::Unsure => Finding::Unknown(UNSURE.to_owned()),
        },
    }
}

/// By the pattern alone, or by what its group captured.
fn by_pattern(
    question: &Question,
    path: &ReasoningPath,
    pattern: &Regex,
    reading: Reading,
) -> Finding {
    let mut names = pattern.capture_names().flatten();
    if !names.any(|name| name == ANSWER_GROUP) {
        return Finding::of(pattern.is_match(&path.text));
    }
    let captured = pattern.captures_iter(&path.text);
    let captured = captured.filter_map(|found| found.name(ANSWER_GROUP)).last();
    let answer = captured.and_then(|it| parse_reply(question, it.as_str(), reading).answer());
    of_answer(question, answer)
}

fn of_answer(question: &Question, answer: Option<String>) -> Finding {
    answer.map_or(Finding::NoAnswer, |answer| {
        Finding::of(is_gold(question, &answer))
    })
}

#[cfg(test)]
mod tests {
    use super::Finding::{NoAnswer, Right, Wrong};
    use super::*;
    use serde_json::json;

    fn question(form: AnswerForm, answer: &str) -> Question {
        Question {
            id: "q".into(),
            question: "How many?".into(),
            choices: vec![],
            form,
            answer: answer.into(),
            rationale: None,
        }
    }

    fn path(text: &str) -> ReasoningPath {
        serde_json::from_value(json!({ "question_id": "q", "text": text })).unwrap()
    }

    fn found(params: &VerifyParams, question: &Question, texts: &[&str]) -> Vec<Finding> {
        let paths: Vec<ReasoningPath> = texts.iter().map(|text| path(text)).collect();
        let paths: Vec<_> = paths.iter().map(|path| (question, path)).collect();
        find(params, &paths).unwrap()
    }

    fn with(verifier: Verifier, pattern: Option<&str>) -> VerifyParams {
        VerifyParams {
            verifier,
            pattern: pattern.map(str::to_owned),
            ..VerifyParams::default()
        }
    }

    #[test]
    fn an_answer_is_read_as_eval_reads_it() {
        let number = question(AnswerForm::Number, "12");
        let params = with(Verifier::Answer, None);
        let texts = [
            "3 * 4 = 12. The answer is 12.",
            "The answer is 11.",
            "I do not know.",
        ];
        assert_eq!(found(&params, &number, &texts), [Right, Wrong, NoAnswer]);
        // What a teacher was asked for counts, not what stands in its reasoning.
        let mut asked = path("The answer is 11.");
        asked.answer_text = Some(" 12".into());
        assert_eq!(find(&params, &[(&number, &asked)]).unwrap(), [Right]);
    }

    #[test]
    fn values_are_compared_and_what_is_not_sure_is_not_wrong() {
        let half = question(AnswerForm::Text, "\\frac{1}{2}");
        let params = with(Verifier::Math, None);
        let texts = [
            "So it is \\boxed{0.5}.",
            "\\boxed{\\frac{2}{1}}",
            "\\boxed{\\foo{3}}",
            "Hm.",
        ];
        let unsure = Finding::Unknown(UNSURE.into());
        assert_eq!(
            found(&params, &half, &texts),
            [Right, Wrong, unsure, NoAnswer]
        );
        let yes = question(AnswerForm::YesNo, "yes");
        let refused = find(&params, &[(&yes, &path("Yes."))]).unwrap_err();
        assert!(refused.to_string().contains("no value"), "{refused}");
    }

    #[test]
    fn a_pattern_decides_or_captures() {
        let number = question(AnswerForm::Number, "12");
        let texts = ["It is 12", "It is 11, no, it is 12", "It is 11, it is 13"];
        let plain = with(Verifier::Regex, Some("^It is 12"));
        assert_eq!(found(&plain, &number, &texts), [Right, Wrong, Wrong]);
        let named = with(Verifier::Regex, Some(r"it is (?<answer>\d+)"));
        assert_eq!(found(&named, &number, &texts), [NoAnswer, Right, Wrong]);
    }
}
