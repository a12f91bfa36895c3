//! What every stage of a run shares.

use std::path::Path;
use std::sync::Mutex;

use super::{Context, Inputs, RunOptions, Shard};
use crate::event::{CancelToken, Observer, Reporter};
use crate::fetch::Fetcher;
use crate::store::Store;

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
    /// Which part of a stage's questions to work on. Then rows are made, and no result is kept.
    pub shard: Option<Shard>,
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
            shard: self.shard,
            used: Mutex::default(),
            lent: Mutex::default(),
            seen: Mutex::default(),
        }
    }
}
