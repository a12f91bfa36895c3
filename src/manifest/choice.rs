//! `oneOf` and `anyOf`: which branch a value was meant to be, so that its mistakes are told
//! against that branch and not against all of them.

use serde_json::{Map, Value};

use super::check::{Checker, accepted, names};
use super::error::hinted;
use super::nearest::{list, suggest};
use super::tree::{Node, Table};
use super::words::{found, is_type};

/// A mistake in the type of the whole value says that another branch was meant.
const WRONG_TYPE: usize = 1000;

impl<'a> Checker<'a, '_> {
    /// Checks `node` against the branch that it was meant to be.
    pub(super) fn choose(&mut self, keyword: &str, branches: &'a [Value], node: &Node) {
        let branches: Vec<&'a Map<String, Value>> = branches
            .iter()
            .filter_map(|branch| self.resolved(branch))
            // TOML has no null: an optional value is absent.
            .filter(|branch| branch.get("type").is_none_or(|name| name != "null"))
            .collect();
        if let Some(table) = node.as_table()
            && let Some(tag) = tag(&branches)
            // A part need not say which it is of.
            && (keyword == "oneOf" || table.get(tag).is_some())
        {
            self.by_tag(&branches, tag, table, node);
            return;
        }
        let mut best: Option<(usize, Self, &Map<String, Value>)> = None;
        for branch in &branches {
            let mut trial = self.trial();
            trial.keywords(branch, node);
            if trial.found.is_empty() {
                return;
            }
            let fits = branch
                .get("type")
                .is_none_or(|types| names(types).any(|name| is_type(name, node)));
            let score = trial.found.len() + if fits { 0 } else { WRONG_TYPE };
            if best.as_ref().is_none_or(|(least, ..)| score < *least) {
                best = Some((score, trial, branch));
            }
        }
        let constants: Vec<&Value> = branches
            .iter()
            .flat_map(|branch| accepted(branch))
            .collect();
        match best {
            // Alternatives that are mere words are told together.
            Some((score, _, branch))
                if !constants.is_empty()
                    && (score >= WRONG_TYPE || !accepted(branch).is_empty()) =>
            {
                self.refuse(&constants, node);
            }
            Some((score, ..)) if score >= WRONG_TYPE && branches.len() > 1 => {
                let message = format!("{} fits none of the accepted forms", found(node));
                self.report(&node.origin, message, None);
            }
            Some((_, trial, _)) => self.found.extend(trial.found),
            None => {}
        }
    }

    fn resolved(&self, branch: &'a Value) -> Option<&'a Map<String, Value>> {
        let mut branch = branch;
        // A chain of references longer than this is a loop.
        for _ in 0..16 {
            match branch
                .get("$ref")
                .and_then(|reference| self.target(reference))
            {
                Some(target) => branch = target,
                None => break,
            }
        }
        branch.as_object()
    }

    fn by_tag(
        &mut self,
        branches: &[&'a Map<String, Value>],
        tag: &str,
        table: &Table,
        node: &Node,
    ) {
        let values: Vec<&str> = branches
            .iter()
            .filter_map(|branch| tag_value(branch, tag))
            .collect();
        let Some(entry) = table.get(tag) else {
            let hint = format!("add `{tag}`; accepted: {}", list(values));
            self.report(
                &node.origin,
                format!("the key `{tag}` is missing"),
                Some(hint),
            );
            return;
        };
        let Some(value) = entry.value.as_str() else {
            self.path.push(tag.to_owned());
            let message = format!("{} where a string is expected", found(&entry.value));
            let hint = format!("accepted: {}", list(values));
            self.report(&entry.value.origin, message, Some(hint));
            self.path.pop();
            return;
        };
        let chosen = branches
            .iter()
            .find(|branch| tag_value(branch, tag) == Some(value));
        if let Some(branch) = chosen {
            self.keywords(branch, node);
        } else {
            self.path.push(tag.to_owned());
            let hint = hinted(self.found.len(), || suggest(value, values, "accepted"));
            self.report(
                &entry.value.origin,
                format!("unknown {tag} `{value}`"),
                hint,
            );
            self.path.pop();
        }
    }
}

/// The property that has another constant in every branch.
fn tag<'a>(branches: &[&'a Map<String, Value>]) -> Option<&'a str> {
    let first = branches.first()?.get("properties")?.as_object()?;
    first
        .keys()
        .find(|key| {
            branches
                .iter()
                .all(|branch| tag_value(branch, key).is_some())
        })
        .map(String::as_str)
}

fn tag_value<'a>(branch: &'a Map<String, Value>, tag: &str) -> Option<&'a str> {
    branch.get("properties")?.get(tag)?.get("const")?.as_str()
}
