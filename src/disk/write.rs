//! Writing what people keep: beside its place first, then renamed. What stood there stays until then.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::advice;

/// What unfinished files and folders are called, with something random in between.
const BEGIN: &str = ".sert-run-";
const END: &str = ".part";

/// Links that are followed before they count as a circle; Linux's limit.
const MOST_LINKS: usize = 40;

/// A file or folder was not written. What stood there before stands there still.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {source}{}", path.display(), advice(source))]
pub(crate) struct WriteError {
    /// What was to be written.
    pub path: PathBuf,
    /// Why not.
    pub source: Error,
}

impl WriteError {
    fn of(path: &Path) -> impl FnOnce(Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}

/// Writes a file, in place of one that may be there. Through a link, what it leads to is replaced; into a pipe or a
/// device, `/dev/stdout` for example, the bytes go as they are.
///
/// # Errors
/// The system refuses.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_all(&[(path.to_owned(), bytes)])
}

/// Writes several files; none is replaced before all are on the disk.
///
/// # Errors
/// The system refuses.
pub(crate) fn write_all<B: AsRef<[u8]>>(files: &[(PathBuf, B)]) -> Result<(), WriteError> {
    let mut pending = Vec::new();
    for (path, bytes) in files {
        let begun = Pending::begin(path, bytes.as_ref()).map_err(WriteError::of(path))?;
        pending.push((path, begun));
    }
    for (path, pending) in pending {
        pending.finish().map_err(WriteError::of(path))?;
    }
    Ok(())
}

/// As [`write()`], where there is no file yet.
///
/// # Errors
/// There is one ([`ErrorKind::AlreadyExists`]), or the system refuses.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let written = match place(path) {
        Target::Stream(stream) => pour(&stream, bytes),
        Target::File(target) => beside(&target, bytes).and_then(|part| {
            let kept = part.persist_noclobber(&target);
            kept.map(drop).map_err(|failed| failed.error)
        }),
    };
    written.map_err(WriteError::of(path))
}

/// Makes a folder with what `fill` puts into it.
///
/// # Errors
/// As of `fill`; or there is something at `path` already, or the system refuses.
pub(crate) fn write_folder<E: From<WriteError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let above = above(path);
    fs::create_dir_all(above).map_err(WriteError::of(path))?;
    sweep(above);
    let mut builder = Builder::new();
    builder.prefix(BEGIN).suffix(END);
    #[cfg(unix)]
    // Temporary folders are private; what a person keeps has the rights that the umask leaves, as any folder.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let part = builder.tempdir_in(above).map_err(WriteError::of(path))?;
    // Or `sweep` of another process would remove it as left by a kill.
    let lock = File::open(part.path()).ok();
    let _ = lock.as_ref().map(File::try_lock);
    fill(part.path())?;
    let kept = sync_files(part.path()).and_then(|()| {
        // A rename would put it in the place of a folder that is there and empty, but of nothing else.
        fs::rename(part.path(), path)
    });
    kept.map_err(WriteError::of(path))?;
    let _ = part.keep(); // it has its name now
    Ok(())
}

/// Whether `path` is written to as it is: a pipe, a device, or a name of an open file such as `/dev/stdout`.
pub(crate) fn is_stream(path: &Path) -> bool {
    matches!(place(path), Target::Stream(_))
}

/// Where bytes for a path go.
enum Target {
    /// Into what is open already, or is no file.
    Stream(PathBuf),
    /// Into a file of this name, which is no link.
    File(PathBuf),
}

fn place(path: &Path) -> Target {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        let opened = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];
        if opened.iter().any(|name| target.starts_with(name)) {
            return Target::Stream(target);
        }
        match fs::read_link(&target) {
            Ok(next) => target = above(&target).join(next),
            Err(_) => break,
        }
    }
    match fs::metadata(&target) {
        Ok(meta) if !meta.is_file() && !meta.is_dir() => Target::Stream(target),
        _ => Target::File(target),
    }
}

/// A file that is written but has not its name yet; or bytes for a stream.
enum Pending<'b> {
    Part(NamedTempFile, PathBuf),
    Bytes(&'b [u8], PathBuf),
}

impl<'b> Pending<'b> {
    fn begin(path: &Path, bytes: &'b [u8]) -> io::Result<Self> {
        let target = match place(path) {
            Target::Stream(stream) => return Ok(Self::Bytes(bytes, stream)),
            Target::File(target) => target,
        };
        // A file that may not be written to is not replaced either.
        let there = match OpenOptions::new().write(true).open(&target) {
            Ok(there) => Some(there.metadata()?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match (beside(&target, bytes), there) {
            (Ok(part), None) => Ok(Self::Part(part, target)),
            (Ok(part), Some(there)) => {
                part.as_file().set_permissions(there.permissions())?;
                Ok(Self::Part(part, target))
            }
            // Nothing may be made in the folder, but the file in it may be written to.
            (Err(error), Some(_)) if is_refusal(&error) => Ok(Self::Bytes(bytes, target)),
            (Err(error), _) => Err(error),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Part(part, target) => {
                part.persist(target).map_err(|failed| failed.error)?;
                Ok(())
            }
            Self::Bytes(bytes, target) => pour(&target, bytes),
        }
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Writes into what is there.
fn pour(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let is = |names: [&str; 3]| names.iter().any(|name| target == Path::new(name));
    // Opened by name they would be written to from their beginning.
    if is(["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]) {
        let mut out = io::stdout().lock();
        return out.write_all(bytes).and_then(|()| out.flush());
    }
    if is(["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"]) {
        return io::stderr().lock().write_all(bytes);
    }
    let regular = fs::metadata(target).is_ok_and(|meta| meta.is_file());
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(regular)
        .open(target)?;
    file.write_all(bytes)
}

/// A file with these bytes, on the disk, in the folder of `target`.
fn beside(target: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let folder = above(target);
    sweep(folder);
    let mut builder = Builder::new();
    builder.prefix(BEGIN).suffix(END);
    #[cfg(unix)]
    // As in `write_folder`: temporary files are private.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut part = builder.tempfile_in(folder)?;
    let _ = part.as_file().try_lock(); // see `sweep`
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    Ok(part)
}

/// Removes what writers that were killed left in `folder`. Those that live hold a lock on what they write.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(middle) = name
            .to_str()
            .and_then(|name| name.strip_prefix(BEGIN)?.strip_suffix(END))
        else {
            continue;
        };
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        // What the `tempfile` crate puts in between.
        let ours = middle.len() == 6 && middle.chars().all(char::is_alphanumeric);
        if !ours || !(kind.is_file() || kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = if kind.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
        }
    }
}

/// The folder that `path` is in.
fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Brings the files of a folder to the disk.
fn sync_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_files(&path)?;
        // Elsewhere a file has to be open for writing to be synced.
        } else if cfg!(unix) {
            File::open(&path)?.sync_all()?;
        }
    }
    Ok(())
}
