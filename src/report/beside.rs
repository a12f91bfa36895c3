//! A question on one screen: what the student answered before, the paths that it wrote all the same, what it answers after training.

use std::fmt::Write as _;

use super::Width;
use super::width::folded;
use crate::text::{Prediction, Question, ReasoningPath, printable};

/// Columns where none are prescribed (ours).
const COLUMNS: usize = 80;
const INDENT: &str = "  ";

/// A question with what was written to it.
pub(crate) struct Beside<'a> {
    pub(crate) question: &'a Question,
    /// The answers before training: the stage, and them.
    pub(crate) before: (&'a str, Vec<Prediction>),
    /// The stage that the paths are of.
    pub(crate) stage: &'a str,
    pub(crate) paths: Vec<&'a ReasoningPath>,
    /// The answers after, by stage.
    pub(crate) after: Vec<(&'a str, Vec<Prediction>)>,
}

impl Beside<'_> {
    /// For a person.
    pub(crate) fn text(&self, width: Width) -> String {
        let mut out = Screen {
            text: String::new(),
            columns: width.columns().unwrap_or(COLUMNS),
        };
        let Question { id, answer, .. } = self.question;
        out.add(
            &format!("question {id}, gold answer {answer}"),
            &self.question.asked(),
        );
        out.answers("before training", &self.before);
        if self.paths.is_empty() {
            out.add(
                "no path",
                &format!("`{}` has none to this question", self.stage),
            );
        }
        for path in &self.paths {
            out.add(
                &format!("path of `{}`{}", self.stage, drawn(path)),
                &path.text,
            );
        }
        for after in &self.after {
            out.answers("after training", after);
        }
        out.text
    }
}

/// How likely the path was: its branch, by rank from 1, and its perplexity.
fn drawn(path: &ReasoningPath) -> String {
    let mut text = String::new();
    if let Some(first) = &path.first_token {
        let _ = write!(
            text,
            ", first token {:?} of rank {}",
            first.text,
            first.rank + 1
        );
    }
    if let Some(perplexity) = path.log_prob.and_then(|sum| sum.perplexity()) {
        let _ = write!(text, ", perplexity {perplexity:.2}");
    }
    text
}

struct Screen {
    text: String,
    columns: usize,
}

impl Screen {
    fn answers(&mut self, when: &str, (stage, predictions): &(&str, Vec<Prediction>)) {
        for prediction in predictions {
            self.add(&format!("answer {when}, of `{stage}`"), &prediction.output);
        }
    }

    /// A title, and below it a text, each folded.
    fn add(&mut self, title: &str, text: &str) {
        for line in folded(&printable(title), self.columns) {
            let _ = writeln!(self.text, "{line}");
        }
        let text = text.trim();
        let text = if text.is_empty() { "(nothing)" } else { text };
        for line in text.lines() {
            for line in folded(&printable(line), self.columns - INDENT.len()) {
                let _ = writeln!(self.text, "{INDENT}{line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    #[test]
    fn all_stands_on_one_screen_in_order() {
        let question = Question {
            id: "q1".to_owned(),
            question: "Do bees make honey?".to_owned(),
            choices: Vec::new(),
            form: AnswerForm::YesNo,
            answer: "yes".to_owned(),
            rationale: None,
        };
        let answer = |output: &str| -> Vec<Prediction> {
            let row = serde_json::json!({"question_id": "q1", "prompt": "p", "output": output});
            vec![serde_json::from_value(row).unwrap()]
        };
        let path = serde_json::json!({
            "question_id": "q1",
            "text": format!(" Bees\u{1b}[31m make honey.{}", " They do.".repeat(20)),
            "first_token": {"id": 7, "rank": 2, "text": " Bees"},
            "log_prob": {"sum": -3.0, "count": 3, "first": -1.0, "min": -1.0},
        });
        let path: ReasoningPath = serde_json::from_value(path).unwrap();
        let mut beside = Beside {
            question: &question,
            before: ("predict-untrained", answer(" No.")),
            stage: "kept",
            paths: vec![&path],
            after: vec![("predict-sert", answer(""))],
        };
        let text = beside.text(Width::of(60));
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
        let begins = "question q1, gold answer yes\n  Do bees make honey?\nanswer before training, of `predict-untrained`\n  No.\npath of `kept`, first token \" Bees\" of rank 3, perplexity\n2.72\n  Bees\\u{1b}[31m make honey.";
        assert!(text.starts_with(begins), "{text}");
        assert!(
            text.ends_with("answer after training, of `predict-sert`\n  (nothing)\n"),
            "{text}"
        );
        beside.paths.clear();
        assert!(
            beside
                .text(Width::FREE)
                .contains("`kept` has none to this question")
        );
    }
}
