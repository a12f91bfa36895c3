//! Files that are not the store's: read only where they are files, written whole or not at all.
//!
//! What people name may be a pipe that never ends or a file of a terabyte; what they keep must survive a full disk
//! and a kill. The store has rules of its own for its files.

mod advice;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use advice::advice;
pub(crate) use read::{check, check_small, exists, open, read, read_small};
pub(crate) use write::{WriteError, is_stream, write, write_all, write_folder, write_new};
