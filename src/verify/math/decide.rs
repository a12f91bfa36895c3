//! Whether two expressions have one value: exactly where their normal forms say it, and else whether they are apart.

use super::approx;
use super::expr::Expr;
use super::form::Work;
use super::normal::normal;

/// Whether two answers are one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// They are, whatever way they are written.
    Equal,
    /// They are not.
    Different,
    /// Neither is certain: one cannot be read, may be meant in two ways, or their equality is beyond what is worked out.
    Unsure,
}

impl Match {
    /// What holds where both have to: the first that is different decides.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Different, _) | (_, Self::Different) => Self::Different,
            (Self::Equal, Self::Equal) => Self::Equal,
            _ => Self::Unsure,
        }
    }
}

/// Whether two expressions are equal wherever both have a value.
pub(super) fn decide(a: &Expr, b: &Expr, work: &mut Work) -> Match {
    if a == b && !a.any(&|part| matches!(part, Expr::Both(_))) {
        return Match::Equal;
    }
    let finite = |expr: &Expr, work: &mut Work| normal(expr, work).is_some();
    match (a.infinite(), b.infinite()) {
        (Some(a), Some(b)) => {
            return if a == b {
                Match::Equal
            } else {
                Match::Different
            };
        }
        (Some(_), None) if finite(b, work) => return Match::Different,
        (None, Some(_)) if finite(a, work) => return Match::Different,
        _ => {}
    }
    let forms = normal(a, work).zip(normal(b, work));
    let difference = forms.and_then(|(a, b)| a.difference(&b, work));
    match difference {
        Some(difference) if difference.is_zero() => Match::Equal,
        Some(difference) if difference.is_decided() => Match::Different,
        _ if approx::apart(a, b) => Match::Different,
        _ => Match::Unsure,
    }
}
