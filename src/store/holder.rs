//! Who holds a lock, for those who wait for it: written into the lock's file by whoever takes it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Who holds a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// Another thread of this very process.
    ThisProcess,
    /// Another process.
    Process {
        /// Its number.
        id: u32,
        /// Its machine, where that is another one than this.
        host: Option<String>,
    },
    /// Its file does not say.
    Unknown,
}

impl Holder {
    /// Says in the lock's file that this process holds it. It only helps others to a better message.
    pub(super) fn sign(mut file: &File) {
        let line = format!("{} {}\n", std::process::id(), host());
        let _ = (file.set_len(0))
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(line.as_bytes()));
    }

    /// Who signed the lock's file.
    pub(super) fn of(path: &Path) -> Self {
        let mut text = String::new();
        // Some systems let nobody read what is locked.
        let read = File::open(path).and_then(|file| file.take(1024).read_to_string(&mut text));
        let signed = read
            .ok()
            .and_then(|_| text.trim_end_matches('\n').split_once(' '));
        let Some((id, signed_host)) = signed else {
            return Self::Unknown;
        };
        match (id.parse(), signed_host == host()) {
            (Ok(id), true) if id == std::process::id() => Self::ThisProcess,
            (Ok(id), here) => Self::Process {
                id,
                host: (!here).then(|| signed_host.to_owned()),
            },
            (Err(_), _) => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ThisProcess => write!(f, "another worker of this run"),
            Self::Process { id, host: None } => write!(f, "process {id}"),
            Self::Process {
                id,
                host: Some(host),
            } => write!(f, "process {id} on {host}"),
            Self::Unknown => write!(f, "another process"),
        }
    }
}

fn host() -> String {
    sysinfo::System::host_name().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_tells_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (own, here) = (std::process::id(), host());
        for (signed, said) in [
            (
                format!("{own} {here}\n"),
                "another worker of this run".to_owned(),
            ),
            (
                format!("{} {here}\n", own + 1),
                format!("process {}", own + 1),
            ),
            (
                format!("{own} {here}-other\n"),
                format!("process {own} on {here}-other"),
            ),
            (String::new(), "another process".to_owned()),
            ("nonsense\n".to_owned(), "another process".to_owned()),
            (format!("x {here}\n"), "another process".to_owned()),
        ] {
            std::fs::write(&path, &signed).unwrap();
            assert_eq!(Holder::of(&path).to_string(), said, "{signed:?}");
        }
        std::fs::write(&path, "4711 a-host-with-a-name-longer-than-ours\n").unwrap();
        Holder::sign(&File::options().write(true).open(&path).unwrap());
        assert_eq!(Holder::of(&path), Holder::ThisProcess);
        assert_eq!(Holder::of(&folder.path().join("none")), Holder::Unknown);
    }
}
