//! What operators stand between: numbers, letters with their indices, brackets, fractions, roots.

use num_traits::ToPrimitive;

use super::{FUNCTIONS, MOST_DEPTH, Parser, constant_or, is_product};
use crate::verify::math::expr::{Constant, Expr};
use crate::verify::math::glyph;
use crate::verify::math::token::What;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Option<Expr> {
        let what = self.what()?;
        match what {
            What::Number(value, _) => {
                self.at += 1;
                if self.sign() == Some('_') {
                    return None; // a number in another base
                }
                Some(Expr::Number(value.clone()))
            }
            What::Letter(_) => self.letter(),
            What::Word(word, false) if is_product(word) => {
                self.at += 1;
                // `a_1` would be its last letter's, `xf(x)` a function's.
                let applied =
                    self.sign() == Some('(') && FUNCTIONS.iter().any(|name| word.ends_with(name));
                if self.sign() == Some('_') || applied {
                    return None;
                }
                let letters = word.chars().map(|c| constant_or(&c.to_string()));
                Some(Expr::Product(letters.collect()))
            }
            What::Name("pi") => {
                self.at += 1;
                Some(Expr::Constant(Constant::Pi))
            }
            What::Name(name) => {
                self.at += 1;
                self.function(name)
            }
            What::Sign('\u{221e}') => {
                self.at += 1;
                Some(Expr::Constant(Constant::Infinity))
            }
            What::Sign('|') => {
                self.at += 1;
                let inner = self.sum()?;
                self.take('|').then(|| Expr::Call("abs", vec![inner]))
            }
            What::Sign(open) => {
                let close =
                    glyph::closer(*open).filter(|_| *open != glyph::SET && *open != '\u{27e8}')?;
                self.at += 1;
                let inner = self.sum()?;
                if !self.take(close) {
                    return None;
                }
                Some(match open {
                    '\u{230a}' => Expr::Call("floor", vec![inner]),
                    '\u{2308}' => Expr::Call("ceil", vec![inner]),
                    _ => inner,
                })
            }
            What::Command(name) => {
                self.at += 1;
                self.commands += 1;
                if self.commands > MOST_DEPTH {
                    return None; // `√√√…`
                }
                let found = match name.as_str() {
                    "frac" => {
                        let (above, below) = (self.argument()?, self.argument()?);
                        Some(Expr::Quotient(Box::new(above), Box::new(below)))
                    }
                    "binom" => Some(Expr::Call(
                        "binom",
                        vec![self.argument()?, self.argument()?],
                    )),
                    "sqrt" => self.root(),
                    _ => None,
                };
                self.commands -= 1;
                found
            }
            _ => None,
        }
    }

    fn root(&mut self) -> Option<Expr> {
        let mut degree = 2;
        if self.take('[') {
            let Some(What::Number(value, _)) = self.what() else {
                return None;
            };
            degree = value.is_integer().then(|| value.to_integer().to_u32())??;
            self.at += 1;
            if !self.take(']') || !(2..=12).contains(&degree) {
                return None;
            }
        }
        let inner = match self.what()? {
            What::Sign('(') => self.primary()?,
            // `√12` has one argument in a run of digits.
            What::Number(value, _) => {
                self.at += 1;
                Expr::Number(value.clone())
            }
            _ => self.argument()?,
        };
        Some(Expr::Root(degree, Box::new(inner)))
    }

    /// An argument of a command: a group, or one digit or letter.
    fn argument(&mut self) -> Option<Expr> {
        match self.what()? {
            What::Sign('{') | What::Command(_) | What::Name("pi") => self.primary(),
            // `\frac12` has two arguments in one run of digits.
            What::Number(value, digits) if digits.len() == 1 => {
                self.at += 1;
                Some(Expr::Number(value.clone()))
            }
            What::Letter(_) => self.letter(),
            _ => None,
        }
    }

    /// A letter with its index and its primes.
    pub(super) fn letter(&mut self) -> Option<Expr> {
        let Some(What::Letter(name)) = self.what() else {
            return None;
        };
        self.at += 1;
        let mut name = name.clone();
        if self.take('_') {
            name.push('_');
            let open = self.take('{');
            let mut parts = 0;
            loop {
                match self.what()? {
                    What::Sign('}') if open && parts > 0 => break,
                    What::Number(_, text) | What::Letter(text) | What::Word(text, _) => {
                        name.push_str(text);
                    }
                    What::Sign(c @ ('+' | '-' | ',')) if open => name.push(*c),
                    _ => return None,
                }
                self.at += 1;
                parts += 1;
                if !open {
                    return Some(Expr::Variable(name));
                }
            }
            self.at += 1;
            return Some(Expr::Variable(name));
        }
        while self.take('\'') {
            name.push('\'');
        }
        Some(constant_or(&name))
    }
}
