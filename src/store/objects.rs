//! Objects: files named by their content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::key::{Digest, DigestWriter};

use super::error::Doing;
use super::{Store, StoreError, durable};

/// Bytes of an object that names others, at most: some 2,500 files.
const MAX_LIST_BYTES: u64 = 256 << 10;

impl Store {
    /// Keeps `bytes`; durable on return.
    ///
    /// # Errors
    /// The disk is full or refuses.
    pub fn put_object(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.object_path(&digest)?.is_none() {
            durable::write_new(&self.temp_dir(), &self.path_of(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// Keeps a copy of the file at `path`; durable on return.
    ///
    /// # Errors
    /// The file cannot be read, or the disk is full or refuses.
    pub fn put_file(&self, path: &Path) -> Result<Digest, StoreError> {
        let source = File::open(path).doing("open", path)?;
        // Copied and digested in one pass: the file may change between two.
        let copy = durable::temporary(&self.temp_dir())?;
        let target = copy.path().to_owned();
        let mut writer = BufWriter::with_capacity(1 << 20, DigestWriter::new(copy));
        pour(source, path, &mut writer, &target)?;
        let (copy, digest) = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .doing("write", &target)?
            .finish();
        if self.object_path(&digest)?.is_none() {
            durable::publish(copy, &self.path_of(&digest))?;
        }
        Ok(digest)
    }

    /// The object's bytes, checked; `None` where it is absent or damaged (with a warning).
    ///
    /// # Errors
    /// The file system refuses for another reason than absence.
    pub fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path_of(digest);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes.doing("read", &path)?,
        };
        if Digest::of(&bytes) != *digest {
            self.set_object_aside(digest)?;
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// The object's file, checked; `None` where it is absent or damaged (with a warning). A file
    /// that did not change since its last check is not read again. It is read-only; do not edit it.
    ///
    /// # Errors
    /// The file system refuses for another reason than absence, or the index fails.
    pub fn object_path(&self, digest: &Digest) -> Result<Option<PathBuf>, StoreError> {
        let path = self.path_of(digest);
        if !path.exists() {
            return Ok(None);
        }
        match self.remembered_digest(&path) {
            Ok(found) if found == *digest => Ok(Some(path)),
            Ok(_) => {
                self.set_object_aside(digest)?;
                Ok(None)
            }
            // Another process found it damaged, or evicted it, since the line above.
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a file for this object; it is not read.
    pub fn has_object(&self, digest: &Digest) -> bool {
        self.path_of(digest).is_file()
    }

    /// Removes an object while results go on naming its digest, for example weights that can be
    /// made again; gives the bytes freed.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn evict_object(&self, digest: &Digest) -> Result<u64, StoreError> {
        let path = self.path_of(digest);
        let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
        durable::remove_file(&path)?;
        self.forget_digest(&path)?;
        Ok(bytes)
    }

    /// Writes copies of objects into `folder` by name, replacing files of these names.
    ///
    /// # Errors
    /// An object is absent or damaged, a name would leave the folder, or writing fails.
    pub fn materialise(
        &self,
        files: &BTreeMap<String, Digest>,
        folder: &Path,
    ) -> Result<(), StoreError> {
        check_names(files)?;
        for (name, digest) in files {
            let source = self.path_of(digest);
            let input = match File::open(&source) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(StoreError::MissingObject(*digest));
                }
                input => input.doing("open", &source)?,
            };
            let target = folder.join(name);
            let below = target.parent().unwrap_or(folder);
            durable::create_dir(below)?;
            let copy = tempfile::Builder::new()
                .make_in(below, |path| File::create_new(path))
                .doing("create a file in", below)?;
            let mut writer = BufWriter::with_capacity(1 << 20, DigestWriter::new(copy));
            pour(input, &source, &mut writer, &target)?;
            let (copy, found) = writer
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .doing("write", &target)?
                .finish();
            if found != *digest {
                self.set_object_aside(digest)?;
                return Err(StoreError::MissingObject(*digest));
            }
            copy.persist(&target)
                .map_err(|failed| failed.error)
                .doing("write", &target)?;
        }
        Ok(())
    }

    /// As [`Store::materialise`] for a reader: where the file system has links, the files are the objects
    /// themselves under other names, checked but not copied, so nobody may write to them.
    ///
    /// # Errors
    /// As there.
    pub fn lend(&self, files: &BTreeMap<String, Digest>, folder: &Path) -> Result<(), StoreError> {
        check_names(files)?;
        for (name, digest) in files {
            let source = self.object_path(digest)?;
            let source = source.ok_or(StoreError::MissingObject(*digest))?;
            let target = folder.join(name);
            durable::create_dir(target.parent().unwrap_or(folder))?;
            if link(&source, &target).is_err() {
                self.materialise(&BTreeMap::from([(name.clone(), *digest)]), folder)?;
            }
        }
        Ok(())
    }

    /// The digests that an object names, where it is a JSON object with a map `files` (a model
    /// names its weights and tokenizer so): every string of 64 hexadecimal digits in it.
    pub(super) fn references(&self, digest: &Digest) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        let path = self.path_of(digest);
        // A tokenizer is JSON too, but far longer than any list of files.
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_LIST_BYTES) {
            return found;
        }
        let Ok(mut file) = File::open(path).map(BufReader::new) else {
            return found;
        };
        // Other objects (weights, JSON lines) fail within their first line and are not read on.
        let mut first = [0];
        if file.read_exact(&mut first).is_err() || first != *b"{" {
            return found;
        }
        let text = first.as_slice().chain(file);
        if let Ok(Value::Object(map)) = serde_json::from_reader(text)
            && map.get("files").is_some_and(Value::is_object)
        {
            for value in map.values() {
                collect_digests(value, &mut found);
            }
        }
        found
    }

    /// `roots` and all that they name, at any depth.
    pub(super) fn reachable(&self, roots: impl IntoIterator<Item = Digest>) -> BTreeSet<Digest> {
        let mut open: Vec<Digest> = roots.into_iter().collect();
        let mut reached = BTreeSet::new();
        while let Some(digest) = open.pop() {
            if reached.insert(digest) {
                open.extend(self.references(&digest));
            }
        }
        reached
    }

    /// Every object's digest, path and size, and every file beside them that is not an object.
    pub(super) fn list_objects(&self) -> Result<ObjectList, StoreError> {
        let mut list = ObjectList::default();
        for folder in durable::list(&self.root.join("objects-v1"))? {
            for path in durable::list(&folder)? {
                // Gone since the listing: evicted by another process.
                let Ok(meta) = fs::metadata(&path) else {
                    continue;
                };
                let name = [durable::name_of(&folder), durable::name_of(&path)].concat();
                match name.parse() {
                    Ok(digest) => list.objects.push((digest, path, meta.len())),
                    Err(_) => list.others.push(path),
                }
            }
        }
        Ok(list)
    }

    pub(super) fn set_object_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.path_of(digest);
        durable::quarantine(&path)?;
        self.forget_digest(&path)?;
        self.warn(format!(
            "the object {} was damaged; it was renamed to *.damaged and is made again",
            path.display()
        ));
        Ok(())
    }

    pub(super) fn path_of(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join("objects-v1").join(&hex[..2]).join(&hex[2..])
    }
}

/// What lies in the objects' folder.
#[derive(Default)]
pub(super) struct ObjectList {
    pub(super) objects: Vec<(Digest, PathBuf, u64)>,
    pub(super) others: Vec<PathBuf>,
}

/// Another name for a file. Not a hard link where there is a choice: that changes the file's times, by which its digest
/// is remembered.
fn link(source: &Path, target: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(fs::canonicalize(source)?, target);
    #[cfg(not(unix))]
    fs::hard_link(source, target)
}

/// A name that leads out of the folder must not be written.
fn check_names(files: &BTreeMap<String, Digest>) -> Result<(), StoreError> {
    let inside = |name: &String| {
        let mut parts = Path::new(name).components();
        !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    match files.keys().find(|name| !inside(name)) {
        Some(name) => Err(StoreError::BadName(name.clone())),
        None => Ok(()),
    }
}

/// Copies all of `source`; an error names the side that failed.
fn pour(
    mut source: File,
    source_path: &Path,
    target: &mut impl Write,
    target_path: &Path,
) -> Result<(), StoreError> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return target.flush().doing("write", target_path),
            Ok(read) => target
                .write_all(&buffer[..read])
                .doing("write", target_path)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).doing("read", source_path),
        }
    }
}

fn collect_digests(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::String(text) => found.extend(text.parse::<Digest>()),
        Value::Array(items) => items.iter().for_each(|item| collect_digests(item, found)),
        Value::Object(map) => map.values().for_each(|item| collect_digests(item, found)),
        _ => {}
    }
}
