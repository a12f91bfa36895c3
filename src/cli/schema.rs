//! `sert-run schema`: the JSON Schema of manifests.

use std::io::Write;

use super::exit::{Exit, Failure};
use crate::manifest;
use crate::stage;

pub(crate) fn run() -> Result<Exit, Failure> {
    let schema = serde_json::to_string_pretty(&manifest::schema(stage::KINDS))
        .map_err(anyhow::Error::from)?;
    writeln!(anstream::stdout(), "{schema}")?;
    Ok(Exit::Done)
}
