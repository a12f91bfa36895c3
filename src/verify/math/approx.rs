//! The value of an expression near enough to tell two apart, with a bound of its error.
//!
//! It never says that two are equal: what is close may differ further on.

use std::f64::consts::{E, PI};

use num_traits::ToPrimitive;

use super::expr::{Constant, Expr};

/// Variables at most (ours).
const MOST_VARIABLES: usize = 6;

/// A real value and how far it may be off.
#[derive(Clone, Copy, Debug)]
struct Approx {
    value: f64,
    error: f64,
}

/// What rounding adds to an error, as a part of the value (ours): more than any operation here is off by.
const ROUNDING: f64 = 1e-14;

/// Values of variables (ours): positive, since roots are, and with no pattern among them.
const POINTS: [[f64; MOST_VARIABLES]; 3] = [
    [1.312_5, 0.718_75, 2.156_25, 0.406_25, 3.093_75, 1.906_25],
    [0.531_25, 1.843_75, 0.281_25, 2.718_75, 1.218_75, 0.656_25],
    [2.406_25, 3.281_25, 1.593_75, 1.093_75, 0.343_75, 4.156_25],
];

/// Values of variables that count (ours).
const COUNTS: [[f64; MOST_VARIABLES]; 3] = [
    [3.0, 5.0, 2.0, 7.0, 4.0, 6.0],
    [4.0, 1.0, 9.0, 3.0, 8.0, 2.0],
    [7.0, 6.0, 5.0, 2.0, 1.0, 9.0],
];

/// Whether `a` and `b` certainly have different values at some point where both have one.
pub(super) fn apart(a: &Expr, b: &Expr) -> bool {
    let mut names = Vec::new();
    a.variables(&mut names);
    b.variables(&mut names);
    names.sort();
    if names.len() > MOST_VARIABLES {
        return false;
    }
    // Variables that count get whole numbers, of which alone something may hold: `cos(nπ)`.
    let counts = |name: &String| matches!(name.chars().next(), Some('j' | 'k' | 'm' | 'n' | 'N'));
    POINTS.iter().zip(COUNTS).any(|(point, whole)| {
        let mut point = *point;
        for (place, _) in names.iter().enumerate().filter(|(_, name)| counts(name)) {
            point[place] = whole[place];
        }
        let point = &point;
        let value = |expr| evaluate(expr, &names, point);
        let (Some(a), Some(b)) = (value(a), value(b)) else {
            return false;
        };
        let error = a.error + b.error;
        error.is_finite()
            && (a.value - b.value).abs() > 4.0 * error + 1e-12 * a.value.abs().max(b.value.abs())
    })
}

fn evaluate(expr: &Expr, names: &[String], point: &[f64; MOST_VARIABLES]) -> Option<Approx> {
    let of = |expr: &Expr| evaluate(expr, names, point);
    let exact = |value: f64| rounded(value, 0.0);
    match expr {
        Expr::Number(value) => exact(value.to_f64()?),
        Expr::Constant(Constant::Pi) => exact(PI),
        Expr::Constant(Constant::Euler) => exact(E),
        Expr::Constant(Constant::Degree) => exact(PI / 180.0),
        Expr::Constant(Constant::Imaginary | Constant::Infinity) | Expr::Both(_) => None,
        Expr::Variable(name) => exact(point[names.binary_search(name).ok()?]),
        Expr::Negated(inner) => of(inner).map(|a| Approx {
            value: -a.value,
            error: a.error,
        }),
        Expr::Sum(terms) => {
            let mut sum = exact(0.0)?;
            for term in terms {
                let term = of(term)?;
                sum = rounded(sum.value + term.value, sum.error + term.error)?;
            }
            Some(sum)
        }
        Expr::Product(factors) => {
            let mut product = exact(1.0)?;
            for factor in factors {
                product = times(product, of(factor)?)?;
            }
            Some(product)
        }
        Expr::Quotient(above, below) => times(of(above)?, inverse(of(below)?)?),
        Expr::Power(base, exponent) => powered(of(base)?, of(exponent)?),
        Expr::Root(degree, inner) => {
            let inner = of(inner)?;
            if degree % 2 == 1 && inner.value < 0.0 {
                let positive = Approx {
                    value: -inner.value,
                    ..inner
                };
                let root = powered(positive, exact(1.0 / f64::from(*degree))?)?;
                return Some(Approx {
                    value: -root.value,
                    ..root
                });
            }
            powered(inner, exact(1.0 / f64::from(*degree))?)
        }
        Expr::Call(name, arguments) => {
            let arguments: Option<Vec<Approx>> = arguments.iter().map(of).collect();
            called(name, &arguments?)
        }
    }
}

fn rounded(value: f64, error: f64) -> Option<Approx> {
    let error = error + value.abs() * ROUNDING + f64::MIN_POSITIVE;
    (value.is_finite() && error.is_finite()).then_some(Approx { value, error })
}

fn times(a: Approx, b: Approx) -> Option<Approx> {
    rounded(
        a.value * b.value,
        a.value.abs() * b.error + b.value.abs() * a.error + a.error * b.error,
    )
}

fn inverse(a: Approx) -> Option<Approx> {
    let least = a.value.abs() - a.error;
    (least > 0.0).then(|| rounded(1.0 / a.value, a.error / (least * least)))?
}

/// A positive base to any power, any base to a whole one.
fn powered(base: Approx, exponent: Approx) -> Option<Approx> {
    if base.value - base.error > 0.0 {
        let log = smooth(base, f64::ln, |at| 1.0 / at)?;
        return smooth(times(log, exponent)?, f64::exp, f64::exp);
    }
    let whole = exponent.value;
    if whole.fract() != 0.0 || !(1.0..=64.0).contains(&whole) {
        return None;
    }
    let mut found = base;
    let mut count = 1.0;
    while count < whole {
        found = times(found, base)?;
        count += 1.0;
    }
    Some(found)
}

/// A function by its slope, which must not grow by more than twice within the error.
fn smooth(a: Approx, function: fn(f64) -> f64, slope: impl Fn(f64) -> f64) -> Option<Approx> {
    let steepest = [a.value - a.error, a.value, a.value + a.error].map(|at| slope(at).abs());
    let steepest = steepest.into_iter().fold(0.0, f64::max);
    rounded(function(a.value), 2.0 * a.error * steepest)
}

fn called(name: &str, arguments: &[Approx]) -> Option<Approx> {
    let a = *arguments.first()?;
    let positive = a.value - a.error > 0.0;
    match (name, arguments.get(1)) {
        ("sin", None) => smooth(a, f64::sin, |_| 1.0),
        ("cos", None) => smooth(a, f64::cos, |_| 1.0),
        ("tan", None) => times(
            smooth(a, f64::sin, |_| 1.0)?,
            inverse(smooth(a, f64::cos, |_| 1.0)?)?,
        ),
        ("cot", None) => times(
            smooth(a, f64::cos, |_| 1.0)?,
            inverse(smooth(a, f64::sin, |_| 1.0)?)?,
        ),
        ("sec", None) => inverse(smooth(a, f64::cos, |_| 1.0)?),
        ("csc", None) => inverse(smooth(a, f64::sin, |_| 1.0)?),
        ("arctan", None) => smooth(a, f64::atan, |_| 1.0),
        ("sinh", None) => smooth(a, f64::sinh, f64::cosh),
        ("cosh", None) => smooth(a, f64::cosh, f64::sinh),
        ("tanh", None) => smooth(a, f64::tanh, |_| 1.0),
        ("exp", None) => smooth(a, f64::exp, f64::exp),
        ("abs", None) => Some(Approx {
            value: a.value.abs(),
            ..a
        }),
        ("ln", None) if positive => smooth(a, f64::ln, |at| 1.0 / at),
        ("log", Some(base)) if positive && base.value > 1.01 => {
            let base = smooth(*base, f64::ln, |at| 1.0 / at)?;
            times(smooth(a, f64::ln, |at| 1.0 / at)?, inverse(base)?)
        }
        _ => None,
    }
}
