//! Lists and sets, whose items are in no order.

use super::compare;
use crate::verify::math::decide::Match;
use crate::verify::math::form::Work;
use crate::verify::math::value::Value;

/// Whether two answers within others are one. A set of one member is that member only where it is the whole answer:
/// `{1, {2}}` is not `{1, 2}`.
pub(super) fn member(a: &Value, b: &Value, sets: bool, work: &mut Work) -> Match {
    let set = |value: &Value| matches!(value, Value::List { set: true, .. });
    let single = |value: &Value| {
        matches!(
            value,
            Value::Scalar { .. }
                | Value::Tuple { .. }
                | Value::Ranges { .. }
                | Value::Matrix { .. }
                | Value::Ratio { .. }
                | Value::Based { .. }
                | Value::Words(_)
        )
    };
    let one = (set(a) && single(b)) || (single(a) && set(b));
    if !one {
        return compare(a, b, work);
    }
    if sets {
        Match::Different
    } else {
        compare(a, b, work).and(Match::Unsure)
    }
}

/// Whether two lists have the same items, in any order; of sets, however often each is told.
pub(super) fn lists(a: &[Value], b: &[Value], sets: bool, work: &mut Work) -> Match {
    let table: Vec<Vec<Match>> = a
        .iter()
        .map(|one| b.iter().map(|two| member(one, two, sets, work)).collect())
        .collect();
    let row_has = |place: usize, what: Match| table[place].contains(&what);
    let column_has = |place: usize, what: Match| table.iter().any(|row| row[place] == what);
    let every = |what: Match| {
        (0..a.len()).all(|at| row_has(at, what)) && (0..b.len()).all(|at| column_has(at, what))
    };
    let alone = (0..a.len()).any(|at| table[at].iter().all(|each| *each == Match::Different))
        || (0..b.len()).any(|at| table.iter().all(|row| row[at] == Match::Different));
    if alone {
        return Match::Different;
    }
    if !every(Match::Equal) {
        // Not all are decided, or there are more of them than of the others.
        let decided = table.iter().flatten().all(|each| *each != Match::Unsure);
        return if decided {
            Match::Different
        } else {
            Match::Unsure
        };
    }
    // Equal items are equal to the same others, so that counts say whether each has its own.
    let counts = (0..a.len()).all(|at| {
        let Some(place) = table[at].iter().position(|each| *each == Match::Equal) else {
            return false;
        };
        let in_a = table
            .iter()
            .filter(|row| row[place] == Match::Equal)
            .count();
        let in_b = table[at]
            .iter()
            .filter(|each| **each == Match::Equal)
            .count();
        in_a == in_b
    });
    if !sets && !counts {
        return Match::Unsure; // `1, 1, 2` and `1, 2`
    }
    let in_order = a.len() == b.len() && (0..a.len()).all(|at| table[at][at] == Match::Equal);
    let is_text = |value: &Value| match value {
        Value::Words(_) => true,
        Value::Scalar { expr, .. } => expr.variable().is_some(),
        _ => false,
    };
    // The order of words may be what was asked for; names make an order of their own.
    let names = |items: &[Value]| {
        let names: Vec<&str> = items
            .iter()
            .filter_map(|item| {
                if let Value::Named { name, .. } = item {
                    Some(name.as_str())
                } else {
                    None
                }
            })
            .collect();
        let several = names.windows(2).any(|pair| pair[0] != pair[1]);
        (several, names.len() == items.len())
    };
    let loose = [(a, b), (b, a)]
        .iter()
        .any(|(one, two)| names(one).0 && !names(two).1);
    let texts = !in_order && !sets && a.iter().chain(b).any(is_text);
    if loose || texts {
        Match::Unsure
    } else {
        Match::Equal
    }
}
