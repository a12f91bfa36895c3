//! Parameters of `sample`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::engine_params::{Engine, EngineName};
use super::prompts::LongPrompts;
use super::unsolved::Asked;
use crate::model::Dtype;
use crate::model::sampling::SamplingParams;
use crate::served::ServerParams;
use crate::text::{Hint, PromptSpec};

/// Where a question's sequences part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Branching {
    /// At the first token: one branch for each of the most probable ones (paper, II).
    #[default]
    FirstToken,
    /// Nowhere: plain sampling, as many sequences (paper, Figure 1, "raw").
    None,
}

/// When a sequence may end early because its fate is certain.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StopRule {
    /// The imitative pattern `Question: ... Answer:` is complete: the filter's imitative rule is
    /// certain to drop the path. Switch off to analyse raw paths.
    Imitative,
}

/// Parameters of `sample`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SampleParams {
    /// The prompt (docs/prompts.md). Default `answer`: `Question: {q} Answer:` (paper, II).
    pub prompt: PromptSpec,
    /// Where sequences part. Default `first-token` (paper, II).
    pub branching: Branching,
    /// How many of the most probable first tokens start a branch. Default 5 (paper, II).
    #[schemars(range(min = 1, max = 1000))]
    pub first_tokens: u32,
    /// Sequences sampled from each branch. Default 5 (paper, II). Without branching a question gets
    /// `first_tokens` times this many.
    #[schemars(range(min = 1, max = 10000))]
    pub paths_per_first_token: u32,
    /// Divides the logits; 0 is greedy. Default 1 (ours; the paper is silent).
    #[schemars(range(min = 0.0, max = 100.0))]
    pub temperature: f64,
    /// Draw among this many most probable tokens; 0 for all. Default 10 (paper, III-A).
    pub top_k: u32,
    /// Draw among the fewest tokens that reach this probability. Default 0.95 (paper, III-A).
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub top_p: f64,
    /// Most tokens of a path, its first token included. Default 128 (ours; the paper is silent; Ho
    /// et al. 2023 use 128).
    #[schemars(range(min = 1, max = 100_000))]
    pub max_new_tokens: u32,
    /// Rules that end a sequence early. Default none.
    pub stop: Vec<StopRule>,
    /// What to do with a prompt that does not fit. Default `truncate-left` (ours).
    pub long_prompts: LongPrompts,
    /// What the prompt gives away of the answer: `answer` for rationalization (`STaR`, Zelikman et al. 2022). Such paths are
    /// marked, trained on without the hint, and never measured. Default `none`.
    pub hint: Hint,
    /// Which questions are asked: `unsolved` are those of which none of `paths` has the score `correct`, as `STaR` asks with
    /// the hint. Default `all`.
    pub only: Asked,
    /// Number format of weights and products. Default `f32` (ours). `bf16` and `f16` halve what weights take: on the
    /// CPU, whose products stay f32, and on a device that has them. `int8` is the CPU's, `tf32` is what `cuda` has for
    /// `f32`. With `engine = "server"`: what the server computes in, which `launch` tells it.
    pub dtype: Dtype,
    /// What draws. Default `builtin`.
    pub engine: EngineName,
    /// With `engine = "server"`: the server. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerParams>,
}

impl Default for SampleParams {
    fn default() -> Self {
        Self {
            prompt: PromptSpec::default(),
            branching: Branching::FirstToken,
            first_tokens: 5,
            paths_per_first_token: 5,
            temperature: 1.0,
            top_k: 10,
            top_p: 0.95,
            max_new_tokens: 128,
            stop: Vec::new(),
            long_prompts: LongPrompts::TruncateLeft,
            hint: Hint::None,
            only: Asked::All,
            dtype: Dtype::default(),
            engine: EngineName::Builtin,
            server: None,
        }
    }
}

impl SampleParams {
    /// How tokens are drawn.
    pub(super) fn drawing(&self) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            max_new_tokens: self.max_new_tokens,
        }
    }

    /// What draws.
    pub(super) fn engine(&self) -> Engine<'_> {
        Engine {
            dtype: self.dtype,
            name: self.engine,
            server: self.server.as_ref(),
        }
    }

    /// Sequences for each question.
    pub(crate) fn paths_per_question(&self) -> u32 {
        self.first_tokens * self.paths_per_first_token
    }
}
