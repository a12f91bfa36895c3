//! Server, region and credentials, found where the AWS tools find them.
//!
//! In this order, for each: the environment; the profile that `AWS_PROFILE` names (`default`) in `~/.aws/credentials` and
//! `~/.aws/config`; for credentials then the container's or the machine's own, which expire and are asked for again. With
//! none, requests are not signed, which is right for public buckets.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use ureq::Agent;

use super::profile::{Profile, section};
use super::{RemoteError, dates};
use crate::disk;

/// How long a machine's metadata service is waited for, as by the AWS tools: most machines have none.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);
/// Credentials that expire are asked for anew so long before. Ours.
const EARLY: Duration = Duration::from_mins(5);
const MACHINE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

/// A key and its secret. Deliberately without `Display`, and with a `Debug` that hides all.
#[derive(Clone)]
pub(super) struct Credentials {
    /// The key's name; no secret, but nobody's business either.
    pub(super) key: String,
    secret: String,
    token: Option<String>,
    expires: Option<SystemTime>,
}

impl Credentials {
    pub(super) fn new(key: &str, secret: &str, token: Option<&str>) -> Self {
        Self {
            key: key.trim().to_owned(),
            secret: secret.trim().to_owned(),
            token: token.map(|token| token.trim().to_owned()),
            expires: None,
        }
    }

    /// For signing alone.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// The session's token, for its header alone.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// From the answer of a metadata service.
    fn from_json(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| json[name].as_str();
        let expires = text("Expiration").and_then(dates::iso);
        Some(Self {
            expires,
            ..Self::new(
                text("AccessKeyId")?,
                text("SecretAccessKey")?,
                text("Token"),
            )
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(set)")
    }
}

/// Where credentials come from.
#[derive(Debug)]
enum Source {
    Given(Credentials),
    /// The service of a container: its address, and the value of its `authorization`, perhaps in a file.
    Container {
        address: String,
        token: Option<String>,
        token_file: Option<PathBuf>,
    },
    Machine {
        address: String,
    },
    Nowhere,
}

/// How a bucket is reached.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) region: String,
    /// Scheme and host, without `/` at its end.
    pub(super) origin: String,
    /// Whether the bucket's name stands in the path; else it stands in the host.
    pub(super) path_style: bool,
    source: Source,
    /// Those that expire.
    lent: Mutex<Option<Credentials>>,
}

/// The environment and the files in it, so that tests have their own.
struct Surroundings<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file; `None` where it is not there.
    file: &'a dyn Fn(&str) -> Option<String>,
}

impl Settings {
    /// Those for `bucket`, from the process's environment.
    pub(super) fn from_env(bucket: &str) -> Result<Self, RemoteError> {
        let variable = |name: &str| std::env::var(name).ok();
        let home = etcetera::home_dir().ok();
        let file = |path: &str| {
            let path = match (path.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(path),
            };
            let bytes = disk::read_small(&path).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        Self::find(
            bucket,
            &Surroundings {
                variable: &variable,
                file: &file,
            },
        )
    }

    fn find(bucket: &str, around: &Surroundings<'_>) -> Result<Self, RemoteError> {
        let set = |name: &str| (around.variable)(name).filter(|value| !value.trim().is_empty());
        let named = set("AWS_PROFILE").or_else(|| set("AWS_DEFAULT_PROFILE"));
        let name = named.clone().unwrap_or_else(|| "default".to_owned());
        let path = |variable, default: &str| set(variable).unwrap_or_else(|| default.to_owned());
        let config = (around.file)(&path("AWS_CONFIG_FILE", "~/.aws/config"));
        let keys = (around.file)(&path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"));
        let in_config = config.as_deref().and_then(|text| {
            section(text, &format!("profile {name}"))
                .or_else(|| section(text, &name).filter(|_| name == "default"))
        });
        let in_keys = keys.as_deref().and_then(|text| section(text, &name));
        if let (Some(name), None, None) = (&named, &in_config, &in_keys) {
            return Err(RemoteError::Settings(format!(
                "AWS_PROFILE names `{name}`, which is in neither ~/.aws/credentials nor ~/.aws/config\nhint: `aws \
                 configure list-profiles` lists those that are there"
            )));
        }
        let (in_config, in_keys) = (in_config.unwrap_or_default(), in_keys.unwrap_or_default());
        let source = Self::source(&set, &in_keys, &in_config);

        let region = set("AWS_REGION")
            .or_else(|| set("AWS_DEFAULT_REGION"))
            .or_else(|| in_config.get("region").cloned())
            .unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = set("AWS_ENDPOINT_URL_S3")
            .or_else(|| set("AWS_ENDPOINT_URL"))
            .or_else(|| in_config.get("s3.endpoint_url").cloned())
            .or_else(|| in_config.get("endpoint_url").cloned());
        let style = in_config.get("s3.addressing_style").map(String::as_str);
        // A certificate for *.s3.amazonaws.com is not one for a.b.s3.amazonaws.com; other servers seldom have hosts for
        // buckets. As botocore decides.
        let path_style = match style {
            Some("path") => true,
            Some("virtual") => false,
            _ => endpoint.is_some() || bucket.contains('.'),
        };
        let origin = if let Some(endpoint) = endpoint {
            checked_origin(&endpoint)?
        } else {
            let end = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://s3.{region}.amazonaws.com{end}")
        };
        Ok(Self {
            region,
            origin,
            path_style,
            source,
            lent: Mutex::default(),
        })
    }

    fn source(
        set: &dyn Fn(&str) -> Option<String>,
        in_keys: &Profile,
        in_config: &Profile,
    ) -> Source {
        if let (Some(key), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY"))
        {
            let token = set("AWS_SESSION_TOKEN");
            return Source::Given(Credentials::new(&key, &secret, token.as_deref()));
        }
        for profile in [in_keys, in_config] {
            let of = |name: &str| profile.get(name).map(String::as_str);
            if let (Some(key), Some(secret)) =
                (of("aws_access_key_id"), of("aws_secret_access_key"))
            {
                return Source::Given(Credentials::new(key, secret, of("aws_session_token")));
            }
        }
        let relative = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let address = relative
            .map(|path| format!("{CONTAINER}{path}"))
            .or_else(|| set("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
        if let Some(address) = address {
            return Source::Container {
                address,
                token: set("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
                token_file: set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from),
            };
        }
        let disabled = set("AWS_EC2_METADATA_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Source::Nowhere;
        }
        Source::Machine {
            address: set("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| MACHINE.to_owned()),
        }
    }

    /// Settings with these credentials, or none.
    #[cfg(test)]
    pub(super) fn given(origin: &str, credentials: Option<Credentials>) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            origin: origin.to_owned(),
            path_style: true,
            source: credentials.map_or(Source::Nowhere, Source::Given),
            lent: Mutex::default(),
        }
    }

    /// The credentials to sign with; `None` where there are none.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        if let Source::Given(credentials) = &self.source {
            return Some(credentials.clone());
        }
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |each: &Credentials| {
            each.expires
                .is_none_or(|expires| expires > SystemTime::now() + EARLY)
        };
        if !lent.as_ref().is_some_and(fresh) {
            let asked = self.ask();
            // A service that does not answer for once has not taken back what it gave.
            *lent = asked.or_else(|| lent.take());
        }
        lent.clone()
    }

    fn ask(&self) -> Option<Credentials> {
        let config = Agent::config_builder()
            .timeout_global(Some(METADATA_TIMEOUT))
            .max_redirects(0)
            .proxy(None)
            .build();
        let agent = Agent::new_with_config(config);
        let text = |request: ureq::RequestBuilder<ureq::typestate::WithoutBody>| {
            request.call().ok()?.into_body().read_to_string().ok()
        };
        match &self.source {
            Source::Given(_) | Source::Nowhere => None,
            Source::Container {
                address,
                token,
                token_file,
            } => {
                let mut request = agent.get(address);
                let from_file = token_file
                    .as_ref()
                    .and_then(|path| disk::read_small(path).ok());
                let from_file = from_file.and_then(|bytes| String::from_utf8(bytes).ok());
                if let Some(token) = from_file.as_ref().or(token.as_ref()) {
                    request = request.header("authorization", token.trim());
                }
                Credentials::from_json(&text(request)?)
            }
            Source::Machine { address } => {
                // The second version of the service, which wants a token that only a PUT gives.
                let token = agent
                    .put(format!("{address}/latest/api/token"))
                    .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                    .send_empty()
                    .ok()?
                    .into_body()
                    .read_to_string()
                    .ok()?;
                let roles = format!("{address}/latest/meta-data/iam/security-credentials/");
                let get = |address: &str| {
                    text(
                        agent
                            .get(address)
                            .header("x-aws-ec2-metadata-token", token.trim()),
                    )
                };
                let role = get(&roles)?;
                Credentials::from_json(&get(&format!("{roles}{}", role.lines().next()?.trim()))?)
            }
        }
    }
}

fn checked_origin(endpoint: &str) -> Result<String, RemoteError> {
    let origin = endpoint.trim().trim_end_matches('/');
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']) => {
            Ok(origin.to_owned())
        }
        // Not quoted: it may hold somebody's password.
        _ => Err(RemoteError::Settings(
            "AWS_ENDPOINT_URL is no address of a server: expected https://HOST or https://HOST:PORT".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn find(
        bucket: &str,
        variables: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Result<Settings, RemoteError> {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            pairs.iter().map(owned).collect()
        };
        let (variables, files) = (map(variables), map(files));
        Settings::find(
            bucket,
            &Surroundings {
                variable: &|name| variables.get(name).cloned(),
                file: &|path| files.get(path).cloned(),
            },
        )
    }

    const KEYS: (&str, &str) = (
        "~/.aws/credentials",
        "[default]\naws_access_key_id = D\naws_secret_access_key = ds\n[lab]\naws_access_key_id=L\n\
         aws_secret_access_key=ls\naws_session_token=lt\n",
    );
    const CONFIG: (&str, &str) = (
        "~/.aws/config",
        "[default]\nregion = eu-west-1\n[profile lab]\nregion = eu-north-1\nendpoint_url = http://minio:9000/\n",
    );

    #[test]
    fn the_environment_comes_first_then_the_profile() {
        let settings = find("lab", &[], &[KEYS, CONFIG]).unwrap();
        assert_eq!(settings.origin, "https://s3.eu-west-1.amazonaws.com");
        assert!(!settings.path_style);
        let credentials = settings.credentials().unwrap();
        assert_eq!(
            (credentials.key.as_str(), credentials.secret()),
            ("D", "ds")
        );

        let settings = find("lab", &[("AWS_PROFILE", "lab")], &[KEYS, CONFIG]).unwrap();
        assert_eq!(
            (settings.origin.as_str(), settings.region.as_str()),
            ("http://minio:9000", "eu-north-1")
        );
        assert!(settings.path_style);
        assert_eq!(settings.credentials().unwrap().token(), Some("lt"));

        let variables = [
            ("AWS_PROFILE", "lab"),
            ("AWS_ACCESS_KEY_ID", "E"),
            ("AWS_SECRET_ACCESS_KEY", "es"),
            ("AWS_REGION", "us-west-2"),
            ("AWS_ENDPOINT_URL", "https://a.example"),
            ("AWS_ENDPOINT_URL_S3", "https://b.example"),
        ];
        let settings = find("lab", &variables, &[KEYS, CONFIG]).unwrap();
        let credentials = settings.credentials().unwrap();
        assert_eq!((credentials.key.as_str(), credentials.token()), ("E", None));
        assert_eq!(
            (settings.origin.as_str(), settings.region.as_str()),
            ("https://b.example", "us-west-2")
        );
        // No part of them is in what a log might print.
        let told = format!("{settings:?}");
        assert!(!told.contains("es\"") && !told.contains("\"E\""), "{told}");
    }

    #[test]
    fn what_cannot_be_is_said_without_a_secret() {
        let none = [("AWS_EC2_METADATA_DISABLED", "true")];
        assert!(find("a.b", &none, &[]).unwrap().credentials().is_none());
        assert!(find("a.b", &none, &[]).unwrap().path_style);
        let missing = find("lab", &[("AWS_PROFILE", "x")], &[KEYS]).unwrap_err();
        assert!(missing.to_string().contains("`x`"), "{missing}");
        let wrong = [("AWS_ENDPOINT_URL", "https://me:hunter2@host/")];
        let wrong = find("lab", &wrong, &[]).unwrap_err().to_string();
        assert!(
            wrong.contains("AWS_ENDPOINT_URL") && !wrong.contains("hunter2"),
            "{wrong}"
        );
    }

    #[test]
    fn a_container_lends_credentials_that_expire() {
        use crate::fetch::tests::server::{Server, reply};

        let server = Server::start(|nth, request| {
            let token = request.headers.get("authorization").map(String::as_str);
            if request.path != "/role" || token != Some("let-me") {
                return reply(403, "");
            }
            let year = if nth == 0 { 2020 } else { 2990 };
            reply(
                200,
                &format!(
                    r#"{{"AccessKeyId":"K{nth}","SecretAccessKey":"s","Token":"t","Expiration":"{year}-01-01T00:00:00Z"}}"#
                ),
            )
        });
        let address = server.url("/role");
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me"),
        ];
        let settings = find("lab", &variables, &[]).unwrap();
        for expected in ["K0", "K1", "K1"] {
            assert_eq!(settings.credentials().unwrap().key, expected);
        }
        assert_eq!(server.seen().len(), 2);
    }
}
