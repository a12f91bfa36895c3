//! The rules on a text's form; those that the paper names without giving them (III-A) are ours.
//!
//! Their precision and recall on 100 labelled paths stand in `docs/filters.md`, and a test keeps
//! that table true. (The third rule, imitation, is `text::imitative_complete`: sampling uses it.)

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::step::{Candidate, Run, Step, StepReason, StepResult};
use crate::text::{
    AnswerForm, Question, Reading, asked_again, behind_opening_number, imitative_complete,
    without_markup,
};

/// Texts dropped by their form. The rules, with their measured precision, are in `docs/filters.md`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a switch for the step and one for each of its three rules"
)]
pub struct PatternRules {
    /// Whether the step runs. Default true.
    pub enabled: bool,
    /// Drop texts with the structure `Question: ... Answer:`. Default true (paper, III-A).
    pub imitative: bool,
    /// Drop an answer without reasoning. Default true (named in the paper, III-A; the rule is ours).
    pub direct_response: bool,
    /// Drop texts that list the options again. Default true (named in the paper, III-A; the rule is
    /// ours).
    pub repetitive_options: bool,
}

impl Default for PatternRules {
    fn default() -> Self {
        Self {
            enabled: true,
            imitative: true,
            direct_response: true,
            repetitive_options: true,
        }
    }
}

impl Step for PatternRules {
    fn enabled(&self) -> bool {
        self.enabled
    }

    fn drop_reason(&self, path: &Candidate<'_>, run: &Run<'_>) -> StepResult {
        let (text, reading) = (&path.path.text, run.params.reading);
        let (rule, because) = if self.imitative && imitative_complete(text) {
            (
                "imitative",
                "imitative: it asks a question again, `Question: ... Answer:`",
            )
        } else if self.direct_response && direct_response(path.question, text, reading) {
            (
                "direct-response",
                "direct response: an answer without reasoning",
            )
        } else if self.repetitive_options && repetitive_options(path.question, text) {
            (
                "repetitive-options",
                "repetitive options: it lists options again",
            )
        } else {
            return Ok(None);
        };
        Ok(Some(StepReason {
            rule: Some(rule),
            because: because.into(),
        }))
    }
}

/// A text that opens with its answer needs this many different words that are neither the
/// question's nor the answer's, or it has no reasoning. Ours: a short reason (`bees build hives of
/// wax in trees`) has six.
const MIN_NEW_WORDS: usize = 6;

/// A list has this many options. Ours: two options beside each other compare, three enumerate.
const MIN_LISTED: usize = 3;

/// At most this many words stand between two labels of a list. Ours: options of `CommonsenseQA` have
/// one to five words.
const MAX_WORDS_BETWEEN: usize = 6;

/// What may stand before an answer without being reasoning.
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:<\|endoftext\|>|[^\p{L}\p{N}(]|answer:|(?:so|and|then|therefore|well)\b|(?:the\s+(?:correct\s+)?answer\s+is|it\s+is|it's|i\s+(?:think|say|choose))\b)*",
    )
    .expect("a fixed, tested pattern")
});

/// The same under the standard reading: what chat models call their answer too.
static STANDARD_LEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:<\|endoftext\|>|[^\p{L}\p{N}(]|(?:(?:the|my)\s+)?(?:final\s+|correct\s+)?answer\s*(?:is\b|:|\n)|(?:so|and|then|therefore|well)\b|(?:the\s+(?:correct\s+)?(?:option|choice)\s+is|it\s+is|it's|i\s+(?:think|say|choose))\b)*",
    )
    .expect("a fixed, tested pattern")
});

static GIVEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:(?:yes|no)\b|\([a-z]\)|[a-z][.:)](?:\s|$)|[a-z]\s*$)")
        .expect("a fixed, tested pattern")
});

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\(([A-Za-z])\)|(?:^|\s)([A-H])[.)](?:\s|$)").expect("a fixed, tested pattern")
});

static REASON: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:because|since)\b").expect("a fixed, tested pattern"));

/// Whether `text` is an answer without reasoning. Only what stands before a question is asked again
/// counts: it opens with an answer (yes, no, a label, an option's text, a number), does not list options,
/// gives no `because` or `since`, and holds fewer than six different words beyond the question's
/// and the options'. Under the standard reading markup does not count.
pub fn direct_response(question: &Question, text: &str, reading: Reading) -> bool {
    let own = &text[..asked_again(text).unwrap_or(text.len())];
    let own = match reading {
        Reading::Paper => Cow::Borrowed(own),
        Reading::Standard => Cow::Owned(without_markup(own)),
    };
    if repetitive_options(question, &own) {
        return false;
    }
    let lower = own.to_lowercase();
    let Some(rest) = after_answer(question, &lower, reading) else {
        return false;
    };
    let known: BTreeSet<String> = words(&question.asked().to_lowercase()).collect();
    let new: BTreeSet<String> = sentences(&rest)
        .map(|sentence| {
            after_answer(question, sentence, reading).unwrap_or(Cow::Borrowed(sentence))
        })
        .flat_map(|sentence| words(&sentence).collect::<Vec<_>>())
        .filter(|word| !known.contains(word))
        .collect();
    new.len() < MIN_NEW_WORDS && !REASON.is_match(&rest)
}

/// Whether `text` lists options again: three labels (`(A)`, `B.`) in a row with at most six words
/// between two, or three of the question's own options with at most two words between.
pub fn repetitive_options(question: &Question, text: &str) -> bool {
    let labels = LABEL
        .find_iter(text)
        .map(|m| (m.start(), m.end()))
        .collect();
    if longest_run(text, labels, MAX_WORDS_BETWEEN) >= MIN_LISTED {
        return true;
    }
    let lower = text.to_lowercase();
    let mut options: Vec<(usize, usize)> = question
        .choices
        .iter()
        .filter(|option| !option.trim().is_empty())
        .flat_map(|option| whole_words(&lower, option.trim()))
        .collect();
    // Of two options that start at one place, the longer is the one that was written.
    options.sort_by_key(|&(start, end)| (start, std::cmp::Reverse(end)));
    options.dedup_by_key(|&mut (start, _)| start);
    longest_run(&lower, options, 2) >= MIN_LISTED
}

/// Where `option` stands in `lower` as whole words.
fn whole_words(lower: &str, option: &str) -> Vec<(usize, usize)> {
    let option = option.to_lowercase();
    lower
        .match_indices(&option)
        .map(|(start, found)| (start, start + found.len()))
        .filter(|&(start, end)| {
            !lower[..start].ends_with(char::is_alphanumeric)
                && !lower[end..].starts_with(char::is_alphanumeric)
        })
        .collect()
}

/// The most places in a row with at most `gap` words between each two.
fn longest_run(text: &str, places: Vec<(usize, usize)>, gap: usize) -> usize {
    let (mut longest, mut run, mut last_end) = (0, 0, None);
    for (start, end) in places {
        let near = last_end
            .is_some_and(|last: usize| last <= start && words(&text[last..start]).count() <= gap);
        run = if near { run + 1 } else { 1 };
        longest = longest.max(run);
        last_end = Some(end);
    }
    longest
}

/// What follows the answer that lower-case `text` opens with; `None` where it opens with none.
fn after_answer<'t>(question: &Question, text: &'t str, reading: Reading) -> Option<Cow<'t, str>> {
    if question.form == AnswerForm::Number {
        return behind_opening_number(text).map(Cow::Owned);
    }
    let lead = match reading {
        Reading::Paper => &LEAD,
        Reading::Standard => &STANDARD_LEAD,
    };
    let label_at = text.trim_start();
    // Before the lead: `A. hive`. After it: `Answer: (B)`.
    let led = &text[lead.find(text).map_or(0, |m| m.end())..];
    let given = [label_at, led]
        .into_iter()
        .find_map(|part| GIVEN.find(part).map(|m| &part[m.end()..]));
    if let Some(rest) = given {
        return Some(Cow::Borrowed(rest));
    }
    let led = ["a ", "an ", "the "]
        .into_iter()
        .find_map(|article| led.strip_prefix(article))
        .unwrap_or(led);
    question
        .choices
        .iter()
        .filter(|option| !option.trim().is_empty())
        .filter_map(|option| led.strip_prefix(option.trim().to_lowercase().as_str()))
        .find(|rest| !rest.starts_with(char::is_alphanumeric))
        .map(Cow::Borrowed)
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?', '\n'])
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
