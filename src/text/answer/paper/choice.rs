//! Which option an answer part names, by label or by text. Ours; the paper is silent.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::text::Question;

static BRACKETED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\(([A-Za-z])\)").expect("a fixed, tested pattern"));

/// A label at the head: `(B)`, `b)`, `B.`, `B:`, `B,` or `B` alone.
static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^[\s"':*]*(?:answer:\s*)?(?:\(([A-Za-z])\)|([A-Za-z])\)|([A-Z])(?:[.:,](?:\s|$)|\s*$)|([a-z])\.?\s*$)"#)
        .expect("a fixed, tested pattern")
});

/// A second label joined on: `(A) or (B)`, `A, C`, `A/B`.
static JOINED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:,|/|&|or|and)*\s*(?:\([A-Za-z]\)|[A-Z](?:[).:,]|\s*$))")
        .expect("a fixed, tested pattern")
});

static PUNCTUATED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b([A-Z])(?:[.:,)]|\s*$)").expect("a fixed, tested pattern"));

/// How many options were named.
pub(super) enum NamedOptions {
    One(String),
    Several,
    None,
}

/// The option that `part` names. The rules in order; the first that finds exactly one label of the
/// question's wins, and where none does but one found several, the part is ambiguous:
///
/// 1. head: the part opens with a label, and no second label is joined on (`(A) or (B)`), or with
///    a label and that option's text (`B library`);
/// 2. brackets: labels in round brackets anywhere, in either case;
/// 3. text: options' texts as whole words, case ignored, the longest where one contains another;
/// 4. punctuation: capital labels before `. : , )` or at the end (`I choose B.`).
pub(super) fn read(question: &Question, part: &str) -> NamedOptions {
    if let Some(label) = head(question, part) {
        return NamedOptions::One(label);
    }
    let mut several = false;
    for labels in [
        bracketed(question, part),
        by_text(question, part),
        punctuated(question, part),
    ] {
        let distinct: BTreeSet<String> = labels.into_iter().collect();
        several |= distinct.len() > 1;
        if distinct.len() == 1 {
            return distinct
                .into_iter()
                .next()
                .map_or(NamedOptions::None, NamedOptions::One);
        }
    }
    if several {
        NamedOptions::Several
    } else {
        NamedOptions::None
    }
}

/// How often `text` names an option: by bracketed label, else by text, else by punctuated label.
pub(super) fn count(question: &Question, text: &str) -> usize {
    if head(question, text).is_some() {
        return bracketed(question, text).len().max(1);
    }
    [
        bracketed(question, text).len(),
        by_text(question, text).len(),
        punctuated(question, text).len(),
    ]
    .into_iter()
    .find(|&n| n > 0)
    .unwrap_or(0)
}

/// The label that `part` opens with (rule 1).
pub(super) fn head(question: &Question, part: &str) -> Option<String> {
    let found = HEAD.captures(part);
    if let Some(label) = found.as_ref().and_then(|groups| {
        let letter = groups.iter().skip(1).flatten().next()?;
        legal(question, letter.as_str())
    }) {
        let end = found.map_or(0, |groups| groups.get_match().end());
        return (!JOINED.is_match(&part[end..])).then_some(label);
    }
    // `B library`: a bare letter could be the article, so the option's own text has to follow.
    let part = part.trim_start();
    let (letter, rest) = part.split_once(' ')?;
    let label = legal(question, letter)?;
    let text = question.choice(&label)?;
    let rest = rest.trim_start().to_lowercase();
    rest.strip_prefix(&text.to_lowercase())
        .is_some_and(|after| !after.starts_with(char::is_alphanumeric))
        .then_some(label)
}

fn legal(question: &Question, letter: &str) -> Option<String> {
    let label = letter.to_uppercase();
    question.choice(&label).map(|_| label)
}

fn bracketed(question: &Question, part: &str) -> Vec<String> {
    BRACKETED
        .captures_iter(part)
        .filter_map(|groups| legal(question, &groups[1]))
        .collect()
}

/// `E.g.` and `U.S.A.` hold no labels: a blank or quote has to stand before, no word after.
fn punctuated(question: &Question, part: &str) -> Vec<String> {
    PUNCTUATED
        .captures_iter(part)
        .filter(|groups| {
            let all = groups.get_match();
            let before = part[..all.start()].chars().next_back();
            before.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\''))
                && !part[all.end()..].starts_with(char::is_alphanumeric)
        })
        .filter_map(|groups| legal(question, &groups[1]))
        .collect()
}

/// Labels of the options whose texts stand in `part`, in order, longest first at each place.
fn by_text(question: &Question, part: &str) -> Vec<String> {
    let part = part.to_lowercase();
    let mut options: Vec<(String, char)> = question
        .choices
        .iter()
        .map(|text| text.trim().to_lowercase())
        .zip('A'..)
        .filter(|(text, _)| !text.is_empty())
        .collect();
    options.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    let mut labels = Vec::new();
    let mut at = 0;
    while at < part.len() {
        let rest = &part[at..];
        let starts_word = !part[..at]
            .chars()
            .next_back()
            .is_some_and(char::is_alphanumeric);
        let hit = options.iter().find(|(text, _)| {
            starts_word
                && rest
                    .strip_prefix(text.as_str())
                    .is_some_and(|after| !after.starts_with(char::is_alphanumeric))
        });
        if let Some((text, label)) = hit {
            labels.push(label.to_string());
            at += text.len();
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    labels
}
