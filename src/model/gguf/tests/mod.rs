//! Tests of the format, of what a Hub folder gets of a file, and of tokenizers.

mod format;
mod hostile;
mod hub;
mod tokenizers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Gguf, GgufError};

/// A file to be written: as its format says, and with whatever lies a test asks for.
#[derive(Clone)]
struct File {
    version: u32,
    /// Keys with type and value as bytes.
    pairs: Vec<(String, Vec<u8>)>,
    tensors: Vec<Tensor>,
    alignment: usize,
    /// Added to the counts of tensors and keys.
    more: (u64, u64),
}

#[derive(Clone)]
struct Tensor {
    name: String,
    /// The fastest first.
    sizes: Vec<u64>,
    kind: u32,
    data: Vec<u8>,
    /// Where it is said to lie; `None` where it does.
    offset: Option<u64>,
}

impl File {
    fn new(architecture: &str) -> Self {
        let file = Self {
            version: 3,
            pairs: Vec::new(),
            tensors: Vec::new(),
            alignment: 32,
            more: (0, 0),
        };
        file.text("general.architecture", architecture)
    }

    fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        let bytes = [&kind.to_le_bytes()[..], value].concat();
        self.pairs.push((key.to_owned(), bytes));
        self
    }

    fn text(self, key: &str, value: &str) -> Self {
        self.raw(key, 8, &text(value))
    }

    fn count(self, key: &str, value: u32) -> Self {
        self.raw(key, 4, &value.to_le_bytes())
    }

    fn number(self, key: &str, value: f32) -> Self {
        self.raw(key, 6, &value.to_le_bytes())
    }

    fn truth(self, key: &str, value: bool) -> Self {
        self.raw(key, 7, &[value.into()])
    }

    fn texts<T: AsRef<str>>(self, key: &str, values: &[T]) -> Self {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| text(value.as_ref()))
            .collect();
        self.list(key, 8, values.len(), &bytes)
    }

    fn list(self, key: &str, kind: u32, count: usize, values: &[u8]) -> Self {
        let head = [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes()].concat();
        self.raw(key, 9, &[&head, values].concat())
    }

    /// A tensor of f32; `shape` has the slowest first.
    fn tensor(self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes());
        let sizes = shape.iter().rev().map(|size| *size as u64);
        self.stored(name, 0, sizes.collect(), data.collect())
    }

    fn stored(mut self, name: &str, kind: u32, sizes: Vec<u64>, data: Vec<u8>) -> Self {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            sizes,
            kind,
            data,
            offset: None,
        });
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64 + self.more.0).to_le_bytes());
        bytes.extend((self.pairs.len() as u64 + self.more.1).to_le_bytes());
        for (key, value) in &self.pairs {
            bytes.extend(text(key));
            bytes.extend(value);
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            data.resize(data.len().next_multiple_of(self.alignment), 0);
            bytes.extend(text(&tensor.name));
            bytes.extend(u32::try_from(tensor.sizes.len()).unwrap().to_le_bytes());
            bytes.extend(tensor.sizes.iter().flat_map(|size| size.to_le_bytes()));
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend(tensor.offset.unwrap_or(data.len() as u64).to_le_bytes());
            data.extend(&tensor.data);
        }
        bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
        [bytes, data].concat()
    }

    fn open(&self) -> Result<Gguf, GgufError> {
        open(self.bytes())
    }
}

fn text(value: &str) -> Vec<u8> {
    [&(value.len() as u64).to_le_bytes()[..], value.as_bytes()].concat()
}

fn open(bytes: Vec<u8>) -> Result<Gguf, GgufError> {
    let length = bytes.len() as u64;
    Gguf::parse(Path::new("model.gguf"), length, Arc::new(bytes))
}

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    folder.join(name)
}

/// Checks that a message says what, where and what to do.
#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, GgufError>, expected: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in expected
        .iter()
        .chain(&["`model.gguf`: ", ", expected ", "\nhint: "])
    {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}
