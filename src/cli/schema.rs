//! `sert-run schema`: the JSON Schema of manifests.

use std::io::Write;

use super::exit::{Exit, Failure};
use crate::manifest;
use crate::stage;

pub(crate) fn run() -> Result<Exit, Failure> {
    write!(
        anstream::stdout(),
        "{}",
        manifest::schema_text(stage::KINDS)
    )?;
    Ok(Exit::Done)
}
