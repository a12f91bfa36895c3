//! A server's JSON, read as far as it can be: what was paid for is not thrown away for a slip in its form.
//!
//! Python's `json` writes `NaN` and `Infinity`, which log-probabilities come to; JavaScript writes half a
//! surrogate pair where a text was cut inside an emoji; a file begins with a byte order mark. None of it is
//! JSON, and none of it makes the answer unreadable.

use std::fmt::Write as _;

use serde_json::Value;

/// The value that `text` holds; `None` where it is no JSON even so.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = text.trim_start_matches('\u{feff}');
    // First as it is: what is JSON is never mended.
    let strict = serde_json::from_str(text);
    strict.or_else(|_| serde_json::from_str(&mended(text))).ok()
}

/// `text` with `null` for numbers that JSON has not, U+FFFD for lone surrogates, and control characters
/// within strings spelt out.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        numbers(&rest[..quote], &mut out);
        rest = string(&rest[quote..], &mut out);
    }
    numbers(rest, &mut out);
    out
}

/// What stands between strings.
fn numbers(text: &str, out: &mut String) {
    let of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let mut rest = text;
    while let Some(start) = rest.find(of_word) {
        let word = &rest[start..];
        let word = &word[..word.find(|c| !of_word(c)).unwrap_or(word.len())];
        out.push_str(&rest[..start]);
        // `NaN`, `-Infinity`, `1e999`.
        let finite = word.parse::<f64>().is_ok_and(f64::is_finite);
        let number = word.parse::<f64>().is_ok();
        out.push_str(if number && !finite { "null" } else { word });
        rest = &rest[start + word.len()..];
    }
    out.push_str(rest);
}

/// The string that `text` begins with; gives what stands behind it.
fn string<'t>(text: &'t str, out: &mut String) -> &'t str {
    out.push('"');
    let mut rest = &text[1..];
    while let Some(at) = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ') {
        out.push_str(&rest[..at]);
        let found = &rest[at..];
        if let Some(behind) = found.strip_prefix('"') {
            out.push('"');
            return behind;
        }
        let length = match (unit(found), found.get(6..).and_then(unit)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
            (Some(0xD800..0xE000), _) => {
                out.push('\u{fffd}');
                rest = &found[6..];
                continue;
            }
            (Some(_), _) => 6,
            // An escape of one character; at the end of a text that broke off it has none.
            (None, _) if found.starts_with('\\') => found
                .char_indices()
                .nth(2)
                .map_or(found.len(), |(end, _)| end),
            (None, _) => {
                let control = u32::from(found.as_bytes()[0]);
                let _ = write!(out, "\\u{control:04x}");
                rest = &found[1..];
                continue;
            }
        };
        out.push_str(&found[..length]);
        rest = &found[length..];
    }
    out.push_str(rest);
    ""
}

/// The UTF-16 unit of the escape `\uXXXX` that `text` begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| hex)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use serde_json::json;

    use super::*;

    #[test]
    fn slips_of_form_are_read_over() {
        for (text, value) in [
            (r#"{"a":1}"#, json!({ "a": 1 })),
            ("\u{feff}{\"a\":1}", json!({ "a": 1 })),
            ("\n\n  {\"a\":1}\r\n", json!({ "a": 1 })),
            (
                r#"{"a":NaN,"b":[-Infinity,Infinity, nan ],"c":-1.5e2}"#,
                json!({ "a": null, "b": [null, null, null], "c": -150.0 }),
            ),
            (
                r"[1e999,-1e999,1e9,true,null]",
                json!([null, null, 1e9, true, null]),
            ),
            (
                r#"{"NaN":"NaN, Infinity"}"#,
                json!({ "NaN": "NaN, Infinity" }),
            ),
            (r#"["w \ud83d."]"#, json!(["w \u{fffd}."])),
            (
                r#"["w \ude00 \ud83d\ud83d\ude00 \uD83D"]"#,
                json!(["w \u{fffd} \u{fffd}😀 \u{fffd}"]),
            ),
            (
                r#"[NaN,"\ud83d\ude00 \\ud83d \" \u00e9 \n"]"#,
                json!([null, "😀 \\ud83d \" é \n"]),
            ),
            ("[\"a\tb\nc\u{1}\"]", json!(["a\tb\nc\u{1}"])),
            (r#"[NaN,"é – 😀"]"#, json!([null, "é – 😀"])),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
    }

    /// Any text is read or is none, and one that is JSON is read as it is.
    #[test]
    fn any_text_is_survived() {
        let pieces = [
            "\"", "\\", "\\u", "\\ud83d", "\\ude00", "d83d", "{", "}", "[", "]", ",", ":", "NaN",
            "-", "Infinity", "1e999", "0", "é", "😀", "\u{1}", "\n", "null", "\u{feff}", "a",
        ];
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for _ in 0..20_000 {
            let length = rng.random_range(0..12);
            let text: String = (0..length)
                .map(|_| pieces[rng.random_range(0..pieces.len())])
                .collect();
            let strict = serde_json::from_str::<Value>(&text).ok();
            let read = parse(&text);
            assert!(strict.is_none() || strict == read, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in [
            "",
            "{",
            "{\"a\":",
            "NaN,",
            "[NaN",
            "[\"a",
            "[\"\\",
            "[\"\\u",
            "[\"\\ud83",
            "[\"\\ud83d\\",
            "[NaN,\"\\q\"]",
            "data: {}",
            "<html>",
            "[undefined]",
            "[None]",
            "{'a':1}",
            "[\"\\u+123\"]",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
