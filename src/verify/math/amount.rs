//! A number or an expression with its unit: `5 cm`, `$18`, `50\%`, `2.5 million dollars`.

use num_rational::BigRational;
use num_traits::One;

use super::bracket;
use super::expr::Expr;
use super::parse::{expression, is_product};
use super::token::{Token, What};
use super::unit::{self, Unit};
use super::value::Value;
use crate::text::whole_number;

/// Whether a single letter behind a number is read as a unit: `5 m`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Letters {
    Variables,
    Units,
}

/// The amount that all of `tokens` is.
pub(super) fn amount(tokens: &[Token], letters: Letters) -> Option<Value> {
    read(tokens, letters, false)
}

/// The amount that `tokens` is; of `money`, where the sign of a currency stood before it.
fn read(tokens: &[Token], letters: Letters, of_money: bool) -> Option<Value> {
    if let Some((What::Word(word, _), rest)) = tokens
        .split_first()
        .map(|(first, rest)| (&first.what, rest))
        && let Some(sign) = unit::sign_of(word)
    {
        let rest = if rest.first()?.what == What::Sign('.') {
            &rest[1..]
        } else {
            rest
        };
        return money(rest, false, sign);
    }
    let (minus, rest) = signed(tokens);
    if let Some(What::Sign(sign)) = rest.first().map(|token| &token.what)
        && Unit::currency(*sign).is_some()
    {
        return match rest.last().map(|token| &token.what) {
            Some(What::Letter(_)) if letters == Letters::Units => {
                match read(&rest[1..], letters, true)? {
                    Value::Scalar { expr, unit } if minus => Some(Value::Scalar {
                        expr: Expr::Negated(Box::new(expr)),
                        unit,
                    }),
                    value => Some(value),
                }
            }
            _ => money(&rest[1..], minus, *sign),
        };
    }
    let Some(at) = bracket::first(tokens, |at, token| begins_unit(tokens, at, token, letters))
    else {
        return expression(tokens).map(Value::scalar);
    };
    let (mut expr, mut at) = (expression(&tokens[..at])?, at);
    while let Some(factor) = scale(&tokens[at]) {
        (expr, at) = (expr.times(&factor), at + 1);
        if at == tokens.len() {
            return Some(Value::scalar(expr));
        }
    }
    if let What::Letter(letter) = &tokens[at].what {
        let number = matches!(expr, Expr::Number(_));
        let zeros = ["k", "K", "M", "B", "T"]
            .iter()
            .zip([3, 3, 6, 9, 12])
            .find(|(scale, _)| *scale == letter);
        // `5K` is 5000, `5 K` a temperature.
        let kelvin = letter == "K" && tokens[at].spaced && !of_money;
        match zeros {
            _ if !number => return None,
            Some((_, zeros)) if at + 1 == tokens.len() && !kelvin => {
                return Some(Value::scalar(
                    expr.times(&BigRational::from_integer(10_i64.pow(zeros).into())),
                ));
            }
            _ => {}
        }
    }
    let unit = Some(Unit::read(&tokens[at..])?);
    Some(Value::Scalar { expr, unit })
}

fn signed(tokens: &[Token]) -> (bool, &[Token]) {
    match tokens.first().map(|token| &token.what) {
        Some(What::Sign('-')) => (true, &tokens[1..]),
        _ => (false, tokens),
    }
}

/// What stands behind the sign of a currency.
fn money(tokens: &[Token], minus: bool, sign: char) -> Option<Value> {
    let per = |at: usize, token: &Token| {
        let slash =
            token.what == What::Sign('/') && matches!(tokens.get(at + 1)?.what, What::Word(..));
        Some(slash || matches!(token.what, What::Word(..)))
    };
    let at =
        bracket::first(tokens, |at, token| per(at, token) == Some(true)).unwrap_or(tokens.len());
    let (mut expr, mut at) = (expression(&tokens[..at])?, at);
    while let Some(factor) = tokens.get(at).and_then(scale) {
        (expr, at) = (expr.times(&factor), at + 1);
    }
    if minus {
        expr = Expr::Negated(Box::new(expr));
    }
    // `$5 per hour`: what stands behind is below the sign.
    let mut unit = vec![Token {
        what: What::Sign(sign),
        spaced: false,
    }];
    unit.extend_from_slice(&tokens[at..]);
    let unit = Unit::read(&unit)?;
    Some(Value::Scalar {
        expr,
        unit: Some(unit),
    })
}

/// Whether the unit of what stands before begins with the token at `at`.
fn begins_unit(tokens: &[Token], at: usize, token: &Token, letters: Letters) -> bool {
    match &token.what {
        What::Word(word, declared) => {
            let known = unit::is_known(word) && (letters == Letters::Units || !is_time(word));
            let variables = is_product(word) && !token.spaced && !known;
            // In `2 + xy` it stands behind a sign.
            let behind = matches!(
                tokens[at - 1].what,
                What::Number(..)
                    | What::Sign(')' | '}' | ']' | '!')
                    | What::Name(_)
                    | What::Letter(_)
                    | What::Word(..)
            );
            (*declared || !variables) && behind
        }
        What::Sign('%' | '\u{a2}') => true,
        // `5/s`, and `5 1/s`
        What::Sign('/') => is_number(&tokens[at - 1]) && is_below(tokens, at + 1, letters),
        What::Number(value, _) => {
            let slash = tokens
                .get(at + 1)
                .is_some_and(|token| token.what == What::Sign('/'));
            let one = value.is_one() && token.spaced && slash;
            one && is_number(&tokens[at - 1]) && is_below(tokens, at + 2, letters)
        }
        // `\sin 30^\circ` is no number of degrees.
        What::Sign('\u{b0}')
            if tokens[..at]
                .iter()
                .any(|token| matches!(token.what, What::Name(name) if name != "pi")) =>
        {
            false
        }
        What::Sign('\u{b0}') => {
            at + 1 == tokens.len()
                || matches!(&tokens[at + 1].what, What::Letter(scale) if matches!(scale.as_str(), "C" | "F"))
        }
        What::Sign(sign) => at + 1 == tokens.len() && Unit::currency(*sign).is_some(),
        What::Letter(letter) => {
            let ton = letter == "t" && token.spaced;
            letters == Letters::Units && is_number(&tokens[at - 1]) && (is_unit(letter) || ton)
        }
        _ => false,
    }
}

/// Whether a single letter behind a number is the sign of a unit, or of a number of zeros.
fn is_unit(letter: &str) -> bool {
    "mgshLlCFNJWVkKMBT".contains(letter)
}

fn is_number(token: &Token) -> bool {
    matches!(token.what, What::Number(..) | What::Sign('}' | ')'))
}

/// Whether the unit that begins at `at` stands below a line.
fn is_below(tokens: &[Token], at: usize, letters: Letters) -> bool {
    match tokens.get(at).map(|token| &token.what) {
        Some(What::Letter(letter)) => letters == Letters::Units && is_unit(letter),
        Some(What::Word(word, _)) => {
            unit::is_known(word) && (letters == Letters::Units || !is_product(word))
        }
        _ => false,
    }
}

/// `am` and `pm`, which may be products too.
fn is_time(word: &str) -> bool {
    matches!(word.to_lowercase().as_str(), "am" | "pm")
}

/// Whether `word` may be a unit or letters side by side: `cm`, `pm`.
pub(super) fn is_unit_or_product(word: &str) -> bool {
    is_product(word) && unit::is_known(word)
}

/// The factor that a word behind a number stands for: `million`.
fn scale(token: &Token) -> Option<BigRational> {
    let What::Word(word, _) = &token.what else {
        return None;
    };
    let word = word.to_lowercase();
    let scales = [
        "hundred", "thousand", "million", "billion", "trillion", "lakh", "crore",
    ];
    scales
        .contains(&word.as_str())
        .then(|| whole_number(&format!("1 {word}")))?
        .map(|number| number.rational().clone())
}

/// The number that words say, and what it counts: `twelve`, `negative three`, `twenty-five apples`.
pub(super) fn spelled(tokens: &[Token]) -> Option<Value> {
    let mut words = Vec::new();
    for token in tokens {
        match &token.what {
            What::Word(word, _) | What::Number(_, word) => words.push(word.as_str()),
            What::Letter(letter) if letter == "a" => words.push("a"),
            _ => return None,
        }
    }
    if words
        .iter()
        .all(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        || words.len() > 24
    {
        return None;
    }
    for counted in 0..=3.min(words.len() - 1) {
        let split = words.len() - counted;
        if let Some(number) = whole_number(&words[..split].join(" ")) {
            let unit = if counted == 0 {
                None
            } else {
                Some(Unit::read(&tokens[split..])?)
            };
            let digits = matches!(tokens[0].what, What::Number(..));
            return (!digits || counted == 0).then(|| Value::Scalar {
                expr: Expr::Number(number.rational().clone()),
                unit,
            });
        }
    }
    None
}

/// Amounts of units from the larger to the smaller, told together: `2 hours 30 minutes`.
pub(super) fn together(parts: &[Value]) -> Option<Value> {
    let mut terms = Vec::new();
    let mut before: Option<&Unit> = None;
    for part in parts {
        let Value::Scalar {
            expr: Expr::Number(number),
            unit: Some(unit),
        } = part
        else {
            return None;
        };
        let smaller = before.is_none_or(|before| {
            unit.dimensions == before.dimensions && unit.factor < before.factor
        });
        if !unit.known || !smaller {
            return None;
        }
        terms.push(Expr::Number(number * &unit.factor));
        before = Some(unit);
    }
    let mut unit = before.filter(|_| terms.len() > 1)?.clone();
    unit.factor = BigRational::one();
    Some(Value::Scalar {
        expr: Expr::Sum(terms),
        unit: Some(unit),
    })
}

/// Where numbers stand behind words, so that several amounts may be told together.
pub(super) fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let mut found = Vec::new();
    let mut start = 0;
    if !matches!(
        tokens.first().map(|token| &token.what),
        Some(What::Number(..))
    ) {
        return vec![tokens];
    }
    for at in 1..tokens.len() {
        let number = matches!(tokens[at].what, What::Number(..));
        if number && matches!(tokens[at - 1].what, What::Word(..)) {
            found.push(&tokens[start..at]);
            start = at;
        }
    }
    found.push(&tokens[start..]);
    found
}
