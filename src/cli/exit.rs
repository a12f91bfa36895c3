//! Exit codes, and how a failure is told.

use std::io;
use std::process::ExitCode;

use crate::manifest::ManifestErrors;

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// A stage failed, or a check found something.
    Failed,
    /// Bad manifest or usage.
    Usage,
    /// Interrupted; what was done is kept.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a command did not do its work.
pub(crate) enum Failure {
    /// The manifest is wrong.
    Manifest(ManifestErrors),
    /// Anything else, with the code to end with.
    Other { error: anyhow::Error, exit: Exit },
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Other {
            error: anyhow::Error::msg(message.into()),
            exit: Exit::Usage,
        }
    }

    /// Prints the failure on stderr and gives the code to end with.
    pub(crate) fn tell(self, colour: bool) -> Exit {
        match self {
            Self::Manifest(errors) => {
                anstream::eprintln!("{}", errors.render(colour));
                Exit::Usage
            }
            Self::Other { error, exit } => {
                if is_broken_pipe(&error) {
                    return Exit::Done;
                }
                anstream::eprintln!("error: {error:#}");
                exit
            }
        }
    }
}

/// A reader that has seen enough is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

impl From<ManifestErrors> for Failure {
    fn from(errors: ManifestErrors) -> Self {
        Self::Manifest(errors)
    }
}

macro_rules! failed {
    ($($error:ty => $exit:ident),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Other { error: error.into(), exit: Exit::$exit }
            }
        }
    )*};
}

failed! {
    anyhow::Error => Failed,
    io::Error => Failed,
    crate::store::StoreError => Failed,
    crate::stage::StageError => Failed,
    crate::artifact::ArtifactError => Failed,
    crate::report::ReportError => Failed,
    crate::plan::PlanError => Usage,
}
