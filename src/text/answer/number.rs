//! A number, out of plain text.
//!
//! Notations are `text::number`'s; here it is decided which of a text's numbers is the answer, and whether it is one at
//! all: not where several are joined (`5 or 6`), where it is a bound (`more than 5`), or where it is denied.

use std::sync::LazyLock;

use regex::Regex;

use super::marks::{Mark, Sort};
use super::{Parsed, sentence, stance};
use crate::text::number::{Statement, statements, whole};
use crate::text::word_list::are_listed;

/// Words that may stand between a mark and its number.
const LEADS: &str = "is are was be equals equal to about around approximately approx roughly exactly precisely just \
    only simply therefore thus so then hence a an the total of sum that it would will should must we \
    get have there i think believe probably likely definitely clearly at least most up value number \
    answer result rs usd x";
/// Words behind a number at most, where it is all that a box or a line holds: its unit.
const UNIT_WORDS: usize = 4;

/// As many words before a number say whether it is denied.
const NEAR_WORDS: usize = 5;

/// Between two numbers that are told together: `5 or 6`, `5 apples, 3 pears`, `10 to 12`.
static JOINT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\s*(?:[\p{L}.]+\s+){0,2}?[\p{L}.]*\s*(?:[,/&;\u{2013}\u{2014}-]|\b(?:or|and|to|until|till|through|versus|vs)\b)[\s,]*(?:(?:or|and|maybe|perhaps|possibly|even|to)\s+)*(?:\p{L}\s*)?[\p{Sc}\s(]*$",
    )
});
/// Before a number that is not the answer but a bound of it.
static BOUND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:more|less|fewer|greater|larger|smaller|higher|lower|other|rather)\s+than|over|under|above|below|almost|nearly|beyond|exceeds?|between)\s*[\p{Sc}(]*$",
    )
});
/// The same, behind it: `5 or more`.
static OPEN_ENDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\s*(?:[\p{L}]+\s+)?(?:or\s+(?:so|more|less|fewer|higher|lower|greater|above|below|over|under)|and\s+(?:up|above|more|over)|plus|ish)\b",
    )
});
/// Between a number and an equation that gives a reason for it.
static REASON: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:because|since|as|where|given|for)\b|\("));
/// Units that are told together with smaller ones: `5 feet 6 inches`; and the months of dates.
static COMPOUND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\s*(?:feet|foot|ft|hours?|hrs?|h|minutes?|mins?|pounds?|lbs?|dollars?|euros?|meters?|metres?|m|kilograms?|kg|kilometers?|kilometres?|km|years?|months?|weeks?|days?|degrees?|(?:january|february|march|april|may|june|july|august|september|october|november|december),?)\.?\s*$",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed, tested pattern")
}

/// The answer in what a mark leads to; `None` where it has none.
pub(super) fn marked(mark: &Mark<'_>) -> Option<Parsed> {
    let scope = match mark.sort {
        Sort::Sentence => sentence::first(mark.part).0,
        Sort::Label | Sort::Box | Sort::CutBox | Sort::Hashes => mark.part,
    };
    let found = Numbers::of(scope);
    let first = found.all.first()?;
    let before = &scope[..first.start];
    if is_lead(before) {
        let behind = &scope[first.end..];
        if mark.sort == Sort::Hashes && is_heading(mark, behind) {
            return None;
        }
        if mark.sort == Sort::Box && words(behind) > UNIT_WORDS {
            return Some(Parsed::Ambiguous);
        }
        // `is - 5` may be a dash or a sign.
        let dash = before.trim().ends_with(['-', '\u{2212}', '\u{2013}']);
        let line = mark.part.trim_start_matches([' ', ':']).starts_with('\n');
        if (dash && !line) || found.goes_on(scope) {
            return Some(Parsed::Ambiguous);
        }
        return Some(found.read(0, Told::ByMark));
    }
    // `#### Step 2`
    if mark.sort == Sort::Hashes {
        return None;
    }
    // Somewhere in a sentence, it has to be the only one.
    let first = found.read(0, Told::ByMark);
    let same = (1..found.all.len()).all(|place| found.read(place, Told::ByMark) == first);
    Some(if same { first } else { Parsed::Ambiguous })
}

/// Whether a number behind `####` counts a heading: `#### 2. Add them`, `#### 3 ways to see it`. What ends the text, a
/// unit and another sentence leave it an answer.
fn is_heading(mark: &Mark<'_>, behind: &str) -> bool {
    let counted = behind.starts_with(['.', ')', ':']);
    let goes_on = words(behind) > 0;
    let sentence = behind.trim_start().starts_with(char::is_uppercase);
    !mark.closes && goes_on && (counted || !(sentence || words(behind) <= UNIT_WORDS))
}

/// The answer of a text without marks: its last number in digits; or all of it, where that is a number.
pub(super) fn unmarked(text: &str) -> Parsed {
    let found = Numbers::of(text);
    if let Some(last) = found.all.iter().rposition(|number| !number.spelled) {
        return found.read(found.result(last), Told::Last);
    }
    let only = text.trim_matches(|c: char| c.is_whitespace() || "\"'.!*_()".contains(c));
    whole(only).map_or(Parsed::Unparsed, |value| Parsed::Answer(value.to_string()))
}

/// How often a text without marks answers: its numbers in digits, or the one that is all of it.
pub(super) fn count(text: &str) -> usize {
    let found = Numbers::of(text);
    let digits = found.all.iter().filter(|number| !number.spelled).count();
    digits.max(usize::from(matches!(unmarked(text), Parsed::Answer(_))))
}

/// What stands behind the number that `text` opens with and that is the only one in it.
pub(super) fn behind_head(text: &str) -> Option<&str> {
    let found = Numbers::of(text);
    let first = found
        .all
        .first()
        .filter(|first| is_lead(&text[..first.start]))?;
    let alone = !first.equation && found.all.iter().all(|each| each.value == first.value);
    alone.then(|| &text[first.end..])
}

/// Whether nothing but words that lead to an answer stands in `before`.
fn is_lead(before: &str) -> bool {
    are_listed(LEADS, before)
}

fn words(text: &str) -> usize {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .count()
}

/// What makes a number the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A mark leads to it.
    ByMark,
    /// It is the last one.
    Last,
}

/// The numbers of a text. One that is spelled out counts at the head or where it is joined to another: elsewhere
/// `one` is a pronoun.
struct Numbers<'t> {
    text: &'t str,
    all: Vec<Statement>,
}

impl<'t> Numbers<'t> {
    fn of(text: &'t str) -> Self {
        let all = statements(text);
        let kept = (0..all.len()).filter(|&place| {
            !all[place].spelled
                || (place == 0 && is_lead(&text[..all[0].start]))
                || (place > 0 && joint(text, &all[place - 1], &all[place]))
                || all
                    .get(place + 1)
                    .is_some_and(|next| joint(text, &all[place], next))
        });
        let all = kept.map(|place| all[place].clone()).collect();
        let mut numbers = Self { text, all };
        numbers.drop_list();
        numbers
    }

    /// Takes the numbers away by which a list counts its lines: `1.`, `2.` and so on.
    fn drop_list(&mut self) {
        let counts = |number: &Statement, next: u64| {
            let line = self.text[..number.start].rfind('\n').map_or(0, |at| at + 1);
            let behind = &self.text[number.end..];
            number.value == Some(next.into())
                && self.text[line..number.start].trim().is_empty()
                && (behind.starts_with(". ") || behind.starts_with(") "))
        };
        let (mut next, mut places) = (1, Vec::new());
        for (place, number) in self.all.iter().enumerate() {
            if counts(number, next) {
                places.push(place);
                next += 1;
            }
        }
        if places.len() > 1 {
            let mut place = 0;
            self.all.retain(|_| {
                place += 1;
                !places.contains(&(place - 1))
            });
        }
    }

    /// Whether the first number leads to an equation that comes to another: `3 apples at 6 dollars = 18`.
    fn goes_on(&self, scope: &str) -> bool {
        let first = &self.all[0];
        let end = first.end + sentence::first(&scope[first.end..]).0.len();
        let other = self.all[1..].iter().find(|each| {
            each.equation && each.end <= end && each.value.is_some() && each.value != first.value
        });
        other.is_some_and(|other| {
            !first.equation && !REASON.is_match(&scope[first.end..other.start])
        })
    }

    /// Of the sentence whose last number is at `last`, the last equation: `9 + 6 = 15 of the 24`; the number itself
    /// where there is none.
    fn result(&self, last: usize) -> usize {
        let end = self.all[last].start;
        let equation = self.all[..=last].iter().rposition(|number| number.equation);
        let equation = equation.filter(|&place| {
            let behind = &self.text[self.all[place].end..end.max(self.all[place].end)];
            // With a letter in front, for a sentence begins at its first one, and this one has begun.
            !behind.contains('\n') && sentence::first(&format!("x{behind}")).1.is_empty()
        });
        equation.unwrap_or(last)
    }

    /// What the number at `place` answers.
    fn read(&self, place: usize, told: Told) -> Parsed {
        let number = &self.all[place];
        let before = &self.text[..number.start];
        let behind = &self.text[number.end..];
        let near = last_words(before);
        if !number.equation && (stance::denies(near) || stance::leaves_open(near)) {
            return Parsed::Unparsed;
        }
        if behind.trim_start_matches([')', '"']).starts_with('?') {
            return Parsed::Unparsed;
        }
        let bound = BOUND.is_match(near) || OPEN_ENDED.is_match(behind);
        let next_to = |a: usize, b: usize| {
            let (a, b) = (self.all.get(a), self.all.get(b));
            a.zip(b)
                .is_some_and(|(a, b)| a.value != b.value && joint(self.text, a, b))
        };
        // `16 - 3 = 13, 13 * 2 = 26` is a way to the last, not a list.
        let derived = told == Told::Last && number.equation;
        let several =
            next_to(place, place + 1) || (place > 0 && !derived && next_to(place - 1, place));
        match &number.value {
            Some(value) if !bound && !several => Parsed::Answer(value.to_string()),
            _ => Parsed::Ambiguous,
        }
    }
}

/// The last words of the clause that `before` ends with: what denies a number stands near it.
fn last_words(before: &str) -> &str {
    let clause = before
        .rfind([',', ';', ':', '.', '\n', '!', '?'])
        .map_or(0, |at| at + 1);
    let clause = &before[clause..];
    let blanks = clause.trim_end().rmatch_indices(' ').nth(NEAR_WORDS - 1);
    blanks.map_or(clause, |(at, _)| &clause[at..])
}

/// Whether two numbers of `text`, one after the other, are told together.
fn joint(text: &str, a: &Statement, b: &Statement) -> bool {
    let between = &text[a.end..b.start];
    between.len() < 80 && (JOINT.is_match(between) || COMPOUND.is_match(between))
}
