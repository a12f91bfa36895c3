//! Objects: files named by their content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::beneath::{self, Foreign, Kind};
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
        // Not `has_object`: a damaged one has to be set aside, and made anew here.
        if self.object_path(&digest)?.is_none() {
            self.may_write()?;
            let (temp, path) = (self.temp_dir(), self.path_of(&digest));
            durable::write_new(&self.root, &temp, &path, bytes)?;
        }
        Ok(digest)
    }

    /// Keeps a copy of the file at `path`; durable on return.
    ///
    /// # Errors
    /// The file cannot be read, or the disk is full or refuses.
    pub fn put_file(&self, path: &Path) -> Result<Digest, StoreError> {
        self.may_write()?;
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
            durable::publish(&self.root, copy, &self.path_of(&digest))?;
        }
        Ok(digest)
    }

    /// Makes the file at `path` an object: one of [`Store::scratch`], which nobody writes to any more. It is moved, not copied;
    /// durable on return.
    ///
    /// # Errors
    /// The file cannot be read, or the disk refuses.
    pub fn take_file(&self, path: &Path) -> Result<Digest, StoreError> {
        self.may_write()?;
        let options = OpenOptions::new().read(true).write(true).open(path);
        let mut file = options.doing("open", path)?;
        let digest = Digest::of_reader(&mut file).doing("read", path)?;
        if self.object_path(&digest)?.is_none() {
            let path = tempfile::TempPath::try_from_path(path).doing("find", path)?;
            let file = NamedTempFile::from_parts(file, path);
            durable::publish(&self.root, file, &self.path_of(&digest))?;
        }
        Ok(digest)
    }

    /// The object's bytes, checked; `None` where it is absent or damaged (with a warning). What is not here is pulled from
    /// the remote.
    ///
    /// # Errors
    /// The file system refuses for another reason than absence.
    pub fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path_of(digest);
        loop {
            let Some(mut file) = self.open_or_pull(digest)? else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).doing("read", &path)?;
            if Digest::of(&bytes) == *digest {
                return Ok(Some(bytes));
            }
            self.set_object_aside(digest)?;
            // One that was set aside may be had again; in a store that may only be read it stays as it is.
            if self.read_only().is_some() {
                return Ok(None);
            }
        }
    }

    /// The object's file, pulled where it is not here.
    fn open_or_pull(&self, digest: &Digest) -> Result<Option<File>, StoreError> {
        let path = self.path_of(digest);
        match self.open_object(&path)? {
            None if self.pull_object(digest)? => self.open_object(&path),
            found => Ok(found),
        }
    }

    /// The object's file; `None` where it is absent or damaged (with a warning). A file that shows no change since its
    /// last check is not read again, so that this tells a hit; whoever reads it checks what it reads. It is read-only; do
    /// not edit it. Of a store that may only be read, what was never checked is taken as it is.
    ///
    /// # Errors
    /// The file system refuses for another reason than absence, or the index fails.
    pub fn object_path(&self, digest: &Digest) -> Result<Option<PathBuf>, StoreError> {
        let path = self.path_of(digest);
        let Some(file) = self.open_object(&path)? else {
            return Ok(None);
        };
        let found = match self.digest_unread(&file, &path)? {
            Some(found) => found,
            None if self.read_only().is_some() => return Ok(Some(path)),
            None => self.digest_of(file, &path)?,
        };
        if found != *digest {
            self.set_object_aside(digest)?;
            return Ok(None);
        }
        Ok(Some(path))
    }

    /// Reads the object, whatever is remembered of it, and says whether it is sound. A damaged one is set aside, with a
    /// warning.
    ///
    /// # Errors
    /// It cannot be read for another reason than absence.
    pub fn recheck_object(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.path_of(digest);
        let Some(mut file) = self.open_object(&path)? else {
            return Ok(false);
        };
        // A sector that cannot be read is damage like any other.
        let found = Digest::of_reader(&mut file);
        let sound = found.is_ok_and(|found| found == *digest);
        if !sound {
            self.set_object_aside(digest)?;
        }
        Ok(sound)
    }

    /// Whether there is a file for this object; it is not read.
    pub fn has_object(&self, digest: &Digest) -> bool {
        let kind = beneath::kind(&self.root, &self.path_of(digest));
        matches!(kind, Ok(Some(Kind::File)))
    }

    /// The file at an object's place; `None` where there is none of ours.
    fn open_object(&self, path: &Path) -> Result<Option<File>, StoreError> {
        match beneath::open(&self.root, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if Foreign::of(&error).is_some() => Ok(None),
            opened => opened.map(Some).doing("open", path),
        }
    }

    /// Removes an object while results go on naming its digest, for example weights that can be
    /// made again; gives the bytes freed.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn evict_object(&self, digest: &Digest) -> Result<u64, StoreError> {
        self.may_write()?;
        let path = self.path_of(digest);
        if !self.has_object(digest) {
            return Ok(0);
        }
        let bytes = fs::symlink_metadata(&path).map_or(0, |meta| meta.len());
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
            let input = self.open_or_pull(digest)?;
            let input = input.ok_or(StoreError::MissingObject(*digest))?;
            let target = folder.join(name);
            let below = target.parent().unwrap_or(folder);
            fs::create_dir_all(below).doing("create the folder", below)?;
            let copy = tempfile::Builder::new()
                // Not `tempfile_in`, whose files are private: a copy has the rights that the umask leaves.
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

    /// As [`Store::materialise`] for a reader that checks the files whose names are `its_own` against their digests as it
    /// reads them: where the file system has links, those are the objects themselves under other names, not read here
    /// and not copied, so nobody may write to them. The others are checked copies.
    ///
    /// # Errors
    /// Those of [`Store::materialise`].
    pub fn lend(
        &self,
        files: &BTreeMap<String, Digest>,
        folder: &Path,
        its_own: impl Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        check_names(files)?;
        for (name, digest) in files {
            if !self.has_object(digest) && !self.pull_object(digest)? {
                return Err(StoreError::MissingObject(*digest));
            }
            let target = folder.join(name);
            let below = target.parent().unwrap_or(folder);
            fs::create_dir_all(below).doing("create the folder", below)?;
            if !its_own(name) || link(&self.path_of(digest), &target).is_err() {
                self.materialise(&BTreeMap::from([(name.clone(), *digest)]), folder)?;
            }
        }
        Ok(())
    }

    /// The digests that an object names, where it is a JSON object with a map `files` (a model
    /// names its weights and tokenizer so): every string of 64 hexadecimal digits in it. `None` where it is damaged,
    /// with a warning.
    pub(super) fn references(
        &self,
        digest: &Digest,
    ) -> Result<Option<BTreeSet<Digest>>, StoreError> {
        let path = self.path_of(digest);
        let Some(mut file) = self.open_object(&path)? else {
            return Ok(Some(BTreeSet::new()));
        };
        // A tokenizer is JSON too, but far longer than any list of files; other objects begin otherwise.
        let mut first = [0];
        let is_long = file.metadata().doing("read", &path)?.len() > MAX_LIST_BYTES;
        if is_long || file.read(&mut first).doing("read", &path)? == 0 || first != *b"{" {
            return Ok(Some(BTreeSet::new()));
        }
        let Some(bytes) = self.object(digest)? else {
            return Ok(None);
        };
        let mut found = BTreeSet::new();
        if let Ok(Value::Object(map)) = serde_json::from_slice(&bytes)
            && map.get("files").is_some_and(Value::is_object)
        {
            for value in map.values() {
                collect_digests(value, &mut found);
            }
        }
        Ok(Some(found))
    }

    /// `roots` and all that they name, at any depth.
    pub(super) fn reachable(
        &self,
        roots: impl IntoIterator<Item = Digest>,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let mut open: Vec<Digest> = roots.into_iter().collect();
        let mut reached = BTreeSet::new();
        while let Some(digest) = open.pop() {
            if reached.insert(digest) {
                open.extend(self.references(&digest)?.into_iter().flatten());
            }
        }
        Ok(reached)
    }

    pub(super) fn set_object_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.path_of(digest);
        if self.read_only().is_some() {
            self.warn(format!("the object {} is damaged", path.display()));
            return Ok(());
        }
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
