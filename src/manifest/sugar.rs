//! What is short for a stage: sections, and (in `lists`) lists of stages.

/// Sections that stand for a stage of the same name: section and kind.
pub(super) const SUGAR: [(&str, &str); 2] = [("data", "dataset"), ("student", "student")];

/// The kind that a list of stages stands for where one stage's paths are taken.
pub(super) const UNION: &str = "union";
