//! A notation in digits, read whole or not at all: `1,234.5`, `10 000`, `1.5e3`.

use std::sync::LazyLock;

use regex::Regex;

use super::Number;

/// The digit zero of each script whose digits are read; one to nine follow it. Full-width and mathematical digits are
/// plain ones already, since texts come in NFKC.
const ZEROS: [char; 22] = [
    '0', '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
    '\u{1040}', '\u{17e0}', '\u{1810}', '\u{1946}', '\u{a9d0}',
];

/// How digits are grouped and parted, with the sign of decimals; whatever else is not one number.
static NOTATIONS: LazyLock<[(Regex, char); 9]> = LazyLock::new(|| {
    [
        (r"^(?:\d+(?:\.\d+)?|\.\d+)$", '.'),
        (r"^[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$", '.'),
        (r"^[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?$", '.'), // 1,00,000
        (r"^[1-9]\d{0,2}(?:'\d{3})+(?:\.\d+)?$", '.'),
        (r"^[1-9]\d{0,2}(?:_\d{3})+(?:\.\d+)?$", '.'),
        (r"^[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?$", '.'),
        // A comma for decimals: after other groups, or where no group can be meant.
        (
            r"^[1-9]\d{0,2}(?:\.\d{3})+,\d+$|^[1-9]\d{0,2}(?:['\x20]\d{3})+,\d{1,2}$",
            ',',
        ),
        (r"^[1-9]\d{0,2}(?:\.\d{3}){2,}$", ','),
        (r"^\d+,\d{1,2}$|^0,\d+$", ','),
    ]
    .map(|(pattern, decimals)| {
        (
            Regex::new(pattern).expect("a fixed, tested pattern"),
            decimals,
        )
    })
});

/// A notation that was found, readable or not.
pub(super) struct Digits {
    /// Bytes of it.
    pub(super) len: usize,
    /// Its value; `None` where it is no single number, as `1.2.3` or `1,2,3`.
    pub(super) value: Option<Number>,
    /// Whether a comma may part two numbers here: `3,5`.
    pub(super) comma: bool,
}

/// Whether `c` is a digit of any script, readable or not.
pub(super) fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())
}

/// The longest notation that `text` begins with: digits, or a point and digits.
pub(super) fn read(text: &str) -> Option<Digits> {
    let (mut ascii, mut len) = run(text)?;
    if ascii.len() <= 3 && ascii.bytes().all(|b| b.is_ascii_digit()) && !ascii.starts_with('0') {
        while let Some(group) = blank_group(&text[len..]) {
            ascii.push(' ');
            ascii.push_str(&group);
            len += 1 + digits_len(&text[len + 1..]);
        }
        if ascii.contains(' ')
            && let Some((rest, more)) = decimals(&text[len..])
        {
            ascii.push_str(&rest);
            len += more;
        }
    }
    let mut value = None;
    for (notation, decimals) in NOTATIONS.iter() {
        if notation.is_match(&ascii) {
            let plain: String = ascii
                .chars()
                .filter(|c| c.is_ascii_digit() || c == decimals)
                .map(|c| if c == *decimals { '.' } else { c })
                .collect();
            value = Number::decimal(&plain);
            break;
        }
    }
    let comma = ascii.contains(',') && !ascii.contains(['.', '\'', ' ', '_']) && ascii.len() < 6;
    if let Some((exponent, more)) = exponent(&text[len..]) {
        value = value.and_then(|value| value.scaled(&Number::from(10), &exponent?));
        len += more;
    }
    Some(Digits { len, value, comma })
}

/// Digits and what parts them as far as they go, in ASCII; a digit of a script that is not known is `?`.
fn run(text: &str) -> Option<(String, usize)> {
    let mut ascii = String::new();
    let mut len = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next_is_digit = chars.peek().copied().is_some_and(is_digit);
        let part = match c {
            c if is_digit(c) => digit(c),
            '.' | '\u{66b}' if next_is_digit => '.',
            ',' | '\u{66c}' if next_is_digit && len > 0 => ',',
            '\'' | '\u{2019}' if next_is_digit && len > 0 => '\'',
            '_' if next_is_digit && len > 0 => '_',
            _ => break,
        };
        ascii.push(part);
        len += c.len_utf8();
    }
    (len > 0).then_some((ascii, len))
}

fn digit(c: char) -> char {
    let value = ZEROS.iter().find_map(|zero| {
        (u32::from(c))
            .checked_sub(u32::from(*zero))
            .filter(|d| *d < 10)
    });
    value
        .and_then(|value| char::from_digit(value, 10))
        .unwrap_or('?')
}

/// Exactly three digits behind one blank: a further group of `10 000`.
fn blank_group(text: &str) -> Option<String> {
    let group: String = text
        .strip_prefix(' ')?
        .chars()
        .take_while(|c| is_digit(*c))
        .take(4)
        .map(digit)
        .collect();
    (group.len() == 3).then_some(group)
}

fn digits_len(text: &str) -> usize {
    text.find(|c| !is_digit(c)).unwrap_or(text.len())
}

/// Decimals behind groups parted by blanks, with their sign.
fn decimals(text: &str) -> Option<(String, usize)> {
    let first = text.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let (rest, len) = run(&text[1..])?;
    Some((format!("{first}{rest}"), 1 + len))
}

/// `e3`, `E-3`; its value is `None` where it goes on as no exponent does.
fn exponent(text: &str) -> Option<(Option<Number>, usize)> {
    let rest = text.strip_prefix(['e', 'E'])?;
    let sign = rest
        .chars()
        .next()
        .filter(|c| matches!(c, '+' | '-' | '\u{2212}'));
    let digits = &rest[sign.map_or(0, char::len_utf8)..];
    let (ascii, len) = run(digits)?;
    let whole = ascii.bytes().all(|b| b.is_ascii_digit());
    let value = Number::decimal(&ascii).filter(|_| whole);
    let value = match sign {
        Some('-' | '\u{2212}') => value.map(|value| value.negated()),
        _ => value,
    };
    Some((value, text.len() - digits.len() + len))
}
