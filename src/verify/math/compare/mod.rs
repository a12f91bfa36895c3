//! Whether two answers as they were read are one. It is the same whichever of them comes first.

mod list;
mod name;

use num_rational::BigRational;

use super::decide::{Match, decide};
use super::equation;
use super::expr::Expr;
use super::form::Work;
use super::quantity;
use super::value::Value;
use super::{interval, words};
use list::{lists, member};
use name::{letter, may_be_named_otherwise, named};

/// Whether `a` and `b` are one answer.
#[expect(clippy::match_same_arms, reason = "in the order in which they decide")]
pub(super) fn compare(a: &Value, b: &Value, work: &mut Work) -> Match {
    use Value::{
        Based, Empty, Equation, List, Matrix, Named, Near, Ranges, Ratio, Scalar, Tuple, Unread,
        Words,
    };
    match (a, b) {
        (Unread, _) | (_, Unread) => Match::Unsure,
        (Near { exact, about }, other) | (other, Near { exact, about }) => {
            near(exact, about, other, work)
        }
        (Named { value, .. }, List { .. } | Tuple { .. } | Ranges { .. }) if is_many(value) => {
            compare(value, b, work)
        }
        (List { .. } | Tuple { .. } | Ranges { .. }, Named { value, .. }) if is_many(value) => {
            compare(a, value, work)
        }
        (
            List { items, set },
            List {
                items: others,
                set: other,
            },
        ) => lists(items, others, *set && *other, work),
        (List { items, set: false }, Tuple { items: others, .. })
        | (Tuple { items: others, .. }, List { items, set: false }) => {
            // In which order a list is meant is not said.
            lists(items, others, false, work).and(Match::Unsure)
        }
        (List { items, set: true }, Tuple { .. } | Ranges { .. } | Matrix { .. })
            if items.len() == 1 =>
        {
            compare(&items[0], b, work)
        }
        (Tuple { .. } | Ranges { .. } | Matrix { .. }, List { items, set: true })
            if items.len() == 1 =>
        {
            compare(a, &items[0], work)
        }
        (List { set: true, .. }, Tuple { .. }) | (Tuple { .. }, List { set: true, .. }) => {
            Match::Different
        }
        (List { items, set }, Scalar { .. } | Named { .. } | Words(_)) => {
            lists(items, std::slice::from_ref(b), *set, work)
        }
        (Scalar { .. } | Named { .. } | Words(_), List { items, set }) => {
            lists(std::slice::from_ref(a), items, *set, work)
        }
        (
            Named { name, value },
            Named {
                name: other,
                value: by,
            },
        ) => named((name, value), (other, by), work),
        (Named { name, value }, Equation { left, right })
        | (Equation { left, right }, Named { name, value }) => match value.as_ref() {
            Scalar { expr, unit: None } => {
                equation::compare((&Expr::Variable(name.clone()), expr), (left, right), work)
            }
            _ => Match::Unsure,
        },
        (Named { name, value }, other) | (other, Named { name, value }) => {
            let found = compare(value, other, work);
            // `f(t) = t + 1` is `x + 1` of another letter.
            if found == Match::Different && name.contains('(') && has_variables(other) {
                Match::Unsure
            } else {
                found
            }
        }
        (
            Equation { left, right },
            Equation {
                left: other,
                right: by,
            },
        ) => equation::compare((left, right), (other, by), work),
        (Equation { .. }, _) | (_, Equation { .. }) => Match::Unsure,
        (Words(a), Words(b)) => words::compare(a, b),
        (Words(text), Scalar { expr, .. }) | (Scalar { expr, .. }, Words(text)) => {
            letter(text, expr)
        }
        (Words(text), Based { .. } | Matrix { .. } | Ranges { .. } | Tuple { .. })
        | (Based { .. } | Matrix { .. } | Ranges { .. } | Tuple { .. }, Words(text)) => {
            if words::is_no_number(text) {
                Match::Different
            } else {
                Match::Unsure
            }
        }
        (Words(_), _) | (_, Words(_)) => Match::Unsure,
        (Empty, Empty) => Match::Equal,
        (
            Scalar { expr, unit },
            Scalar {
                expr: other,
                unit: by,
            },
        ) => {
            let found = quantity::compare((expr, unit.as_ref()), (other, by.as_ref()), work);
            if found == Match::Different && may_be_named_otherwise(expr, other) {
                Match::Unsure
            } else {
                found
            }
        }
        (Tuple { .. }, Tuple { .. }) => tuples(a, b, work),
        (
            Ranges { of, ranges },
            Ranges {
                of: other,
                ranges: by,
            },
        ) => {
            let found = interval::compare(ranges, by, work);
            let one = of.is_none() || other.is_none() || of == other;
            if one {
                found
            } else {
                found.and(Match::Different)
            }
        }
        (Ranges { ranges, .. }, Tuple { open, .. })
        | (Tuple { open, .. }, Ranges { ranges, .. }) => {
            let tuple = if matches!(a, Tuple { .. }) { a } else { b };
            let found = tuple.range().map_or(Match::Different, |range| {
                interval::compare(ranges, &[range], work)
            });
            // `(1, 2)` may be a point.
            if tuple.is_range() || *open == '[' {
                found
            } else {
                found.and(Match::Unsure)
            }
        }
        (Matrix { rows }, Matrix { rows: others }) => {
            let same = rows.len() == others.len()
                && rows.iter().zip(others).all(|(a, b)| a.len() == b.len());
            if same {
                all(&rows.concat(), &others.concat(), work)
            } else {
                Match::Different
            }
        }
        (Matrix { rows }, Tuple { items, .. }) | (Tuple { items, .. }, Matrix { rows }) => {
            let vector = rows.len() == 1 || rows.iter().all(|row| row.len() == 1);
            let cells = rows.concat();
            if vector && cells.len() == items.len() {
                all(&cells, items, work).and(Match::Unsure)
            } else {
                Match::Different
            }
        }
        (Ratio { parts }, Ratio { parts: others }) => ratios(parts, others, work),
        (Ratio { .. }, Scalar { .. }) | (Scalar { .. }, Ratio { .. }) => Match::Unsure,
        (
            Based { value, base, .. },
            Based {
                value: other,
                base: by,
                ..
            },
        ) => match (value == other, base == by) {
            (true, true) => Match::Equal,
            (true, false) => Match::Unsure,
            (false, _) => Match::Different,
        },
        (Based { value, digits, .. }, Scalar { expr, unit: None })
        | (Scalar { expr, unit: None }, Based { value, digits, .. }) => {
            // `1011` may leave out the base that the question names, and `11` the change of base.
            match expr {
                Expr::Number(number) => {
                    let of = |text: &str| text.parse().ok().map(BigRational::from_integer);
                    let may = *number == BigRational::from_integer(value.clone())
                        || of(digits).as_ref() == Some(number);
                    if may { Match::Unsure } else { Match::Different }
                }
                _ => Match::Unsure,
            }
        }
        // `2i + 3j` may be the vector `(2, 3)`, `2 + 3i` that point of the plane.
        (Scalar { expr, unit: None }, Tuple { .. } | Matrix { .. })
        | (Tuple { .. } | Matrix { .. }, Scalar { expr, unit: None })
            if expr.may_be_vector() =>
        {
            Match::Unsure
        }
        // Values of two kinds that nothing else can be.
        (
            Empty | Scalar { .. } | List { .. } | Tuple { .. } | Ranges { .. } | Matrix { .. },
            Empty | Scalar { .. } | List { .. } | Tuple { .. } | Ranges { .. } | Matrix { .. },
        ) => Match::Different,
        _ => Match::Unsure,
    }
}

fn is_many(value: &Value) -> bool {
    matches!(
        value,
        Value::List { .. } | Value::Tuple { .. } | Value::Ranges { .. }
    )
}

fn has_variables(value: &Value) -> bool {
    matches!(value, Value::Scalar { expr, .. } if expr.any(&|part| matches!(part, Expr::Variable(_))))
}

/// `A \approx B` is A; where only B is the other, the other may be rounded.
fn near(exact: &Value, about: &Value, other: &Value, work: &mut Work) -> Match {
    if let Value::Near { exact: by, .. } = other {
        return compare(exact, by, work);
    }
    let found = compare(exact, other, work);
    if found == Match::Different && compare(about, other, work) == Match::Equal {
        Match::Unsure
    } else {
        found
    }
}

/// Whether all items are equal, each to the one at its place.
fn all(a: &[Value], b: &[Value], work: &mut Work) -> Match {
    if a.len() != b.len() {
        return Match::Different;
    }
    a.iter().zip(b).fold(Match::Equal, |found, (a, b)| {
        found.and(member(a, b, false, work))
    })
}

fn tuples(a: &Value, b: &Value, work: &mut Work) -> Match {
    let (
        Value::Tuple { open, close, items },
        Value::Tuple {
            open: other,
            close: by,
            items: others,
        },
    ) = (a, b)
    else {
        return Match::Unsure;
    };
    let found = all(items, others, work);
    if (open, close) == (other, by) {
        return found;
    }
    // Open and closed ends; elsewhere brackets are a matter of taste.
    match (a.range(), b.range()) {
        (Some(a), Some(b)) => interval::compare(&[a], &[b], work),
        _ => found.and(Match::Unsure),
    }
}

fn ratios(a: &[Expr], b: &[Expr], work: &mut Work) -> Match {
    if a.len() != b.len() {
        return Match::Different;
    }
    let product = |a: &Expr, b: &Expr| Expr::Product(vec![a.clone(), b.clone()]);
    let parts = a.iter().zip(b).skip(1);
    parts.fold(Match::Equal, |found, (one, two)| {
        found.and(decide(&product(&a[0], two), &product(&b[0], one), work))
    })
}
