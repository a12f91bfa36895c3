//! Expressions with units. A unit that one side leaves out is the question's; two that are told have to fit.

use num_rational::BigRational;

use super::decide::{Match, decide};
use super::expr::{Constant, Expr};
use super::form::Work;
use super::normal::normal;
use super::unit::Unit;

/// Dimensions that measure one thing by numbers we do not know, or not for every place: a pair is never told apart.
const RELATED: [(&str, &str); 12] = [
    ("sterling", "mass"),
    ("time", "month"),
    ("mass", "ton"),
    ("gallon", "length"),
    ("acre", "length"),
    ("dollar", "nickel"),
    ("dollar", "dime"),
    ("nickel", "dime"),
    ("degree", "radian"),
    ("celsius", "fahrenheit"),
    ("celsius", "kelvin"),
    ("fahrenheit", "kelvin"),
];

/// Whether two expressions with their units are one value.
pub(super) fn compare(
    a: (&Expr, Option<&Unit>),
    b: (&Expr, Option<&Unit>),
    work: &mut Work,
) -> Match {
    match (a.1, b.1) {
        (None, None) => {
            let found = decide(a.0, b.0, work);
            // `180^\circ - x` and `180 - x`
            let degrees = |expr: &Expr| expr.any(&|part| *part == Expr::Constant(Constant::Degree));
            let one = degrees(a.0) != degrees(b.0);
            let may =
                one && decide(&a.0.without_degrees(), &b.0.without_degrees(), work) == Match::Equal;
            if may || (found == Match::Different && in_degrees(a.0, b.0, work)) {
                Match::Unsure
            } else {
                found
            }
        }
        (Some(unit), None) => bare(a.0, unit, b.0, work),
        (None, Some(unit)) => bare(b.0, unit, a.0, work),
        (Some(one), Some(two)) => both((a.0, one), (b.0, two), work),
    }
}

/// Whether two values may be one where angles are told in degrees: `\cos 60` is 0.5.
fn in_degrees(a: &Expr, b: &Expr, work: &mut Work) -> bool {
    let (one, two) = (a.in_degrees(), b.in_degrees());
    let mut may = |x: &Expr, y: &Expr| decide(x, y, work) != Match::Different;
    (one != *a && may(&one, b))
        || (two != *b && may(a, &two))
        || (one != *a && two != *b && may(&one, &two))
}

/// One side has a unit, the other none.
fn bare(expr: &Expr, unit: &Unit, other: &Expr, work: &mut Work) -> Match {
    let plain = decide(expr, other, work);
    if unit.is("percent") {
        let hundredth = expr.clone().times(&BigRational::new(1.into(), 100.into()));
        // `10%` is 0.1; whether `10` means as much, the question says.
        return match (decide(&hundredth, other, work), plain) {
            (Match::Equal, _) => Match::Equal,
            (Match::Different, Match::Different) => Match::Different,
            _ => Match::Unsure,
        };
    }
    if unit.is("degree") && plain == Match::Different {
        let angle = Expr::Product(vec![expr.clone(), Expr::Constant(Constant::Pi)])
            .times(&BigRational::new(1.into(), 180.into()));
        return if decide(&angle, other, work) == Match::Different {
            plain
        } else {
            Match::Unsure
        };
    }
    if plain != Match::Different {
        return plain;
    }
    // `3 pm` and `15`, `5 K` and `5000`
    let otherwise = if unit.is("pm") {
        Some(Expr::Sum(vec![expr.clone(), Expr::whole(12)]))
    } else {
        unit.is("kelvin")
            .then(|| expr.clone().times(&BigRational::from_integer(1000.into())))
    };
    if otherwise.is_some_and(|otherwise| decide(&otherwise, other, work) != Match::Different) {
        return Match::Unsure;
    }
    // `1 hour` and `60`: the question may ask for minutes.
    let number = |expr: &Expr, work: &mut Work| normal(expr, work)?.constant();
    let ratio = number(expr, work)
        .zip(number(other, work))
        .filter(|(_, other)| *other != BigRational::from_integer(0.into()));
    let may = ratio.is_some_and(|(one, other)| unit.has_ratio(&(one / other)));
    if may { Match::Unsure } else { Match::Different }
}

/// Both sides have a unit.
fn both(a: (&Expr, &Unit), b: (&Expr, &Unit), work: &mut Work) -> Match {
    let (one, two) = (&a.1.dimensions, &b.1.dimensions);
    if one == two {
        let (a, b) = (
            a.0.clone().times(&a.1.factor),
            b.0.clone().times(&b.1.factor),
        );
        return decide(&a, &b, work);
    }
    // `5 red apples` and `5 apples`: what is counted may be called otherwise.
    if !a.1.known || !b.1.known {
        return Match::Unsure;
    }
    let has = |name: &str| (one.contains_key(name), two.contains_key(name));
    let related = RELATED.iter().any(|(x, y)| {
        let (x, y) = (has(x), has(y));
        (x.0 && y.1) || (x.1 && y.0)
    });
    // An ounce is a weight or, of what is fluid, a volume.
    let volume = |unit: &Unit| unit.is("gallon") || unit.is_volume();
    if (a.1.is_ounce() && volume(b.1)) || (volume(a.1) && b.1.is_ounce()) {
        return Match::Unsure;
    }
    // `$5` of `$5 per hour`, `20°` of `20 °C`; force is no shorter mass.
    let part = |small: &std::collections::BTreeMap<String, i32>,
                large: &std::collections::BTreeMap<String, i32>| {
        small
            .iter()
            .all(|(name, power)| large.get(name) == Some(power))
            && large
                .iter()
                .all(|(name, power)| small.contains_key(name) || *power < 0)
    };
    let shortened = part(one, two)
        || part(two, one)
        || (has("degree").0 && !has("degree").1)
        || (has("degree").1 && !has("degree").0);
    match decide(a.0, b.0, work) {
        _ if related => Match::Unsure,
        Match::Different => Match::Different,
        _ if shortened => Match::Unsure,
        _ => Match::Different,
    }
}
