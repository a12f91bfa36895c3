//! How a job ended, as its last step writes it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::store::Segments;

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EndOutcome {
    /// Its result, or its rows, are in the remote.
    Done,
    /// It failed, and would again.
    Failed,
    /// It was warned that its time is over, kept what it had, and is to go on.
    Saved,
    /// It was told to stop.
    Cancelled,
    /// Its process ended without a word; its batch script says so.
    Died,
}

/// The record of a job's end.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct End {
    pub(crate) version: u32,
    pub(crate) outcome: EndOutcome,
    /// The exit code of its process.
    pub(crate) exit: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Whether that was a want of memory.
    pub(crate) memory: bool,
    /// The input that was gone or damaged, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lacks: Option<String>,
    /// Where its rows are.
    pub(crate) rows: Segments,
    pub(crate) host: String,
    pub(crate) device: String,
    pub(crate) device_description: String,
    pub(crate) peak_memory_bytes: Option<u64>,
    pub(crate) began_unix_s: u64,
    pub(crate) elapsed_s: f64,
}

impl Default for End {
    fn default() -> Self {
        Self {
            version: 1,
            outcome: EndOutcome::Died,
            exit: 0,
            error: None,
            memory: false,
            lacks: None,
            rows: Segments::new(),
            host: String::new(),
            device: String::new(),
            device_description: String::new(),
            peak_memory_bytes: None,
            began_unix_s: 0,
            elapsed_s: 0.0,
        }
    }
}

impl End {
    /// The record at `path`; `None` where there is none, or none that can be read (yet).
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&disk::read_small(path).ok()?).ok()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("only texts and finite numbers")
    }
}
