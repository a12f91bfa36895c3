//! Why a program could not be run.

use std::io;
use std::path::PathBuf;

/// Why a program could not be run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("interrupted")]
    Cancelled,
    #[error("`{command}` cannot be run: {source}\nhint: {hint}")]
    NotStarted {
        command: String,
        source: io::Error,
        hint: &'static str,
    },
    #[error(
        "`{command}` cannot be cut off from the network on this system: {why}\nhint: set `network = true` if it may use the network"
    )]
    Network { command: String, why: String },
    #[error("`{}` cannot be made ready for a program: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}
