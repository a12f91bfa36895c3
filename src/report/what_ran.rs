//! What really ran behind a table, a figure or a page: beside the manifest's titles, which are its author's words.
//!
//! In: stages whose outputs are in the store. Out: which students, data and teachers they rest on, each with its size as
//! the artifacts have it, and what the command line changed in the manifest. No folder of the machine is named, so that
//! the same store gives the same words everywhere.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ReportError, Source};
use crate::artifact::{Artifact, ArtifactKind, ModelFolder};
use crate::plan::{Node, NodeId};
use crate::stage::{Brings, Shape, Split};
use crate::text::Question;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct WhatRan {
    /// The students as they were before they were trained on questions.
    pub students: Vec<String>,
    /// The data, with how many questions of it were used.
    pub data: Vec<String>,
    /// Who else wrote, answered or judged: teachers, judges, files that were brought in.
    pub others: Vec<String>,
    /// What the command line changed in the manifest, each as its argument.
    pub changed: Vec<String>,
}

impl WhatRan {
    /// What stands behind `nodes` and all that they need. Those whose outputs are not in the store did not run.
    ///
    /// # Errors
    /// When an artifact cannot be read.
    pub(crate) fn behind(
        source: &Source<'_>,
        nodes: impl IntoIterator<Item = NodeId>,
    ) -> Result<Self, ReportError> {
        let mut ran = Self::default();
        let needed = needed(source, nodes);
        if needed.is_empty() {
            return Ok(ran);
        }
        for &node in source.plan.order().iter().filter(|n| needed.contains(n)) {
            let stage = source.plan.node(node);
            let (list, told) = match stage.kind.brings() {
                Some(Brings::Student) => (&mut ran.students, Some(student(source, node)?)),
                Some(Brings::Data) => (&mut ran.data, Some(data(source, node, &needed)?)),
                Some(brings) => (&mut ran.others, other(stage, brings)),
                None => continue,
            };
            list.extend(told.filter(|told| !list.contains(told)));
        }
        let changed = source.manifest.changed.iter();
        ran.changed = changed.map(|argument| without_folders(argument)).collect();
        Ok(ran)
    }

    /// Whether nothing ran.
    pub(crate) fn is_empty(&self) -> bool {
        self.students.is_empty() && self.data.is_empty() && self.others.is_empty()
    }

    /// What ran, in one line.
    pub(crate) fn text(&self) -> String {
        if self.is_empty() {
            return "What ran: nothing of it yet.".to_owned();
        }
        let parts = [&self.students, &self.data, &self.others];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        format!("What ran: {}.", parts.join("; "))
    }

    /// That the manifest's words are of the manifest as it was; `None` where it was not changed.
    pub(crate) fn caution(&self) -> Option<String> {
        (!self.changed.is_empty()).then(|| {
            format!(
                "Titles are the manifest's words; the manifest was changed by {}.",
                self.changed.join(", ")
            )
        })
    }

    /// [`WhatRan::text`], and [`WhatRan::caution`] where there is one.
    pub(crate) fn whole(&self) -> String {
        let caution = self.caution().map(|caution| format!(" {caution}"));
        self.text() + &caution.unwrap_or_default()
    }
}

/// The nodes of `nodes` that have run, and all that those need.
fn needed(source: &Source<'_>, nodes: impl IntoIterator<Item = NodeId>) -> BTreeSet<NodeId> {
    let has_run = |node: &NodeId| (source.outputs)(*node).is_some();
    let mut open: Vec<NodeId> = nodes.into_iter().filter(has_run).collect();
    let mut needed = BTreeSet::new();
    while let Some(node) = open.pop() {
        if needed.insert(node) {
            let inputs = source.plan.inputs(node).into_values();
            // An optional input may be absent.
            open.extend(inputs.map(|(from, _)| from).filter(has_run));
        }
    }
    needed
}

/// `GPT-2: openai-community/gpt2, 124.4M parameters (12 layers of width 768)`.
fn student(source: &Source<'_>, node: NodeId) -> Result<String, ReportError> {
    let stage = source.plan.node(node);
    let name = match text(&stage.params, "/model") {
        Some(model) => without_folders(model),
        None => "pretrained here".to_owned(),
    };
    let revision = text(&stage.params, "/revision").filter(|revision| *revision != "main");
    let revision = revision.map_or_else(String::new, |revision| format!(" at {revision}"));
    let name = format!("student {}{name}{revision}", point(stage));
    let Some(output) = source.output_of(node, ArtifactKind::Model) else {
        return Ok(name);
    };
    let Some((_, folder)) = source.artifact::<ModelFolder>(node, output)? else {
        return Ok(name);
    };
    // The size is an extra: a model that cannot be read any more is still told by its name.
    Ok(match Shape::stored(source.store, &folder)? {
        Some(shape) => format!(
            "{name}, {} parameters ({} layers of width {})",
            millions(shape.parameters),
            shape.layers,
            shape.width
        ),
        None => name,
    })
}

/// `strategyqa, 10 training and 10 test questions (limit 10)`: the splits that `needed` read.
fn data(
    source: &Source<'_>,
    node: NodeId,
    needed: &BTreeSet<NodeId>,
) -> Result<String, ReportError> {
    let stage = source.plan.node(node);
    let mut used = BTreeSet::new();
    for reader in needed {
        let inputs = source.plan.inputs(*reader).into_values();
        used.extend(
            inputs
                .filter(|(from, _)| *from == node)
                .map(|(_, output)| output),
        );
    }
    let (mut counts, mut also) = (Vec::new(), Vec::new());
    for output in stage.kind.outputs() {
        let count = match output.kind {
            ArtifactKind::Text => count::<String>(source, node, output.name, &used)?,
            _ => count::<Question>(source, node, output.name, &used)?,
        };
        let Some(count) = count else { continue };
        match output.split {
            Some(Split::Train) => counts.push(format!("{count} training")),
            Some(Split::Validation) => counts.push(format!("{count} validation")),
            Some(Split::Test) => counts.push(format!("{count} test")),
            Some(Split::All) => also.push(format!(", all its {count} questions together")),
            None => also.push(format!(", {count} documents of text")),
        }
    }
    let mut told = point(stage) + text(&stage.params, "/dataset").unwrap_or("data");
    for path in ["/path", "/train_path", "/test_path"] {
        let path = text(&stage.params, path).map(without_folders);
        told.extend(path.map(|path| format!(" {path}")));
    }
    if !counts.is_empty() {
        told.extend([", ", &listed(&counts), " questions"]);
    }
    told.extend(also);
    if let Some(limit) = stage.params.get("limit").and_then(Value::as_u64) {
        told.extend([" (limit ", &limit.to_string(), ")"]);
    }
    Ok(told)
}

/// How many rows an output has, where it is among those that were used and has any.
fn count<T>(
    source: &Source<'_>,
    node: NodeId,
    output: &str,
    used: &BTreeSet<&str>,
) -> Result<Option<usize>, ReportError>
where
    Vec<T>: Artifact,
{
    if !used.contains(output) {
        return Ok(None);
    }
    let rows = source.artifact::<Vec<T>>(node, output)?;
    Ok(rows.map(|(_, rows)| rows.len()).filter(|rows| *rows > 0))
}

/// Who wrote, answered or judged.
fn other(stage: &Node, brings: Brings) -> Option<String> {
    let text = |pointer| text(&stage.params, pointer);
    let asked = text("/endpoint/model").map(|model| {
        let provider = text("/endpoint/provider").or(text("/endpoint/base_url"));
        format!("{model} at {}", provider.unwrap_or("a server"))
    });
    let file = text("/path").map(without_folders);
    let who = match brings {
        Brings::Teacher => {
            let recording = || Some(text("/recording")?.to_owned() + &in_file(file.as_deref()));
            format!("teacher {}{}", point(stage), asked.or_else(recording)?)
        }
        // A judge that is a student is told among the students.
        Brings::Judge => format!("judge {}{}", point(stage), asked?),
        Brings::Rows => {
            let answers = stage.kind.output(ArtifactKind::Predictions).is_some();
            let rows = if answers { "answers" } else { "paths" };
            format!("{rows} brought in{}", in_file(file.as_deref()))
        }
        Brings::Program => format!("paths by {}", without_folders(text("/program")?)),
        Brings::Student | Brings::Data => return None,
    };
    Some(who)
}

fn in_file(file: Option<&str>) -> String {
    file.map_or_else(String::new, |file| format!(" from {file}"))
}

fn text<'p>(params: &'p Map<String, Value>, pointer: &str) -> Option<&'p str> {
    let mut keys = pointer.split('/').skip(1);
    let first = params.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))?.as_str()
}

/// What tells the point of a sweep, as the tables' labels do: `GPT-2: `.
fn point(stage: &Node) -> String {
    match stage.point().as_str() {
        "" => String::new(),
        values => format!("{values}: "),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is told in three digits")]
fn millions(parameters: u64) -> String {
    let millions = parameters as f64 / 1e6;
    if millions < 10.0 {
        format!("{millions:.2}M")
    } else {
        format!("{millions:.1}M")
    }
}

/// `text` with each path that begins at a folder of the machine (`/`, `~`, `.`, `..`, a drive) cut to its last part.
fn without_folders(text: &str) -> String {
    static FOLDERS: LazyLock<Regex> = LazyLock::new(|| {
        // At the beginning, or after what parts a value from its neighbours; never the `//` of an address.
        Regex::new(r#"(^|[\s="'\[,{])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[^\s"'\[\],{}/\\]+[/\\]+)*([^\s"'\[\],{}/\\]+)[/\\]*"#)
            .expect("the pattern is well formed")
    });
    let cut = FOLDERS.replace_all(text, |found: &Captures<'_>| {
        format!("{}.../{}", &found[1], &found[2])
    });
    cut.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_machine_are_not_told() {
        for (text, told) in [
            ("openai-community/gpt2", "openai-community/gpt2"),
            ("/home/anna/models/qa-nano", ".../qa-nano"),
            ("/home/anna/models/qa-nano/", ".../qa-nano"),
            ("~/models/qa-nano", ".../qa-nano"),
            ("models/qa-nano", "models/qa-nano"),
            ("./qa-nano", ".../qa-nano"),
            (r"C:\models\qa-nano", ".../qa-nano"),
            ("../models/qa-nano", ".../qa-nano"),
            (
                "--set student.model=/home/anna/qa-nano",
                "--set student.model=.../qa-nano",
            ),
            (
                r#"--set sweep.grid."student.model"=["/a/b/c", "x/y", '/d']"#,
                r#"--set sweep.grid."student.model"=[".../c", "x/y", '.../d']"#,
            ),
            (
                "--set a.base_url=https://host.example/v1",
                "--set a.base_url=https://host.example/v1",
            ),
            (
                "--set stages.kept.length.min_tokens=30",
                "--set stages.kept.length.min_tokens=30",
            ),
        ] {
            assert_eq!(without_folders(text), told);
        }
    }

    #[test]
    fn words() {
        let list =
            |words: &[&str]| listed(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(list(&["1 a"]), "1 a");
        assert_eq!(list(&["1 a", "2 b", "3 c"]), "1 a, 2 b and 3 c");
        assert_eq!(millions(17_060_000), "17.1M");
        assert_eq!(millions(902_400), "0.90M");
        let mut ran = WhatRan::default();
        assert_eq!(ran.whole(), "What ran: nothing of it yet.");
        ran.students.push("student x".to_owned());
        ran.data.push("microworld, 3 test questions".to_owned());
        assert_eq!(
            ran.whole(),
            "What ran: student x; microworld, 3 test questions."
        );
        ran.changed.push("--limit 3".to_owned());
        assert_eq!(
            ran.caution().unwrap(),
            "Titles are the manifest's words; the manifest was changed by --limit 3."
        );
    }
}
