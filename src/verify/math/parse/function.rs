//! Functions with what they are taken of: `\sin 2x`, `\log_2(x+1)`, `\cos^2 x`.

use num_traits::Signed;

use super::Parser;
use crate::verify::math::expr::Expr;
use crate::verify::math::token::What;

impl Parser<'_> {
    /// A function with its power, its base and its argument.
    pub(super) fn function(&mut self, name: &'static str) -> Option<Expr> {
        if name == "emptyset" {
            return None;
        }
        let mut base = None;
        if self.take('_') {
            base = Some(if self.sign() == Some('{') {
                self.primary()?
            } else {
                self.argument_of_log()?
            });
            if name != "log" {
                return None;
            }
        }
        let power = if self.take('^') {
            Some(self.exponent()?)
        } else {
            None
        };
        // `\sin^{-1}` is another function.
        if let Some(power) = &power {
            let fits =
                matches!(power, Expr::Number(value) if value.is_integer() && value.is_positive());
            if !fits {
                return None;
            }
        }
        let mut arguments = vec![self.taken_of()?];
        arguments.extend(base);
        let found = Expr::Call(name, arguments);
        Some(match power {
            Some(power) => Expr::Power(Box::new(found), Box::new(power)),
            None => found,
        })
    }

    fn argument_of_log(&mut self) -> Option<Expr> {
        match self.what()? {
            What::Number(..) => self.primary(),
            What::Letter(_) => self.letter(),
            _ => None,
        }
    }

    /// What a function is taken of: a bracket, or factors up to the next sign or function.
    fn taken_of(&mut self) -> Option<Expr> {
        if matches!(self.sign(), Some('(' | '[' | '{' | '|')) {
            return self.primary();
        }
        let mut factors = Vec::new();
        loop {
            let simple = match self.what() {
                Some(What::Number(..)) => factors.is_empty(),
                Some(What::Letter(_) | What::Name("pi") | What::Word(..)) => self.begins_factor(),
                Some(What::Command(_)) => self.command("frac") || self.command("sqrt"),
                _ => false,
            };
            if !simple {
                break;
            }
            factors.push(self.factor(false)?.0);
        }
        // `\sin x(1+x)`; `\sin \pi/3` may be taken of either.
        let open = self.begins_factor() && !matches!(self.what(), Some(What::Name(_)));
        if factors.is_empty() || open || self.sign() == Some('/') {
            return None;
        }
        if factors.len() == 1 {
            factors.pop()
        } else {
            Some(Expr::Product(factors))
        }
    }
}
