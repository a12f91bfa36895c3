//! The key of an endpoint: from the environment to one header, and nowhere else.

use std::fmt;

use ureq::http::HeaderValue;

use super::{EndpointError, EndpointErrorKind, spelling};

/// A shorter key is a stand-in such as `EMPTY`, which local servers want; it is no secret, and words
/// like it may stand in replies.
const SECRET_BYTES: usize = 8;
/// A piece of the key at the end of a text that was cut off counts from this length.
const PIECE_BYTES: usize = 6;
/// What stands where the key stood.
const HIDDEN: &str = "[key]";

/// A key, or none. Deliberately without `Display`, and with a `Debug` that hides it.
#[derive(Clone, Default)]
pub(crate) struct ApiKey {
    text: Option<String>,
    /// What is looked for in a server's words: the key, and what is in its Base64. Empty for a stand-in.
    spellings: Vec<Vec<u8>>,
}

impl ApiKey {
    /// The value of the environment variable, if one is named.
    ///
    /// # Errors
    /// It is not set, or cannot stand in a header.
    pub(crate) fn from_env(variable: Option<&str>) -> Result<Self, EndpointError> {
        let Some(variable) = variable else {
            return Ok(Self::default());
        };
        let value = std::env::var(variable).unwrap_or_default();
        Self::new(&value).ok_or_else(|| {
            let variable = variable.to_owned();
            EndpointError::from(if value.trim().is_empty() {
                EndpointErrorKind::NoKey { variable }
            } else {
                EndpointErrorKind::BadKey { variable }
            })
        })
    }

    /// `None` where the text is empty or cannot stand in a header.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self {
            text: Some(text.to_owned()),
            spellings: match text.len() {
                SECRET_BYTES.. => spelling::of(text),
                _ => Vec::new(),
            },
        })
    }

    /// The header's value, marked so that nobody prints it.
    pub(super) fn header(&self, scheme: &str) -> Option<HeaderValue> {
        let text = format!("{scheme}{}", self.text.as_ref()?);
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether there is one.
    pub(super) fn is_set(&self) -> bool {
        self.text.is_some()
    }

    /// `text` of a server without the key: some repeat what they were sent, and spell it as their JSON, their
    /// pages and their addresses do.
    pub(super) fn redact(&self, text: String) -> String {
        if self.spellings.is_empty() {
            return text;
        }
        let bytes = text.as_bytes();
        let mut out = String::new();
        let (mut at, mut told) = (0, 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            let spelt =
                (self.spellings.iter()).filter_map(|key| spelling::length(key, rest, PIECE_BYTES));
            let Some(length) = spelt.max() else {
                at += 1;
                continue;
            };
            out += &text[told..at];
            out += HIDDEN;
            at += length;
            told = at;
        }
        if told == 0 {
            return text;
        }
        out += &text[told..];
        out
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() {
            "ApiKey(set)"
        } else {
            "ApiKey(none)"
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    const SECRET: &str = "sk-test-0123/456789";

    #[test]
    fn the_key_has_no_text_form() {
        let key = ApiKey::new(&format!(" {SECRET}\n")).unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(set)");
        let header = key.header("Bearer ").unwrap();
        assert_eq!(header.to_str().unwrap(), format!("Bearer {SECRET}"));
        assert!(!format!("{header:?}").contains("0123"));
    }

    #[test]
    fn what_a_server_repeats_is_hidden_whole_quoted_or_cut_off() {
        let key = ApiKey::new("sk-a\"b-0123456789").unwrap();
        let nothing = "sk-a\" and %41 & \\n".to_owned();
        assert_eq!(key.redact(nothing.clone()), nothing);
        assert_eq!(
            key.redact("sk-a\"b-0123456789sk-a\"b-0123456789é".into()),
            "[key][key]é"
        );
        assert_eq!(key.redact("x sk-a\"b-0123456789 y".into()), "x [key] y");
        assert_eq!(
            key.redact(r#"{"x":"sk-a\"b-0123456789"}"#.into()),
            r#"{"x":"[key]"}"#
        );
        assert_eq!(key.redact("cut sk-a\"b-0".into()), "cut [key]");
        assert_eq!(key.redact("cut sk-a".into()), "cut sk-a");
    }

    /// Whatever stands around it, in whichever letters and halves of escapes, the key is not in what is left.
    #[test]
    fn a_key_is_hidden_in_any_text() {
        let key = ApiKey::new(SECRET).unwrap();
        let spelt = SECRET.replace('/', "\\/").replace('0', "\\u0030");
        let pieces = [
            SECRET, &spelt, "\\", "%", "%2", "&", "&#", ";", "é", "😀", "sk-test-", "sk-", "0123/",
            "\"", "u0073", " ",
        ];
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for _ in 0..20_000 {
            let length = rng.random_range(0..8);
            let text: String = (0..length)
                .map(|_| pieces[rng.random_range(0..pieces.len())])
                .collect();
            let told = key.redact(text.clone());
            assert!(
                !told.contains(SECRET) && !told.contains(&spelt),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn a_stand_in_is_no_secret() {
        let key = ApiKey::new("EMPTY").unwrap();
        assert_eq!(key.redact("the EMPTY set".into()), "the EMPTY set");
        assert!(ApiKey::new("two\nlines").is_none());
        assert!(ApiKey::new(" ").is_none());
    }
}
