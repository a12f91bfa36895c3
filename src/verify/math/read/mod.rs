//! An answer out of its tokens: what kind of value it is.

mod equation;
mod shape;

use std::cell::RefCell;

use super::amount::{self, Letters};
use super::bracket;
use super::form::Work;
use super::glyph::{SET, SET_END};
use super::token::{Token, What};
use super::value::Value;
use super::words;
use shape::{based, is_sign, is_word, matrix, ratio, trimmed};

/// Answers within answers, and answers side by side, at most (ours).
const MOST_DEPTH: usize = 5;
const MOST_ITEMS: usize = 24;

/// The value that all of `tokens` is.
pub(super) fn read(tokens: &[Token], letters: Letters) -> Value {
    let work = RefCell::new(Work::new());
    Reader { letters, work }.value(tokens, 0)
}

struct Reader {
    letters: Letters,
    /// What may be spent on all chains of sides in the answer.
    work: RefCell<Work>,
}

impl Reader {
    fn value(&self, tokens: &[Token], depth: usize) -> Value {
        let tokens = trimmed(tokens);
        if depth > MOST_DEPTH || tokens.is_empty() {
            return Value::Unread;
        }
        if tokens.len() == 1 && tokens[0].what == What::Name("emptyset") {
            return Value::Empty;
        }
        if let Some(value) = amount::spelled(tokens) {
            return value;
        }
        // `x \in (1, 2)`
        if let [
            Token {
                what: What::Letter(_),
                ..
            },
            Token {
                what: What::Sign('\u{2208}'),
                ..
            },
            set @ ..,
        ] = tokens
        {
            let value = self.value(set, depth + 1);
            return if value.is_range() || matches!(value, Value::List { .. } | Value::Tuple { .. })
            {
                value
            } else {
                Value::Unread
            };
        }
        self.union(tokens, depth)
            .or_else(|| self.list(tokens, depth))
            .or_else(|| self.relation(tokens, depth))
            .or_else(|| self.bracketed(tokens, depth))
            .or_else(|| matrix(tokens, &|cell| self.value(cell, depth + 1)))
            .or_else(|| ratio(tokens))
            .or_else(|| based(tokens))
            .or_else(|| letters(tokens))
            .or_else(|| self.amount(tokens))
            .or_else(|| words::folded(tokens))
            .unwrap_or(Value::Unread)
    }

    /// Intervals with signs of union between them.
    fn union(&self, tokens: &[Token], depth: usize) -> Option<Value> {
        let (parts, between) = bracket::split(tokens, |what| is_sign(what, &['\u{222a}']));
        if between.is_empty() {
            return None;
        }
        let values: Vec<Value> = parts
            .iter()
            .take(MOST_ITEMS + 1)
            .map(|part| self.value(part, depth + 1))
            .collect();
        Some(joined(&values).unwrap_or(Value::Unread))
    }

    fn list(&self, tokens: &[Token], depth: usize) -> Option<Value> {
        let (parts, between) = bracket::split(tokens, |what| {
            is_sign(what, &[',', ';']) || is_word(what, &["and", "or"])
        });
        let filled: Vec<&&[Token]> = parts.iter().filter(|part| !part.is_empty()).collect();
        if between.is_empty() {
            return None;
        }
        // `5, and 6` has one empty part; `,5` and `5,,6` are no lists.
        let gaps = parts
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| pair[1].is_empty())
            .all(|(place, _)| {
                between
                    .get(place + 1)
                    .is_some_and(|sign| matches!(sign, What::Word(..)))
            });
        if filled.len() < 2 || filled.len() > MOST_ITEMS || parts[0].is_empty() || !gaps {
            return Some(Value::Unread);
        }
        let mut items: Vec<Value> = filled
            .iter()
            .map(|part| self.value(part, depth + 1))
            .collect();
        let all = |words: &[&str]| between.iter().all(|sign| is_word(sign, words));
        if items
            .iter()
            .any(|item| matches!(item, Value::Ranges { .. }))
        {
            // `x < 1 or x > 2`; with `and` it is what both allow.
            return Some(
                joined(&items)
                    .filter(|_| all(&["or"]))
                    .unwrap_or(Value::Unread),
            );
        }
        if all(&["and"])
            && let Some(value) = amount::together(&items)
        {
            return Some(value);
        }
        let words = items
            .iter()
            .filter(|item| matches!(item, Value::Words(_)))
            .count();
        let mixed = words > 0 && words < items.len();
        if mixed || items.iter().any(|item| matches!(item, Value::Unread)) {
            return Some(words::folded(tokens).unwrap_or(Value::Unread));
        }
        // `x = 1, 2`
        if let Value::Named { name, .. } = &items[0]
            && items[1..]
                .iter()
                .all(|item| matches!(item, Value::Scalar { .. }))
        {
            let name = name.clone();
            for item in &mut items[1..] {
                let value = Box::new(std::mem::replace(item, Value::Unread));
                *item = Value::Named {
                    name: name.clone(),
                    value,
                };
            }
        }
        Some(Value::List {
            items: items.into_iter().flat_map(flat).collect(),
            set: false,
        })
    }

    fn bracketed(&self, tokens: &[Token], depth: usize) -> Option<Value> {
        let (open, close, inner) = bracket::inside(tokens)?;
        let (parts, between) = bracket::split(inner, |what| is_sign(what, &[',', ';']));
        let items = || -> Vec<Value> {
            parts
                .iter()
                .take(MOST_ITEMS + 1)
                .map(|part| self.value(part, depth + 1))
                .collect()
        };
        let set = (open, close) == (SET, SET_END) || (open == '{' && !between.is_empty());
        if set {
            let (_, conditions) = bracket::split(inner, |what| is_sign(what, &['|', ':']));
            if inner.is_empty() {
                return Some(Value::Empty);
            }
            if !conditions.is_empty() || parts.len() > MOST_ITEMS {
                return Some(Value::Unread);
            }
            return Some(Value::List {
                items: items().into_iter().flat_map(flat).collect(),
                set: true,
            });
        }
        match (open, between.is_empty()) {
            ('(' | '[' | '\u{27e8}', false) if parts.len() <= MOST_ITEMS => Some(Value::Tuple {
                open,
                close,
                items: items(),
            }),
            ('(', true) if close == ')' => Some(self.value(inner, depth + 1)),
            // `[5]` may be a list, a bracket or a part without decimals.
            ('[' | '\u{27e8}' | '(', _) => Some(Value::Unread),
            _ => None,
        }
    }

    fn amount(&self, tokens: &[Token]) -> Option<Value> {
        // `2024-05-01` is a date, `10-12` may be a range and `1/2/3` either.
        let number = |token: &Token| matches!(token.what, What::Number(..));
        let (numbers, between) = bracket::split(tokens, |what| is_sign(what, &['-', '/']));
        let single = numbers
            .iter()
            .all(|part| matches!(part, [token] if number(token)));
        let dashes = between.iter().filter(|sign| is_sign(sign, &['-'])).count();
        if single && (between.len() > 1 || dashes > 0) {
            return None;
        }
        let parts = amount::parts(tokens);
        if parts.len() > 1 && parts.len() < 5 {
            let values: Option<Vec<Value>> = parts
                .iter()
                .map(|part| amount::amount(part, Letters::Variables))
                .collect();
            return amount::together(&values?);
        }
        let value = amount::amount(tokens, self.letters)?;
        let mut values = signs(value);
        match values.len() {
            1 => values.pop(),
            _ => Some(Value::List {
                items: values,
                set: false,
            }),
        }
    }
}

/// An amount with each of its signs `±`, where there is one.
fn signs(value: Value) -> Vec<Value> {
    let Value::Scalar { expr, unit } = &value else {
        return vec![value];
    };
    match expr.both_signs() {
        0 => vec![value],
        1 => [false, true]
            .map(|minus| Value::Scalar {
                expr: expr.with_sign(minus),
                unit: unit.clone(),
            })
            .into(),
        // Whether they go together is not said.
        _ => vec![Value::Unread],
    }
}

/// The items of what is a list by its sign `±`, in a list.
fn flat(value: Value) -> Vec<Value> {
    match value {
        Value::List { items, set: false } => items,
        value => vec![value],
    }
}

/// Intervals as one value.
fn joined(values: &[Value]) -> Option<Value> {
    let mut name: Option<String> = None;
    let mut all = Vec::new();
    for value in values {
        match value {
            Value::Ranges { of, ranges } => {
                if name.is_some() && of.is_some() && name != *of {
                    return None;
                }
                name = name.or_else(|| of.clone());
                all.extend(ranges.iter().cloned());
            }
            value => all.push(value.range()?),
        }
    }
    (all.len() <= MOST_ITEMS).then_some(Value::Ranges {
        of: name,
        ranges: all,
    })
}

/// Letters that are a text and no product: `BA`, `Evelyn`.
fn letters(tokens: &[Token]) -> Option<Value> {
    let lower = |text: &str| text.chars().all(|c| "abcxyz".contains(c));
    let letter = |token: &Token| match &token.what {
        What::Word(word, declared) => Some((word.chars().count(), !declared && lower(word))),
        What::Letter(letter) => Some((1, letter.chars().all(char::is_lowercase))),
        _ => None,
    };
    let all: Option<Vec<(usize, bool)>> = tokens.iter().map(letter).collect();
    let all = all?;
    let count: usize = all.iter().map(|(count, _)| count).sum();
    let declared = matches!(tokens[0].what, What::Word(_, true));
    let product = all.iter().all(|(_, product)| *product);
    if (count > 1 || declared) && !product {
        words::folded(tokens)
    } else {
        None
    }
}
