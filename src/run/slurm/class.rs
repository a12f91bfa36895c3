//! What jobs ask for, and which go together in an array: those that ask for the same.

use crate::manifest::SlurmResources;
use crate::stage::StageError;

/// Memory that is asked for beyond what a stage is estimated to take: the program, its file cache, what was estimated badly. Ours.
const MARGIN: u64 = 2;
/// The least that is asked for, in MiB. Ours.
const LEAST_MIB: u64 = 1024;

/// A class of jobs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Class {
    pub(crate) resources: SlurmResources,
    pub(crate) memory_mib: u64,
}

impl Class {
    /// The class of a stage, whose estimate is of so many bytes.
    ///
    /// # Errors
    /// Its memory or its time is not what Slurm reads.
    pub(crate) fn new(
        resources: SlurmResources,
        estimated: Option<u64>,
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
            None => (estimated.unwrap_or(0) * MARGIN)
                .div_ceil(1 << 20)
                .max(LEAST_MIB),
        };
        // Into how many jobs a stage is shared out does not matter to a job.
        let resources = SlurmResources {
            shards: None,
            ..resources
        };
        Ok(Self {
            resources,
            memory_mib,
        })
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

    /// As options of `sbatch`.
    pub(crate) fn options(&self) -> Vec<String> {
        let it = &self.resources;
        let mut options = vec![
            format!("--mem={}M", self.memory_mib),
            "--ntasks=1".to_owned(),
        ];
        let mut add = |name: &str, value: Option<String>| {
            options.extend(value.map(|value| format!("--{name}={value}")));
        };
        add("partition", it.partition.clone());
        add("account", it.account.clone());
        add("qos", it.qos.clone());
        add("gres", it.gres.clone());
        add("constraint", it.constraint.clone());
        add("cpus-per-task", it.cpus.map(|cpus| cpus.to_string()));
        add("time", it.time.clone());
        options
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
        let parts = [
            named("partition", &it.partition),
            named("account", &it.account),
            named("qos", &it.qos),
            named("gres", &it.gres),
            named("constraint", &it.constraint),
            it.cpus.map(|cpus| format!("{cpus} cpus")),
            Some(memory),
            named("time", &it.time),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn invalid(key: &str, value: &str, expected: &str) -> StageError {
    StageError::Invalid(format!(
        "`{key}` in `[run.slurm]` is `{value}`: expected {expected}"
    ))
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
fn seconds(text: &str) -> Option<u64> {
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
        let class = |resources, bytes| Class::new(resources, bytes).unwrap();
        let none = class(SlurmResources::default(), Some(3 << 30));
        assert_eq!(none.options(), ["--mem=6144M", "--ntasks=1"]);
        assert_eq!(class(SlurmResources::default(), None).memory_mib, 1024);
        assert_eq!(none.grown(1.5).memory_mib, 9216);
        let all = SlurmResources {
            partition: Some("gpu".into()),
            gres: Some("gpu:1".into()),
            cpus: Some(4),
            memory: Some("16G".into()),
            time: Some("4:00:00".into()),
            ..SlurmResources::default()
        };
        let all = class(all, Some(1));
        assert!(
            all.options().contains(&"--gres=gpu:1".to_owned()),
            "{:?}",
            all.options()
        );
        assert_eq!(
            all.text(),
            "partition gpu, gres gpu:1, 4 cpus, 16 GiB, time 4:00:00"
        );
        assert_eq!(all.seconds(), Some(14_400));
        let wrong = SlurmResources {
            time: Some("soon".into()),
            ..SlurmResources::default()
        };
        assert!(
            Class::new(wrong, None)
                .unwrap_err()
                .to_string()
                .contains("`soon`")
        );
    }
}
