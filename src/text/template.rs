//! A manifest's own template: a text with places for a question's parts.
//!
//! | place | what stands there |
//! |---|---|
//! | `{question}` | the question's words; with its choices behind them, as the paper shows them, unless the template has `{choices}` |
//! | `{choices}` | `(A) hive, (B) sea`; nothing where a question has none |
//! | `{hint}` | ` (The answer is (B) hive.)` where the stage gives the answer away (`hint = "answer"`), else nothing |
//!
//! A name in two pairs of braces is that name in one pair, as text: `{{answer}}` writes `{answer}`. Other braces stand for
//! themselves, so JSON and LaTeX need no care. No place is filled with the gold answer but that of the declared hint.

use std::ops::Range;

use super::{Hint, Question};

/// The places, by name.
pub const PLACES: [&str; 3] = ["question", "choices", "hint"];

/// A text with places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template(Vec<Piece>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Fixed(String),
    Question,
    Choices,
    Hint,
}

/// What is wrong with a template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// A place of no known name.
    #[error("there is no place `{{{0}}}`")]
    Unknown(String),
    /// Every question would be asked the same.
    #[error("there is no place for {{question}}")]
    NoQuestion,
}

/// A text that is made of a template's and of others' words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// Bytes of it that are not the template's, in their order.
    pub own: Vec<Range<usize>>,
}

impl Filled {
    /// Adds words of the template's.
    pub fn push(&mut self, fixed: &str) {
        self.text += fixed;
    }

    /// Adds words of others.
    pub fn push_own(&mut self, words: &str) {
        let start = self.text.len();
        self.text += words;
        if start < self.text.len() {
            self.own.push(start..self.text.len());
        }
    }

    /// Adds another text.
    pub fn append(&mut self, other: &Self) {
        let start = self.text.len();
        self.text += &other.text;
        let moved = other
            .own
            .iter()
            .map(|own| own.start + start..own.end + start);
        self.own.extend(moved);
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A place is of no known name, or there is none for the question.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut fixed = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            fixed += &rest[..at];
            rest = &rest[at..];
            if let Some((name, behind)) = place(rest, "{{", "}}") {
                fixed.extend(["{", name, "}"]);
                rest = behind;
            } else if let Some((name, behind)) = place(rest, "{", "}") {
                let piece = match name {
                    "question" => Piece::Question,
                    "choices" => Piece::Choices,
                    "hint" => Piece::Hint,
                    _ => return Err(TemplateError::Unknown(name.to_owned())),
                };
                if !fixed.is_empty() {
                    pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
                }
                pieces.push(piece);
                rest = behind;
            } else {
                fixed.push('{');
                rest = &rest[1..];
            }
        }
        fixed += rest;
        if !fixed.is_empty() {
            pieces.push(Piece::Fixed(fixed));
        }
        if !pieces.contains(&Piece::Question) {
            return Err(TemplateError::NoQuestion);
        }
        Ok(Self(pieces))
    }

    /// The text for `question`. A hint for which there is no place is given within the question, as [`Hint::given`] does.
    pub fn fill(&self, question: &Question, hint: Hint) -> Filled {
        let has = |piece: &Piece| self.0.contains(piece);
        let given = if has(&Piece::Hint) { Hint::None } else { hint }.given(question);
        let mut filled = Filled::default();
        for piece in &self.0 {
            match piece {
                Piece::Fixed(text) => filled.push(text),
                Piece::Question if has(&Piece::Choices) => filled.push_own(&given.question),
                Piece::Question => filled.push_own(&given.asked()),
                Piece::Choices => filled.push_own(&given.options()),
                Piece::Hint => filled.push_own(&hint.words(question)),
            }
        }
        filled
    }

    /// What is the same whatever is asked.
    pub fn fixed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Fixed(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// The name that `text` begins with, between `open` and `close`, and what is behind it.
fn place<'t>(text: &'t str, open: &str, close: &str) -> Option<(&'t str, &'t str)> {
    let inside = text.strip_prefix(open)?;
    let end = inside.find(|c: char| !(c.is_ascii_lowercase() || c == '_'))?;
    let behind = inside[end..].strip_prefix(close)?;
    (end > 0).then_some((&inside[..end], behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    fn bees(choices: &[&str]) -> Question {
        Question {
            id: "q".into(),
            question: "Where do bees live?".into(),
            choices: choices.iter().map(|&choice| choice.into()).collect(),
            form: AnswerForm::Choice,
            answer: "B".into(),
            rationale: None,
        }
    }

    fn filled(template: &str, question: &Question, hint: Hint) -> String {
        Template::new(template).unwrap().fill(question, hint).text
    }

    #[test]
    fn places_are_filled_and_other_braces_stay() {
        let choice = bees(&["sea", "hive"]);
        for (template, text) in [
            (
                "Q: {question}\nA:",
                "Q: Where do bees live? Answer choices: (A) sea, (B) hive.\nA:",
            ),
            (
                "{question}\n{choices}",
                "Where do bees live?\n(A) sea, (B) hive",
            ),
            (
                "{question} {{\"a\": {1}} \\boxed{} {{answer}} { {Q}",
                "Where do bees live? Answer choices: (A) sea, (B) hive. {{\"a\": {1}} \\boxed{} {answer} { {Q}",
            ),
        ] {
            assert_eq!(filled(template, &choice, Hint::None), text);
        }
        assert_eq!(
            filled("{question}{choices}|", &bees(&[]), Hint::None),
            "Where do bees live?|"
        );
    }

    #[test]
    fn a_hint_stands_in_its_place_or_in_the_question() {
        let choice = bees(&["sea", "hive"]);
        let with = |template, hint| filled(template, &choice, hint);
        assert_eq!(
            with("{question} {choices}", Hint::Answer),
            "Where do bees live? (A) sea, (B) hive (CORRECT)"
        );
        let placed = "{question} {choices}{hint}!";
        assert_eq!(
            with(placed, Hint::Answer),
            "Where do bees live? (A) sea, (B) hive (The answer is (B) hive.)!"
        );
        assert_eq!(
            with(placed, Hint::None),
            "Where do bees live? (A) sea, (B) hive!"
        );
    }

    #[test]
    fn what_is_not_the_templates_is_known() {
        let template = Template::new("<s>{question}</s>{choices}").unwrap();
        let filled = template.fill(&bees(&[]), Hint::None);
        assert_eq!(filled.own, vec![3..22]);
        assert_eq!(&filled.text[3..22], "Where do bees live?");
        assert_eq!(template.fixed().collect::<Vec<_>>(), ["<s>", "</s>"]);
    }

    #[test]
    fn other_places_are_refused_by_name() {
        let error = |text| Template::new(text).unwrap_err();
        assert_eq!(
            error("{question} {answer}"),
            TemplateError::Unknown("answer".to_owned())
        );
        for text in ["", "Think.", "{{question}}", "{ question }"] {
            assert_eq!(error(text), TemplateError::NoQuestion);
        }
    }
}
