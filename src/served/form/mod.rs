//! How each server is asked for tokens, and where in its answer they and their log-probabilities are.
//!
//! Each file is one server and says from which version on it has what is needed; forms are those of the servers' own documentation and source.

mod llama_cpp;
mod sglang;
mod vllm;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A server that a student may be behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) enum ServerName {
    /// vLLM (from 0.10.2), or another server that answers `/v1/completions` as it does.
    #[serde(rename = "vllm")]
    Vllm,
    /// `SGLang`, by its `/generate`.
    #[serde(rename = "sglang")]
    Sglang,
    /// llama.cpp's `llama-server`, by its `/completion`.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
}

impl ServerName {
    /// How it is asked.
    pub(super) fn form(self) -> &'static Form {
        match self {
            Self::Vllm => &vllm::FORM,
            Self::Sglang => &sglang::FORM,
            Self::LlamaCpp => &llama_cpp::FORM,
        }
    }
}

/// What is asked for: tokens that go on from others.
pub(super) struct Ask<'a> {
    /// The model, as the server knows it, where it has to be named.
    pub(super) model: Option<&'a str>,
    /// What to go on from.
    pub(super) prompt: &'a [u32],
    pub(super) max_tokens: usize,
    pub(super) temperature: f64,
    /// 0 for all.
    pub(super) top_k: u32,
    pub(super) top_p: f64,
    pub(super) seed: u32,
    /// The tokens that end a text.
    pub(super) ends: &'a [u32],
    /// How many of the most probable tokens are told at each place.
    pub(super) best: usize,
}

/// What a server drew.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Drawn {
    /// Every token, one that ended the text included.
    pub(super) tokens: Vec<u32>,
    /// Their log-probabilities; `None` where the server leaves one out.
    pub(super) log_probs: Vec<Option<f64>>,
    /// The most probable tokens at the first place, the best first.
    pub(super) best: Vec<(u32, f64)>,
    /// Whether the text ended of itself.
    pub(super) ended: bool,
}

/// What is asked for: how probable the last tokens of `tokens` are, from the place `from` on.
pub(super) struct ReadAsk<'a> {
    pub(super) model: Option<&'a str>,
    pub(super) tokens: &'a [u32],
    pub(super) from: usize,
}

/// How a server reads a given text.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// All of it at once.
    AtOnce {
        ask: fn(&ReadAsk<'_>) -> Value,
        /// The log-probabilities of the tokens from `from` on.
        read: fn(&Value, &ReadAsk<'_>) -> Result<Vec<f64>, String>,
    },
    /// One token at a time: after `tokens` it is made to draw the one that is there, and tells its log-probability beside those of
    /// so many of the most probable ones. Of a token that ends within a character only the latter would tell, and another
    /// token has to be drawn.
    ByToken {
        ask: fn(&ReadAsk<'_>, u32, usize) -> Value,
    },
}

/// A server's form.
pub(super) struct Form {
    /// Its name, for a person.
    pub(super) title: &'static str,
    /// Where it is asked, below its address.
    pub(super) path: &'static str,
    /// Where it tells its version: paths below its address, of which one is there, and the place in what comes.
    pub(super) version: (&'static [&'static str], &'static str),
    pub(super) ask: fn(&Ask<'_>) -> Value,
    pub(super) read: fn(&Value) -> Result<Drawn, String>,
    pub(super) reading: Reading,
    /// From which version on it tells tokens by their ids with log-probabilities, and how.
    pub(super) ids_hint: &'static str,
    /// What makes its log-probabilities those before temperature, top-k and top-p.
    pub(super) raw_hint: &'static str,
}

/// Below this a log-probability is a server's stand-in for minus infinity: vLLM's is -9999, llama.cpp's the lowest f32.
const LEAST: f64 = -9000.0;

/// A log-probability; `None` where it is no number that one can be.
fn log_prob(value: &Value) -> Option<f64> {
    // A rounding error may lie above 0.
    let found = value.as_f64().filter(|it| (LEAST..=1e-3).contains(it))?;
    Some(found.min(0.0))
}

/// A token's id.
fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// A list at a place in an answer.
fn list<'v>(body: &'v Value, at: &str) -> Result<&'v Vec<Value>, String> {
    let found = body.pointer(at).and_then(Value::as_array);
    found.ok_or_else(|| {
        format!(
            "it has no list `{}`",
            at.trim_start_matches('/').replace('/', ".")
        )
    })
}

/// The ids in a list.
fn ids(body: &Value, at: &str) -> Result<Vec<u32>, String> {
    let found: Option<Vec<u32>> = list(body, at)?.iter().map(id).collect();
    found.ok_or_else(|| format!("`{}` holds something that is no token's id", &at[1..]))
}

/// Sorts candidates, the most probable first, of equals the one with the lower id.
fn sorted(mut best: Vec<(u32, f64)>) -> Vec<(u32, f64)> {
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.dedup_by_key(|each| each.0);
    best
}

/// As many log-probabilities as tokens.
fn same_length(tokens: &[u32], log_probs: usize) -> Result<(), String> {
    if tokens.len() == log_probs {
        return Ok(());
    }
    Err(format!(
        "it has {} tokens and {log_probs} log-probabilities",
        tokens.len()
    ))
}
