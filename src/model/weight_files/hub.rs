//! The safetensors files of a Hub folder, and what their headers say.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::Metadata;
use serde::Deserialize;

use super::INDEX;
use super::file::WeightFile;
use super::values::{Format, Place, StoredValues};
use crate::disk;
use crate::model::architecture::Architecture;
use crate::model::error::{ModelError, is_lfs_pointer};
use crate::model::safetensors::SINGLE;

/// The safetensors format allows no longer header.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes of a file that tell whether it is a pointer of Git LFS.
const LFS_BYTES: usize = 64;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The safetensors files of a folder, in a fixed order, and the index that names them, if one does.
pub(super) struct Listed {
    pub(super) files: Vec<PathBuf>,
    /// Where it lies, and each array's file.
    index: Option<(PathBuf, BTreeMap<String, String>)>,
}

impl Listed {
    pub(super) fn of(folder: &Path) -> Result<Self, ModelError> {
        let there = |path: &Path| disk::exists(path).map_err(ModelError::reading(path));
        let single = folder.join(SINGLE);
        if there(&single)? {
            return Ok(Self {
                files: vec![single],
                index: None,
            });
        }
        let path = folder.join(INDEX);
        if there(&path)? {
            let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
            let Index { weight_map } =
                serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
                    path: path.clone(),
                    source,
                })?;
            let names: BTreeSet<&String> = weight_map.values().collect();
            let files = names.into_iter().map(|name| shard(folder, &path, name));
            return Ok(Self {
                files: files.collect::<Result<_, _>>()?,
                index: Some((path, weight_map)),
            });
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

    /// Checks that each array of the index lies where it says; `names` are those of each of the files.
    ///
    /// # Errors
    /// The first that does not.
    pub(super) fn check_index(&self, names: &[Vec<String>]) -> Result<(), ModelError> {
        let Some((path, map)) = &self.index else {
            return Ok(());
        };
        let of: BTreeMap<_, BTreeSet<&str>> = (self.files.iter().zip(names))
            .map(|(file, names)| (file.file_name(), names.iter().map(String::as_str).collect()))
            .collect();
        let lies = |(name, file): &(&String, &String)| {
            let names = of.get(&Some(OsStr::new(file.as_str())));
            names.is_some_and(|names| names.contains(name.as_str()))
        };
        match map.iter().find(|entry| !lies(entry)) {
            None => Ok(()),
            Some((name, file)) => Err(ModelError::Index {
                path: path.clone(),
                says: format!("array `{name}` is said to lie in `{file}`, which does not have it"),
            }),
        }
    }
}

/// A shard lies in the folder itself: an index must not lead elsewhere.
fn shard(folder: &Path, index: &Path, name: &str) -> Result<PathBuf, ModelError> {
    if Path::new(name).file_name().and_then(|file| file.to_str()) != Some(name) {
        return Err(ModelError::Index {
            path: index.to_owned(),
            says: format!(
                "it names the shard `{name}`, which is not a plain file name: a shard lies in the folder itself"
            ),
        });
    }
    let path = folder.join(name);
    if disk::exists(&path).map_err(ModelError::reading(&path))? {
        Ok(path)
    } else {
        Err(ModelError::NoFile {
            path,
            hint: "model.safetensors.index.json names this shard; fetch the folder again",
        })
    }
}

/// What stands before an array's own name: `DistributedDataParallel` and `torch.compile` put it there when a wrapped
/// model is saved, around one another in any order.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// An array's own name.
pub(super) fn own_name<'a>(name: &'a str, architecture: &Architecture) -> &'a str {
    let mut own = name;
    while let Some(inner) = WRAPPERS.iter().find_map(|wrap| own.strip_prefix(wrap)) {
        own = inner;
    }
    own.strip_prefix(architecture.family.prefix())
        .unwrap_or(own)
}

/// The arrays of one file, and the names of all that is in it, as it has them.
pub(super) fn read_header(
    file: &Arc<WeightFile>,
    architecture: &Architecture,
) -> Result<(Vec<StoredValues>, Vec<String>), ModelError> {
    let damaged = |reason: String| ModelError::Damaged {
        path: file.path.clone(),
        reason,
    };
    let length = file.length()?;
    let mut head = [0; 8];
    if length < 8 {
        return Err(damaged(format!("it has only {length} bytes")));
    }
    file.read_exact_at(0, &mut head)?;
    let header_bytes = u64::from_le_bytes(head);
    // What Git LFS leaves in a file's place begins otherwise than any header that is believed.
    if header_bytes > MAX_HEADER_BYTES {
        let mut start = vec![0; usize::try_from(length).unwrap_or(LFS_BYTES).min(LFS_BYTES)];
        file.read_exact_at(0, &mut start)?;
        if is_lfs_pointer(&start) {
            return Err(ModelError::LfsPointer(file.path.clone()));
        }
    }
    if header_bytes > MAX_HEADER_BYTES || header_bytes > length - 8 {
        return Err(damaged(format!(
            "its header claims {header_bytes} bytes of {length}"
        )));
    }
    let mut header = vec![0; usize::try_from(header_bytes).map_err(|e| damaged(e.to_string()))?];
    file.read_exact_at(8, &mut header)?;
    // `Metadata` checks offsets, shapes and formats against one another as it is read.
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| damaged(error.to_string()))?;
    let expected = (8 + header_bytes).saturating_add(metadata.data_len() as u64);
    if length != expected {
        return Err(damaged(format!(
            "it has {length} bytes, its header says {expected}"
        )));
    }
    let mut arrays = Vec::new();
    let names = metadata.offset_keys();
    for name in &names {
        let info = metadata.info(name).expect("the name comes from this list");
        if architecture.family.is_no_weight(name) {
            continue;
        }
        let format = Format::of(info.dtype).ok_or_else(|| ModelError::NumberFormat {
            path: file.path.clone(),
            name: name.clone(),
            found: format!("{:?}", info.dtype),
        })?;
        let array = StoredValues {
            shape: info.shape.clone(),
            name: own_name(name, architecture).into(),
            place: Place::Plain {
                file: Arc::clone(file),
                start: 8 + header_bytes + info.data_offsets.0 as u64,
                format,
            },
        };
        arrays.push(array);
    }
    Ok((arrays, names))
}
