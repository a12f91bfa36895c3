//! Sines and their like at the angles of which they are roots: multiples of 15 degrees.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};

use super::form::{Atom, Exponent, Fraction, Poly, Work};
use super::root::root;

/// Multiples of 15 degrees in a turn, half of one, and a quarter.
const TURN: u32 = 24;
const HALF: u32 = 12;
const QUARTER: u32 = 6;

/// The value of the function `name` at `angle`, where that is known exactly.
pub(super) fn value(name: &str, angle: &Fraction, work: &mut Work) -> Option<Fraction> {
    if !matches!(name, "sin" | "cos" | "tan" | "cot" | "sec" | "csc") {
        return None;
    }
    let at = steps(angle)?;
    let one = Fraction::from(Poly::number(BigRational::one()));
    let mut sine = || Some(Fraction::from(sine(at, work)?));
    match name {
        "sin" => return sine(),
        "csc" => {
            let below = sine()?;
            return one.over(&below, work);
        }
        _ => {}
    }
    let sine = sine()?;
    let cosine = Fraction::from(self::sine(at + QUARTER, work)?);
    match name {
        "cos" => Some(cosine),
        "sec" => one.over(&cosine, work),
        "tan" => sine.over(&cosine, work),
        _ => cosine.over(&sine, work),
    }
}

/// As how many times 15 degrees an angle is given, less whole turns.
fn steps(angle: &Fraction) -> Option<u32> {
    if angle.above.is_zero() {
        return Some(0);
    }
    let mut terms = angle.whole()?.0.iter();
    let (Some((monomial, factor)), None) = (terms.next(), terms.next()) else {
        return None;
    };
    let mut atoms = monomial.0.iter();
    let (Some((atom, power)), None) = (atoms.next(), atoms.next()) else {
        return None;
    };
    let whole = BigRational::from_integer;
    let steps = match atom {
        Atom::Pi => factor * whole(HALF.into()),
        Atom::Degree => factor / whole(15.into()),
        _ => return None,
    };
    let turn = BigInt::from(TURN);
    let rest = ((steps.to_integer() % &turn) + &turn) % &turn;
    rest.to_u32()
        .filter(|_| steps.is_integer() && *power == Exponent::one())
}

/// The sine of `steps` times 15 degrees.
fn sine(steps: u32, work: &mut Work) -> Option<Poly> {
    let steps = steps % TURN;
    if steps > HALF {
        return Some(sine(steps - HALF, work)?.scaled(&-BigRational::one()));
    }
    let mut of = |value: u32, below: u32| -> Option<Poly> {
        let root = root(&BigRational::from_integer(value.into()), 2, work)?;
        Some(root.scaled(&BigRational::new(BigInt::one(), below.into())))
    };
    match steps.min(HALF - steps) {
        0 => Some(Poly::number(BigRational::zero())),
        1 => {
            let (larger, smaller) = (of(6, 4)?, of(2, 4)?);
            larger.plus(&smaller.scaled(&-BigRational::one()), work)
        }
        2 => of(1, 2),
        3 => of(2, 2),
        4 => of(3, 2),
        5 => {
            let (larger, smaller) = (of(6, 4)?, of(2, 4)?);
            larger.plus(&smaller, work)
        }
        _ => of(1, 1),
    }
}
