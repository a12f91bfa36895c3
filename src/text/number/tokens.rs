//! A text as numbers, signs of arithmetic, words and marks.

use super::digits::{self, is_digit};
use super::units::{
    CURRENCIES, MONEY_SCALES, PARTING, UNITS, UNSPACED_SCALES, behind_number, is_currency,
    is_unspaced,
};
use super::{Number, words};
use crate::text::word_list::is_listed;

/// A piece of a text.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub(super) what: What,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a piece is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum What {
    /// A number; without a value where a notation is no single number.
    Number(Option<Number>),
    /// The same, spelled out.
    Spelled(Option<Number>),
    /// A sign of arithmetic between two operands.
    Operator(char),
    /// `=`, or what stands for it.
    Equals,
    /// `(` and `)`.
    Open,
    Close,
    /// A word, which may be a unit or a variable.
    Word,
    /// The end of a line or a sentence.
    Stop,
    /// Anything else.
    Mark,
}

fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2212}' | '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}'
    )
}

/// The tokens of `text`, in order.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        found: Vec::new(),
        money: false,
        sign: None,
    };
    while lexer.at < text.len() {
        lexer.step();
    }
    lexer.found
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    found: Vec<Token>,
    /// The sign of a currency stands right before.
    money: bool,
    /// Where a sign stands right before, and whether it is a minus.
    sign: Option<(usize, bool)>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    fn push(&mut self, what: What, len: usize) {
        let start = self.at;
        self.at += len;
        if !matches!(what, What::Number(_) | What::Spelled(_)) {
            // A sign that turned out to be none.
            self.sign = None;
        }
        self.money = false;
        self.found.push(Token {
            what,
            start,
            end: self.at,
        });
    }

    /// Whether the last token is an operand.
    fn after_operand(&self) -> bool {
        self.found.last().is_some_and(|token| {
            matches!(token.what, What::Number(_) | What::Spelled(_) | What::Close)
        })
    }

    fn after_word(&self) -> bool {
        self.found
            .last()
            .is_some_and(|token| token.what == What::Word)
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else {
            return;
        };
        let len = c.len_utf8();
        let next = rest[len..].chars().next();
        let next_is_digit = next.is_some_and(is_digit);
        match c {
            c if is_digit(c) => self.number(),
            '.' if next_is_digit
                && !self
                    .before()
                    .is_some_and(|c| c.is_alphanumeric() || c == '.') =>
            {
                self.number();
            }
            '\n' => self.push(What::Stop, len),
            c if c.is_whitespace() => self.at += len,
            c if is_currency(c) => {
                self.at += len;
                self.money = true;
            }
            c if c.is_alphabetic() => self.word(),
            '=' => {
                let len = rest.find(|c| !matches!(c, '=' | '>')).unwrap_or(rest.len());
                self.push(What::Equals, len);
            }
            '\u{2248}' | '\u{2243}' | '\u{2245}' | '\u{2192}' | '\u{21d2}' => {
                self.push(What::Equals, len);
            }
            '-' if next == Some('>') => self.push(What::Equals, 2),
            '<' | '>' | '\u{2264}' | '\u{2265}' | '\u{2260}' | '\u{b1}' | '\u{221a}' => {
                // `< 5` is a bound and no number; so is `<=`.
                let len = rest
                    .find(|c| !matches!(c, '<' | '>' | '='))
                    .unwrap_or(rest.len());
                self.push(What::Operator(c), len.max(c.len_utf8()));
            }
            '+' => self.plus_or_minus(c, false),
            c if is_dash(c) => self.plus_or_minus(c, true),
            '*' | '\u{d7}' | '\u{b7}' | '\u{22c5}' | '\u{f7}' | '/' | '\u{2044}' | '^' => {
                self.operator(c);
            }
            ':' if next_is_digit && self.before().is_some_and(is_digit) => {
                self.push(What::Operator(':'), len);
            }
            '(' | '[' => self.push(What::Open, len),
            ')' | ']' => self.push(What::Close, len),
            '.' | '!' | '?' | '\u{3002}' | '\u{964}'
                if !c.is_ascii() || next.is_none_or(char::is_whitespace) =>
            {
                self.push(What::Stop, len);
            }
            _ => self.push(What::Mark, len),
        }
    }

    /// `+` or `-`: between operands, before a number, or in prose.
    fn plus_or_minus(&mut self, c: char, minus: bool) {
        let len = c.len_utf8();
        let behind = self.text[self.at + len..].trim_start_matches(is_currency);
        let joined = begins_number(behind);
        let spaced = begins_number(behind.trim_start_matches([' ', '$']));
        let line_start = self
            .found
            .last()
            .is_none_or(|token| token.what == What::Stop);
        let blank_before = self.before().is_none_or(char::is_whitespace);
        let operand_behind = behind.trim_start().starts_with(['(', '[']) || spaced;
        if self.after_operand() && (operand_behind || (c == '+' && !blank_before)) {
            // `5+` is open to the right, and no number either.
            self.push(What::Operator(if minus { '-' } else { '+' }), len);
        } else if joined && self.after_word() && !blank_before && !self.money {
            self.skip_joined(len);
        } else if joined {
            self.sign = Some((self.at, minus));
            self.at += len;
        } else if spaced && !line_start {
            // `16 eggs - 3 eggs`; with nothing before it, no sign that can be told from a dash.
            self.push(What::Operator(if minus { '-' } else { '+' }), len);
        } else {
            self.push(What::Mark, len);
        }
    }

    /// Signs of arithmetic that also stand in prose: `*`, `/`, `^`.
    fn operator(&mut self, c: char) {
        let len = c.len_utf8();
        let behind = &self.text[self.at + len..];
        let operand = behind.trim_start_matches([' ', '$', '(', '[', '-', '+']);
        if self.after_operand()
            && let Some(power) = behind.strip_prefix('*')
            && begins_number(power.trim_start())
        {
            self.push(What::Operator('^'), len + 1); // `2**10`
        } else if self.after_operand() && begins_number(operand) {
            self.push(What::Operator(c), len);
        } else if self.after_operand() && behind.starts_with(char::is_alphabetic) && c == '/' {
            // `$5/hour`
            let unit = behind
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(behind.len());
            self.push(What::Word, len + unit);
        } else if self.after_word() && c == '^' {
            self.skip_joined(len);
        } else if self.after_word() && begins_number(operand) && behind.starts_with(' ') {
            self.push(What::Operator(c), len);
        } else {
            self.push(What::Mark, len);
        }
    }

    /// What is joined to a word, as in `COVID-19` or `x^2`, is part of a name.
    fn skip_joined(&mut self, len: usize) {
        let from = self.at + len;
        let name = self.text[from..].find(|c: char| !c.is_alphanumeric());
        let end = name.map_or(self.text.len(), |more| from + more);
        self.push(What::Word, end - self.at);
    }

    fn word(&mut self) {
        let rest = self.rest();
        if let Some((len, value)) = words::read(rest)
            && !rest[len..].starts_with(char::is_alphanumeric)
        {
            let (more, factor) = behind_number(&rest[len..]);
            let value = value
                .zip(factor)
                .map(|(value, factor)| value.times(&factor));
            self.finish(value, len + more, true);
            return;
        }
        let len = rest
            .find(|c: char| !(c.is_alphabetic() || matches!(c, '\'' | '\u{2019}')))
            .unwrap_or(rest.len());
        let word = rest[..len].to_lowercase();
        let behind = &rest[len..];
        let spaced = begins_number(behind.trim_start_matches([' ', '$', '(']));
        let operand = spaced || words::read(behind.trim_start()).is_some();
        match word.as_str() {
            // One sign for all three: nothing is worked out, and of such an expression no value is read.
            "minus" | "plus" | "times" if self.after_operand() && operand => {
                self.push(What::Operator('-'), len);
            }
            "multiplied" if behind.starts_with(" by ") => {
                self.push(What::Operator('*'), len + 3);
            }
            // As of the three above: `5 divided by 10^3` is no power of ten.
            "divided" if behind.starts_with(" by ") => {
                self.push(What::Operator('-'), len + 3);
            }
            "minus" | "negative" if operand => {
                self.sign = Some((self.at, true));
                self.at += len;
            }
            "x" if spaced && self.after_operand() => self.push(What::Operator('*'), len),
            "equals" => self.push(What::Equals, len),
            _ if behind.starts_with(is_digit) && !is_listed(CURRENCIES, &word) => {
                self.skip_joined(0);
            }
            _ => {
                let joined = behind
                    .strip_prefix('.')
                    .is_some_and(|b| b.starts_with(is_digit));
                // `Rs.500`, `No.5`: the point is the abbreviation's.
                let parts = is_listed(PARTING, &word);
                let what = if parts { What::Mark } else { What::Word };
                self.push(what, len + usize::from(joined));
            }
        }
    }

    fn number(&mut self) {
        let rest = self.rest();
        let Some(digits) = digits::read(rest) else {
            self.push(What::Mark, rest.chars().next().map_or(1, char::len_utf8));
            return;
        };
        let (mut len, mut value) = (digits.len, digits.value);
        let enclosed = self
            .found
            .last()
            .is_some_and(|token| token.what == What::Open)
            && rest[len..].starts_with([')', ']']);
        if digits.comma && enclosed {
            value = None; // `(3,5)` is a pair
        }
        let behind = &rest[len..];
        let letters = behind
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(behind.len());
        let (name, after) = behind.split_at(letters);
        if let Some(first) = name.chars().next() {
            if is_unspaced(first) {
                let scales = UNSPACED_SCALES.iter().find(|(letter, _)| *letter == first);
                if let Some((letter, factor)) = scales {
                    let more = behind[letter.len_utf8()..].chars().next();
                    let goes_on = more.is_some_and(|c| {
                        is_digit(c) || UNSPACED_SCALES.iter().any(|(letter, _)| *letter == c)
                    });
                    let whole = *factor > 0 && !goes_on;
                    value = value
                        .filter(|_| whole)
                        .map(|v| v.times(&Number::from(*factor)));
                    len += letter.len_utf8();
                }
            } else if matches!(name, "st" | "nd" | "rd" | "th") {
                // An ordinal counts nothing.
                self.push(What::Word, len + letters);
                return;
            } else if name.eq_ignore_ascii_case("x") && begins_number(after.trim_start()) {
                // `2x3`: the letter is the next token.
            } else {
                let scale = MONEY_SCALES.iter().find(|(letters, _)| *letters == name);
                value = match scale.filter(|_| self.money) {
                    Some((_, factor)) => value.map(|v| v.times(&Number::from(*factor))),
                    None if is_listed(UNITS, &name.to_lowercase()) => value,
                    None => None,
                };
                value = value.filter(|_| !after.starts_with(is_digit));
                len += letters;
            }
        }
        let behind = &self.rest()[len..];
        let decimals = self.rest()[..len].contains('.');
        // `2\alpha`, `0.\overline{3}`, `0.333...`; `,5`
        if behind.starts_with('\\')
            || behind.starts_with(".\\")
            || (decimals && behind.starts_with("..."))
            || (self.before() == Some(',') && begins_number(self.rest()))
        {
            value = None;
        }
        let (more, factor) = behind_number(&self.rest()[len..]);
        value = value
            .zip(factor)
            .map(|(value, factor)| value.times(&factor));
        len += more;
        if let Some((more, part)) = words::and_a_part(&self.rest()[len..]) {
            value = value
                .filter(Number::is_integer)
                .map(|value| value.and(&part));
            len += more;
        }
        self.finish(value, len, false);
    }

    /// Adds a number with the sign before it and the currency behind it.
    fn finish(&mut self, value: Option<Number>, len: usize, spelled: bool) {
        let mut value = value;
        let mut start = self.at;
        if let Some((at, minus)) = self.sign.take() {
            start = at;
            if minus {
                value = value.map(|value| value.negated());
            }
        }
        self.push(
            if spelled {
                What::Spelled(value)
            } else {
                What::Number(value)
            },
            len,
        );
        if let Some(token) = self.found.last_mut() {
            token.start = start;
        }
        // `18 $`, `50¢`; but `5 $3` is another amount.
        let rest = self.rest();
        let sign = rest.trim_start_matches(' ');
        if let Some(c) = sign.chars().next().filter(|c| is_currency(*c)) {
            let behind = &sign[c.len_utf8()..];
            if !begins_number(behind) {
                self.at += rest.len() - behind.len();
            }
        }
    }
}

/// Whether `text` begins with a notation in digits.
fn begins_number(text: &str) -> bool {
    let digits = text.strip_prefix('.').unwrap_or(text);
    digits.starts_with(is_digit)
}
