//! A text of mathematics as tokens: LaTeX and plain notation alike.

mod number;

use num_rational::BigRational;

use super::glyph::{self, Meaning};

/// A piece of a text.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) what: What,
    /// Whether a blank stands before it.
    pub(super) spaced: bool,
}

/// What a piece is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum What {
    /// A number, and the letters it was written with.
    Number(BigRational, String),
    /// One letter, or the name of one: `x`, `alpha`.
    Letter(String),
    /// A name with a meaning: `pi`, `sin`.
    Name(&'static str),
    /// A word in lower case, and whether it was declared to be one by `\text{}`.
    Word(String, bool),
    /// A command of LaTeX by its name: `frac`, `sqrt`; one that is not known too.
    Command(String),
    /// `\begin` and `\end` of a surrounding.
    Begin(String),
    End(String),
    /// `\\`.
    Row,
    /// Anything else, by a letter of its own (`glyph`).
    Sign(char),
}

/// How commas between digits are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Commas {
    /// `1,234` is a number where it can be.
    Group,
    /// Every comma parts two answers.
    Part,
}

/// The tokens of `text`, which is in NFKC.
pub(super) fn tokens(text: &str, commas: Commas) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        depth: 0,
        spaced: false,
        // A comma with a blank behind it parts; where there is one, those without may group inside brackets too.
        groups: match commas {
            Commas::Group if text.contains(", ") => usize::MAX,
            Commas::Group => 1,
            Commas::Part => 0,
        },
        dollars: delimiters(text),
        found: Vec::new(),
    };
    while lexer.at < text.len() {
        lexer.step();
    }
    lexer.found
}

/// Where the dollar signs stand that open and close mathematics; others are currency: `$5, $6`.
fn delimiters(text: &str) -> Vec<usize> {
    let escaped = |at: usize| text[..at].ends_with('\\');
    let all: Vec<usize> = text.match_indices('$').map(|(at, _)| at).collect();
    let all: Vec<usize> = all.into_iter().filter(|at| !escaped(*at)).collect();
    let before_number = |at: usize| {
        let rest = text[at + 1..].trim_start_matches('-');
        rest.trim_start_matches('.')
            .starts_with(|c: char| c.is_ascii_digit())
    };
    let (mut found, mut place) = (Vec::new(), 0);
    while place < all.len() {
        let next = all.get(place + 1);
        let money = before_number(all[place]) && next.is_none_or(|next| before_number(*next));
        if !money {
            found.push(all[place]);
            found.extend(next);
            place += 1;
        }
        place += 1;
    }
    found
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Brackets that are open.
    depth: usize,
    spaced: bool,
    /// Below how many open brackets commas group digits.
    groups: usize,
    dollars: Vec<usize>,
    found: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, what: What) {
        if let What::Sign(c) = what {
            // A group is no bracket that anything stands in.
            if glyph::closer(c).is_some() && c != '{' {
                self.depth += 1;
            } else if glyph::is_closer(c) && c != '}' {
                self.depth = self.depth.saturating_sub(1);
            }
        }
        let spaced = std::mem::take(&mut self.spaced);
        self.found.push(Token { what, spaced });
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else {
            return;
        };
        let behind = &rest[c.len_utf8()..];
        match c {
            '\\' => self.command(behind),
            c if c.is_whitespace() || c == '~' => {
                self.at += c.len_utf8();
                self.spaced = true;
            }
            '$' => {
                let delimits = self.dollars.binary_search(&self.at).is_ok();
                self.at += 1;
                if !delimits {
                    self.push(What::Sign('$'));
                }
            }
            c if c.is_ascii_digit() => self.number(),
            '.' if behind.starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            '.' if behind.starts_with("..") => {
                self.at += rest.len() - rest.trim_start_matches('.').len();
                self.push(What::Sign('\u{2026}'));
            }
            '^' if let Some((sign, len)) = glyph::raised(behind) => {
                self.at += 1 + len;
                self.push(What::Sign(sign));
            }
            c if c.is_alphabetic() => self.letters(),
            _ => {
                let (len, meaning) = glyph::sign(rest);
                self.at += len;
                self.mean(meaning);
            }
        }
    }

    fn mean(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Nothing => {}
            Meaning::Blank => self.spaced = true,
            Meaning::Sign(c) => self.push(What::Sign(c)),
            Meaning::Letter(name) => self.push(What::Letter(name.to_owned())),
            Meaning::Name(name) => self.push(What::Name(name)),
            Meaning::Command(name) => self.push(What::Command(name.to_owned())),
        }
    }

    /// A run of letters: one letter, a name, or a word.
    fn letters(&mut self) {
        let rest = self.rest();
        let mut len = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        let mut run = &rest[..len];
        if run.chars().count() > 1 {
            // `don't` is one word, `y'` a letter and a sign.
            while let Some(behind) = rest[len..].strip_prefix(['\'', '\u{2019}', '-'])
                && behind.starts_with(char::is_alphabetic)
            {
                let sign = rest[len..].len() - behind.len();
                len += sign
                    + behind
                        .find(|c: char| !c.is_alphabetic())
                        .unwrap_or(behind.len());
            }
            run = &rest[..len];
        }
        self.at += len;
        if let Some(name) = glyph::name(run) {
            self.push(What::Name(name));
        } else if run == "sqrt" {
            self.push(What::Command(run.to_owned()));
        } else if run == "infinity" {
            self.push(What::Sign('\u{221e}'));
        } else if run.chars().count() == 1 {
            self.mean(glyph::letter(run));
        } else {
            self.push(What::Word(run.to_owned(), false));
        }
    }

    /// A command of LaTeX; `text` stands behind its backslash.
    fn command(&mut self, text: &'t str) {
        let len = text
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let len = if len == 0 {
            text.chars().next().map_or(0, char::len_utf8)
        } else {
            len
        };
        let (name, behind) = text.split_at(len);
        self.at += 1 + len;
        let declared = matches!(
            name,
            "text"
                | "textbf"
                | "textit"
                | "textrm"
                | "texttt"
                | "textsf"
                | "mbox"
                | "mathrm"
                | "operatorname"
                | "hbox"
        );
        let group = behind
            .trim_start()
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let skipped = behind.len() - behind.trim_start().len();
        match (name, group) {
            ("\\", _) => self.push(What::Row),
            ("begin", Some((inner, _))) => {
                self.at += skipped + inner.len() + 2;
                self.push(What::Begin(inner.trim().to_owned()));
            }
            ("end", Some((inner, _))) => {
                self.at += skipped + inner.len() + 2;
                self.push(What::End(inner.trim().to_owned()));
            }
            (_, Some((inner, _))) if declared && !inner.contains(['\\', '{', '$']) => {
                self.at += skipped + inner.len() + 2;
                self.declared(inner, name);
            }
            _ if declared => {}
            _ => match glyph::command(name) {
                Some(meaning) => self.mean(meaning),
                None => self.push(What::Command(name.to_owned())),
            },
        }
    }

    /// What `\text{}` holds: words, and between them whatever is none.
    fn declared(&mut self, inner: &str, name: &str) {
        let upright = matches!(name, "mathrm" | "operatorname");
        let mut rest = inner;
        while let Some(c) = rest.chars().next() {
            let is_letter = |c: char| c.is_alphabetic() || matches!(c, '\'' | '\u{2019}');
            if c.is_alphabetic() {
                let len = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(len);
                rest = behind;
                match glyph::name(word) {
                    Some(name) if upright => self.push(What::Name(name)),
                    _ if upright && word.len() == 1 && matches!(word, "e" | "i" | "d") => {
                        self.mean(glyph::letter(word));
                    }
                    _ => self.push(What::Word(word.to_owned(), true)),
                }
                continue;
            }
            let len = rest.find(is_letter).unwrap_or(rest.len()).max(c.len_utf8());
            let (between, behind) = rest.split_at(len);
            rest = behind;
            for token in tokens(between, Commas::Group) {
                self.spaced |= token.spaced;
                self.push(token.what);
            }
            self.spaced |= between.ends_with(char::is_whitespace);
        }
    }
}
