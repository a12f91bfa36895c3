//! What a text states in numbers: `18`, `3 + 4 = 7`, a range, a mixed number.

use super::Number;
use super::tokens::{Token, What, tokens};

/// A number, or an expression of numbers, as it stands in a text.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::text) struct Statement {
    /// What it comes to: of an equation its last right side; `None` where that is no single number, as of `10-12`,
    /// `16 - 3` or `1.2.3`.
    pub(in crate::text) value: Option<Number>,
    pub(in crate::text) start: usize,
    pub(in crate::text) end: usize,
    /// Whether it is one number, spelled out.
    pub(in crate::text) spelled: bool,
    /// Whether it has an equals sign.
    pub(in crate::text) equation: bool,
}

/// Words that may stand between a number and the next sign of arithmetic: `9 red apples + 3 pears = 12`.
const MOST_UNIT_WORDS: usize = 3;

/// The statements of `text`, in order. Nothing is worked out: the right side of an equation is taken, not checked.
pub(in crate::text) fn statements(text: &str) -> Vec<Statement> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = chain(&tokens, at);
        if end > at {
            found.push(statement(&tokens[at..end]));
            at = end;
        } else {
            // Signs that lead to no number lead to none from their second one on either.
            let signs = tokens[at..]
                .iter()
                .take_while(|token| is_sign(&token.what))
                .count();
            at += signs.max(1);
        }
    }
    found
}

fn is_sign(what: &What) -> bool {
    matches!(what, What::Operator(_) | What::Equals | What::Open)
}

/// Where the statement ends that begins with the token at `start`; `start` where none does.
fn chain(tokens: &[Token], start: usize) -> usize {
    let what = |at: usize| tokens.get(at).map(|token| &token.what);
    let mut at = start;
    let mut end = start;
    loop {
        // Operators, an equals sign and brackets, as far as an operand follows them.
        let mut ahead = at;
        while what(ahead).is_some_and(is_sign) {
            ahead += 1;
        }
        match what(ahead) {
            Some(What::Number(_) | What::Spelled(_)) => ahead += 1,
            // `5+`, `= x`: what an operator or an equals sign leads to is not known.
            _ if ahead > at && end > start => {
                let signs = tokens[at..ahead]
                    .iter()
                    .take_while(|token| token.what != What::Open);
                return at + signs.count();
            }
            _ => return end,
        }
        while what(ahead) == Some(&What::Close) {
            ahead += 1;
        }
        end = ahead;
        // Numbers side by side are one statement: `1 1/2`, or none that can be read.
        let words = tokens[ahead..]
            .iter()
            .take_while(|token| token.what == What::Word)
            .count();
        let signed = matches!(what(ahead + words), Some(What::Operator(_) | What::Equals));
        at = match what(ahead) {
            Some(What::Open) if tokens[ahead].start > tokens[ahead - 1].end => return end,
            Some(What::Word) if signed && words <= MOST_UNIT_WORDS => ahead + words,
            Some(What::Word) => return end,
            _ => ahead,
        };
    }
}

fn statement(tokens: &[Token]) -> Statement {
    let spelled = matches!(tokens, [token] if matches!(token.what, What::Spelled(_)));
    let side = tokens
        .rsplit(|token| token.what == What::Equals)
        .next()
        .unwrap_or_default();
    let side: Vec<&What> = side
        .iter()
        .map(|token| &token.what)
        .filter(|what| !matches!(what, What::Word | What::Open | What::Close))
        .collect();
    Statement {
        value: value(&side),
        start: tokens.first().map_or(0, |token| token.start),
        end: tokens.last().map_or(0, |token| token.end),
        spelled,
        equation: tokens.iter().any(|token| token.what == What::Equals),
    }
}

/// The value of one side of an equation, where it is a single number however written.
fn value(side: &[&What]) -> Option<Number> {
    use What::Operator as Op;
    let number = |what: &What| match what {
        What::Number(value) | What::Spelled(value) => value.clone(),
        _ => None,
    };
    let ten = |what: &What| number(what).filter(|value| *value == Number::from(10));
    match side {
        [a] => number(a),
        [a, Op('/' | '\u{2044}' | '\u{f7}'), b] => number(a)?.over(&number(b)?),
        [a, Op('^'), b] => Number::from(1).scaled(&number(a)?, &number(b)?),
        // 1 1/2
        [a, b, Op('/' | '\u{2044}'), c] => {
            let part = number(b)?.over(&number(c)?).filter(Number::is_part)?;
            let whole = number(a).filter(Number::is_integer)?;
            let fits = number(b)?.is_integer() && number(c)?.is_integer();
            fits.then(|| whole.and(&part))
        }
        // 1.5 × 10^3
        [a, Op('*' | '\u{d7}' | '\u{b7}' | '\u{22c5}'), b, Op('^'), c] => {
            number(a)?.scaled(&ten(b)?, &number(c)?)
        }
        _ => None,
    }
}
