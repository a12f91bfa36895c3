//! What an answer is: a number, a set, a point, an interval, an equation, a text.

use num_bigint::BigInt;

use super::expr::Expr;
use super::unit::Unit;

/// An answer as it was read.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// An expression; `unit` where one stands with it.
    Scalar {
        expr: Expr,
        unit: Option<Unit>,
    },
    /// Answers with commas between them, or in the brackets of a set: in no order.
    List {
        items: Vec<Value>,
        set: bool,
    },
    /// Answers in brackets: in their order. Two may be a point or an interval.
    Tuple {
        open: char,
        close: char,
        items: Vec<Value>,
    },
    /// An interval that can be nothing else: by an inequality of the variable, or by a sign of union.
    Ranges {
        of: Option<String>,
        ranges: Vec<Range>,
    },
    /// A name, and what it is: `x = 5`.
    Named {
        name: String,
        value: Box<Value>,
    },
    /// Two sides of an equation.
    Equation {
        left: Expr,
        right: Expr,
    },
    /// An exact value, and what it is near to: `2\sqrt{2} \approx 2.83`.
    Near {
        exact: Box<Value>,
        about: Box<Value>,
    },
    Matrix {
        rows: Vec<Vec<Value>>,
    },
    /// `3:1`.
    Ratio {
        parts: Vec<Expr>,
    },
    /// Digits in a base: `1011_2`.
    Based {
        value: BigInt,
        digits: String,
        base: u32,
    },
    /// The empty set, or `no solution`.
    Empty,
    /// Words, folded.
    Words(String),
    /// What is not read.
    Unread,
}

/// One interval.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) low: Expr,
    pub(super) high: Expr,
    /// Whether its ends belong to it.
    pub(super) with_low: bool,
    pub(super) with_high: bool,
}

impl Value {
    /// A value without a unit.
    pub(super) fn scalar(expr: Expr) -> Self {
        Self::Scalar { expr, unit: None }
    }

    /// It as an interval, where its brackets are those of one.
    pub(super) fn range(&self) -> Option<Range> {
        let Self::Tuple { open, close, items } = self else {
            return None;
        };
        match (
            &items[..],
            matches!(open, '(' | '['),
            matches!(close, ')' | ']'),
        ) {
            (
                [
                    Self::Scalar {
                        expr: low,
                        unit: None,
                    },
                    Self::Scalar {
                        expr: high,
                        unit: None,
                    },
                ],
                true,
                true,
            ) => Some(Range {
                low: low.clone(),
                high: high.clone(),
                with_low: *open == '[' && low.infinite().is_none(),
                with_high: *close == ']' && high.infinite().is_none(),
            }),
            _ => None,
        }
    }

    /// Whether it is an interval and can be no point.
    pub(super) fn is_range(&self) -> bool {
        let Self::Tuple { open, close, .. } = self else {
            return matches!(self, Self::Ranges { .. });
        };
        self.range().is_some_and(|range| {
            let infinite = range.low.infinite().is_some() || range.high.infinite().is_some();
            infinite || (*open == '[') != (*close == ']')
        })
    }
}
