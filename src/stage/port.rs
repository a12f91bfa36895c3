//! What goes into a stage and comes out of it, and what a kind brings into an experiment.

use crate::artifact::ArtifactKind;

/// A typed input port.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// The key that names it in the manifest.
    pub name: &'static str,
    /// What it accepts.
    pub accepts: ArtifactKind,
    /// The reference it has when the manifest gives none, for example `data.train`.
    pub default: Option<&'static str>,
    /// Whether it may stay empty.
    pub optional: bool,
    /// Whether what comes in here shapes a model or a choice. Such a port never takes test data.
    pub trains: bool,
    /// Whether all rows that come in here go out again, each with something added: who sees those has seen these.
    pub passes_on: bool,
    /// One line for schema and help.
    pub doc: &'static str,
}

impl Port {
    /// A port that the manifest must name a stage for.
    pub const fn required(name: &'static str, accepts: ArtifactKind, doc: &'static str) -> Self {
        Self {
            name,
            accepts,
            default: None,
            optional: false,
            trains: false,
            passes_on: false,
            doc,
        }
    }

    /// The port `model`, which takes the manifest's student unless told otherwise.
    pub const fn model(doc: &'static str) -> Self {
        Self::required("model", ArtifactKind::Model, doc).or("student")
    }

    /// A port for questions that shape a model or a choice: never test questions.
    pub const fn questions(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        let port = Self::required(name, ArtifactKind::Questions, doc);
        port.or(default).trains()
    }

    /// The same port, which takes this reference where the manifest names none.
    #[must_use]
    pub const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    /// The same port, which may stay empty.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    /// The same port for what shapes a model or a choice: nothing that is made from test questions.
    #[must_use]
    pub const fn trains(self) -> Self {
        Self {
            trains: true,
            ..self
        }
    }

    /// The same port, all of whose rows go out again with something added.
    #[must_use]
    pub const fn passes_on(self) -> Self {
        Self {
            passes_on: true,
            ..self
        }
    }

    /// The same port, which takes questions of any split, test ones too.
    #[must_use]
    pub const fn any_split(self) -> Self {
        Self {
            trains: false,
            ..self
        }
    }
}

/// A typed output. The first output of a kind is meant when a reference names only the stage.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Its name, as in `STAGE.NAME`.
    pub name: &'static str,
    /// What it is.
    pub kind: ArtifactKind,
    /// Which questions of a data set it holds.
    pub split: Option<Split>,
    /// One line for schema and help.
    pub doc: &'static str,
}

impl Output {
    /// An output.
    pub const fn new(name: &'static str, kind: ArtifactKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            split: None,
            doc,
        }
    }

    /// The same output, of these questions of a data set.
    #[must_use]
    pub const fn of(self, split: Split) -> Self {
        Self {
            split: Some(split),
            ..self
        }
    }

    /// Whether it holds test questions: these may be measured, and shape nothing.
    pub fn holds_test(&self) -> bool {
        matches!(self.split, Some(Split::Test | Split::All))
    }
}

/// Questions of a data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split {
    /// Those to train on.
    Train,
    /// Those to choose thresholds and epochs by.
    Validation,
    /// Those that only declared tables read.
    Test,
    /// All of them together.
    All,
}

/// What an experiment gets by a stage that it is not made from other stages' outputs; it is told beside every result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brings {
    /// A student as it was before it was trained on questions.
    Student,
    /// Questions.
    Data,
    /// What a teacher wrote.
    Teacher,
    /// What a judge thinks of paths.
    Judge,
    /// Rows that were made elsewhere.
    Rows,
}
