//! The sections of a manifest that are the same for every stage kind, as serde and schemars see
//! them. Stage sections come from the kinds themselves; see `schema`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cluster::ClusterSection;
use super::rounds::RoundsSection;
use super::sweep::SweepSection;
use crate::model::device::DeviceChoice;
use crate::remote::RemoteUrl;
use crate::text::Reading;

/// How to run. Only the backend of `device` is part of keys, so changing the rest keeps the cache.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunSection {
    /// Worker threads; 0, the default, for all cores.
    #[schemars(range(min = 0, max = 4096))]
    pub threads: usize,
    /// Sequences decoded together; 0, the default, for automatic.
    #[schemars(range(min = 0, max = 65_536))]
    pub batch_size: usize,
    /// Where models run: auto, the default, takes the best device that answers; or cpu, flex, wgpu, wgpu:N, cuda:N,
    /// libtorch-cpu, libtorch-cuda:N, as far as the build has them. The backend, not the card, is part of the key of what models make.
    pub device: DeviceChoice,
    /// Train with less memory and about a third more computing: false by default.
    pub gradient_checkpointing: bool,
    /// What `--executor slurm` asks the queue for (docs/cluster.md).
    pub slurm: ClusterSection,
    /// What `--executor hq` asks HyperQueue for: the same keys, but for those that only Slurm has.
    pub hq: ClusterSection,
    /// What `--executor processes` runs at once on this machine: `device`, `folder`, `jobs`, `tries`, and of each job `cpus`,
    /// `memory` and `shards`.
    pub processes: ClusterSection,
}

/// What lies below the store. Never part of a key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// Where what the store lacks is looked for, and where what is made is pushed: `s3://BUCKET/PREFIX`, or `file:///FOLDER` on
    /// a file system that machines share. `--remote` and `SERT_REMOTE` say otherwise. See docs/store.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteUrl>,
    /// Only look there, and push nothing: false by default.
    pub readonly: bool,
}

/// The keys at the top of a manifest that no stage kind shapes.
#[derive(Default, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RootSection {
    /// What the experiment is called.
    pub(super) title: String,
    /// The question it answers.
    pub(super) description: String,
    /// A manifest to start from: a path relative to this file, or a part of the program, `builtin:arms`. Tables merge, this file
    /// wins; `stages.NAME = false` does without one of its stages, and with all that reads it.
    pub(super) extends: Option<String>,
    /// The seed of every stage that does not state its own; 0 by default.
    pub(super) seed: u64,
    /// How answers are read out of text: the parameter `reading` of every stage that has it and does not state its own,
    /// nor has one from `[defaults]`. `standard` by default.
    pub(super) reading: Reading,
    /// How to run.
    pub(super) run: RunSection,
    /// What lies below the store.
    pub(super) store: StoreSection,
    /// Many points from one manifest.
    pub(super) sweep: Option<SweepSection>,
    /// Rounds of self-training, by name: stages that are there once for each round.
    #[schemars(extend("propertyNames" = {"pattern": "^[A-Za-z][A-Za-z0-9_-]*$"}))]
    pub(super) rounds: BTreeMap<String, RoundsSection>,
    /// Named sets of changed fields, for `--profile NAME`: a table of values by field, each field by its dotted path in
    /// quotes. A profile comes before `--set` and may change the sweep too.
    pub(super) profiles: BTreeMap<String, BTreeMap<String, Value>>,
}
