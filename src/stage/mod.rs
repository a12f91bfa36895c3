//! Stage kinds: what a node of the DAG can do.
//!
//! Each kind is one file and one line in [`KINDS`]; the parser, the schema, the help text and the
//! tests all read that slice. A kind states its parameters (a serde struct whose JSON Schema
//! checks the manifest), its typed input ports, its outputs, and how to run.
//!
//! Two principles. Model stages record and pure stages judge: a new threshold never runs a model.
//! Rows are kept, not only stages: a killed run goes on where it was.

mod context;
mod dataset;
mod distill;
mod environment;
mod error;
mod eval;
mod examples;
mod filter;
mod finetune;
mod import;
mod kind;
mod predict;
mod pretrain;
mod prompts;
mod rows;
mod sample;
mod sampler;
mod score;
mod size;
mod student;
mod teach;
mod training;

pub(crate) use student::hub_files;

pub use context::{Context, Inputs, Outputs};
pub use environment::{Environment, RunOptions};
pub use error::StageError;
pub use kind::{Complaint, Output, OutsideFile, Port, Stage, StageKind, Typed};
pub use rows::numerics;
pub use size::{Estimate, Shape, Size, Sizes, Work};

/// Every stage kind, in the order in which help and schema list them.
pub static KINDS: &[&dyn Stage] = &[
    &Typed::<dataset::Dataset>::new(),
    &Typed::<student::Student>::new(),
    &Typed::<pretrain::Pretrain>::new(),
    &Typed::<teach::Teach>::new(),
    &Typed::<sample::Sample>::new(),
    &Typed::<score::Score>::new(),
    &Typed::<filter::Filter>::new(),
    &Typed::<finetune::Finetune>::new(),
    &Typed::<distill::Distill>::new(),
    &Typed::<predict::Predict>::new(),
    &Typed::<eval::Eval>::new(),
    &Typed::<import::ImportPaths>::new(),
    &Typed::<import::ImportPredictions>::new(),
];

/// The kind called `name`.
pub fn kind(name: &str) -> Option<&'static dyn Stage> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}
