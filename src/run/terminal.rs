//! An observer for a person: a bar for the stage that runs, a line for each that is over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use crate::event::{Level, Observer, Progress, RunEvent, StageOutcome};
use crate::text::escaped;

/// Without a terminal, a line of progress is written at most this often (ours).
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Tells a run on stderr.
pub(crate) struct Terminal {
    bars: MultiProgress,
    live: bool,
    state: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    bar: ProgressBar,
    began: Instant,
    first: Option<(u64, u64)>,
    told: Instant,
    last: Progress,
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal {
    /// Bars where stderr is a terminal that can show them, plain lines where it is not.
    pub(crate) fn new() -> Self {
        let bars = MultiProgress::new();
        Self {
            // Where the bars are hidden, as on a terminal that is `dumb`, so are the lines above them.
            live: !bars.is_hidden(),
            bars,
            state: Mutex::new(BTreeMap::new()),
        }
    }

    fn line(&self, text: &str) {
        let text = escaped(text);
        if self.live {
            // Only fails when stderr is gone, and then nobody reads it.
            let _ = self.bars.println(&text);
        } else {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// A bar for `stage`.
    fn begin(&self, stage: &str, message: &str) -> Running {
        let bar = self.bars.add(ProgressBar::new(0));
        bar.set_style(
            ProgressStyle::with_template("{prefix:<22} {bar:24} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(escaped(stage));
        bar.set_message(escaped(message));
        let now = Instant::now();
        Running {
            bar,
            began: now,
            first: None,
            told: now,
            last: Progress::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, stage: &str, kind: &str) {
        let running = self.begin(stage, kind);
        if let Some(download) = self.state().insert(stage.to_owned(), running) {
            download.bar.finish_and_clear();
        }
    }

    fn progress(&self, stage: &str, progress: &Progress) {
        let mut state = self.state();
        // A download comes before its stage starts.
        let running = state
            .entry(stage.to_owned())
            .or_insert_with(|| self.begin(stage, ""));
        // A stage's download counts bytes before the stage counts its own work: no rate is of both.
        if running.last.unit != progress.unit {
            running.first = None;
            running.began = Instant::now();
        }
        running.last = progress.clone();
        running
            .first
            .get_or_insert((progress.done, progress.tokens));
        let message = running.message();
        running.bar.set_length(progress.total);
        running.bar.set_position(progress.done);
        running.bar.set_message(escaped(&message));
        if !self.live && running.told.elapsed() >= PLAIN_INTERVAL {
            running.told = Instant::now();
            drop(state);
            self.line(&format!("{stage:<22} {message}"));
        }
    }

    fn finished(&self, stage: &str, outcome: StageOutcome, elapsed: Duration) {
        let running = self.state().remove(stage);
        let rate = running.as_ref().map(Running::rate).unwrap_or_default();
        if let Some(running) = running {
            running.bar.finish_and_clear();
        }
        let took = format!("{:.1} s", elapsed.as_secs_f64());
        let text = match outcome {
            StageOutcome::Hit => format!("{stage:<22} hit"),
            StageOutcome::Ran => format!("{stage:<22} ran in {took}{rate}"),
            // Why is told at the end, where it is not scrolled away.
            StageOutcome::Failed => format!("{stage:<22} failed after {took}"),
            StageOutcome::Skipped => format!("{stage:<22} skipped"),
            StageOutcome::NotNeeded => format!("{stage:<22} not needed"),
            StageOutcome::Interrupted => format!("{stage:<22} interrupted after {took}"),
        };
        self.line(&text);
    }
}

impl Running {
    /// Units and tokens per second since the first of this unit were told; rows that were in the store already do not
    /// count. `None` where none were made since.
    fn rates(&self) -> Option<(f64, f64)> {
        let seconds = self.began.elapsed().as_secs_f64();
        let (units, tokens) = self.first?;
        (seconds > 0.0 && self.last.done > units).then(|| {
            (
                self.last.done.saturating_sub(units) as f64 / seconds,
                self.last.tokens.saturating_sub(tokens) as f64 / seconds,
            )
        })
    }

    fn rate(&self) -> String {
        match self.rates() {
            Some((_, tokens)) if tokens > 0.0 => format!(", {} tokens/s", thousands(tokens)),
            _ => String::new(),
        }
    }

    fn message(&self) -> String {
        let Progress {
            done,
            total,
            unit,
            detail,
            ..
        } = &self.last;
        let mut text = format!("{done}/{total} {unit}");
        if let Some((units, tokens)) = self.rates() {
            let _ = write!(text, ", {units:.1}/s");
            if tokens > 0.0 {
                let _ = write!(text, ", {} tokens/s", thousands(tokens));
            }
            if units > 0.0 {
                let left = Duration::from_secs_f64(total.saturating_sub(*done) as f64 / units);
                let _ = write!(text, ", {} left", HumanDuration(left));
            }
        }
        if !detail.is_empty() {
            let _ = write!(text, ", {detail}");
        }
        text
    }
}

fn thousands(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{:.0}k", value / 1000.0)
    } else {
        format!("{value:.0}")
    }
}

impl Observer for Terminal {
    fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::StageStarted { stage, kind } => self.started(stage, kind),
            RunEvent::Progress { stage, progress } => self.progress(stage, progress),
            RunEvent::Note {
                stage,
                level,
                message,
            } => {
                let mark = match level {
                    Level::Info => "",
                    Level::Warning => "warning: ",
                };
                self.line(&format!("{stage:<22} {mark}{message}"));
            }
            RunEvent::StageFinished {
                stage,
                outcome,
                elapsed,
                ..
            } => self.finished(stage, *outcome, *elapsed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_was_made_since() {
        let terminal = Terminal::new();
        let told = |done, unit| {
            let progress = Progress {
                done,
                total: 10,
                unit,
                tokens: 0,
                detail: String::new(),
            };
            terminal.progress("stage", &progress);
            terminal.state()["stage"].message()
        };
        // Nothing was made yet: the first rows were there before.
        assert_eq!(told(4, "paths"), "4/10 paths");
        std::thread::sleep(Duration::from_millis(50));
        let text = told(6, "paths");
        let rate = text
            .strip_prefix("6/10 paths, ")
            .unwrap()
            .split("/s")
            .next();
        let rate: f64 = rate.unwrap().parse().unwrap();
        assert!(rate > 0.0 && rate <= 2.0 / 0.05, "{text}");
        assert!(text.ends_with(" left"), "{text}");
        // Another unit is another count.
        assert_eq!(told(1, "steps"), "1/10 steps");
    }
}
