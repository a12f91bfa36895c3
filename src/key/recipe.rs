//! A stage's recipe: everything that its outputs depend on, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Digest, canonical_json};

/// The name under which a stage's outputs are kept: the digest of its [`Recipe`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StageKey(pub Digest);

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What arithmetic a model stage's results depend on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Numerics {
    /// Number format of weights and arithmetic, for example `f32`.
    pub dtype: String,
    /// Backend family, for example `cpu`; not the device's index.
    pub backend: String,
    /// The arithmetic by backend and purpose, for example `cpu-sample/2`. Records from before these had names hold a number.
    pub engine: Value,
}

/// All that a stage's outputs depend on.
///
/// | in the key | not in it |
/// |---|---|
/// | kind and its version | stage name, order, comments |
/// | parameters, defaults filled in | batch size, threads, device index |
/// | content digests of inputs, by port | where the inputs came from |
/// | digests of outside files | their paths on disk |
/// | seed | log level |
/// | numerics, for model stages | clocks, host |
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Recipe {
    /// Stage kind, for example `filter`.
    pub kind: String,
    /// The kind's version: raised when the same parameters come to mean something else.
    pub version: u32,
    /// Parameters; those that equal their neutral value are left out.
    pub params: Map<String, Value>,
    /// Content digest of each input, by port.
    pub inputs: BTreeMap<String, Digest>,
    /// Content digests of outside files that the stage reads, by role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Digest>,
    /// The seed, where the kind draws random numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The arithmetic, where the kind runs a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerics: Option<Numerics>,
}

/// One field in which two recipes differ.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Difference {
    /// Dotted path, for example `params.length.min_tokens` or `inputs.model`.
    pub field: String,
    /// The value there before, as canonical JSON; `None` where it was absent.
    pub from: Option<String>,
    /// The value there now.
    pub to: Option<String>,
}

impl Recipe {
    /// The recipe as canonical JSON: the bytes that the key digests.
    pub fn canonical(&self) -> String {
        let value = serde_json::to_value(self).expect("a recipe holds only JSON values");
        canonical_json(&value)
    }

    /// The stage's key.
    pub fn key(&self) -> StageKey {
        StageKey(Digest::of(self.canonical().as_bytes()))
    }

    /// The fields in which `self` differs from `before`, in order of their paths.
    pub fn differences(&self, before: &Recipe) -> Vec<Difference> {
        let (now, then) = (self.leaves(), before.leaves());
        let fields: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
        fields
            .into_iter()
            .filter(|field| now.get(*field) != then.get(*field))
            .map(|field| Difference {
                field: field.clone(),
                from: then.get(field).cloned(),
                to: now.get(field).cloned(),
            })
            .collect()
    }

    /// Every leaf of the recipe by dotted path.
    fn leaves(&self) -> BTreeMap<String, String> {
        let mut leaves = BTreeMap::new();
        let value = serde_json::to_value(self).expect("a recipe holds only JSON values");
        collect("", &value, &mut leaves);
        leaves
    }
}

fn collect(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    if let Value::Object(map) = value {
        for (key, item) in map {
            let below = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            collect(&below, item, leaves);
        }
    } else {
        leaves.insert(path.to_owned(), canonical_json(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recipe(params: Value) -> Recipe {
        let Value::Object(params) = params else {
            unreachable!("tests pass objects")
        };
        Recipe {
            kind: "filter".into(),
            version: 1,
            params,
            inputs: BTreeMap::from([("paths".into(), Digest::of(b"paths"))]),
            files: BTreeMap::new(),
            seed: None,
            numerics: None,
        }
    }

    /// An unplanned change of how keys are made would empty every user's cache.
    #[test]
    fn golden_key() {
        assert_eq!(
            recipe(json!({"b": 1, "a": 2})).canonical(),
            format!(
                r#"{{"inputs":{{"paths":"{}"}},"kind":"filter","params":{{"a":2,"b":1}},"version":1}}"#,
                Digest::of(b"paths")
            )
        );
    }

    #[test]
    fn differences_name_the_field_and_both_values() {
        let before = recipe(json!({"length": {"min_tokens": 25}, "x": 1}));
        let now = recipe(json!({"length": {"min_tokens": 30}, "y": 1}));
        let found: Vec<_> = now
            .differences(&before)
            .into_iter()
            .map(|d| (d.field, d.from, d.to))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "params.length.min_tokens".into(),
                    Some("25".into()),
                    Some("30".into())
                ),
                ("params.x".into(), Some("1".into()), None),
                ("params.y".into(), None, Some("1".into())),
            ]
        );
    }
}
