//! `sert-run`: a declarative experiment runner for self-enhanced reasoning training.
//!
//! Data flows one way: manifest → plan → run → store → report. The modules below are listed in
//! dependency order: a module imports only from those above it, and a test guards that.

mod beneath;
pub mod key;
pub mod text;
pub mod verify;
pub mod event;
mod guard;
mod memory;
mod disk;
mod fetch;
mod input;
mod program;
mod dataset;
pub mod filter;
pub mod metric;
pub mod model;
mod teacher;
mod served;
mod artifact;
mod remote;
mod store;
pub mod stage;
pub mod manifest;
pub mod plan;
mod run;
mod report;
pub mod cli;

#[cfg(test)]
mod needs;
