//! Exit codes, and how a failure is told.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::manifest::ManifestErrors;
use crate::text::escaped;

/// The exit code where a stage failed, or a check found something.
pub(crate) const FAILED: u8 = 1;
/// The exit code of a run that was interrupted: 128 and the number of Ctrl-C's signal.
pub(crate) const INTERRUPTED: u8 = 130;
/// The exit code of a job that is to be run again: `EX_TEMPFAIL` of sysexits.h.
const SAVED: u8 = 75;

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
    /// Interrupted because this machine's time is over, and to be run again.
    Saved,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => FAILED,
            Exit::Usage => 2,
            Exit::Interrupted => INTERRUPTED,
            Exit::Saved => SAVED,
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
    pub(crate) fn tell(self) -> Exit {
        match self {
            Self::Manifest(errors) => {
                say_as_is(&errors.render(styled()));
                Exit::Usage
            }
            Self::Other { error, exit } => {
                if is_broken_pipe(&error) {
                    return Exit::Done;
                }
                say(&format!("error: {}", whole(&error)));
                exit
            }
        }
    }
}

/// Whether stderr takes colours: a terminal that can, where nobody asked for none (`NO_COLOR`, `CLICOLOR`, `TERM`).
/// This is the one rule: clap's and anstream's own, and what else styles asks here.
pub(crate) fn styled() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Says something on stderr. That stderr is gone is no reason to stop, or to panic.
pub(crate) fn say(text: &str) {
    say_as_is(&escaped(text));
}

fn say_as_is(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Tells what could not be made, and gives the code to end with.
pub(crate) fn tell_failures(failures: &[String]) -> Exit {
    for failure in failures {
        say(&format!("error: {failure}"));
    }
    if failures.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    }
}

/// The error with those of its causes that its own words do not say already, before its hint.
pub(crate) fn whole(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let (head, hint) = match text.find("\nhint: ") {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let mut told = head.to_owned();
    let mut hints = hint.to_owned();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        let (words, hint) = match cause.find("\nhint: ") {
            Some(at) => cause.split_at(at),
            None => (cause.as_str(), ""),
        };
        if !told.contains(words) {
            told += ": ";
            told += words;
        }
        if !hints.contains(hint) {
            hints += hint;
        }
    }
    told + &hints
}

/// A reader that has seen enough is no failure.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
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
    crate::disk::WriteError => Failed,
    crate::store::StoreError => Failed,
    crate::stage::StageError => Failed,
    crate::artifact::ArtifactError => Failed,
    crate::report::ReportError => Failed,
    crate::report::rating::RatingError => Failed,
    crate::plan::PlanError => Usage,
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;
    use crate::store::StoreError;

    #[test]
    fn a_cause_is_told_once() {
        let missing = || io::Error::other("it is not there");
        let says_its_source: anyhow::Error = StoreError::Io {
            action: "read",
            path: "x".into(),
            source: missing(),
        }
        .into();
        assert_eq!(whole(&says_its_source), "cannot read x: it is not there");
        let context = Err::<(), _>(missing()).context("failed to write `y`");
        assert_eq!(
            whole(&context.unwrap_err()),
            "failed to write `y`: it is not there"
        );
        let hint = Err::<(), _>(anyhow::anyhow!("no space\nhint: free some")).context("failed");
        assert_eq!(
            whole(&hint.unwrap_err()),
            "failed: no space\nhint: free some"
        );
        let above = Err::<(), _>(missing()).context("failed\nhint: look again");
        assert_eq!(
            whole(&above.unwrap_err()),
            "failed: it is not there\nhint: look again"
        );
    }
}
