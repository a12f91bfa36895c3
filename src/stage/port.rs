//! What goes into a stage and comes out of it, and what a kind brings into an experiment.

use std::collections::BTreeMap;

use crate::artifact::ArtifactKind;

/// A typed input port.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own, of which most ports have none"
)]
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
    /// Whether it takes several outputs, as a list; each is an input of its own ([`Port::input_name`]).
    pub many: bool,
    /// Whether what comes in here only takes rows of another port away. Test data may: what is left over is not made
    /// from it.
    pub screens: bool,
    /// Whether it does without what a decision made not needed; a stage with another such input is not needed either.
    pub partial: bool,
    /// Whether what comes in here gives tokens to paths that have none.
    pub tokenises: bool,
    /// The parameter (a dotted path) without which the default does not count: what comes in serves it alone.
    pub only_with: Option<&'static str>,
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
            many: false,
            screens: false,
            partial: false,
            tokenises: false,
            only_with: None,
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

    /// The same port, which may stay empty, and whose default counts only where the parameter at this dotted path is given.
    #[must_use]
    pub const fn only_with(self, param: &'static str) -> Self {
        Self {
            optional: true,
            only_with: Some(param),
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

    /// The same port, which takes several outputs.
    #[must_use]
    pub const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    /// The same port, by which rows of another are only taken away.
    #[must_use]
    pub const fn screens(self) -> Self {
        Self {
            screens: true,
            ..self
        }
    }

    /// The same port, which does without what a decision made not needed.
    #[must_use]
    pub const fn partial(self) -> Self {
        Self {
            partial: true,
            ..self
        }
    }

    /// The same port for a model whose tokenizer gives tokens to paths that have none.
    #[must_use]
    pub const fn tokenises(self) -> Self {
        Self {
            tokenises: true,
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

    /// What the input is called that comes in here at `place`: the port's name, or `models.0`, `models.1`, ... where
    /// several come in.
    pub fn input_name(&self, place: usize) -> String {
        if self.many {
            listed(self.name, place)
        } else {
            self.name.to_owned()
        }
    }

    /// Whether the input of this name comes in here.
    pub fn takes(&self, input: &str) -> bool {
        let place = input.strip_prefix(self.name);
        match place {
            Some("") => !self.many,
            Some(place) => self.many && place.starts_with('.'),
            None => false,
        }
    }
}

/// What the input at `place` of the list at `port` is called.
fn listed(port: &str, place: usize) -> String {
    format!("{port}.{place}")
}

/// What comes in at a port that takes several, in the manifest's order, each with its input's name.
pub(crate) fn of_list<'i, V>(
    inputs: &'i BTreeMap<String, V>,
    port: &str,
) -> impl Iterator<Item = (String, &'i V)> {
    (0..).map_while(move |place| {
        let name = listed(port, place);
        let value = inputs.get(&name)?;
        Some((name, value))
    })
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
    /// What it tells of the work that made it.
    pub counts: Option<Counts>,
    /// One line for schema and help.
    pub doc: &'static str,
}

/// What an output tells of the work that made it, token by token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counts {
    /// Its rows are what a student drew there.
    Drawn,
    /// It says how many tokens were trained on.
    Trained,
}

impl Output {
    /// An output.
    pub const fn new(name: &'static str, kind: ArtifactKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            split: None,
            counts: None,
            doc,
        }
    }

    /// The same output, which tells this of the work that made it.
    #[must_use]
    pub const fn that_counts(self, counts: Counts) -> Self {
        Self {
            counts: Some(counts),
            ..self
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
    /// What a program of the user's makes of rows.
    Program,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_a_list_have_names_in_its_order() {
        let one = Port::required("paths", ArtifactKind::Paths, "");
        let many = one.many();
        assert_eq!(
            (one.input_name(0), many.input_name(11)),
            ("paths".into(), "paths.11".into())
        );
        for (input, at_one, at_many) in [
            ("paths", true, false),
            ("paths.0", false, true),
            ("paths.11", false, true),
            ("paths_of", false, false),
            ("questions", false, false),
        ] {
            assert_eq!(
                (one.takes(input), many.takes(input)),
                (at_one, at_many),
                "{input}"
            );
        }
        let inputs: BTreeMap<String, usize> = (0..12)
            .map(|place| (many.input_name(place), place))
            .collect();
        // By place, not by the names' order, in which 10 comes before 2.
        let found: Vec<usize> = of_list(&inputs, "paths").map(|(_, place)| *place).collect();
        assert_eq!(found, (0..12).collect::<Vec<_>>());
        assert_eq!(of_list(&inputs, "path").count(), 0);
    }
}
