//! Why a served student cannot be used.

use std::path::PathBuf;

use super::form::Form;
use crate::teacher::http::EndpointError;

/// Why a served student cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServedError {
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The server cannot be asked, or stopped answering.
    #[error(transparent)]
    Asked(#[from] EndpointError),
    /// It is another server, or another version of it.
    #[error("{at}: {found}, and the manifest says {title} {wanted}\nhint: {hint}")]
    Other {
        /// Where it is.
        at: String,
        /// What it is.
        found: String,
        /// What it was to be.
        title: &'static str,
        /// The version that it was to be.
        wanted: String,
        /// What to do.
        hint: String,
    },
    /// It does not tell what is needed.
    #[error(
        "{at}: {title} does not give what a served student needs, token ids and their log-probabilities: {what}\nhint: {hint}"
    )]
    Lacks {
        /// Where it is.
        at: String,
        /// What it is.
        title: &'static str,
        /// What is missing.
        what: String,
        /// What has it.
        hint: &'static str,
    },
    /// Its log-probabilities are those after temperature, top-k and top-p.
    #[error(
        "{at}: {title} gives log-probabilities after temperature, top-k or top-p, and perplexity needs those before: {what}\nhint: {hint}"
    )]
    Tempered {
        /// Where it is.
        at: String,
        /// What it is.
        title: &'static str,
        /// What shows it.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// It serves another model.
    #[error(
        "{at}: the model there is not this stage's student: {what}\nhint: serve the student's own files (`sert-run export` writes them), and declare in `dtype` what the server computes in (`bf16` is most servers' default); or set `server.check_weights = false` where that is so coarse that this is only rounding"
    )]
    OtherWeights {
        /// Where it is.
        at: String,
        /// What shows it.
        what: String,
    },
    /// A prompt does not fit the server's context.
    #[error(
        "{at}: a text of {tokens} tokens does not fit the server's context: {says}\nhint: start the server with a longer context (vLLM: --max-model-len, SGLang: --context-length, llama.cpp: --ctx-size, which its slots share)"
    )]
    TooLong {
        /// Where it is.
        at: String,
        /// How long it was.
        tokens: usize,
        /// The server's words.
        says: String,
    },
    /// A server that the run starts does not come up.
    #[error("`{command}` {what}\nhint: its log is {}{}", log.display(), said(last))]
    Launch {
        /// The command.
        command: String,
        /// What happened.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The last lines there.
        last: String,
    },
    /// The student has no file that the server reads.
    #[error("{what}\nhint: {hint}")]
    NoFile {
        /// Which.
        what: String,
        /// What to do.
        hint: &'static str,
    },
}

fn said(last: &str) -> String {
    if last.is_empty() {
        String::new()
    } else {
        format!("; its last lines: {last}")
    }
}

impl ServedError {
    /// What `form` needs is missing.
    pub(super) fn lacks(form: &'static Form, at: &str, what: String) -> Self {
        Self::Lacks {
            at: at.to_owned(),
            title: form.title,
            what,
            hint: form.ids_hint,
        }
    }
}
