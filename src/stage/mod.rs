//! Stage kinds: what a node of the DAG can do.
//!
//! Each kind is one file in `kinds` and one line in [`KINDS`]; the parser, the schema, the help text and the
//! tests all read that slice. A kind states its parameters (a serde struct whose JSON Schema
//! checks the manifest), its typed input ports, its outputs, and how to run.
//!
//! Two principles. Model stages record and pure stages judge: a new threshold never runs a model.
//! Rows are kept, not only stages: a killed run goes on where it was.

mod carried;
mod context;
mod environment;
mod erased;
mod error;
mod kind;
mod kinds;
mod options;
mod port;
mod param_error;
mod programs;
mod shard;
mod size;

pub use carried::{Carried, Need, ScoreRange};
pub use context::{Context, Inputs, Outputs, OutsideFile};
pub(crate) use context::{WARNINGS, hub_files};
pub use environment::Environment;
pub use erased::{Stage, Typed};
pub use error::StageError;
pub use kind::StageKind;
pub use kinds::KINDS;
pub(crate) use kinds::{EXAMPLES, data_splits};
pub use options::RunOptions;
pub use param_error::ParamError;
pub(crate) use port::of_list;
pub use port::{Brings, Counts, Output, Port, Split};
pub use shard::Shard;
pub(crate) use size::product;
pub use size::{Estimate, Shape, Size, Sizes, Work};

/// The kind called `name`.
pub fn kind(name: &str) -> Option<&'static dyn Stage> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}
