//! The paper's reading of yes/no and multiple-choice answers: `reading = "paper"`.
//!
//! Source: the yes/no rule reproduces the paper's 53.45 on the published teacher completions (Ho et al. 2023); the rule
//! for choices is ours and was there when the paper's manifests were first run. Neither changes any more.
//!
//! **The answer part** of an output is what follows its *last* answer sentence (`So the answer is`, `Therefore, the
//! answer is`, `The correct answer is`, ...), since a path may weigh an answer before it concludes; all of the output
//! where it has no such sentence, since a student trained on labels alone writes ` Yes` and no more.

mod choice;

use std::sync::LazyLock;

use regex::Regex;

use super::Parsed;
use crate::text::{AnswerForm, Question};
use choice::NamedOptions;

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:\b(?:and\s+so|so|then|therefore|thus|hence)\b,?\s+)?(?:\bi\s+(?:think|believe)\s+(?:that\s+)?)?\bthe\s+(?:(?:correct|final|best|right)\s+)?answer\s+is\b:?",
    )
    .expect("a fixed, tested pattern")
});

/// The answer of `text`, which asks no question again, to a yes/no or multiple-choice question: of yes/no the first
/// such word of the answer part, in lower case, where `" ' . : ,` and white space part words; of choices what `choice`
/// finds.
pub(super) fn parse(question: &Question, text: &str) -> Parsed {
    let after = SENTENCE.find_iter(text).last().map(|m| &text[m.end()..]);
    let part = after.unwrap_or(text);
    if question.form != AnswerForm::Choice {
        return yes_no_words(part)
            .next()
            .map_or(Parsed::Unparsed, Parsed::Answer);
    }
    match choice::read(question, part) {
        NamedOptions::One(label) => Parsed::Answer(label),
        NamedOptions::Several => Parsed::Ambiguous,
        NamedOptions::None => Parsed::Unparsed,
    }
}

/// How many answers `output` gives: its answer sentences, or, where it has none, the answers that its form finds in all
/// of it.
pub(super) fn count(question: &Question, output: &str) -> usize {
    let sentences = SENTENCE.find_iter(output).count();
    if sentences > 0 {
        return sentences;
    }
    match question.form {
        AnswerForm::Choice => choice::count(question, output),
        _ => yes_no_words(output).count(),
    }
}

/// What `text` concludes by itself: the answer after its last answer sentence, or the answer it opens with.
pub(super) fn conclusion(question: &Question, text: &str) -> Parsed {
    if SENTENCE.is_match(text) {
        return parse(question, text);
    }
    let opens = match question.form {
        AnswerForm::Choice => choice::head(question, text),
        _ => yes_no_split(text)
            .find(|word| !word.is_empty())
            .filter(|first| matches!(first.as_str(), "yes" | "no")),
    };
    opens.map_or(Parsed::Unparsed, Parsed::Answer)
}

/// Where the first answer sentence of `text` begins.
pub(super) fn answer_start(text: &str) -> Option<usize> {
    SENTENCE.find(text).map(|m| m.start())
}

fn yes_no_split(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '.' | ':' | ','))
        .map(str::to_lowercase)
}

fn yes_no_words(text: &str) -> impl Iterator<Item = String> {
    yes_no_split(text).filter(|word| matches!(word.as_str(), "yes" | "no"))
}
