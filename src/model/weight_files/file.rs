//! A file that weights are read from, digested on the way where its digest is known.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::key::{Digest, DigestedFile, read_exact_at};
use crate::model::ModelError;
use crate::model::gguf::ReadAt;

/// A file that weights are read from.
#[derive(Debug)]
pub(in crate::model) struct WeightFile {
    pub(super) path: PathBuf,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Any(File),
    /// With the digest that they are to have.
    Known(DigestedFile, Digest),
}

impl Bytes {
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Any(file) => read_exact_at(file, offset, into),
            Self::Known(file, _) => file.read_exact_at(offset, into),
        }
    }
}

impl WeightFile {
    pub(in crate::model) fn open(path: &Path, digest: Option<Digest>) -> Result<Self, ModelError> {
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

    pub(in crate::model) fn length(&self) -> Result<u64, ModelError> {
        match &self.bytes {
            Bytes::Any(file) => file.metadata().map(|meta| meta.len()),
            Bytes::Known(file, _) => Ok(file.length()),
        }
        .map_err(ModelError::reading(&self.path))
    }

    pub(super) fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ModelError> {
        let read = self.bytes.read_exact_at(offset, into);
        read.map_err(ModelError::reading(&self.path))
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
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

impl ReadAt for WeightFile {
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.bytes.read_exact_at(offset, into)
    }
}
