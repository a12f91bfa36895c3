//! What a queue is asked for: `[run.slurm]`, `[run.hq]` and `[run.processes]`, and the same keys in the user's own
//! `slurm.toml`, `hq.toml` and `processes.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::device::DeviceChoice;

/// What the queue of an `--executor` is asked for. No part of it but the backend of `device` is in any key.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSection {
    /// Where models run on the nodes: declared, since the machine that submits is another. Default `auto`: the CPU.
    pub device: DeviceChoice,
    /// A folder that all nodes see, where jobs lie while they are in the queue. Default: `jobs-v1` in a `file://` remote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// How often a job is tried that is lost (its node died, its process was killed), 1 to 100. Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub tries: Option<u32>,
    /// By how much more memory is asked for where there was too little, 1 to 16. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 16.0))]
    pub memory_growth: Option<f64>,
    /// How many times the time is asked for that a stage is estimated to take on the machine that submits, where its `time` is
    /// not declared, 1 to 100. Default 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 100.0))]
    pub time_factor: Option<f64>,
    /// How many jobs run at once, with `--executor processes`. Default: as many as there are cores for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub jobs: Option<u32>,
    /// Seconds before its time is over at which a job is warned, saves, and is queued again. Default 120.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub warning_s: Option<u32>,
    /// Seconds between two looks at the queue. Default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub look_s: Option<u32>,
    /// Seconds after which a job counts as lost that is in the queue no more and has left no record of its end: file servers
    /// show new files late. Default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub lost_after_s: Option<u32>,
    /// What every job asks for.
    pub defaults: JobResources,
    /// What jobs of stages of a kind ask for, by the kind's name.
    pub kinds: BTreeMap<String, JobResources>,
    /// What jobs of a stage ask for, by its name in the manifest.
    pub stages: BTreeMap<String, JobResources>,
}

/// What a job asks for; the words are Slurm's.
#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct JobResources {
    /// `--partition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// `--account`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `--qos`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// `--gres`, for example `gpu:1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gres: Option<String>,
    /// How many GPUs a job has: `--gpus` of Slurm, `gpus/nvidia` of HyperQueue.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub gpus: Option<u32>,
    /// `--constraint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// `--cpus-per-task`, which is also how many threads a job has. Default: the cluster's; one with `hq` and `processes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub cpus: Option<u32>,
    /// `--mem`, for example `16G`. Default: twice what `sert-run plan` estimates, and 1 GiB at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]+[KMGT]?$"))]
    pub memory: Option<String>,
    /// `--time`, for example `4:00:00` or `2-12`. Default: `time_factor` times what `sert-run plan` estimates, rounded up, from
    /// ten minutes to a day; the partition's where nothing can be estimated, as on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([0-9]+|[0-9]+:[0-9]+(:[0-9]+)?|[0-9]+-[0-9]+(:[0-9]+){0,2})$"))]
    pub time: Option<String>,
    /// How many jobs of an array may run at once. Default: as many as the cluster lets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_000_000))]
    pub array_limit: Option<u32>,
    /// Into how many jobs the questions of a stage are shared out whose kind can be (`sample`, `predict`, `score`, a judge by
    /// a student). Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub shards: Option<u32>,
    /// Lines of the job's script before the program, for example `module load cuda`. In your own `slurm.toml` only, since they
    /// are run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// The container that the program runs in: an image for `apptainer exec`, or the folder of a bundle for
    /// `srun --container`. In your own `slurm.toml` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The program on the nodes. Default: the one that submits. In your own `slurm.toml` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

impl JobResources {
    /// These, where they are given, over `other`.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        Self {
            partition: self.partition.or(other.partition),
            account: self.account.or(other.account),
            qos: self.qos.or(other.qos),
            gres: self.gres.or(other.gres),
            gpus: self.gpus.or(other.gpus),
            constraint: self.constraint.or(other.constraint),
            cpus: self.cpus.or(other.cpus),
            memory: self.memory.or(other.memory),
            time: self.time.or(other.time),
            array_limit: self.array_limit.or(other.array_limit),
            shards: self.shards.or(other.shards),
            setup: if self.setup.is_empty() {
                other.setup
            } else {
                self.setup
            },
            container: self.container.or(other.container),
            program: self.program.or(other.program),
        }
    }
}

impl ClusterSection {
    /// This section, where it says something, over `other`; what is said of a stage counts before what is said of its kind,
    /// whoever says it.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        let maps = |ours: BTreeMap<String, JobResources>,
                    theirs: BTreeMap<String, JobResources>| {
            let mut all = theirs;
            for (name, resources) in ours {
                let below = all.remove(&name).unwrap_or_default();
                all.insert(name, resources.over(below));
            }
            all
        };
        Self {
            device: match self.device {
                DeviceChoice::Auto => other.device,
                named @ DeviceChoice::Named(_) => named,
            },
            folder: self.folder.or(other.folder),
            tries: self.tries.or(other.tries),
            memory_growth: self.memory_growth.or(other.memory_growth),
            time_factor: self.time_factor.or(other.time_factor),
            jobs: self.jobs.or(other.jobs),
            warning_s: self.warning_s.or(other.warning_s),
            look_s: self.look_s.or(other.look_s),
            lost_after_s: self.lost_after_s.or(other.lost_after_s),
            defaults: self.defaults.over(other.defaults),
            kinds: maps(self.kinds, other.kinds),
            stages: maps(self.stages, other.stages),
        }
    }

    /// What jobs of a stage ask for, by its name in the manifest and its kind's.
    pub fn resources(&self, stage: &str, kind: &str) -> JobResources {
        let of = |map: &BTreeMap<String, JobResources>, name: &str| {
            map.get(name).cloned().unwrap_or_default()
        };
        of(&self.stages, stage)
            .over(of(&self.kinds, kind))
            .over(self.defaults.clone())
    }

    /// The first of `keys` that it says something by, as a path in it.
    pub fn first_of(&self, keys: &[&str]) -> Option<String> {
        fn find(table: &toml::Table, path: &str, keys: &[&str]) -> Option<String> {
            table.iter().find_map(|(key, value)| match value {
                toml::Value::Table(table) => find(table, &format!("{path}{key}."), keys),
                _ if keys.contains(&key.as_str()) => Some(format!("{path}{key}")),
                _ => None,
            })
        }
        find(&toml::Table::try_from(self).ok()?, "", keys)
    }

    /// The first key in it that says what is run on a node: somebody else's manifest must not.
    pub fn runs(&self) -> Option<String> {
        self.first_of(&["setup", "container", "program"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_less_counts_before_what_is_said_of_more() {
        let read = |text: &str| toml::from_str::<ClusterSection>(text).unwrap();
        let user = read(
            "device = 'cuda'\ntries = 5\n[defaults]\npartition = 'long'\nsetup = ['module load x']\n[kinds.sample]\nshards = 8\ncpus = 2\n[stages.hot]\ncpus = 9",
        );
        let manifest =
            read("[defaults]\npartition = 'short'\n[kinds.sample]\ncpus = 4\ntime = '30'");
        assert_eq!(manifest.runs(), None);
        assert_eq!(user.runs().as_deref(), Some("defaults.setup"));
        let both = manifest.over(user);
        assert_eq!(
            (both.device, both.tries),
            ("cuda".parse().unwrap(), Some(5))
        );
        let sample = both.resources("sampled", "sample");
        assert_eq!(
            (
                sample.partition.as_deref(),
                sample.cpus,
                sample.shards,
                sample.time.as_deref()
            ),
            (Some("short"), Some(4), Some(8), Some("30"))
        );
        assert_eq!(sample.setup, ["module load x"]);
        assert_eq!(both.resources("hot", "sample").cpus, Some(9));
        assert_eq!(both.resources("sert", "finetune").cpus, None);
        let wrong = toml::from_str::<ClusterSection>("[kinds.sample]\nshard = 8").unwrap_err();
        assert!(
            wrong.to_string().contains("unknown field `shard`"),
            "{wrong}"
        );
    }
}
