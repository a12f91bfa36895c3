//! An expression as it was written: a tree of numbers, letters and operations.

use num_rational::BigRational;
use num_traits::One;

/// A number that has a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Constant {
    Pi,
    /// The base of natural logarithms.
    Euler,
    /// The square root of -1.
    Imaginary,
    /// One degree, as an angle.
    Degree,
    Infinity,
}

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Expr {
    Number(BigRational),
    Constant(Constant),
    Variable(String),
    Negated(Box<Expr>),
    Sum(Vec<Expr>),
    Product(Vec<Expr>),
    Quotient(Box<Expr>, Box<Expr>),
    Power(Box<Expr>, Box<Expr>),
    Root(u32, Box<Expr>),
    /// A function of its arguments; `log` has its base behind what it is taken of, where it has one.
    Call(&'static str, Vec<Expr>),
    /// `±` before a term: two values.
    Both(Box<Expr>),
}

impl Expr {
    /// A whole number.
    pub(super) fn whole(value: i64) -> Self {
        Self::Number(BigRational::from_integer(value.into()))
    }

    /// `self × by`.
    pub(super) fn times(self, by: &BigRational) -> Self {
        if by.is_one() {
            return self;
        }
        Self::Product(vec![Self::Number(by.clone()), self])
    }

    /// Those that it is made of.
    fn parts(&self) -> Vec<&Expr> {
        match self {
            Self::Number(_) | Self::Constant(_) | Self::Variable(_) => Vec::new(),
            Self::Negated(a) | Self::Root(_, a) | Self::Both(a) => vec![a],
            Self::Sum(all) | Self::Product(all) | Self::Call(_, all) => all.iter().collect(),
            Self::Quotient(a, b) | Self::Power(a, b) => vec![a, b],
        }
    }

    /// Whether `test` holds of it or of anything in it. It is as deep as the parser lets it be.
    pub(super) fn any(&self, test: &dyn Fn(&Expr) -> bool) -> bool {
        test(self) || self.parts().into_iter().any(|part| part.any(test))
    }

    /// Adds the names of its variables to `names`.
    pub(super) fn variables(&self, names: &mut Vec<String>) {
        if let Self::Variable(name) = self
            && !names.contains(name)
        {
            names.push(name.clone());
        }
        for part in self.parts() {
            part.variables(names);
        }
    }

    /// Its only variable, where it is nothing else.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            Self::Constant(Constant::Euler) => Some("e"),
            Self::Constant(Constant::Imaginary) => Some("i"),
            _ => None,
        }
    }

    /// Whether it is infinite, and the sign of that.
    pub(super) fn infinite(&self) -> Option<bool> {
        match self {
            Self::Constant(Constant::Infinity) => Some(true),
            Self::Negated(inner) if **inner == Self::Constant(Constant::Infinity) => Some(false),
            _ => None,
        }
    }

    /// How many signs `±` it has.
    pub(super) fn both_signs(&self) -> usize {
        let here = usize::from(matches!(self, Self::Both(_)));
        here + self
            .parts()
            .into_iter()
            .map(Self::both_signs)
            .sum::<usize>()
    }

    /// It with each `±` as `+` or as `-`.
    pub(super) fn with_sign(&self, minus: bool) -> Self {
        self.replaced(&|part| match part {
            Self::Both(inner) if minus => Some(Self::Negated(Box::new(inner.with_sign(minus)))),
            Self::Both(inner) => Some(inner.with_sign(minus)),
            _ => None,
        })
    }

    /// It with the sign of degrees left out.
    pub(super) fn without_degrees(&self) -> Self {
        self.replaced(&|part| (*part == Self::Constant(Constant::Degree)).then(|| Self::whole(1)))
    }

    /// It with the plain numbers that sines and their like are taken of as degrees, and with arcs told in degrees.
    pub(super) fn in_degrees(&self) -> Self {
        let angle = |part: &Expr| {
            matches!(
                part,
                Self::Constant(Constant::Pi | Constant::Degree | Constant::Infinity)
                    | Self::Variable(_)
            )
        };
        self.replaced(&|part| match part {
            Self::Call(name @ ("sin" | "cos" | "tan" | "cot" | "sec" | "csc"), of)
                if of.iter().all(|of| !of.any(&angle)) =>
            {
                let degree = Self::Constant(Constant::Degree);
                let of = of
                    .iter()
                    .map(|of| Self::Product(vec![of.clone(), degree.clone()]));
                Some(Self::Call(name, of.collect()))
            }
            Self::Call("arcsin" | "arccos" | "arctan", _) => Some(Self::Quotient(
                Box::new(Self::Product(vec![Self::whole(180), part.clone()])),
                Box::new(Self::Constant(Constant::Pi)),
            )),
            _ => None,
        })
    }

    /// Whether the letters of a vector's parts are in it, `i` or `j`.
    pub(super) fn may_be_vector(&self) -> bool {
        self.any(&|part| match part {
            Self::Constant(Constant::Imaginary) => true,
            Self::Variable(name) => name == "j",
            _ => false,
        })
    }

    /// It with all that `by` gives something else for.
    fn replaced(&self, by: &dyn Fn(&Expr) -> Option<Expr>) -> Self {
        if let Some(other) = by(self) {
            return other;
        }
        let of = |part: &Expr| part.replaced(by);
        let boxed = |part: &Expr| Box::new(part.replaced(by));
        match self {
            Self::Number(_) | Self::Constant(_) | Self::Variable(_) => self.clone(),
            Self::Negated(a) => Self::Negated(boxed(a)),
            Self::Both(a) => Self::Both(boxed(a)),
            Self::Root(degree, a) => Self::Root(*degree, boxed(a)),
            Self::Sum(all) => Self::Sum(all.iter().map(of).collect()),
            Self::Product(all) => Self::Product(all.iter().map(of).collect()),
            Self::Call(name, all) => Self::Call(name, all.iter().map(of).collect()),
            Self::Quotient(a, b) => Self::Quotient(boxed(a), boxed(b)),
            Self::Power(a, b) => Self::Power(boxed(a), boxed(b)),
        }
    }
}
