//! References between stages: from the text `data.train` to a stage's typed output.
//!
//! In: stages as far as they are known. Out: which output feeds which port, and what is wrong
//! with each reference: no such stage, no such output, the wrong kind of artifact. A reference to
//! a stage whose kind is unknown is left alone, because that mistake is told already.

use std::collections::BTreeMap;

use super::PortRef;
use super::error::{Diagnostic, hinted};
use super::nearest::{list, suggest};
use super::source::Origin;
use super::stage_name::{StageName, split_reference};
use super::sugar::SUGAR;
use super::tree::{Entry, Node};
use super::when::LeftOut;
use super::words::dotted;
use crate::artifact::ArtifactKind;
use crate::stage::{Output, Port, Stage};

/// A stage as written.
pub(super) struct Draft<'a> {
    /// Its key in the tree.
    pub(super) name: &'a str,
    /// The same, parted: the name that was written, and the round.
    pub(super) stage: StageName,
    pub(super) path: Vec<String>,
    pub(super) origin: &'a Origin,
    pub(super) node: &'a Node,
    /// None where the manifest names no kind that exists.
    pub(super) kind: Option<&'static dyn Stage>,
    /// Whether it fits the schema.
    pub(super) sound: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        entry: &'a Entry,
        path: Vec<String>,
        kind: Option<&'static dyn Stage>,
    ) -> Self {
        Self {
            name: &entry.key,
            stage: StageName::from(entry.key.as_str()),
            path,
            origin: &entry.key_origin,
            node: &entry.value,
            kind,
            sound: true,
        }
    }

    fn outputs(&self) -> &'static [Output] {
        self.kind.map_or(&[], Stage::outputs)
    }
}

/// An output: indices of the stage and of the output among those of its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Outlet {
    pub(super) stage: usize,
    pub(super) output: usize,
}

/// What feeds a port.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) from: Outlet,
    pub(super) port: &'static Port,
    /// The reference, or the stage if the reference is the port's default.
    pub(super) origin: Origin,
}

/// Why a reference leads nowhere.
enum Lost {
    /// There is no such stage.
    Stage,
    /// The stage has no such output.
    Output(usize),
    /// `when` left the stage out, for this reason.
    LeftOut(String),
    /// Told elsewhere: the text has no form, or the stage no kind.
    Silent,
}

/// Every stage and what feeds it.
pub(super) struct Wiring<'a> {
    pub(super) drafts: &'a [Draft<'a>],
    /// The places of the stages, by name.
    places: BTreeMap<&'a str, usize>,
    left_out: &'a LeftOut,
    /// By stage, what is fed, by the input's name.
    pub(super) inputs: Vec<BTreeMap<String, Wire>>,
}

impl<'a> Wiring<'a> {
    pub(super) fn new(
        drafts: &'a [Draft<'a>],
        left_out: &'a LeftOut,
        errors: &mut Vec<Diagnostic>,
    ) -> Self {
        // Of two stages of one name, which was told already, the first one counts.
        let places = drafts.iter().enumerate().rev();
        let mut wiring = Self {
            drafts,
            places: places.map(|(place, draft)| (draft.name, place)).collect(),
            left_out,
            inputs: Vec::new(),
        };
        for draft in drafts {
            let ports = draft.kind.map_or(&[][..], Stage::inputs);
            let mut wires = BTreeMap::new();
            for port in ports {
                // One that takes several takes one too.
                let list = draft.node.get(port.name).filter(|_| port.many);
                let places = list.map_or(1, |node| node.items().len());
                for place in 0..places {
                    let written = match list {
                        Some(node) => node.items().get(place),
                        None => draft.node.get(port.name),
                    };
                    let Some(from) = wiring.input(draft, port, (place, written), errors) else {
                        continue;
                    };
                    let origin = written.map_or(draft.origin, |node| &node.origin).clone();
                    wires.insert(port.input_name(place), Wire { from, port, origin });
                }
            }
            wiring.inputs.push(wires);
        }
        wiring
    }

    /// The output as the manifest's types name it.
    pub(super) fn port_ref(&self, outlet: Outlet) -> Option<PortRef> {
        Some(PortRef {
            stage: self.drafts[outlet.stage].stage.clone(),
            output: self.output(outlet)?.name,
        })
    }

    pub(super) fn output(&self, outlet: Outlet) -> Option<&'static Output> {
        self.drafts[outlet.stage].outputs().get(outlet.output)
    }

    /// The output as a reference would name it, in whichever round.
    pub(super) fn spelling(&self, outlet: Outlet) -> String {
        let stage = self.drafts[outlet.stage].stage.base();
        match self.output(outlet) {
            Some(output) if outlet.output > 0 => format!("{stage}.{}", output.name),
            _ => stage.to_owned(),
        }
    }

    /// The artifact of a kind that `text`, written at `origin`, names for a table or a figure. A bare stage name
    /// means its output of that kind, whichever of its outputs that is.
    pub(super) fn artifact(
        &self,
        place: &str,
        kind: ArtifactKind,
        text: &str,
        origin: &Origin,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Outlet> {
        let named = match self.find(text) {
            Ok(outlet) => outlet,
            Err(lost) => {
                errors.extend(self.lost(&lost, text, place, origin, errors.len()));
                return None;
            }
        };
        let fits = |outlet: &Outlet| self.output(*outlet).is_some_and(|o| o.kind == kind);
        let found = if text.contains('.') {
            Some(named).filter(fits)
        } else {
            self.outlets(named.stage).find(fits)
        };
        if found.is_none() {
            errors.push(self.unfit(named, kind, None, place, origin, errors.len()));
        }
        found
    }

    /// What feeds a port of `draft` with what is written at a place of it.
    fn input(
        &self,
        draft: &Draft<'_>,
        port: &'static Port,
        (index, written): (usize, Option<&Node>),
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Outlet> {
        let mut path = draft.path.clone();
        path.push(port.name.to_owned());
        if port.many {
            path.push(format!("[{index}]"));
        }
        let place = format!("`{}`", dotted(&path));
        let (text, origin) = if let Some(node) = written {
            (node.as_str()?, &node.origin)
        } else {
            let param = |path: &str| path.split('.').try_fold(draft.node, Node::get);
            let serves = port.only_with.is_none_or(|path| param(path).is_some());
            (port.default.filter(|_| serves)?, draft.origin)
        };
        let given = written.is_some();
        match self.find(text) {
            Ok(outlet) => {
                let fits = self.output(outlet)?.kind == port.accepts;
                if !fits {
                    let own = Some(draft.name);
                    let error = self.unfit(outlet, port.accepts, own, &place, origin, errors.len());
                    errors.push(error);
                }
                fits.then_some(outlet)
            }
            Err(Lost::Stage) if !given && port.optional && port.only_with.is_none() => None,
            Err(lost) => {
                let mut error = self.lost(&lost, text, &place, origin, errors.len())?;
                if !given {
                    let (stage, _) = split_reference(text);
                    let section = SUGAR.iter().any(|(section, _)| *section == stage);
                    let section = if section {
                        stage.to_owned()
                    } else {
                        format!("stages.{stage}")
                    };
                    error.message.push_str(", which is its default");
                    error.hint = Some(format!(
                        "add `[{section}]`, or set `{}` to another stage",
                        port.name
                    ));
                }
                error.path = path;
                // One absent stage is one mistake, however many stages rely on it.
                let same = |other: &&mut Diagnostic| {
                    !given && other.hint == error.hint && other.label.is_some()
                };
                if let Some(first) = errors.iter_mut().find(same) {
                    first.related.push((origin.clone(), "here too".to_owned()));
                } else {
                    error.label = (!given).then(|| "needed here".to_owned());
                    errors.push(error);
                }
                None
            }
        }
    }

    fn find(&self, text: &str) -> Result<Outlet, Lost> {
        let (name, output) = split_reference(text);
        if name.is_empty() || output.is_some_and(|output| output.is_empty() || output.contains('.'))
        {
            return Err(Lost::Silent);
        }
        let stage = self.places.get(name).copied();
        let stage = stage.ok_or_else(|| match self.left_out.get(name) {
            Some(reason) => Lost::LeftOut(reason.clone()),
            None => Lost::Stage,
        })?;
        let outputs = self.drafts[stage].kind.ok_or(Lost::Silent)?.outputs();
        let output = match output {
            None => 0,
            Some(output) => outputs
                .iter()
                .position(|known| known.name == output)
                .ok_or(Lost::Output(stage))?,
        };
        if output < outputs.len() {
            Ok(Outlet { stage, output })
        } else {
            Err(Lost::Output(stage))
        }
    }

    fn outlets(&self, stage: usize) -> impl Iterator<Item = Outlet> {
        (0..self.drafts[stage].outputs().len()).map(move |output| Outlet { stage, output })
    }

    /// `found` mistakes come before this one.
    fn lost(
        &self,
        lost: &Lost,
        text: &str,
        place: &str,
        origin: &Origin,
        found: usize,
    ) -> Option<Diagnostic> {
        let (stage, output) = split_reference(text);
        let (message, hint) = match lost {
            Lost::Stage => {
                let mut names: Vec<&str> =
                    self.drafts.iter().map(|draft| draft.stage.base()).collect();
                names.dedup(); // the rounds of a stage are side by side
                let message =
                    format!("{place} refers to `{text}`, but there is no stage `{stage}`");
                (message, hinted(found, || suggest(stage, names, "stages")))
            }
            Lost::Output(index) => {
                let names: Vec<&str> = self.drafts[*index]
                    .outputs()
                    .iter()
                    .map(|output| output.name)
                    .collect();
                let message =
                    format!("{place} refers to `{text}`, but `{stage}` has no such output");
                let hint = suggest(output.unwrap_or_default(), names, "its outputs");
                (message, hint)
            }
            Lost::LeftOut(reason) => {
                let message =
                    format!("{place} refers to `{text}`, which is not always there: {reason}");
                let hint = "give what refers to it the same `when`".to_owned();
                (message, Some(hint))
            }
            Lost::Silent => return None,
        };
        Some(Diagnostic::at(origin, message).hint(hint))
    }

    /// What the port accepts, what the output is, and which outputs would fit. `found` mistakes come before this one.
    fn unfit(
        &self,
        outlet: Outlet,
        accepts: ArtifactKind,
        own: Option<&str>,
        place: &str,
        origin: &Origin,
        found: usize,
    ) -> Diagnostic {
        let is = self
            .output(outlet)
            .map_or("nothing", |output| output.kind.name());
        let message = format!(
            "{place} accepts {accepts}, but `{}` gives {is}",
            self.spelling(outlet)
        );
        let hint = hinted(found, || Some(self.what_gives(accepts, own)));
        Diagnostic::at(origin, message).hint(hint)
    }

    /// The outputs of a kind, but for those of the stage `own`.
    fn what_gives(&self, accepts: ArtifactKind, own: Option<&str>) -> String {
        let mut fits: Vec<String> = (0..self.drafts.len())
            .filter(|stage| own != Some(self.drafts[*stage].name))
            .flat_map(|stage| self.outlets(stage))
            .filter(|outlet| {
                self.output(*outlet)
                    .is_some_and(|output| output.kind == accepts)
            })
            .map(|outlet| self.spelling(outlet))
            .collect();
        fits.dedup();
        if fits.is_empty() {
            return format!("no stage in this manifest gives {accepts}");
        }
        let fits = list(fits.iter().map(String::as_str));
        format!("what gives {accepts}: {fits}")
    }
}
