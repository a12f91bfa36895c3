//! What every stage of a run shares.

use std::path::Path;
use std::sync::Mutex;

use super::{Context, Inputs};
use crate::event::{CancelToken, Observer, Reporter};
use crate::fetch::Fetcher;
use crate::model::device::DeviceName;
use crate::store::Store;
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
    /// How that device calls itself.
    pub device_description: String,
    /// Train with less memory and more computing.
    pub gradient_checkpointing: bool,
    /// Which servers may be asked, and what they may be sent.
    pub permissions: Permissions,
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

/// What every stage of a run shares.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// How to run.
    pub options: &'a RunOptions,
    /// The folder of the manifest: where relative paths start.
    pub folder: &'a Path,
    /// Where outputs and rows are kept.
    pub store: &'a Store,
    /// Where outside files come from.
    pub fetcher: &'a Fetcher,
    /// Who listens.
    pub observer: &'a dyn Observer,
    /// Whether to stop.
    pub cancel: &'a CancelToken,
    /// Whether this only plans: small files may be fetched, weights are not.
    pub planning: bool,
}

impl<'a> Environment<'a> {
    /// What the stage called `stage` is given.
    pub fn context(&self, stage: &'a str, seed: u64, inputs: &'a Inputs) -> Context<'a> {
        Context {
            stage,
            key: None,
            seed,
            inputs,
            options: self.options,
            folder: self.folder,
            store: self.store,
            fetcher: self.fetcher,
            report: Reporter::new(stage, self.observer),
            cancel: self.cancel,
            planning: self.planning,
            used: Mutex::default(),
            lent: Mutex::default(),
            seen: Mutex::default(),
        }
    }
}
