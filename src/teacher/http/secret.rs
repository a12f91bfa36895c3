//! The key of an endpoint: from the environment to one header, and nowhere else.

use std::fmt;

use ureq::http::HeaderValue;

use super::{EndpointError, Why};

/// A shorter key is a stand-in such as `EMPTY`, which local servers want; it is no secret, and words
/// like it may stand in replies.
const SECRET_BYTES: usize = 8;
/// A piece of the key at the end of a text that was cut off counts from this length.
const PIECE_BYTES: usize = 6;
/// What stands where the key stood.
const HIDDEN: &str = "[key]";

/// A key, or none. Deliberately without `Display`, and with a `Debug` that hides it.
#[derive(Clone, Default)]
pub struct ApiKey(Option<String>);

impl ApiKey {
    /// The value of the environment variable, if one is named.
    ///
    /// # Errors
    /// It is not set, or cannot stand in a header.
    pub fn from_env(variable: Option<&str>) -> Result<Self, EndpointError> {
        let Some(variable) = variable else {
            return Ok(Self(None));
        };
        let value = std::env::var(variable).unwrap_or_default();
        Self::new(&value).ok_or_else(|| {
            let variable = variable.to_owned();
            EndpointError::from(if value.trim().is_empty() {
                Why::NoKey { variable }
            } else {
                Why::BadKey { variable }
            })
        })
    }

    /// `None` where the text is empty or cannot stand in a header.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Some(text.to_owned())))
    }

    /// The header's value, marked so that nobody prints it.
    pub(super) fn header(&self, scheme: &str) -> Option<HeaderValue> {
        let text = format!("{scheme}{}", self.0.as_ref()?);
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether there is one.
    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// `text` of a server without the key: some repeat what they were sent.
    pub(super) fn redact(&self, mut text: String) -> String {
        let Some(secret) = self
            .0
            .as_deref()
            .filter(|secret| secret.len() >= SECRET_BYTES)
        else {
            return text;
        };
        let quoted = serde_json::Value::from(secret).to_string();
        for spelling in [secret, quoted.trim_matches('"')] {
            if text.contains(spelling) {
                text = text.replace(spelling, HIDDEN);
            }
        }
        let cut = (PIECE_BYTES..secret.len())
            .rev()
            .find(|&length| text.ends_with(&secret[..length]));
        if let Some(length) = cut {
            text.truncate(text.len() - length);
            text += HIDDEN;
        }
        text
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
        assert_eq!(key.redact("x sk-a\"b-0123456789 y".into()), "x [key] y");
        assert_eq!(
            key.redact(r#"{"x":"sk-a\"b-0123456789"}"#.into()),
            r#"{"x":"[key]"}"#
        );
        assert_eq!(key.redact("cut sk-a\"b-0".into()), "cut [key]");
        assert_eq!(key.redact("cut sk-a".into()), "cut sk-a");
    }

    #[test]
    fn a_stand_in_is_no_secret() {
        let key = ApiKey::new("EMPTY").unwrap();
        assert_eq!(key.redact("the EMPTY set".into()), "the EMPTY set");
        assert!(ApiKey::new("two\nlines").is_none());
        assert!(ApiKey::new(" ").is_none());
    }
}
