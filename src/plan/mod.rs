//! The plan: a DAG of typed stages, and what a run would do at each node.
//!
//! What goes in: a checked manifest. What comes out: a petgraph DAG that is built once and stays as
//! it is, in which stages with the same recipe are one node; and, against a store, for each node
//! *hit*, *miss* with the fields that changed, or *depends on* the nodes that must run first.

mod estimate;
mod graph;
mod learned;
mod programs;
mod recipe;
mod servers;
mod state;

pub(crate) use estimate::estimate_work;
pub use estimate::{Estimates, estimate};
pub use graph::{Input, Node, NodeId, Plan, PlanError};
pub use programs::{PlannedProgram, programs};
pub use recipe::recipe;
pub use servers::{Server, servers};
pub use state::{MissReason, NodeState, Resolved, resolve};
