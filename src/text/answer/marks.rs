//! The marks of an answer in plain text: `the answer is`, `Answer:`, `Final answer:`, `\boxed{}`, `<answer>`, `####`.

use std::sync::LazyLock;

use regex::Regex;

use super::latex::{BOX, BOX_END};
use super::markup::HASHES;
use super::stance;

/// How an answer may be called.
const ADJECTIVES: &str = r"(?:(?:final|correct|best|right|only|likely|most\s+(?:likely|plausible|probable|appropriate|reasonable)|short|overall|numerical|exact|complete)\s+)*";

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    let verb = r"(?:\s*,\s*(?:then|therefore|thus|hence|so)\s*,)?(?:\s+(?:then|therefore|thus|hence))?(?:\s+(?:is|would\s+be|should\s+be|must\s+be|will\s+be|has\s+to\s+be)\b|['\u{2019}]s\b|\s*=)\s*:?";
    let asked = r"(?:\s+(?:to|for)\s+(?:the|this|that|your|our)\s+(?:\w+\s+){0,4}?(?:question|problem|puzzle|riddle))?";
    pattern(&format!(
        r"(?i)(?:\b(?:the|my|our)\s+|(?:^|[\n.!?;:,(]\s*|\b(?:so|then|therefore|thus|hence|and)\s+)){ADJECTIVES}answer(?:\s+(?:choice|option))?{asked}{verb}|\bthe\s+(?:correct|right|final)\s+(?:option|choice|response){asked}{verb}",
    ))
});

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?im)(?:^|[.!?;\])>\u{{3002}}]\s|[\n\u{{2014}}{BOX_END}])[\s"'*_(\[>-]*(?:(?:so|and|thus|therefore|hence),?\s+)?(?:(?:the|my|our)\s+)?{ADJECTIVES}(?:answer|ans\.?)(?:\s+(?:choice|option|is))?["'*_\])]*\s*[:=]["'*_]*"#,
    ))
});

/// A heading of its own line: `Final Answer`.
static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?im)^[\s#*_]*(?:(?:the|my)\s+)?(?:final\s+)?answer[\s*_]*(?:\n|$)|\bfinal\s+answer\s+[-\u{2013}\u{2014}]\s",
    )
});

/// A word that every mark in words has; the patterns are tried only where it is.
static WORD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i-u)answer|\bans\b|option|choice|response"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed, tested pattern")
}

/// How a mark was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// `The answer is`: its own sentence gives the answer.
    Sentence,
    /// `Answer:`: the answer follows, or a text that leads to it.
    Label,
    /// `\boxed{}` and `<answer>`: the content is the answer.
    Box,
    /// A box that never ends: it was cut off, and may have lost half its answer.
    CutBox,
    /// `####`: the line is the answer.
    Hashes,
}

/// A mark, and what it marks.
#[derive(Clone, Debug)]
pub(super) struct Mark<'t> {
    pub(super) sort: Sort,
    /// Whether it wins over `the answer is` in the prose around it.
    pub(super) strong: bool,
    /// Where it begins.
    pub(super) start: usize,
    /// What it marks: up to the next mark at most.
    pub(super) part: &'t str,
    /// Where that begins.
    pub(super) at: usize,
    /// Whether the text ends with its line.
    pub(super) closes: bool,
}

impl Mark<'_> {
    /// Whether anything stands behind it that could be an answer, or was to.
    pub(super) fn says(&self) -> bool {
        self.sort == Sort::CutBox || self.part.contains(char::is_alphanumeric)
    }
}

/// The marks of `text`, in order. Those that lead straight to the next one (`Final answer: \boxed{5}`) are one with it.
pub(super) fn find(text: &str) -> Vec<Mark<'_>> {
    let mut places: Vec<(usize, usize, Sort, bool)> = Vec::new();
    let is_final = |text: &str| text.to_lowercase().contains("final");
    let worded = WORD.is_match(text);
    for found in SENTENCE.find_iter(if worded { text } else { "" }) {
        let line = text[..found.start()]
            .rfind(['.', '!', '?', ';', '\n'])
            .map_or(0, |at| at + 1);
        // `If the answer is` tells of no answer. The pattern may begin with the mark before it.
        let before = format!("{} ", text[line..found.start()].trim_end());
        if stance::asserts(&before) {
            places.push((
                found.start(),
                found.end(),
                Sort::Sentence,
                is_final(found.as_str()),
            ));
        }
    }
    for (sort, pattern) in [(Sort::Label, &LABEL), (Sort::Label, &HEADING)] {
        let found = pattern.find_iter(if worded { text } else { "" });
        places.extend(found.map(|m| (m.start(), m.end(), sort, is_final(m.as_str()))));
    }
    let last_end = text.rfind(BOX_END);
    for (at, mark) in text.match_indices([BOX, HASHES]) {
        let sort = match mark.chars().next() {
            Some(HASHES) => Sort::Hashes,
            _ if last_end.is_none_or(|end| end < at) => Sort::CutBox,
            _ => Sort::Box,
        };
        places.push((at, at + mark.len(), sort, true));
    }
    places.sort_by_key(|&(start, end, ..)| (start, std::cmp::Reverse(end)));
    let mut marks: Vec<Mark<'_>> = Vec::new();
    for (place, &(start, at, sort, strong)) in places.iter().enumerate() {
        let next = places[place + 1..]
            .iter()
            .map(|next| next.0)
            .find(|next| *next >= at);
        let end = next.unwrap_or(text.len());
        let part = &text[at..end.max(at)];
        let part = match sort {
            Sort::Box => part.find(BOX_END).map_or("", |end| &part[..end]),
            Sort::Hashes => part.lines().next().unwrap_or(""),
            Sort::Sentence | Sort::Label | Sort::CutBox => part,
        };
        let overlaps = marks.last().is_some_and(|last| last.at > start);
        let leads = marks.last().is_some_and(|last| {
            matches!(last.sort, Sort::Sentence | Sort::Label) && leads_on(last.part)
        });
        let (mut start, mut strong) = (start, strong);
        if (overlaps || leads)
            && let Some(last) = marks.pop()
        {
            (start, strong) = (last.start.min(start), last.strong || strong);
        }
        marks.push(Mark {
            sort,
            strong,
            start,
            part,
            at,
            closes: text[at + part.len()..].trim().is_empty(),
        });
    }
    marks
}

/// Whether nothing is said in `part`, so that it leads to the mark behind it.
fn leads_on(part: &str) -> bool {
    part.split(|c: char| !c.is_alphanumeric())
        .all(|word| matches!(word, "" | "the" | "a" | "an" | "The" | "So" | "so" | "is"))
}
