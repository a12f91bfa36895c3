//! An observer that writes each event as one line of JSON, for programs.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::forecast::{Forecast, RunProgress};
use crate::event::{Observer, RunEvent};

/// Writes events as JSON lines.
pub(crate) struct JsonLines<W>(Mutex<(W, Forecast)>);

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`; how far the run is, `forecast` knows.
    pub(crate) fn new(out: W, forecast: Forecast) -> Self {
        Self(Mutex::new((out, forecast)))
    }
}

/// An event, and how far it brings the run.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a RunEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunProgress>,
}

impl<W: Write + Send> Observer for JsonLines<W> {
    fn event(&self, event: &RunEvent) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, forecast) = &mut *inner;
        let now = Instant::now();
        forecast.event(event, now);
        let run = match event {
            RunEvent::Note { .. } => None,
            _ => Some(forecast.progress(now)),
        };
        let line = Line { event, run };
        let line = serde_json::to_string(&line).expect("events hold only text and finite numbers");
        // A reader that has gone away must not stop the work.
        let _ = writeln!(out, "{line}");
    }
}
