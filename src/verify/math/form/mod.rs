//! Polynomials over the rationals in letters, roots and other atoms: the form in which equal expressions are equal.
//!
//! Roots of primes are atoms with fractional powers, so that `√2·√3` and `√6` are one monomial. Such monomials are
//! linearly independent over the rationals (Besicovitch 1940), and so are powers of `π`; of those atoms alone a form that
//! is not zero is a value that is not zero.

mod fraction;

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::{BigRational, Ratio};
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

pub(super) use fraction::Fraction;

/// The power of an atom.
pub(super) type Exponent = Ratio<i64>;

/// Terms of a polynomial, bits of its numbers and powers of its atoms, at most (ours): no answer has as many, and no text
/// makes a comparison slow.
const MOST_TERMS: usize = 300;
const MOST_BITS: u64 = 2000;
const MOST_POWER: i64 = 200;

/// What may be spent on one comparison, in products of two terms (ours).
pub(super) struct Work(u32);

impl Work {
    pub(super) fn new() -> Self {
        Self(6_000)
    }

    /// Spends `cost`; `None` where as much is not left.
    pub(super) fn spend(&mut self, cost: u32) -> Option<()> {
        let left = self.0.checked_sub(cost);
        self.0 = left.unwrap_or(0);
        left.map(|_| ())
    }
}

/// What a polynomial is in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Atom {
    /// The square root of -1.
    Imaginary,
    /// A prime, to powers between 0 and 1.
    Prime(u64),
    /// The same of a number too large for its factors.
    Surd(BigInt),
    Pi,
    Euler,
    Degree,
    Variable(String),
    /// What is below a root and no number, to powers between 0 and 1.
    Root(Poly),
    /// A base, and what it is raised to.
    Power(Box<Fraction>, Monomial),
    /// A function and its arguments.
    Call(&'static str, Vec<Fraction>),
}

/// A product of atoms.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Monomial(pub(super) BTreeMap<Atom, Exponent>);

/// A sum of monomials, each with its factor, which is not zero.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Poly(pub(super) BTreeMap<Monomial, BigRational>);

impl Monomial {
    /// What it costs to copy: atoms with polynomials in them are large.
    fn weight(&self) -> u32 {
        let large = |atom: &Atom| matches!(atom, Atom::Root(_) | Atom::Power(..) | Atom::Call(..));
        self.0
            .keys()
            .map(|atom| if large(atom) { 4 } else { 0 })
            .sum()
    }
}

impl Poly {
    pub(super) fn number(value: BigRational) -> Self {
        Self::term(Monomial::default(), value)
    }

    pub(super) fn term(monomial: Monomial, factor: BigRational) -> Self {
        let terms = if factor.is_zero() {
            None
        } else {
            Some((monomial, factor))
        };
        Self(terms.into_iter().collect())
    }

    pub(super) fn atom(atom: Atom, power: Exponent) -> Self {
        Self::term(
            Monomial(BTreeMap::from([(atom, power)])),
            BigRational::one(),
        )
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Its value, where it is a number.
    pub(super) fn constant(&self) -> Option<BigRational> {
        let mut terms = self.0.iter();
        match (terms.next(), terms.next()) {
            (None, _) => Some(BigRational::zero()),
            (Some((monomial, factor)), None) if monomial.0.is_empty() => Some(factor.clone()),
            _ => None,
        }
    }

    pub(super) fn plus(mut self, other: &Self, work: &mut Work) -> Option<Self> {
        for (monomial, factor) in &other.0 {
            work.spend(1)?;
            self.add(monomial.clone(), factor.clone())?;
        }
        Some(self)
    }

    fn add(&mut self, monomial: Monomial, factor: BigRational) -> Option<()> {
        let sum = match self.0.remove(&monomial) {
            Some(before) => sum(before, factor),
            None => factor,
        };
        if sum.numer().bits().max(sum.denom().bits()) > MOST_BITS || self.0.len() >= MOST_TERMS {
            return None;
        }
        if !sum.is_zero() {
            self.0.insert(monomial, sum);
        }
        Some(())
    }

    pub(super) fn scaled(&self, by: &BigRational) -> Self {
        if by.is_one() {
            return self.clone();
        }
        Self(
            self.0
                .iter()
                .map(|(monomial, factor)| (monomial.clone(), times(factor, by)))
                .collect(),
        )
    }

    pub(super) fn times(&self, other: &Self, work: &mut Work) -> Option<Self> {
        let mut found = Self::default();
        for (one, factor) in &self.0 {
            for (two, by) in &other.0 {
                work.spend(cost(factor, by) + one.weight() + two.weight())?;
                let mut product = one.clone();
                for (atom, power) in &two.0 {
                    let sum = product
                        .0
                        .remove(atom)
                        .map_or(*power, |before| before + power);
                    if sum.numer().abs() > MOST_POWER || *sum.denom() > MOST_POWER {
                        return None;
                    }
                    product.0.insert(atom.clone(), sum);
                }
                let reduced = reduced(product, times(factor, by), work)?;
                for (monomial, factor) in reduced.0 {
                    found.add(monomial, factor)?;
                }
            }
        }
        Some(found)
    }

    pub(super) fn power(&self, power: u32, work: &mut Work) -> Option<Self> {
        let mut found = Self::number(BigRational::one());
        for _ in 0..power {
            found = found.times(self, work)?;
        }
        Some(found)
    }

    /// Whether a form that is not zero is no zero either: it is in atoms that are independent of each other.
    pub(super) fn is_decided(&self) -> bool {
        let atoms = || self.0.keys().flat_map(|monomial| monomial.0.keys());
        let has = |atom: &Atom| atoms().any(|other| other == atom);
        let known = |atom: &Atom| {
            use Atom::{Euler, Imaginary, Pi, Prime, Variable};
            matches!(atom, Imaginary | Prime(_) | Pi | Euler | Variable(_))
        };
        // Whether a polynomial in both e and π can be zero is not known.
        atoms().all(known) && !(has(&Atom::Pi) && has(&Atom::Euler))
    }
}

/// `a × b`, without the search for common factors where both are whole.
fn times(a: &BigRational, b: &BigRational) -> BigRational {
    if a.is_integer() && b.is_integer() {
        return BigRational::from_integer(a.numer() * b.numer());
    }
    a * b
}

/// `a + b`, the same.
fn sum(a: BigRational, b: BigRational) -> BigRational {
    if a.is_integer() && b.is_integer() {
        return BigRational::from_integer(a.numer() + b.numer());
    }
    a + b
}

/// What a product of two numbers costs: common factors are looked for bit by bit.
fn cost(a: &BigRational, b: &BigRational) -> u32 {
    let bits = a.numer().bits() + b.numer().bits() + a.denom().bits() + b.denom().bits();
    let bits = u32::try_from(bits.min(1 << 14)).unwrap_or(u32::MAX);
    if a.is_integer() && b.is_integer() {
        1 + bits / 512
    } else {
        1 + (bits / 128).pow(2)
    }
}

/// A product in normal form: no square of `i`, no whole power of a prime, no whole power of a root.
fn reduced(monomial: Monomial, factor: BigRational, work: &mut Work) -> Option<Poly> {
    let mut factor = factor;
    let mut kept = BTreeMap::new();
    let mut more: Vec<(Poly, u32)> = Vec::new();
    for (atom, power) in monomial.0 {
        let whole = power.floor().to_integer().to_u32()?;
        let rest = power - power.floor();
        let left = match &atom {
            Atom::Imaginary => {
                if whole % 4 >= 2 {
                    factor = -factor;
                }
                Exponent::from_integer(i64::from(whole % 2))
            }
            Atom::Prime(prime) => {
                factor *= BigRational::from_integer(Pow::pow(BigInt::from(*prime), whole));
                rest
            }
            Atom::Surd(base) => {
                factor *= BigRational::from_integer(Pow::pow(base.clone(), whole));
                rest
            }
            Atom::Root(base) => {
                if whole > 0 {
                    more.push((base.clone(), whole));
                }
                rest
            }
            _ => power,
        };
        if !left.is_zero() {
            kept.insert(atom, left);
        }
    }
    let mut found = Poly::term(Monomial(kept), factor);
    for (base, power) in more {
        found = found.times(&base.power(power, work)?, work)?;
    }
    Some(found)
}
