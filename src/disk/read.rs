//! Reading what people name.

use std::fs::{self, File, Metadata};
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

use crate::memory::room_for;

/// Bytes of a small file at most (ours): settings of models and the like, which have some thousands.
const SMALL: u64 = 64 << 20;

/// Checks that there is a file at `path`. Anything else (a pipe would be waited for, perhaps for ever, and read only
/// once) is refused.
///
/// # Errors
/// It is not there, or is no file.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    check_kind(&fs::metadata(path)?)
}

/// Opens a file, and nothing else.
///
/// # Errors
/// As of [`check`], or it may not be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    File::open(path)
}

/// All of a file.
///
/// # Errors
/// As of [`open`], or it is longer than the memory.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    // The system may promise more than there is.
    let room = usize::try_from(length).ok().filter(|_| has_room(length));
    bytes.try_reserve_exact(room.ok_or(ErrorKind::OutOfMemory)?)?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of a file that is small where it is what it should be.
///
/// # Errors
/// As of [`open`], or it has more than 64 MiB.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    check_small(path)?;
    read(path)
}

/// Checks that a file is as small as it should be.
///
/// # Errors
/// As of [`read_small`].
pub(crate) fn check_small(path: &Path) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    check_kind(&meta)?;
    let length = meta.len();
    if length > SMALL {
        let message =
            format!("it has {length} bytes, more than the {SMALL} that such a file may have");
        return Err(Error::new(ErrorKind::InvalidData, message));
    }
    Ok(())
}

/// Whether there is a file at `path`.
///
/// # Errors
/// What is there is no file, or cannot be looked at.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(meta) => check_kind(&meta).map(|()| true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn has_room(length: u64) -> bool {
    room_for("a file", "", length).is_ok()
}

fn check_kind(meta: &Metadata) -> io::Result<()> {
    if meta.is_file() {
        return Ok(());
    }
    let what = if meta.is_dir() {
        "it is a folder, not a file"
    } else {
        "it is a pipe or a device, not a file\nhint: write what comes from it to a file, and name that: it is read more than once"
    };
    Err(Error::new(ErrorKind::InvalidInput, what))
}
