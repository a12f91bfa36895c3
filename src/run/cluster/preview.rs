//! What would be submitted, for `sert-run plan`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::class::{Class, time_factor};
use super::queue::Queue;
use crate::manifest::ClusterSection;
use crate::plan::{Estimates, Plan, Resolved};
use crate::stage::StageError;

/// Jobs of one class.
#[derive(Default)]
struct Jobs {
    count: u64,
    stages: Vec<String>,
    seconds: f64,
    unknown: usize,
}

/// The arrays that a run would submit, and their node-hours. Of stages that wait for others, as many jobs as they may have.
///
/// # Errors
/// What is asked for is not what Slurm reads.
pub(crate) fn preview(
    plan: &Plan,
    resolved: &[Resolved],
    estimates: &Estimates,
    section: &ClusterSection,
    queue: &dyn Queue,
) -> Result<String, StageError> {
    let limits = queue.limits();
    let (mut classes, mut here, mut done) = (BTreeMap::<Class, Jobs>::new(), 0, 0);
    for each in resolved {
        let node = plan.node(each.node);
        if !each.state.is_open() {
            done += 1;
            continue;
        }
        if !node.may_go_out() {
            here += 1;
            continue;
        }
        let resources = section.resources(node.base(), node.kind.name());
        let work = estimates.stages.get(&each.node);
        let can_be_shared = !node.kind.sharded_by(&node.params).is_empty();
        let shards = resources.shards.filter(|_| can_be_shared).unwrap_or(1);
        let class = queue.class((resources, section), (estimates, each.node, Some(shards)))?;
        let jobs = classes.entry(class).or_default();
        jobs.count += u64::from(shards);
        jobs.stages.push(node.name().to_owned());
        match work.and_then(|work| estimates.seconds(work)) {
            Some(seconds) => jobs.seconds += seconds,
            None => jobs.unknown += 1,
        }
    }
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    line(format_args!(
        "{} stages: {done} are done, {here} run here, {} go to the queue",
        resolved.len(),
        classes
            .values()
            .map(|jobs| jobs.stages.len())
            .sum::<usize>()
    ));
    let (mut jobs, mut seconds, mut most, mut unknown) = (0, 0.0, Some(0), 0);
    for (class, of_class) in &classes {
        let arrays = of_class.count.div_ceil(limits.array.into());
        let arrays = match limits.array {
            // Jobs of their own, or any number together.
            1 | u32::MAX => String::new(),
            most => format!(" in {arrays} or more arrays of up to {most}"),
        };
        line(format_args!(
            "\n{} jobs{arrays}: {}",
            of_class.count,
            class.text()
        ));
        line(format_args!("  {}", named(&of_class.stages)));
        if !class.resources.setup.is_empty() || class.resources.container.is_some() {
            let setup = class.resources.setup.iter().map(String::as_str);
            let container = class.resources.container.as_deref();
            let before: Vec<&str> = setup.chain(container).collect();
            line(format_args!("  after: {}", before.join("; ")));
        }
        jobs += of_class.count;
        seconds += of_class.seconds;
        unknown += of_class.unknown;
        most = most
            .zip(class.seconds())
            .map(|(most, seconds)| most + seconds * of_class.count);
    }
    if jobs > 0 {
        let at_most = match most {
            Some(most) => format!(
                "at most {:.1} node-hours by their `time`",
                most as f64 / 3600.0
            ),
            None => "no limit of theirs is known (no `time` is given)".to_owned(),
        };
        let rest = match unknown {
            0 => String::new(),
            unknown => format!(", {unknown} stages that cannot be told yet not counted"),
        };
        line(format_args!(
            "\n{jobs} jobs: {at_most}; about {:.2} node-hours on nodes as fast as this machine{rest}",
            seconds / 3600.0
        ));
    }
    if classes.keys().any(|class| class.is_time_estimated) {
        line(format_args!(
            "an estimated time is {} times what this machine would take, rounded up; nodes may be slower: `time` declares it, `time_factor` the factor",
            time_factor(section)
        ));
    }
    if let Some(submitted) = limits.submitted {
        line(format_args!(
            "no more than {submitted} jobs at a time may be in the queue; the rest follows as these end"
        ));
    }
    Ok(text)
}

/// The first few names, and how many more there are.
fn named(stages: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = stages[..stages.len().min(SHOWN)].join(", ");
    match stages.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
