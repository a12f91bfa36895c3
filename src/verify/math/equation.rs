//! Equations: one is another where one is a multiple of the other.

use std::collections::BTreeMap;

use num_rational::BigRational;
use num_traits::{One, Pow, ToPrimitive, Zero};

use super::decide::Match;
use super::expr::Expr;
use super::form::{Atom, Fraction, Poly, Work};
use super::normal::normal;

/// How far from zero points are looked for that solve one equation and not the other, by how many variables there are
/// (ours).
const REACH: [i64; 4] = [0, 30, 10, 3];

/// Whether two equations, by their sides, have the same solutions.
pub(super) fn compare(a: (&Expr, &Expr), b: (&Expr, &Expr), work: &mut Work) -> Match {
    let forms = zero(a, work).zip(zero(b, work));
    let Some((one, two)) = forms else {
        return Match::Unsure;
    };
    let leads = one
        .above
        .0
        .values()
        .next_back()
        .zip(two.above.0.values().next_back());
    let Some((lead, other)) = leads else {
        return Match::Unsure; // `x = x`
    };
    if one.above.scaled(other) == two.above.scaled(lead) {
        return Match::Equal;
    }
    if linear(&one) && linear(&two) {
        return Match::Different;
    }
    if witness(&one, &two, work).is_some() {
        Match::Different
    } else {
        Match::Unsure
    }
}

/// What is zero where the equation holds.
fn zero(sides: (&Expr, &Expr), work: &mut Work) -> Option<Fraction> {
    normal(sides.0, work)?.plus(&normal(sides.1, work)?.negated(), work)
}

/// Whether nothing but variables and numbers is in it, each variable alone.
fn linear(form: &Fraction) -> bool {
    let single = |powers: &BTreeMap<Atom, super::form::Exponent>| {
        powers.len() <= 1
            && powers
                .iter()
                .all(|(atom, power)| power.is_one() && matches!(atom, Atom::Variable(_)))
    };
    form.whole()
        .is_some_and(|poly| poly.0.keys().all(|monomial| single(&monomial.0)))
}

/// A point that solves one of them, and makes the other no equation.
fn witness(one: &Fraction, two: &Fraction, work: &mut Work) -> Option<Vec<i64>> {
    let mut names: Vec<&String> = Vec::new();
    for poly in [&one.above, &one.below, &two.above, &two.below] {
        for atom in poly.0.keys().flat_map(|monomial| monomial.0.keys()) {
            let Atom::Variable(name) = atom else {
                return None;
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let reach = *REACH.get(names.len())?;
    let width = 2 * reach + 1;
    let points = width.checked_pow(u32::try_from(names.len()).ok()?)?;
    let polys = [&one.above, &one.below, &two.above, &two.below];
    let cost = polys.iter().flat_map(|poly| poly.0.values());
    let cost: u64 = cost.map(|factor| 1 + factor.numer().bits() / 32).sum();
    let cost = u32::try_from(cost).ok()?;
    for place in 0..points {
        work.spend(cost)?;
        let mut rest = place;
        let point: Vec<i64> = names
            .iter()
            .map(|_| {
                let coordinate = rest % width - reach;
                rest /= width;
                coordinate
            })
            .collect();
        let at = |poly: &Poly| evaluate(poly, &names, &point);
        let (a, b) = (at(&one.above)?, at(&two.above)?);
        let defined = !at(&one.below)?.is_zero() && !at(&two.below)?.is_zero();
        if defined && a.is_zero() != b.is_zero() {
            return Some(point);
        }
    }
    None
}

fn evaluate(poly: &Poly, names: &[&String], point: &[i64]) -> Option<BigRational> {
    let mut sum = BigRational::zero();
    for (monomial, factor) in &poly.0 {
        let mut term = factor.clone();
        for (atom, power) in &monomial.0 {
            let Atom::Variable(name) = atom else {
                return None;
            };
            let place = names.iter().position(|other| *other == name)?;
            let power = power
                .is_integer()
                .then(|| power.to_integer().to_u32())?
                .filter(|power| *power <= 12)?;
            term *= Pow::pow(BigRational::from_integer(point[place].into()), power);
        }
        sum += term;
    }
    Some(sum)
}
