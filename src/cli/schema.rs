//! `sert-run schema`: the JSON Schema of manifests.

use super::data;
use super::exit::{Exit, Failure};
use crate::manifest;
use crate::stage;

pub(crate) fn run() -> Result<Exit, Failure> {
    data::print(manifest::schema_text(stage::KINDS).as_bytes())?;
    Ok(Exit::Done)
}
