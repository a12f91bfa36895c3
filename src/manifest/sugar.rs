//! Sections that are short for a stage.

/// Sections that stand for a stage of the same name: section and kind.
pub(super) const SUGAR: [(&str, &str); 2] = [("data", "dataset"), ("student", "student")];
