//! How far a run is, and about how long it will still take.
//!
//! In: what is known of each stage beforehand (the plan's estimate of its work, or how long the same stage took before) and the
//! run's events. Out: [`RunProgress`]. The speed is that of what has run, and is told apart by kind of stage, since work is estimated
//! at most: answers may be short. Before anything says how fast this machine is, or while a stage is ahead of which nothing is known,
//! no time is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::event::{Progress, RunEvent, StageOutcome};
use crate::plan::{Estimates, Node, NodeId, NodeState, Plan, Resolved};
use crate::stage::{Environment, Work};

/// Nothing is concluded from less than this time of a stage (ours): its first steps tell little.
const ENOUGH: f64 = 0.5;

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct RunProgress {
    /// The stage that it is at, from 1.
    pub stage: usize,
    /// Its stages.
    pub stages: usize,
    /// About how long it will still take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
}

impl RunProgress {
    /// `stage 7 of 19, about 25 s left`.
    pub(crate) fn text(&self) -> String {
        let Self { stage, stages, .. } = self;
        match self.seconds_left {
            Some(seconds) => format!("stage {stage} of {stages}, about {} left", rough(seconds)),
            None => format!("stage {stage} of {stages}"),
        }
    }
}

/// A time to about a tenth of it: `25 s`, `12 min`, `3 h 20 min`, `2 days`.
pub(super) fn rough(seconds: f64) -> String {
    let to = |step: f64| (seconds / step).round() * step;
    match seconds {
        ..=10.0 => format!("{:.0} s", seconds.max(1.0)),
        ..=57.5 => format!("{:.0} s", to(5.0)),
        ..=3570.0 => format!("{:.0} min", (seconds / 60.0).round()),
        ..=86_400.0 => {
            let minutes = to(600.0) / 60.0;
            match minutes % 60.0 {
                0.0 => format!("{:.0} h", minutes / 60.0),
                rest => format!("{:.0} h {rest:.0} min", (minutes / 60.0).floor()),
            }
        }
        _ => format!("{:.0} days", (seconds / 86_400.0).round().max(2.0)),
    }
}

/// What is known of a stage before it runs.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Expected {
    /// Nothing.
    Unknown,
    /// How long it takes.
    Seconds(f64),
    /// How much it computes, at most.
    Work(Doing, f64),
}

/// What a stage computes: speeds differ by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Doing {
    Sampling,
    Training,
}

struct Ahead {
    kind: &'static str,
    expected: Expected,
}

/// A stage that runs.
struct Running {
    began: Instant,
    /// Where its present count of units began: when, and at how many.
    counted: Option<(Instant, u64)>,
    last: Progress,
}

/// Work and the time that it took.
#[derive(Clone, Copy, Default)]
struct Done {
    flop: f64,
    seconds: f64,
}

/// How far a run is, by its events.
#[derive(Default)]
pub(crate) struct Forecast {
    stages: usize,
    over: usize,
    workers: usize,
    /// Stages that are not over, by name.
    ahead: BTreeMap<String, Ahead>,
    /// All of them together: a sweep has many, and each event asks.
    left: Left,
    running: BTreeMap<String, Running>,
    done: BTreeMap<(Doing, &'static str), Done>,
}

impl Forecast {
    /// Of a run of `nodes` on so many workers; of what stages take nothing is known yet.
    pub(crate) fn new(plan: &Plan, nodes: &[NodeId], workers: usize) -> Self {
        let ahead = nodes.iter().map(|&id| {
            let node = plan.node(id);
            let (kind, expected) = (node.kind.name(), Expected::Unknown);
            (node.name().to_owned(), Ahead { kind, expected })
        });
        Self::of(ahead.collect(), workers)
    }

    fn of(ahead: BTreeMap<String, Ahead>, workers: usize) -> Self {
        let mut left = Left::default();
        for each in ahead.values() {
            left.add(each);
        }
        Self {
            stages: ahead.len(),
            workers: workers.max(1),
            ahead,
            left,
            ..Self::default()
        }
    }

    /// Takes in what a plan says of the stages, and how long those took that ran before as they are now.
    pub(crate) fn expect(
        &mut self,
        plan: &Plan,
        resolved: &[Resolved],
        estimates: &Estimates,
        environment: &Environment<'_>,
    ) {
        for each in resolved {
            let node = plan.node(each.node);
            let expected = match &each.state {
                NodeState::Hit(_) | NodeState::NotNeeded(_) => Expected::Seconds(0.0),
                _ => {
                    let before = took_before(node, environment).map(Expected::Seconds);
                    let work = estimates.stages.get(&each.node);
                    before.unwrap_or_else(|| work.map_or(Expected::Unknown, of_work))
                }
            };
            if let Some(ahead) = self.ahead.get_mut(node.name()) {
                self.left.take(ahead);
                ahead.expected = expected;
                self.left.add(ahead);
            }
        }
    }

    /// Takes in an event.
    pub(crate) fn event(&mut self, event: &RunEvent, now: Instant) {
        match event {
            RunEvent::StageStarted { stage, .. } => {
                let running = Running {
                    began: now,
                    counted: None,
                    last: Progress::default(),
                };
                self.running.insert(stage.clone(), running);
            }
            RunEvent::Progress { stage, progress } => {
                // A download before the stage starts is no work of its own.
                if let Some(running) = self.running.get_mut(stage) {
                    if running.last.unit != progress.unit {
                        running.counted = None;
                    }
                    running.counted.get_or_insert((now, progress.done));
                    running.last = progress.clone();
                }
            }
            RunEvent::Note { .. } => {}
            RunEvent::StageFinished {
                stage,
                outcome,
                elapsed,
                ..
            } => self.finished(stage, *outcome, *elapsed),
        }
    }

    fn finished(&mut self, stage: &str, outcome: StageOutcome, elapsed: Duration) {
        self.running.remove(stage);
        let Some(ahead) = self.ahead.remove(stage) else {
            return;
        };
        self.left.take(&ahead);
        self.over += 1;
        if let (StageOutcome::Ran, Expected::Work(doing, flop)) = (outcome, ahead.expected) {
            let done = self.done.entry((doing, ahead.kind)).or_default();
            done.flop += flop;
            done.seconds += elapsed.as_secs_f64();
        }
    }

    /// Whether every stage is over.
    pub(super) fn is_over(&self) -> bool {
        self.ahead.is_empty()
    }

    /// How far the run is.
    pub(crate) fn progress(&self, now: Instant) -> RunProgress {
        RunProgress {
            stage: (self.over + 1).min(self.stages),
            stages: self.stages,
            seconds_left: self.seconds_left(now),
        }
    }

    fn seconds_left(&self, now: Instant) -> Option<f64> {
        let mut done = self.done.clone();
        for (name, running) in &self.running {
            let expected = self
                .ahead
                .get(name)
                .map(|ahead| (ahead.kind, ahead.expected));
            if let Some((kind, Expected::Work(doing, flop))) = expected
                && let Some((share, seconds)) = running.share(now)
            {
                let so_far = done.entry((doing, kind)).or_default();
                so_far.flop += flop * share;
                so_far.seconds += seconds;
            }
        }
        let time = |doing, kind, flop: f64| match flop {
            0.0 => Some(0.0),
            flop => Some(flop / speed(&done, doing, kind)?),
        };
        let work = self.left.work.iter();
        let work = work.map(|((doing, kind), flop)| time(*doing, kind, *flop));
        let mut left = self.left.seconds + work.sum::<Option<f64>>()?;
        let mut unknown = self.left.unknown;
        // Those under way tell it better.
        for (name, running) in &self.running {
            let Some(Ahead { kind, expected }) = self.ahead.get(name) else {
                continue;
            };
            let whole = match *expected {
                Expected::Unknown => None,
                Expected::Seconds(seconds) => Some(seconds),
                Expected::Work(doing, flop) => Some(time(doing, kind, flop)?),
            };
            let passed = seconds_since(running.began, now);
            let rest = whole.map(|whole| (whole - passed).max(0.0));
            if let Some(rest) = running.left(now).or(rest) {
                left += rest - whole.unwrap_or(0.0);
                unknown -= usize::from(whole.is_none());
            }
        }
        (unknown == 0).then(|| left.max(0.0) / self.workers as f64)
    }
}

/// What is expected of stages together.
#[derive(Default)]
struct Left {
    unknown: usize,
    seconds: f64,
    work: BTreeMap<(Doing, &'static str), f64>,
}

impl Left {
    fn add(&mut self, ahead: &Ahead) {
        match ahead.expected {
            Expected::Unknown => self.unknown += 1,
            Expected::Seconds(seconds) => self.seconds += seconds,
            Expected::Work(doing, flop) => {
                *self.work.entry((doing, ahead.kind)).or_default() += flop;
            }
        }
    }

    fn take(&mut self, ahead: &Ahead) {
        match ahead.expected {
            Expected::Unknown => self.unknown -= 1,
            Expected::Seconds(seconds) => self.seconds -= seconds,
            Expected::Work(doing, flop) => {
                let left = self.work.entry((doing, ahead.kind)).or_default();
                *left = (*left - flop).max(0.0);
            }
        }
    }
}

impl Running {
    /// The share of its work that was done since it counts it, and the seconds since.
    fn share(&self, now: Instant) -> Option<(f64, f64)> {
        let (since, first) = self.counted?;
        let seconds = seconds_since(since, now);
        let enough = seconds >= ENOUGH && self.last.total > 0 && self.last.done > first;
        let share = self.last.done.saturating_sub(first) as f64 / self.last.total as f64;
        enough.then_some((share, seconds))
    }

    /// The seconds that it still takes at the speed that it has.
    fn left(&self, now: Instant) -> Option<f64> {
        let (share, seconds) = self.share(now)?;
        let left = self.last.total.saturating_sub(self.last.done) as f64 / self.last.total as f64;
        Some(left * seconds / share)
    }
}

/// Operations per second of such work: those of the same kind of stage, else of others that do the same, else of any. Both are
/// products of the same matrices, so either tells the other's to about a factor of two.
fn speed(
    done: &BTreeMap<(Doing, &'static str), Done>,
    doing: Doing,
    kind: &'static str,
) -> Option<f64> {
    let of = |fits: &dyn Fn(Doing, &str) -> bool| {
        let found = done.iter().filter(|((doing, kind), _)| fits(*doing, kind));
        let sum = found.fold(Done::default(), |sum, (_, each)| Done {
            flop: sum.flop + each.flop,
            seconds: sum.seconds + each.seconds,
        });
        (sum.flop > 0.0 && sum.seconds > 0.0).then(|| sum.flop / sum.seconds)
    };
    of(&|d, k| d == doing && k == kind)
        .or_else(|| of(&|d, _| d == doing))
        .or_else(|| of(&|_, _| true))
}

fn seconds_since(began: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(began).as_secs_f64()
}

fn of_work(work: &Work) -> Expected {
    // How fast a server answers is nothing that this machine could tell.
    if work.requests > 0 {
        return Expected::Unknown;
    }
    let (sampled, trained) = (work.inference_flop, work.training_flop);
    if trained > sampled {
        Expected::Work(Doing::Training, trained + sampled)
    } else {
        Expected::Work(Doing::Sampling, trained + sampled)
    }
}

/// How long the stage took the last time, where its parameters and its device are the same: what it reads may be other.
fn took_before(node: &Node, environment: &Environment<'_>) -> Option<f64> {
    let store = environment.store;
    let result = store.latest_result_like(node.name(), node.kind.name());
    let provenance = result.ok()??.provenance;
    let same = provenance["params"] == Value::Object(node.params.clone())
        && provenance["device"] == environment.options.device.to_string().as_str();
    provenance["elapsed_s"].as_f64().filter(|_| same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(stages: &[(&str, &'static str, Expected)]) -> Forecast {
        let ahead = stages
            .iter()
            .map(|&(name, kind, expected)| (name.to_owned(), Ahead { kind, expected }));
        Forecast::of(ahead.collect(), 1)
    }

    fn started(stage: &str) -> RunEvent {
        RunEvent::StageStarted {
            stage: stage.to_owned(),
            kind: String::new(),
        }
    }

    fn progress(stage: &str, done: u64, total: u64) -> RunEvent {
        RunEvent::Progress {
            stage: stage.to_owned(),
            progress: Progress {
                done,
                total,
                unit: "steps".into(),
                ..Progress::default()
            },
        }
    }

    fn finished(stage: &str, outcome: StageOutcome, seconds: u64) -> RunEvent {
        RunEvent::StageFinished {
            stage: stage.to_owned(),
            outcome,
            error: None,
            elapsed: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn what_ran_corrects_what_was_expected() {
        let trained = |flop| Expected::Work(Doing::Training, flop);
        let sampled = |flop| Expected::Work(Doing::Sampling, flop);
        let mut run = forecast(&[
            ("data", "dataset", sampled(0.0)),
            ("student", "pretrain", trained(1000.0)),
            ("sampled", "sample", sampled(200.0)),
            ("sert", "finetune", trained(100.0)),
            ("answers", "predict", sampled(100.0)),
        ]);
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        // Nothing says how fast the machine is.
        assert_eq!(run.progress(at(0)).text(), "stage 1 of 5");
        run.event(&finished("data", StageOutcome::Ran, 0), at(0));
        run.event(&started("student"), at(0));
        run.event(&progress("student", 0, 100), at(0));
        assert_eq!(run.progress(at(1)).text(), "stage 2 of 5");
        // 10 steps in 10 s: 90 s of this stage; 10 operations a second, so 40 s of the others.
        run.event(&progress("student", 10, 100), at(10));
        assert_eq!(run.progress(at(10)).seconds_left, Some(90.0 + 40.0));
        run.event(&finished("student", StageOutcome::Ran, 50), at(50));
        assert_eq!(run.progress(at(50)).seconds_left, Some(20.0));
        // Sampling ends early: a tenth of what it was thought to take. So do other answers.
        run.event(&started("sampled"), at(50));
        run.event(&finished("sampled", StageOutcome::Ran, 1), at(51));
        assert_eq!(run.progress(at(51)).seconds_left, Some(5.0 + 0.5));
        // At its beginning a stage tells nothing new, but time passes.
        run.event(&started("sert"), at(51));
        assert_eq!(run.progress(at(53)).seconds_left, Some(3.0 + 0.5));
        assert_eq!(run.progress(at(53)).text(), "stage 4 of 5, about 4 s left");
        run.event(&finished("sert", StageOutcome::Failed, 2), at(53));
        run.event(&finished("answers", StageOutcome::Skipped, 0), at(53));
        assert!(run.is_over());
        assert_eq!(run.progress(at(53)).stage, 5);
    }

    #[test]
    fn nothing_is_told_while_a_stage_is_unknown() {
        let mut run = forecast(&[
            ("asked", "teach", Expected::Unknown),
            ("kept", "filter", Expected::Seconds(20.0)),
        ]);
        let now = Instant::now();
        assert_eq!(run.progress(now).seconds_left, None);
        // Until its own progress tells.
        run.event(&started("asked"), now);
        run.event(&progress("asked", 5, 20), now);
        run.event(&progress("asked", 10, 20), now + Duration::from_secs(5));
        let later = now + Duration::from_secs(5);
        assert_eq!(run.progress(later).seconds_left, Some(10.0 + 20.0));
        run.event(&finished("asked", StageOutcome::Hit, 0), later);
        assert_eq!(run.progress(later).seconds_left, Some(20.0));
    }

    #[test]
    fn times_are_rough() {
        for (seconds, told) in [
            (0.2, "1 s"),
            (7.4, "7 s"),
            (23.0, "25 s"),
            (58.0, "1 min"),
            (700.0, "12 min"),
            (3600.0, "1 h"),
            (12_100.0, "3 h 20 min"),
            (200_000.0, "2 days"),
        ] {
            assert_eq!(rough(seconds), told);
        }
    }
}
