//! How to run.

use crate::model::device::DeviceName;
use crate::model::train::Checkpoints;
use crate::teacher::http::Permissions;

/// How to run; never part of a key.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Worker threads; 0 for all cores.
    pub threads: usize,
    /// Sequences decoded together; 0 for automatic.
    pub batch_size: usize,
    /// Where models run. Its backend is in the key of everything that they make.
    pub device: DeviceName,
    /// Devices that a training takes beside it, each with a share of every batch.
    pub beside: Vec<DeviceName>,
    /// How that device calls itself.
    pub device_description: String,
    /// As of [`crate::model::EngineOptions`].
    pub graphs: bool,
    /// Train with less memory and more computing.
    pub gradient_checkpointing: bool,
    /// When trainings write checkpoints.
    pub checkpoints: Checkpoints,
    /// Which servers may be asked, and what they may be sent.
    pub permissions: Permissions,
    /// Whether the programs that the manifest names may be run.
    pub allow_programs: bool,
}

impl RunOptions {
    /// Worker threads, counted.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}
