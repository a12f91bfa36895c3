//! Notations of digits: `1,234.5`, `1{,}234`, `1.5e3`, `0.1\overline{6}`.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Pow;

use super::{Lexer, What};
use crate::text::{Number, whole_number};

/// Digits of the part of a decimal that repeats, at most (ours).
const MOST_REPEATED: usize = 40;

impl Lexer<'_> {
    /// The longest notation of digits here. A comma groups where commas may, and where all groups have three digits.
    pub(super) fn number(&mut self) {
        let rest = self.rest();
        let digits = |text: &str| {
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len())
        };
        // `\frac12` is a half.
        let argument = self
            .found
            .last()
            .is_some_and(|token| matches!(&token.what, What::Command(name) if name == "frac"));
        if argument && !self.spaced && rest.starts_with(|c: char| c.is_ascii_digit()) {
            self.at += 1;
            let value = rest[..1].parse().unwrap_or_default();
            self.push(What::Number(
                BigRational::from_integer(value),
                rest[..1].to_owned(),
            ));
            return;
        }
        let mut len = digits(rest);
        let mut groups = 0;
        // `1,234`, `1{,}234`, `1,\!234`, `1 234`, `1\,234`: what stands between the groups, and whether it can part.
        loop {
            let between = [
                ("{,}", false),
                (",\\!", false),
                ("\\,", false),
                (" ", false),
                (",", true),
            ];
            let next = between.iter().find(|(between, parts)| {
                let may = !parts || self.depth < self.groups;
                may && rest[len..]
                    .strip_prefix(between)
                    .is_some_and(|behind| digits(behind) == 3)
            });
            let first = groups > 0 || (matches!(len, 1..=3) && !rest.starts_with('0'));
            let Some((between, _)) = next.filter(|_| first) else {
                break;
            };
            let behind = &rest[len + between.len() + 3..];
            if *between == " " && behind.trim_start().starts_with('/') {
                break; // `3 125/1000`
            }
            len += between.len() + 3;
            groups += 1;
        }
        if let Some(behind) = rest[len..].strip_prefix('.') {
            let repeats = ["\\overline{", "\\bar{"]
                .iter()
                .any(|name| behind.starts_with(name));
            let decimals = digits(behind);
            if decimals > 0 || repeats {
                len += 1 + decimals;
            }
        }
        let mut plain: String = rest[..len]
            .chars()
            .filter(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let exponent = rest[len..].strip_prefix(['e', 'E']).map_or(0, |behind| {
            let signed = behind.strip_prefix(['+', '-']).unwrap_or(behind);
            match digits(signed) {
                0 => 0,
                more => 1 + behind.len() - signed.len() + more,
            }
        });
        let value = if exponent > 0 {
            plain.push_str(&rest[len..len + exponent]);
            whole_number(&plain).map(|number| number.rational().clone())
        } else {
            Number::decimal(plain.trim_end_matches('.')).map(|number| number.rational().clone())
        };
        self.at += len + exponent;
        // `1.2.3` and `1.5e3.5` are no numbers.
        let goes_on = self.rest().strip_prefix('.').is_some_and(|b| digits(b) > 0);
        match value.filter(|_| !goes_on) {
            Some(value) => {
                let value = self.repeating(value, &plain);
                match value {
                    Some(value) => self.push(What::Number(value, plain)),
                    None => self.push(What::Command("overline".to_owned())),
                }
            }
            None => self.push(What::Sign('\u{fffd}')),
        }
    }

    /// `value` with the decimals that repeat behind it, if any do: `0.1\overline{6}`.
    fn repeating(&mut self, value: BigRational, plain: &str) -> Option<BigRational> {
        let rest = self.rest();
        let command = ["\\overline{", "\\bar{"]
            .iter()
            .find(|name| rest.starts_with(**name));
        let (Some(command), Some((_, decimals))) = (command, plain.split_once('.')) else {
            return Some(value);
        };
        let (repeated, _) = rest[command.len()..].split_once('}')?;
        let readable = repeated.bytes().all(|b| b.is_ascii_digit());
        if !readable || repeated.is_empty() || repeated.len() > MOST_REPEATED {
            return None;
        }
        self.at += command.len() + repeated.len() + 1;
        let ten = |power: usize| Pow::pow(BigInt::from(10), power);
        let below = ten(decimals.len()) * (ten(repeated.len()) - 1);
        let above: BigInt = repeated.parse().ok()?;
        Some(value + BigRational::new(above, below))
    }
}
