//! Numbers spelled out in English: `twelve`, `two thousand five hundred`, `one and a half`, `two thirds`.

use super::Number;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
/// Words that multiply what stands before them.
const SCALES: [(&str, u64); 8] = [
    ("hundred", 100),
    ("thousand", 1000),
    ("lakh", 100_000),
    ("million", 1_000_000),
    ("crore", 10_000_000),
    ("billion", 1_000_000_000),
    ("bn", 1_000_000_000),
    ("trillion", 1_000_000_000_000),
];
/// Parts of a whole, and into how many it is parted.
const PARTS: [(&str, u64); 12] = [
    ("half", 2),
    ("third", 3),
    ("quarter", 4),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("hundredth", 100),
    ("thousandth", 1000),
];

/// The factor that a word behind a number stands for, as in `2.5 million`; a plural too.
pub(super) fn scale(word: &str) -> Option<Number> {
    let word = word.strip_suffix('s').unwrap_or(word);
    let found = SCALES.iter().find(|(name, _)| *name == word)?;
    Some(Number::from(found.1))
}

/// The number that `text` begins with: its bytes, and its value, `None` where the words make no number (`one two`).
pub(super) fn read(text: &str) -> Option<(usize, Option<Number>)> {
    if !may_begin(text) {
        return None;
    }
    let words = Words::new(text);
    let first = words.at(0)?;
    if is_article(&first.text)
        && let Some(second) = words.at(1)
    {
        if second.text == "dozen" {
            return Some((second.end, Some(Number::from(12))));
        }
        if let Some((into, false)) = part(&second.text) {
            return Some((second.end, Number::from(1).over(&Number::from(into))));
        }
    }
    if first.text == "half" {
        // `half of them` and `half a million` are no numbers by themselves.
        let more = words
            .at(1)
            .is_some_and(|word| word.text == "of" || is_article(&word.text));
        let value = Number::from(1).over(&Number::from(2)).filter(|_| !more);
        return Some((first.end, value));
    }
    let (mut count, mut value) = cardinal(&words)?;
    if count == 1 && first.text == "one" && words.at(1).is_some_and(|word| word.text == "of") {
        value = None; // `one of them` counts nothing
    }
    if let Some(next) = words.at(count)
        && let Some((into, plural)) = part(&next.text)
    {
        // `one third`, `two thirds`; but `twenty third` counts.
        let fits = plural != (value == Some(Number::from(1)));
        value = value
            .filter(|_| fits)
            .and_then(|value| value.over(&Number::from(into)));
        count += 1;
    } else if let Some((more, fraction)) = and_part(&words, count) {
        value = value.map(|value| value.and(&fraction));
        count += more;
    }
    Some((words.at(count - 1)?.end, value))
}

/// Whether a number may begin with the first word of `text`; a word costs no more than this as a rule.
fn may_begin(text: &str) -> bool {
    let len = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    let first = text[..len].to_lowercase();
    let first = first.as_str();
    SMALL.contains(&first) || TENS.contains(&first) || first == "half" || is_article(first)
}

fn is_article(word: &str) -> bool {
    matches!(word, "a" | "an")
}

/// ` and a half` behind a number: its bytes, and what it adds.
pub(super) fn and_a_part(text: &str) -> Option<(usize, Number)> {
    let words = Words::new(text);
    let (count, value) = and_part(&words, 0)?;
    Some((words.at(count - 1)?.end, value))
}

fn and_part(words: &Words, at: usize) -> Option<(usize, Number)> {
    let is = |place: usize, wanted: &[&str]| {
        words
            .at(place)
            .is_some_and(|word| wanted.contains(&word.text.as_str()))
    };
    if !is(at, &["and"]) {
        return None;
    }
    let of = match words.at(at + 1)?.text.as_str() {
        "a" | "an" => 1,
        word => SMALL.iter().position(|name| *name == word)? as u64,
    };
    let (into, _) = part(&words.at(at + 2)?.text)?;
    let value = Number::from(of)
        .over(&Number::from(into))
        .filter(Number::is_part)?;
    Some((3, value))
}

/// A part of a whole by its name, and whether it is in the plural.
fn part(word: &str) -> Option<(u64, bool)> {
    let (name, plural) = match word.strip_suffix('s') {
        Some("halve") => ("half", true),
        Some(name) => (name, true),
        None => (word, false),
    };
    let found = PARTS.iter().find(|(each, _)| *each == name)?;
    Some((found.1, plural))
}

/// As many words as make up a cardinal number, and its value.
fn cardinal(words: &Words) -> Option<(usize, Option<Number>)> {
    let mut total = Number::from(0);
    let (mut group, mut last_scale, mut sound) = (None::<u64>, u64::MAX, true);
    let mut count = 0;
    let mut place = 0;
    while let Some(word) = words.at(place) {
        let small = SMALL
            .iter()
            .position(|name| *name == word.text)
            .map(|n| n as u64);
        let tens = TENS
            .iter()
            .position(|name| *name == word.text)
            .map(|n| (n as u64 + 2) * 10);
        let scale = SCALES.iter().find(|(name, _)| *name == word.text);
        if count == 0 && is_article(&word.text) {
            // `a hundred`
            if !words
                .at(1)
                .is_some_and(|next| SCALES.iter().any(|(name, _)| *name == next.text))
            {
                break;
            }
            group = Some(1);
        } else if let Some(add) = small.or(tens) {
            let before = group.unwrap_or(0);
            let fits = match (group, add) {
                (None, _) => true,
                (Some(_), 0) => false,
                // `twenty five`, `one hundred five`; not `ten five`.
                (Some(_), 1..10) => before.is_multiple_of(10) && before % 100 != 10,
                (Some(_), _) => before.is_multiple_of(100),
            };
            sound &= fits;
            group = Some(before.saturating_add(add));
        } else if word.text == "hundred" && count > 0 {
            sound &= group.is_some_and(|n| (1..100).contains(&n));
            group = group.map(|n| n.saturating_mul(100));
        } else if let Some((_, scale)) = scale.filter(|_| count > 0) {
            sound &= *scale < last_scale && group.is_some_and(|n| n > 0);
            let scaled = Number::from(group.unwrap_or(0)).times(&Number::from(*scale));
            total = total.and(&scaled);
            (group, last_scale) = (None, *scale);
        } else if word.text == "and" && count > 0 {
            // `one hundred and five`: it joins where hundreds stand before it and less behind.
            let joins = group.is_none_or(|n| n.is_multiple_of(100))
                && words.at(place + 1).is_some_and(|next| {
                    SMALL.contains(&next.text.as_str()) || TENS.contains(&next.text.as_str())
                });
            if !joins || and_part(words, place).is_some() {
                break;
            }
            place += 1;
            continue;
        } else if word.text == "point" && count > 0 {
            let Some((more, decimals)) = decimals(words, place + 1) else {
                break;
            };
            let whole = total.and(&Number::from(group.unwrap_or(0)));
            return Some((place + 1 + more, sound.then(|| whole.and(&decimals))));
        } else {
            break;
        }
        place += 1;
        count = place;
    }
    let value = total.and(&Number::from(group.unwrap_or(0)));
    (count > 0).then(|| (count, sound.then_some(value)))
}

/// `five two` behind `point`.
fn decimals(words: &Words, from: usize) -> Option<(usize, Number)> {
    let mut digits = String::from("0.");
    let mut place = from;
    while let Some(word) = words.at(place)
        && let Some(digit) = SMALL[..10].iter().position(|name| *name == word.text)
    {
        digits.push_str(&digit.to_string());
        place += 1;
    }
    (place > from).then_some((place - from, Number::decimal(&digits)?))
}

/// The words that a text begins with, parted by blanks or hyphens, as long as a number may be.
struct Words(Vec<Word>);

struct Word {
    text: String,
    end: usize,
}

/// Words of a number, at most.
const MOST_WORDS: usize = 40;

impl Words {
    fn new(text: &str) -> Self {
        let mut words = Vec::new();
        let mut at = 0;
        while words.len() < MOST_WORDS {
            let rest = &text[at..];
            let gap = rest
                .find(|c: char| !matches!(c, ' ' | '-'))
                .unwrap_or(rest.len());
            let word = &rest[gap..];
            let len = word
                .find(|c: char| !c.is_alphabetic())
                .unwrap_or(word.len());
            if len == 0 {
                break;
            }
            at += gap + len;
            words.push(Word {
                text: word[..len].to_lowercase(),
                end: at,
            });
        }
        Self(words)
    }

    fn at(&self, place: usize) -> Option<&Word> {
        self.0.get(place)
    }
}
