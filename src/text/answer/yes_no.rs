//! Yes or no, out of plain text.
//!
//! `yes` and `no` count where they answer: `no sea`, `no longer` and `no one` do not. What is denied, left open, or
//! said both ways is no answer.

use super::marks::Mark;
use super::{Parsed, sentence, stance};
use crate::text::word_list::is_listed;

/// Words that may follow a `no` that answers; any other makes it part of what follows (`no sea`).
const BEHIND_NO: &str = "because since as for it its they he she we you i this that these those there but so and or nor \
    not the a an in if unless to at on when due given yes no";

/// Words that may stand before an answer at the head of a sentence.
const LEADS: &str = "so therefore thus hence then and well but actually wait oh ok okay in short conclusion overall \
    finally ultimately i think believe would say it is that the my answer probably definitely \
    certainly absolutely clearly obviously likely most summary a be s simple simply clear resounding \
    verdict i'd hm hmm um sure of course";

/// The answer in what a mark leads to; `None` where it has none.
pub(super) fn marked(mark: &Mark<'_>) -> Option<Parsed> {
    let (first, behind) = sentence::first(mark.part);
    let found = of_sentence(first, behind)?;
    // `The answer is yes. No, wait.`
    if let Parsed::Answer(answer) = &found
        && !mark.strong
        && heads(behind).any(|later| later != Parsed::Answer(answer.clone()))
    {
        return Some(Parsed::Ambiguous);
    }
    Some(found)
}

/// The answer of a text without marks: what its sentences open with, where they agree.
pub(super) fn unmarked(text: &str) -> Parsed {
    let mut answer = Parsed::Unparsed;
    for found in heads(text) {
        match (&answer, found) {
            (Parsed::Unparsed, Parsed::Answer(first)) => answer = Parsed::Answer(first),
            (before, found) if *before == found => {}
            (_, Parsed::Unparsed) => return Parsed::Unparsed,
            _ => return Parsed::Ambiguous,
        }
    }
    if answer == Parsed::Unparsed {
        return truth(text).unwrap_or(answer);
    }
    answer
}

/// How often a text without marks answers.
pub(super) fn count(text: &str) -> usize {
    let answers: usize = opened(text)
        .map(|(sentence, _)| answers(sentence).count())
        .sum();
    answers.max(usize::from(truth(text).is_some()))
}

/// What each sentence says that opens with an answer.
fn heads(text: &str) -> impl Iterator<Item = Parsed> {
    opened(text).filter_map(|(sentence, behind)| of_sentence(sentence, behind))
}

/// The sentences that open with an answer, each with what stands behind it.
fn opened(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    let sentences = std::iter::from_fn(move || {
        let (sentence, behind) = sentence::first(rest);
        rest = behind.trim_start_matches(['.', '!', '?', '\u{3002}', '\u{964}']);
        (!sentence.trim().is_empty()).then_some((sentence, behind))
    });
    sentences.filter_map(|(sentence, behind)| {
        let at = answers(sentence).find_map(|answer| is_led(sentence, answer.start))?;
        Some((&sentence[at..], behind))
    })
}

/// Where the clause begins that the answer at `at` opens, if it opens one: the sentence, or what follows `, so`.
fn is_led(sentence: &str, at: usize) -> Option<usize> {
    let before = &sentence[..at];
    let clause = before.to_lowercase();
    let clause = [
        " so ",
        " so, ",
        "therefore ",
        "therefore, ",
        "thus ",
        "thus, ",
        "hence ",
        "hence, ",
    ]
    .iter()
    .filter_map(|word| clause.rfind(word))
    .max()
    // A letter and its lower case may differ in bytes: a place in the one need not be one in the other.
    .filter(|start| sentence.is_char_boundary(*start))
    .unwrap_or(0);
    let led = |text: &str| {
        words(text).all(|(_, word)| {
            is_listed(LEADS, &word.to_lowercase()) || word.chars().all(char::is_numeric)
        })
    };
    if led(before) {
        Some(0)
    } else {
        (clause > 0 && led(&before[clause..])).then_some(clause)
    }
}

/// What one sentence answers; `behind` is what follows it.
fn of_sentence(sentence: &str, behind: &str) -> Option<Parsed> {
    let mut found = answers(sentence);
    let Some(first) = found.next() else {
        return truth(sentence);
    };
    let before = &sentence[..first.start];
    if stance::denies(before) || stance::leaves_open(before) || behind.starts_with('?') {
        return Some(Parsed::Unparsed);
    }
    if stance::is_conditional(&sentence[first.end..]) {
        return Some(Parsed::Unparsed);
    }
    let mut end = first.end;
    for other in found {
        // `no, not yes` says no once more.
        let denied = stance::denies(&sentence[end..other.start]);
        if other.answer != first.answer && !denied {
            return Some(Parsed::Ambiguous);
        }
        end = other.end;
    }
    Some(Parsed::Answer(first.answer.to_owned()))
}

/// `true` and `false` where they are all that is said.
fn truth(sentence: &str) -> Option<Parsed> {
    let mut words = words(sentence);
    let (only, None) = (words.next()?.1, words.next()) else {
        return None;
    };
    let answer = [("true", "yes"), ("false", "no")]
        .into_iter()
        .find(|(name, _)| only.eq_ignore_ascii_case(name))?;
    Some(Parsed::Answer(answer.1.to_owned()))
}

/// A `yes` or `no` that answers.
struct Found {
    answer: &'static str,
    start: usize,
    end: usize,
}

fn answers(text: &str) -> impl Iterator<Item = Found> {
    let mut words = words(text).peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, word) = words.next()?;
            let Some(answer) = ["yes", "no"]
                .into_iter()
                .find(|name| word.eq_ignore_ascii_case(name))
            else {
                continue;
            };
            let end = start + word.len();
            let joined = words
                .peek()
                .filter(|(next, _)| text[end..*next].trim().is_empty());
            let determines =
                joined.is_some_and(|(_, next)| !is_listed(BEHIND_NO, &next.to_lowercase()));
            if answer == "no" && determines {
                continue;
            }
            return Some(Found { answer, start, end });
        }
    })
}

/// The words of `text`, each with its place.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(char::is_alphanumeric)?;
        let len = text[start..]
            .find(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '\u{2019}'))
            .unwrap_or(text.len() - start);
        at = start + len;
        Some((start, text[start..at].trim_end_matches(['\'', '\u{2019}'])))
    })
}
