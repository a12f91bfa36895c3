//! From a tree that fits the schema to typed stages.
//!
//! In: the tree and the stage kinds. Out: stages with complete parameters and resolved inputs,
//! and what is wrong with them. Stages with mistakes of their own still take part as far as they
//! are known, so that one mistake neither hides others nor causes messages elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::Diagnostic;
use super::figures::{self, PointFigures};
use super::param_error::placed;
use super::rounds::Unrolled;
use super::source::Origin;
use super::sugar::SUGAR;
use super::tables::{self, RowRefs, TableDraft};
use super::tree::{Entry, Node, Tree};
use super::when::LeftOut;
use super::wire::{Draft, Wire, Wiring};
use super::{StageSpec, flow, needs, taught};
use crate::stage::{ParamError, Port, Stage};

/// The manifest's seed, or a stage's.
pub(super) fn seed(node: &Node) -> Option<u64> {
    node.get("seed")?.to_json().as_u64()
}

/// The key at the top of a manifest that stands for a parameter of every kind that reads answers.
const READING: &str = "reading";

/// Lays each stage's own values over the defaults of its kind, and those over `reading` at the top.
pub(super) fn lay_defaults(tree: &mut Node, kinds: &[&'static dyn Stage]) {
    let defaults = tree.get("defaults").and_then(Node::as_table).cloned();
    let reading = tree.as_table().and_then(|root| root.get(READING)).cloned();
    let Some(root) = tree.as_table_mut() else {
        return;
    };
    let find = |name: &str| kinds.iter().copied().find(|kind| kind.name() == name);
    let lay = |stage: &mut Node, kind: &dyn Stage| {
        lay_one(
            stage,
            defaults
                .as_ref()
                .and_then(|defaults| defaults.get(kind.name())),
        );
        if let (Tree::Table(table), Some(reading)) = (&mut stage.value, &reading)
            && kind.reads_answers()
            && table.get(READING).is_none()
        {
            table.entries.push(reading.clone());
        }
    };
    for (section, kind) in SUGAR {
        if let (Some(entry), Some(kind)) = (root.get_mut(section), find(kind)) {
            lay(&mut entry.value, kind);
        }
    }
    let stages = root
        .get_mut("stages")
        .and_then(|entry| entry.value.as_table_mut());
    for stage in stages.into_iter().flat_map(|stages| &mut stages.entries) {
        let kind = stage
            .value
            .get("kind")
            .and_then(Node::as_str)
            .and_then(find);
        if let Some(kind) = kind {
            lay(&mut stage.value, kind);
        }
    }
}

/// Lays a stage's own values over the defaults of its kind.
pub(super) fn lay_one(stage: &mut Node, defaults: Option<&Entry>) {
    if let (Tree::Table(_), Some(Entry { value, .. })) = (&stage.value, defaults)
        && value.as_table().is_some()
    {
        // What is wrong with the stage as a whole is told where it is declared, not at its defaults.
        let origin = stage.origin.clone();
        let own = std::mem::replace(stage, value.clone());
        stage.merge(own);
        stage.origin = origin;
    }
}

/// Drops what is told of a stage and also of the defaults, or of the top of the manifest, that the value comes from.
pub(super) fn without_echoes(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let of_defaults = |error: &Diagnostic| {
        matches!(
            error.path.first().map(String::as_str),
            Some("defaults" | READING)
        )
    };
    let (mut kept, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(of_defaults);
    let place = |error: &Diagnostic| error.origin.as_ref().map(Origin::order);
    let told: BTreeSet<_> = kept.iter().filter_map(place).collect();
    kept.extend(rest.into_iter().filter(|error| {
        let place = place(error);
        place.is_none_or(|place| !told.contains(&place))
    }));
    kept
}

/// What one point has.
pub(super) struct PointSpecs {
    pub(super) stages: Vec<StageSpec>,
    /// What is shown of each round, and of one that is not there; of a point without rounds one.
    pub(super) shown: Vec<Shown>,
}

/// By table and row what the tables read, and what the figures name.
pub(super) type Shown = (Vec<Vec<RowRefs>>, PointFigures);

/// Types the stages of `tree`, the tree of one point, and finds what its tables and figures read; adds to `errors`
/// what is wrong with them.
pub(super) fn resolve(
    tree: &Node,
    kinds: &[&'static dyn Stage],
    (left_out, unrolled): (&LeftOut, &Unrolled),
    errors: &mut Vec<Diagnostic>,
) -> PointSpecs {
    let drafts = drafts(tree, kinds, unrolled, errors);
    // `[data]` alone is enough to look at the data.
    if drafts.is_empty() {
        errors.push(
            Diagnostic::at(&tree.origin, "the manifest has no stages")
                .hint("declare one, for example `[stages.sample]` with its `kind`".to_owned()),
        );
    }
    let params = params(&drafts, errors);
    let wiring = Wiring::new(&drafts, left_out, errors);
    let mut shown = Vec::new();
    for view in unrolled.views() {
        let mut again = Vec::new();
        let errors = if view.is_first() {
            &mut *errors
        } else {
            &mut again
        };
        shown.push((
            tables::drafts(tree, &wiring, (left_out, view), errors),
            figures::drafts(tree, &wiring, (left_out, view), errors),
        ));
    }
    let order = flow::check(&wiring, shown.iter().flat_map(|(tables, _)| tables), errors);
    let carried = needs::check(&wiring, &params, &order, errors);
    taught::check(&wiring, &params, &order, errors);
    figures::check_scores(tree, &shown[0].1, &carried, errors);

    let manifest_seed = seed(tree).unwrap_or_default();
    let stages =
        drafts
            .iter()
            .zip(params)
            .zip(&wiring.inputs)
            .filter_map(|((draft, params), inputs)| {
                let input = |(port, wire): (&String, &Wire)| {
                    Some((port.clone(), wiring.port_ref(wire.from)?))
                };
                let of_rounds = unrolled.stage(draft.name);
                Some(StageSpec {
                    name: draft.stage.clone(),
                    kind: draft.kind?,
                    params: params?,
                    inputs: inputs.iter().filter_map(input).collect(),
                    gate: of_rounds.and_then(|stage| stage.gate.clone()),
                    rounds: of_rounds.and_then(|stage| stage.rounds.clone()),
                    seed: seed(draft.node).unwrap_or(manifest_seed),
                    origin: draft.origin.clone(),
                    path: draft.path.clone(),
                    written: draft.node.clone(),
                })
            });
    let stages = stages.collect();
    let named = |table: &TableDraft| table.rows.iter().map(|row| row.named(&wiring)).collect();
    let shown = shown.into_iter();
    let shown = shown.map(|(tables, figures)| (tables.iter().map(named).collect(), figures));
    PointSpecs {
        stages,
        shown: shown.collect(),
    }
}

/// The stages as far as they are known, in order of declaration.
fn drafts<'a>(
    tree: &'a Node,
    kinds: &[&'static dyn Stage],
    unrolled: &Unrolled,
    errors: &mut Vec<Diagnostic>,
) -> Vec<Draft<'a>> {
    let find = |name: &str| kinds.iter().copied().find(|kind| kind.name() == name);
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    let Some(root) = tree.as_table() else {
        return drafts;
    };
    for entry in &root.entries {
        if let Some((section, kind)) = SUGAR.iter().find(|(section, _)| *section == entry.key) {
            drafts.push(Draft::new(entry, vec![(*section).to_owned()], find(kind)));
        } else if entry.key == "stages"
            && let Some(stages) = entry.value.as_table()
        {
            for stage in &stages.entries {
                let kind = stage
                    .value
                    .get("kind")
                    .and_then(Node::as_str)
                    .and_then(find);
                drafts.push(Draft::new(
                    stage,
                    vec!["stages".to_owned(), stage.key.clone()],
                    kind,
                ));
            }
        }
    }
    for (section, _) in SUGAR {
        let stage = root
            .get("stages")
            .and_then(|stages| stages.value.as_table()?.get(section));
        if let (Some(sugar), Some(stage)) = (root.get(section), stage) {
            let (first, second) = (&sugar.key_origin, &stage.key_origin);
            errors.push(Diagnostic {
                related: vec![(first.clone(), "the same stage".to_owned())],
                ..Diagnostic::at(
                    second,
                    format!("`[{section}]` and `[stages.{section}]` are the same stage"),
                )
                .hint("keep one of them".to_owned())
            });
            drafts.retain(|draft| draft.path.len() == 1 || draft.name != section);
        }
    }
    // What mistakes are in: sections, and what is right below sections.
    let unsound: BTreeSet<&[String]> = errors
        .iter()
        .flat_map(|error| [error.path.get(..1), error.path.get(..2)])
        .flatten()
        .collect();
    for draft in &mut drafts {
        if let Some(stage) = unrolled.stage(draft.name) {
            draft.path.clone_from(&stage.path);
            draft.stage = stage.name.clone();
        }
        let defaults = draft
            .kind
            .map(|kind| ["defaults".to_owned(), kind.name().to_owned()]);
        let reads = draft.kind.is_some_and(Stage::reads_answers);
        let reading = [READING.to_owned()];
        draft.sound = !(unsound.contains(draft.path.as_slice())
            || reads && unsound.contains(reading.as_slice())
            || defaults.is_some_and(|path| unsound.contains(path.as_slice())));
    }
    drafts
}

/// Complete parameters of each stage that has no mistakes, and the errors that its kind names.
fn params(
    drafts: &[Draft<'_>],
    errors: &mut Vec<Diagnostic>,
) -> Vec<Option<serde_json::Map<String, Value>>> {
    let complete = |draft: &Draft<'_>| {
        let (kind, table) = (draft.kind.filter(|_| draft.sound)?, draft.node.as_table()?);
        let mut params = table.to_json();
        params.retain(|key, _| {
            key != "kind" && key != "seed" && kind.inputs().iter().all(|port| port.name != key)
        });
        let written = |port: &'static Port| {
            let places = table
                .get(port.name)
                .map(|entry| &entry.value)
                .map(Node::items);
            (0..places.map_or(0, <[Node]>::len)).map(move |place| port.input_name(place))
        };
        let fed: Vec<String> = kind.inputs().iter().flat_map(written).collect();
        let fed: Vec<&str> = fed.iter().map(String::as_str).collect();
        match kind.complete(&params) {
            Ok(complete) => {
                let mut param_errors = kind.check(&complete, &fed);
                if param_errors.is_empty() {
                    param_errors = kind.check_written(&params);
                }
                let params = complete;
                Some(if param_errors.is_empty() {
                    Ok(params)
                } else {
                    Err(param_errors)
                })
            }
            // The schema let it pass, for example two defaults that do not go together.
            Err(error) => Some(Err(vec![ParamError {
                field: String::new(),
                message: error.to_string(),
                hint: None,
            }])),
        }
    };
    drafts
        .iter()
        .map(|draft| match complete(draft)? {
            Ok(params) => Some(params),
            Err(param_errors) => {
                errors.extend(
                    param_errors.into_iter().map(|param_error| {
                        placed(&draft.path, draft.node, draft.origin, param_error)
                    }),
                );
                None
            }
        })
        .collect()
}
