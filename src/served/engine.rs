//! A served student, ready to be asked: for sequences (`drawing`) and for log-probabilities (`reading`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::asking::{Asking, Question, Take};
use super::form::{Form, ServerName};
use super::{ServedError, ServerParams};
use crate::teacher::http::{Endpoint, EndpointUsage};

/// What a student is to its server: what its tokens are, and how long a text may be.
#[derive(Clone, Debug)]
pub(crate) struct ServedStudent {
    /// Tokens of a text at most.
    pub(crate) context: usize,
    /// How many tokens there are: those from 0 to below it.
    pub(crate) tokens: usize,
    /// The tokens that end a text.
    pub(crate) ends: Vec<u32>,
    /// A token that is a whole word or letter, and ends no text.
    pub(crate) plain: u32,
}

/// A served student.
pub(crate) struct Served<'a> {
    pub(super) form: &'static Form,
    pub(super) endpoint: Endpoint,
    pub(super) model: Option<String>,
    pub(super) version: String,
    pub(super) student: ServedStudent,
    asking: Asking<'a>,
    used: Mutex<Option<EndpointUsage>>,
}

impl<'a> Served<'a> {
    /// The student behind the server of `params` at `base_url`; nothing is asked yet.
    pub(crate) fn new(
        params: &ServerParams,
        base_url: &str,
        student: ServedStudent,
        asking: Asking<'a>,
    ) -> Self {
        let name: ServerName = params.name();
        Self {
            form: name.form(),
            endpoint: params.endpoint_at(base_url),
            model: params.model.clone(),
            version: params.version.clone(),
            student,
            asking,
            used: Mutex::default(),
        }
    }

    /// Where it is, for a person.
    pub(super) fn at(&self) -> &str {
        self.endpoint.base()
    }

    /// Asks all questions.
    pub(super) fn ask(
        &self,
        questions: Vec<Question>,
        take: &mut Take<'_>,
    ) -> Result<(), ServedError> {
        if questions.is_empty() {
            return Ok(());
        }
        let usage = self.asking.ask(&self.endpoint, questions, take)?;
        *self.lock() = Some(usage);
        Ok(())
    }

    /// What the server says of itself.
    pub(super) fn look(&self, paths: &[&str]) -> Result<serde_json::Value, ServedError> {
        self.asking.look(&self.endpoint, paths)
    }

    /// What was asked so far, over all runs that it took.
    pub(crate) fn usage(&self) -> Option<EndpointUsage> {
        self.lock().clone()
    }

    /// What an answer that cannot be read means: it lacks something.
    pub(super) fn lacks(&self, what: String) -> ServedError {
        ServedError::lacks(self.form, self.at(), what)
    }

    fn lock(&self) -> MutexGuard<'_, Option<EndpointUsage>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
