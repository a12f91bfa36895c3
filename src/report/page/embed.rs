//! How scripts, styles and data get into a page that allows nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// `value` as JSON that may stand in a `<script>` element: no text in it can end the element or begin
/// another, for `<`, `>` and `&` are written as escapes. U+2028 and U+2029 too, which old parsers take
/// for line ends.
pub(super) fn json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("names, texts and finite numbers are JSON");
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // These stand only within JSON's strings, where an escape means the same.
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

/// The `Content-Security-Policy` under which this script and this style run, and nothing else does:
/// no other script, no request, no frame, no form.
pub(super) fn policy(script: &str, style: &str) -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        source_hash(script),
        source_hash(style)
    )
}

fn source_hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_script_element() {
        let hostile = "</script><!--<script>&amp;\u{2028}\"\\";
        let json = json(&hostile);
        assert!(!json.contains(['<', '>', '&', '\u{2028}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }

    /// The example of the CSP specification (CSP Level 3, 2.3.1, and MDN).
    #[test]
    fn hashes_are_those_of_browsers() {
        assert_eq!(
            source_hash("alert('Hello, world.');"),
            "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
    }
}
