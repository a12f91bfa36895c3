//! The run: carries out a plan against a store, tells it as events, and records provenance.
//!
//! Clocks live here and nowhere else; the runner never prints.

mod clock;
mod executor;
mod json_lines;
mod one;
mod provenance;
mod scheduler;
mod terminal;
#[cfg(test)]
mod one_line_tests;
#[cfg(test)]
mod tests;

pub use executor::{Execution, execute};
pub use json_lines::JsonLines;
pub use one::Finished;
pub use scheduler::Policy;
pub use terminal::Terminal;
