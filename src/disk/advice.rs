//! What to do where the system refuses for want of room.

use std::io::{Error, ErrorKind};

/// A hint for an error of the system that has nothing to do with what was asked, else nothing; to be put after it.
pub(crate) fn advice(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "\nhint: free some space on that disk, then give the same command again"
        }
        ErrorKind::FileTooLarge => {
            "\nhint: files may not be that long here: look at `ulimit -f`, or take a disk with another file system"
        }
        ErrorKind::OutOfMemory => {
            "\nhint: there is not so much memory: look at `ulimit -v`, or take a machine with more"
        }
        _ => "",
    }
}
