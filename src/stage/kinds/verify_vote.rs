//! The verifier that knows no gold answer: what most of a question's paths conclude is taken for right.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::text::{Question, Reading, ReasoningPath, parse_answer, parse_reply};

/// What the vote finds of each path. An answer that is not read does not vote; of equals the one that comes first wins, as
/// in `maj@n`.
pub(super) fn find(paths: &[(&Question, &ReasoningPath)], reading: Reading) -> Vec<Finding> {
    let answers: Vec<Option<String>> = (paths.iter())
        .map(|(question, path)| match &path.answer_text {
            Some(answer) => parse_reply(question, answer, reading).answer(),
            None => parse_answer(question, &path.text, reading).answer(),
        })
        .collect();
    let winners = winners(
        paths
            .iter()
            .zip(&answers)
            .filter_map(|((question, _), answer)| Some((question.id.as_str(), answer.as_deref()?))),
    );
    let finding = |((question, _), answer): (&(&Question, &ReasoningPath), &Option<String>)| {
        answer.as_ref().map_or(Finding::NoAnswer, |answer| {
            Finding::of(winners.get(question.id.as_str()) == Some(&answer.as_str()))
        })
    };
    paths.iter().zip(&answers).map(finding).collect()
}

/// What each question's votes elect.
fn winners<'v>(votes: impl Iterator<Item = (&'v str, &'v str)>) -> BTreeMap<&'v str, &'v str> {
    let mut by_question: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for (question, answer) in votes {
        let counts = by_question.entry(question).or_default();
        match counts.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, count)) => *count += 1,
            None => counts.push((answer, 1)),
        }
    }
    let elected = by_question.into_iter().filter_map(|(question, counts)| {
        let most = counts.iter().map(|(_, count)| *count).max()?;
        let first = counts.into_iter().find(|(_, count)| *count == most)?;
        Some((question, first.0))
    });
    elected.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Finding::{NoAnswer, Right, Wrong};
    use super::*;
    use crate::text::AnswerForm;

    #[test]
    fn most_of_a_questions_paths_are_right_whatever_is_gold() {
        let question = |id: &str| Question {
            id: id.into(),
            question: "How many?".into(),
            choices: vec![],
            form: AnswerForm::Number,
            answer: "7".into(),
            rationale: None,
        };
        let (first, second, third) = (question("a"), question("b"), question("c"));
        let path = |text: &str| -> ReasoningPath {
            serde_json::from_value(json!({ "question_id": "q", "text": text })).unwrap()
        };
        let said = [
            (&first, "The answer is 7.", Wrong),
            (&first, "The answer is 12.", Right),
            (&first, "I do not know.", NoAnswer),
            (&first, "The answer is 12.0.", Right),
            // Of equals the first.
            (&second, "The answer is 2.", Right),
            (&second, "The answer is 1.", Wrong),
            (&third, "Hm.", NoAnswer),
        ];
        let paths: Vec<ReasoningPath> = said.iter().map(|(_, text, _)| path(text)).collect();
        let paths: Vec<_> = said
            .iter()
            .zip(&paths)
            .map(|(said, path)| (said.0, path))
            .collect();
        let found = find(&paths, Reading::default());
        let wanted: Vec<Finding> = said.iter().map(|(.., finding)| finding.clone()).collect();
        assert_eq!(found, wanted);
    }
}
