//! Files beneath a folder that may come from somebody else (a store): none is reached through a symbolic link, and
//! only regular files are opened.
//!
//! In: a base folder, which is the user's own choice and may be a link, and a path below it. Out: the file or folder
//! itself, or [`Foreign`] where something else stands there. New files and folders get the group's rights of the folder
//! that they are made in, so that a group can share one. This guards against what lies in a folder that was handed over,
//! not against somebody who changes it while it is in use.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What stands where a file or a folder of ours would.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} is {what}", path.display())]
pub(crate) struct Foreign {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub what: &'static str,
}

impl Foreign {
    /// The cause of an error of this module, if that is it.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The error of whoever finds a `kind` at `path` and wants something else there.
    pub(crate) fn error(path: &Path, kind: Kind) -> io::Error {
        io::Error::other(Self {
            path: path.to_owned(),
            what: kind.name(),
        })
    }
}

/// What a path leads to, without following a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Other,
}

impl Kind {
    /// What `path` leads to; `None` where there is nothing.
    ///
    /// # Errors
    /// It cannot be told.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(meta) => Ok(Some(meta.file_type().into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            // A file stands where a folder on the way would.
            Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What it is called in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Other => "a device, a pipe or a socket",
        }
    }
}

impl From<FileType> for Kind {
    fn from(found: FileType) -> Self {
        if found.is_file() {
            Self::File
        } else if found.is_dir() {
            Self::Folder
        } else if found.is_symlink() {
            Self::Link
        } else {
            Self::Other
        }
    }
}

/// Whether every folder between `base` and `path` is there, as a folder. [`Foreign`] where one is something else.
fn on_the_way(base: &Path, path: &Path) -> io::Result<bool> {
    let below = path.strip_prefix(base).map_err(io::Error::other)?;
    let mut at = base.to_owned();
    for part in below.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        match Kind::of(&at)? {
            Some(Kind::Folder) => {}
            Some(other) => return Err(Foreign::error(&at, other)),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// What is at `path`, none of whose folders below `base` is a link; `None` where there is nothing.
///
/// # Errors
/// It cannot be told, or the way leads through something that is not a folder.
pub(crate) fn kind(base: &Path, path: &Path) -> io::Result<Option<Kind>> {
    Ok(if on_the_way(base, path)? {
        Kind::of(path)?
    } else {
        None
    })
}

/// The regular file at `path`, to be read.
///
/// # Errors
/// It is not there, is no regular file, or may not be read.
pub(crate) fn open(base: &Path, path: &Path) -> io::Result<File> {
    checked(base, path, OpenOptions::new().read(true))
}

/// The regular file at `path`, to be read and written; made where there is none.
///
/// # Errors
/// It is no regular file, or may not be written.
pub(crate) fn open_or_create(base: &Path, path: &Path) -> io::Result<File> {
    let new = Kind::of(path)?.is_none();
    let file = checked(
        base,
        path,
        OpenOptions::new().read(true).write(true).create(true),
    )?;
    if new {
        share(path);
    }
    Ok(file)
}

/// A new file at `path`, to be written, in place of a regular file that is there.
///
/// # Errors
/// Something else is there, or the folder may not be written to.
pub(crate) fn create(base: &Path, path: &Path) -> io::Result<File> {
    let file = open_or_create(base, path)?;
    file.set_len(0)?;
    Ok(file)
}

/// All bytes of the regular file at `path`.
///
/// # Errors
/// As of [`open`].
pub(crate) fn read(base: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open(base, path)?, &mut bytes)?;
    Ok(bytes)
}

/// Makes the folder `path` and those between it and `base`, where they are not there.
///
/// # Errors
/// Something that is not a folder is in the way, or one cannot be made.
pub(crate) fn create_folder(base: &Path, path: &Path) -> io::Result<()> {
    let below = path.strip_prefix(base).map_err(io::Error::other)?;
    let mut at = base.to_owned();
    for part in below.components() {
        at.push(part);
        match Kind::of(&at)? {
            Some(Kind::Folder) => {}
            Some(other) => return Err(Foreign::error(&at, other)),
            None => match fs::create_dir(&at) {
                Ok(()) => share(&at),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {} // another process was first
                Err(error) => return Err(error),
            },
        }
    }
    Ok(())
}

/// What lies in the folder `path`, sorted, and what each is; nothing where there is no such folder.
///
/// # Errors
/// Something else is there, or it cannot be read.
pub(crate) fn list(base: &Path, path: &Path) -> io::Result<Vec<(PathBuf, Kind)>> {
    match kind(base, path)? {
        None => return Ok(Vec::new()),
        Some(Kind::Folder) => {}
        Some(other) => return Err(Foreign::error(path, other)),
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        found.push((entry.path(), entry.file_type()?.into()));
    }
    found.sort();
    Ok(found)
}

/// Puts the file `from` at `path`; what is there is replaced if it is a regular file.
///
/// # Errors
/// Something else is there, or the file system refuses.
pub(crate) fn rename(base: &Path, from: &Path, path: &Path) -> io::Result<()> {
    make_way(base, path)?;
    fs::rename(from, path)
}

/// Makes sure that a file may be put at `path` without loss of anything but a regular file.
///
/// # Errors
/// Something else is there.
pub(crate) fn make_way(base: &Path, path: &Path) -> io::Result<()> {
    match kind(base, path)? {
        None | Some(Kind::File) => Ok(()),
        Some(other) => Err(Foreign::error(path, other)),
    }
}

/// Gives what was just made at `path` the group's rights of its folder: a group that may write there may write to it.
/// As git does in a shared repository.
pub(crate) fn share(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        const GROUP_WRITES: u32 = 0o020;
        const SET_GROUP: u32 = 0o2000;
        let mode = |path: &Path| Some(fs::symlink_metadata(path).ok()?.permissions().mode());
        let Some((folder, own)) = path.parent().and_then(mode).zip(mode(path)) else {
            return;
        };
        if folder & GROUP_WRITES == 0 {
            return;
        }
        let rights = if path.is_dir() {
            0o070 | folder & SET_GROUP
        } else {
            0o060
        };
        // Somebody else's file cannot be given rights, and needs none from us.
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(own & 0o7777 | rights));
    }
    #[cfg(not(unix))]
    let _ = path; // rights are inherited there
}

fn checked(base: &Path, path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if !on_the_way(base, path)? {
        return Err(ErrorKind::NotFound.into());
    }
    no_follow(options);
    let opened = options.open(path);
    let kind = match &opened {
        Ok(file) => Some(file.metadata()?.file_type().into()),
        Err(_) => Kind::of(path)?,
    };
    match kind {
        Some(Kind::File) | None => opened,
        Some(other) => Err(Foreign::error(path, other)),
    }
}

#[cfg(unix)]
fn no_follow(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    // Nor wait for somebody at the other end of a pipe.
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
}

#[cfg(windows)]
fn no_follow(options: &mut OpenOptions) {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn foreign<T>(outcome: io::Result<T>) -> &'static str {
        Foreign::of(&outcome.err().expect("it is refused"))
            .expect("as what is not the store's")
            .what
    }

    #[test]
    fn no_link_is_followed_wherever_it_stands() {
        let (base, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (base, outside) = (base.path(), outside.path());
        fs::write(outside.join("victim"), b"precious").unwrap();
        fs::create_dir(base.join("real")).unwrap();
        symlink(outside, base.join("folder")).unwrap();
        symlink(outside.join("victim"), base.join("real/link")).unwrap();
        symlink(outside.join("new"), base.join("real/dangling")).unwrap();
        for name in ["folder/victim", "real/link", "real/dangling"] {
            let path = base.join(name);
            let link = "a symbolic link";
            assert_eq!(foreign(open(base, &path)), link, "{name}");
            assert_eq!(foreign(open_or_create(base, &path)), link, "{name}");
            assert_eq!(foreign(create(base, &path)), link, "{name}");
            assert_eq!(foreign(make_way(base, &path)), link, "{name}");
        }
        assert_eq!(foreign(list(base, &base.join("folder"))), "a symbolic link");
        let below = base.join("folder/deeper");
        assert_eq!(foreign(create_folder(base, &below)), "a symbolic link");
        assert_eq!(fs::read(outside.join("victim")).unwrap(), b"precious");
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
        // The base itself is the user's choice.
        let named = base.join("folder");
        assert!(open(&named, &named.join("victim")).is_ok());
    }

    #[test]
    fn only_regular_files_are_opened_and_pipes_do_not_block() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let pipe = base.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        fs::create_dir(base.join("dir")).unwrap();
        assert_eq!(foreign(open(base, &pipe)), "a device, a pipe or a socket");
        assert_eq!(foreign(open_or_create(base, &base.join("dir"))), "a folder");
        let absent = open(base, &base.join("no/file")).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        let mut file = create(base, &base.join("file")).unwrap();
        file.write_all(b"abc").unwrap();
        assert_eq!(read(base, &base.join("file")).unwrap(), b"abc");
        create(base, &base.join("file")).unwrap();
        assert_eq!(read(base, &base.join("file")).unwrap(), b"");
    }

    #[test]
    fn what_is_made_in_a_groups_folder_is_the_groups() {
        let base = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        for (folder, dir_bits, file_bits) in [(0o2775, 0o2070, 0o060), (0o755, 0, 0)] {
            let home = base.path().join(format!("{folder:o}"));
            fs::create_dir(&home).unwrap();
            fs::set_permissions(&home, fs::Permissions::from_mode(folder)).unwrap();
            create_folder(&home, &home.join("a/b")).unwrap();
            open_or_create(&home, &home.join("a/b/file")).unwrap();
            for (name, bits) in [("a", dir_bits), ("a/b", dir_bits), ("a/b/file", file_bits)] {
                let mode = mode(&home.join(name));
                assert_eq!(mode & bits, bits, "{name} {mode:o}");
                assert_eq!(mode & 0o020 != 0, bits != 0, "{name} {mode:o}");
            }
        }
    }
}
