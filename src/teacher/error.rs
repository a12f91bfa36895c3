//! Why a recording cannot be used.

use crate::fetch::FetchError;
use crate::input::InputError;

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TeacherError {
    /// The recording is about other questions.
    #[error(
        "only {joined} of {questions} questions are in the recording `{recording}`, which has {recorded}: the questions are {ours}, the recording has {theirs}\nhint: choose the recording of this dataset and split, or the dataset of this recording"
    )]
    DoesNotJoin {
        /// The recording's name.
        recording: String,
        /// Questions that were found in it.
        joined: usize,
        /// Questions asked for.
        questions: usize,
        /// Questions in the recording.
        recorded: usize,
        /// Examples of the questions' ids.
        ours: String,
        /// Examples of the recording's.
        theirs: String,
    },
    /// A row of the recording contradicts its question.
    #[error(
        "{recording}: sample {index} is `{found}`, but question {id} is `{expected}`\nhint: the recording numbers another version of the dataset"
    )]
    OtherQuestion {
        /// The recording.
        recording: String,
        /// The sample's index.
        index: u64,
        /// Its question.
        found: String,
        /// The id of the question with that index.
        id: String,
        /// That question.
        expected: String,
    },
    /// Files of one recording do not fit together.
    #[error("{recording}: {reason}")]
    Inconsistent {
        /// The recording.
        recording: String,
        /// What does not fit.
        reason: String,
    },
    /// The questions have no solutions of their own.
    #[error(
        "recording `{recording}`: question {id} has no rationale of its own\nhint: {recording} goes with {datasets}"
    )]
    NoRationale {
        /// The recording.
        recording: &'static str,
        /// The first question without.
        id: String,
        /// The datasets that have rationales.
        datasets: &'static str,
    },
    /// A parameter is missing or too many.
    #[error("{field}: {reason}")]
    Param {
        /// The parameter.
        field: &'static str,
        /// What is wrong, with its hint.
        reason: String,
    },
    /// A recording's file cannot be read.
    #[error(transparent)]
    Read(#[from] InputError),
    /// A recording's file cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}
