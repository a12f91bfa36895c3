//! Identity: content digests, canonical form, stage keys.
//!
//! What goes in: bytes, or a JSON value. What comes out: a [`Digest`] (blake3, 256 bits) or a
//! [`Recipe`] whose digest is the [`StageKey`] under which a stage's outputs are kept.
//!
//! Two inputs that mean the same must have the same key, on any machine and next year too: so
//! the canonical form sorts maps, writes `1` and `1.0` alike, and knows no `-0`.

mod canonical;
mod digest;
mod digested_file;
mod recipe;

pub use canonical::canonical_json;
pub use digest::{Digest, DigestWriter, ParseDigestError};
pub use digested_file::{DigestedFile, read_exact_at};
pub use recipe::{Difference, Numerics, Recipe, StageKey};
