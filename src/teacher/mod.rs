//! Teachers: reasoning paths that a larger model, or a solver, wrote; and judges of such paths.
//!
//! Recorded teachers: [`TeachParams`] and the questions of a split go in; one [`ReasoningPath`] for
//! each question that the recording has (several where it has several), and the teacher's name as what it
//! is come out. Text is raw, as it was recorded: trimming is training's work. Teachers and judges behind
//! a server: [`http`] asks, [`cot`] and [`judge`] know the prompts and read the replies.
//!
//! Each recording is one entry in [`RECORDINGS`], which the parser, the schema and the help read.
//! A recording that is about other questions is an error, never an empty result.

mod completions;
pub(crate) mod cot;
mod error;
pub(crate) mod http;
mod join;
pub(crate) mod judge;
mod palm;
mod params;
mod plain;
mod solver;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(crate) use error::TeacherError;
pub(crate) use params::{RecordingName, TeachParams, TeachSource};

use crate::dataset::{DataFile, DataSource};
use crate::text::{Question, ReasoningPath};

/// A teacher's paths for the questions asked for.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Recorded {
    /// The teacher as what it is, for example `text-davinci-002, zero-shot CoT, Ho et al. 2023`.
    pub teacher: String,
    /// The paths, in the order of the questions, then of the recording.
    pub paths: Vec<ReasoningPath>,
    /// Questions asked for.
    pub questions: usize,
    /// Questions that have a path.
    pub joined: usize,
    /// Questions that the recording has.
    pub in_recording: usize,
}

impl Recorded {
    /// One line about how the recording joined the questions.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} of {} questions are in the recording, which has {} ({})",
            self.joined, self.questions, self.in_recording, self.teacher
        )
    }
}

type Load = fn(&TeachParams, &[PathBuf], &[Question]) -> Result<Recorded, TeacherError>;

/// A registered recording.
pub(crate) struct RecordingKind {
    /// Its name in a manifest.
    pub name: &'static str,
    /// One line for help and schema.
    pub doc: &'static str,
    /// The files that it reads, in the order in which `load` wants them.
    files: fn(&TeachParams) -> Result<Vec<DataFile>, TeacherError>,
    /// The paths for the questions.
    load: Load,
}

/// Every recording.
pub(crate) static RECORDINGS: &[RecordingKind] = &[
    completions::DAVINCI,
    palm::KIND,
    solver::MICROWORLD,
    solver::LATENT_WORLD,
    solver::REFERENCE,
    completions::KIND,
    plain::KIND,
];

/// The files that [`load`] reads for `params`.
///
/// # Errors
/// `path` is missing, or given where the recording has its own files.
pub(crate) fn files(params: &TeachParams) -> Result<Vec<DataFile>, TeacherError> {
    (params.recording.kind().files)(params)
}

/// Loads the recorded paths for `questions`.
///
/// # Errors
/// A file cannot be had or read, or the recording is about other questions.
pub(crate) fn load(
    params: &TeachParams,
    questions: &[Question],
    from: &DataSource<'_>,
) -> Result<Recorded, TeacherError> {
    let paths = files(params)?
        .iter()
        .map(|file| file.locate(from))
        .collect::<Result<Vec<_>, _>>()?;
    (params.recording.kind().load)(params, &paths, questions)
}

/// The user's file of a recording that has none of its own.
fn own_file(params: &TeachParams) -> Result<Vec<DataFile>, TeacherError> {
    let path = params.path.as_deref().ok_or_else(|| TeacherError::Param {
        field: "path",
        reason: format!(
            "recording `{}` needs a file\nhint: give a path or an https URL",
            params.recording
        ),
    })?;
    Ok(vec![
        if path.starts_with("https://") || path.starts_with("http://") {
            DataFile::Pinned(crate::fetch::PinnedFile::at(path))
        } else {
            DataFile::Local(PathBuf::from(path))
        },
    ])
}

/// Refuses a `path` that would be ignored.
fn no_file(params: &TeachParams) -> Result<(), TeacherError> {
    match &params.path {
        None => Ok(()),
        Some(path) => Err(TeacherError::Param {
            field: "path",
            reason: format!(
                "`{path}` is given, but recording `{}` has files of its own\nhint: leave `path` out, or set `recording` to `completions` or `jsonl`",
                params.recording
            ),
        }),
    }
}
