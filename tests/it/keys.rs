//! Golden keys: an unplanned change of what is in a key would empty every user's cache.

use std::collections::BTreeMap;

use serde_json::json;
use sert_run::key::{Digest, Numerics, Recipe};
use sert_run::model::device::DeviceName;
use sert_run::stage::KINDS;

/// The key of `kind` with its defaults but for `given`, and inputs named by their ports: those that must be fed, since
/// one that stays empty is not in the key.
fn key(kind: &str, given: &serde_json::Value) -> String {
    let kind = sert_run::stage::kind(kind).unwrap();
    let params = kind.complete(given.as_object().unwrap()).unwrap();
    let recipe = Recipe {
        kind: kind.name().to_owned(),
        version: kind.version(),
        params: kind.key_params(&params),
        inputs: kind
            .inputs()
            .iter()
            .filter(|port| !port.optional)
            .map(|port| (port.input_name(0), Digest::of(port.name.as_bytes())))
            .collect(),
        files: BTreeMap::new(),
        seed: kind.seeded().then_some(0),
        numerics: kind.numerics(&params).map(|arithmetic| Numerics {
            dtype: arithmetic.dtype.name().to_owned(),
            backend: "cpu".to_owned(),
            engine: arithmetic.engine(DeviceName::Cpu).into(),
        }),
    };
    recipe.key().0.short()
}

#[test]
fn default_keys_stay() {
    let mut keys: Vec<String> = KINDS
        .iter()
        .map(|kind| format!("{} {}", kind.name(), key(kind.name(), &json!({}))))
        .collect();
    // As the paper's manifests have it: the keys from before there was a choice.
    for kind in KINDS.iter().filter(|kind| kind.reads_answers()) {
        let of_paper = key(kind.name(), &json!({ "reading": "paper" }));
        keys.push(format!("{} reading=paper {of_paper}", kind.name()));
    }
    let golden = include_str!("golden_keys.txt");
    assert_eq!(
        keys.join("\n"),
        golden.trim_end(),
        "if the meaning changed on purpose, raise the kind's VERSION and write the new keys; a new parameter \
         that changes nothing at its default belongs in NEUTRAL"
    );
}
