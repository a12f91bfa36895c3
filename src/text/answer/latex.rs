//! LaTeX around answers, taken off: boxes, fonts, fractions, signs, thin spaces.

use std::sync::LazyLock;

use regex::Regex;

/// Where the content of `\boxed{...}` or `<answer>...</answer>` begins in plain text, and where it ends.
pub(super) const BOX: char = '\u{e000}';
/// The end of what begins at [`BOX`].
pub(super) const BOX_END: char = '\u{e001}';

/// Letters in braces at most (ours): more is no answer, and without a limit a text of open braces would be read once for
/// each.
const LONGEST: usize = 2000;
/// The same of an exponent.
const LONGEST_EXPONENT: usize = 20;

static SIMPLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*[-+]?[\d.,]+\s*$").expect("a fixed, tested pattern"));

/// `text` with the LaTeX that stands around answers taken off: boxes, fonts, fractions, signs, thin spaces.
pub(super) fn latex(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '{', '^']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = match rest.as_bytes()[0] {
            b'\\' => command(&rest[1..], &mut plain),
            b'{' if rest.starts_with("{,}") => {
                plain.push(',');
                &rest[3..]
            }
            b'^' => {
                plain.push('^');
                let raised =
                    group(&rest[1..], LONGEST_EXPONENT).filter(|(inner, _)| SIMPLE.is_match(inner));
                raised.map_or(&rest[1..], |(inner, behind)| {
                    plain.push_str(inner.trim());
                    behind
                })
            }
            _ => {
                plain.push('{');
                &rest[1..]
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// `text` with the marks of its boxes, and all other LaTeX as it is.
pub(super) fn boxes(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        marked.push_str(&rest[..at]);
        let behind = ["\\boxed", "\\fbox"]
            .iter()
            .find_map(|name| rest[at..].strip_prefix(name))
            .filter(|behind| !behind.starts_with(|c: char| c.is_ascii_alphabetic()));
        rest = if let Some(behind) = behind {
            boxed(behind, &mut marked, boxes)
        } else {
            marked.push('\\');
            &rest[at + 1..]
        };
    }
    marked.push_str(rest);
    marked
}

/// Writes what the command at the head of `text` means, and gives what stands behind it.
fn command<'t>(text: &'t str, plain: &mut String) -> &'t str {
    let len = text
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (name, behind) = text.split_at(len);
    let sign = match name {
        "" => {
            let Some(c) = text.chars().next() else {
                plain.push('\\');
                return text;
            };
            match c {
                '%' | '$' | '#' | '&' | '_' | '{' | '}' => plain.push(c),
                ',' | ';' | ':' | '>' | ' ' | '(' | ')' | '[' | ']' => plain.push(' '),
                '!' => {}
                _ => plain.extend(['\\', c]),
            }
            return &text[c.len_utf8()..];
        }
        "boxed" | "fbox" => return boxed(behind, plain, latex),
        "text" | "textbf" | "textit" | "texttt" | "textrm" | "mathrm" | "mathbf" | "mathit"
        | "mathsf" | "mathtt" | "mbox" | "emph" | "underline" | "boldsymbol" | "operatorname" => {
            return match group(behind, LONGEST) {
                Some((inner, behind)) => {
                    plain.push_str(&latex(inner));
                    behind
                }
                None => behind,
            };
        }
        "frac" | "dfrac" | "tfrac" | "cfrac" => match fraction(behind) {
            Some((above, below, behind)) => {
                if plain.ends_with(|c: char| c.is_numeric()) {
                    plain.push(' ');
                }
                let part = |inner: &str| {
                    if SIMPLE.is_match(inner) {
                        inner.trim().to_owned()
                    } else {
                        format!("({})", latex(inner))
                    }
                };
                plain.extend([&part(above), "/", &part(below)]);
                return behind;
            }
            None => "",
        },
        "times" => "\u{d7}",
        "cdot" => "\u{b7}",
        "div" => "\u{f7}",
        "pm" => "\u{b1}",
        "approx" | "simeq" => "\u{2248}",
        "le" | "leq" => "\u{2264}",
        "ge" | "geq" => "\u{2265}",
        "lt" => "<",
        "gt" => ">",
        "ne" | "neq" => "\u{2260}",
        "sqrt" => "\u{221a}",
        "to" | "rightarrow" | "Rightarrow" | "implies" => "\u{2192}",
        "circ" => "\u{b0}",
        "quad" | "qquad" => " ",
        "left" | "right" | "displaystyle" => "",
        _ => {
            plain.push('\\');
            name
        }
    };
    plain.push_str(sign);
    behind
}

/// What a box holds, as `inside` makes it, between its marks. A box that never ends was cut off: it holds no answer.
fn boxed<'t>(text: &'t str, plain: &mut String, inside: fn(&str) -> String) -> &'t str {
    plain.push(BOX);
    let text = text.trim_start();
    if let Some((inner, behind)) = group(text, LONGEST) {
        plain.push_str(&inside(inner));
        plain.push(BOX_END);
        return behind;
    }
    if let Some(behind) = text.strip_prefix('{') {
        return behind;
    }
    // `\boxed 5`
    let len = text
        .find(|c: char| c.is_whitespace() || c == '$')
        .unwrap_or(text.len());
    plain.push_str(&text[..len]);
    plain.push(BOX_END);
    &text[len..]
}

/// The two parts of a fraction, in braces or a sign each, and what stands behind.
fn fraction(text: &str) -> Option<(&str, &str, &str)> {
    let part = |text: &'_ str| -> Option<(usize, usize, usize)> {
        let start = text.len() - text.trim_start().len();
        if let Some((inner, behind)) = group(&text[start..], LONGEST) {
            let end = start + 1 + inner.len();
            return Some((start + 1, end, text.len() - behind.len()));
        }
        let digit = text[start..].chars().next().filter(char::is_ascii_digit)?;
        let end = start + digit.len_utf8();
        Some((start, end, end))
    };
    let (a, b, next) = part(text)?;
    let (c, d, end) = part(&text[next..])?;
    Some((&text[a..b], &text[next + c..next + d], &text[next + end..]))
}

/// What stands in the braces that `text` begins with, and what stands behind them.
fn group(text: &str, longest: usize) -> Option<(&str, &str)> {
    let mut depth = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices().take(longest) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if at == 0 && depth == 0 {
            return None;
        }
        if depth == 0 {
            return Some((&text[1..at], &text[at + 1..]));
        }
    }
    None
}
