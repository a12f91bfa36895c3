//! The names in a manifest, right or not, for who completes them.

use std::path::Path;

use super::files;
use super::references::entries;
use super::sugar::SUGAR;
use super::tree::Node;
use crate::stage::Stage;

/// The names in a manifest and what it extends, in the order in which they stand there.
#[derive(Default)]
pub struct Names {
    /// Of stages, with their kinds where those are known.
    pub stages: Vec<(String, Option<&'static dyn Stage>)>,
    /// Of tables.
    pub tables: Vec<String>,
    /// Of figures.
    pub figures: Vec<String>,
    /// Of profiles.
    pub profiles: Vec<String>,
}

/// The names in the manifest at `path`; none where it is not TOML. What else is wrong with it does not matter.
pub fn names(path: &Path, kinds: &[&'static dyn Stage]) -> Names {
    let Ok((tree, _)) = files::load(path, kinds) else {
        return Names::default();
    };
    let find = |name: &str| kinds.iter().copied().find(|kind| kind.name() == name);
    let of = |section| {
        let entries = entries(&tree, section).iter();
        entries.map(|entry| entry.key.clone()).collect()
    };
    let sugar = SUGAR
        .iter()
        .filter(|(section, _)| tree.get(section).is_some());
    let sugar = sugar.map(|(section, kind)| ((*section).to_owned(), find(kind)));
    let stages = entries(&tree, "stages").iter().map(|entry| {
        let kind = entry.value.get("kind").and_then(Node::as_str);
        (entry.key.clone(), kind.and_then(find))
    });
    let rounds = entries(&tree, "rounds").iter();
    let rounds = rounds.map(|entry| (entry.key.clone(), find("best")));
    Names {
        stages: sugar.chain(stages).chain(rounds).collect(),
        tables: of("tables"),
        figures: of("figures"),
        profiles: of("profiles"),
    }
}
