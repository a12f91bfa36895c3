//! Another family in one file and one line: [`Renamed`] is GPT-2 under other keys and names. What is read by its names is
//! the same model.

mod families;
pub(in crate::model) mod variants;

use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::model::engine::Engine;
use crate::model::{EngineOptions, Student, WeightFiles, Weights};

/// GPT-2 under other keys and names, whose order is another too.
#[derive(Debug)]
pub(super) struct Renamed;

impl Family for Renamed {
    fn model_type(&self) -> &'static str {
        "renamed"
    }

    fn keys(&self) -> Keys {
        Keys {
            width: "dim",
            inner: "hidden_dim",
            layers: "depth",
        }
    }

    fn read(&'static self, config: Value, _: &Path) -> Result<Architecture, ModelError> {
        let size = |key: &str| {
            config[key]
                .as_u64()
                .and_then(|size| usize::try_from(size).ok())
        };
        let size = |key| size(key).ok_or_else(|| ModelError::BadShape(format!("no `{key}`")));
        let gpt2 = Gpt2 {
            vocab_rows: size("rows")?,
            context: size("context")?,
            width: size("dim")?,
            layers: size("depth")?,
            heads: size("heads")?,
        };
        let mut architecture = Architecture {
            family: &Renamed,
            ..gpt2.into()
        };
        architecture.feed_forward.inner = size("hidden_dim")?;
        Ok(architecture)
    }

    fn check(&self, _: &Architecture) -> Result<(), ModelError> {
        Ok(())
    }

    fn config_json(&self, architecture: &Architecture) -> String {
        let config = json!({
            "model_type": self.model_type(),
            "rows": architecture.vocab_rows,
            "context": architecture.context,
            "dim": architecture.width,
            "depth": architecture.layers,
            "heads": architecture.heads.query,
            "hidden_dim": architecture.feed_forward.inner,
        });
        config.to_string()
    }

    fn name(&self, ArrayId { role, layer, part }: ArrayId) -> String {
        let layer = layer.map_or_else(String::new, |layer| format!("{layer}."));
        format!("{layer}{part:?}.{role:?}")
    }

    fn prefix(&self) -> &'static str {
        "stack."
    }

    fn output_name(&self) -> &'static str {
        "unembed"
    }

    fn is_no_weight(&self, name: &str) -> bool {
        name.contains(".cache")
    }
}

fn parity() -> Student {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    Student::load(&folder).unwrap()
}

fn logits(architecture: &Architecture, weights: &Weights) -> Vec<u32> {
    let engine = Engine::new(architecture, weights, EngineOptions::default()).unwrap();
    let logits = engine.logits(&[1, 200, 7, 7, 30]).unwrap();
    logits.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_model_under_other_names_is_the_same_model() {
    let gpt2 = parity();
    let renamed = Architecture {
        family: &Renamed,
        ..gpt2.architecture.clone()
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), renamed.config_json()).unwrap();
    let path = folder.path().join("model.safetensors");
    gpt2.weights.save(&path, &renamed).unwrap();
    let bytes = fs::read(&path).unwrap();
    let header = String::from_utf8_lossy(&bytes[..9_000]).into_owned();
    assert!(
        header.contains("\"stack.2.Weight.QueryKeyValue\""),
        "{header}"
    );
    assert!(!header.contains("c_attn"), "{header}");

    let read = Architecture::load(folder.path()).unwrap();
    assert_eq!(read.config_json(), renamed.config_json());
    let weights = WeightFiles::open(folder.path(), &read)
        .unwrap()
        .read()
        .unwrap();
    // In another order, and so another sum of them all; each array is the same.
    assert_ne!(
        weights.arrays.get_index(0),
        gpt2.weights.arrays.get_index(0)
    );
    assert_eq!(weights, gpt2.weights);
    assert_eq!(
        logits(&read, &weights),
        logits(&gpt2.architecture, &gpt2.weights)
    );

    // Messages have its names.
    let mut more = read;
    more.layers = 4;
    let message = WeightFiles::open(folder.path(), &more)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`3.Bias.AttentionNorm` is missing"),
        "{message}"
    );
    more.layers = 1_000;
    let message = WeightFiles::open(folder.path(), &more)
        .unwrap_err()
        .to_string();
    assert!(message.contains("`depth` is 1000"), "{message}");
}

#[test]
fn arrays_are_in_the_order_of_their_names() {
    let gpt2 = Gpt2 {
        vocab_rows: 5,
        context: 4,
        width: 2,
        layers: 11,
        heads: 1,
    };
    let specs = Architecture::from(gpt2).arrays();
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names.len(), 4 + 11 * 12);
    // As text, so the tenth block stands before the second.
    assert_eq!(names[0], "h.0.attn.c_attn.bias");
    assert_eq!(names[24], "h.10.attn.c_attn.bias");
    assert_eq!(
        names[names.len() - 4..],
        ["ln_f.bias", "ln_f.weight", "wpe.weight", "wte.weight"]
    );
    let shape = |id| &specs.iter().find(|spec| spec.id == id).unwrap().shape;
    assert_eq!(shape(ArrayId::weight(Role::QueryKeyValue, 7)), &[2, 6]);
    assert_eq!(shape(ArrayId::weight(Role::Down, 7)), &[8, 2]);
    assert_eq!(shape(ArrayId::POSITION_EMBEDDING), &[4, 2]);
}
