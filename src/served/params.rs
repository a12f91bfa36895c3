//! What a manifest says of the server that a student is behind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::form::ServerName;
use crate::program::ProgramParams;
use crate::teacher::http::{Endpoint, Limits};

/// A server that a run starts on a student.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LaunchName {
    /// `vllm serve`, on the student's Hub folder.
    Vllm,
    /// `llama-server`, on the student's GGUF file, or on one that `converter` makes.
    LlamaServer,
}

impl LaunchName {
    /// The server that it is.
    fn name(self) -> ServerName {
        match self {
            Self::Vllm => ServerName::Vllm,
            Self::LlamaServer => ServerName::LlamaCpp,
        }
    }

    /// The program, as `PATH` finds it.
    fn program(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::LlamaServer => "llama-server",
        }
    }
}

/// The server of `engine = "server"` (docs/servers.md): one that runs (`base_url`), or one that the run starts (`launch`).
///
/// | in the key | not in it |
/// |---|---|
/// | `name`, `version`, `args`, beside the student's files and how it draws | `base_url`, `launch`, `program`, `converter`, `model`, `api_key_env`, `api_key_header`, `limits`, `check_weights`, `start_timeout_s` |
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerParams {
    /// Which server it is. Default: what `launch` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ServerName>,
    /// Its version, as it tells it itself: `0.11.0` (vLLM, `SGLang`) or `b11434` (llama.cpp). It is compared before anything is
    /// drawn, so that no two versions are ever mixed.
    #[schemars(length(min = 1))]
    pub version: String,
    /// Where it is, for example `http://127.0.0.1:8000/v1`. With `launch`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Starts the server on this stage's student, on a free port of this machine, and ends it with the stage. Needs
    /// `--allow-programs`. Default: none, it runs at `base_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<LaunchName>,
    /// With `launch`: the program. Default `vllm` or `llama-server`, as `PATH` finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub program: Option<String>,
    /// With `launch`: further arguments of the program, which win over ours, for example
    /// `["--tensor-parallel-size", "2"]`. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// With `launch = "llama-server"` and a student that is no GGUF file: the command that makes one, llama.cpp's
    /// `["python3", "convert_hf_to_gguf.py"]`; the folder, `--outfile` and `--outtype` are added. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub converter: Vec<String>,
    /// With `launch`: seconds until it must answer. Default 600 (ours).
    #[serde(default = "start_timeout_s")]
    #[schemars(range(min = 1, max = 86_400))]
    pub start_timeout_s: u32,
    /// With `base_url`: the model, as the server knows it, where it has several. Default: none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// With `base_url`: whether the weights there are compared with the student's, by the log-probabilities of a few
    /// tokens under our own engine, which then has to hold the student once. Default true.
    #[serde(default = "yes")]
    pub check_weights: bool,
    /// The environment variable that holds the key, never the key itself: capital letters, digits and `_`. Default:
    /// none, no key is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z_][A-Z0-9_]{0,63}$"))]
    pub api_key_env: Option<String>,
    /// The header that carries the bare key, for example `api-key`. Default: `Authorization`, as `Bearer KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub api_key_header: Option<String>,
    /// How hard the server is asked, and when to give up.
    #[serde(default)]
    pub limits: Limits,
}

fn start_timeout_s() -> u32 {
    600
}

fn yes() -> bool {
    true
}

/// A field, what is wrong with it, and what to do.
pub(crate) type FieldError = (String, String, &'static str);

impl ServerParams {
    /// Which server it is; vLLM where nothing says so, which is told as a mistake.
    pub(crate) fn name(&self) -> ServerName {
        let launched = self.launch.map(LaunchName::name);
        self.name.or(launched).unwrap_or(ServerName::Vllm)
    }

    /// The server at `base_url` as a client takes it: its root, from which all its paths are.
    pub(super) fn endpoint_at(&self, base_url: &str) -> Endpoint {
        let base = base_url.trim_end_matches('/');
        let root = base.strip_suffix("/v1").unwrap_or(base);
        Endpoint {
            api_key_env: self.api_key_env.clone(),
            api_key_header: self.api_key_header.clone(),
            limits: self.limits.clone(),
            ..Endpoint::that_draws(root, self.name().form().path)
        }
    }

    /// The server that runs already, if it does.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let base_url = self.base_url.as_deref()?;
        self.launch.is_none().then(|| self.endpoint_at(base_url))
    }

    /// The program that starts it.
    pub(super) fn command(&self) -> Option<&str> {
        let launch = self.launch?;
        Some(self.program.as_deref().unwrap_or(launch.program()))
    }

    /// The programs that the run would start, for whoever allows it.
    pub(crate) fn programs(&self) -> Vec<ProgramParams> {
        let program = |program: &str, args: &[String]| ProgramParams {
            program: program.to_owned(),
            args: args.to_vec(),
            network: true,
            ..ProgramParams::default()
        };
        let server = self.command().map(|command| program(command, &self.args));
        let converter = self.converter.split_first();
        let converter = converter.map(|(first, args)| program(first, args));
        server.into_iter().chain(converter).collect()
    }

    /// Who computes, as keys have it.
    pub(crate) fn identity(&self) -> Value {
        let mut identity = json!({ "name": self.name(), "version": self.version });
        if !self.args.is_empty() {
            identity["args"] = json!(self.args);
        }
        identity
    }

    /// What a JSON Schema cannot check.
    pub(crate) fn field_errors(&self) -> Vec<FieldError> {
        let mut errors: Vec<FieldError> = Vec::new();
        let mut tell = |field: &str, what: &str, hint| {
            errors.push((format!("server.{field}"), what.to_owned(), hint));
        };
        match (&self.base_url, self.launch) {
            (None, None) => tell(
                "base_url",
                "neither the server's address is given nor that it shall be started",
                "set `base_url = \"http://HOST:PORT/v1\"`, or `launch = \"vllm\"` or `\"llama-server\"`",
            ),
            (Some(_), Some(_)) => tell(
                "launch",
                "a server that the run starts has an address of its own",
                "leave out `base_url`, or `launch` where the server runs already",
            ),
            _ => {}
        }
        match (self.name, self.launch) {
            (None, None) => tell(
                "name",
                "which server it is is not said, and servers answer in forms of their own",
                "set `name` to vllm, sglang or llama.cpp",
            ),
            (Some(name), Some(launch)) if name != launch.name() => tell(
                "name",
                "`launch` starts another server",
                "leave `name` out: `launch` says it",
            ),
            _ => {}
        }
        let only_launched = [
            ("program", self.program.is_some()),
            ("args", !self.args.is_empty()),
            ("converter", !self.converter.is_empty()),
        ];
        for (field, given) in only_launched {
            if given && self.launch.is_none() {
                let hint = "leave it out, or set `launch`";
                tell(field, "this is about a server that the run starts", hint);
            }
        }
        if !self.converter.is_empty() && self.launch == Some(LaunchName::Vllm) {
            let hint = "leave it out";
            tell("converter", "vLLM reads the student's own folder", hint);
        }
        if let Some(base_url) = &self.base_url {
            let own = self.endpoint_at(base_url).field_errors();
            errors.extend(
                own.into_iter()
                    .map(|(field, message, hint)| (format!("server.{field}"), message, hint)),
            );
        }
        errors
    }

    /// Leaves of the parameters what counts for the key.
    pub(crate) fn retain_key_fields(server: &mut Map<String, Value>) {
        let Ok(params) = serde_json::from_value::<Self>(Value::Object(server.clone())) else {
            return;
        };
        if let Value::Object(identity) = params.identity() {
            *server = identity;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> ServerParams {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn contradictions_are_told() {
        let fields = |text: &str| {
            let errors = params(text).field_errors();
            let fields = errors.into_iter().map(|(field, ..)| field);
            fields.collect::<Vec<_>>().join(" ")
        };
        for (text, told) in [
            (
                "version = '1'\nname = 'vllm'\nbase_url = 'http://a:1/v1'",
                "",
            ),
            ("version = '1'\nlaunch = 'vllm'", ""),
            (
                "version = '1'\nlaunch = 'llama-server'\nname = 'llama.cpp'",
                "",
            ),
            ("version = '1'", "server.base_url server.name"),
            (
                "version = '1'\nlaunch = 'vllm'\nname = 'sglang'",
                "server.name",
            ),
            (
                "version = '1'\nlaunch = 'vllm'\nbase_url = 'http://a:1'\nconverter = ['x']",
                "server.launch server.converter",
            ),
            (
                "version = '1'\nname = 'vllm'\nbase_url = 'ftp://a'\nargs = ['-x']",
                "server.args server.base_url",
            ),
        ] {
            assert_eq!(fields(text), told, "{text}");
        }
    }

    #[test]
    fn the_key_has_what_computes_and_not_how_it_is_reached() {
        let keyed = |text: &str| {
            let Value::Object(mut map) = json!(params(text)) else {
                unreachable!("a struct is an object")
            };
            ServerParams::retain_key_fields(&mut map);
            Value::Object(map)
        };
        let here = keyed(
            "version = '0.11.0'\nname = 'vllm'\nbase_url = 'http://a:1/v1'\nlimits.tries = 3\napi_key_env = 'K'",
        );
        assert_eq!(here, json!({ "name": "vllm", "version": "0.11.0" }));
        assert_eq!(
            here,
            keyed("version = '0.11.0'\nlaunch = 'vllm'\nprogram = '/x/vllm'")
        );
        assert_ne!(here, keyed("version = '0.11.1'\nlaunch = 'vllm'"));
        assert_ne!(
            here,
            keyed("version = '0.11.0'\nlaunch = 'vllm'\nargs = ['-q']")
        );
    }

    #[test]
    fn paths_are_from_the_root() {
        let at = |url: &str| {
            let text = format!("version = '1'\nname = 'sglang'\nbase_url = '{url}'");
            let endpoint = params(&text).endpoint().unwrap();
            format!("{}{}", endpoint.base(), endpoint.api.path())
        };
        assert_eq!(at("http://a:1/v1/"), "http://a:1/generate");
        assert_eq!(at("http://a:1"), "http://a:1/generate");
        assert_eq!(at("https://a/b/v1"), "https://a/b/generate");
    }
}
