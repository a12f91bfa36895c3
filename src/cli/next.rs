//! What a run has to show, and how to see it: at its end, for a person at a terminal.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::session::{ManifestArgs, Session};
use crate::artifact::{Artifact, ArtifactKind};
use crate::plan::{Node, NodeId};
use crate::run::Execution;
use crate::text::ReasoningPath;

/// A threshold of the filter, and another value of it that is worth a look (ours).
type Threshold = (&'static str, &'static str, fn(f64) -> f64);
const THRESHOLDS: &[Threshold] = &[
    ("length", "min_tokens", |tokens| tokens + 10.0),
    ("perplexity", "min_perplexity", |least| {
        (least * 110.0).round() / 100.0
    }),
    ("repetition", "max_rate", |most| {
        (most * 50.0).round() / 100.0
    }),
];

/// What there is to do next: what it shows, and what to type.
pub(crate) fn next(
    session: &Session,
    execution: &Execution,
    args: &ManifestArgs,
) -> Vec<(String, String)> {
    let typed = Typed::new(session, args);
    let mut lines = Vec::new();
    let learned = session.plan.order().iter().find_map(|&id| {
        let learned = session.plan.learned_from(id)?;
        let reached = |id: &NodeId| execution.outputs(*id).is_some();
        let trained = reached(&learned.before) && learned.after.iter().any(reached);
        // The last stage before the training: what it kept is what was learned from.
        let read = |id: &NodeId| {
            session
                .plan
                .node(*id)
                .kind
                .output(ArtifactKind::Model)
                .is_some()
        };
        let last = readers(session, id).iter().any(read);
        (trained && last).then_some(id)
    });
    if let Some(id) = learned {
        let node = session.plan.node(id);
        if let Some((count, path)) = first_path(session, execution, id) {
            lines.push((
                format!("one of the {count} paths of `{}`, beside the greedy answers before and after training:", node.name()),
                typed.command("show", &format!("{} --question {} --answers", quoted(node.name()), quoted(&path.question_id))),
            ));
        }
        lines.extend(variation(session, id, &typed));
    }
    lines.push((
        "tables, figures, stages and paths on one page:".to_owned(),
        typed.command("report", "--out report"),
    ));
    lines
}

/// The stages that read an output of `id`.
fn readers(session: &Session, id: NodeId) -> BTreeSet<NodeId> {
    let order = session.plan.order().iter().copied();
    let reads = |reader: &NodeId| {
        let inputs = session.plan.inputs(*reader);
        inputs.values().any(|(from, _)| *from == id)
    };
    order.filter(reads).collect()
}

/// How many paths a stage has, and the first.
fn first_path(
    session: &Session,
    execution: &Execution,
    id: NodeId,
) -> Option<(usize, ReasoningPath)> {
    let output = session.plan.node(id).kind.output(ArtifactKind::Paths)?;
    let digest = execution.outputs(id)?.get(output.name)?;
    // Where it cannot be read, there is nothing to show.
    let bytes = session.store.object(digest).ok()??;
    let paths = Vec::<ReasoningPath>::decode(&bytes).ok()?;
    let count = paths.len();
    Some((count, paths.into_iter().next()?))
}

/// Another threshold, and how much of the run that would be.
fn variation(session: &Session, paths: NodeId, typed: &Typed) -> Option<(String, String)> {
    let mut id = paths;
    let (field, value) = loop {
        if let Some(found) = threshold(session.plan.node(id)) {
            break found;
        }
        (id, _) = session.plan.input(id, ArtifactKind::Paths)?;
    };
    let node = session.plan.node(id);
    let behind: BTreeSet<&str> = (session.plan.behind(id).into_iter())
        .map(|id| session.plan.node(id).base())
        .collect();
    let points = match session.manifest.sweep.points.len() {
        0 | 1 => String::new(),
        points => format!(" at {points} points"),
    };
    let field = format!("stages.{}.{field}", node.base());
    // What varies in a sweep cannot be set.
    if session
        .manifest
        .sweep
        .axes
        .iter()
        .any(|axis| axis.field() == field)
    {
        return None;
    }
    Some((
        format!(
            "what another threshold would run, up to {} stages{points}:",
            behind.len()
        ),
        typed.command("plan", &format!("--set {field}={value}")),
    ))
}

/// A threshold by which the stage filters, with another value.
fn threshold(node: &Node) -> Option<(String, f64)> {
    // A list of steps has its own values.
    if node
        .params
        .get("steps")
        .is_some_and(|steps| !steps.is_null())
    {
        return None;
    }
    THRESHOLDS.iter().find_map(|(step, field, other)| {
        let settings = node.params.get(*step)?;
        let on = settings.get("enabled") == Some(&Value::Bool(true));
        let value = settings.get(*field)?.as_f64().filter(|_| on)?;
        Some((format!("{step}.{field}"), other(value)))
    })
}

/// The command line of the run, as far as other commands take it too.
struct Typed {
    program: String,
    manifest: String,
    changes: String,
}

impl Typed {
    fn new(session: &Session, args: &ManifestArgs) -> Self {
        let program = std::env::args_os().next();
        let program = program.map(|name| name.to_string_lossy().into_owned());
        let overrides = &args.overrides;
        let mut changes = String::new();
        let mut add = |option: &str, value: &str| {
            let _ = write!(changes, " {option} {}", quoted(value));
        };
        for set in &overrides.overrides {
            add("--set", set);
        }
        if let Some(profile) = &overrides.profile {
            add("--profile", profile);
        }
        if let Some(limit) = overrides.limit {
            add("--limit", &limit.to_string());
        }
        // What the environment says, it says to the next command too.
        let from_environment =
            |name: &str, value: &str| std::env::var(name).is_ok_and(|set| set == value);
        let cache = overrides.store.cache.to_string_lossy();
        if cache != "cache" && !from_environment("SERT_CACHE", &cache) {
            add("--cache", &cache);
        }
        if let Some(mirror) = &overrides.mirror {
            let mirror = mirror.to_string_lossy();
            if !from_environment("SERT_MIRROR", &mirror) {
                add("--mirror", &mirror);
            }
        }
        if session.why_device.is_none() && overrides.device.is_some() {
            let device = session.options.device.to_string();
            if !from_environment("SERT_DEVICE", &device) {
                add("--device", &device);
            }
        }
        Self {
            program: quoted(program.as_deref().unwrap_or("sert-run")).into_owned(),
            manifest: quoted(&args.manifest.to_string_lossy()).into_owned(),
            changes,
        }
    }

    fn command(&self, name: &str, rest: &str) -> String {
        format!(
            "{} {name} {} {rest}{}",
            self.program, self.manifest, self.changes
        )
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_reach_a_shell_as_they_are() {
        for (word, typed) in [
            (
                "stages.kept.length.min_tokens=30",
                "stages.kept.length.min_tokens=30",
            ),
            ("kept[seed=1]", "'kept[seed=1]'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$(rm -r x)", "'$(rm -r x)'"),
        ] {
            assert_eq!(quoted(word), typed);
        }
    }
}
