//! Blinded human rating of paths: sheets that are handed out, read back, and compared.
//!
//! [`write_sheet`] chooses paths of a stage and writes them as CSV for a spreadsheet: an opaque id, the
//! question, the path, and empty columns for the four [`CRITERIA`]. [`Sheet::read`] reads one that a
//! rater has filled in, every error with its line; [`RatingReport`] says how the raters rated, and how
//! far they agree with each other and with the judge whose scores the paths carry.
//!
//! Blinded: nothing in a sheet tells the arm, the model, a filter's decision, a score or the gold
//! answer. Ids are seeded hashes, and a sheet is in the order of its ids.

mod cell;
mod error;
mod read;
mod report;
mod write;

pub(crate) use error::{RatingError, SheetError};
pub(crate) use read::Sheet;
pub(crate) use report::RatingReport;
pub(crate) use write::{Choice, write_sheet};

use std::collections::BTreeMap;

use crate::artifact::{Artifact, ArtifactKind};
use crate::key::{Digest, canonical_json};
use crate::text::{FilteredPath, ReasoningPath};

// What a path is rated on (paper, Table I). A judge's scores have the same names in `ReasoningPath::scores`.
pub(crate) use crate::teacher::judge::CRITERIA;

/// The best rating; the worst is 0.
pub(crate) const HIGHEST: u8 = 10;

/// A path as something to rate.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Item {
    /// What the sheet knows it by.
    pub id: String,
    /// The path.
    pub path: ReasoningPath,
}

/// The paths in a stage's artifact by their ids in sheets of this seed. What a filter decided is left behind. Of
/// paths that are equal in question, row and text there is one item.
///
/// # Errors
/// An artifact that holds no paths, or is damaged.
pub(crate) fn items(
    kind: ArtifactKind,
    bytes: &[u8],
    seed: u64,
) -> Result<BTreeMap<String, Item>, RatingError> {
    let paths = match kind {
        ArtifactKind::Paths => Vec::<ReasoningPath>::decode(bytes)?,
        ArtifactKind::FilteredPaths => Vec::<FilteredPath>::decode(bytes)?
            .into_iter()
            .map(|filtered| filtered.path)
            .collect(),
        other => return Err(RatingError::NoPaths { found: other }),
    };
    let mut items = BTreeMap::new();
    for path in paths {
        let id = item_id(&path, seed);
        items.entry(id.clone()).or_insert(Item { id, path });
    }
    Ok(items)
}

/// A seeded hash of the path. The text is in it, so a sheet is not read against another text of the same
/// draw (one cut later, say). It begins with a letter, so no spreadsheet takes it for a number.
fn item_id(path: &ReasoningPath, seed: u64) -> String {
    let identity = serde_json::json!(["rating", seed, path.question_id, path.stream, path.text]);
    let digest = Digest::of(canonical_json(&identity).as_bytes());
    format!("p{}", digest.short())
}

#[cfg(test)]
mod tests;
