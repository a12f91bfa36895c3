//! What stands around a number and belongs to it: currencies, units, per cents, and words that multiply it.

use super::{Number, words};
use crate::text::word_list::is_listed;

/// Words that part what is told before them from what is told behind them; no unit is called so.
pub(super) const PARTING: &str = "or and but so then because since which that if when while as where is are was were therefore \
    thus hence until to not";
/// Words behind a number that make another of it.
pub(super) const CHANGING: &str = "squared cubed factorial dozen dozens score gross";
/// Units that may be joined to a number's digits. Letters that mean more than one thing there (`5m`, `5k`, `20s`) are none.
pub(super) const UNITS: &str = "g kg mg cm mm km ft in yd yds mi lb lbs oz l ml gal h hr hrs sec secs min mins ms am pm mph kph \
    kb mb gb tb hz khz mhz ghz kw kwh kcal c p usd eur gbp inr cad year years";
/// Letters before a number that name a currency.
pub(super) const CURRENCIES: &str = "usd eur gbp inr cad aud rmb cny jpy chf rs";
/// Letters joined to an amount of money that multiply it: `$5k`, `$2.5bn`.
pub(super) const MONEY_SCALES: [(&str, u64); 10] = [
    ("k", 1000),
    ("K", 1000),
    ("m", 1_000_000),
    ("M", 1_000_000),
    ("mn", 1_000_000),
    ("mm", 1_000_000),
    ("b", 1_000_000_000),
    ("B", 1_000_000_000),
    ("bn", 1_000_000_000),
    ("T", 1_000_000_000_000),
];
/// Chinese and Japanese letters that multiply the number before them.
pub(super) const UNSPACED_SCALES: [(char, u64); 9] = [
    ('\u{5341}', 10),
    ('\u{767e}', 100),
    ('\u{5343}', 1000),
    ('\u{4e07}', 10_000),
    ('\u{842c}', 10_000),
    ('\u{5104}', 100_000_000),
    ('\u{4ebf}', 100_000_000),
    ('\u{5146}', 1_000_000_000_000),
    ('\u{96f6}', 0),
];

/// Whether `c` is the sign of a currency.
pub(super) fn is_currency(c: char) -> bool {
    matches!(
        c,
        '$' | '\u{a2}' | '\u{a3}' | '\u{a5}' | '\u{e3f}' | '\u{20a0}'..='\u{20c0}'
    )
}

/// What multiplies the number before `text`, with its bytes: `million`, a sign of percent; `None` for `squared`, and for
/// `dozen`, which may be meant as the unit.
pub(super) fn behind_number(text: &str) -> (usize, Option<Number>) {
    let mut factor = Number::from(1);
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let word_at = rest
            .find(|c: char| !matches!(c, ' ' | '-'))
            .unwrap_or(rest.len());
        let word = &rest[word_at..];
        let len = word
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(word.len());
        let name = word[..len].to_lowercase();
        if is_listed(CHANGING, &name) && word_at > 0 {
            return (at + word_at + len, None);
        }
        let Some(scale) = words::scale(&name).filter(|_| word_at > 0) else {
            break;
        };
        factor = factor.times(&scale);
        at += word_at + len;
    }
    let rest = text[at..].trim_start_matches(' ');
    let signs = rest
        .find(|c: char| c != '%' && c != '\u{b0}')
        .unwrap_or(rest.len());
    let mut end = if signs > 0 {
        text.len() - rest.len() + signs
    } else {
        at
    };
    if rest[..signs].ends_with('\u{b0}') && rest[signs..].starts_with(['C', 'F']) {
        end += 1;
    }
    (end, Some(factor))
}

/// Whether words of this letter's script stand without blanks between them.
pub(in crate::text) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{30ff}'
        | '\u{3100}'..='\u{312f}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
