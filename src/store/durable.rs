//! Files that are either wholly there or not at all, after a crash too.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::StoreError;
use super::error::Doing;
use super::own::{DAMAGED, TEMP_PREFIX};
use crate::beneath::{self, Kind};

/// A temporary file in `folder`, removed again unless it is persisted.
pub(super) fn temporary(folder: &Path) -> Result<NamedTempFile, StoreError> {
    tempfile::Builder::new()
        .prefix(TEMP_PREFIX)
        .tempfile_in(folder)
        .doing("create a file in", folder)
}

/// Writes a new file below `root`: temporary file in `temp`, fsync, rename to `path`, fsync of the folder.
pub(super) fn write_new(
    root: &Path,
    temp: &Path,
    path: &Path,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let mut file = BufWriter::new(temporary(temp)?);
    file.write_all(bytes).doing("write", path)?;
    let file = file
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .doing("write", path)?;
    publish(root, file, path)
}

/// Makes a finished temporary file the file at `path` below `root`, read-only, for good.
pub(super) fn publish(root: &Path, file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
    make_read_only(file.as_file()).doing("write", path)?;
    // Before the rename: a power cut could otherwise leave the name without the bytes, which looks like damage.
    file.as_file().sync_all().doing("write", path)?;
    let folder = path
        .parent()
        .expect("every path in a store is below its root");
    if beneath::kind(root, folder).doing("write", path)? != Some(Kind::Folder) {
        create_dir(root, folder)?;
        // A folder is an entry of the one above, which has to last too.
        sync_dir(folder.parent().unwrap_or(folder))?;
    }
    // A rename would put the file in the place of somebody's link without a word.
    beneath::make_way(root, path).doing("write", path)?;
    file.persist(path)
        .map_err(|failed| failed.error)
        .doing("write", path)?;
    sync_dir(folder)
}

/// Creates `folder` and those above it, below `root`.
pub(super) fn create_dir(root: &Path, folder: &Path) -> Result<(), StoreError> {
    beneath::create_folder(root, folder).doing("create the folder", folder)
}

/// Takes a damaged file out of use but keeps it for inspection, as `*.damaged`.
pub(super) fn quarantine(path: &Path) -> Result<(), StoreError> {
    match fs::rename(path, free_name(path, DAMAGED)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()), // another process was first
        renamed => renamed.doing("rename", path),
    }
}

/// `path` with `.end` after its name, or with a number before that where something has this name.
pub(super) fn free_name(path: &Path, end: &str) -> PathBuf {
    let named = |number: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(number);
        name.push(format!(".{end}"));
        PathBuf::from(name)
    };
    let mut name = named("");
    for number in 2.. {
        if fs::symlink_metadata(&name).is_err() {
            break;
        }
        name = named(&format!(".{number}"));
    }
    name
}

/// Removes a file; says whether it was there.
pub(super) fn remove_file(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).doing("remove", path),
    }
}

/// Removes a file, or a folder with all that is in it, links in it as links; says whether it was there.
pub(super) fn remove_any(path: &Path) -> Result<bool, StoreError> {
    if Kind::of(path).doing("remove", path)? != Some(Kind::Folder) {
        return remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).doing("remove the folder", path),
    }
}

#[cfg(unix)]
fn make_read_only(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // A temporary file is private; what it becomes may be read by all who share the store.
    file.set_permissions(fs::Permissions::from_mode(0o444))
}

#[cfg(not(unix))]
fn make_read_only(_file: &File) -> std::io::Result<()> {
    Ok(()) // elsewhere a read-only file could not be removed again
}

/// Makes the names in `folder` last through a power cut.
pub(super) fn sync_dir(folder: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|dir| dir.sync_all())
            .doing("sync the folder", folder)?;
    }
    Ok(())
}
