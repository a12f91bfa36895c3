//! Against PEFT (`tests/fixtures/lora`, whose README says what is in a folder), and adapters against one another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use crate::model::architecture::tests::variants::variants;
use crate::model::distance::furthest;
use crate::model::engine::Engine;
use crate::model::parity::Parity;
use crate::model::{Architecture, EngineOptions, Student, WeightFiles, WeightSource, Weights};

/// A model, an adapter of it, and what PEFT computes with both.
pub(in crate::model) struct Fixture {
    pub(in crate::model) parity: Parity,
    pub(in crate::model) adapter: Adapter,
    pub(in crate::model) expected: Expected,
    folder: PathBuf,
}

/// What `expected.json` says.
#[derive(Deserialize)]
pub(in crate::model) struct Expected {
    pub(in crate::model) learning_rate: f64,
    pub(in crate::model) losses: Vec<f64>,
    arrays: Vec<(String, Vec<usize>)>,
}

impl Fixture {
    /// All of them.
    pub(in crate::model) fn all() -> Vec<Self> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora");
        let read = |parity: Parity| {
            let folder = fixtures.join(&parity.name);
            let expected = fs::read(folder.join("expected.json")).ok()?;
            Some(Self {
                adapter: Adapter::load(&folder, &parity.architecture).unwrap(),
                expected: serde_json::from_slice(&expected).unwrap(),
                parity,
                folder,
            })
        };
        let all: Vec<Self> = Parity::all().into_iter().filter_map(read).collect();
        assert_eq!(all.len(), 3);
        all
    }

    /// The name and the values of each array as files have them.
    fn in_files(&self, weights: &Weights) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let prefix = self.parity.architecture.family.prefix();
        let specs = self.adapter.shape.arrays().into_iter();
        let one = |spec: crate::model::architecture::ArraySpec| {
            let file = &spec.files[0];
            let values = file.take(&weights.arrays[&spec.id].data, spec.shape[1]);
            let name = format!("base_model.model.{prefix}{}", file.name);
            (name, file.shape.clone(), values)
        };
        let mut all: Vec<_> = specs.map(one).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// How far gradients are from PEFT's, as a share of their array's largest: of all arrays the furthest, and its name.
    /// Differences below 1e-7 are none.
    pub(in crate::model) fn gradients_apart(&self, found: &Weights) -> (f64, String) {
        let expected = floats(&self.folder.join("gradients.f32"));
        let mut rest = &expected[..];
        let mut worst = (0.0, String::new());
        let all = self.in_files(found);
        assert_eq!(all.len(), self.expected.arrays.len());
        for (name, _, found) in all {
            let (wanted, later) = rest.split_at(found.len());
            rest = later;
            let largest = wanted.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let apart = (furthest(&found, wanted) - 1e-7) / f64::from(largest);
            if apart > worst.0 || apart.is_nan() {
                worst = (apart, name);
            }
        }
        assert!(rest.is_empty());
        worst
    }
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let values = bytes.as_chunks::<4>().0.iter();
    values.copied().map(f32::from_le_bytes).collect()
}

fn logits(architecture: &Architecture, weights: WeightSource<'_>, tokens: &[Vec<u32>]) -> Vec<f32> {
    let engine = Engine::new(architecture, weights, EngineOptions::default()).unwrap();
    let each = tokens.iter().map(|tokens| engine.logits(tokens).unwrap());
    each.collect::<Vec<_>>().concat()
}

fn base(fixture: &Fixture) -> WeightFiles {
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families");
    let parity = &fixture.parity;
    WeightFiles::open(&families.join(&parity.name), &parity.architecture).unwrap()
}

#[test]
fn logits_of_merged_weights_are_pefts() {
    for fixture in Fixture::all() {
        let (parity, adapter) = (&fixture.parity, &fixture.adapter);
        let (name, architecture) = (&parity.name, &parity.architecture);
        let files = base(&fixture).adapted(adapter);
        let merged = files.read().unwrap();
        let sequences = &parity.expected.sequences;
        let found = logits(architecture, files.into(), sequences);
        let wanted = floats(&fixture.folder.join("logits.f32"));
        let worst = furthest(&found, &wanted);
        assert!(worst < 1e-4, "{name}: {worst}");
        // However they are read.
        let again = logits(architecture, merged.into(), sequences);
        assert!(found == again, "{name}");
    }
}

#[test]
fn a_folder_is_as_peft_writes_it() {
    for fixture in Fixture::all() {
        let (name, architecture) = (&fixture.parity.name, &fixture.parity.architecture);
        let folder = tempfile::tempdir().unwrap();
        fixture.adapter.save(folder.path(), architecture).unwrap();
        // Names, shapes, values and metadata: the same bytes but for the order of the arrays.
        let bytes = |folder: &Path| fs::read(folder.join(ADAPTER_WEIGHTS)).unwrap();
        let (ours, theirs) = (bytes(folder.path()), bytes(&fixture.folder));
        let arrays = |bytes: &[u8]| -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
            let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
            let all = file.tensors().into_iter();
            all.map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())))
                .collect()
        };
        assert!(arrays(&ours) == arrays(&theirs), "{name}");
        let shapes = arrays(&ours)
            .into_iter()
            .map(|(name, (shape, _))| (name, shape));
        assert!(shapes.eq(fixture.expected.arrays.clone()), "{name}");
        // Of the configuration what we write, PEFT wrote so too.
        let config = |folder: &Path| -> serde_json::Map<String, serde_json::Value> {
            serde_json::from_slice(&fs::read(folder.join(ADAPTER_CONFIG)).unwrap()).unwrap()
        };
        let theirs = config(&fixture.folder);
        for (key, value) in config(folder.path()) {
            let same = match (value.as_f64(), theirs[&key].as_f64()) {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() < 1e-12,
                _ => value == theirs[&key],
            };
            assert!(same, "{name}: {key} {value} {}", theirs[&key]);
        }
        let again = Adapter::load(folder.path(), architecture).unwrap();
        assert_eq!(again, fixture.adapter);
    }
}

#[test]
fn a_fresh_adapter_changes_nothing_and_an_unknown_target_is_refused() {
    for (name, architecture) in variants() {
        let weights = Weights::spread(&architecture, 4, 8.0);
        let options = LoraOptions {
            rank: 3,
            ..LoraOptions::default()
        };
        let adapter = Adapter::init(&architecture, &options, 5).unwrap();
        assert_eq!(adapter, Adapter::init(&architecture, &options, 5).unwrap());
        assert_ne!(adapter, Adapter::init(&architecture, &options, 6).unwrap());
        assert_eq!(adapter.shape.parameters(), adapter.weights.parameters());
        for branch in &adapter.shape.branches {
            let (a, b) = (
                &adapter.weights.arrays[&branch.a()].data,
                &adapter.weights.arrays[&branch.b()].data,
            );
            let most = a.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let bound = 1.0 / (branch.inputs as f32).sqrt();
            assert!(most <= bound && most > 0.7 * bound, "{name}: {most}");
            assert!(b.iter().all(|value| *value == 0.0));
        }
        // Every output of every linear map has one branch.
        let linear = architecture
            .arrays()
            .into_iter()
            .filter(|spec| spec.shape.len() == 2 && spec.id.layer.is_some());
        for spec in linear {
            let mut end = 0;
            for branch in adapter.shape.of(spec.id) {
                assert_eq!((branch.first, branch.inputs), (end, spec.shape[0]));
                end += branch.outputs;
            }
            assert_eq!(end, spec.shape[1], "{name}: {}", spec.name);
            let array = &weights.arrays[&spec.id].data;
            let mut same = array.clone();
            for delta in adapter.deltas(spec.id) {
                delta.add_to(&mut same, 0, spec.shape[1]);
            }
            assert!(same == *array, "{name}: {}", spec.name);
        }
        let options = LoraOptions {
            targets: LoraTargets::Modules(vec!["proj".to_owned()]),
            ..options
        };
        let error = Adapter::init(&architecture, &options, 5).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("`targets` names `proj`") && error.contains("hint: "),
            "{error}"
        );
    }
}

#[test]
fn what_is_added_is_the_same_bits_in_any_pieces() {
    for fixture in Fixture::all() {
        for (id, array) in &fixture.parity.weights.arrays {
            let columns = *array.shape.last().unwrap();
            let merged = |piece: usize| {
                let mut values = array.data.clone();
                for (index, part) in values.chunks_mut(piece).enumerate() {
                    for delta in fixture.adapter.deltas(*id) {
                        delta.add_to(part, index * piece, columns);
                    }
                }
                values
            };
            let whole = merged(array.data.len());
            for piece in [1, 7, columns - 1, columns + 3] {
                assert!(merged(piece.max(1)) == whole, "{id:?} {piece}");
            }
        }
    }
}

#[test]
fn one_adapter_adds_what_two_did() {
    for fixture in Fixture::all() {
        let (architecture, first) = (&fixture.parity.architecture, &fixture.adapter);
        let module = first.shape.branches.last().unwrap().module.clone();
        // Beside one module, which the first adapter has too, and of another scale.
        let options = LoraOptions {
            rank: 2,
            alpha: 3.0,
            targets: LoraTargets::Modules(vec![module]),
            ..LoraOptions::default()
        };
        let mut second = Adapter::init(architecture, &options, 1).unwrap();
        for array in second.weights.arrays.values_mut() {
            for (index, value) in array.data.iter_mut().enumerate() {
                *value += (index % 7) as f32 / 20.0 - 0.15;
            }
        }
        let one = second.after(first, architecture).unwrap();
        assert_eq!(one.shape.rank, first.shape.rank + 2);
        assert_eq!(one.shape.branches.len(), first.shape.branches.len());
        let folder = tempfile::tempdir().unwrap();
        one.save(folder.path(), architecture).unwrap();
        assert_eq!(
            Adapter::load(folder.path(), architecture).unwrap().weights,
            one.weights
        );
        let mut changed = 0;
        for (id, array) in &fixture.parity.weights.arrays {
            let columns = *array.shape.last().unwrap();
            let with = |adapters: &[&Adapter]| {
                let mut values = array.data.clone();
                for delta in adapters.iter().flat_map(|adapter| adapter.deltas(*id)) {
                    delta.add_to(&mut values, 0, columns);
                }
                values
            };
            let worst = furthest(&with(&[&one]), &with(&[first, &second]));
            assert!(worst < 1e-5, "{id:?}: {worst}");
            changed += usize::from(with(&[first]) != with(&[first, &second]));
        }
        assert_eq!(changed, 1);
    }
}

#[test]
fn a_damaged_adapter_is_an_error() {
    let fixture = Fixture::all().remove(0);
    let architecture = &fixture.parity.architecture;
    let folder = tempfile::tempdir().unwrap();
    let load = || {
        Adapter::load(folder.path(), architecture)
            .unwrap_err()
            .to_string()
    };
    assert!(load().contains(ADAPTER_CONFIG), "{}", load());
    fixture.adapter.save(folder.path(), architecture).unwrap();
    let (config, weights) = (
        folder.path().join(ADAPTER_CONFIG),
        folder.path().join(ADAPTER_WEIGHTS),
    );
    let text = fs::read_to_string(&config).unwrap();
    let rank = format!("\"r\": {}", fixture.adapter.shape.rank);
    assert!(text.contains(&rank));
    fs::write(&config, text.replace(&rank, "\"r\": 9")).unwrap();
    assert!(load().contains("has shape"), "{}", load());
    fs::write(&config, "{}").unwrap();
    assert!(load().contains("is not what was expected"), "{}", load());
    fs::write(&config, text).unwrap();
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 3]).unwrap();
    assert!(load().contains("safetensors"), "{}", load());
    // Not a number, at the end of the file.
    let end = bytes.len() - 4;
    fs::write(&weights, [&bytes[..end], &f32::NAN.to_le_bytes()].concat()).unwrap();
    assert!(load().contains("holds NaN"), "{}", load());
}

/// Writes adapters and the models that they are merged into for `tests/fixtures/make_lora.py --check` into `CHECK_FOLDER`.
#[test]
#[ignore = "its output is for a script"]
fn folders_for_peft() {
    let folder = PathBuf::from(std::env::var("CHECK_FOLDER").unwrap());
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families");
    for fixture in Fixture::all() {
        let (name, architecture) = (&fixture.parity.name, &fixture.parity.architecture);
        let [adapter, merged] = ["adapter", "merged"].map(|part| folder.join(name).join(part));
        let twice = fixture.adapter.clone();
        let twice = twice.after(&fixture.adapter, architecture).unwrap();
        fs::create_dir_all(&adapter).unwrap();
        twice.save(&adapter, architecture).unwrap();
        for file in [
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "model.safetensors",
        ] {
            fs::copy(families.join(name).join(file), adapter.join(file)).unwrap();
        }
        let student = Student::open_adapted(&adapter, &BTreeMap::new()).unwrap();
        student.read().unwrap().save(&merged).unwrap();
    }
}
