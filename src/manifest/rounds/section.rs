//! `[rounds.NAME]` as serde and schemars see it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::{Better, Metric};

/// Rounds of self-training: stages that are there once for each round, where a round takes what the one before made. The
/// name is that of a stage too: the model that comes out, of the best round by `stop`, or else of the last one.
#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::manifest) struct RoundsSection {
    /// How many rounds; with `stop`, at most.
    #[schemars(range(max = 1000))]
    count: usize,
    /// What a round takes of the one before: by the name of an input, a stage of the round. `{ model = "sert" }`: from
    /// round 2 on, an input `model` of the round's stages that reads a stage outside of the round reads the `sert` of the
    /// round before.
    #[schemars(extend("additionalProperties" = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*(\\.[A-Za-z][A-Za-z0-9_-]*)?$"}))]
    carry: BTreeMap<String, String>,
    /// What a round trains. Default `previous`.
    #[serde(default)]
    start: Start,
    /// The stages of a round. By default the carried ones, and what they need that itself reads what they start from. Stages
    /// that read one of a round, for example to measure it, are there for each round without being named.
    #[serde(default)]
    stages: Vec<String>,
    /// When to stop before `count`; never by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<StopSection>,
}

/// What a round trains.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Start {
    /// What the round before made.
    #[default]
    Previous,
    /// What the first round trains: stages that make a model take no other in any round. ReST-EM and `STaR`.
    Base,
}

/// Rounds stop once `patience` of them in a row were no better than the best before, on validation questions.
#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StopSection {
    /// The figure that is looked at. Default `acc`.
    #[serde(default = "accuracy")]
    metric: Metric,
    /// Which of two figures is the better one. Default `higher`.
    #[serde(default)]
    better: Better,
    /// How many rounds in a row may be no better. Default 1 (ours).
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    patience: usize,
    /// The stage that measures a round on validation questions. By default the only one that does.
    #[serde(skip_serializing_if = "Option::is_none")]
    eval: Option<String>,
}

fn accuracy() -> Metric {
    Metric::ACC
}

fn one() -> usize {
    1
}
