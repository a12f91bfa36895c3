//! For tests: what HF transformers computes with a small random model of each family (`tests/fixtures/families`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::distance::furthest;
use super::{Architecture, WeightFiles, Weights};

/// One family's model and what is expected of it.
pub(super) struct Parity {
    /// The folder's name.
    pub(super) name: String,
    pub(super) architecture: Architecture,
    pub(super) weights: Weights,
    pub(super) expected: Expected,
    folder: PathBuf,
}

/// What `expected.json` says; see the README beside the fixtures.
#[derive(Deserialize)]
pub(super) struct Expected {
    pub(super) sequences: Vec<Vec<u32>>,
    pub(super) loss_from: Vec<Option<usize>>,
    pub(super) loss: f64,
    pub(super) adam: Adam,
    pub(super) adam_losses: Vec<f64>,
    arrays: Vec<(String, Vec<usize>)>,
    pub(super) greedy: Vec<Greedy>,
}

/// The optimiser of the ten steps.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Adam {
    pub(super) learning_rate: f64,
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) epsilon: f64,
    pub(super) weight_decay: f64,
}

/// A prompt and what goes on from it.
#[derive(Deserialize)]
pub(super) struct Greedy {
    pub(super) prompt: Vec<u32>,
    pub(super) continuation: Vec<u32>,
}

impl Parity {
    /// All of them, by name.
    pub(super) fn all() -> Vec<Self> {
        let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families");
        let entries = fs::read_dir(&families).unwrap();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        folders.retain(|folder| folder.is_dir());
        folders.sort();
        assert!(folders.len() > 10, "{folders:?}");
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let (architecture, weights) = model(&folder, "config.json");
        let expected = fs::read(folder.join("expected.json")).unwrap();
        Self {
            name,
            architecture,
            weights,
            expected: serde_json::from_slice(&expected).unwrap(),
            folder,
        }
    }

    /// The same model by the keys that the Hub's older folders have.
    pub(super) fn by_older_keys(&self) -> (Architecture, Weights) {
        model(&self.folder, "config.hub.json")
    }

    /// The sequences of which the loss counts tokens, each with the first that it counts.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&[u32], usize)> {
        let pairs = self.expected.sequences.iter().zip(&self.expected.loss_from);
        pairs.filter_map(|(tokens, loss_from)| Some((tokens.as_slice(), (*loss_from)?)))
    }

    /// Logits of all sequences, one after another.
    ///
    /// # Shapes
    /// To `[tokens, vocab_rows]`.
    pub(super) fn logits(&self) -> Vec<f32> {
        self.floats("logits.f32")
    }

    /// How far gradients are from transformers', as a share of their array's largest: of all arrays the furthest, and its
    /// name. Differences below 1e-7 are none.
    pub(super) fn gradients_apart(&self, found: &Weights) -> (f64, String) {
        let expected = self.by_name(&self.floats("gradients.f32"));
        let mut worst = (0.0, String::new());
        for (name, found) in self.in_files(found) {
            let expected = &expected[&name];
            let apart = (furthest(&found, expected) - 1e-7) / largest(expected);
            if apart > worst.0 || apart.is_nan() {
                worst = (apart, name);
            }
        }
        worst
    }

    /// How far weights after ten steps of Adam are from transformers', where the first gradient is above 1e-6 of its array's
    /// largest, and how many others there are: there it is noise, of which Adam takes the sign.
    pub(super) fn trained_apart(&self, found: &Weights) -> (f32, usize) {
        let gradients = self.by_name(&self.floats("gradients.f32"));
        let expected = self.by_name(&self.floats("final.f32"));
        let (mut worst, mut others) = (0.0_f32, 0);
        for (name, found) in self.in_files(found) {
            let (gradients, expected) = (&gradients[&name], &expected[&name]);
            let least = 1e-6 * largest(gradients);
            for ((found, expected), gradient) in found.iter().zip(expected).zip(gradients) {
                let apart = (found - expected).abs();
                if f64::from(gradient.abs()) <= least {
                    others += 1;
                } else if apart > worst || apart.is_nan() {
                    worst = apart;
                }
            }
        }
        (worst, others)
    }

    fn floats(&self, file: &str) -> Vec<f32> {
        let bytes = fs::read(self.folder.join(file)).unwrap();
        let (values, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty(), "{file}");
        values.iter().copied().map(f32::from_le_bytes).collect()
    }

    /// Values of all arrays end to end, by the arrays' names in files.
    fn by_name(&self, mut values: &[f32]) -> BTreeMap<String, Vec<f32>> {
        let mut by_name = BTreeMap::new();
        for (name, shape) in &self.expected.arrays {
            let (array, rest) = values.split_at(shape.iter().product());
            by_name.insert(name.clone(), array.to_vec());
            values = rest;
        }
        assert!(values.is_empty(), "{}", self.name);
        by_name
    }

    /// Arrays as files have them, by their names there.
    fn in_files(&self, weights: &Weights) -> Vec<(String, Vec<f32>)> {
        let architecture = &self.architecture;
        let prefix = architecture.family.prefix();
        let known = |name: &str| self.expected.arrays.iter().any(|(known, _)| known == name);
        let mut all = Vec::new();
        for spec in architecture.arrays() {
            let array = &weights.arrays[&spec.id].data;
            let outputs = spec.shape.last().copied().unwrap_or(1);
            for file in &spec.files {
                let prefixed = format!("{prefix}{}", file.name);
                let name = if known(&prefixed) {
                    prefixed
                } else {
                    file.name.clone()
                };
                all.push((name, file.take(array, outputs)));
            }
        }
        assert_eq!(all.len(), self.expected.arrays.len(), "{}", self.name);
        all
    }
}

fn model(folder: &Path, config: &str) -> (Architecture, Weights) {
    let path = folder.join(config);
    let named = |error| -> ! { panic!("{}: {error}", path.display()) };
    let architecture = Architecture::parse(&fs::read(&path).unwrap(), &path);
    let architecture = architecture.unwrap_or_else(|error| named(error));
    let weights = WeightFiles::open(folder, &architecture).and_then(|files| files.read());
    let weights = weights.unwrap_or_else(|error| named(error));
    (architecture, weights)
}

fn largest(values: &[f32]) -> f64 {
    f64::from(values.iter().fold(0.0, |most, value| value.abs().max(most)))
}
