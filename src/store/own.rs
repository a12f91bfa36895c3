//! What in a store's folder is the store's own: told by name and by type.
//!
//! Everything else is somebody's: it is counted and told, and never followed, written to or deleted. So is a link or a
//! folder that has one of our names where a file would be.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Doing;
use super::{IN_USE_LOCK, OPEN_LOCK, ROW_LOCKS, StoreError};
use crate::beneath::{self, Foreign, Kind};
use crate::key::{Digest, StageKey};

/// The store's folders.
pub(super) const FOLDERS: [&str; 6] = [
    "objects-v1",
    "rows-v1",
    "results-v1",
    "work",
    "tmp",
    "locks",
];
/// Its files.
pub(super) const FILES: [&str; 8] = [
    "CACHEDIR.TAG",
    OPEN_LOCK,
    IN_USE_LOCK,
    INDEX,
    "index-v1.sqlite-wal",
    "index-v1.sqlite-shm",
    "index-v1.sqlite-journal",
    "index-v1.sqlite.rebuild",
];
pub(super) const INDEX: &str = "index-v1.sqlite";
/// The folder of what the servers said that stages started, made where one is.
pub(super) const LOGS: &str = "logs";
/// What the name of such a file ends with, behind its stage's key.
pub(super) const LOG_END: &str = ".log";
/// Folders beside them that `fetch` looks after.
const OF_FETCH: [&str; 2] = ["downloads", "hub"];
/// How a temporary file or folder of ours begins.
pub(super) const TEMP_PREFIX: &str = "sert-run-";
/// How one began up to version 0.1.0, as those of many programs do.
const OLD_TEMP_PREFIX: &str = ".tmp";
/// Random letters that follow it: those of the `tempfile` crate.
const TEMP_LETTERS: usize = 6;
/// What damaged files of ours end with that were set aside.
pub(super) const DAMAGED: &str = "damaged";
/// What ends with that was in the way and is not ours.
pub(super) const FOREIGN: &str = "foreign";

/// Something in a store's folder that is not the store's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stranger {
    /// Where it is.
    pub path: PathBuf,
    /// What it is: a file, a folder, a symbolic link, ...
    pub what: &'static str,
    /// Whether it has a name that a file or folder of the store would have, which cannot be there then.
    pub in_the_way: bool,
}

/// Something that a killed process left.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// An object's file.
pub(super) struct ObjectFile {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// Everything that lies in a store's folder; no contents are read.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) objects: Vec<ObjectFile>,
    pub(super) results: Vec<StageKey>,
    /// Bucket and name of each segment.
    pub(super) segments: Vec<(String, PathBuf)>,
    pub(super) work: Vec<(StageKey, PathBuf)>,
    pub(super) logs: Vec<(StageKey, PathBuf)>,
    pub(super) locks: Vec<PathBuf>,
    pub(super) leftovers: Vec<Leftover>,
    pub(super) set_aside: Vec<PathBuf>,
    pub(super) strangers: Vec<Stranger>,
}

impl Survey {
    /// Looks at the store at `root`.
    pub(super) fn of(root: &Path) -> Result<Self, StoreError> {
        let mut survey = Self::of_index(root)?;
        survey.top(root)?;
        survey.objects(root)?;
        survey.work(root)?;
        survey.temporaries(root)?;
        survey.locks(root)?;
        survey.logs(root)?;
        Ok(survey)
    }

    /// Looks at what killed processes left.
    pub(super) fn of_temporaries(root: &Path) -> Result<Self, StoreError> {
        let mut survey = Self::default();
        survey.work(root)?;
        survey.temporaries(root)?;
        Ok(survey)
    }

    /// Looks at what the index is made from: results and segments.
    pub(super) fn of_index(root: &Path) -> Result<Self, StoreError> {
        let mut survey = Self::default();
        for (_, path, kind) in survey.shards(root, "results-v1")? {
            let key = |name: &str| name.parse().ok().map(StageKey);
            match name_of(&path).strip_suffix(".json").and_then(key) {
                Some(key) if kind == Kind::File => survey.results.push(key),
                Some(_) => survey.stranger(path, kind, true),
                None => survey.aside_or_stranger(path, kind, |stem| key(stem).is_some()),
            }
        }
        for (folder, kind) in list(root, &root.join("rows-v1"))? {
            let bucket = name_of(&folder).to_owned();
            let ours = check_bucket(&bucket).is_ok();
            if !ours || kind != Kind::Folder {
                survey.stranger(folder, kind, ours);
                continue;
            }
            for (path, kind) in list(root, &folder)? {
                match (is_segment(name_of(&path)), kind) {
                    (true, Kind::File) => survey.segments.push((bucket.clone(), path)),
                    (ours, kind) => survey.stranger(path, kind, ours),
                }
            }
        }
        Ok(survey)
    }

    fn objects(&mut self, root: &Path) -> Result<(), StoreError> {
        for (shard, path, kind) in self.shards(root, "objects-v1")? {
            let digest = |name: &str| format!("{shard}{name}").parse::<Digest>();
            match digest(name_of(&path)) {
                Ok(digest) if kind == Kind::File => {
                    let bytes = fs::symlink_metadata(&path).map_or(0, |meta| meta.len());
                    self.objects.push(ObjectFile {
                        digest,
                        path,
                        bytes,
                    });
                }
                Ok(_) => self.stranger(path, kind, true),
                Err(_) => self.aside_or_stranger(path, kind, |stem| digest(stem).is_ok()),
            }
        }
        Ok(())
    }

    fn work(&mut self, root: &Path) -> Result<(), StoreError> {
        for (path, kind) in list(root, &root.join("work"))? {
            let key = name_of(&path).parse().map(StageKey);
            let (Ok(key), Kind::Folder) = (&key, kind) else {
                self.stranger(path, kind, key.is_ok());
                continue;
            };
            for (path, kind) in list(root, &path)? {
                let name = name_of(&path);
                if kind == Kind::File && is_temporary_name(name) {
                    let bytes = size(&path);
                    self.leftovers.push(Leftover { path, bytes });
                } else if kind != Kind::File || !is_of_work(name) {
                    // A link may have the name of a file that a stage writes.
                    let links = matches!(kind, Kind::Link | Kind::Other);
                    let in_the_way = links && !is_out_of_the_way(&path);
                    self.stranger(path, kind, in_the_way);
                }
            }
            self.work.push((*key, path));
        }
        Ok(())
    }

    fn temporaries(&mut self, root: &Path) -> Result<(), StoreError> {
        for (path, kind) in list(root, &root.join("tmp"))? {
            if is_temporary(&path, kind) {
                let bytes = size(&path);
                self.leftovers.push(Leftover { path, bytes });
            } else {
                self.stranger(path, kind, false);
            }
        }
        Ok(())
    }

    fn locks(&mut self, root: &Path) -> Result<(), StoreError> {
        for (path, kind) in list(root, &root.join("locks"))? {
            match (is_lock(name_of(&path)), kind) {
                (true, Kind::File) => self.locks.push(path),
                (ours, kind) => self.stranger(path, kind, ours),
            }
        }
        Ok(())
    }

    fn logs(&mut self, root: &Path) -> Result<(), StoreError> {
        for (path, kind) in list(root, &root.join(LOGS))? {
            let key = name_of(&path).strip_suffix(LOG_END);
            match (key.and_then(|key| key.parse().ok()), kind) {
                (Some(key), Kind::File) => self.logs.push((StageKey(key), path)),
                (key, kind) => self.stranger(path, kind, key.is_some()),
            }
        }
        Ok(())
    }

    fn top(&mut self, root: &Path) -> Result<(), StoreError> {
        for (path, kind) in list(root, root)? {
            let name = name_of(&path);
            if FOLDERS.contains(&name) || OF_FETCH.contains(&name) || name == LOGS {
                if kind != Kind::Folder {
                    self.stranger(path, kind, true);
                }
            } else if FILES.contains(&name) {
                if kind != Kind::File {
                    self.stranger(path, kind, true);
                }
            } else {
                self.aside_or_stranger(path, kind, |stem| stem == INDEX);
            }
        }
        Ok(())
    }

    /// What lies in a folder of two levels: the shard's name, the path, its kind.
    fn shards(
        &mut self,
        root: &Path,
        folder: &str,
    ) -> Result<Vec<(String, PathBuf, Kind)>, StoreError> {
        let mut found = Vec::new();
        for (path, kind) in list(root, &root.join(folder))? {
            let name = name_of(&path).to_owned();
            let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let ours = name.len() == 2 && name.bytes().all(hex);
            if ours && kind == Kind::Folder {
                let below = list(root, &path)?.into_iter();
                found.extend(below.map(|(path, kind)| (name.clone(), path, kind)));
            } else {
                self.stranger(path, kind, ours);
            }
        }
        Ok(found)
    }

    fn stranger(&mut self, path: PathBuf, kind: Kind, in_the_way: bool) {
        let what = kind.name();
        self.strangers.push(Stranger {
            path,
            what,
            in_the_way,
        });
    }

    /// A file `STEM[.json][.N].damaged` whose stem is `ours` was set aside; anything else is a stranger.
    fn aside_or_stranger(&mut self, path: PathBuf, kind: Kind, ours: impl Fn(&str) -> bool) {
        if kind == Kind::File && aside_name(name_of(&path)).is_some_and(ours) {
            self.set_aside.push(path);
        } else {
            self.stranger(path, kind, false);
        }
    }
}

/// The stem of the name of a file that was set aside.
pub(super) fn aside_name(name: &str) -> Option<&str> {
    let (name, end) = name.rsplit_once('.')?;
    let number = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    let name = match name.rsplit_once('.') {
        Some((before, end)) if number(end) => before,
        _ => name,
    };
    (end == DAMAGED).then(|| name.strip_suffix(".json").unwrap_or(name))
}

/// What lies in `folder`, if that is a folder.
fn list(root: &Path, folder: &Path) -> Result<Vec<(PathBuf, Kind)>, StoreError> {
    match beneath::list(root, folder) {
        // What stands in its place is told by the survey of the folder above.
        Err(error) if Foreign::of(&error).is_some() => Ok(Vec::new()),
        listed => listed.doing("read the folder", folder),
    }
}

pub(super) fn is_segment(name: &str) -> bool {
    let number = name
        .strip_suffix(".seg")
        .map(|name| match name.split_once('-') {
            Some((machine, number)) if is_machine(machine) => number,
            _ => name,
        });
    number.is_some_and(|number| number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a segment has a machine's name: so it is where many see the store.
pub(super) fn is_of_a_machine(segment: &str) -> bool {
    segment
        .split_once('-')
        .is_some_and(|(machine, _)| is_machine(machine))
}

fn is_machine(name: &str) -> bool {
    name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether [`super::Store::rebuild`] has renamed this.
pub(super) fn is_out_of_the_way(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == FOREIGN)
}

/// The locks of stages and of rows.
fn is_lock(name: &str) -> bool {
    let of_rows = |(bucket, number): (&str, &str)| {
        check_bucket(bucket).is_ok()
            && number.len() == 4
            && number.parse::<u16>().is_ok_and(|number| number < ROW_LOCKS)
    };
    name.parse::<Digest>().is_ok() || name.rsplit_once('-').is_some_and(of_rows)
}

/// Whether a stage keeps a file of this name in its work folder: checkpoints, journals, notes, and what became of them.
pub(super) fn is_of_work(name: &str) -> bool {
    let ends = [".ckpt", ".jsonl", ".json", ".damaged"];
    ends.iter().any(|end| name.ends_with(end)) || is_temporary_name(name)
}

/// Whether a process of ours made this and was killed. Of the older form, which is that of many programs, only a folder
/// is ours that holds nothing but a student's files.
fn is_temporary(path: &Path, kind: Kind) -> bool {
    let name = name_of(path);
    match kind {
        Kind::File => has_form(name, TEMP_PREFIX),
        Kind::Folder => {
            has_form(name, TEMP_PREFIX) || has_form(name, OLD_TEMP_PREFIX) && holds_a_student(path)
        }
        Kind::Link | Kind::Other => false,
    }
}

/// Whether this is the name of a temporary file of ours, where only we make any.
fn is_temporary_name(name: &str) -> bool {
    has_form(name, TEMP_PREFIX) || has_form(name, OLD_TEMP_PREFIX)
}

fn has_form(name: &str, prefix: &str) -> bool {
    let letters =
        |rest: &str| rest.len() == TEMP_LETTERS && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    name.strip_prefix(prefix).is_some_and(letters)
}

fn holds_a_student(folder: &Path) -> bool {
    let is_of_one = |entry: std::io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or("");
            let ends = [".safetensors", ".json", "merges.txt"];
            ends.iter().any(|end| name.ends_with(end))
        })
    };
    fs::read_dir(folder).is_ok_and(|entries| {
        let mut entries = entries.peekable();
        entries.peek().is_some() && entries.all(is_of_one)
    })
}

/// Bytes of a file, or of all in a folder; links count as nothing.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::read_dir(path).map_or(0, |entries| {
            entries.flatten().map(|entry| size(&entry.path())).sum()
        }),
        Ok(meta) if meta.is_file() => meta.len(),
        _ => 0,
    }
}

/// The last component of `path`, empty where it is not Unicode.
pub(super) fn name_of(path: &Path) -> &str {
    path.file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or("")
}

/// A bucket is a folder's name, on every file system.
pub(super) fn check_bucket(bucket: &str) -> Result<(), StoreError> {
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if bucket.is_empty() || !bucket.chars().all(usable) {
        return Err(StoreError::BadBucket(bucket.to_owned()));
    }
    Ok(())
}
