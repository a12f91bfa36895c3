//! Which engine draws from a student and reads with it, as `sample`, `predict` and `score` take it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::replies;
use crate::model::{Arithmetic, Dtype};
use crate::program::ProgramParams;
use crate::served::ServerParams;
use crate::stage::{Context, ParamError, Shape, Work, product};

/// What draws from a student and reads with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineName {
    /// Our own engine, on the run's device.
    #[default]
    Builtin,
    /// A server that the student is behind (docs/servers.md): vLLM, `SGLang` or llama.cpp's.
    Server,
}

/// The choice of an engine out of a stage's parameters.
#[derive(Clone, Copy)]
pub(super) struct Engine<'a> {
    pub(super) dtype: Dtype,
    pub(super) name: EngineName,
    pub(super) server: Option<&'a ServerParams>,
}

impl<'a> Engine<'a> {
    /// Our own.
    pub(super) fn builtin(dtype: Dtype) -> Self {
        Self {
            dtype,
            name: EngineName::Builtin,
            server: None,
        }
    }

    /// The server, where one draws.
    pub(super) fn served(self) -> Option<&'a ServerParams> {
        self.server.filter(|_| self.name == EngineName::Server)
    }

    /// The arithmetic that is in the stage's key; a server's is in its parameters.
    pub(super) fn arithmetic(self) -> Option<Arithmetic> {
        match self.name {
            EngineName::Builtin => Some(Arithmetic::sample(self.dtype)),
            EngineName::Server => None,
        }
    }

    /// What computes, as the keys of rows have it: what a server made is never taken for what another, or our own engine, makes.
    pub(super) fn computes(self, context: &Context<'_>) -> Value {
        match self.served() {
            None => json!(context.numerics(Arithmetic::sample(self.dtype))),
            Some(server) => json!({ "server": server.identity(), "dtype": self.dtype.name() }),
        }
    }

    /// The programs that the run would start.
    pub(super) fn programs(self) -> Vec<ProgramParams> {
        self.served().map_or_else(Vec::new, ServerParams::programs)
    }

    /// What is wrong with the choice.
    pub(super) fn param_errors(self) -> Vec<ParamError> {
        let wrong = |field: &str, message: &str, hint: &str| ParamError {
            field: field.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        match (self.name, self.server) {
            (EngineName::Server, None) => vec![wrong(
                "server",
                "which server draws is not said",
                "add `server = { name = \"vllm\", version = \"0.11.0\", base_url = \"http://127.0.0.1:8000/v1\" }`, or `launch`; docs/servers.md has all of it",
            )],
            (EngineName::Builtin, Some(_)) => vec![wrong(
                "server",
                "a server is given, and our own engine draws",
                "add `engine = \"server\"`, or leave `server` out",
            )],
            (EngineName::Server, Some(server)) => {
                let mut errors: Vec<ParamError> = (server.field_errors().into_iter())
                    .map(|(field, message, hint)| wrong(&field, &message, hint))
                    .collect();
                if matches!(self.dtype, Dtype::Int8 | Dtype::Tf32) {
                    errors.push(wrong(
                        "dtype",
                        "8-bit and TF32 products are our own engine's",
                        "say what the server computes in: f32, bf16 or f16",
                    ));
                }
                errors
            }
            (EngineName::Builtin, None) => Vec::new(),
        }
    }

    /// The work of drawing so many texts for prompts, of which there are so many of so many tokens: our own engine's, or requests
    /// to a server.
    pub(super) fn drawing(
        self,
        shape: Shape,
        [prompts, length]: [u64; 2],
        texts: u64,
        most: u32,
    ) -> Work {
        let requested = self.requests(texts, length, most.into());
        requested.unwrap_or_else(|| {
            Work::inference(
                shape,
                self.dtype,
                product(&[prompts, length]),
                product(&[texts, most.into()]),
                texts.min(128),
                length + u64::from(most),
            )
        })
    }

    /// The work where a server does it: requests, as far as they can be counted before.
    pub(super) fn requests(
        self,
        count: u64,
        prompt_tokens: u64,
        reply_tokens: u64,
    ) -> Option<Work> {
        self.served()?;
        Some(replies::requests(count, prompt_tokens, reply_tokens))
    }
}

/// Leaves of a stage's server what counts for the key.
pub(super) fn retain_key_fields(params: &mut Map<String, Value>) {
    if let Some(Value::Object(server)) = params.get_mut("server") {
        ServerParams::retain_key_fields(server);
    }
}
