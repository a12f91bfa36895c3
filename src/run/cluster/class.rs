//! What jobs ask for, and which go together in an array: those that ask for the same.

use crate::manifest::{ClusterSection, JobResources};
use crate::plan::{Estimates, NodeId};
use crate::stage::StageError;

/// Memory that is asked for beyond what a stage is estimated to take: the program, its file cache, what was estimated badly. Ours.
const MARGIN: u64 = 2;
/// The least that is asked for, in MiB. Ours.
const LEAST_MIB: u64 = 1024;
/// How many times the time is asked for that a job would take here: nodes are other machines, and estimates are rough. Ours.
const TIME_FACTOR: f64 = 4.0;
/// The least time that is asked for, and what it is doubled from: jobs of about the same length go out together. Ours.
const LEAST_MINUTES: u64 = 10;
/// The most that is asked for unless it is declared: a job that is not done by then saves, and is queued again. Ours.
const MOST_MINUTES: u64 = 24 * 60;

/// What a job is estimated to take.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Estimate {
    pub(crate) memory_bytes: u64,
    /// Seconds on this machine, with so many threads, where that can be told.
    pub(crate) time: Option<(f64, usize)>,
}

impl Estimate {
    /// Of one job of a stage in so many parts.
    pub(crate) fn of(estimates: &Estimates, stage: NodeId, shards: Option<u32>) -> Self {
        let Some(work) = estimates.stages.get(&stage) else {
            return Self::default();
        };
        let seconds = estimates.seconds(work);
        Self {
            memory_bytes: work.memory_bytes,
            time: seconds.map(|seconds| {
                let seconds = seconds / f64::from(shards.unwrap_or(1).max(1));
                (seconds, estimates.threads)
            }),
        }
    }
}

/// How many times the estimated time is asked for.
pub(super) fn time_factor(section: &ClusterSection) -> f64 {
    section.time_factor.unwrap_or(TIME_FACTOR)
}

/// A class of jobs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Class {
    pub(crate) resources: JobResources,
    pub(crate) memory_mib: u64,
    /// Whether nobody has declared its time.
    pub(crate) is_time_estimated: bool,
}

impl Class {
    /// The class of a job: what is declared, and what is not as it is estimated.
    ///
    /// # Errors
    /// Its memory or its time is not what Slurm reads.
    pub(crate) fn new(
        resources: JobResources,
        estimate: Estimate,
        section: &ClusterSection,
    ) -> Result<Self, StageError> {
        if let Some(time) = &resources.time
            && seconds(time).is_none()
        {
            return Err(invalid(
                "time",
                time,
                "minutes, hours:minutes:seconds or days-hours",
            ));
        }
        let memory_mib = match &resources.memory {
            Some(text) => mib(text).ok_or_else(|| invalid("memory", text, "for example 16G"))?,
            None => (estimate.memory_bytes * MARGIN)
                .div_ceil(1 << 20)
                .max(LEAST_MIB),
        };
        let estimated = match (&resources.time, estimate.time) {
            (None, Some((seconds, threads))) => {
                // Slurm gives a job one core unless it asks for more.
                let cpus = resources.cpus.map_or(1, |cpus| cpus as usize);
                let slower = threads as f64 / cpus.min(threads) as f64;
                Some(minutes(seconds * slower * time_factor(section)))
            }
            _ => None,
        };
        let time = estimated.map(hours);
        let resources = JobResources {
            time: resources.time.or(time),
            // Into how many jobs a stage is shared out does not matter to a job.
            shards: None,
            ..resources
        };
        Ok(Self {
            resources,
            memory_mib,
            is_time_estimated: estimated.is_some(),
        })
    }

    /// The same, its time no longer than the queue lets where nobody has declared it: a job that is not done by then saves, and is
    /// queued again.
    pub(super) fn within(mut self, longest_s: Option<u64>) -> Self {
        if let (true, Some(longest), Some(asked)) =
            (self.is_time_estimated, longest_s, self.seconds())
            && asked > longest
        {
            self.resources.time = Some(hours(longest / 60));
        }
        self
    }

    /// The same, with `factor` times as much memory.
    pub(crate) fn grown(&self, factor: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of MiB"
        )]
        let memory_mib = (self.memory_mib as f64 * factor).ceil() as u64;
        Self {
            memory_mib,
            ..self.clone()
        }
    }

    /// The most seconds that one of its jobs may run, where it says.
    pub(crate) fn seconds(&self) -> Option<u64> {
        seconds(self.resources.time.as_deref()?)
    }

    /// As a person reads it: `partition gpu, gres gpu:1, 4 cpus, 16 GiB, 4:00:00`.
    pub(crate) fn text(&self) -> String {
        let it = &self.resources;
        let named = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{name} {value}"))
        };
        let memory = match self.memory_mib {
            mib if mib % 1024 == 0 => format!("{} GiB", mib / 1024),
            mib => format!("{mib} MiB"),
        };
        let time = if self.is_time_estimated {
            "estimated time"
        } else {
            "time"
        };
        let parts = [
            named("partition", &it.partition),
            named("account", &it.account),
            named("qos", &it.qos),
            named("gres", &it.gres),
            it.gpus.map(|gpus| format!("{gpus} gpus")),
            named("constraint", &it.constraint),
            it.cpus.map(|cpus| format!("{cpus} cpus")),
            Some(memory),
            named(time, &it.time),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn invalid(key: &str, value: &str, expected: &str) -> StageError {
    StageError::Invalid(format!(
        "`{key}` of its job is `{value}`: expected {expected}"
    ))
}

/// Minutes as hours, minutes and seconds.
fn hours(minutes: u64) -> String {
    format!("{}:{:02}:00", minutes / 60, minutes % 60)
}

/// Minutes to ask for: rounded up to a few lengths.
fn minutes(seconds: f64) -> u64 {
    let wanted = seconds / 60.0;
    let mut minutes = LEAST_MINUTES;
    while (minutes as f64) < wanted && minutes < MOST_MINUTES {
        minutes *= 2;
    }
    minutes.min(MOST_MINUTES)
}

/// MiB of `16G`, `500M`, `500` (MiB, as in Slurm).
fn mib(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let number: u64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "K" => Some(number.div_ceil(1024)),
        "" | "M" => Some(number),
        "G" => number.checked_mul(1 << 10),
        "T" => number.checked_mul(1 << 20),
        _ => None,
    }
}

/// Seconds of a time as Slurm reads it: `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M`, `D-H:M:S`.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(days.parse::<u64>().ok()?), rest),
        None => (None, text),
    };
    let parts: Vec<u64> = rest
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let of = |hours: u64, minutes: u64, seconds: u64| {
        hours
            .checked_mul(3600)?
            .checked_add(minutes.checked_mul(60)?)?
            .checked_add(seconds)
    };
    let rest = match (days, parts.as_slice()) {
        (Some(_), [hours]) => of(*hours, 0, 0),
        (Some(_), [hours, minutes]) => of(*hours, *minutes, 0),
        (None, [minutes]) => of(0, *minutes, 0),
        (None, [minutes, seconds]) => of(0, *minutes, *seconds),
        (_, [hours, minutes, seconds]) => of(*hours, *minutes, *seconds),
        _ => None,
    };
    days.unwrap_or(0).checked_mul(86_400)?.checked_add(rest?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_read_as_slurm_reads_them() {
        for (text, expected) in [
            ("500", Some(500)),
            ("16G", Some(16_384)),
            ("1T", Some(1 << 20)),
            ("1500K", Some(2)),
            ("G", None),
            ("1.5G", None),
        ] {
            assert_eq!(mib(text), expected, "{text}");
        }
        for (text, expected) in [
            ("90", Some(5400)),
            ("1:30", Some(90)),
            ("4:00:00", Some(14_400)),
            ("2-12", Some(216_000)),
            ("1-0:30", Some(88_200)),
            ("1-0:0:5", Some(86_405)),
            ("x", None),
            ("1:2:3:4", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_said_is_estimated_and_what_is_said_is_passed_on() {
        let section = ClusterSection::default();
        let class = |resources, memory_bytes| {
            let estimate = Estimate {
                memory_bytes,
                time: None,
            };
            Class::new(resources, estimate, &section).unwrap()
        };
        let none = class(JobResources::default(), 3 << 30);
        assert_eq!(none.memory_mib, 6144);
        assert_eq!(class(JobResources::default(), 0).memory_mib, 1024);
        assert_eq!(none.grown(1.5).memory_mib, 9216);
        let all = JobResources {
            partition: Some("gpu".into()),
            gres: Some("gpu:1".into()),
            cpus: Some(4),
            memory: Some("16G".into()),
            time: Some("4:00:00".into()),
            ..JobResources::default()
        };
        let all = class(all, 1);
        assert_eq!(
            all.text(),
            "partition gpu, gres gpu:1, 4 cpus, 16 GiB, time 4:00:00"
        );
        assert_eq!(all.seconds(), Some(14_400));
        let wrong = JobResources {
            time: Some("soon".into()),
            ..JobResources::default()
        };
        assert!(
            Class::new(wrong, Estimate::default(), &section)
                .unwrap_err()
                .to_string()
                .contains("`soon`")
        );
    }
    #[test]
    fn a_time_that_nobody_declares_is_the_estimate_with_room_and_says_so() {
        let class = |cpus, time: Option<&str>, seconds, factor| {
            let resources = JobResources {
                cpus,
                time: time.map(str::to_owned),
                ..JobResources::default()
            };
            let section = ClusterSection {
                time_factor: factor,
                ..ClusterSection::default()
            };
            let estimate = Estimate {
                memory_bytes: 0,
                time: Some((seconds, 8)),
            };
            Class::new(resources, estimate, &section).unwrap()
        };
        let asked =
            |cpus, seconds, factor| class(cpus, None, seconds, factor).seconds().unwrap() / 60;
        assert_eq!(asked(Some(8), 0.0, None), 10, "some minutes at least");
        assert_eq!(asked(Some(8), 149.0, None), 10);
        assert_eq!(asked(Some(8), 151.0, None), 20);
        assert_eq!(
            asked(Some(8), 151.0, Some(1.0)),
            10,
            "the factor is declared"
        );
        assert_eq!(asked(Some(2), 151.0, None), 80, "fewer cores than here");
        assert_eq!(asked(None, 151.0, None), 160, "one core, as Slurm gives");
        assert_eq!(
            asked(Some(64), 151.0, None),
            20,
            "more cores promise nothing"
        );
        assert_eq!(asked(Some(8), 1e9, None), 24 * 60, "a day at most");
        assert_eq!(asked(Some(8), f64::INFINITY, None), 24 * 60);
        let text = class(Some(2), None, 151.0, None).text();
        assert_eq!(text, "2 cpus, 1 GiB, estimated time 1:20:00");
        let within = |longest_s| {
            class(Some(2), None, 151.0, None)
                .within(longest_s)
                .seconds()
        };
        assert_eq!(within(Some(3600)), Some(3600), "the partition's limit");
        assert_eq!(within(Some(7200)), Some(4800));
        let declared = class(Some(2), Some("120"), 151.0, None).within(Some(3600));
        assert_eq!(declared.seconds(), Some(7200), "as it was said");
        let declared = class(Some(2), Some("5"), 1e9, None);
        assert_eq!(declared.text(), "2 cpus, 1 GiB, time 5");
        let estimated = class(None, None, 0.0, None).resources.time;
        assert_eq!(estimated.as_deref(), Some("0:10:00"));
    }
}
