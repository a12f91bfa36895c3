//! The types of artifacts, by which ports are checked before anything runs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of value an artifact is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// Questions with gold answers.
    Questions,
    /// Documents to pretrain on.
    Text,
    /// A student: a folder in Hub format and the prompt form it was trained on.
    Model,
    /// Reasoning paths of a student or a teacher.
    Paths,
    /// Paths with what a filter decided about each. Manifests and stored results call them verdicts.
    #[serde(rename = "verdicts")]
    FilteredPaths,
    /// How many paths each filter step dropped.
    Funnel,
    /// A loss curve.
    Losses,
    /// Raw answers.
    Predictions,
    /// Measured figures with their intervals.
    Evaluation,
    /// How likely a student finds a text, by document.
    TextScores,
    /// Rows that share n-grams of words with questions.
    Overlap,
    /// Whether there is to be another round, and which was the best so far.
    Decision,
}

impl ArtifactKind {
    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Questions => "questions",
            Self::Text => "text",
            Self::Model => "model",
            Self::Paths => "paths",
            Self::FilteredPaths => "verdicts",
            Self::Funnel => "funnel",
            Self::Losses => "losses",
            Self::Predictions => "predictions",
            Self::Evaluation => "evaluation",
            Self::TextScores => "text scores",
            Self::Overlap => "overlap",
            Self::Decision => "decision",
        }
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
