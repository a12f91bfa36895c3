//! Why a stage did not finish.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::dataset::DatasetError;
use crate::disk::advice;
use crate::fetch::FetchError;
use crate::filter::FilterError;
use crate::guard::Panic;
use crate::input::InputError;
use crate::memory::Shortage;
use crate::metric::MetricError;
use crate::model::ChatError;
use crate::model::EngineError;
use crate::model::InferenceError;
use crate::model::ModelError;
use crate::model::device::DeviceError;
use crate::model::train::TrainError;
use crate::program::ProgramError;
use crate::served::ServedError;
use crate::store::StoreError;
use crate::teacher::TeacherError;
use crate::teacher::http::{EndpointError, EndpointErrorKind};

/// Why a stage did not finish.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant says what failed by the error it holds"
)]
pub enum StageError {
    #[error("parameters do not fit: {0}")]
    Params(#[from] serde_json::Error),
    #[error("interrupted")]
    Cancelled,
    #[error(
        "the input `{port}` is gone from the store\nhint: run the same command again; the stage that makes it will run"
    )]
    InputGone { port: String },
    #[error("{0}")]
    Invalid(String),
    #[error(
        "something that must not happen: {0}\nhint: please report this, with the manifest and what the stage reads; no input may do that, not even a damaged one"
    )]
    Panic(Panic),
    #[error(transparent)]
    Memory(#[from] Shortage),
    #[error("cannot read `{}`: {source}{}", path.display(), advice(source))]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fetch(FetchError),
    #[error(transparent)]
    Dataset(DatasetError),
    #[error(transparent)]
    Teacher(TeacherError),
    #[error(transparent)]
    Endpoint(EndpointError),
    #[error(transparent)]
    Served(ServedError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Metric(#[from] MetricError),
    #[error(transparent)]
    Program(ProgramError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Engine(EngineError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Train(TrainError),
}

/// An interruption is one, wherever it was noticed.
macro_rules! from_or_cancelled {
    ($($error:ty: $variant:ident unless $cancelled:pat),* $(,)?) => {$(
        impl From<$error> for StageError {
            fn from(error: $error) -> Self {
                match error {
                    $cancelled => Self::Cancelled,
                    other => Self::$variant(other),
                }
            }
        }
    )*};
}

from_or_cancelled! {
    EngineError: Engine unless EngineError::Cancelled,
    TrainError: Train unless TrainError::Cancelled,
    ProgramError: Program unless ProgramError::Cancelled,
    FetchError: Fetch unless FetchError::Cancelled { .. },
    DatasetError: Dataset unless DatasetError::Fetch(FetchError::Cancelled { .. }),
    TeacherError: Teacher unless TeacherError::Fetch(FetchError::Cancelled { .. }),
}

impl From<InferenceError> for StageError {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::Device(error) => error.into(),
            InferenceError::Engine(error) => error.into(),
            InferenceError::Model(error) => error.into(),
        }
    }
}

impl From<ServedError> for StageError {
    fn from(error: ServedError) -> Self {
        match error {
            ServedError::Cancelled => Self::Cancelled,
            ServedError::Asked(error) => error.into(),
            other => Self::Served(other),
        }
    }
}

impl From<EndpointError> for StageError {
    fn from(error: EndpointError) -> Self {
        match *error.kind {
            EndpointErrorKind::Cancelled => Self::Cancelled,
            _ => Self::Endpoint(error),
        }
    }
}
