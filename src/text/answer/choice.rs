//! One of a question's options, out of plain text.
//!
//! An option that is named where an answer stands is the answer, unless another is joined to it (`(A) or (B)`), its
//! label and its text are of different options, or it is denied or left open.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::marks::Mark;
use super::mention::{By, Mention, clash, mentions};
use super::{Parsed, sentence, stance};
use crate::text::Question;
use crate::text::word_list::are_listed;

/// Words that may stand between a mark and its option.
const LEADS: &str = "the a an is it its it's that would be will should must most likely probably definitely clearly \
    certainly surely option choice answer letter i think believe say choose pick select go with for \
    so therefore thus hence then and well my final correct best right in to of on at from by \
    obviously actually simply labelled labeled";

/// Between two options that are told together: `(A) or (B)`, `A, C`, and between a label and another option's text.
static JOINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)^[\s,/&()\[\]"'*_:=\u{2013}\u{2014}-]*(?:(?:or|and|maybe|perhaps|possibly|also|even|either|then|else|both|but|probably)\b[\s,(]*)*(?:(?:the|a|an|option|choice|letter)\s+)*["'(]*$"#,
    )
    .expect("a fixed, tested pattern")
});
/// Behind an answer that opens a text: its end, or its reason.
static SETTLED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)^["'*_)\]\s]*(?:$|\n|[.!;,](?:\s|$)|[\u{2013}\u{2014}]|\s-|because\b|since\b|as\b)"#,
    )
    .expect("a fixed, tested pattern")
});

/// The answer in what a mark leads to; `None` where it has none.
pub(super) fn marked(question: &Question, mark: &Mark<'_>) -> Option<Parsed> {
    let (scope, behind) = sentence::first(mark.part);
    let found = mentions(question, scope);
    let first = found.first()?;
    if is_lead(&scope[..first.start]) {
        if behind.starts_with('?') && stance_ends(scope, first) {
            return Some(Parsed::Unparsed);
        }
        return Some(at_head(scope, &found));
    }
    Some(of_mentions(scope, &found, |_| true).unwrap_or(Parsed::Unparsed))
}

/// The answer of a text without marks: the label that it opens with, or the one option that it names.
pub(super) fn unmarked(question: &Question, text: &str) -> Parsed {
    let found = mentions(question, text);
    if let Some(label) = head(question, text, &found) {
        return label;
    }
    let mut several = false;
    for by in [By::Bracket, By::Text, By::Letter] {
        match of_mentions(text, &found, |each| each.by == by) {
            Some(Parsed::Ambiguous) => several = true,
            Some(found) => return found,
            None => {}
        }
    }
    if several {
        Parsed::Ambiguous
    } else {
        Parsed::Unparsed
    }
}

/// The label that a text without marks opens with, as a conclusion.
pub(super) fn opening(question: &Question, text: &str) -> Parsed {
    let found = mentions(question, text);
    head(question, text, &found).unwrap_or(Parsed::Unparsed)
}

/// How often a text without marks names an option: by brackets, else by texts, else by letters.
pub(super) fn count(question: &Question, text: &str) -> usize {
    let found = mentions(question, text);
    let by = |by: By| found.iter().filter(|each| each.by == by).count();
    let opens =
        head(question, text, &found).is_some_and(|found| matches!(found, Parsed::Answer(_)));
    if opens {
        return by(By::Bracket).max(1);
    }
    [by(By::Bracket), by(By::Text), by(By::Letter)]
        .into_iter()
        .find(|&n| n > 0)
        .unwrap_or(0)
}

/// What a text says that opens with a label; `None` where it opens with none, or goes on to weigh others.
fn head(question: &Question, text: &str, found: &[Mention]) -> Option<Parsed> {
    let first = found.first()?;
    let opens = !text[..first.start].contains(char::is_alphanumeric);
    if !opens {
        return None;
    }
    let rest = &text[first.end..];
    if first.by == By::Text {
        // All of the text, or of its first sentence.
        let alone = sentence::first(text).0.len() <= first.end
            && found.iter().all(|each| each.option == first.option);
        return alone
            .then(|| label(first))
            .filter(|_| question.choices.len() > 1);
    }
    let others = found
        .iter()
        .any(|each| each.option != first.option && each.by != By::Text);
    let settled = SETTLED.is_match(rest);
    (settled || !others).then(|| at_head(text, found))
}

/// What the option answers that stands at the head.
fn at_head(text: &str, found: &[Mention]) -> Parsed {
    let first = &found[0];
    let behind = &text[first.end..];
    let same_place = |each: &&Mention| each.start < first.end;
    let next = found[1..].iter().find(|each| each.option != first.option);
    if let Some(next) = next
        && (same_place(&next)
            || JOINT.is_match(&text[first.end..next.start])
            || clash(text, first, next))
    {
        return Parsed::Ambiguous;
    }
    let asked = behind
        .trim_start_matches(['"', '\'', ')', ' '])
        .starts_with('?');
    if asked || stance::is_denied(behind) || stance::is_conditional(behind) {
        return Parsed::Unparsed;
    }
    label(first)
}

/// The one option among the mentions that `wanted` takes; `None` where there is none.
fn of_mentions(text: &str, found: &[Mention], wanted: impl Fn(&Mention) -> bool) -> Option<Parsed> {
    let taken: Vec<&Mention> = found.iter().filter(|each| wanted(each)).collect();
    let distinct: BTreeSet<usize> = taken.iter().map(|each| each.option).collect();
    match distinct.len() {
        0 => None,
        1 if found
            .windows(2)
            .any(|two| clash(text, &two[0], &two[1]) && two.iter().any(&wanted)) =>
        {
            Some(Parsed::Ambiguous)
        }
        1 if are_asserted(text, found, &taken) => Some(label(taken[0])),
        1 => Some(Parsed::Unparsed),
        _ => Some(Parsed::Ambiguous),
    }
}

/// Whether the sentences around mentions say that it is so; of each sentence the first mention is looked at.
fn are_asserted(text: &str, found: &[Mention], mentions: &[&Mention]) -> bool {
    let ends = ['.', '!', '?', ';', '\n', '\u{3002}'];
    let mut last = None;
    mentions.iter().all(|mention| {
        let same = last
            .replace(mention.start)
            .is_some_and(|last| !text[last..mention.start].contains(ends));
        if same {
            return true;
        }
        let from = text[..mention.start].rfind(ends).map_or(0, |at| {
            at + text[at..].chars().next().map_or(1, char::len_utf8)
        });
        // The words of options are not the sentence's: `none of these` may be one.
        let mut before = text[from..mention.start].to_owned();
        let first = found.partition_point(|each| each.start < from);
        for other in found[first..]
            .iter()
            .take_while(|each| each.end <= mention.start)
        {
            // As many bytes, so that the places of the others stay theirs.
            let blank = " ".repeat(other.end - other.start);
            before.replace_range(other.start - from..other.end - from, &blank);
        }
        let behind = &text[mention.end..];
        !stance::denies(&before)
            && !stance::leaves_open(&before)
            && !stance::is_denied(behind)
            && !is_asked(behind)
    })
}

/// Whether the sentence that goes on with `behind` is a question.
fn is_asked(behind: &str) -> bool {
    let end = behind.find(['.', '!', '?', '\n', '\u{3002}']);
    end.is_some_and(|end| behind[end..].starts_with('?'))
}

/// Whether nothing but the mention is said at a sentence's end.
fn stance_ends(scope: &str, first: &Mention) -> bool {
    !scope[first.end..].contains(char::is_alphanumeric)
}

fn is_lead(before: &str) -> bool {
    are_listed(LEADS, before)
}

fn label(mention: &Mention) -> Parsed {
    Parsed::Answer(char::from(b'A' + u8::try_from(mention.option).unwrap_or(0)).to_string())
}
