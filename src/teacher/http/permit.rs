//! Which servers a user lets a manifest ask, and which environment variable's value may go to each.
//!
//! A manifest may come from anybody, and it names an address and a variable. Neither is enough for anything to be
//! sent: the user's own permission is, from the command line or from a file of theirs, never from the manifest. A
//! permission is of a host and a variable, so that it holds for every manifest that asks the same, and for none
//! that asks for more. A server on this machine needs none.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

use super::Endpoint;

/// `HOST` or `HOST:VARIABLE`: what may be asked, and the variable whose value may go there. `http://` before it
/// lets it go without encryption.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Permission {
    host: String,
    variable: Option<String>,
    in_the_clear: bool,
}

impl Permission {
    /// What asking `endpoint` needs; `None` for a server on this machine.
    pub fn needed(endpoint: &Endpoint) -> Option<Self> {
        let uri: Uri = endpoint.base_url.parse().ok()?;
        (!endpoint.is_local()).then(|| Self {
            host: uri.host().unwrap_or_default().to_lowercase(),
            variable: endpoint.api_key_env.clone(),
            in_the_clear: uri.scheme_str() != Some("https"),
        })
    }

    /// Whether who has this may do what needs `other`.
    fn covers(&self, other: &Self) -> bool {
        self.host == other.host
            && (other.variable.is_none() || self.variable == other.variable)
            && (self.in_the_clear || !other.in_the_clear)
    }

    /// What it permits, in words: `api.example, with the key in API_KEY`.
    pub fn words(&self) -> String {
        let key = match &self.variable {
            Some(variable) => format!("with the key in {variable}"),
            None => "without a key".to_owned(),
        };
        let clear = if self.in_the_clear {
            ", over http without encryption"
        } else {
            ""
        };
        format!("{}, {key}{clear}", self.host)
    }
}

/// As the command line and the user's file have it.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.in_the_clear { "http://" } else { "" };
        write!(f, "{scheme}{}", self.host)?;
        match &self.variable {
            Some(variable) => write!(f, ":{variable}"),
            None => Ok(()),
        }
    }
}

/// A text that is no permission.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is no HOST or HOST:VARIABLE, such as api.openai.com:OPENAI_API_KEY; a port is no part of it"
)]
pub struct NoPermission(String);

impl FromStr for Permission {
    type Err = NoPermission;

    fn from_str(text: &str) -> Result<Self, NoPermission> {
        let text = text.trim();
        let (in_the_clear, rest) = match text.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some(("https", rest)) => (false, rest),
            Some(_) => return Err(NoPermission(text.to_owned())),
            None => (false, text),
        };
        let (host, variable) = match rest.rsplit_once(':') {
            Some((host, variable)) if is_variable(variable) => (host, Some(variable.to_owned())),
            _ => (rest, None),
        };
        let permission = Self {
            host: host.to_lowercase(),
            variable,
            in_the_clear,
        };
        is_host(host)
            .then_some(permission)
            .ok_or_else(|| NoPermission(text.to_owned()))
    }
}

/// As `api_key_env` takes it.
fn is_variable(text: &str) -> bool {
    let capital = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    text.bytes().next().is_some_and(capital)
        && text
            .bytes()
            .all(|byte| capital(byte) || byte.is_ascii_digit())
}

/// A name, an address of four numbers, or one in brackets.
fn is_host(text: &str) -> bool {
    let plain = |text: &str| {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !text.is_empty() && text.bytes().all(of_name)
    };
    match text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        Some(inner) => inner.split(':').all(|part| part.is_empty() || plain(part)),
        None => plain(text),
    }
}

/// What a user permitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Permissions(Vec<Permission>);

impl Permissions {
    /// The permission that asking `endpoint` still needs; `None` where it may be asked.
    pub fn lacking(&self, endpoint: &Endpoint) -> Option<Permission> {
        let needed = Permission::needed(endpoint)?;
        (!self.0.iter().any(|given| given.covers(&needed))).then_some(needed)
    }
}

impl Extend<Permission> for Permissions {
    fn extend<T: IntoIterator<Item = Permission>>(&mut self, more: T) {
        self.0.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::tests::endpoint;
    use super::*;

    fn with_key(base_url: &str, variable: &str) -> Endpoint {
        Endpoint {
            api_key_env: Some(variable.to_owned()),
            ..endpoint(base_url)
        }
    }

    fn given(texts: &[&str]) -> Permissions {
        let mut permissions = Permissions::default();
        permissions.extend(texts.iter().map(|text| text.parse().unwrap()));
        permissions
    }

    #[test]
    fn a_permission_is_of_a_host_and_a_variable() {
        let openai = || with_key("https://api.openai.com/v1", "OPENAI_API_KEY");
        for (permissions, endpoint, lacking) in [
            (&[][..], openai(), Some("api.openai.com:OPENAI_API_KEY")),
            (&["api.openai.com:OPENAI_API_KEY"], openai(), None),
            (&["https://API.OpenAI.com:OPENAI_API_KEY"], openai(), None),
            (&["http://api.openai.com:OPENAI_API_KEY"], openai(), None),
            (
                &["api.openai.com"],
                openai(),
                Some("api.openai.com:OPENAI_API_KEY"),
            ),
            (
                &["api.openai.com:OTHER"],
                openai(),
                Some("api.openai.com:OPENAI_API_KEY"),
            ),
            (
                &["openai.com:OPENAI_API_KEY"],
                openai(),
                Some("api.openai.com:OPENAI_API_KEY"),
            ),
            (
                &["evil.example:OPENAI_API_KEY", "api.openai.com:OTHER"],
                openai(),
                Some("api.openai.com:OPENAI_API_KEY"),
            ),
            (
                &["api.openai.com:OPENAI_API_KEY"],
                with_key("https://api.openai.com.evil.example/v1", "OPENAI_API_KEY"),
                Some("api.openai.com.evil.example:OPENAI_API_KEY"),
            ),
            (
                &["api.openai.com:OPENAI_API_KEY"],
                with_key("https://evil.example/api.openai.com", "OPENAI_API_KEY"),
                Some("evil.example:OPENAI_API_KEY"),
            ),
            (
                &["api.openai.com:OPENAI_API_KEY"],
                with_key("http://api.openai.com/v1", "OPENAI_API_KEY"),
                Some("http://api.openai.com:OPENAI_API_KEY"),
            ),
            (
                &["api.openai.com:OPENAI_API_KEY"],
                endpoint("https://api.openai.com:8443/v1"),
                None,
            ),
            (
                &[],
                endpoint("http://node17:8000/v1"),
                Some("http://node17"),
            ),
            (&["http://node17"], endpoint("http://node17:8001/v1"), None),
            (
                &[],
                with_key("https://[2001:DB8::1]:8000/v1", "K"),
                Some("[2001:db8::1]:K"),
            ),
            (
                &["[2001:db8::1]:K"],
                with_key("https://[2001:DB8::1]:8000/v1", "K"),
                None,
            ),
            (
                &[],
                with_key("http://127.0.0.1:8000/v1", "AWS_SECRET_ACCESS_KEY"),
                None,
            ),
            (&[], with_key("http://localhost:8000/v1", "K"), None),
            (
                &[],
                with_key("https://127.0.0.1.evil.example/v1", "K"),
                Some("127.0.0.1.evil.example:K"),
            ),
            (
                &[],
                with_key("https://localhost.evil.example/v1", "K"),
                Some("localhost.evil.example:K"),
            ),
        ] {
            let found = given(permissions)
                .lacking(&endpoint)
                .map(|it| it.to_string());
            assert_eq!(
                found.as_deref(),
                lacking,
                "{permissions:?} {}",
                endpoint.base_url
            );
            // What is told as lacking is what gives it.
            if let Some(found) = found {
                assert_eq!(given(&[&found]).lacking(&endpoint), None, "{found}");
            }
        }
    }

    #[test]
    fn what_is_no_permission_is_refused() {
        for text in [
            "",
            "*",
            "api.openai.com:8000",
            "ftp://a",
            "a b",
            "a:key",
            ":KEY",
            "http://",
            "user@a",
            "a/v1",
            "[::1",
            "https://a:8000:KEY",
        ] {
            assert!(text.parse::<Permission>().is_err(), "{text}");
        }
    }
}
