//! Data on stdout, byte for byte. What is for a person goes through `anstream`, which takes control characters out where
//! no terminal reads; of data it would make other data.

use std::io::{self, Write};

use serde::Serialize;

use super::exit::Failure;

/// Prints bytes as they are.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Prints a value as JSON that is laid out over lines.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::from)?;
    print(format!("{text}\n").as_bytes())
}
