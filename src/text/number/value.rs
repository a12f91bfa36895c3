//! A number's value, exact: `1/2` is `0.5`, and `0.1` is a tenth.

use std::fmt;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

/// Digits of a number, and powers of ten, beyond which it is not read (ours): more than any 64-bit float has, and few
/// enough that no text makes the reader slow.
const MOST_DIGITS: usize = 400;

/// An exact number.
///
/// Its text is its canonical form: a decimal without an exponent or needless zeros where that ends (`-0.25`, `1500`),
/// the reduced fraction where it does not (`1/3`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Number(BigRational);

impl Number {
    /// `digits` with at most one decimal point among them: `12`, `1.5`, `.5`.
    pub(crate) fn decimal(digits: &str) -> Option<Self> {
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + part.len() > MOST_DIGITS {
            return None;
        }
        let all: BigInt = format!("{whole}{part}").parse().ok()?;
        Some(Self(BigRational::new(all, ten_to(part.len()))))
    }

    /// `self × base^exponent`.
    pub(super) fn scaled(&self, base: &Self, exponent: &Self) -> Option<Self> {
        let exponent = exponent.0.is_integer().then(|| exponent.0.to_integer())?;
        let exponent = exponent.to_i32()?;
        // A decimal digit has more than three bits.
        let digits = base.0.numer().bits().max(base.0.denom().bits()) / 3 + 1;
        let most = u64::from(exponent.unsigned_abs()).checked_mul(digits)?;
        if most > MOST_DIGITS as u64 || (base.0.is_zero() && exponent <= 0) {
            return None;
        }
        Some(Self(&self.0 * Pow::pow(&base.0, exponent)))
    }

    /// `self ÷ by`; nothing is divided by zero.
    pub(super) fn over(&self, by: &Self) -> Option<Self> {
        (!by.0.is_zero()).then(|| Self(&self.0 / &by.0))
    }

    /// `self × by`.
    pub(super) fn times(&self, by: &Self) -> Self {
        Self(&self.0 * &by.0)
    }

    /// `self + more`; away from zero, so that `-1 1/2` is `-1.5`.
    pub(super) fn and(&self, more: &Self) -> Self {
        if self.0.is_negative() {
            Self(&self.0 - &more.0)
        } else {
            Self(&self.0 + &more.0)
        }
    }

    /// `-self`.
    pub(super) fn negated(&self) -> Self {
        Self(-&self.0)
    }

    /// Its value.
    pub(crate) fn rational(&self) -> &BigRational {
        &self.0
    }

    /// Whether it is a whole number.
    pub fn is_integer(&self) -> bool {
        self.0.is_integer()
    }

    /// Whether it is a fraction between 0 and 1.
    pub(super) fn is_part(&self) -> bool {
        self.0.is_positive() && self.0 < BigRational::one()
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(BigRational::from_integer(value.into()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(places) = decimal_places(self.0.denom()) else {
            return write!(f, "{}/{}", self.0.numer(), self.0.denom());
        };
        let shifted = (&self.0 * BigRational::from_integer(ten_to(places))).to_integer();
        let sign = if shifted.is_negative() { "-" } else { "" };
        let digits = format!("{:0>width$}", shifted.abs(), width = places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        let point = if places == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{part}")
    }
}

/// How many decimals a fraction in lowest terms has, if they end: as many as its denominator has factors 2 or 5.
fn decimal_places(denominator: &BigInt) -> Option<usize> {
    let mut rest = denominator.clone();
    let mut count = |prime: u32| {
        let mut times = 0;
        while (&rest % prime).is_zero() {
            rest /= prime;
            times += 1;
        }
        times
    };
    let places = count(2).max(count(5));
    rest.is_one().then_some(places)
}

fn ten_to(power: usize) -> BigInt {
    Pow::pow(BigInt::from(10), power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> Number {
        Number::decimal(digits).unwrap()
    }

    #[test]
    fn equal_values_are_written_alike() {
        for (digits, written) in [
            ("0012", "12"),
            (".5", "0.5"),
            ("1.50", "1.5"),
            ("0.000", "0"),
            (
                "123456789012345678901234567890.1",
                "123456789012345678901234567890.1",
            ),
        ] {
            assert_eq!(number(digits).to_string(), written);
        }
        let over = |a: &str, b: &str| number(a).over(&number(b)).unwrap().to_string();
        assert_eq!(over("1", "2"), "0.5");
        assert_eq!(over("2", "6"), "1/3");
        assert_eq!(over("1", "400"), "0.0025");
        assert_eq!(number("0.25").negated().to_string(), "-0.25");
        assert_eq!(number("1").over(&number("0")), None);
    }

    #[test]
    fn powers_stay_within_bounds() {
        let ten = Number::from(10);
        let scaled = |digits: &str, exponent: &str| number(digits).scaled(&ten, &number(exponent));
        assert_eq!(scaled("1.5", "3").unwrap().to_string(), "1500");
        assert_eq!(scaled("1", "999999999"), None);
        assert_eq!(scaled("1", "0.5"), None);
        assert_eq!(
            number("5")
                .scaled(&ten, &number("1").negated())
                .unwrap()
                .to_string(),
            "0.5"
        );
        assert_eq!(Number::decimal(&"9".repeat(1000)), None);
    }
}
