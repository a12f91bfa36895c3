//! A student's weights as they lie in files: opened and checked by name and shape, their values not read yet.
//!
//! In: `model.safetensors`, or shards named by `model.safetensors.index.json`, in f32, f16 or bf16, names with or
//! without their family's prefix and what `PyTorch`'s wrappers put before them (`module.`, `_orig_mod.`); or one GGUF file. Out:
//! values in f32, a piece at a time and from several threads at once, so whoever packs or copies them needs no second copy of
//! the whole. Files are read, not mapped: one that another process cuts short is an error, not a crash.
//! Source: the safetensors format; the names are the architecture's family's.

mod file;
mod hub;
mod stored;
mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use rayon::prelude::*;

pub(super) use self::file::WeightFile;
use self::hub::{Listed, own_name, read_header};
pub(super) use self::stored::StoredArray;
use self::stored::StoredPart;
use self::values::{PIECE, Place, StoredValues};
use super::architecture::{Architecture, ArrayId, ArraySpec, Output};
use super::error::ModelError;
use super::gguf::{self, Gguf};
use super::in_order::in_order;
use super::lora::Adapter;
use super::weights::{Array, Weights, check_layers, check_shapes};
use crate::key::Digest;
use crate::memory::room_for;

pub(super) const INDEX: &str = "model.safetensors.index.json";

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
        let (mut arrays, mut opened, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let listed = Listed::of(folder)?;
        for path in &listed.files {
            let name = path.file_name().and_then(|name| name.to_str());
            let digest = name.and_then(|name| digests.get(name));
            let file = Arc::new(WeightFile::open(path, digest.copied())?);
            opened.push(Arc::clone(&file));
            let (its_arrays, its_names) = read_header(&file, architecture)?;
            arrays.extend(its_arrays);
            names.push(its_names);
        }
        listed.check_index(&names)?;
        Self::of(architecture, arrays, opened).map_err(|error| error.of_weights(folder))
    }

    /// The weights of a GGUF file, which is read through `file`.
    ///
    /// # Errors
    /// Its arrays do not fit.
    pub(super) fn of_gguf(
        gguf: &Gguf,
        file: Arc<WeightFile>,
        architecture: &Architecture,
    ) -> Result<Self, ModelError> {
        let arrays = gguf::arrays::arrays(gguf)
            .map_err(ModelError::Gguf)?
            .into_iter();
        let arrays = arrays.map(|array| StoredValues {
            shape: array.shape.clone(),
            name: own_name(&array.name, architecture).into(),
            place: Place::Gguf(Box::new((gguf.clone(), array))),
        });
        Self::of(architecture, arrays.collect(), vec![file])
            .map_err(|error| error.of_weights(gguf.path()))
    }

    /// These arrays, checked by name and shape.
    fn of(
        architecture: &Architecture,
        all: Vec<StoredValues>,
        files: Vec<Arc<WeightFile>>,
    ) -> Result<Self, ModelError> {
        let mut arrays = BTreeMap::new();
        let mut head = None;
        for array in all {
            let name = array.name.to_string();
            let tied = architecture.output == Output::Tied;
            let file = array.place.file();
            let before = if tied && name == architecture.family.output_name() {
                head.replace(array)
            } else {
                arrays.insert(name.clone(), array)
            };
            if let Some(before) = before {
                let files = [before.place.file(), file];
                return Err(ModelError::ArrayTwice { name, files });
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
            let deltas = Arc::default();
            (
                id,
                StoredArray {
                    shape,
                    parts,
                    deltas,
                },
            )
        };
        Ok(Self {
            arrays: specs.into_iter().map(stored).collect(),
            files,
        })
    }

    /// The same weights with what `adapter` adds to them: it is added whenever they are read.
    #[must_use]
    pub fn adapted(mut self, adapter: &Adapter) -> Self {
        for (id, array) in &mut self.arrays {
            array.deltas = adapter.deltas(*id).into();
        }
        self
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
        check_room(4 * self.parameters() as u64)?;
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

    /// Whether the matrices are written in 8 bits or fewer.
    pub fn is_quantized(&self) -> bool {
        let parts = self.arrays.values().flat_map(|array| &array.parts);
        let mut places = parts.map(|part| &part.values.place);
        places.any(|place| matches!(place, Place::Gguf(of) if of.1.tensor().kind.is_quantized()))
    }

    /// Number of parameters; a tied output counts once.
    pub fn parameters(&self) -> usize {
        self.arrays.values().map(StoredArray::len).sum()
    }
}

/// Whether there is room for weights of so many bytes. A file may be larger than its disk.
///
/// # Errors
/// The machine has not so much memory left.
pub(super) fn check_room(bytes: u64) -> Result<(), ModelError> {
    let hint = "take a smaller student, to sample one dtype = \"bf16\" or \"int8\", or a machine with more memory";
    room_for("reading the weights", hint, bytes).map_err(ModelError::Memory)
}
