//! A folder on a file system that machines share: files that are wholly there or not, put by a rename that replaces
//! nothing. No lock is needed, and none is taken: network file systems differ in what theirs mean.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::{Bucket, Entry, Existing, Pulled, Put, RemoteError};
use crate::beneath::{self, Foreign, Kind};

/// Where files are before they have their names.
const TEMP: &str = "tmp";
/// How their names begin, as in a store.
const TEMP_PREFIX: &str = "sert-run-";
/// Bytes copied at a time.
const PIECE_BYTES: usize = 1 << 20;

pub(super) struct Folder {
    root: PathBuf,
    /// Whether a rename can refuse to replace something, as far as is known.
    exclusive: AtomicBool,
}

impl Folder {
    /// The folder at `root`, which must be there: a file system that is not mounted must not be taken for an empty one.
    pub(super) fn open(root: &Path) -> Result<Self, RemoteError> {
        match fs::metadata(root) {
            Ok(meta) if meta.is_dir() => Ok(Self {
                root: root.to_owned(),
                exclusive: AtomicBool::new(true),
            }),
            Ok(_) => Err(RemoteError::Settings(format!(
                "{} is not a folder",
                root.display()
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(RemoteError::Settings(format!(
                    "there is no folder {}\nhint: make it once (`mkdir -p`), or mount the file system that has it",
                    root.display()
                )))
            }
            Err(error) => Err(RemoteError::io("read", root, error)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The file `name`; `None` where there is none of ours.
    fn file(&self, name: &str) -> Result<Option<File>, RemoteError> {
        let path = self.path(name);
        match beneath::open(&self.root, &path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if Foreign::of(&error).is_some() => Ok(None),
            Err(error) => Err(RemoteError::io("open", &path, error)),
        }
    }

    fn temporary(&self) -> Result<NamedTempFile, RemoteError> {
        let folder = self.path(TEMP);
        beneath::create_folder(&self.root, &folder)
            .and_then(|()| {
                tempfile::Builder::new()
                    .prefix(TEMP_PREFIX)
                    .tempfile_in(&folder)
            })
            .map_err(|error| RemoteError::io("create a file in", &folder, error))
    }

    fn publish(
        &self,
        name: &str,
        file: NamedTempFile,
        existing: Existing,
    ) -> Result<Put, RemoteError> {
        let path = self.path(name);
        let io = |error| RemoteError::io("write", &path, error);
        readable_by_all(file.as_file()).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        let folder = path.parent().unwrap_or(&self.root);
        beneath::create_folder(&self.root, folder).map_err(io)?;
        beneath::make_way(&self.root, &path).map_err(io)?;
        if existing == Existing::IsReplaced {
            file.persist(&path).map_err(|failed| io(failed.error))?;
            return Ok(Put::New);
        }
        if self.exclusive.load(Ordering::Relaxed) {
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(Put::New),
                Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => {
                    return Ok(Put::Present);
                }
                Err(failed) if can_do_without(&failed.error) => {
                    self.exclusive.store(false, Ordering::Relaxed);
                    return self.publish(name, failed.file, existing);
                }
                Err(failed) => return Err(io(failed.error)),
            }
        }
        if self.head(name)?.is_some() {
            return Ok(Put::Present);
        }
        file.persist(&path).map_err(|failed| io(failed.error))?;
        Ok(Put::New)
    }

    fn walk(&self, folder: &Path, found: &mut Vec<Entry>) -> Result<(), RemoteError> {
        let listed = match beneath::list(&self.root, folder) {
            Err(error) if Foreign::of(&error).is_some() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()), // removed since it was listed
            listed => listed.map_err(|error| RemoteError::io("read the folder", folder, error))?,
        };
        for (path, kind) in listed {
            match kind {
                Kind::Folder => self.walk(&path, found)?,
                Kind::File => found.extend(self.entry(&path)?),
                Kind::Link | Kind::Other => {}
            }
        }
        Ok(())
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, RemoteError> {
        let io = |error| RemoteError::io("read", path, error);
        let meta = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            meta => meta.map_err(io)?,
        };
        let name = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
        let Some(name) = name.filter(|_| meta.is_file()) else {
            return Ok(None);
        };
        Ok(Some(Entry {
            name: name.replace(std::path::MAIN_SEPARATOR, "/"),
            bytes: meta.len(),
            modified: meta.modified().map_err(io)?,
        }))
    }
}

impl Bucket for Folder {
    fn pull(&self, name: &str, most: u64, out: &mut dyn Write) -> Result<Pulled, RemoteError> {
        let Some(mut file) = self.file(name)? else {
            return Ok(Pulled::Absent);
        };
        let path = self.path(name);
        let io = |error| RemoteError::io("read", &path, error);
        let bytes = file.metadata().map_err(io)?.len();
        if bytes > most {
            return Ok(Pulled::TooLong(bytes));
        }
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Pulled::Whole),
                Ok(read) => out.write_all(&buffer[..read]).map_err(RemoteError::Sink)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io(error)),
            }
        }
    }

    fn head(&self, name: &str) -> Result<Option<Entry>, RemoteError> {
        self.entry(&self.path(name))
    }

    fn put(&self, name: &str, bytes: &[u8], existing: Existing) -> Result<Put, RemoteError> {
        let mut file = self.temporary()?;
        file.write_all(bytes)
            .map_err(|error| RemoteError::io("write", file.path(), error))?;
        self.publish(name, file, existing)
    }

    fn put_file(
        &self,
        name: &str,
        mut from: &File,
        _bytes: u64,
        existing: Existing,
    ) -> Result<Put, RemoteError> {
        let mut file = self.temporary()?;
        from.seek(SeekFrom::Start(0)).map_err(RemoteError::Sink)?;
        io::copy(&mut from, &mut file)
            .map_err(|error| RemoteError::io("write", file.path(), error))?;
        self.publish(name, file, existing)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>, RemoteError> {
        let mut found = Vec::new();
        // The folder that all of them are in.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.walk(&self.path(folder), &mut found)?;
        found.retain(|entry| entry.name.starts_with(prefix));
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), RemoteError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(RemoteError::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn now(&self) -> Result<SystemTime, RemoteError> {
        // The file server's clock, not this machine's.
        let mut file = self.temporary()?;
        file.write_all(b"now")
            .and_then(|()| file.as_file().metadata()?.modified())
            .map_err(|error| RemoteError::io("write", file.path(), error))
    }

    fn puts_once(&self, present: &str, bytes: &[u8]) -> Result<bool, RemoteError> {
        self.put(present, bytes, Existing::Stays)?;
        Ok(self.exclusive.load(Ordering::Relaxed))
    }
}

/// Whether a file system that has no exclusive rename and no links says so.
fn can_do_without(error: &io::Error) -> bool {
    // A link that a file system has not is `PermissionDenied` (EPERM); where it is more than that, the next write says so.
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::PermissionDenied
    )
}

#[cfg(unix)]
fn readable_by_all(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // A temporary file is private; what it becomes may be read by all who share the folder.
    file.set_permissions(fs::Permissions::from_mode(0o444))
}

#[cfg(not(unix))]
fn readable_by_all(_file: &File) -> io::Result<()> {
    Ok(())
}
