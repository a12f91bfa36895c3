//! Everything that a run tells the outside: the runner and its stages emit events and never print.

mod cancel;

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use cancel::{CancelToken, Closed};

/// What a run tells.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// A stage is about to run.
    StageStarted {
        /// The stage's name.
        stage: String,
        /// Its kind.
        kind: String,
    },
    /// Work done so far within a stage.
    Progress {
        /// The stage's name.
        stage: String,
        /// How much is done, and of how much.
        progress: Progress,
    },
    /// Something a person should know: a truncation, damage that was mended, a fallback.
    Note {
        /// The stage's name; empty for the run as a whole.
        stage: String,
        /// How much it matters.
        level: Level,
        /// What happened.
        message: String,
    },
    /// A stage is over.
    StageFinished {
        /// The stage's name.
        stage: String,
        /// How it went.
        outcome: StageOutcome,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// How long it took.
        elapsed: Duration,
    },
}

/// Work done so far.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What a unit is, in the plural: `paths`, `steps`, `bytes`.
    pub unit: Cow<'static, str>,
    /// Tokens processed so far, where tokens are what takes the time.
    pub tokens: u64,
    /// A short figure to show beside the bar, for example `loss 3.21`; may be empty.
    pub detail: String,
}

/// How much a note matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Results stand, but look at this.
    Warning,
}

/// How a stage ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageOutcome {
    /// Its outputs were in the store.
    Hit,
    /// It ran.
    Ran,
    /// It failed.
    Failed,
    /// It did not run, because an input failed or the run was interrupted.
    Skipped,
    /// It did not run, because a decision made it not needed.
    NotNeeded,
    /// The run was interrupted while it ran; its rows and checkpoints are kept.
    Interrupted,
}

impl StageOutcome {
    /// Whether it left outputs.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Hit | Self::Ran)
    }
}

/// Who listens to a run.
pub trait Observer: Send + Sync {
    /// Called for every event, from any thread, in the order in which one stage emits.
    fn event(&self, event: &RunEvent);
}

/// A stage's voice: an observer that knows the stage's name.
#[derive(Clone, Copy)]
pub struct Reporter<'a> {
    stage: &'a str,
    observer: &'a dyn Observer,
}

impl<'a> Reporter<'a> {
    /// A voice for `stage`.
    pub fn new(stage: &'a str, observer: &'a dyn Observer) -> Self {
        Self { stage, observer }
    }

    /// Tells how far the work has come.
    pub fn progress(&self, progress: Progress) {
        self.observer.event(&RunEvent::Progress {
            stage: self.stage.to_owned(),
            progress,
        });
    }

    /// Tells something good to know.
    pub fn info(&self, message: impl Into<String>) {
        self.note(Level::Info, message.into());
    }

    /// Tells something to look at.
    pub fn warn(&self, message: impl Into<String>) {
        self.note(Level::Warning, message.into());
    }

    fn note(&self, level: Level, message: String) {
        self.observer.event(&RunEvent::Note {
            stage: self.stage.to_owned(),
            level,
            message,
        });
    }
}

/// An observer that hears nothing, for tests and for callers who do not care.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &RunEvent) {}
}
