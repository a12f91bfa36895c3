//! The one secret.

use std::env;
use std::fmt;

use ureq::http::Uri;

/// The Hub's access token and the one origin that may see it. Deliberately without `Display`,
/// and with a `Debug` that hides it.
#[derive(Clone)]
pub(super) struct Token {
    secret: Option<String>,
    scheme: String,
    authority: String,
}

impl Token {
    /// `HF_TOKEN`, for huggingface.co over https.
    pub(super) fn from_env() -> Self {
        let secret = env::var("HF_TOKEN").ok();
        Self::new(secret.as_deref(), "https", "huggingface.co")
    }

    pub(super) fn new(secret: Option<&str>, scheme: &str, authority: &str) -> Self {
        Self {
            secret: secret
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty()),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
        }
    }

    /// Whether there is one.
    pub(super) fn is_set(&self) -> bool {
        self.secret.is_some()
    }

    /// The token, if `uri` is where it may go.
    pub(super) fn for_uri(&self, uri: &Uri) -> Option<&str> {
        let ours = uri.scheme_str() == Some(&self.scheme)
            && uri
                .authority()
                .is_some_and(|at| at.as_str() == self.authority);
        self.secret.as_deref().filter(|_| ours)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = if self.is_set() { "set" } else { "not set" };
        write!(f, "Token({set})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn the_token_goes_to_the_hub_over_https_and_nowhere_else() {
        let token = Token::new(Some(" hf_secret\n"), "https", "huggingface.co");
        assert_eq!(
            token.for_uri(&uri("https://huggingface.co/a/b")),
            Some("hf_secret")
        );
        for other in [
            "http://huggingface.co/a",
            "https://cdn-lfs.huggingface.co/a",
            "https://huggingface.co.evil.example/a",
            "https://huggingface.co:444/a",
            "https://evil.example/huggingface.co",
        ] {
            assert_eq!(token.for_uri(&uri(other)), None, "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token(set)");
    }
}
