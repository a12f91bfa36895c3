//! Names: of values, of variables, of choices.

use super::{compare, has_variables};
use crate::verify::math::decide::Match;
use crate::verify::math::expr::Expr;
use crate::verify::math::form::Work;
use crate::verify::math::value::Value;
use crate::verify::math::{equation, words};

/// Two values with their names. Other names are other answers, unless both say the same of two variables.
pub(super) fn named(a: (&str, &Value), b: (&str, &Value), work: &mut Work) -> Match {
    let found = compare(a.1, b.1, work);
    if a.0 == b.0 || found == Match::Unsure {
        return found;
    }
    if let (
        Value::Scalar {
            expr: one,
            unit: None,
        },
        Value::Scalar {
            expr: two,
            unit: None,
        },
    ) = (a.1, b.1)
        && (has_variables(a.1) || has_variables(b.1))
        && ![a.0, b.0].iter().any(|name| name.contains(['(', '"']))
    {
        let names = [a.0, b.0].map(|name| Expr::Variable(name.to_owned()));
        return equation::compare((&names[0], one), (&names[1], two), work);
    }
    // `Area = 5` and `A = 5` may name the same, `f(x)` and `y` as well.
    if [a.0, b.0].iter().all(|name| name.contains('(')) {
        return Match::Unsure; // `f(x) = x + 1` and `f(t) = t + 1`
    }
    let loose = [a.0, b.0].iter().any(|name| name.contains(['(', '"']));
    if loose && found == Match::Equal {
        Match::Unsure
    } else {
        Match::Different
    }
}

/// Whether letters may stand for one thing: `a` and `A`, the constant of an integral, the label of a choice and what it says.
pub(super) fn may_be_named_otherwise(a: &Expr, b: &Expr) -> bool {
    let label = |expr: &Expr| {
        expr.variable()
            .is_some_and(|name| matches!(name, "A" | "B" | "C" | "D" | "E"))
    };
    match (a.variable(), b.variable()) {
        (Some(a), Some(b)) => return a.eq_ignore_ascii_case(b),
        (Some(_), None) => return label(a),
        (None, Some(_)) => return label(b),
        (None, None) => {}
    }
    let names = |expr: &Expr| {
        let mut names = Vec::new();
        expr.variables(&mut names);
        names
    };
    let (a, b) = (names(a), names(b));
    let alone = |one: &[String], two: &[String]| -> Vec<String> {
        one.iter()
            .filter(|name| !two.contains(name))
            .cloned()
            .collect()
    };
    let (a, b) = (alone(&a, &b), alone(&b, &a));
    let constants = |names: &[String]| {
        !names.is_empty()
            && names
                .iter()
                .all(|name| name.starts_with(['C', 'c', 'K', 'k']))
    };
    constants(&a) && constants(&b)
}

/// A word or a letter of a choice, and an expression.
pub(super) fn letter(text: &str, expr: &Expr) -> Match {
    let is_letter = text.len() == 1;
    match expr.variable() {
        Some(name) if name.to_lowercase() == text => Match::Equal,
        Some(name) if name.len() == 1 && is_letter => Match::Different,
        None if words::is_no_number(text) => Match::Different,
        _ => Match::Unsure,
    }
}
