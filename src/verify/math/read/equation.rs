//! What relations say: names with their values, equations, chains of equal sides.

use super::{MOST_ITEMS, Reader};
use crate::verify::math::decide::{Match, decide};
use crate::verify::math::expr::Expr;
use crate::verify::math::parse::expression;
use crate::verify::math::relation::{Relation, name, relation};
use crate::verify::math::token::Token;
use crate::verify::math::value::Value;

impl Reader {
    pub(super) fn relation(&self, tokens: &[Token], depth: usize) -> Option<Value> {
        let sides = match relation(tokens)? {
            Relation::Equal(sides) => sides,
            Relation::Near([], about) => return Some(self.value(about, depth + 1)),
            Relation::Near(exact, about) => {
                let (exact, about) = (
                    Box::new(self.value(exact, depth + 1)),
                    Box::new(self.value(about, depth + 1)),
                );
                return Some(Value::Near { exact, about });
            }
            Relation::Range(name, range) => {
                return Some(Value::Ranges {
                    of: Some(name),
                    ranges: vec![range],
                });
            }
            Relation::Other => return Some(Value::Unread),
        };
        Some(self.equation(&sides, depth).unwrap_or(Value::Unread))
    }

    fn equation(&self, sides: &[&[Token]], depth: usize) -> Option<Value> {
        let (first, rest) = sides.split_first()?;
        let last = *sides.last()?;
        let variables = |side: &[Token]| {
            let mut names = Vec::new();
            if let Some(expr) = expression(side) {
                expr.variables(&mut names);
            }
            names
        };
        let (first_name, last_name) = (name(first), name(last));
        let named = |name: String, value: Value| {
            (!matches!(value, Value::Unread)).then(|| Value::Named {
                name,
                value: Box::new(value),
            })
        };
        match (first_name, last_name, rest) {
            (Some(name), _, [value]) if !variables(value).contains(&name) => {
                named(name, self.value(value, depth + 1))
            }
            // `x = 2 + 3 = 5`
            (Some(name), _, [_, _, ..]) => named(name, self.chain(rest, depth)?),
            (None, Some(name), [_]) if variables(first).is_empty() => {
                named(name, self.value(first, depth + 1))
            }
            (_, _, [_]) => {
                let (left, right) = (expression(first)?, expression(last)?);
                let constant = variables(first).is_empty() && variables(last).is_empty();
                if constant {
                    self.chain(sides, depth)
                } else {
                    Some(Value::Equation { left, right })
                }
            }
            _ => self.chain(sides, depth),
        }
    }

    /// The last of sides that are all equal: `3 + 4 = 7`.
    fn chain(&self, sides: &[&[Token]], depth: usize) -> Option<Value> {
        let mut work = self.work.borrow_mut();
        let exprs: Option<Vec<Expr>> = sides.iter().map(|side| expression(side)).collect();
        let exprs = exprs?;
        let equal = exprs
            .windows(2)
            .take(MOST_ITEMS)
            .all(|pair| decide(&pair[0], &pair[1], &mut work) == Match::Equal);
        drop(work);
        (equal && exprs.len() <= MOST_ITEMS).then(|| self.value(sides[sides.len() - 1], depth + 1))
    }
}
