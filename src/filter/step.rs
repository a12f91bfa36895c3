//! What a step of the filter is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{FilterError, FilterParams};
use crate::key::Digest;
use crate::text::{Question, ReasoningPath};

/// A step: its settings, and what it does with the paths that are left.
pub(super) trait Step {
    /// What it is about, where a filter has several of its kind: the name of a score.
    fn about(&self) -> Option<&str> {
        None
    }

    /// Whether it runs where the manifest lists no steps.
    fn enabled(&self) -> bool;

    /// Whether it changes nothing and is as if it were not there, so that it is written nowhere and is in no key: steps
    /// that came later are so by default.
    fn is_absent(&self) -> bool {
        false
    }

    /// Checks what a JSON schema cannot say. `place` is where the settings stand.
    ///
    /// # Errors
    /// [`FilterError::Parameter`] names the first key at fault.
    fn check(&self, _place: &str) -> Result<(), FilterError> {
        Ok(())
    }

    /// A key of `written`, the table that sets it or some of it, which means nothing beside its other settings, and when it would
    /// mean something.
    fn idle(&self, _written: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Whether its section has the key `enabled`; others run where a limit is set.
    fn has_switch(&self) -> bool {
        true
    }

    /// Checks what it cannot do without where a manifest lists it.
    ///
    /// # Errors
    /// As [`Step::check`].
    fn check_listed(&self, _place: &str) -> Result<(), FilterError> {
        Ok(())
    }

    /// What it needs of a path, each with the key that asks for it, empty for all of them.
    fn needs(&self) -> Vec<(&'static str, Needed)> {
        Vec::new()
    }

    /// The setting by which it does without what it needs, where it need not go for that.
    fn without(&self) -> Option<&'static str> {
        None
    }

    /// Why a path is dropped; `None` where it stays.
    ///
    /// # Errors
    /// Where the path lacks what the step needs.
    fn drop_reason(&self, _path: &Candidate<'_>, _run: &Run<'_>) -> StepResult {
        Ok(None)
    }

    /// Why each of the paths that are left is dropped, in order. A step that looks at one at a time has
    /// [`Step::drop_reason`] alone.
    ///
    /// # Errors
    /// Where a path lacks what the step needs.
    fn drop_reasons(&self, left: &[Candidate<'_>], run: &Run<'_>) -> StepResults {
        left.iter()
            .map(|path| self.drop_reason(path, run))
            .collect()
    }
}

/// Why a path is dropped; `None` where it stays. An error where it lacks what the step needs.
pub(super) type StepResult = Result<Option<StepReason>, Box<Missing>>;

/// The results of several paths, in their order.
pub(super) type StepResults = Result<Vec<Option<StepReason>>, Box<Missing>>;

/// What a manifest's section says of a step, or of several of one kind.
pub(super) trait Section {
    /// One of them.
    type One: Step + Clone + DeserializeOwned + JsonSchema + 'static;

    /// Each, with where its settings stand; `place` is the section.
    fn each(&self, place: &str) -> Vec<(String, Self::One)>;

    /// What a step with settings of its own starts from.
    fn base(&self) -> Map<String, Value>;

    /// Whether it is as if it were not there: see [`Step::is_absent`].
    fn is_absent(&self) -> bool;
}

impl<S: Step + Clone + Serialize + DeserializeOwned + JsonSchema + 'static> Section for S {
    type One = Self;

    fn each(&self, place: &str) -> Vec<(String, Self)> {
        vec![(place.to_owned(), self.clone())]
    }

    fn is_absent(&self) -> bool {
        Step::is_absent(self)
    }

    fn base(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(settings)) => settings,
            _ => Map::new(),
        }
    }
}

/// A path that is left, and its question.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) path: &'a ReasoningPath,
    pub(super) question: &'a Question,
}

/// What all steps of a filter share.
pub(super) struct Run<'a> {
    pub(super) params: &'a FilterParams,
    pub(super) seed: u64,
}

/// A reason of one step to drop a path: the rule within the step, and what it saw.
#[derive(Clone)]
pub(super) struct StepReason {
    pub(super) rule: Option<&'static str>,
    pub(super) because: String,
}

impl StepReason {
    pub(super) fn new(because: String) -> Self {
        Self {
            rule: None,
            because,
        }
    }

    /// A stage was asked for the score `name`, and found none.
    pub(super) fn unparsed(name: &str) -> Self {
        Self {
            rule: Some("unparsed"),
            because: format!("{name} is unparsed: the stage that was asked for it found none"),
        }
    }
}

/// What may be needed of paths.
#[derive(Clone, PartialEq, Debug)]
pub enum Needed {
    /// Tokens of a student.
    Tokens,
    /// Log-probabilities under the model that wrote them.
    LogProbs,
    /// A score.
    Score(String),
    /// A score that can be as large, or as small, as this.
    Bound(String, f64),
}

/// A path lacks what a step needs.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) needed: Needed,
    pub(super) question_id: String,
    /// The scores that it has.
    pub(super) scores: Vec<String>,
}

impl Candidate<'_> {
    /// Its student tokens. A text that was never tokenised has none; an empty text truly has none.
    pub(super) fn tokens(&self) -> Result<&[u32], Box<Missing>> {
        if self.path.tokens.is_empty() && !self.path.text.is_empty() {
            return Err(Box::new(self.lacks(Needed::Tokens)));
        }
        Ok(&self.path.tokens)
    }

    /// Its perplexity under the model that wrote it.
    pub(super) fn perplexity(&self) -> Result<f64, Box<Missing>> {
        let known = self.path.log_prob.and_then(|summary| summary.perplexity());
        known.ok_or_else(|| Box::new(self.lacks(Needed::LogProbs)))
    }

    /// The score `name`; `None` where a stage asked for it and could not read it.
    pub(super) fn score(&self, name: &str) -> Result<Option<f64>, Box<Missing>> {
        if self.path.unparsed.contains(name) {
            return Ok(None);
        }
        let found = self.path.scores.get(name).copied().map(Some);
        found.ok_or_else(|| Box::new(self.lacks(Needed::Score(name.to_owned()))))
    }

    fn lacks(&self, needed: Needed) -> Missing {
        Missing {
            needed,
            question_id: self.path.question_id.clone(),
            scores: self.path.scores.keys().cloned().collect(),
        }
    }
}

/// `5 to 8`, `at least 5`, for a person.
pub(super) fn range(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "anything".into(),
    }
}

/// The error of a parameter; an empty `key` is all that stands at `place`.
pub(super) fn refuse<T>(
    place: &str,
    key: &str,
    found: &impl std::fmt::Display,
    accepted: impl Into<String>,
) -> Result<T, FilterError> {
    let key = if key.is_empty() {
        place.to_owned()
    } else {
        format!("{place}.{key}")
    };
    Err(FilterError::Parameter {
        key,
        found: found.to_string(),
        accepted: accepted.into(),
    })
}

/// What decides between equals: blake3 of the seed and the stream, so that neither the order of draws
/// nor other paths matter (ours; the paper is silent).
pub(super) fn tie(seed: u64, path: &ReasoningPath) -> Digest {
    let mut bytes = seed.to_le_bytes().to_vec();
    bytes.extend_from_slice(path.stream.as_bytes());
    Digest::of(&bytes)
}

pub(super) fn by_id(questions: &[Question]) -> Result<BTreeMap<&str, &Question>, FilterError> {
    let mut map = BTreeMap::new();
    for question in questions {
        if map.insert(question.id.as_str(), question).is_some() {
            return Err(FilterError::DuplicateQuestion {
                question_id: question.id.clone(),
            });
        }
    }
    Ok(map)
}
