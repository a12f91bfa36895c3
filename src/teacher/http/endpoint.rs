//! What a manifest says of a server and of the model to ask there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ureq::http::Uri;
use ureq::http::uri::Authority;

use super::{FieldError, Limits, Price, usage};

/// A model behind an OpenAI-compatible server, and how to ask it.
///
/// | in the key | not in it |
/// |---|---|
/// | `provider`, or `base_url` where none is named | `base_url` where a `provider` is named |
/// | `model`, `api`, `system`, all drawing parameters, `n`, `extra_body`, `omit` | `api_key_env`, `api_key_header`, `limits`, `price` |
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Where the server is, up to and without `/chat/completions`, for example
    /// `http://127.0.0.1:8080/v1`.
    pub base_url: String,
    /// Who answers there, in words of yours, for example `cluster-vllm`. Replies belong to it
    /// instead of to `base_url`, so the server may move to another port or host and no reply is asked
    /// for again. Default: `base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub provider: Option<String>,
    /// The model, as the server knows it.
    pub model: String,
    /// Which of the server's interfaces to use. Default `chat`.
    #[serde(default)]
    pub api: Api,
    /// The environment variable that holds the key, never the key itself: capital letters, digits and
    /// `_`. Default: none, no key is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z_][A-Z0-9_]{0,63}$"))]
    pub api_key_env: Option<String>,
    /// The header that carries the bare key, for example `api-key`. Default: `Authorization`, as
    /// `Bearer KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub api_key_header: Option<String>,
    /// `chat` only: a system message before each prompt. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Divides the logits. Default 0 (Ho et al. 2023).
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub temperature: f64,
    /// Nucleus sampling. Default: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub top_p: Option<f64>,
    /// Most tokens of a reply. Default 128 for a teacher (Ho et al. 2023), 256 for a judge (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// Texts that end a reply. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub stop: Vec<String>,
    /// The server's seed; the reply `k` of `n` is asked for with `seed + k`. Default: none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Replies for each prompt. Default 1. Each is a request of its own and is kept by itself, so
    /// going from 3 to 5 asks for 2.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub n: u32,
    /// Further fields of the request, as the server knows them; they win over ours, for example
    /// `{ max_completion_tokens = 2000 }`. Never a place for keys. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_body: BTreeMap<String, Value>,
    /// Fields of ours that the server refuses, for example `["max_tokens", "temperature"]`. Default
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omit: Vec<String>,
    /// How hard the server is asked, and when to give up. Not in the key.
    #[serde(default)]
    pub limits: Limits,
    /// What tokens cost, for estimates, budgets and the account of what was used. Default: not known.
    /// Not in the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// An interface of an OpenAI-compatible server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// `/chat/completions`: messages, as instruction-tuned models want.
    #[default]
    Chat,
    /// `/completions`: the bare prompt, as base models want.
    Completions,
    /// No model's: JSON to the address itself, and a score back (`verify`). No manifest names it.
    #[serde(skip)]
    #[schemars(skip)]
    Score,
    /// A student's: prompts as tokens, and tokens with their log-probabilities back, at this path (`served`). No manifest
    /// names it.
    #[serde(skip)]
    #[schemars(skip)]
    Tokens(TokensPath),
}

/// A path below a server's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokensPath(&'static str);

impl Api {
    /// Its path below `base_url`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Score => "",
            Self::Tokens(TokensPath(path)) => path,
        }
    }
}

/// How requests reach the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// One by one, several at a time.
    #[default]
    Online,
    /// As files of many (`/files`, `/batches`): answered within a day, at some providers for less.
    Batch,
}

fn one() -> u32 {
    1
}

impl Endpoint {
    /// A server that scores what it is sent, at this very address.
    pub fn that_scores(url: &str) -> Self {
        Self::bare(url, Api::Score)
    }

    /// A server that goes on from tokens, at `path` below its address.
    pub fn that_draws(url: &str, path: &'static str) -> Self {
        Self::bare(url, Api::Tokens(TokensPath(path)))
    }

    /// A server of which nothing is set.
    fn bare(url: &str, api: Api) -> Self {
        Self {
            base_url: url.to_owned(),
            provider: None,
            model: String::new(),
            api,
            api_key_env: None,
            api_key_header: None,
            system: None,
            temperature: 0.0,
            top_p: None,
            max_tokens: None,
            stop: Vec::new(),
            seed: None,
            n: 1,
            extra_body: BTreeMap::new(),
            omit: Vec::new(),
            limits: Limits::default(),
            price: None,
        }
    }

    /// Who the replies belong to.
    pub fn provider(&self) -> &str {
        self.provider.as_deref().unwrap_or(self.base())
    }

    /// The address that paths are added to, without a slash at its end; where nothing is added, the address.
    pub fn base(&self) -> &str {
        match self.api {
            Api::Score => &self.base_url,
            Api::Chat | Api::Completions | Api::Tokens(_) => self.base_url.trim_end_matches('/'),
        }
    }

    /// Whether the server runs on this machine.
    pub fn is_local(&self) -> bool {
        let uri: Option<Uri> = self.base_url.parse().ok();
        uri.as_ref()
            .and_then(Uri::host)
            .is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host))
    }

    /// What a JSON Schema cannot check.
    pub fn field_errors(&self) -> Vec<FieldError> {
        let mut field_errors = Vec::new();
        if let Some(reason) = bad_address(&self.base_url) {
            field_errors.push((
                "base_url",
                reason,
                "expected http://HOST:PORT/v1 or https://HOST/v1; a key comes from `api_key_env`",
            ));
        }
        if self.model.trim().is_empty() && matches!(self.api, Api::Chat | Api::Completions) {
            field_errors.push((
                "model",
                "no model is named".to_owned(),
                "as the server knows it",
            ));
        }
        if self
            .provider
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
        {
            field_errors.push((
                "provider",
                "it is empty, and two servers without a name would share what they answered"
                    .to_owned(),
                "a name of yours for who answers there, or leave `provider` out",
            ));
        }
        if self.system.is_some() && self.api == Api::Completions {
            field_errors.push((
                "system",
                "a bare prompt has no system message".to_owned(),
                "set `api = \"chat\"`, or write it into `prompt`",
            ));
        }
        if self.n > 1 && self.temperature == 0.0 && !self.omits("temperature") {
            field_errors.push((
                "n",
                format!("at temperature 0 all {} replies are the same", self.n),
                "set `temperature`, for example to 0.7",
            ));
        }
        if let Some(field) = self
            .omit
            .iter()
            .find(|field| !OMISSIBLE.contains(&field.as_str()))
        {
            field_errors.push((
                "omit",
                format!("`{field}` is no field that may be left out"),
                "accepted: temperature, max_tokens, seed",
            ));
        }
        let ours = ["messages", "prompt", "model", "n", "stream"];
        let free = |field: &str| match self.extra_body.get(field) {
            // For a server that streams unless it is told not to.
            Some(value) => field == "stream" && *value == Value::Bool(false),
            None => true,
        };
        if let Some(field) = ours.into_iter().find(|field| !free(field)) {
            field_errors.push((
                "extra_body",
                format!("`{field}` is not free"),
                "`model` and `n` have fields of their own; prompts come from the questions",
            ));
        }
        field_errors.extend(self.limits.field_error());
        field_errors
    }

    /// The field that bounds a reply's length, and to how many tokens it does where that is known: `default`
    /// unless the endpoint says otherwise.
    pub fn length_bound(&self, default: u32) -> (String, Option<u64>) {
        let mut own = LENGTH_FIELDS
            .iter()
            .filter_map(|name| Some((*name, self.extra_body.get(*name)?)));
        match own.next() {
            Some((name, value)) => (format!("endpoint.extra_body.{name}"), usage::count(value)),
            None if self.omits("max_tokens") => {
                let field = format!("endpoint.extra_body.{}", LENGTH_FIELDS[0]);
                (field, None)
            }
            None => {
                let most = self.max_tokens.unwrap_or(default);
                ("endpoint.max_tokens".to_owned(), Some(u64::from(most)))
            }
        }
    }

    /// Tokens of the longest reply; no model writes more than the largest `u32`.
    pub fn longest_reply(&self, default: u32) -> u64 {
        let bound = self.length_bound(default).1.unwrap_or(UNLIMITED_REPLY);
        bound.min(u64::from(u32::MAX))
    }

    pub(super) fn omits(&self, field: &str) -> bool {
        self.omit.iter().any(|each| each == field)
    }

    /// Takes out of an endpoint's parameters what does not count for the key.
    pub fn retain_key_fields(endpoint: &mut Map<String, Value>) {
        for field in ["api_key_env", "api_key_header", "limits", "price"] {
            endpoint.remove(field);
        }
        if endpoint.contains_key("provider") {
            endpoint.remove("base_url");
        } else if let Some(Value::String(url)) = endpoint.get_mut("base_url") {
            url.truncate(url.trim_end_matches('/').len());
        }
    }
}

/// Fields of a request that bound a reply's length; the first that is there counts.
const LENGTH_FIELDS: [&str; 2] = ["max_completion_tokens", "max_tokens"];
/// Tokens counted for a reply whose length nobody limits. Ours.
const UNLIMITED_REPLY: u64 = 4096;

const OMISSIBLE: [&str; 3] = ["temperature", "max_tokens", "seed"];

/// Why requests cannot go to `url`. The text is not repeated: it may hold a password.
fn bad_address(url: &str) -> Option<String> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Some("it is no address".to_owned());
    };
    let authority = uri.authority().map_or("", Authority::as_str);
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        Some("it is no address of a web server".to_owned())
    } else if authority.contains('@') {
        Some("it holds a user name or password, and would be kept in the cache".to_owned())
    // The parser drops a fragment without a word, so the text is looked at.
    } else if uri.query().is_some() || url.contains('#') {
        Some("it has a query or a fragment (`?`, `#`)".to_owned())
    } else if uri.path().trim_end_matches('/').ends_with("/completions") {
        Some("it goes on behind the base: `/chat/completions` is added by `api`".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn endpoint(base_url: &str) -> Endpoint {
        serde_json::from_value(json!({ "base_url": base_url, "model": "m" })).unwrap()
    }

    #[test]
    fn a_provider_has_a_name() {
        for (name, fields) in [("", 1), (" \t", 1), ("vllm", 0)] {
            let named = Endpoint {
                provider: Some(name.to_owned()),
                ..endpoint("http://a/v1")
            };
            let errors = named.field_errors();
            assert_eq!(errors.len(), fields, "{name:?}");
            assert!(errors.iter().all(|error| error.0 == "provider"));
        }
    }

    #[test]
    fn addresses_that_hold_secrets_or_lead_elsewhere_are_refused_and_not_repeated() {
        for bad in [
            "127.0.0.1:8080/v1",
            "ftp://a/v1",
            "https://user:hunter2@a.example/v1",
            "https://a.example/v1?key=hunter2",
            "https://a.example/v1/chat/completions",
            "",
            "https://",
        ] {
            let field_errors = endpoint(bad).field_errors();
            assert_eq!(field_errors.len(), 1, "{bad}");
            assert_eq!(field_errors[0].0, "base_url");
            assert!(!field_errors[0].1.contains("hunter2"));
        }
        assert!(endpoint("http://[::1]:8080/v1/").field_errors().is_empty());
        assert!(endpoint("http://[::1]:8080/v1/").is_local());
        assert!(!endpoint("https://api.example/v1").is_local());
    }

    #[test]
    fn contradictions_are_told() {
        let with = |more: Value| {
            let mut value = json!({ "base_url": "http://a/v1", "model": "m" });
            let fields = value.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            let endpoint: Endpoint = serde_json::from_value(value).unwrap();
            endpoint
                .field_errors()
                .iter()
                .map(|field_error| field_error.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(with(json!({ "n": 2 })), ["n"]);
        assert!(with(json!({ "n": 2, "temperature": 0.7 })).is_empty());
        assert_eq!(
            with(json!({ "api": "completions", "system": "s" })),
            ["system"]
        );
        assert_eq!(with(json!({ "omit": ["model"] })), ["omit"]);
        assert_eq!(
            with(json!({ "extra_body": { "messages": [] } })),
            ["extra_body"]
        );
        assert_eq!(with(json!({ "model": " " })), ["model"]);
    }

    #[test]
    fn the_key_has_who_answers_and_not_how_it_is_reached() {
        let keyed = |more: Value| {
            let mut value = json!({ "base_url": "http://a:1/v1/", "model": "m" });
            let fields = value.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            let endpoint: Endpoint = serde_json::from_value(value).unwrap();
            let Value::Object(mut map) = serde_json::to_value(&endpoint).unwrap() else {
                unreachable!("a struct is an object")
            };
            Endpoint::retain_key_fields(&mut map);
            map
        };
        let plain = keyed(json!({}));
        assert_eq!(plain["base_url"], "http://a:1/v1");
        let careful = json!({ "limits": { "concurrency": 2 }, "api_key_env": "K", "price": { "prompt_usd_per_million": 1, "completion_usd_per_million": 2 } });
        assert_eq!(keyed(careful), plain);
        assert_ne!(keyed(json!({ "temperature": 1 })), plain);
        let named = keyed(json!({ "provider": "mine" }));
        assert_eq!(named.get("base_url"), None);
        assert_eq!(
            named,
            keyed(json!({ "provider": "mine", "base_url": "http://b:2/v1" }))
        );
    }
}
