//! Reading an answer out of an output.
//!
//! In: a [`Question`] and what was written for it. Out: the answer in the canonical form of
//! [`Question::answer`], or why there is none. Source: the yes/no rule reproduces the paper's 53.45
//! on the published teacher completions (Ho et al. 2023); the other rules are ours, the paper is
//! silent.
//!
//! **The answer part** of an output is what follows its *last* answer sentence (`So the answer is`,
//! `Therefore, the answer is`, `The correct answer is`, ...), since a path may weigh an answer
//! before it concludes; all of the output where it has no such sentence, since a student trained on
//! labels alone writes ` Yes` and no more. Only the text before a question is asked again counts:
//! what follows answers another question.

use std::sync::LazyLock;

use regex::Regex;

use super::choice::{self, Found};
use super::{AnswerForm, Question, asked_again};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:\b(?:and\s+so|so|then|therefore|thus|hence)\b,?\s+)?(?:\bi\s+(?:think|believe)\s+(?:that\s+)?)?\bthe\s+(?:(?:correct|final|best|right)\s+)?answer\s+is\b:?",
    )
    .expect("a fixed, tested pattern")
});

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[-−]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?").expect("a fixed, tested pattern")
});

/// What was read out of an output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// One legal answer, in canonical form: `yes`, `no`, a label, a number, or normalised text.
    Answer(String),
    /// No legal answer.
    Unparsed,
    /// More than one, and no rule decides between them.
    Ambiguous,
}

impl Parsed {
    /// The answer, if there is one.
    pub fn answer(self) -> Option<String> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Unparsed | Self::Ambiguous => None,
        }
    }
}

/// The answer that `output` gives to `question`.
///
/// | form | rule, on the answer part |
/// |---|---|
/// | yes/no | lower-case; `" ' . : ,` and white space part words; the first word that is `yes` or `no` |
/// | choice | the rules of `choice`: label at the head, label in brackets, an option's text, label before punctuation; the first that finds exactly one |
/// | number | the first number after the answer sentence, or the last of the output where there is none; no thousands separators |
/// | text | up to the sentence's end; lower-case, blanks joined, punctuation at both ends cut |
pub fn parse_answer(question: &Question, output: &str) -> Parsed {
    let read = before_asked_again(output);
    let after = SENTENCE.find_iter(read).last().map(|m| &read[m.end()..]);
    let found = match question.form {
        AnswerForm::YesNo => yes_no_words(after.unwrap_or(read)).next(),
        AnswerForm::Choice => match choice::read(question, after.unwrap_or(read)) {
            Found::One(label) => Some(label),
            Found::Several => return Parsed::Ambiguous,
            Found::None => None,
        },
        AnswerForm::Number => match after {
            Some(after) => numbers(after).next(),
            None => numbers(read).last(),
        },
        AnswerForm::Text => text_answer(after.unwrap_or(read)),
    };
    found.map_or(Parsed::Unparsed, Parsed::Answer)
}

/// How many answers `output` gives: its answer sentences, or, where it has none, the answers that
/// its form finds in all of it. What follows an imitated question counts too.
pub fn answers_given(question: &Question, output: &str) -> usize {
    let sentences = SENTENCE.find_iter(output).count();
    if sentences > 0 {
        return sentences;
    }
    match question.form {
        AnswerForm::YesNo => yes_no_words(output).count(),
        AnswerForm::Choice => choice::count(question, output),
        AnswerForm::Number => numbers(output).count(),
        AnswerForm::Text => usize::from(text_answer(output).is_some()),
    }
}

/// What a path concludes by itself, if it does: the answer after its last answer sentence, or the
/// answer it opens with. Stricter than [`parse_answer`]: the `no` of "there is no sea" in the middle
/// of a path is no conclusion.
pub fn conclusion(question: &Question, text: &str) -> Option<String> {
    let read = before_asked_again(text);
    if SENTENCE.is_match(read) {
        return parse_answer(question, read).answer();
    }
    match question.form {
        AnswerForm::YesNo => {
            let first = yes_no_split(read).find(|word| !word.is_empty())?;
            matches!(first.as_str(), "yes" | "no").then_some(first)
        }
        AnswerForm::Choice => choice::head(question, read),
        AnswerForm::Number | AnswerForm::Text => None,
    }
}

/// The reasoning `r` of a training text: a path up to its first answer sentence, blanks at both ends
/// and a comma left hanging cut. Empty where the path opens with its answer sentence.
pub fn reasoning_part(text: &str) -> &str {
    let end = SENTENCE.find(text).map_or(text.len(), |m| m.start());
    text[..end]
        .trim_start()
        .trim_end_matches(|c: char| c.is_whitespace() || c == ',' || c == ';')
}

/// Whether `answer`, in canonical form, is the question's gold answer.
pub fn is_gold(question: &Question, answer: &str) -> bool {
    match question.form {
        AnswerForm::YesNo | AnswerForm::Choice => question.answer == answer,
        AnswerForm::Number => numbers(&question.answer).next().as_deref() == Some(answer),
        AnswerForm::Text => text_answer(&question.answer).as_deref() == Some(answer),
    }
}

fn before_asked_again(text: &str) -> &str {
    &text[..asked_again(text).unwrap_or(text.len())]
}

fn yes_no_split(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '.' | ':' | ','))
        .map(str::to_lowercase)
}

fn yes_no_words(text: &str) -> impl Iterator<Item = String> {
    yes_no_split(text).filter(|word| matches!(word.as_str(), "yes" | "no"))
}

/// The numbers of a text in canonical form: `1,200` as `1200`, `$18.00` as `18`, `.50` cut to `.5`.
fn numbers(text: &str) -> impl Iterator<Item = String> {
    NUMBER.find_iter(text).map(|found| {
        // The hyphen of `16-3` is no sign.
        let before = text[..found.start()].chars().next_back();
        let signed = found.as_str().starts_with(['-', '−'])
            && !before.is_some_and(|c| c.is_alphanumeric() || c == ')');
        let digits: String = found
            .as_str()
            .chars()
            .filter(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let digits = match digits.split_once('.') {
            Some((whole, part)) => match part.trim_end_matches('0') {
                "" => whole.to_owned(),
                part => format!("{whole}.{part}"),
            },
            None => digits,
        };
        let digits = digits.trim_start_matches('0');
        let digits = match digits.chars().next() {
            None | Some('.') => format!("0{digits}"),
            Some(_) => digits.to_owned(),
        };
        if signed && digits != "0" {
            format!("-{digits}")
        } else {
            digits
        }
    })
}

fn text_answer(part: &str) -> Option<String> {
    let line = part.trim_start().lines().next().unwrap_or("");
    let sentence = line.split(". ").next().unwrap_or(line).to_lowercase();
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let joined = words.join(" ");
    let text = joined.trim_matches(|c: char| !c.is_alphanumeric());
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
