//! A user's program, run beside the experiment: its text in, its text out.
//!
//! In: [`ProgramParams`] of a manifest, the program's file and further ones, a text for its standard input. Out: what it wrote
//! and how it ended. It runs in an empty folder with a bare environment, within limits of time, memory and output, without
//! network unless the manifest says so, and is ended with its children (its process group) when the run is. `docs/verifiers.md` has the rules.
//!
//! A server that a run starts goes on [`Beside`] it, and is ended with it too.

mod beside;
mod error;
mod params;
mod prepared;
mod process;
#[cfg(unix)]
mod unix;

pub(crate) use beside::{Beside, last_words};
pub(crate) use error::ProgramError;
pub(crate) use params::ProgramParams;
pub(crate) use prepared::Program;
