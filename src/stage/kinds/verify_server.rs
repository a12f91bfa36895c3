//! A server of the user's that scores paths, as a manifest names it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::teacher::http::{Endpoint, Limits};

/// A server that takes the JSON of a path and answers with its score.
///
/// | in the key | not in it |
/// |---|---|
/// | `provider`, or `url` where none is named | `url` where a `provider` is named, `api_key_env`, `api_key_header`, `limits` |
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerParams {
    /// Where paths are sent (POST), for example `http://127.0.0.1:8080/verify`.
    pub url: String,
    /// What scores there, in words of yours, for example `sympy-1.13`. Scores belong to it instead of to `url`, so the
    /// server may move; another one of it has another name. Default: `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub provider: Option<String>,
    /// The environment variable that holds the key, never the key itself: capital letters, digits and `_`. Default:
    /// none, no key is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z_][A-Z0-9_]{0,63}$"))]
    pub api_key_env: Option<String>,
    /// The header that carries the bare key, for example `api-key`. Default: `Authorization`, as `Bearer KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub api_key_header: Option<String>,
    /// How hard the server is asked, and when to give up. Not in the key.
    #[serde(default)]
    pub limits: Limits,
}

impl ServerParams {
    /// The server as a client takes it.
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint {
            provider: self.provider.clone(),
            api_key_env: self.api_key_env.clone(),
            api_key_header: self.api_key_header.clone(),
            limits: self.limits.clone(),
            ..Endpoint::that_scores(&self.url)
        }
    }

    /// What a JSON Schema cannot check: the field, what is wrong, and what to do.
    pub(super) fn field_errors(&self) -> Vec<(String, String, &'static str)> {
        let errors = self.endpoint().field_errors().into_iter();
        let own = errors.map(|(field, message, hint)| match field {
            "base_url" => (
                "http.url".to_owned(),
                message,
                "expected http://HOST:PORT/PATH or https://HOST/PATH; a key comes from `api_key_env`",
            ),
            other => (format!("http.{other}"), message, hint),
        });
        own.collect()
    }

    /// Takes out of the parameters what does not count for the key.
    pub(super) fn retain_key_fields(server: &mut Map<String, Value>) {
        for field in ["api_key_env", "api_key_header", "limits"] {
            server.remove(field);
        }
        if server.contains_key("provider") {
            server.remove("url");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_has_what_scores_and_not_how_it_is_reached() {
        let keyed = |server: Value| {
            let server: ServerParams = serde_json::from_value(server).unwrap();
            let Value::Object(mut map) = json!(server) else {
                unreachable!("a struct is an object")
            };
            ServerParams::retain_key_fields(&mut map);
            Value::Object(map)
        };
        let careful = json!({ "url": "http://a/v", "api_key_env": "K", "limits": { "tries": 2 } });
        assert_eq!(keyed(careful), json!({ "url": "http://a/v" }));
        let named = json!({ "url": "http://a/v", "provider": "sympy" });
        assert_eq!(keyed(named), json!({ "provider": "sympy" }));
    }
}
