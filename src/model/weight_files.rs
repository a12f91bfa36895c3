//! A student's weights as they lie in the safetensors files of a Hub folder: opened and checked by name and shape,
//! their values not read yet.
//!
//! In: `model.safetensors`, or shards named by `model.safetensors.index.json`; f32, f16 or bf16; names with or
//! without their family's prefix and what `PyTorch`'s wrappers put before them (`module.`, `_orig_mod.`). Out: values in f32, a
//! piece at a time and from several threads at once, so whoever packs or copies them needs no second copy of the whole.
//! Files are read, not mapped: one that another process cuts short is an error, not a crash.
//! Source: the safetensors format; the names are the architecture's family's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};
use indexmap::IndexMap;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use super::architecture::{Architecture, ArrayId, ArraySpec, FileArray, Layout, Output};
use super::error::ModelError;
use super::in_order::in_order;
use super::safetensors::SINGLE;
use super::weights::{Array, Weights, check_layers, check_shapes};
use crate::disk;
use crate::key::{Digest, DigestedFile, read_exact_at};
use crate::memory::room_for;

/// The safetensors format allows no longer header.
const MAX_HEADER_BYTES: u64 = 100_000_000;
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// Values that a thread reads at a time, where threads share an array.
const PIECE: usize = 32 * 1024;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Weights in files. A clone reads from the same open files.
#[derive(Clone, Debug)]
pub struct WeightFiles {
    pub(super) arrays: IndexMap<ArrayId, StoredArray>,
    files: Vec<Arc<WeightFile>>,
}

impl WeightFiles {
    /// Opens the weights of a Hub folder and checks names and shapes against `architecture`.
    ///
    /// # Errors
    /// No weights, a damaged file, or arrays that do not fit.
    pub fn open(folder: &Path, architecture: &Architecture) -> Result<Self, ModelError> {
        Self::open_digested(folder, architecture, &BTreeMap::new())
    }

    /// The same of files whose `digests` are known by name: what is read of these is digested on the way, for
    /// [`WeightFiles::check_digests`].
    ///
    /// # Errors
    /// As of [`WeightFiles::open`].
    pub fn open_digested(
        folder: &Path,
        architecture: &Architecture,
        digests: &BTreeMap<String, Digest>,
    ) -> Result<Self, ModelError> {
        let mut arrays = BTreeMap::new();
        let mut opened = Vec::new();
        let mut head = None;
        for path in files(folder)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let digest = name.and_then(|name| digests.get(name));
            let file = Arc::new(WeightFile::open(&path, digest.copied())?);
            opened.push(Arc::clone(&file));
            for array in read_header(&file, architecture)? {
                let name = array.name.to_string();
                let before = if name == architecture.family.output_name()
                    && architecture.output == Output::Tied
                {
                    head.replace(array)
                } else {
                    arrays.insert(name.clone(), array)
                };
                if before.is_some() {
                    return Err(ModelError::ArrayTwice(name));
                }
            }
        }
        if let Some(head) = head {
            let embedding = arrays.entry(architecture.name(ArrayId::TOKEN_EMBEDDING));
            let embedding = embedding.or_insert_with(|| head.clone());
            if !embedding.equals(&head)? {
                return Err(ModelError::UntiedHead {
                    output: architecture.family.output_name(),
                    embedding: architecture.name(ArrayId::TOKEN_EMBEDDING),
                });
            }
        }
        let found = arrays.iter();
        let found = found.map(|(name, array)| (name.as_str(), array.shape.as_slice()));
        let found = found.collect();
        check_layers(architecture, &found)?;
        let specs = architecture.arrays();
        let expected = specs.iter().flat_map(|spec| &spec.files);
        let expected = expected.map(|file| (file.name.as_str(), file.shape.as_slice()));
        check_shapes(expected.collect(), &found)?;
        let stored = |ArraySpec {
                          id, shape, files, ..
                      }: ArraySpec| {
            let parts = files.into_iter().filter_map(|file| {
                let values = arrays.remove(&file.name)?;
                Some(StoredPart { file, values })
            });
            let parts = parts.collect();
            (id, StoredArray { shape, parts })
        };
        Ok(Self {
            arrays: specs.into_iter().map(stored).collect(),
            files: opened,
        })
    }

    /// Checks that the files whose digests are known are what these say, in the bytes that were read of them. Call it
    /// once the values are read and before anything is made of them; what nobody read is read here.
    ///
    /// # Errors
    /// A file cannot be read, or is damaged.
    pub fn check_digests(&self) -> Result<(), ModelError> {
        self.files.iter().try_for_each(|file| file.check())
    }

    /// All values, in memory. Threads of the caller's pool read together.
    ///
    /// # Errors
    /// A file cannot be read, or a value is not a number.
    pub fn read(&self) -> Result<Weights, ModelError> {
        self.check_room(4)?;
        let arrays: Vec<_> = self.arrays.iter().collect();
        let read = arrays.into_par_iter().map(|(id, array)| {
            let data = array.read_all()?;
            let shape = array.shape.clone();
            Ok((*id, Array { shape, data }))
        });
        let arrays = in_order(read)?;
        Ok(Weights { arrays })
    }

    /// Reads every value, and keeps none.
    ///
    /// # Errors
    /// A file cannot be read, or a value is not a number.
    pub fn check_values(&self) -> Result<(), ModelError> {
        let arrays: Vec<&StoredArray> = self.arrays.values().collect();
        let parts = arrays.into_par_iter().flat_map(|array| &array.parts);
        let checked = parts.map_init(Vec::new, |room, StoredPart { values, .. }| {
            (0..values.len()).step_by(PIECE).try_for_each(|first| {
                room.resize(PIECE.min(values.len() - first), 0.0);
                values.read_at(first, room)
            })
        });
        in_order(checked)
    }

    /// Number of parameters; a tied output counts once.
    pub fn parameters(&self) -> usize {
        self.arrays.values().map(StoredArray::len).sum()
    }

    /// Whether all of it goes into memory, at so many bytes for each. A file may be larger than its disk.
    pub(super) fn check_room(&self, bytes_each: u64) -> Result<(), ModelError> {
        let bytes = bytes_each.saturating_mul(self.parameters() as u64);
        let hint = "take a smaller student, or a machine with more memory";
        room_for("reading the weights", hint, bytes).map_err(ModelError::Memory)
    }
}

/// One array as memory is to have it, in files.
#[derive(Clone, Debug)]
pub(super) struct StoredArray {
    pub(super) shape: Vec<usize>,
    parts: Vec<StoredPart>,
}

/// An array of a file and where its values belong.
#[derive(Clone, Debug)]
struct StoredPart {
    file: FileArray,
    values: StoredValues,
}

impl StoredArray {
    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values from `first` on, as many as `into` has room for.
    ///
    /// # Errors
    /// The file cannot be read, or a value is not a number.
    pub(super) fn read_at(&self, first: usize, into: &mut [f32]) -> Result<(), ModelError> {
        match self.parts.as_slice() {
            [part] if part.file.layout == Layout::Same => part.values.read_at(first, into),
            _ if first == 0 && into.len() == self.len() => self.assemble(into),
            _ => {
                let mut all = vec![0.0; self.len()];
                self.assemble(&mut all)?;
                into.copy_from_slice(&all[first..][..into.len()]);
                Ok(())
            }
        }
    }

    /// All values; threads of the caller's pool read together.
    ///
    /// # Errors
    /// As of [`StoredArray::read_at`].
    pub(super) fn read_all(&self) -> Result<Vec<f32>, ModelError> {
        if let [part] = self.parts.as_slice()
            && part.file.layout == Layout::Same
        {
            return part.values.read_all();
        }
        let mut values = vec![0.0; self.len()];
        self.assemble(&mut values)?;
        Ok(values)
    }

    /// Puts all parts where they belong.
    fn assemble(&self, into: &mut [f32]) -> Result<(), ModelError> {
        let outputs = self.shape.last().copied().unwrap_or(1);
        for StoredPart { file, values } in &self.parts {
            file.put(&values.read_all()?, into, outputs);
        }
        Ok(())
    }
}

/// One array of a file.
#[derive(Clone, Debug)]
struct StoredValues {
    shape: Vec<usize>,
    name: Arc<str>,
    file: Arc<WeightFile>,
    start: u64,
    format: Format,
}

impl StoredValues {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values from `first` on, as many as `into` has room for.
    ///
    /// # Errors
    /// The file cannot be read, or a value is not a number.
    fn read_at(&self, first: usize, into: &mut [f32]) -> Result<(), ModelError> {
        let width = self.format.width();
        let mut bytes = [0; DigestedFile::BLOCK];
        let (mut at, mut rest) = (first, into);
        while !rest.is_empty() {
            let offset = self.start + (at * width) as u64;
            // Of a file that is not aligned a value may lie across two blocks.
            let count = (DigestedFile::stretch(offset, rest.len() * width) / width).max(1);
            let values = rest.split_off_mut(..count).expect("so many are left");
            let bytes = &mut bytes[..count * width];
            self.file.read_exact_at(offset, bytes)?;
            self.format.decode(bytes, values);
            // Together they are a number only if each is; adding them up takes no branches.
            if !values
                .iter()
                .fold(0.0, |sum, value| sum + value * 0.0)
                .is_finite()
                && let Some(index) = values.iter().position(|value| !value.is_finite())
            {
                return Err(ModelError::NotFinite {
                    name: self.name.to_string(),
                    index: at + index,
                    value: values[index],
                });
            }
            at += values.len();
        }
        Ok(())
    }

    /// All values.
    ///
    /// # Errors
    /// As of [`StoredValues::read_at`].
    fn read_all(&self) -> Result<Vec<f32>, ModelError> {
        let mut values = vec![0.0; self.len()];
        let pieces = values.par_chunks_mut(PIECE).enumerate();
        in_order::<_, _, ()>(pieces.map(|(index, piece)| self.read_at(index * PIECE, piece)))?;
        Ok(values)
    }

    fn equals(&self, other: &Self) -> Result<bool, ModelError> {
        if self.shape != other.shape {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for first in (0..self.len()).step_by(PIECE) {
            let count = PIECE.min(self.len() - first);
            ours.resize(count, 0.0);
            theirs.resize(count, 0.0);
            self.read_at(first, &mut ours)?;
            other.read_at(first, &mut theirs)?;
            if ours != theirs {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A number format that is read.
#[derive(Clone, Copy, Debug)]
enum Format {
    F32,
    F16,
    Bf16,
}

impl Format {
    fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32),
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Bytes of a value.
    fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn decode(self, bytes: &[u8], into: &mut [f32]) {
        let pairs = bytes.as_chunks::<2>().0;
        match self {
            Self::F32 => {
                for (value, raw) in into.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*raw);
                }
            }
            Self::F16 => {
                for (value, raw) in into.iter_mut().zip(pairs) {
                    *value = f16::from_le_bytes(*raw).to_f32();
                }
            }
            Self::Bf16 => {
                for (value, raw) in into.iter_mut().zip(pairs) {
                    *value = bf16::from_le_bytes(*raw).to_f32();
                }
            }
        }
    }
}

/// A file that weights are read from.
#[derive(Debug)]
struct WeightFile {
    path: PathBuf,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Any(File),
    /// With the digest that they are to have.
    Known(DigestedFile, Digest),
}

impl WeightFile {
    fn open(path: &Path, digest: Option<Digest>) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::reading(path))?;
        let bytes = match digest {
            None => Bytes::Any(file),
            Some(digest) => {
                let file = DigestedFile::new(file).map_err(ModelError::reading(path))?;
                Bytes::Known(file, digest)
            }
        };
        let path = path.to_owned();
        Ok(Self { path, bytes })
    }

    fn length(&self) -> Result<u64, ModelError> {
        match &self.bytes {
            Bytes::Any(file) => file.metadata().map(|meta| meta.len()),
            Bytes::Known(file, _) => Ok(file.length()),
        }
        .map_err(ModelError::reading(&self.path))
    }

    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ModelError> {
        match &self.bytes {
            Bytes::Any(file) => read_exact_at(file, offset, into),
            Bytes::Known(file, _) => file.read_exact_at(offset, into),
        }
        .map_err(ModelError::reading(&self.path))
    }

    fn check(&self) -> Result<(), ModelError> {
        let Bytes::Known(file, expected) = &self.bytes else {
            return Ok(());
        };
        let found = file.digest().map_err(ModelError::reading(&self.path))?;
        if found == *expected {
            return Ok(());
        }
        Err(ModelError::Digest(self.path.clone()))
    }
}

/// The safetensors files of a folder, in a fixed order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let there = |path: &Path| disk::exists(path).map_err(ModelError::reading(path));
    let single = folder.join(SINGLE);
    if there(&single)? {
        return Ok(vec![single]);
    }
    let index = folder.join(INDEX);
    if there(&index)? {
        let bytes = disk::read_small(&index).map_err(ModelError::reading(&index))?;
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
fn own_name<'a>(name: &'a str, architecture: &Architecture) -> &'a str {
    let mut own = name;
    while let Some(inner) = WRAPPERS.iter().find_map(|wrap| own.strip_prefix(wrap)) {
        own = inner;
    }
    own.strip_prefix(architecture.family.prefix())
        .unwrap_or(own)
}

/// The arrays of one file.
fn read_header(
    file: &Arc<WeightFile>,
    architecture: &Architecture,
) -> Result<Vec<StoredValues>, ModelError> {
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
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).expect("the name comes from this list");
        if architecture.family.is_no_weight(&name) {
            continue;
        }
        let format = Format::of(info.dtype).ok_or_else(|| ModelError::NumberFormat {
            path: file.path.clone(),
            name: name.clone(),
            found: format!("{:?}", info.dtype),
        })?;
        let array = StoredValues {
            shape: info.shape.clone(),
            name: own_name(&name, architecture).into(),
            file: Arc::clone(file),
            start: 8 + header_bytes + info.data_offsets.0 as u64,
            format,
        };
        arrays.push(array);
    }
    Ok(arrays)
}
