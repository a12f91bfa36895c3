//! On what a store lies: a disk of this machine, or a file system that many see.
//!
//! `SQLite`'s locks and logs mean nothing on a network file system, and file locks there mean what its mount makes of them. So
//! of a store there only files that are written once are shared. The index lies on this machine, and is brought up to the
//! files when the store is opened; each machine appends to segments that have its name, and mends no others.

use std::path::{Path, PathBuf};

use super::own;
use crate::key::Digest;

/// Types of file systems that machines share, as Linux names them, and how those begin that are mounted by a program of a user's.
const SHARED: [&str; 17] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "afs",
    "panfs",
    "pvfs2",
    "wekafs",
    "glusterfs",
    "9p",
    "orangefs",
    "ocfs2",
];
const BY_A_PROGRAM: &str = "fuse.";
/// Letters of a machine's name in the names of its segments.
const NAME_LETTERS: usize = 8;

/// On what a store lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Site {
    /// The folder of the index; `None` where it can lie in memory only.
    pub(super) index_folder: Option<PathBuf>,
    /// What the names of this machine's segments begin with, where others have theirs beside them.
    pub(super) machine: Option<String>,
}

impl Site {
    /// That of the store at `root`.
    pub(super) fn of(root: &Path) -> Self {
        if !is_shared(root) {
            return Self {
                index_folder: Some(root.to_owned()),
                machine: None,
            };
        }
        let cache = {
            use etcetera::BaseStrategy;
            etcetera::choose_base_strategy()
                .ok()
                .map(|folders| folders.cache_dir())
        };
        // A home folder is mostly on the network too.
        let places = cache.into_iter().chain([std::env::temp_dir()]);
        let name = Digest::of(root.as_os_str().as_encoded_bytes()).to_string();
        let folder = places
            .filter(|place| !is_shared(place))
            .map(|place| place.join("sert-run").join("indexes").join(&name[..32]))
            .find(|folder| std::fs::create_dir_all(folder).is_ok());
        Self::shared(folder, &sysinfo::System::host_name().unwrap_or_default())
    }

    /// That of a store that machines share, on the machine of this name.
    pub(super) fn shared(index_folder: Option<PathBuf>, machine: &str) -> Self {
        let name = Digest::of(machine.as_bytes()).to_string();
        Self {
            index_folder,
            machine: Some(name[..NAME_LETTERS].to_owned()),
        }
    }

    /// Where the index lies, or would.
    pub(super) fn index(&self, root: &Path) -> PathBuf {
        self.index_folder
            .as_deref()
            .unwrap_or(root)
            .join(own::INDEX)
    }

    /// The name of this machine's segment of that number.
    pub(super) fn segment(&self, number: u32) -> String {
        match &self.machine {
            Some(machine) => format!("{machine}-{number:06}.seg"),
            None => format!("{number:06}.seg"),
        }
    }

    /// Whether a segment is one that this machine appends to and mends.
    pub(super) fn owns(&self, segment: &str) -> bool {
        match &self.machine {
            Some(machine) => segment
                .strip_prefix(machine.as_str())
                .is_some_and(|rest| rest.starts_with('-')),
            None => !own::is_of_a_machine(segment),
        }
    }
}

/// Whether a folder, which may not be there yet, lies on a file system that machines share, as far as the system tells.
fn is_shared(path: &Path) -> bool {
    let there = path.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        path.canonicalize().ok()
    });
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    there
        .and_then(|path| file_system(&mounts, &path))
        .is_some_and(|kind| SHARED.contains(&kind.as_str()) || kind.starts_with(BY_A_PROGRAM))
}

/// The type of the file system that a path is on, by what `/proc/self/mountinfo` says.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = PathBuf::from(unescaped(before.split(' ').nth(4)?));
        let kind = after.split(' ').next()?.to_owned();
        path.starts_with(&point)
            .then(|| (point.components().count(), kind))
    };
    // Of two at one place the later one covers the other.
    let mounts = mounts.lines().filter_map(mount);
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// Spaces and the like are octal numbers in a mount's path.
fn unescaped(text: &str) -> String {
    let escapes = [
        (r"\040", " "),
        (r"\011", "\t"),
        (r"\012", "\n"),
        (r"\134", "\\"),
    ];
    escapes
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_by_the_nearest_mount() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 22 0:40 / /home rw - nfs4 server:/home rw\n\
            31 30 0:41 / /home/me/local\\040disk rw - xfs /dev/sdb rw\n\
            32 22 0:42 / /scratch rw - lustre 10.0.0.1@o2ib:/fs rw\n\
            33 22 0:43 / /mnt rw - fuse.sshfs me@host:/ rw\n";
        for (path, kind) in [
            ("/tmp/x", "ext4"),
            ("/home/me/cache", "nfs4"),
            ("/home/me/local disk/cache", "xfs"),
            ("/homeless", "ext4"),
            ("/scratch", "lustre"),
            ("/mnt/a", "fuse.sshfs"),
        ] {
            assert_eq!(
                file_system(mounts, Path::new(path)).as_deref(),
                Some(kind),
                "{path}"
            );
        }
        assert_eq!(file_system("", Path::new("/")), None);
    }

    #[test]
    fn each_machine_has_segments_of_its_own() {
        let [a, b] = ["n1", "n2"].map(|name| Site::shared(None, name));
        let here = Site::of(Path::new("/"));
        for (site, name) in [
            (&a, a.segment(3)),
            (&b, b.segment(3)),
            (&here, here.segment(3)),
        ] {
            assert!(own::is_segment(&name), "{name}");
            let owners = [&a, &b, &here].map(|other| other.owns(&name));
            assert_eq!(owners.iter().filter(|owns| **owns).count(), 1, "{name}");
            assert!(site.owns(&name));
        }
    }
}
