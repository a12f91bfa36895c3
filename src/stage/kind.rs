//! The contract of a stage kind, for those who write one.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Brings, Carried, Context, Estimate, Need, Output, Outputs, OutsideFile, ParamError, Port,
    Sizes, StageError,
};
use crate::model::Arithmetic;
use crate::program::ProgramParams;
use crate::teacher::http::Endpoint;

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

    /// What cannot be told once defaults are filled in, of parameters that fit: a setting that says what is so by default
    /// anyway, and against another one.
    fn check_written(_written: &Map<String, Value>) -> Vec<ParamError> {
        Vec::new()
    }

    /// What is wrong with which of the optional ports the manifest feeds; `fed` are the names of
    /// their inputs (see [`Port::input_name`]).
    fn check_ports(_params: &Self::Params, _fed: &[&str]) -> Vec<ParamError> {
        Vec::new()
    }

    /// The server that it asks, if it asks one.
    fn endpoint(_params: &Self::Params) -> Option<Endpoint> {
        None
    }

    /// The programs of the user's that it runs.
    fn programs(_params: &Self::Params) -> Vec<ProgramParams> {
        Vec::new()
    }

    /// What is wrong with the outside files that the parameters name, as far as that can be told before a run: a run
    /// would fail. Fetches no weights.
    fn check_outside(_params: &Self::Params, _context: &Context<'_>) -> Vec<ParamError> {
        Vec::new()
    }

    /// Whether the student that it makes was taught on a prompt with examples, where `first` says so of the first student that
    /// comes in.
    fn taught_with_examples(_params: &Self::Params, _first: bool) -> bool {
        false
    }

    /// Whether it asks its student as that was taught.
    fn asks_as_taught(_params: &Self::Params) -> bool {
        false
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

    /// The ports whose rows tell how much there is to share out, where several machines may each do a part of its
    /// questions ([`Context::part`]) and leave rows from which the whole is put together without a model. Empty where it is
    /// done as a whole.
    fn sharded_by(_params: &Self::Params) -> &'static [&'static str] {
        &[]
    }

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
