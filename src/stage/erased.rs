//! A stage kind without its type, for those who run one: parameters are JSON, and every kind is a [`Stage`].

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{
    Brings, Carried, Context, Estimate, Need, Output, Outputs, OutsideFile, ParamError, Port,
    Sizes, StageError, StageKind,
};
use crate::artifact::ArtifactKind;
use crate::model::Arithmetic;
use crate::program::ProgramParams;
use crate::teacher::http::Endpoint;

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
    /// See [`StageKind::check_written`].
    fn check_written(&self, _written: &Map<String, Value>) -> Vec<ParamError> {
        Vec::new()
    }
    /// See [`StageKind::endpoint`].
    fn endpoint(&self, params: &Map<String, Value>) -> Option<Endpoint>;
    /// See [`StageKind::programs`].
    fn programs(&self, params: &Map<String, Value>) -> Vec<ProgramParams>;
    /// See [`StageKind::check_outside`].
    fn check_outside(&self, params: &Map<String, Value>, context: &Context<'_>) -> Vec<ParamError>;
    /// See [`StageKind::taught_with_examples`].
    fn taught_with_examples(&self, params: &Map<String, Value>, first: bool) -> bool;
    /// See [`StageKind::asks_as_taught`].
    fn asks_as_taught(&self, params: &Map<String, Value>) -> bool;
    /// See [`StageKind::carried`].
    fn carried(&self, params: &Map<String, Value>, input: Carried) -> Carried;
    /// See [`StageKind::needs`].
    fn needs(&self, params: &Map<String, Value>) -> Vec<Need>;
    /// The parameters as they enter the key: complete, less those at their neutral value.
    fn key_params(&self, params: &Map<String, Value>) -> Map<String, Value>;
    /// See [`StageKind::sharded_by`].
    fn sharded_by(&self, params: &Map<String, Value>) -> &'static [&'static str];
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

    fn check_written(&self, written: &Map<String, Value>) -> Vec<ParamError> {
        K::check_written(written)
    }

    fn endpoint(&self, params: &Map<String, Value>) -> Option<Endpoint> {
        K::endpoint(&Self::typed(params).ok()?)
    }

    fn programs(&self, params: &Map<String, Value>) -> Vec<ProgramParams> {
        // Parameters that do not fit were told by `check`.
        Self::typed(params).map_or_else(|_| Vec::new(), |params| K::programs(&params))
    }

    fn check_outside(&self, params: &Map<String, Value>, context: &Context<'_>) -> Vec<ParamError> {
        // Parameters that do not fit were told by `check`.
        Self::typed(params).map_or_else(|_| Vec::new(), |params| K::check_outside(&params, context))
    }

    fn taught_with_examples(&self, params: &Map<String, Value>, first: bool) -> bool {
        Self::typed(params).is_ok_and(|params| K::taught_with_examples(&params, first))
    }

    fn asks_as_taught(&self, params: &Map<String, Value>) -> bool {
        Self::typed(params).is_ok_and(|params| K::asks_as_taught(&params))
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

    fn sharded_by(&self, params: &Map<String, Value>) -> &'static [&'static str] {
        Self::typed(params).map_or(&[], |params| K::sharded_by(&params))
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
