//! Quotients of polynomials.

use num_rational::BigRational;
use num_traits::One;

use super::{Poly, Work};

/// A quotient of polynomials; the lower one is not zero.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::verify::math) struct Fraction {
    pub(in crate::verify::math) above: Poly,
    pub(in crate::verify::math) below: Poly,
}

impl Fraction {
    /// `above / below` in the form that is used as a name; `None` where that divides by zero.
    pub(in crate::verify::math) fn new(above: Poly, below: Poly) -> Option<Self> {
        let lead = below.0.values().next_back()?.recip();
        if above.is_zero() {
            return Some(Self::from(Poly::default()));
        }
        if lead.is_one() {
            return Some(Self { above, below });
        }
        Some(Self {
            above: above.scaled(&lead),
            below: below.scaled(&lead),
        })
    }

    /// Its value, where it is a number.
    pub(in crate::verify::math) fn constant(&self) -> Option<BigRational> {
        Some(self.above.constant()? / self.below.constant()?)
    }

    /// It as a polynomial, where nothing but 1 is below the line.
    pub(in crate::verify::math) fn whole(&self) -> Option<&Poly> {
        (self.below.constant()?.is_one()).then_some(&self.above)
    }

    pub(in crate::verify::math) fn negated(&self) -> Self {
        Self {
            above: self.above.scaled(&-BigRational::one()),
            below: self.below.clone(),
        }
    }

    pub(in crate::verify::math) fn plus(self, other: &Self, work: &mut Work) -> Option<Self> {
        if self.below == other.below {
            return Self::new(self.above.plus(&other.above, work)?, self.below);
        }
        let one = self.above.times(&other.below, work)?;
        let two = other.above.times(&self.below, work)?;
        Self::new(one.plus(&two, work)?, self.below.times(&other.below, work)?)
    }

    pub(in crate::verify::math) fn times(&self, other: &Self, work: &mut Work) -> Option<Self> {
        Self::new(
            self.above.times(&other.above, work)?,
            self.below.times(&other.below, work)?,
        )
    }

    pub(in crate::verify::math) fn over(&self, other: &Self, work: &mut Work) -> Option<Self> {
        Self::new(
            self.above.times(&other.below, work)?,
            self.below.times(&other.above, work)?,
        )
    }

    /// What is zero where both are equal.
    pub(in crate::verify::math) fn difference(
        &self,
        other: &Self,
        work: &mut Work,
    ) -> Option<Poly> {
        let one = self.above.times(&other.below, work)?;
        let two = other.above.times(&self.below, work)?;
        one.plus(&two.scaled(&-BigRational::one()), work)
    }
}

impl From<Poly> for Fraction {
    fn from(above: Poly) -> Self {
        Self {
            above,
            below: Poly::number(BigRational::one()),
        }
    }
}
