//! Whether two answers of mathematics are equal values: `\frac{1}{2}` and `0.5`, `(x+1)^2` and `x^2+2x+1`.
//!
//! [`equal`] compares a gold answer with a given one, [`extract`] finds the answer that an output declares, [`check`] does
//! both. Nothing is guessed: what is not certain is [`Match::Unsure`]. `docs/verifiers.md` has the rules.
//!
//! 1. `token` (with `glyph`, `radical`): a text as tokens, LaTeX and plain notation alike;
//! 2. `read` (with `bracket`, `relation`, `amount`, `unit`, `words`): tokens as a `value::Value`; `parse`: as an
//!    `expr::Expr`;
//! 3. `normal` (with `form`, `root`, `trig`): an expression as a quotient of polynomials, exact; `approx`: near enough to tell
//!    two apart;
//! 4. `decide`: two expressions; `quantity`, `interval`, `equation`, `compare`: two values.

mod amount;
mod approx;
mod bracket;
mod compare;
mod decide;
mod equation;
mod expr;
mod extract;
mod form;
mod glyph;
mod interval;
mod normal;
mod parse;
mod power;
mod quantity;
mod radical;
mod read;
mod relation;
mod root;
mod token;
mod trig;
mod unit;
mod value;
mod words;

pub use decide::Match;
pub use extract::extract;

use amount::Letters;
use compare::compare;
use form::Work;
use token::{Commas, Token, What, tokens};
use value::Value;

use crate::text::{composed, fold, whole_number};

/// Bytes of an answer at most (ours): what is longer is no answer, and only the same text is equal to it.
const LONGEST: usize = 2000;

/// Bytes of a number in a notation of its own at most (ours).
const LONGEST_NUMBER: usize = 100;

/// Whether `given`, an answer without the words around it, is the value that `gold` is. Which of them comes first makes
/// no difference.
///
/// ```
/// use sert_run::verify::math::{Match, equal};
///
/// assert_eq!(equal(r"\frac{1}{2}", "0.5"), Match::Equal);
/// assert_eq!(equal("(1, 2)", "(2, 1)"), Match::Different);
/// assert_eq!(equal(r"10\%", "10"), Match::Unsure);
/// ```
pub fn equal(gold: &str, given: &str) -> Match {
    if gold.len() > LONGEST || given.len() > LONGEST {
        let same = fold(gold) == fold(given) && !gold.trim().is_empty();
        return if same { Match::Equal } else { Match::Unsure };
    }
    let (gold, given) = (Readings::of(gold), Readings::of(given));
    if is_same(&gold.tokens, &given.tokens) {
        return Match::Equal;
    }
    let mut work = Work::new();
    let first = compare(&gold.all[0].value, &given.all[0].value, &mut work);
    if first != Match::Different {
        return first;
    }
    // What is different as it is usually read may be equal as it can be read as well.
    let mut found = first;
    for (place, one) in gold.all.iter().enumerate() {
        for (other, two) in given.all.iter().enumerate() {
            if place + other == 0 {
                continue;
            }
            let as_unit = [one, two]
                .iter()
                .any(|reading| reading.letters == Letters::Units)
                && (has_unit(&one.value) || has_unit(&two.value));
            // A letter is a unit where the other side has that unit in words.
            let certain = |a: &Reading, b: &Reading| {
                a.letters == Letters::Units && has_unit(&b.value) && b.letters == Letters::Variables
            };
            match compare(&one.value, &two.value, &mut work) {
                Match::Equal if certain(one, two) || certain(two, one) => return Match::Equal,
                Match::Equal => found = Match::Unsure,
                // `5 t` and `5000 kg`: units that may be one.
                Match::Unsure if as_unit => found = Match::Unsure,
                _ => {}
            }
        }
    }
    found
}

/// Whether the answer that `output` declares is the value that `gold` is; unsure where it declares none.
pub fn check(gold: &str, output: &str) -> Match {
    extract(output).map_or(Match::Unsure, |given| equal(gold, &given))
}

/// The ways in which a text can be read, the usual one first.
struct Readings {
    tokens: Vec<Token>,
    all: Vec<Reading>,
}

struct Reading {
    value: Value,
    letters: Letters,
}

impl Readings {
    fn of(text: &str) -> Self {
        let text = composed(&radical::radicals(text));
        let text = text.as_str();
        let grouped = tokens(text, Commas::Group);
        let mut all = Vec::new();
        let mut add = |tokens: &[Token], letters: Letters| {
            all.push(Reading {
                value: read::read(tokens, letters),
                letters,
            });
        };
        add(&grouped, Letters::Variables);
        if text.contains(',') {
            let parted = tokens(text, Commas::Part);
            if !is_same(&grouped, &parted) {
                add(&parted, Letters::Variables);
            }
        }
        if let [first, .., last] = &grouped[..]
            && matches!(
                first.what,
                What::Number(..) | What::Sign('-' | '$') | What::Command(_)
            )
            && match &last.what {
                What::Letter(_) | What::Number(..) | What::Sign('}') => true,
                What::Word(word, _) => amount::is_unit_or_product(word),
                _ => false,
            }
        {
            add(&grouped, Letters::Units);
        }
        // `3,5` may be a decimal, `123, 456` a number with a blank too many.
        if text.contains([',', ' '])
            && text.len() <= LONGEST_NUMBER
            && let Some(number) =
                whole_number(text).or_else(|| whole_number(&text.replace(", ", ",")))
        {
            all.push(Reading {
                value: Value::scalar(expr::Expr::Number(number.rational().clone())),
                letters: Letters::Variables,
            });
        }
        Self {
            tokens: grouped,
            all,
        }
    }
}

/// Whether two texts are one, but for blanks and the case of words that are no signs of units.
fn is_same(a: &[Token], b: &[Token]) -> bool {
    let one = |a: &Token, b: &Token| match (&a.what, &b.what) {
        (What::Word(a, _), What::Word(b, _)) => {
            fold(a) == fold(b) && unit::cased(a) == unit::cased(b)
        }
        (What::Sign('\u{fffd}'), _) => false,
        (What::Number(a, _), What::Number(b, _)) => a == b,
        (a, b) => a == b,
    };
    !a.is_empty() && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| one(a, b))
}

fn has_unit(value: &Value) -> bool {
    matches!(value, Value::Scalar { unit: Some(_), .. })
}

#[cfg(test)]
mod tests;
