//! Weights as safetensors in a Hub folder.
//!
//! In: `model.safetensors`, or shards named by `model.safetensors.index.json`; f32, f16 or bf16; names with or
//! without `transformer.`. Out: [`Weights`] in f32. Arrays are read one by one straight into place, so the peak
//! is the f32 weights themselves, and a file that another process cuts short is an error, not a crash.
//! Source: the safetensors format; HF transformers' names.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, View};
use serde::Deserialize;

use super::config::Gpt2Config;
use super::error::ModelError;
use super::weights::{Array, Weights};

/// The safetensors format allows no longer header.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Weights in one file.
pub(crate) const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Reads the weights of a Hub folder and checks them against `config`.
    ///
    /// # Errors
    /// No weights, a damaged file, or arrays that do not fit.
    pub fn load(folder: &Path, config: &Gpt2Config) -> Result<Self, ModelError> {
        let mut raw = BTreeMap::new();
        for path in files(folder)? {
            read_file(&path, &mut raw)?;
        }
        let mut weights = Self::default();
        let mut head = None;
        for (name, array) in raw {
            let name = name
                .strip_prefix("transformer.")
                .unwrap_or(&name)
                .to_owned();
            match name.as_str() {
                "lm_head.weight" => head = Some(array),
                // Older files carry the causal mask as an array.
                mask if mask.ends_with(".attn.bias") || mask.ends_with(".attn.masked_bias") => {}
                _ => drop(weights.arrays.insert(name, array)),
            }
        }
        if let Some(head) = head {
            match weights.arrays.get("wte.weight") {
                None => drop(weights.arrays.insert("wte.weight".to_owned(), head)),
                Some(embedding) if *embedding == head => {}
                Some(_) => return Err(ModelError::UntiedHead),
            }
        }
        weights.check(config)?;
        Ok(weights)
    }

    /// Writes one f32 safetensors file with the names and the metadata that HF writes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let arrays = self
            .arrays
            .iter()
            .map(|(name, array)| (format!("transformer.{name}"), ArrayView(array)));
        let metadata = std::iter::once(("format".to_owned(), "pt".to_owned())).collect();
        safetensors::serialize_to_file(arrays, Some(metadata), path).map_err(|error| {
            ModelError::Io {
                action: "write",
                path: path.to_owned(),
                source: std::io::Error::other(error),
            }
        })
    }
}

/// The safetensors files of a folder, in a fixed order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let single = folder.join(SINGLE);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join(INDEX);
    if index.is_file() {
        let bytes = std::fs::read(&index).map_err(ModelError::reading(&index))?;
        let parsed: Index = serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
            path: index.clone(),
            source,
        })?;
        let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
        return names
            .into_iter()
            .map(|name| shard(folder, &index, &name))
            .collect();
    }
    if folder.join("pytorch_model.bin").is_file()
        || folder.join("pytorch_model.bin.index.json").is_file()
    {
        return Err(ModelError::OnlyPickle(folder.to_owned()));
    }
    Err(ModelError::NoFile {
        path: single,
        hint: "a model in Hub format has its weights in model.safetensors",
    })
}

/// A shard lies in the folder itself: an index must not lead elsewhere.
fn shard(folder: &Path, index: &Path, name: &str) -> Result<PathBuf, ModelError> {
    if Path::new(name).file_name().and_then(|file| file.to_str()) != Some(name) {
        return Err(ModelError::Damaged {
            path: index.to_owned(),
            reason: format!("`{name}` is not a plain file name"),
        });
    }
    let path = folder.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(ModelError::NoFile {
            path,
            hint: "model.safetensors.index.json names this shard; fetch the folder again",
        })
    }
}

fn read_file(path: &Path, arrays: &mut BTreeMap<String, Array>) -> Result<(), ModelError> {
    let damaged = |reason: String| ModelError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let mut file = File::open(path).map_err(ModelError::reading(path))?;
    let length = file.metadata().map_err(ModelError::reading(path))?.len();
    let mut head = [0; 8];
    if length < 8 {
        return Err(damaged(format!("it has only {length} bytes")));
    }
    file.read_exact(&mut head)
        .map_err(ModelError::reading(path))?;
    let header_bytes = u64::from_le_bytes(head);
    if header_bytes > MAX_HEADER_BYTES || header_bytes > length - 8 {
        return Err(damaged(format!(
            "its header claims {header_bytes} bytes of {length}"
        )));
    }
    let mut header = Vec::new();
    (&mut file)
        .take(header_bytes)
        .read_to_end(&mut header)
        .map_err(ModelError::reading(path))?;
    // `Metadata` checks offsets, shapes and formats against one another as it is read.
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| damaged(error.to_string()))?;
    let expected = (8 + header_bytes).saturating_add(metadata.data_len() as u64);
    if length != expected {
        return Err(damaged(format!(
            "it has {length} bytes, its header says {expected}"
        )));
    }
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).expect("the name comes from this list");
        // The buffers of older files (causal masks) are in formats of their own and are not needed.
        if name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") {
            continue;
        }
        let (start, end) = info.data_offsets;
        file.seek(SeekFrom::Start(8 + header_bytes + start as u64))
            .map_err(ModelError::reading(path))?;
        let mut bytes = vec![0; end - start];
        file.read_exact(&mut bytes)
            .map_err(ModelError::reading(path))?;
        let data = decode(info.dtype, &bytes).ok_or_else(|| ModelError::NumberFormat {
            path: path.to_owned(),
            name: name.clone(),
            found: format!("{:?}", info.dtype),
        })?;
        let shape = info.shape.clone();
        arrays.insert(name, Array { shape, data });
    }
    Ok(())
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || bytes.as_chunks::<2>().0.iter().copied();
    match dtype {
        Dtype::F32 => Some(
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|raw| f32::from_le_bytes(*raw))
                .collect(),
        ),
        Dtype::F16 => Some(
            pairs()
                .map(|raw| f16::from_le_bytes(raw).to_f32())
                .collect(),
        ),
        Dtype::BF16 => Some(
            pairs()
                .map(|raw| bf16::from_le_bytes(raw).to_f32())
                .collect(),
        ),
        _ => None,
    }
}

struct ArrayView<'a>(&'a Array);

impl View for ArrayView<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0
            .data
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    }

    fn data_len(&self) -> usize {
        4 * self.0.data.len()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use safetensors::tensor::TensorView;

    use super::*;

    fn tiny() -> (Gpt2Config, Weights) {
        let config = Gpt2Config {
            vocab_size: 5,
            n_positions: 4,
            n_embd: 2,
            n_layer: 1,
            n_head: 1,
            eos_token_id: 0,
            ..Gpt2Config::default()
        };
        let mut arrays = BTreeMap::new();
        for (name, shape) in Weights::shapes(&config) {
            let mut array = Array::full(&shape, 0.0);
            for (index, value) in array.data.iter_mut().enumerate() {
                // Multiples of 1/4 are exact in f16 and bf16 too.
                *value = index as f32 / 4.0 - 1.0;
            }
            arrays.insert(name, array);
        }
        (config, Weights { arrays })
    }

    /// Writes arrays as given, in any format.
    fn write(path: &Path, arrays: &[(String, Dtype, Vec<usize>, Vec<u8>)]) {
        let views = arrays.iter().map(|(name, dtype, shape, bytes)| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize_to_file(views, None, path).unwrap();
    }

    fn encoded(
        weights: &Weights,
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
            .map(|(name, array)| {
                let bytes = array.data.iter().flat_map(encode).collect();
                (format!("{prefix}{name}"), dtype, array.shape.clone(), bytes)
            })
            .collect()
    }

    #[test]
    fn what_is_saved_is_loaded_bit_for_bit() {
        let (config, weights) = tiny();
        let folder = tempfile::tempdir().unwrap();
        weights.save(&folder.path().join(SINGLE)).unwrap();
        assert_eq!(Weights::load(folder.path(), &config).unwrap(), weights);
    }

    #[test]
    fn half_precision_old_buffers_and_a_tied_head_are_read() {
        let (config, weights) = tiny();
        for dtype in [Dtype::F16, Dtype::BF16, Dtype::F32] {
            for prefix in ["", "transformer."] {
                let folder = tempfile::tempdir().unwrap();
                let mut arrays = encoded(&weights, dtype, prefix);
                let head = arrays
                    .iter()
                    .find(|(name, ..)| name.ends_with("wte.weight"))
                    .unwrap()
                    .clone();
                arrays.push(("lm_head.weight".to_owned(), head.1, head.2, head.3));
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
                assert_eq!(Weights::load(folder.path(), &config).unwrap(), weights);
            }
        }
    }

    #[test]
    fn shards_are_read_through_their_index() {
        let (config, weights) = tiny();
        let folder = tempfile::tempdir().unwrap();
        let arrays = encoded(&weights, Dtype::F32, "transformer.");
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
        assert_eq!(Weights::load(folder.path(), &config).unwrap(), weights);

        fs::remove_file(folder.path().join("b.safetensors")).unwrap();
        let message = Weights::load(folder.path(), &config)
            .unwrap_err()
            .to_string();
        assert!(message.contains("b.safetensors` is missing"), "{message}");
        fs::write(&index, r#"{"weight_map": {"x": "../a.safetensors"}}"#).unwrap();
        let message = Weights::load(folder.path(), &config)
            .unwrap_err()
            .to_string();
        assert!(message.contains("not a plain file name"), "{message}");
    }

    #[test]
    fn every_defect_of_the_file_has_its_message() {
        let (config, weights) = tiny();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SINGLE);
        let failure = || {
            Weights::load(folder.path(), &config)
                .unwrap_err()
                .to_string()
        };

        assert!(
            failure().contains("model.safetensors` is missing\nhint: "),
            "{}",
            failure()
        );
        fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
        assert!(failure().contains("hint: convert it"), "{}", failure());

        weights.save(&path).unwrap();
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

        let mut arrays = encoded(&weights, Dtype::F32, "");
        arrays[0].1 = Dtype::I32;
        write(&path, &arrays);
        assert!(
            failure().contains("is stored as I32, accepted: F32, F16, BF16"),
            "{}",
            failure()
        );

        let mut arrays = encoded(&weights, Dtype::F32, "");
        arrays.push(("lm_head.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4]));
        write(&path, &arrays);
        assert!(
            failure().contains("differs from `wte.weight`"),
            "{}",
            failure()
        );
    }
}
