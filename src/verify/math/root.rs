//! Roots of numbers: `√12` is `2·√3`, `∛(1/2)` is `∛4 / 2`.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::form::{Atom, Exponent, Fraction, Monomial, Poly, Work};

/// Primes below this are looked for in what stands below a root (ours): enough for every number below 67 million.
const LAST_DIVISOR: u64 = 8192;

/// The real root of `degree` of `value`, or for a square root of a negative number its multiple of `i`; `None` where there
/// is neither.
pub(super) fn root(value: &BigRational, degree: u32, work: &mut Work) -> Option<Poly> {
    if value.is_zero() {
        return Some(Poly::default());
    }
    let mut sign = Poly::number(BigRational::one());
    if value.is_negative() {
        sign = match degree {
            2 => Poly::atom(Atom::Imaginary, Exponent::one()),
            odd if odd % 2 == 1 => Poly::number(-BigRational::one()),
            _ => return None,
        };
    }
    // `(a/b)^(1/k)` is `(a·b^(k-1))^(1/k) / b`.
    let below = value.denom();
    let inner: BigInt = value.numer().abs() * Pow::pow(below.clone(), degree - 1);
    if inner.bits() > 1000 {
        return None;
    }
    let scale = BigRational::new(BigInt::one(), below.clone());
    let found = powers(&inner, Exponent::new(1, i64::from(degree)), work)?;
    found.scaled(&scale).times(&sign, work)
}

/// `base^power` of a positive whole number, by its prime factors.
pub(super) fn powers(base: &BigInt, power: Exponent, work: &mut Work) -> Option<Poly> {
    let mut found = Poly::number(BigRational::one());
    for (atom, count) in factors(base, power, work)? {
        let term = Poly::term(
            Monomial(BTreeMap::from([(
                atom,
                Exponent::from_integer(i64::from(count)) * power,
            )])),
            BigRational::one(),
        );
        // The product takes whole powers out.
        found = found.times(&term, work)?;
    }
    Some(found)
}

/// The prime factors of a positive whole number, each with how often it is one; what is left where they are too large is
/// one factor, less the root of `power` where that is whole.
pub(super) fn factors(of: &BigInt, power: Exponent, work: &mut Work) -> Option<Vec<(Atom, u32)>> {
    let mut found = Vec::new();
    let mut rest = of.clone();
    let mut divisor = 2_u64;
    while divisor < LAST_DIVISOR && BigInt::from(divisor * divisor) <= rest {
        if divisor % 32 < 2 {
            work.spend(1)?;
        }
        let mut count = 0;
        while (&rest % divisor).is_zero() {
            rest /= divisor;
            count += 1;
        }
        if count > 0 {
            found.push((Atom::Prime(divisor), count));
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    let degree = u32::try_from(*power.denom()).ok()?;
    let whole = rest.nth_root(degree);
    if rest.is_one() {
    } else if rest < BigInt::from(LAST_DIVISOR * LAST_DIVISOR) {
        found.push((Atom::Prime(rest.to_u64()?), 1));
    } else if Pow::pow(whole.clone(), degree) == rest {
        found.push((Atom::Surd(whole), degree));
    } else {
        found.push((Atom::Surd(rest), 1));
    }
    Some(found)
}

/// The root of any expression. Of what is not a number, the rational factor of its first term goes before it.
pub(super) fn rooted(inner: &Fraction, degree: u32, work: &mut Work) -> Option<Fraction> {
    if let Some(value) = inner.constant()
        && let Some(found) = root(&value, degree, work)
    {
        return Some(found.into());
    }
    let Some(poly) = inner.whole() else {
        let degree = Poly::number(BigRational::from_integer(degree.into()));
        let call = Atom::Call("root", vec![inner.clone(), degree.into()]);
        return Some(Poly::atom(call, Exponent::one()).into());
    };
    let (_, lead) = poly.0.iter().next()?;
    let content = lead.abs();
    let outer = root(&content, degree, work)?;
    let plain = poly.scaled(&content.recip());
    let inner = if let Some(found) = of_root(&plain, degree) {
        found
    } else if let Some(found) = (degree == 2).then(|| unnested(&plain, work)).flatten() {
        found
    } else {
        Poly::atom(Atom::Root(plain), Exponent::new(1, i64::from(degree)))
    };
    Some(outer.times(&inner, work)?.into())
}

/// The root of a product of roots: `√√2`.
fn of_root(of: &Poly, degree: u32) -> Option<Poly> {
    let mut terms = of.0.iter();
    let (Some((monomial, factor)), None) = (terms.next(), terms.next()) else {
        return None;
    };
    let primes = monomial.0.keys().all(|atom| matches!(atom, Atom::Prime(_)));
    let part = Exponent::new(1, i64::from(degree));
    let powers = monomial
        .0
        .iter()
        .map(|(atom, power)| (atom.clone(), power * part));
    (primes && factor.is_one()).then(|| Poly::term(Monomial(powers.collect()), BigRational::one()))
}

/// `√(a + b√c)` as `√x + √y`, where `x` and `y` are rational: of `3 + 2√2` they are 2 and 1.
fn unnested(of: &Poly, work: &mut Work) -> Option<Poly> {
    let mut terms = of.0.iter();
    let (Some((one, a)), Some((root_of, b)), None) = (terms.next(), terms.next(), terms.next())
    else {
        return None;
    };
    let real = root_of.0.keys().all(|atom| matches!(atom, Atom::Prime(_)));
    if !one.0.is_empty() || !real || !a.is_positive() {
        return None;
    }
    let square = Poly::term(root_of.clone(), b.clone())
        .power(2, work)?
        .constant()?;
    let rest = a * a - square;
    if rest.is_negative() {
        return None;
    }
    let between = root(&rest, 2, work)?.constant()?;
    let two = BigRational::from_integer(2.into());
    let (x, y) = ((a + &between) / &two, (a - &between) / &two);
    let sign = if b.is_negative() {
        -BigRational::one()
    } else {
        BigRational::one()
    };
    root(&x, 2, work)?.plus(&root(&y, 2, work)?.scaled(&sign), work)
}
