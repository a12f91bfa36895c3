//! The contract of a stage kind, typed for those who write one and erased for those who run it.

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Carried, Context, Estimate, Need, Outputs, OutsideFile, ParamError, Sizes, StageError,
};
use crate::artifact::ArtifactKind;
use crate::model::Arithmetic;
use crate::teacher::http::Endpoint;

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

/// A stage kind as its author writes it. The implementing type carries no data.
pub trait StageKind: Send + Sync + 'static {
    /// The parameters, with defaults: `#[serde(default, deny_unknown_fields)]`.
    type Params: Serialize + DeserializeOwned + JsonSchema;

    /// The name in the manifest's `kind`.
    const NAME: &'static str;
    /// Raised when the same parameters and inputs come to mean another result.
    const VERSION: u32;
    /// One line for help and schema.
    const DOC: &'static str;
    /// Input ports.
    const INPUTS: &'static [Port];
    /// Outputs; the first is the one meant by the stage's bare name.
    const OUTPUTS: &'static [Output];
    /// What it brings into an experiment, if it brings in anything.
    const BRINGS: Option<Brings> = None;
    /// Whether it draws random numbers: the seed is then part of the key.
    const SEEDED: bool = false;
    /// Whether it reads answers out of text: it then has the parameter `reading`, which a manifest may set for all such
    /// stages at once.
    const READS_ANSWERS: bool = false;
    /// Parameters (dotted paths) added after version 1, with the value at which they change nothing: a parameter
    /// that has it is left out of the key, so that a new field does not empty every cache.
    const NEUTRAL: &'static [(&'static str, &'static str)] = &[];
    /// Parameters (dotted paths) that say where outside files are: their content enters the key instead.
    const LOCATIONS: &'static [&'static str] = &[];

    /// The arithmetic that is part of the key, where it runs a model.
    fn numerics(_params: &Self::Params) -> Option<Arithmetic> {
        None
    }

    /// What the schema cannot check.
    fn check(_params: &Self::Params) -> Vec<ParamError> {
        Vec::new()
    }

    /// What is wrong with which of the optional ports the manifest feeds; `fed` are their names.
    fn check_ports(_params: &Self::Params, _fed: &[&str]) -> Vec<ParamError> {
        Vec::new()
    }

    /// The server that it asks, if it asks one.
    fn endpoint(_params: &Self::Params) -> Option<&Endpoint> {
        None
    }

    /// What is wrong with the outside files that the parameters name, as far as that can be told before a run: a run
    /// would fail. Fetches no weights.
    fn check_outside(_params: &Self::Params, _context: &Context<'_>) -> Vec<ParamError> {
        Vec::new()
    }

    /// What the paths that it makes carry, where `input` is what the paths or answers that come in carry.
    fn carried(_params: &Self::Params, _input: Carried) -> Carried {
        Carried::unknown()
    }

    /// What it needs of the paths that come in.
    fn needs(_params: &Self::Params) -> Vec<Need> {
        Vec::new()
    }

    /// Takes out of the parameters what says how to work and not what, where no dotted path can say it, or adds what else
    /// decides what is made.
    fn retain_key_fields(_params: &mut Map<String, Value>) {}

    /// Outside files read, so that their digests enter the key. May download them.
    ///
    /// # Errors
    /// When a file is not to be had.
    fn files(
        _params: &Self::Params,
        _context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError> {
        Ok(Vec::new())
    }

    /// How much work it is and how large its outputs get, from the sizes of its inputs; `None` where
    /// that cannot be told yet.
    fn estimate(
        _params: &Self::Params,
        _inputs: &Sizes,
        _context: &Context<'_>,
    ) -> Option<Estimate> {
        None
    }

    /// Does the work.
    ///
    /// # Errors
    /// Whatever stops it; what it recorded so far stays in the store.
    fn run(params: &Self::Params, context: &Context<'_>) -> Result<Outputs, StageError>;
}

/// A stage kind as the parser, the planner and the runner see it.
pub trait Stage: Send + Sync {
    /// The name in the manifest's `kind`.
    fn name(&self) -> &'static str;
    /// See [`StageKind::VERSION`].
    fn version(&self) -> u32;
    /// One line for help and schema.
    fn doc(&self) -> &'static str;
    /// Input ports.
    fn inputs(&self) -> &'static [Port];
    /// Outputs.
    fn outputs(&self) -> &'static [Output];
    /// See [`StageKind::BRINGS`].
    fn brings(&self) -> Option<Brings>;
    /// Whether the seed is part of the key.
    fn seeded(&self) -> bool;
    /// See [`StageKind::numerics`].
    fn numerics(&self, params: &Map<String, Value>) -> Option<Arithmetic>;
    /// See [`StageKind::READS_ANSWERS`].
    fn reads_answers(&self) -> bool;
    /// The first input port that accepts a kind of artifact, where there is one.
    fn port(&self, accepts: ArtifactKind) -> Option<&'static Port> {
        self.inputs().iter().find(|port| port.accepts == accepts)
    }
    /// The first output that is a kind of artifact, where there is one.
    fn output(&self, kind: ArtifactKind) -> Option<&'static Output> {
        self.outputs().iter().find(|output| output.kind == kind)
    }
    /// The JSON Schema of the parameters.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
    /// The parameters with defaults filled in.
    ///
    /// # Errors
    /// When they do not fit; after schema validation they do.
    fn complete(
        &self,
        params: &Map<String, Value>,
    ) -> Result<Map<String, Value>, serde_json::Error>;
    /// What the schema cannot check; `params` are complete, `fed` the ports that the manifest names.
    fn check(&self, params: &Map<String, Value>, fed: &[&str]) -> Vec<ParamError>;
    /// See [`StageKind::endpoint`].
    fn endpoint(&self, params: &Map<String, Value>) -> Option<Endpoint>;
    /// See [`StageKind::check_outside`].
    fn check_outside(&self, params: &Map<String, Value>, context: &Context<'_>) -> Vec<ParamError>;
    /// See [`StageKind::carried`].
    fn carried(&self, params: &Map<String, Value>, input: Carried) -> Carried;
    /// See [`StageKind::needs`].
    fn needs(&self, params: &Map<String, Value>) -> Vec<Need>;
    /// The parameters as they enter the key: complete, less those at their neutral value.
    fn key_params(&self, params: &Map<String, Value>) -> Map<String, Value>;
    /// See [`StageKind::files`].
    ///
    /// # Errors
    /// When a file is not to be had.
    fn files(
        &self,
        params: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError>;
    /// See [`StageKind::estimate`].
    fn estimate(
        &self,
        params: &Map<String, Value>,
        inputs: &Sizes,
        context: &Context<'_>,
    ) -> Option<Estimate>;
    /// See [`StageKind::run`].
    ///
    /// # Errors
    /// Whatever stops it.
    fn run(
        &self,
        params: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<Outputs, StageError>;
}

/// Erases a [`StageKind`] into a [`Stage`].
pub struct Typed<K>(PhantomData<K>);

impl<K: StageKind> Typed<K> {
    /// The erased kind, for [`super::KINDS`].
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    fn typed(params: &Map<String, Value>) -> Result<K::Params, serde_json::Error> {
        serde_json::from_value(Value::Object(params.clone()))
    }
}

impl<K: StageKind> Default for Typed<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: StageKind> Stage for Typed<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn version(&self) -> u32 {
        K::VERSION
    }

    fn doc(&self) -> &'static str {
        K::DOC
    }

    fn inputs(&self) -> &'static [Port] {
        K::INPUTS
    }

    fn outputs(&self) -> &'static [Output] {
        K::OUTPUTS
    }

    fn brings(&self) -> Option<Brings> {
        K::BRINGS
    }

    fn seeded(&self) -> bool {
        K::SEEDED
    }

    fn numerics(&self, params: &Map<String, Value>) -> Option<Arithmetic> {
        K::numerics(&Self::typed(params).ok()?)
    }

    fn reads_answers(&self) -> bool {
        K::READS_ANSWERS
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        K::Params::json_schema(generator)
    }

    fn complete(
        &self,
        params: &Map<String, Value>,
    ) -> Result<Map<String, Value>, serde_json::Error> {
        match serde_json::to_value(Self::typed(params)?)? {
            Value::Object(map) => Ok(map),
            _ => Ok(Map::new()),
        }
    }

    fn check(&self, params: &Map<String, Value>, fed: &[&str]) -> Vec<ParamError> {
        match Self::typed(params) {
            Ok(params) => {
                let mut param_errors = K::check(&params);
                param_errors.extend(K::check_ports(&params, fed));
                param_errors
            }
            Err(error) => vec![ParamError {
                field: String::new(),
                message: error.to_string(),
                hint: None,
            }],
        }
    }

    fn endpoint(&self, params: &Map<String, Value>) -> Option<Endpoint> {
        K::endpoint(&Self::typed(params).ok()?).cloned()
    }

    fn check_outside(&self, params: &Map<String, Value>, context: &Context<'_>) -> Vec<ParamError> {
        // Parameters that do not fit were told by `check`.
        Self::typed(params).map_or_else(|_| Vec::new(), |params| K::check_outside(&params, context))
    }

    fn carried(&self, params: &Map<String, Value>, input: Carried) -> Carried {
        Self::typed(params).map_or_else(|_| Carried::unknown(), |params| K::carried(&params, input))
    }

    fn needs(&self, params: &Map<String, Value>) -> Vec<Need> {
        Self::typed(params).map_or_else(|_| Vec::new(), |params| K::needs(&params))
    }

    fn key_params(&self, params: &Map<String, Value>) -> Map<String, Value> {
        let mut params = params.clone();
        for path in K::LOCATIONS {
            remove_where(&mut params, path, &|_| true);
        }
        for (path, json) in K::NEUTRAL {
            let neutral: Value = serde_json::from_str(json).unwrap_or_default();
            remove_where(&mut params, path, &|value| *value == neutral);
        }
        K::retain_key_fields(&mut params);
        params
    }

    fn files(
        &self,
        params: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError> {
        K::files(&Self::typed(params)?, context)
    }

    fn estimate(
        &self,
        params: &Map<String, Value>,
        inputs: &Sizes,
        context: &Context<'_>,
    ) -> Option<Estimate> {
        K::estimate(&Self::typed(params).ok()?, inputs, context)
    }

    fn run(
        &self,
        params: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<Outputs, StageError> {
        K::run(&Self::typed(params)?, context)
    }
}

/// Removes the value at a dotted path where `gone` says so.
fn remove_where(params: &mut Map<String, Value>, path: &str, gone: &dyn Fn(&Value) -> bool) {
    match path.split_once('.') {
        None => {
            if params.get(path).is_some_and(gone) {
                params.remove(path);
            }
        }
        Some((head, rest)) => {
            if let Some(Value::Object(inner)) = params.get_mut(head) {
                remove_where(inner, rest, gone);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_removed_by_dotted_path_and_condition() {
        let Value::Object(mut params) = json!({"a": {"b": 1, "c": 2}, "d": 3}) else {
            unreachable!("an object was written")
        };
        remove_where(&mut params, "a.b", &|value| *value == json!(1));
        remove_where(&mut params, "a.c", &|value| *value == json!(1));
        remove_where(&mut params, "x.y", &|_| true);
        remove_where(&mut params, "d", &|_| true);
        assert_eq!(Value::Object(params), json!({"a": {"c": 2}}));
    }
}
