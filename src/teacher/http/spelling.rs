//! The spellings of a secret in a server's words: as it is, in escapes of JSON, in percent signs, as entities of
//! HTML, in Base64.
//!
//! | spelling | of `a/b` |
//! |---|---|
//! | JSON, also JSON within JSON | `a\/b`, `a\u002fb`, `a\\u002Fb`, `\x61/b` |
//! | an address | `a%2Fb`, `a%252fb` |
//! | HTML | `a&#47;b`, `a&#x2F;b`, `a&amp;b` for `a&b` |
//! | Base64 of it, or of a text that it is in (`user:KEY`), plain or for addresses | `YS9i` |
//!
//! Not found: a secret in pieces over several fields, or in other codes. That a server does not do by accident, and
//! one that does it on purpose has the secret anyway.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Longest escape of one character.
const ESCAPE_BYTES: usize = 12;

/// What to look for where `secret`, which is ASCII, must not be told.
pub(super) fn of(secret: &str) -> Vec<Vec<u8>> {
    let mut found = vec![secret.as_bytes().to_vec()];
    // Base64 writes three bytes as four letters, so it depends on how many stand before the secret; the letters
    // at its ends that depend on its neighbours are left out.
    for before in 0..3_usize {
        let text = [&[0; 2][..before], secret.as_bytes()].concat();
        let letters = (before * 8).div_ceil(6)..text.len() * 8 / 6;
        for code in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            found.push(code.encode(&text).as_bytes()[letters.clone()].to_vec());
        }
    }
    for spelling in &mut found {
        // A run of backslashes is as long as its escapes make it.
        spelling.dedup_by(|a, b| *a == b'\\' && *b == b'\\');
    }
    found.sort();
    found.dedup();
    found
}

/// How many bytes at the head of `text` spell `secret`: all of it, or, where the text ends before, a piece of at
/// least `piece` bytes.
pub(super) fn length(secret: &[u8], text: &[u8], piece: usize) -> Option<usize> {
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut at = 0;
    for (place, &wanted) in secret.iter().enumerate() {
        let rest = &text[at..];
        let Some(length) = letter(wanted, rest) else {
            let in_escape = matches!(rest.first(), Some(b'\\' | b'%' | b'&'));
            let ends = rest.is_empty() || in_escape && rest.len() < ESCAPE_BYTES;
            return (ends && place >= piece).then_some(text.len());
        };
        at += length;
    }
    Some(at)
}

/// How many bytes at the head of `text` spell the character `wanted`.
fn letter(wanted: u8, text: &[u8]) -> Option<usize> {
    let run = text.iter().take_while(|byte| **byte == b'\\').count();
    let behind = &text[run..];
    if run > 0 {
        let digits = [&b"u00"[..], b"x"];
        let mut escapes = digits.iter().filter(|head| behind.starts_with(head));
        if let Some(head) = escapes.find(|head| hex(&behind[head.len()..]) == Some(wanted)) {
            return Some(run + head.len() + 2);
        }
        if wanted == b'\\' {
            return Some(run);
        }
    }
    let spelt = match text.first()? {
        b'%' => percent(wanted, text),
        b'&' => entity(wanted, text),
        _ => None,
    };
    spelt.or_else(|| (behind.first() == Some(&wanted)).then_some(run + 1))
}

/// `%2F`, and `%252F` of an address within an address.
fn percent(wanted: u8, text: &[u8]) -> Option<usize> {
    let mut at = 1;
    while hex(&text[at..]) != Some(wanted) {
        at += text[at..].starts_with(b"25").then_some(2)?;
    }
    Some(at + 2)
}

/// `&#47;`, `&#x2F;`, `&quot;`, and `&amp;#47;` of a page within a page.
fn entity(wanted: u8, text: &[u8]) -> Option<usize> {
    let mut at = 1;
    while text[at..].starts_with(b"amp;") && text.get(at + 4).is_some_and(|next| *next == b'#') {
        at += 4;
    }
    let name = text[at..]
        .iter()
        .take(ESCAPE_BYTES)
        .take_while(|byte| **byte != b';');
    let length = name.count();
    (text.get(at + length)? == &b';').then_some(())?;
    let name = std::str::from_utf8(&text[at..at + length]).ok()?;
    let value = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => u8::from_str_radix(digits, 16).ok()?,
            None => digits.parse().ok()?,
        },
        None => match name {
            "amp" => b'&',
            "quot" => b'"',
            "apos" => b'\'',
            "lt" => b'<',
            "gt" => b'>',
            _ => return None,
        },
    };
    (value == wanted).then_some(at + length + 1)
}

/// The byte that two hexadecimal digits at the head of `text` are.
fn hex(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (high, low) = (digit(text.first()?)?, digit(text.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-a/b=c&d\"e\\f%g<1234>'";

    /// Whether `secret` is found in `text`, from its first to its last spelt byte.
    fn found(secret: &str, text: &str) -> bool {
        of(secret)
            .iter()
            .any(|spelling| length(spelling, text.as_bytes(), 6) == Some(text.len()))
    }

    /// Each character by `spell`.
    fn spelt(spell: impl Fn(char) -> String) -> String {
        SECRET.chars().map(spell).collect()
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let quoted = json(SECRET);
        let twice = json(&quoted);
        let slashes = quoted.replace('/', "\\/");
        for text in [
            SECRET.to_owned(),
            quoted[1..quoted.len() - 1].to_owned(),
            twice[3..twice.len() - 3].to_owned(),
            slashes[1..slashes.len() - 1].to_owned(),
            spelt(|c| format!("\\u{:04x}", u32::from(c))),
            spelt(|c| format!("\\\\u{:04X}", u32::from(c))),
            spelt(|c| format!("\\x{:02x}", u32::from(c))),
            spelt(|c| format!("%{:02X}", u32::from(c))),
            spelt(|c| match c {
                '%' => "%25".to_owned(),
                _ => format!("%25{:02x}", u32::from(c)),
            }),
            spelt(|c| format!("&#{};", u32::from(c))),
            spelt(|c| format!("&#x{:X};", u32::from(c))),
            spelt(|c| format!("&#x00{:x};", u32::from(c))),
            spelt(|c| format!("&amp;#{};", u32::from(c))),
            spelt(|c| match c {
                '&' => "&amp;".to_owned(),
                '"' => "&quot;".to_owned(),
                '<' => "&lt;".to_owned(),
                '>' => "&gt;".to_owned(),
                '\'' => "&apos;".to_owned(),
                '=' => "\\u003d".to_owned(),
                '/' => "%2f".to_owned(),
                _ => c.to_string(),
            }),
        ] {
            assert!(found(SECRET, &text), "{text}");
        }
        assert!(found("sk-%25&amp;0123", "sk-%25&amp;0123"));
        for other in [
            "sk-a/b=c&d\"e\\f%g<1234>, and",
            "sk-a/b=c&d\"e\\f%g<1235>'",
            "k-a",
            "%73k-b",
            "",
        ] {
            assert!(!found(SECRET, other), "{other}");
        }
    }

    #[test]
    fn base64_is_found_wherever_the_secret_stands_in_it() {
        let secret = "sk-0123456789?>~";
        for before in ["", "a", "ab", "user:", "Bearer "] {
            for after in ["", "x", "xy", "xyz"] {
                for code in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let text = code.encode(format!("{before}{secret}{after}"));
                    let hidden = (0..text.len()).any(|at| {
                        let rest = &text.as_bytes()[at..];
                        of(secret)
                            .iter()
                            .any(|it| length(it, rest, 6).is_some_and(|length| length >= 19))
                    });
                    assert!(hidden, "{before}{secret}{after}: {text}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_ends_within_a_secret_has_a_piece_of_it() {
        let piece = |text: &str| length(SECRET.as_bytes(), text.as_bytes(), 6);
        for (text, hidden) in [
            ("sk-a/b", true),
            ("sk-a/", false),
            ("sk-a\\/b\\u00", true),
            ("sk-a%2Fb%", true),
            ("sk-a/b and so on", false),
            ("sk-a/b%20 and more of it", false),
        ] {
            assert_eq!(piece(text).is_some(), hidden, "{text}");
        }
    }
}
