//! Answers that are known by their shape: matrices, ratios, numbers in a base; and what stands around any.

use num_bigint::BigInt;

use super::MOST_ITEMS;
use crate::verify::math::bracket;
use crate::verify::math::expr::Expr;
use crate::verify::math::parse::expression;
use crate::verify::math::token::{Token, What};
use crate::verify::math::value::Value;

pub(super) fn is_sign(what: &What, signs: &[char]) -> bool {
    matches!(what, What::Sign(c) if signs.contains(c))
}

pub(super) fn is_word(what: &What, words: &[&str]) -> bool {
    matches!(what, What::Word(word, _) if words.contains(&word.to_lowercase().as_str()))
}

/// `tokens` without the marks around them and the group that all of them stand in.
pub(super) fn trimmed(tokens: &[Token]) -> &[Token] {
    let mut tokens = tokens;
    loop {
        let before = tokens.len();
        while let [rest @ .., last] = tokens
            && is_sign(&last.what, &['.', ',', ';', '"'])
        {
            tokens = rest;
        }
        while let [first, rest @ ..] = tokens
            && (is_sign(&first.what, &['"', ':'])
                || is_word(
                    &first.what,
                    &[
                        "about",
                        "approximately",
                        "roughly",
                        "exactly",
                        "only",
                        "just",
                    ],
                ) && !rest.is_empty())
        {
            tokens = rest;
        }
        if let Some(('{', '}', inner)) = bracket::inside(tokens)
            && bracket::split(inner, |what| is_sign(what, &[',']))
                .1
                .is_empty()
        {
            tokens = inner;
        }
        if tokens.len() == before {
            return tokens;
        }
    }
}

/// The rows of a matrix, each cell as `read` reads it.
pub(super) fn matrix(tokens: &[Token], read: &dyn Fn(&[Token]) -> Value) -> Option<Value> {
    let (Some(What::Begin(begin)), Some(What::End(end))) = (
        tokens.first().map(|token| &token.what),
        tokens.last().map(|token| &token.what),
    ) else {
        return None;
    };
    if !matches!(begin.as_str(), "pmatrix" | "bmatrix") || begin != end {
        return Some(Value::Unread);
    }
    let inner = &tokens[1..tokens.len() - 1];
    let (mut rows, _) = bracket::split(inner, |what| *what == What::Row);
    if rows.last().is_some_and(|row| row.is_empty()) {
        rows.pop();
    }
    let mut cells = 0;
    let mut all = Vec::new();
    for row in rows {
        let (parts, _) = bracket::split(row, |what| is_sign(what, &['&']));
        cells += parts.len();
        if cells > MOST_ITEMS {
            return Some(Value::Unread);
        }
        all.push(parts.iter().map(|part| read(part)).collect());
    }
    Some(Value::Matrix { rows: all })
}

pub(super) fn ratio(tokens: &[Token]) -> Option<Value> {
    let (parts, between) = bracket::split(tokens, |what| is_sign(what, &[':']));
    if between.is_empty() {
        return None;
    }
    // `10:30` may be a time.
    let time = matches!(&parts[..], [_, [Token { what: What::Number(_, digits), .. }]] if digits.len() == 2);
    let exprs: Option<Vec<Expr>> = parts.iter().take(5).map(|part| expression(part)).collect();
    let exprs = exprs.filter(|exprs| exprs.len() < 5 && !time)?;
    Some(Value::Ratio { parts: exprs })
}

/// Digits with the base behind them, lowered: `1011_2`, `\text{4C7}_{16}`.
pub(super) fn based(tokens: &[Token]) -> Option<Value> {
    let at = tokens
        .iter()
        .position(|token| token.what == What::Sign('_'))?;
    let base = match &tokens[at + 1..] {
        [
            Token {
                what: What::Number(_, base),
                ..
            },
        ] => base,
        [
            open,
            Token {
                what: What::Number(_, base),
                ..
            },
            close,
        ] if is_sign(&open.what, &['{']) && is_sign(&close.what, &['}']) => base,
        _ => return None,
    };
    let base: u32 = base.parse().ok().filter(|base| (2..=36).contains(base))?;
    let mut digits = String::new();
    for token in trimmed(&tokens[..at]) {
        match &token.what {
            What::Number(_, text) | What::Word(text, _) | What::Letter(text) => {
                digits.push_str(&text.to_lowercase());
            }
            _ => return None,
        }
    }
    let number = tokens
        .iter()
        .take(at)
        .any(|token| matches!(token.what, What::Number(..)));
    let value =
        BigInt::parse_bytes(digits.as_bytes(), base).filter(|_| number && digits.len() < 200)?;
    Some(Value::Based {
        value,
        digits,
        base,
    })
}
