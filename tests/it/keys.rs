//! Golden keys: an unplanned change of what is in a key would empty every user's cache.

use std::collections::BTreeMap;

use sert_run::key::{Digest, Numerics, Recipe};
use sert_run::model::engine::ENGINE_VERSION;
use sert_run::stage::KINDS;

/// The key of `kind` with its defaults, and inputs named by their ports: those that must be fed, since one
/// that stays empty is not in the key.
fn default_key(kind: &str) -> String {
    let kind = sert_run::stage::kind(kind).unwrap();
    let params = kind.complete(&serde_json::Map::new()).unwrap();
    let recipe = Recipe {
        kind: kind.name().to_owned(),
        version: kind.version(),
        params: kind.key_params(&params),
        inputs: kind
            .inputs()
            .iter()
            .filter(|port| !port.optional)
            .map(|port| (port.name.to_owned(), Digest::of(port.name.as_bytes())))
            .collect(),
        files: BTreeMap::new(),
        seed: kind.seeded().then_some(0),
        numerics: kind.runs_model().then(|| Numerics {
            dtype: "f32".to_owned(),
            backend: "cpu".to_owned(),
            engine: ENGINE_VERSION,
        }),
    };
    recipe.key().0.short()
}

#[test]
fn default_keys_stay() {
    let keys: Vec<String> = KINDS
        .iter()
        .map(|kind| format!("{} {}", kind.name(), default_key(kind.name())))
        .collect();
    let golden = include_str!("golden_keys.txt");
    assert_eq!(
        keys.join("\n"),
        golden.trim_end(),
        "if the meaning changed on purpose, raise the kind's VERSION and write the new keys; a new parameter \
         that changes nothing at its default belongs in NEUTRAL"
    );
}
