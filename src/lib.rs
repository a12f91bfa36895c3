//! `sert-run`: a declarative experiment runner for self-enhanced reasoning training.
//!
//! Data flows one way: manifest → plan → run → store → report. The modules below are listed in
//! dependency order: a module imports only from those above it, and a test guards that.

pub mod beneath;
pub mod key;
pub mod text;
pub mod event;
pub mod guard;
pub mod memory;
pub mod disk;
pub mod fetch;
pub mod input;
pub mod dataset;
pub mod filter;
pub mod metric;
pub mod model;
pub mod teacher;
pub mod artifact;
pub mod store;
pub mod stage;
pub mod manifest;
pub mod plan;
pub mod run;
pub mod report;
pub mod cli;

#[cfg(test)]
mod needs;
