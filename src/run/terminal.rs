//! An observer for a person: a bar for the stage that runs, a line for each that is over, one that says how far the run is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::{Term, measure_text_width, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::forecast::{Forecast, rough};
use crate::event::{Level, Observer, Progress, RunEvent, StageOutcome};
use crate::text::escaped;

/// Without a terminal, a line of progress is written at most this often (ours).
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Columns of a stage's name, and of its bar where there is room.
const NAME: usize = 22;
const BAR: usize = 24;
/// On a terminal narrower than this, bars are half as long (ours).
const NARROW: usize = 100;

/// Tells a run on stderr.
pub(crate) struct Terminal {
    bars: MultiProgress,
    /// How far the whole run is: below the stages' bars.
    run: ProgressBar,
    live: bool,
    state: Mutex<State>,
}

struct State {
    running: BTreeMap<String, Running>,
    forecast: Forecast,
    /// When a line last said how far the run is.
    told: Instant,
}

struct Running {
    bar: ProgressBar,
    began: Instant,
    first: Option<(u64, u64)>,
    told: Instant,
    last: Progress,
}

impl Terminal {
    /// Bars where stderr is a terminal that can show them, plain lines where it is not.
    pub(crate) fn new(forecast: Forecast) -> Self {
        let bars = MultiProgress::new();
        let run = bars.add(ProgressBar::no_length());
        run.set_style(style("{wide_msg}"));
        Self {
            // Where the bars are hidden, as on a terminal that is `dumb`, so are the lines above them.
            live: !bars.is_hidden(),
            bars,
            run,
            state: Mutex::new(State {
                running: BTreeMap::new(),
                forecast,
                told: Instant::now(),
            }),
        }
    }

    /// A line as it is, however long: a person has to be able to read all of it.
    fn line(&self, text: &str) {
        let text = escaped(text);
        if self.live {
            // Only fails when stderr is gone, and then nobody reads it.
            let _ = self.bars.println(&text);
        } else {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// A line about a stage, cut to the terminal.
    fn short_line(&self, stage: &str, text: &str) {
        self.line(&fitted(stage, text, columns()));
    }

    /// A bar for `stage`.
    fn begin(&self, stage: &str, message: &str) -> Running {
        let bar = self.bars.insert_before(&self.run, ProgressBar::new(0));
        bar.set_style(style(&format!(
            "{{prefix:<{NAME}}} {{bar:{}}} {{wide_msg}}",
            bar_length(columns())
        )));
        bar.set_prefix(cut(&escaped(stage), NAME));
        let now = Instant::now();
        let running = Running {
            bar,
            began: now,
            first: None,
            told: now,
            last: Progress::default(),
        };
        running.show(message);
        running
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, stage: &str, kind: &str) {
        let running = self.begin(stage, kind);
        if let Some(download) = self.state().running.insert(stage.to_owned(), running) {
            download.bar.finish_and_clear();
        }
    }

    fn progress(&self, stage: &str, progress: &Progress) {
        let mut state = self.state();
        // A download comes before its stage starts.
        let running = state
            .running
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
        running.show(&message);
        if !self.live && running.told.elapsed() >= PLAIN_INTERVAL {
            running.told = Instant::now();
            drop(state);
            self.short_line(stage, &message);
        }
    }

    /// How far the run is: on its own line at the bottom, or, without bars, now and then.
    fn tell_run(&self, event: &RunEvent) {
        let now = Instant::now();
        let mut state = self.state();
        state.forecast.event(event, now);
        let text = state.forecast.progress(now).text();
        if state.forecast.is_over() {
            self.run.finish_and_clear();
        } else if self.live {
            self.run.set_message(text);
        } else if now.saturating_duration_since(state.told) >= PLAIN_INTERVAL {
            state.told = now;
            drop(state);
            self.line(&text);
        }
    }

    fn finished(&self, stage: &str, outcome: StageOutcome, elapsed: Duration) {
        let running = self.state().running.remove(stage);
        let rate = running.as_ref().map(Running::rate).unwrap_or_default();
        if let Some(running) = running {
            running.bar.finish_and_clear();
        }
        let took = format!("{:.1} s", elapsed.as_secs_f64());
        let text = match outcome {
            StageOutcome::Hit => "hit".to_owned(),
            StageOutcome::Ran => format!("ran in {took}{rate}"),
            // Why is told at the end, where it is not scrolled away.
            StageOutcome::Failed => format!("failed after {took}"),
            StageOutcome::Skipped => "skipped".to_owned(),
            StageOutcome::NotNeeded => "not needed".to_owned(),
            StageOutcome::Interrupted => format!("interrupted after {took}"),
        };
        self.short_line(stage, &text);
    }
}

impl Running {
    /// Says `message` beside the bar, as much as there is room for.
    fn show(&self, message: &str) {
        let columns = columns();
        let message = escaped(message);
        let beside = NAME + bar_length(columns) + 2;
        self.bar.set_message(match columns {
            Some(columns) => cut(&message, columns.saturating_sub(beside)),
            None => message,
        });
    }

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
        // What matters most comes first: a narrow terminal cuts the end.
        if let Some((units, tokens)) = self.rates() {
            if units > 0.0 {
                let left = total.saturating_sub(*done) as f64 / units;
                let _ = write!(text, ", {} left", rough(left));
            }
            let _ = write!(text, ", {units:.1}/s");
            if tokens > 0.0 {
                let _ = write!(text, ", {} tokens/s", thousands(tokens));
            }
        }
        if !detail.is_empty() {
            let _ = write!(text, ", {detail}");
        }
        text
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The columns of the terminal on stderr, if it is one.
fn columns() -> Option<usize> {
    let terminal = std::io::stderr().is_terminal().then(Term::stderr)?;
    let (_, columns) = terminal.size_checked()?;
    // One that does not know its size says 0.
    (columns > 0).then(|| columns.into())
}

fn bar_length(columns: Option<usize>) -> usize {
    match columns {
        Some(columns) if columns < NARROW => BAR / 2,
        _ => BAR,
    }
}

/// `text` in at most so many columns, an ellipsis where the rest was.
fn cut(text: &str, columns: usize) -> String {
    truncate_str(text, columns, "…").into_owned()
}

/// A stage's name and what is told of it, in one line of at most so many columns: a long name is cut before the rest is.
fn fitted(stage: &str, text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return format!("{stage:<NAME$} {text}");
    };
    let room = columns.saturating_sub(measure_text_width(text) + 1);
    let stage = cut(stage, room.max(NAME));
    cut(&format!("{stage:<NAME$} {text}"), columns)
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
                if stage.is_empty() {
                    self.line(&format!("{mark}{message}")); // of the run as a whole
                } else {
                    self.line(&format!("{stage:<NAME$} {mark}{message}"));
                }
            }
            RunEvent::StageFinished {
                stage,
                outcome,
                elapsed,
                ..
            } => self.finished(stage, *outcome, *elapsed),
        }
        self.tell_run(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_was_made_since() {
        let terminal = Terminal::new(Forecast::default());
        let told = |done, unit: &'static str| {
            let progress = Progress {
                done,
                total: 10,
                unit: unit.into(),
                tokens: 0,
                detail: String::new(),
            };
            terminal.progress("stage", &progress);
            terminal.state().running["stage"].message()
        };
        // Nothing was made yet: the first rows were there before.
        assert_eq!(told(4, "paths"), "4/10 paths");
        std::thread::sleep(Duration::from_millis(50));
        let text = told(6, "paths");
        let parts: Vec<&str> = text.split(", ").collect();
        assert!(
            parts[0] == "6/10 paths" && parts[1].ends_with(" left"),
            "{text}"
        );
        let rate: f64 = parts[2].strip_suffix("/s").unwrap().parse().unwrap();
        assert!(rate > 0.0 && rate <= 2.0 / 0.05, "{text}");
        // Another unit is another count.
        assert_eq!(told(1, "steps"), "1/10 steps");
    }

    #[test]
    fn lines_about_stages_are_cut_and_not_wrapped() {
        let long = "kept[length.min_tokens=30,perplexity.min_perplexity=1.05]";
        assert_eq!(fitted(long, "hit", None), format!("{long} hit"));
        let line = fitted(long, "ran in 3.0 s, 37k tokens/s", Some(60));
        assert_eq!(
            line,
            "kept[length.min_tokens=30,perple… ran in 3.0 s, 37k tokens/s"
        );
        assert_eq!(
            fitted("data", "hit", Some(60)),
            format!("{:<22} hit", "data")
        );
        let narrow = fitted(long, "117/390 steps, 20 s left, 12.1/s", Some(40));
        assert_eq!(narrow, "kept[length.min_token… 117/390 steps, 2…");
    }
}
