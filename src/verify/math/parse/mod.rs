//! Tokens as an expression, by the rules of hand-written mathematics.
//!
//! What may be meant in two ways is not read: `1/2x`, `2\frac{3}{2}`, `\sin x(1+x)`.

mod function;
mod mixed;
mod operand;

use super::expr::{Constant, Expr};
use super::token::{Token, What};

/// Brackets within brackets, and commands within commands, at most (ours).
const MOST_DEPTH: usize = 24;

/// Letters of names that are functions where a bracket follows them.
const FUNCTIONS: [&str; 8] = ["f", "g", "h", "F", "G", "H", "P", "Q"];

/// The expression that all of `tokens` is.
pub(super) fn expression(tokens: &[Token]) -> Option<Expr> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        commands: 0,
    };
    let found = parser.sum()?;
    (parser.at == tokens.len()).then_some(found)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
    /// Commands whose arguments are being read.
    commands: usize,
}

/// What stands last in a term, which decides what may stand behind it without a sign.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// A number in digits, or a letter behind which digits would be an index.
    Number,
    Letter,
    Other,
}

impl<'t> Parser<'t> {
    fn what(&self) -> Option<&'t What> {
        self.tokens.get(self.at).map(|token| &token.what)
    }

    fn sign(&self) -> Option<char> {
        match self.what() {
            Some(What::Sign(c)) => Some(*c),
            _ => None,
        }
    }

    /// Steps over `sign`, if it is next.
    fn take(&mut self, sign: char) -> bool {
        let next = self.sign() == Some(sign);
        self.at += usize::from(next);
        next
    }

    fn command(&self, name: &str) -> bool {
        matches!(self.what(), Some(What::Command(command)) if command == name)
    }

    /// Terms with their signs.
    fn sum(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return None;
        }
        let mut terms = Vec::new();
        loop {
            let sign = self.sign().filter(|c| matches!(c, '+' | '-' | '\u{b1}'));
            self.at += usize::from(sign.is_some());
            if sign.is_none() && !terms.is_empty() {
                break;
            }
            let term = self.term()?;
            terms.push(match sign {
                Some('-') => Expr::Negated(Box::new(term)),
                Some('\u{b1}') => Expr::Both(Box::new(term)),
                _ => term,
            });
        }
        self.depth -= 1;
        if terms.len() == 1 {
            terms.pop()
        } else {
            Some(Expr::Sum(terms))
        }
    }

    /// Factors, with and without signs between them.
    fn term(&mut self) -> Option<Expr> {
        let mut found = self.factor(true)?.0;
        // Behind `/`, a factor without a sign may belong below the line or not.
        let mut below = false;
        loop {
            match self.sign() {
                Some('*') => {
                    self.at += 1;
                    let factor = self.signed_factor()?;
                    (found, below) = (product(found, factor), false);
                }
                Some('/') => {
                    self.at += 1;
                    let factor = self.signed_factor()?;
                    found = Expr::Quotient(Box::new(found), Box::new(factor));
                    below = true;
                }
                _ if self.begins_factor() => {
                    let digits = matches!(self.what(), Some(What::Number(..)));
                    if below || digits {
                        return None; // `1/2x`, `x2`, `3 4`
                    }
                    let factor = self.factor(false)?.0;
                    found = product(found, factor);
                }
                _ => return Some(found),
            }
        }
    }

    /// A factor behind a sign of multiplication, which may have a sign of its own: `2 \cdot -3`.
    fn signed_factor(&mut self) -> Option<Expr> {
        let minus = self.take('-');
        let factor = self.factor(false)?.0;
        Some(if minus {
            Expr::Negated(Box::new(factor))
        } else {
            factor
        })
    }

    fn begins_factor(&self) -> bool {
        match self.what() {
            Some(What::Number(..) | What::Letter(_) | What::Name(_)) => true,
            Some(What::Word(word, declared)) => !declared && is_product(word),
            Some(What::Command(name)) => matches!(name.as_str(), "frac" | "sqrt" | "binom"),
            Some(What::Sign(c)) => {
                matches!(c, '(' | '[' | '{' | '\u{221e}' | '\u{230a}' | '\u{2308}')
            }
            _ => false,
        }
    }

    /// A primary with what is raised behind it. The `first` of a term may be a mixed number.
    fn factor(&mut self, first: bool) -> Option<(Expr, Last)> {
        if first && let Some(mixed) = self.mixed()? {
            return Some((mixed, Last::Other));
        }
        let start = self.what()?;
        let kind = match start {
            What::Number(..) => Last::Number,
            What::Letter(_) | What::Word(..) => Last::Letter,
            _ => Last::Other,
        };
        let is_function = matches!(start, What::Letter(name) if FUNCTIONS.contains(&name.as_str()));
        let mut found = self.primary()?;
        loop {
            if self.take('!') {
                if self.sign() == Some('!') {
                    return None; // a factorial of every second number
                }
                found = Expr::Call("factorial", vec![found]);
            } else if kind == Last::Number && self.take('\u{b0}') {
                found = Expr::Product(vec![found, Expr::Constant(Constant::Degree)]);
            } else {
                break;
            }
        }
        if self.take('^') {
            let exponent = self.exponent()?;
            if self.sign() == Some('^') || (is_function && self.sign() == Some('(')) {
                return None; // `2^3^2`; `f^2(x)`
            }
            found = match found {
                // Of letters side by side the last one is raised.
                Expr::Product(mut all) if kind == Last::Letter => {
                    let last = all.pop()?;
                    all.push(Expr::Power(Box::new(last), Box::new(exponent)));
                    Expr::Product(all)
                }
                found => Expr::Power(Box::new(found), Box::new(exponent)),
            };
        } else if is_function && self.sign() == Some('(') {
            let inner = self.primary()?;
            found = Expr::Call("apply", vec![found, inner]);
        }
        Some((found, kind))
    }

    /// What stands behind `^`: a group, or one thing with a sign at most.
    fn exponent(&mut self) -> Option<Expr> {
        let minus = self.take('-');
        let found = match self.what()? {
            What::Sign('{' | '(') | What::Number(..) | What::Name("pi") => self.primary()?,
            What::Letter(_) => self.letter()?,
            What::Command(name) if name == "frac" => self.primary()?,
            _ => return None,
        };
        Some(if minus {
            Expr::Negated(Box::new(found))
        } else {
            found
        })
    }
}

/// `a × b`, in one list.
fn product(a: Expr, b: Expr) -> Expr {
    match a {
        Expr::Product(mut all) => {
            all.push(b);
            Expr::Product(all)
        }
        a => Expr::Product(vec![a, b]),
    }
}

/// The constant that the letter is, or the variable.
fn constant_or(name: &str) -> Expr {
    match name {
        "e" => Expr::Constant(Constant::Euler),
        "i" => Expr::Constant(Constant::Imaginary),
        _ => Expr::Variable(name.to_owned()),
    }
}

/// Whether letters side by side are factors: `xy`, `abc`; no word, no differential `dx`, no ordinal.
pub(super) fn is_product(word: &str) -> bool {
    let other = matches!(
        word,
        "dx" | "dy" | "dz" | "dt" | "dr" | "st" | "nd" | "rd" | "th"
    );
    !other
        && word.len() <= 3
        && word
            .bytes()
            .all(|b| b.is_ascii_alphabetic() && !b"eiouEIOU".contains(&b))
}
