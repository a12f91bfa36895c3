//! An observer that writes each event as one line of JSON, for programs.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crate::event::{Observer, RunEvent};

/// Writes events as JSON lines.
pub(crate) struct JsonLines<W>(Mutex<W>);

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self(Mutex::new(out))
    }
}

impl<W: Write + Send> Observer for JsonLines<W> {
    fn event(&self, event: &RunEvent) {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::to_string(event).expect("events hold only text and finite numbers");
        // A reader that has gone away must not stop the work.
        let _ = writeln!(out, "{line}");
    }
}
