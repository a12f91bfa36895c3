//! An expression in its normal form: a quotient of polynomials, exact.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::expr::{Constant, Expr};
use super::form::{Atom, Exponent, Fraction, Poly, Work};
use super::power::{bases, power};
use super::root::rooted;
use super::trig;

/// Factorials and binomials at most (ours).
const MOST_FACTORIAL: u32 = 60;
/// What it costs to look for a number among the powers of a base (ours).
const POWERS_OF_BASE: u32 = 65;

/// The normal form of `expr`; `None` where it has no value, or none that is worked out.
pub(super) fn normal(expr: &Expr, work: &mut Work) -> Option<Fraction> {
    work.spend(1)?;
    let one = Exponent::one();
    match expr {
        Expr::Number(value) => Some(number(value.clone())),
        Expr::Constant(constant) => {
            let atom = match constant {
                Constant::Pi => Atom::Pi,
                Constant::Euler => Atom::Euler,
                Constant::Imaginary => Atom::Imaginary,
                Constant::Degree => Atom::Degree,
                Constant::Infinity => return None,
            };
            Some(Poly::atom(atom, one).into())
        }
        Expr::Variable(name) => Some(Poly::atom(Atom::Variable(name.clone()), one).into()),
        Expr::Negated(inner) => Some(normal(inner, work)?.negated()),
        Expr::Sum(terms) => {
            let mut sum = number(BigRational::zero());
            for term in terms {
                sum = sum.plus(&normal(term, work)?, work)?;
            }
            Some(sum)
        }
        Expr::Product(factors) => {
            let mut product = number(BigRational::one());
            for factor in factors {
                product = product.times(&normal(factor, work)?, work)?;
            }
            Some(product)
        }
        Expr::Quotient(above, below) => normal(above, work)?.over(&normal(below, work)?, work),
        Expr::Power(base, exponent) => {
            let (base, exponent) = (normal(base, work)?, normal(exponent, work)?);
            power(&base, &exponent, work)
        }
        Expr::Root(degree, inner) => rooted(&normal(inner, work)?, *degree, work),
        Expr::Call(name, arguments) => {
            let arguments: Option<Vec<Fraction>> =
                arguments.iter().map(|each| normal(each, work)).collect();
            let arguments = arguments?;
            if let ("ln", Some(value)) = (*name, arguments[0].constant()) {
                return logarithm(&value, work);
            }
            if let Some(value) = trig::value(name, &arguments[0], work) {
                return Some(value);
            }
            if *name == "log" {
                work.spend(POWERS_OF_BASE)?;
            }
            if let Some(value) = called(name, &arguments) {
                return Some(number(value));
            }
            Some(Poly::atom(Atom::Call(name, arguments), one).into())
        }
        Expr::Both(_) => None,
    }
}

fn number(value: BigRational) -> Fraction {
    Poly::number(value).into()
}

/// The natural logarithm of a positive number, by its prime factors: `ln 8` is `3·ln 2`.
fn logarithm(value: &BigRational, work: &mut Work) -> Option<Fraction> {
    if !value.is_positive() {
        return None;
    }
    let mut sum = Poly::default();
    for (base, count) in bases(&number(value.clone()), work)? {
        let term = Poly::atom(Atom::Call("ln", vec![base]), Exponent::one());
        sum = sum.plus(&term.scaled(&BigRational::from_integer(count.into())), work)?;
    }
    Some(sum.into())
}

/// The value of a function of numbers, where it is rational and known.
fn called(name: &str, arguments: &[Fraction]) -> Option<BigRational> {
    let whole = |value: i64| BigRational::from_integer(value.into());
    let first = arguments.first()?.constant()?;
    let second = arguments.get(1).map(Fraction::constant);
    match (name, second) {
        ("abs", None) => Some(first.abs()),
        ("floor", None) => Some(first.floor()),
        ("ceil", None) => Some(first.ceil()),
        ("factorial", None) => {
            let of = first.is_integer().then(|| first.to_integer().to_u32())??;
            let product = |of: u32| (1..=of).map(BigInt::from).product::<BigInt>();
            (of <= MOST_FACTORIAL).then(|| BigRational::from_integer(product(of)))
        }
        ("binom", Some(Some(of))) if first.is_integer() && of.is_integer() => {
            let (from, of) = (first.to_integer().to_u32()?, of.to_integer().to_u32()?);
            // Before anything is counted: the numbers may be as large as they like.
            if from > MOST_FACTORIAL || of > from {
                return None;
            }
            let ways = (0..of).fold(whole(1), |ways, i| {
                ways * whole(i64::from(from) - i64::from(i)) / whole(i64::from(i) + 1)
            });
            Some(ways)
        }
        ("log", Some(Some(base))) if base > BigRational::one() && first.is_positive() => {
            let small = base.numer().bits() < 64 && base.denom().bits() < 64;
            (-32..=32)
                .filter(|_| small)
                .find(|power| Pow::pow(base.clone(), *power) == first)
                .map(|power| whole(i64::from(power)))
        }
        _ => None,
    }
}
