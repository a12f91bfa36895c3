//! Where a remote is: `s3://bucket/prefix` or `file:///folder`.

use std::borrow::Cow;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a remote is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RemoteUrl {
    /// A bucket of an S3 server.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What all names in it begin with: empty, or without `/` at its ends.
        prefix: String,
    },
    /// A folder, on a file system that machines share.
    Folder(PathBuf),
}

/// What is no address of a remote.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` names no remote: expected s3://BUCKET/PREFIX or file:///FOLDER\nhint: the server, the region and the keys of \
     a bucket come from the environment and from ~/.aws, as the AWS tools find them (docs/store.md)"
)]
pub struct BadRemote(String);

/// Characters of a prefix that need no thought in any place where a name may stand.
const PLAIN: &str = "-._";

impl FromStr for RemoteUrl {
    type Err = BadRemote;

    fn from_str(text: &str) -> Result<Self, BadRemote> {
        let bad = || BadRemote(text.to_owned());
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.trim_end_matches('/');
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            let plain = |c: char| c.is_ascii_alphanumeric() || PLAIN.contains(c);
            let part = |part: &str| !["", ".", ".."].contains(&part) && part.chars().all(plain);
            let sound = bucket.len() >= 3
                && bucket.chars().all(fits)
                && bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
                && (prefix.is_empty() || prefix.split('/').all(part));
            return sound
                .then(|| Self::S3 {
                    bucket: bucket.to_owned(),
                    prefix: prefix.to_owned(),
                })
                .ok_or_else(bad);
        }
        let folder = Path::new(text.strip_prefix("file://").ok_or_else(bad)?);
        let goes_up = folder.components().any(|part| part == Component::ParentDir);
        if !folder.is_absolute() || goes_up {
            return Err(bad());
        }
        Ok(Self::Folder(folder.to_owned()))
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

impl TryFrom<String> for RemoteUrl {
    type Error = BadRemote;

    fn try_from(text: String) -> Result<Self, BadRemote> {
        text.parse()
    }
}

impl From<RemoteUrl> for String {
    fn from(url: RemoteUrl) -> Self {
        url.to_string()
    }
}

impl JsonSchema for RemoteUrl {
    fn schema_name() -> Cow<'static, str> {
        "RemoteUrl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(s3://[a-z0-9][a-z0-9.-]{2,}(/[A-Za-z0-9._-]+)*/?|file:///.*)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "s3://lab",
            "s3://lab-1.x/a/b_c",
            "file:///shared/sert",
            "file:///with space",
        ] {
            assert_eq!(text.parse::<RemoteUrl>().unwrap().to_string(), text);
        }
        let slash: RemoteUrl = "s3://lab/a/".parse().unwrap();
        assert_eq!(slash.to_string(), "s3://lab/a");
        for wrong in [
            "",
            "lab",
            "s3://",
            "s3://La",
            "s3://user:secret@lab/x",
            "s3://lab//x",
            "s3://lab/../x",
            "s3://lab/a b",
            "file://shared",
            "file:///a/../b",
            "https://lab.example/x",
        ] {
            let message = wrong.parse::<RemoteUrl>().unwrap_err().to_string();
            assert!(message.contains("expected s3://"), "{message}");
        }
    }
}
