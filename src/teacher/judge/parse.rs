//! Reading scores out of what a judge wrote.
//!
//! A criterion's score is the number that stands right behind its name, at the head of a line or among
//! other scores; behind it may stand `/10` or words. Accepted: `Coherence: 8`, `- Score for Coherence:
//! [8]`, `**Coherence**: 8/10`, `| coherence | 8 |`, `"coherence": 8.5,`, `Coherence - eight out of ten`,
//! the number alone on the next line. *Unparsed*: no line, a range (`7-8`, `7 to 8`), another scale
//! (`4/5`, `80%`), a number outside 0 to 10, words (`high`), two different numbers for one criterion.

use std::sync::LazyLock;

use regex::Regex;

use super::label;
use crate::text::parted;

/// Words that may stand between the start of a line, or another score, and a criterion's name.
const BEFORE: [&str; 12] = [
    "score",
    "scores",
    "rating",
    "ratings",
    "for",
    "of",
    "the",
    "and",
    "my",
    "final",
    "out",
    "criterion",
];
/// Words that may stand between a criterion's name and its score.
const BETWEEN: [&str; 9] = [
    "score", "rating", "grade", "mark", "is", "of", "a", "an", "was",
];
const NUMBERS: [&str; 11] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];
/// The best score (paper, Table I).
const BEST: f64 = 10.0;

static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\d+(?:\.\d+)?").expect("a fixed, tested pattern"));
static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\p{L}+").expect("a fixed, tested pattern"));
/// What makes a number part of something else: a range, an alternative, a longer number.
static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:[\p{L}\d%+]|[.,]\d|[\])}\s]*(?:[-–—−~]|to\b|or\b|and\b)[\s\[({]*(?:\d|(?:zero|one|two|three|four|five|six|seven|eight|nine|ten)\b))")
        .expect("a fixed, tested pattern")
});
/// The scale that a number may be said to be on.
static SCALE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^[\])}\s]*(?:/|out\s+of\b|of\b)\s*(\d+(?:\.\d+)?|ten\b)?(.?)")
        .expect("a fixed, tested pattern")
});

/// What stands where a score is looked for.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Found {
    Score(f64),
    /// A number, but not one score.
    Unclear,
    /// No number.
    Nothing,
}

/// The score of each of `criteria` in `reply`, in order; `None` where it cannot be read. Where there is
/// one criterion and its name does not occur, the reply may open with the score alone.
pub(crate) fn read_scores(reply: &str, criteria: &[String]) -> Vec<Option<f64>> {
    let text = plain(reply);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let names = Names::new(criteria);
    let mut found: Vec<Vec<Found>> = vec![Vec::new(); criteria.len()];
    let mut named = false;
    for (number, line) in lines.iter().enumerate() {
        let places = names.places(line);
        named |= !places.is_empty();
        for (index, place) in places.iter().enumerate() {
            let before = index.checked_sub(1).map_or(0, |last| places[last].end);
            if !stands_free(&line[before..place.start]) {
                continue;
            }
            let next = places.get(index + 1);
            let behind = &line[place.end..next.map_or(line.len(), |next| next.start)];
            let last_and_bare = next.is_none() && !behind.chars().any(char::is_alphanumeric);
            found[place.which].push(match lines.get(number + 1) {
                Some(below) if last_and_bare && names.places(below).is_empty() => alone(below),
                _ => score(behind).0,
            });
        }
    }
    if let ([only], false) = (found.as_mut_slice(), named) {
        only.extend(lines.first().map(|line| score(line).0));
    }
    found.iter().map(|values| settled(values)).collect()
}

/// The text without what the model thought to itself, and without marks of emphasis.
fn plain(reply: &str) -> String {
    parted(reply)
        .said
        .chars()
        .filter(|c| !matches!(c, '*' | '`' | '#'))
        .map(|c| if c == '_' { ' ' } else { c })
        .collect()
}

/// The criteria's names, to be found in a line.
struct Names {
    pattern: Option<Regex>,
    labels: Vec<String>,
}

/// A criterion's name in a line.
struct LabelMatch {
    which: usize,
    start: usize,
    end: usize,
}

impl Names {
    fn new(criteria: &[String]) -> Self {
        let labels: Vec<String> = criteria
            .iter()
            .map(|name| label(name).to_lowercase())
            .collect();
        let mut longest_first: Vec<String> = labels
            .iter()
            .map(|label| {
                let words: Vec<String> = label.split(' ').map(regex::escape).collect();
                words.join(r"[\s-]+")
            })
            .collect();
        // The first alternative that fits is taken, and one name may begin as another does.
        longest_first.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        let pattern = format!(r"(?i)\b(?:{})\b", longest_first.join("|"));
        Self {
            pattern: Regex::new(&pattern).ok(),
            labels,
        }
    }

    /// Where in `line` names stand, in order.
    fn places(&self, line: &str) -> Vec<LabelMatch> {
        let matches = self
            .pattern
            .iter()
            .flat_map(|pattern| pattern.find_iter(line));
        let place = |found: regex::Match<'_>| {
            let text = found.as_str().to_lowercase();
            let words: Vec<&str> = text
                .split([' ', '-', '\t'])
                .filter(|word| !word.is_empty())
                .collect();
            let text = words.join(" ");
            Some(LabelMatch {
                which: self.labels.iter().position(|label| *label == text)?,
                start: found.start(),
                end: found.end(),
            })
        };
        matches.filter_map(place).collect()
    }
}

/// Whether a name behind `before` heads a score, and does not stand in the middle of a sentence.
fn stands_free(before: &str) -> bool {
    before
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .all(|word| BEFORE.contains(&word.to_lowercase().as_str()))
}

/// The score at the head of `text`, and what stands behind it.
fn score(text: &str) -> (Found, &str) {
    let mut rest = text;
    loop {
        let mark = |c: char| c.is_whitespace() || ":=|\"'[({>,;–—→".contains(c);
        rest = rest.trim_start_matches(mark);
        if let Some(behind) = rest.strip_prefix(['-', '−']) {
            // A dash parts name and score; joined to the number it may be a sign.
            if behind.starts_with(|c: char| c.is_ascii_digit()) {
                return (Found::Unclear, behind);
            }
            rest = behind;
            continue;
        }
        let Some(word) = WORD.find(rest).map(|word| word.as_str()) else {
            break;
        };
        let lower = word.to_lowercase();
        let behind = &rest[word.len()..];
        if let Some(value) = NUMBERS.iter().position(|number| *number == lower) {
            return (on_scale(value as f64, behind), behind);
        }
        if !BETWEEN.contains(&lower.as_str()) {
            return (Found::Nothing, rest);
        }
        rest = behind;
    }
    let Some(number) = NUMBER.find(rest) else {
        return (Found::Nothing, rest);
    };
    let behind = &rest[number.end()..];
    let value = number.as_str().parse().unwrap_or(f64::NAN);
    (on_scale(value, behind), behind)
}

/// `value` as a score, with what stands behind it.
fn on_scale(value: f64, behind: &str) -> Found {
    if GOES_ON.is_match(behind) || !(0.0..=BEST).contains(&value) {
        return Found::Unclear;
    }
    let Some(scale) = SCALE.captures(behind) else {
        return Found::Score(value);
    };
    let best = scale.get(1).map_or("", |best| best.as_str()).to_lowercase();
    let longer = scale.get(2).is_some_and(|next| next.as_str() == "/");
    let is_ours = best == "ten" || best.parse() == Ok(BEST);
    if is_ours && !longer {
        Found::Score(value)
    } else {
        Found::Unclear
    }
}

/// The score that is all of a line.
fn alone(line: &str) -> Found {
    let (found, behind) = score(line);
    let behind = SCALE.replace(behind, "");
    let words = behind.chars().any(char::is_alphanumeric);
    if words { Found::Nothing } else { found }
}

/// What several finds for one criterion come to.
fn settled(values: &[Found]) -> Option<f64> {
    let mut settled = None;
    for value in values {
        let Found::Score(score) = *value else {
            if *value == Found::Unclear {
                return None;
            }
            continue;
        };
        let before = settled.get_or_insert(score);
        if before.total_cmp(&score).is_ne() {
            return None;
        }
    }
    settled
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
