//! Free text, compared as written but for what surrounds it.
//!
//! Signs count: `A+` is not `A-`, `C++` not `C#`, `-5` not `5`. Quotes, brackets and a full stop around it do not.

use super::marks::{Mark, Sort};
use super::sentence;
use crate::text::fold;

/// Pairs that may stand around an answer.
const AROUND: [(char, char); 10] = [
    ('"', '"'),
    ('\'', '\''),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
    ('\u{300c}', '\u{300d}'),
    ('\u{300e}', '\u{300f}'),
    ('(', ')'),
    ('[', ']'),
    ('_', '_'),
];

/// How many of them are quotes, one of which may stand alone.
const QUOTES: usize = 7;

/// The form in which equal answers are equal texts; `None` where nothing is left.
pub(super) fn canonical(plain: &str) -> Option<String> {
    let mut text = plain.trim();
    loop {
        let before = text;
        text = text
            .trim_start_matches([':', ',', ';', '\u{2014}', '\u{3001}', '\u{3002}'])
            .trim_start();
        text = text
            .strip_prefix("..")
            .map_or(text, |rest| rest.trim_start_matches('.'));
        // A bullet; before a number it may be a sign.
        let bullet = text.strip_prefix("- ").map(str::trim_start);
        text = bullet
            .filter(|rest| !rest.starts_with(char::is_numeric))
            .unwrap_or(text);
        text = text
            .trim_end_matches(['.', ',', ';', ':', '\u{3001}', '\u{3002}', '\u{964}'])
            .trim_end();
        // `5!` is another number than `5`.
        if let Some(rest) = text.strip_suffix(['!', '?'])
            && !rest.ends_with(char::is_numeric)
        {
            text = rest.trim_end();
        }
        for (open, close) in AROUND {
            let inside = text
                .strip_prefix(open)
                .and_then(|rest| rest.strip_suffix(close));
            if let Some(inside) = inside.filter(|inside| !inside.contains([open, close])) {
                text = inside.trim();
            }
        }
        // Half of a pair: the other half stood behind the sentence's end.
        for (open, close) in &AROUND[..QUOTES] {
            if let Some(rest) = text
                .strip_prefix(*open)
                .filter(|rest| !rest.contains(*close))
            {
                text = rest.trim_start();
            }
            if let Some(rest) = text.strip_suffix(*close)
                && !rest.contains(*open)
                && rest.ends_with(|c: char| c.is_alphanumeric() && !c.is_numeric() || c == '.')
            {
                text = rest.trim_end();
            }
        }
        if text == before {
            break;
        }
    }
    let folded = fold(text);
    let says = folded.chars().any(|c| !c.is_whitespace() && !is_silent(c));
    says.then_some(folded)
}

/// Punctuation that answers nothing by itself.
fn is_silent(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '"'
            | '\''
            | '('
            | ')'
            | '['
            | ']'
            | '_'
            | '-'
            | '\u{2026}'
    ) || matches!(c, '\u{2010}'..='\u{201f}' | '\u{3001}' | '\u{3002}' | '\u{300c}'..='\u{300f}')
}

/// The answer in what a mark leads to. `long` answers are not cut at a sentence's end.
pub(super) fn marked(mark: &Mark<'_>, long: bool) -> Option<String> {
    match mark.sort {
        Sort::Box | Sort::CutBox | Sort::Hashes => canonical(mark.part),
        Sort::Sentence | Sort::Label => unmarked(mark.part, long),
    }
}

/// The answer of a text without marks: its first sentence.
pub(super) fn unmarked(text: &str, long: bool) -> Option<String> {
    if long {
        return canonical(text);
    }
    let (first, behind) = sentence::first(text);
    // `5!`: what ends the sentence may be part of the answer.
    let mark = usize::from(behind.starts_with('!'));
    let start = text.len() - behind.len() - first.len();
    canonical(because(&text[start..start + first.len() + mark]))
}

/// Whether the gold answer `plain` is longer than a sentence, as we cut them, so that answers to its question are too.
pub(super) fn is_long(plain: &str) -> bool {
    let (first, behind) = sentence::first(plain);
    behind.contains(char::is_alphanumeric) || because(first).len() < first.len()
}

/// `text` up to a reason behind the answer: `Paris because it is the capital`.
pub(super) fn because(text: &str) -> &str {
    let Some((answer, reason)) = text.split_once(" because ") else {
        return text;
    };
    let says = answer.contains(char::is_alphanumeric) && reason.split_whitespace().count() > 1;
    if says { answer } else { text }
}
