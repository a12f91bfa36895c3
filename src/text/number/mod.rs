//! Numbers as people and models write them, read exactly.
//!
//! In: text in NFKC and without markup. Out: [`Number`], or nothing. A notation is read whole or not at all: `1,234`,
//! `1,00,000`, `10 000`, `1.5e3`, `1/2`, `2.5 million`, `twelve` are numbers; `1.2.3`, `10-12` and `2024-05-01` are
//! none, and never a part of themselves. `docs/answers.md` has the table of cases.
//!
//! 1. `digits`: a notation in digits; `words`: one spelled out;
//! 2. `tokens`: a text as numbers, signs and words, the `units` of numbers with them;
//! 3. `statement`: numbers and signs that belong together, and the one number that they come to.

mod digits;
mod statement;
mod tokens;
mod units;
mod value;
mod words;

pub(super) use statement::{Statement, statements};
pub(super) use units::is_unspaced;
pub use value::Number;

/// The number that all of `text` is, in any notation, with a sign of currency or per cent at most: `$18`, `50%`, `.5`.
pub(crate) fn whole(text: &str) -> Option<Number> {
    let text = text.trim().trim_end_matches('.');
    let mut found = statements(text).into_iter();
    let (Some(only), None) = (found.next(), found.next()) else {
        return None;
    };
    let around = [&text[..only.start], &text[only.end..]];
    let bare = around.iter().all(|part| {
        part.chars()
            .all(|c| c.is_whitespace() || units::is_currency(c))
    });
    let equation = text.contains(['=', '\u{2248}', '\u{2192}']);
    only.value.filter(|_| bare && !equation)
}
