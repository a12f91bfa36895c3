//! Weights as safetensors in a Hub folder: written with the Hub's names. [`super::WeightFiles`] reads them.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, View};

use super::architecture::{Architecture, ArraySpec, FileArray, Layout, Role};
use super::error::ModelError;
use super::weights::{Array, Weights};

/// Weights in one file.
pub(crate) const SINGLE: &str = "model.safetensors";

impl Weights {
    /// Writes one f32 safetensors file with the names and the metadata that HF writes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, architecture: &Architecture) -> Result<(), ModelError> {
        let prefix = |spec: &ArraySpec| match spec.id.role {
            Role::Output => "",
            _ => architecture.family.prefix(),
        };
        write(self, &architecture.arrays(), prefix, path)
    }
}

/// Writes one f32 safetensors file of the arrays of `specs`, with what stands before their names.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write<'a>(
    weights: &Weights,
    specs: &[ArraySpec],
    prefix: impl Fn(&ArraySpec) -> &'a str,
    path: &Path,
) -> Result<(), ModelError> {
    let arrays = specs.iter().flat_map(|spec| {
        let (array, prefix) = (&weights.arrays[&spec.id], prefix(spec));
        let files = spec.files.iter();
        files.map(move |file| (format!("{prefix}{}", file.name), FileView { file, array }))
    });
    let metadata = std::iter::once(("format".to_owned(), "pt".to_owned())).collect();
    // The library writes to a temporary file, which is private, and renames it; a model has the rights that the umask leaves.
    let beside = path.parent().unwrap_or(Path::new("."));
    let usual = tempfile::Builder::new().make_in(beside, |path| fs::File::create_new(path));
    let usual = usual.and_then(|file| file.as_file().metadata());
    let usual = usual.map_err(ModelError::writing(path))?.permissions();
    safetensors::serialize_to_file(arrays, Some(metadata), path).map_err(|error| {
        let source = match error {
            SafeTensorError::IoError(source) => source,
            other => std::io::Error::other(other),
        };
        ModelError::writing(path)(source)
    })?;
    fs::set_permissions(path, usual).map_err(ModelError::writing(path))
}

/// An array of the file, made of one in memory.
struct FileView<'a> {
    file: &'a FileArray,
    array: &'a Array,
}

impl View for FileView<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        match self.file.layout {
            Layout::Same => &self.array.shape,
            Layout::Outputs { .. } => &self.file.shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = |values: &[f32]| -> Vec<u8> {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            bytes.collect()
        };
        let Array { shape, data } = self.array;
        match (self.file.layout, shape.last()) {
            (Layout::Outputs { .. }, Some(outputs)) => bytes(&self.file.take(data, *outputs)),
            _ => bytes(data),
        }
        .into()
    }

    fn data_len(&self) -> usize {
        4 * self.shape().iter().product::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use half::{bf16, f16};
    use safetensors::tensor::TensorView;

    use super::super::EngineOptions;
    use super::super::architecture::{ArrayId, ArraySpec, Gpt2, Role};
    use super::super::engine::Engine;
    use super::super::source::WeightSource;
    use super::super::weight_files::{INDEX, WeightFiles};
    use super::*;

    fn load(folder: &Path, architecture: &Architecture) -> Result<Weights, ModelError> {
        WeightFiles::open(folder, architecture)?.read()
    }

    fn tiny() -> (Architecture, Weights) {
        let architecture = Architecture::from(Gpt2 {
            vocab_rows: 5,
            context: 4,
            width: 2,
            layers: 1,
            heads: 1,
        });
        let mut weights = Weights::default();
        for ArraySpec { id, shape, .. } in architecture.arrays() {
            let mut array = Array::full(&shape, 0.0);
            for (index, value) in array.data.iter_mut().enumerate() {
                // Multiples of 1/4 are exact in f16 and bf16 too.
                *value = index as f32 / 4.0 - 1.0;
            }
            weights.arrays.insert(id, array);
        }
        (architecture, weights)
    }

    /// Writes arrays as given, in any format.
    fn write(path: &Path, arrays: &[(String, Dtype, Vec<usize>, Vec<u8>)]) {
        let views = arrays.iter().map(|(name, dtype, shape, bytes)| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize_to_file(views, None, path).unwrap();
    }

    fn encoded(
        (architecture, weights): &(Architecture, Weights),
        dtype: Dtype,
        prefix: &str,
    ) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
        let encode = |value: &f32| match dtype {
            Dtype::F16 => f16::from_f32(*value).to_le_bytes().to_vec(),
            Dtype::BF16 => bf16::from_f32(*value).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        weights
            .arrays
            .iter()
            .map(|(id, array)| {
                let name = architecture.name(*id);
                let bytes = array.data.iter().flat_map(encode).collect();
                (format!("{prefix}{name}"), dtype, array.shape.clone(), bytes)
            })
            .collect()
    }

    #[test]
    fn what_is_saved_is_loaded_bit_for_bit() {
        let model = tiny();
        let (architecture, weights) = &model;
        let folder = tempfile::tempdir().unwrap();
        weights
            .save(&folder.path().join(SINGLE), architecture)
            .unwrap();
        assert_eq!(load(folder.path(), architecture).unwrap(), *weights);
    }

    #[test]
    fn half_precision_old_buffers_and_a_tied_head_are_read() {
        let model = tiny();
        let (architecture, weights) = &model;
        for dtype in [Dtype::F16, Dtype::BF16, Dtype::F32] {
            for prefix in [
                "",
                "transformer.",
                "module.",
                "_orig_mod.transformer.",
                "module._orig_mod.transformer.",
                "_orig_mod.module.",
            ] {
                let folder = tempfile::tempdir().unwrap();
                let mut arrays = encoded(&model, dtype, prefix);
                let head = arrays
                    .iter()
                    .find(|(name, ..)| name.ends_with("wte.weight"))
                    .unwrap()
                    .clone();
                let wrapped = prefix.replace("transformer.", "");
                arrays.push((format!("{wrapped}lm_head.weight"), head.1, head.2, head.3));
                arrays.push((
                    format!("{prefix}h.0.attn.bias"),
                    Dtype::U8,
                    vec![1, 2],
                    vec![1, 0],
                ));
                arrays.push((
                    format!("{prefix}h.0.attn.masked_bias"),
                    Dtype::F32,
                    vec![],
                    vec![0; 4],
                ));
                write(&folder.path().join(SINGLE), &arrays);
                assert_eq!(load(folder.path(), architecture).unwrap(), *weights);
            }
        }
    }

    #[test]
    fn an_engine_that_reads_files_is_the_same_to_the_bit() {
        // More than one piece of an array, and columns that fill no panel.
        let architecture = Architecture::from(Gpt2 {
            vocab_rows: 5_003,
            context: 4,
            width: 20,
            layers: 2,
            heads: 2,
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SINGLE);
        let mut fresh = Weights::init(&architecture, 3);
        fresh.save(&path, &architecture).unwrap();
        let files = WeightFiles::open(folder.path(), &architecture).unwrap();
        assert_eq!(files.parameters(), fresh.parameters());
        files.check_values().unwrap();
        let logits = |weights: WeightSource<'_>| {
            let engine = Engine::new(&architecture, weights, EngineOptions::default()).unwrap();
            let logits = engine.logits(&[1, 5_002, 7]).unwrap();
            logits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let expected = logits((&fresh).into());
        assert_eq!(logits(files.clone().into()), expected);
        // Its name may go while it is open.
        fs::remove_file(&path).unwrap();
        assert_eq!(logits(files.into()), expected);

        for (id, name) in [
            (ArrayId::TOKEN_EMBEDDING, "wte.weight"),
            (ArrayId::weight(Role::Up, 1), "h.1.mlp.c_fc.weight"),
            (ArrayId::bias(Role::FeedForwardNorm, 0), "h.0.ln_2.bias"),
        ] {
            let kept = fresh.clone();
            *fresh.arrays[&id].data.last_mut().unwrap() = f32::NAN;
            fresh.save(&path, &architecture).unwrap();
            let files = WeightFiles::open(folder.path(), &architecture).unwrap();
            let index = fresh.arrays[&id].data.len() - 1;
            let expected = format!("array `{name}` holds NaN at index {index}");
            let options = EngineOptions::default();
            for error in [
                files.check_values().unwrap_err().to_string(),
                files.read().unwrap_err().to_string(),
                Engine::new(&architecture, files, options)
                    .err()
                    .unwrap()
                    .to_string(),
            ] {
                assert!(error.contains(&expected), "{error}");
            }
            fresh = kept;
        }
        // Cut short after it was opened: an error too.
        fresh.save(&path, &architecture).unwrap();
        let files = WeightFiles::open(folder.path(), &architecture).unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(9_000)
            .unwrap();
        let error = Engine::new(&architecture, files, EngineOptions::default())
            .err()
            .unwrap();
        assert!(error.to_string().contains("cannot read"), "{error}");
    }

    #[test]
    fn shards_are_read_through_their_index() {
        let model = tiny();
        let (architecture, weights) = &model;
        let folder = tempfile::tempdir().unwrap();
        let arrays = encoded(&model, Dtype::F32, "transformer.");
        let (first, second) = arrays.split_at(7);
        let mut map = BTreeMap::new();
        for (file, part) in [("a.safetensors", first), ("b.safetensors", second)] {
            write(&folder.path().join(file), part);
            map.extend(part.iter().map(|(name, ..)| (name.clone(), file)));
        }
        let index = folder.path().join(INDEX);
        fs::write(
            &index,
            serde_json::json!({ "metadata": {}, "weight_map": map }).to_string(),
        )
        .unwrap();
        assert_eq!(load(folder.path(), architecture).unwrap(), *weights);

        fs::remove_file(folder.path().join("b.safetensors")).unwrap();
        let message = load(folder.path(), architecture).unwrap_err().to_string();
        assert!(message.contains("b.safetensors` is missing"), "{message}");
        fs::write(&index, r#"{"weight_map": {"x": "../a.safetensors"}}"#).unwrap();
        let message = load(folder.path(), architecture).unwrap_err().to_string();
        assert!(
            message.contains("`../a.safetensors`, which is not a plain file name"),
            "{message}"
        );
        assert!(!message.contains("not a whole"), "{message}");
    }

    #[test]
    fn an_index_says_where_each_array_lies() {
        let model = tiny();
        let (architecture, _) = &model;
        let folder = tempfile::tempdir().unwrap();
        let arrays = encoded(&model, Dtype::F32, "transformer.");
        let (first, second) = arrays.split_at(7);
        let failure = |parts: [&[_]; 2], change: &dyn Fn(&mut BTreeMap<String, &str>)| {
            let mut map = BTreeMap::new();
            for (file, part) in ["a.safetensors", "b.safetensors"].into_iter().zip(parts) {
                write(&folder.path().join(file), part);
                map.extend(part.iter().map(|(name, ..)| (name.clone(), file)));
            }
            change(&mut map);
            let index = serde_json::json!({ "weight_map": map }).to_string();
            fs::write(folder.path().join(INDEX), index).unwrap();
            load(folder.path(), architecture).unwrap_err().to_string()
        };
        let (name, other) = (&first[0].0, &second[0].0);
        for (array, shard) in [(name.as_str(), "b.safetensors"), ("foo", "a.safetensors")] {
            let said = failure([first, second], &|map| {
                map.insert(array.to_owned(), shard);
            });
            let expected = format!("array `{array}` is said to lie in `{shard}`, which does not");
            assert!(said.contains(&expected) && said.contains(INDEX), "{said}");
            assert!(said.contains("\nhint: "), "{said}");
        }
        let both = [second, &first[..1]].concat();
        let said = failure([first, &both], &|_| ());
        assert!(
            said.contains("a.safetensors` and in `") && said.contains("b.safetensors`\nhint: "),
            "{said}"
        );
        // What is missing says of which folder.
        let said = failure([first, &second[1..]], &|_| ());
        let expected = format!("weights of `{}`: array", folder.path().display());
        assert!(
            said.starts_with(&expected) && said.contains(&other["transformer.".len()..]),
            "{said}"
        );
    }

    #[test]
    fn every_defect_of_the_file_has_its_message() {
        let model = tiny();
        let (architecture, weights) = &model;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SINGLE);
        let failure = || load(folder.path(), architecture).unwrap_err().to_string();

        assert!(
            failure().contains("model.safetensors` is missing\nhint: "),
            "{}",
            failure()
        );
        fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
        assert!(failure().contains("hint: convert it"), "{}", failure());

        weights.save(&path, architecture).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in [0, 7, 8, 100, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(
                failure().contains("not a whole safetensors file"),
                "{}",
                failure()
            );
        }
        fs::write(&path, vec![0xff; 64]).unwrap();
        assert!(failure().contains("its header claims"), "{}", failure());

        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n";
        fs::write(&path, pointer).unwrap();
        assert!(
            failure().contains("a pointer of Git LFS") && failure().contains("hint: run `git lfs"),
            "{}",
            failure()
        );

        let mut arrays = encoded(&model, Dtype::F32, "");
        arrays[0].1 = Dtype::I32;
        write(&path, &arrays);
        assert!(
            failure().contains("is stored as I32, accepted: F32, F16, BF16\nhint: "),
            "{}",
            failure()
        );

        let mut arrays = encoded(&model, Dtype::F32, "");
        arrays.push(("lm_head.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4]));
        write(&path, &arrays);
        assert!(
            failure().contains("differs from `wte.weight`"),
            "{}",
            failure()
        );

        let mut arrays = encoded(&model, Dtype::F32, "transformer.");
        let (_, dtype, shape, bytes) = arrays[0].clone();
        let name = arrays[0].0.replace("transformer.", "module.");
        arrays.push((name, dtype, shape, bytes));
        write(&path, &arrays);
        assert!(
            failure().contains("`h.0.attn.c_attn.bias` is there twice: in `"),
            "{}",
            failure()
        );
        let arrays = encoded(&model, Dtype::F32, "model.");
        write(&path, &arrays);
        assert!(
            failure().contains("`model.h.0.attn.c_attn.bias` where `h.0.attn.c_attn.bias` was"),
            "{}",
            failure()
        );
    }
}
