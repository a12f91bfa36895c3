//! Answers in words: compared as written, and different only where a list says that they exclude each other.

use super::decide::Match;
use super::token::{Token, What};
use super::unit::cased;
use super::value::Value;
use crate::text::fold;

/// Answers of which one excludes the others. What is in none of the lists may be another word for the same.
const EXCLUSIVE: [&str; 9] = [
    "yes no",
    "true false",
    "odd even",
    "increasing decreasing",
    "circle ellipse parabola hyperbola",
    "acute obtuse",
    "rational irrational",
    "monday tuesday wednesday thursday friday saturday sunday",
    "january february march april may june july august september october november december",
];
/// Ways to say that nothing solves an equation.
const NOTHING: [&str; 5] = [
    "no solution",
    "no solutions",
    "empty set",
    "the empty set",
    "none exist",
];
/// Other ways to write an answer.
const SAME: [(&str, &str); 3] = [
    ("dne", "does not exist"),
    ("neither even nor odd", "neither"),
    ("neither odd nor even", "neither"),
];

/// The words that all of `tokens` are, folded and without an article.
pub(super) fn folded(tokens: &[Token]) -> Option<Value> {
    let mut text = String::new();
    let mut says = false;
    for (place, token) in tokens.iter().enumerate() {
        let behind_number = matches!(
            place.checked_sub(1).map(|before| &tokens[before].what),
            Some(What::Number(..))
        );
        let signs;
        let part = match &token.what {
            What::Word(word, _) if behind_number => {
                says = true;
                signs = capitals(word);
                signs.as_str()
            }
            What::Word(word, _) | What::Letter(word) => {
                says = true;
                word.as_str()
            }
            What::Number(_, digits) => digits,
            What::Sign(
                sign @ (',' | '.' | '-' | '\'' | '&' | '/' | ':' | '?' | '!' | '(' | ')'),
            ) => {
                if !matches!(sign, '-' | '\'' | '/' | ':' | '.') {
                    text.push(' ');
                }
                text.push(*sign);
                continue;
            }
            _ => return None,
        };
        let joined = !token.spaced && text.ends_with(['-', '\'', '/', ':', '.']);
        if !joined {
            text.push(' ');
        }
        text.push_str(part);
    }
    let text = fold(&text);
    let text = ["the ", "a ", "an "]
        .iter()
        .find_map(|article| text.strip_prefix(article))
        .unwrap_or(&text);
    if NOTHING.contains(&text) {
        return Some(Value::Empty);
    }
    let same = SAME.iter().find(|(written, _)| *written == text);
    says.then(|| Value::Words(same.map_or(text, |(_, meant)| meant).to_owned()))
}

/// The sign of a unit with its capitals marked, where their case counts: `between 5 MW and 6 MW` is nothing in `mW`.
fn capitals(word: &str) -> String {
    let word = cased(word);
    let marked = word.chars().flat_map(|c| {
        let mark = c.is_uppercase().then_some('\u{2191}');
        std::iter::once(c).chain(mark)
    });
    marked.collect()
}

/// Whether two texts answer the same.
pub(super) fn compare(a: &str, b: &str) -> Match {
    if a == b {
        return Match::Equal;
    }
    let letter = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
    let listed = EXCLUSIVE.iter().any(|list| {
        let has = |word: &str| list.split(' ').any(|each| each == word);
        has(a) && has(b)
    });
    if listed || (letter(a) && letter(b)) {
        Match::Different
    } else {
        Match::Unsure
    }
}

/// Whether `text` is an answer that no number is.
pub(super) fn is_no_number(text: &str) -> bool {
    EXCLUSIVE
        .iter()
        .any(|list| list.split(' ').any(|each| each == text))
        || matches!(text, "undefined" | "does not exist")
}
