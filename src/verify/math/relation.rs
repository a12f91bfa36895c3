//! Signs of relation: `x = 5`, `1 < x \le 2`, `\approx 3.14`.

use super::bracket;
use super::expr::{Constant, Expr};
use super::parse::{expression, is_product};
use super::token::{Token, What};
use super::value::Range;

/// A relation and its sides, as they were written.
pub(super) enum Relation<'t> {
    /// Sides with `=` between them.
    Equal(Vec<&'t [Token]>),
    /// An exact side, which may be left out, and what it is near to.
    Near(&'t [Token], &'t [Token]),
    /// An interval of a variable.
    Range(String, Range),
    /// Any other.
    Other,
}

/// The relation that `tokens` are, if they are one.
pub(super) fn relation(tokens: &[Token]) -> Option<Relation<'_>> {
    let is_sign = |what: &What| {
        matches!(
            what,
            What::Sign(
                '=' | '\u{2248}'
                    | '<'
                    | '>'
                    | '\u{2264}'
                    | '\u{2265}'
                    | '\u{2260}'
                    | '\u{2192}'
                    | '\u{2208}'
            )
        )
    };
    let (sides, signs) = bracket::split(tokens, is_sign);
    if signs.is_empty() {
        return None;
    }
    let is = |sign: &What, c: char| *sign == What::Sign(c);
    let about = signs.iter().filter(|sign| is(sign, '\u{2248}')).count();
    if about == 1 && is(signs[signs.len() - 1], '\u{2248}') {
        let behind = sides[sides.len() - 1];
        let before = &tokens[..tokens.len() - behind.len() - 1];
        return Some(Relation::Near(before, behind));
    }
    if signs.iter().all(|sign| is(sign, '=')) {
        return Some(Relation::Equal(sides));
    }
    Some(
        range(&sides, &signs).map_or(Relation::Other, |(name, range)| {
            Relation::Range(name, range)
        }),
    )
}

/// The interval that inequalities leave a variable.
fn range(sides: &[&[Token]], signs: &[&What]) -> Option<(String, Range)> {
    let sides: Option<Vec<Expr>> = sides.iter().map(|side| expression(side)).collect();
    let mut sides = sides?;
    let mut signs: Vec<char> = signs
        .iter()
        .filter_map(|sign| {
            if let What::Sign(c) = sign {
                Some(*c)
            } else {
                None
            }
        })
        .collect();
    // From the smaller to the larger.
    if signs.iter().all(|sign| matches!(sign, '>' | '\u{2265}')) {
        sides.reverse();
        signs.reverse();
        signs = signs
            .iter()
            .map(|sign| if *sign == '>' { '<' } else { '\u{2264}' })
            .collect();
    }
    if !signs.iter().all(|sign| matches!(sign, '<' | '\u{2264}')) {
        return None;
    }
    let infinite = |minus: bool| {
        let infinity = Expr::Constant(Constant::Infinity);
        if minus {
            Expr::Negated(Box::new(infinity))
        } else {
            infinity
        }
    };
    let with: Vec<bool> = signs.iter().map(|sign| *sign == '\u{2264}').collect();
    let (name, low, high, with_low, with_high) = match (&sides[..], &with[..]) {
        ([low, Expr::Variable(name), high], [with_low, with_high]) => {
            (name, low.clone(), high.clone(), *with_low, *with_high)
        }
        ([Expr::Variable(name), high], [with]) => {
            (name, infinite(true), high.clone(), false, *with)
        }
        ([low, Expr::Variable(name)], [with]) => (name, low.clone(), infinite(false), *with, false),
        _ => return None,
    };
    let variable = |expr: &Expr| expr.any(&|part| matches!(part, Expr::Variable(_)));
    (!variable(&low) && !variable(&high)).then(|| {
        (
            name.clone(),
            Range {
                low,
                high,
                with_low,
                with_high,
            },
        )
    })
}

/// The name that a side of an equation is, in the form in which equal names are equal: `x`, `f(x)`, `(x, y)`, `area`.
pub(super) fn name(side: &[Token]) -> Option<String> {
    if let [
        Token {
            what: What::Letter(letter),
            ..
        },
    ] = side
    {
        return Some(letter.clone());
    }
    let is_name = |token: &Token| match &token.what {
        What::Word(word, declared) => *declared || !is_product(word),
        _ => false,
    };
    if !side.is_empty() && side.iter().all(is_name) {
        let words: Vec<String> = side
            .iter()
            .filter_map(|token| {
                if let What::Word(word, _) = &token.what {
                    Some(word.to_lowercase())
                } else {
                    None
                }
            })
            .collect();
        return Some(format!("\"{}", words.join(" ")));
    }
    if let Some(('(', ')', inner)) = bracket::inside(side) {
        let (parts, _) = bracket::split(inner, |what| *what == What::Sign(','));
        let names: Option<Vec<String>> = parts.iter().map(|part| name(part)).collect();
        return names
            .filter(|names| names.len() > 1)
            .map(|names| format!("({})", names.join(",")));
    }
    match expression(side)? {
        Expr::Variable(name) => Some(name),
        Expr::Call("apply", parts) => match (parts[0].variable(), parts[1].variable()) {
            (Some(function), Some(of)) => Some(format!("{function}({of})")),
            _ => None,
        },
        _ => None,
    }
}
