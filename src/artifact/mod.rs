//! The typed values that stages exchange, and their encoding.
//!
//! An artifact is one object in the store: JSON lines for rows, one JSON document for the rest.
//! Its content digest is what a later stage's key sees, so the encoding is deterministic: field
//! order is the struct's, floats are written in the shortest form that reads back exactly.

mod encoding;
mod kind;
mod model;

pub(crate) use encoding::{Artifact, ArtifactError};
pub(crate) use kind::ArtifactKind;
pub(crate) use model::{ModelFolder, TextMarks};
