//! Powers: of numbers and polynomials to whole ones, and letters raised to expressions.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::form::{Atom, Exponent, Fraction, Poly, Work};
use super::root::{factors, powers, rooted};

/// Whole powers of polynomials, degrees of roots, and bits of a power of numbers, at most (ours).
const MOST_POWER: u32 = 64;
const MOST_DEGREE: u32 = 12;
const MOST_BITS: u64 = 2000;

/// `base^exponent`.
pub(super) fn power(base: &Fraction, exponent: &Fraction, work: &mut Work) -> Option<Fraction> {
    if let Some(exponent) = exponent.constant() {
        return constant_power(base, &exponent, work);
    }
    let poly = exponent.whole();
    // `2^{n+1}` is `2·2^n`: of numbers and single letters, sums above are products.
    let bases = poly.and_then(|_| bases(base, work));
    let (Some(poly), Some(bases)) = (poly, bases) else {
        let call = Atom::Call("power", vec![base.clone(), exponent.clone()]);
        return Some(Poly::atom(call, Exponent::one()).into());
    };
    let mut found = number(BigRational::one());
    for (monomial, factor) in &poly.0 {
        if monomial.0.is_empty() {
            found = found.times(&constant_power(base, factor, work)?, work)?;
            continue;
        }
        let factor = (factor.numer().to_i64()?, factor.denom().to_i64()?);
        for (base, count) in &bases {
            let power = exponent_of(factor.0.checked_mul(*count)?, factor.1)?;
            let atom = Atom::Power(Box::new(base.clone()), monomial.clone());
            let atom = Fraction::from(Poly::atom(atom, power.abs()));
            found = if power.is_negative() {
                found.over(&atom, work)?
            } else {
                found.times(&atom, work)?
            };
        }
    }
    Some(found)
}

/// The bases that `base` is a product of, each with its power: the primes of a positive number, or one letter.
pub(super) fn bases(base: &Fraction, work: &mut Work) -> Option<Vec<(Fraction, i64)>> {
    let Some(value) = base.constant() else {
        let mut terms = base.whole()?.0.iter();
        let (Some((monomial, factor)), None) = (terms.next(), terms.next()) else {
            return None;
        };
        let single =
            monomial.0.len() == 1 && factor.is_one() && monomial.0.values().all(One::is_one);
        let is_letter = |atom: &Atom| matches!(atom, Atom::Variable(_) | Atom::Euler | Atom::Pi);
        let letter = monomial.0.keys().all(is_letter);
        return (single && letter).then(|| vec![(base.clone(), 1)]);
    };
    if !value.is_positive() {
        return None;
    }
    let mut found = Vec::new();
    for (part, sign) in [(value.numer(), 1), (value.denom(), -1)] {
        for (atom, count) in factors(part, Exponent::one(), work)? {
            let base = match atom {
                Atom::Prime(prime) => BigInt::from(prime),
                Atom::Surd(base) => base,
                _ => return None,
            };
            let base = number(BigRational::from_integer(base));
            found.push((base, sign * i64::from(count)));
        }
    }
    Some(found)
}

fn constant_power(base: &Fraction, exponent: &BigRational, work: &mut Work) -> Option<Fraction> {
    let above = exponent.numer().to_i32()?;
    let below = exponent.denom().to_u32()?;
    if above.is_zero() && base.above.is_zero() {
        return None;
    }
    let whole = above.unsigned_abs();
    let found = match base.constant() {
        Some(value) => constant(&value, whole, below, work)?,
        None if whole > MOST_POWER || below > MOST_DEGREE => return None,
        None => {
            let base = if below == 1 {
                base.clone()
            } else {
                rooted(base, below, work)?
            };
            Fraction::new(
                base.above.power(whole, work)?,
                base.below.power(whole, work)?,
            )?
        }
    };
    if above < 0 {
        number(BigRational::one()).over(&found, work)
    } else {
        Some(found)
    }
}

/// `value^(whole/below)`. Of negative numbers no roots are taken: there is more than one.
fn constant(value: &BigRational, whole: u32, below: u32, work: &mut Work) -> Option<Fraction> {
    let bits = value.numer().bits().max(value.denom().bits());
    if u64::from(whole) * bits > MOST_BITS || below > MOST_DEGREE {
        return None;
    }
    if below == 1 || value.is_zero() {
        return Some(number(Pow::pow(value.clone(), whole)));
    }
    if value.is_negative() {
        return None;
    }
    let part = Exponent::new(i64::from(whole), i64::from(below));
    let above = Fraction::from(powers(value.numer(), part, work)?);
    above.over(&powers(value.denom(), part, work)?.into(), work)
}

fn number(value: BigRational) -> Fraction {
    Poly::number(value).into()
}

/// `above / below`, where both are small.
fn exponent_of(above: i64, below: i64) -> Option<Exponent> {
    let small = above.abs() <= 1000 && (1..=1000).contains(&below);
    small.then(|| Exponent::new(above, below))
}
