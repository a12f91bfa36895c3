//! Unions of intervals, compared as sets of numbers.

use num_rational::BigRational;

use super::decide::{Match, decide};
use super::expr::Expr;
use super::form::Work;
use super::normal::normal;
use super::value::Range;

/// An end of an interval whose ends are rational or infinite.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Below,
    At(BigRational),
    Above,
}

/// Whether two unions are one set.
pub(super) fn compare(a: &[Range], b: &[Range], work: &mut Work) -> Match {
    if let (Some(a), Some(b)) = (merged(a, work), merged(b, work)) {
        return if a == b {
            Match::Equal
        } else {
            Match::Different
        };
    }
    let same = |a: &Range, b: &Range, work: &mut Work| {
        let ends = decide(&a.low, &b.low, work).and(decide(&a.high, &b.high, work));
        let closed = a.with_low == b.with_low && a.with_high == b.with_high;
        if closed {
            ends
        } else {
            ends.and(Match::Different)
        }
    };
    if let ([a], [b]) = (a, b) {
        return same(a, b, work);
    }
    let mut left: Vec<&Range> = b.iter().collect();
    for range in a {
        match left
            .iter()
            .position(|other| same(range, other, work) == Match::Equal)
        {
            Some(at) => left.swap_remove(at),
            None => return Match::Unsure,
        };
    }
    if left.is_empty() {
        Match::Equal
    } else {
        Match::Unsure
    }
}

/// Intervals in order, none of which touch; `None` where an end is not rational or lies behind the other.
fn merged(ranges: &[Range], work: &mut Work) -> Option<Vec<(End, bool, End, bool)>> {
    let mut all = Vec::new();
    for range in ranges {
        let (low, high) = (end(&range.low, work)?, end(&range.high, work)?);
        if low >= high {
            return None;
        }
        all.push((low, range.with_low, high, range.with_high));
    }
    // Of intervals from one point on, the one with that point comes first.
    all.sort_by(|a, b| (&a.0, !a.1).cmp(&(&b.0, !b.1)));
    let mut found: Vec<(End, bool, End, bool)> = Vec::new();
    for (low, with_low, high, with_high) in all {
        match found.last_mut() {
            Some(last) if low < last.2 || (low == last.2 && (with_low || last.3)) => {
                if high > last.2 {
                    (last.2, last.3) = (high, with_high);
                } else if high == last.2 {
                    last.3 |= with_high;
                }
            }
            _ => found.push((low, with_low, high, with_high)),
        }
    }
    Some(found)
}

fn end(expr: &Expr, work: &mut Work) -> Option<End> {
    match expr.infinite() {
        Some(true) => Some(End::Above),
        Some(false) => Some(End::Below),
        None => normal(expr, work)?.constant().map(End::At),
    }
}
