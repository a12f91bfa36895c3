//! Mixed numbers: `1\frac{1}{2}`, `1 1/2`.

use num_traits::Zero;

use super::Parser;
use crate::verify::math::expr::Expr;
use crate::verify::math::token::What;

impl Parser<'_> {
    /// `1\frac{1}{2}` and `1 1/2`. `None` inside where there is no mixed number, and outside where it is not known whether
    /// there is one: `2\frac{3}{2}`.
    #[expect(
        clippy::option_option,
        reason = "no mixed number, or none that is certain"
    )]
    pub(super) fn mixed(&mut self) -> Option<Option<Expr>> {
        let number = |at: usize| match self.tokens.get(at).map(|token| &token.what) {
            Some(What::Number(value, digits)) if value.is_integer() && !digits.contains('.') => {
                Some(value)
            }
            _ => None,
        };
        let sign = |at: usize| match self.tokens.get(at).map(|token| &token.what) {
            Some(What::Sign(c)) => Some(*c),
            Some(What::Command(name)) if name == "frac" => Some('\\'),
            _ => None,
        };
        let Some(whole) = number(self.at) else {
            return Some(None);
        };
        let behind = self.at + 1;
        let (above, below, end) = if sign(behind) == Some('\\') {
            let braced = |at: usize| {
                let inner =
                    number(at + 1).filter(|_| sign(at) == Some('{') && sign(at + 2) == Some('}'));
                inner.map(|value| (value, at + 3)).or_else(|| {
                    let digit = self.tokens.get(at).map(|token| &token.what);
                    matches!(digit, Some(What::Number(_, digits)) if digits.len() == 1)
                        .then(|| number(at).map(|value| (value, at + 1)))?
                })
            };
            let Some((above, next)) = braced(behind + 1) else {
                return Some(None);
            };
            let Some((below, end)) = braced(next) else {
                return Some(None);
            };
            (above, below, end)
        } else if let (Some(above), Some('/'), Some(below)) =
            (number(behind), sign(behind + 1), number(behind + 2))
        {
            (above, below, behind + 3)
        } else {
            return Some(None);
        };
        if below.is_zero() || above >= below || above.is_zero() || sign(end) == Some('^') {
            return None;
        }
        self.at = end;
        Some(Some(Expr::Number(whole + above / below)))
    }
}
