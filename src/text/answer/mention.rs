//! Where a text names the options of its question, by label or by text.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::markup::plain;
use crate::text::number::{self, Number, is_unspaced};
use crate::text::word_list::is_listed;
use crate::text::{Question, fold};

/// A place at which a text names an option.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    /// The option, from 0.
    pub(super) option: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    /// How it is named; a label with its own option's text is a label.
    pub(super) by: By,
}

/// How an option is named, the surest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum By {
    /// `(B)`.
    Bracket,
    /// `hive`.
    Text,
    /// `B.`, `option B`, `B because`.
    Letter,
}

static BRACKETED: LazyLock<Regex> = LazyLock::new(|| pattern(r"[(\[{]\s*([A-Za-z])\s*[)\]}]"));
/// `B)`, `b)`.
static HALF: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?:^|[\s"'*_])([A-Za-z])[)\]]"#));
static NAMED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\b(?i:option|choice|letter|alternative)\s+["']?([A-Z])\b"#));
/// A capital that is no word: before punctuation, or before a word that no article or name stands before.
static CAPITAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"^[A-Z]["'*_\u{2019}\u{201d}]*(?:[.:,;!?/&)\]\u{2013}\u{2014}\u{3001}\u{3002}\u{e001}]|\s*(?:\n|$)|\s+(?:-|\u{2013}|\u{2014}|&|\(|is\b|was\b|because\b|since\b|as\b|would\b|seems\b|and\b|or\b|not\b))"#,
    )
});
/// Words that may stand before a letter which is a label; behind any other it is part of a name, as in `vitamin B`.
const BEFORE_LETTER: &str = "is be was choose chose pick picked select selected with choice option answer letter or and \
    either not for as say think to than but so therefore thus hence both between go means it's \
    that's nor neither likely probably then isn't definitely maybe perhaps possibly also even rather";
/// Words that may go on behind `B.`; any other in small letters makes it a name, as `E. coli`.
const BEHIND_LETTER: &str = "because since as it they this that the a an";
/// A letter that is all of a text, small too.
static ALONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"^[\s"'*_\u{e000}\u{2018}-\u{201d}]*([A-Za-z])[\s"'*_.,:;!\u{e001}\u{2018}-\u{201d}\u{3002}]*$"#,
    )
});
/// Between a label and its option's text: `B. hive`, `(B) the hive`.
static LABEL_GAP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i)^[\s.:,)\]"'*_=\u{2013}\u{2014}-]*(?:(?:the|a|an)\s+)?["'(]*$"#)
});
/// Between an option's text and its label: `hive (B)`.
static TEXT_GAP: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)^["'*_]*\s*,?\s*(?:(?:option|choice)\s+)?$"#));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed, tested pattern")
}

/// The options that `text` names, in order of their places.
pub(super) fn mentions(question: &Question, text: &str) -> Vec<Mention> {
    let mut found = texts(question, text);
    found.sort_by_key(|each| (each.start, std::cmp::Reverse(each.end)));
    let mut labels = labels(question, text);
    // A letter within an option's text is no label: `vitamin C`.
    labels.retain(|label| {
        let before = found.partition_point(|text| text.start <= label.start);
        !found[..before].last().is_some_and(|text| {
            label.end <= text.end && text.end - text.start > label.end - label.start
        })
    });
    found.extend(labels);
    found.sort_by_key(|each| (each.start, each.end));
    joined(text, found)
}

/// The labels in `text`; of those that overlap, the first and longest.
fn labels(question: &Question, text: &str) -> Vec<Mention> {
    let mut labels: Vec<Mention> = Vec::new();
    let mut add = |by: By, start: usize, end: usize, letter: &str| {
        let letter = letter.as_bytes().first().map_or(0, u8::to_ascii_uppercase);
        let option = usize::from(letter.wrapping_sub(b'A'));
        if option < question.choices.len() {
            labels.push(Mention {
                option,
                start,
                end,
                by,
            });
        }
    };
    for (by, pattern) in [
        (By::Bracket, &BRACKETED),
        (By::Letter, &HALF),
        (By::Letter, &NAMED),
        (By::Letter, &ALONE),
    ] {
        for groups in pattern.captures_iter(text) {
            let all = groups.get_match();
            add(by, all.start(), all.end(), &groups[1]);
        }
    }
    for (at, _) in text.match_indices(|c: char| c.is_ascii_uppercase()) {
        let rest = &text[at..];
        // Most capitals begin a word.
        if rest[1..].starts_with(char::is_alphanumeric) || !stands_alone(text, at) {
            continue;
        }
        if CAPITAL
            .find(rest)
            .is_some_and(|found| !is_joined(question, rest, found.end()))
        {
            add(By::Letter, at, at + 1, &rest[..1]);
        }
    }
    labels.sort_by_key(|each| (each.start, std::cmp::Reverse(each.end)));
    let mut end = 0;
    labels.retain(|each| {
        let free = each.start >= end;
        end = end.max(each.end);
        free
    });
    labels
}

/// A label and its own option's text side by side name it once, whatever other option has the same text.
fn joined(text: &str, found: Vec<Mention>) -> Vec<Mention> {
    let mut kept: Vec<Mention> = Vec::with_capacity(found.len());
    for mention in found {
        let is_text = mention.by == By::Text;
        // The label that its text has joined already, and another option of that text.
        if kept
            .last()
            .is_some_and(|last| is_text && mention.start < last.end && last.by != By::Text)
        {
            continue;
        }
        let Some(partner) = partner(text, &kept, &mention) else {
            kept.push(mention);
            continue;
        };
        let partner = kept.remove(partner);
        let apart = |a: &Mention, b: &Mention| a.end <= b.start || b.end <= a.start;
        kept.retain(|each| apart(each, &partner) && apart(each, &mention));
        kept.push(Mention {
            option: mention.option,
            start: partner.start,
            end: mention.end,
            by: if partner.by.min(mention.by) == By::Bracket {
                By::Bracket
            } else {
                By::Letter
            },
        });
    }
    kept
}

/// Which mention in `kept` names the same option right before `mention`, one by label, the other by text.
fn partner(text: &str, kept: &[Mention], mention: &Mention) -> Option<usize> {
    let span = |each: &Mention| (each.start, each.end);
    // Options of one text stand at one place.
    let last = kept.iter().rposition(|each| span(each) != span(mention))?;
    let from = kept[..last]
        .iter()
        .rposition(|each| span(each) != span(&kept[last]))
        .map_or(0, |at| at + 1);
    let place = (from..=last).find(|&place| kept[place].option == mention.option)?;
    let gap = text.get(kept[place].end..mention.start)?;
    let names = match (kept[place].by, mention.by) {
        (By::Bracket | By::Letter, By::Text) => LABEL_GAP.is_match(gap),
        (By::Text, By::Bracket | By::Letter) => TEXT_GAP.is_match(gap),
        _ => false,
    };
    names.then_some(place)
}

/// Whether two mentions side by side are a label and the text of another option, as in `(B) sea`.
pub(super) fn clash(text: &str, a: &Mention, b: &Mention) -> bool {
    if a.option == b.option || b.start < a.end {
        return false;
    }
    let gap = &text[a.end..b.start];
    match (a.by == By::Text, b.by == By::Text) {
        (false, true) => {
            // `B. The sea is cold` goes on after its answer.
            let ends = text[b.end..].trim_start_matches(['"', '\'', ')', '*', '_']);
            let ends = ends.is_empty() || ends.starts_with(['.', ',', ';', '!', '\n']);
            LABEL_GAP.is_match(gap) && ends
        }
        (true, false) => TEXT_GAP.is_match(gap),
        _ => false,
    }
}

/// Whether the capital at `at` stands for itself: not in `E.g.`, `U.S.`, `C. S. Lewis`, `I think`.
fn stands_alone(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let free = before.is_none_or(|c| {
        c.is_whitespace()
            || is_unspaced(c)
            || "\"'*_/&:,([=\u{2013}\u{2014}\u{2018}\u{201c}\u{e000}\u{e002}".contains(c)
    });
    let named = text[..at].strip_suffix(' ').is_some_and(|before| {
        let from = before.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '\u{2019}')));
        let from = from.map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        let word = before[from..].to_lowercase().replace('\u{2019}', "'");
        !word.is_empty() && !is_listed(BEFORE_LETTER, &word)
    });
    let behind = &text[at + 1..];
    let initial = behind.strip_prefix('.').is_some_and(|rest| {
        let mut next = rest.trim_start_matches(' ').chars();
        let first = next.next().is_some_and(char::is_uppercase);
        rest.starts_with(char::is_alphanumeric) || (first && next.next() == Some('.'))
    });
    let pronoun = text[at..].starts_with('I') && behind.starts_with([' ', '\'', '\u{2019}']);
    free && !named && !initial && !pronoun
}

/// Whether a word goes on behind the mark that ends at `end`, so that the capital is part of it: `A:b`, `D'Arcy`, and
/// `E. coli` where no option begins so.
fn is_joined(question: &Question, rest: &str, end: usize) -> bool {
    let first = |text: &str| {
        fold(
            text.split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap_or(""),
        )
    };
    if let Some(next) = rest[1..].strip_prefix(". ").map(str::trim_start)
        && next.starts_with(char::is_lowercase)
    {
        let word = first(next);
        let option = question
            .choices
            .iter()
            .any(|choice| first(choice.trim()) == word);
        return !option && !is_listed(BEHIND_LETTER, &word);
    }
    rest[1..].starts_with([':', '\'']) && rest[end..].starts_with(char::is_alphanumeric)
}

/// The options whose texts stand in `text` as whole words, the longest where one contains another. An option that is a
/// number is found by its value, in any notation, and never within another number.
fn texts(question: &Question, text: &str) -> Vec<Mention> {
    let numbers: Vec<Option<Number>> = question
        .choices
        .iter()
        .map(|choice| number::whole(&plain(choice)))
        .collect();
    let mut found = Vec::new();
    if numbers.iter().any(Option::is_some) {
        for statement in number::statements(text) {
            let Some(value) = &statement.value else {
                continue;
            };
            let options = numbers.iter().enumerate();
            found.extend(
                options
                    .filter(|(_, number)| number.as_ref() == Some(value))
                    .map(|(option, _)| Mention {
                        option,
                        start: statement.start,
                        end: statement.end,
                        by: By::Text,
                    }),
            );
        }
    }
    let folded = Folded::new(text);
    let mut options: Vec<(String, usize)> = question
        .choices
        .iter()
        .enumerate()
        .filter(|(option, _)| numbers[*option].is_none())
        .map(|(option, choice)| (fold(&plain(choice)), option))
        .filter(|(text, _)| !text.is_empty())
        .collect();
    options.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    let mut spans: Vec<(usize, usize, usize)> = Vec::new();
    for (option, place) in &options {
        for (start, _) in folded.text.match_indices(option.as_str()) {
            let end = start + option.len();
            if is_whole(&folded.text, start, end) {
                spans.push((start, end, *place));
            }
        }
    }
    // Longest first at each place, and nothing within what is taken; equal texts are both kept.
    spans.sort_by_key(|&(start, end, place)| (start, std::cmp::Reverse(end), place));
    let mut taken: Option<(usize, usize)> = None;
    for (start, end, option) in spans {
        if taken.is_some_and(|(from, to)| start < to && (start, end) != (from, to)) {
            continue;
        }
        taken = Some((start, end));
        found.push(Mention {
            option,
            start: folded.at[start],
            end: folded.at[end],
            by: By::Text,
        });
    }
    found
}

/// Whether what stands from `start` to `end` is whole words. Scripts without blanks have no such bounds.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let joins = |a: Option<char>, b: Option<char>| match (a, b) {
        (Some(a), Some(b)) => {
            a.is_alphanumeric() && b.is_alphanumeric() && !is_unspaced(a) && !is_unspaced(b)
        }
        _ => false,
    };
    let inside = &text[start..end];
    let (first, last) = (inside.chars().next(), inside.chars().next_back());
    let (before, behind) = (
        text[..start].chars().next_back(),
        text[end..].chars().next(),
    );
    // Signs belong to a word: `C` is not `C++`, `5` not `-5`.
    let signed = last.is_some_and(char::is_alphanumeric)
        && (text[end..].starts_with("++") || behind == Some('#'))
        || first.is_some_and(char::is_numeric)
            && matches!(before, Some('-' | '+' | '\u{2212}' | '.'));
    !joins(before, first) && !joins(last, behind) && !signed
}

/// A text as [`fold`] has it, with the way back.
struct Folded {
    text: String,
    /// For each byte of `text`, and for its end, the place in the text that was folded.
    at: Vec<usize>,
}

impl Folded {
    fn new(original: &str) -> Self {
        let mut folded = Self {
            text: String::with_capacity(original.len()),
            at: Vec::with_capacity(original.len() + 1),
        };
        let mut blank = true;
        for (at, c) in original.char_indices() {
            if c.is_whitespace() {
                if !blank {
                    folded.push(' ', at);
                }
                blank = true;
                continue;
            }
            blank = false;
            if c.is_ascii() {
                folded.push(c.to_ascii_lowercase(), at);
                continue;
            }
            // As in `fold`: of `İ` only the `i` counts.
            if c == '\u{307}' && folded.text.ends_with('i') {
                continue;
            }
            let cased: String = c
                .to_uppercase()
                .flat_map(char::to_lowercase)
                .nfkc()
                .collect();
            for c in cased.chars() {
                if !(c == '\u{307}' && folded.text.ends_with('i')) {
                    folded.push(c, at);
                }
            }
        }
        folded.at.push(original.len());
        folded
    }

    fn push(&mut self, c: char, at: usize) {
        self.text.push(c);
        self.at.extend(std::iter::repeat_n(at, c.len_utf8()));
    }
}
