//! The judge (paper, Table I): how good a path's reasoning is, by criteria from 0 to 10.
//!
//! In: a question and a response. Out: a prompt for whoever judges, and the scores read out of what
//! it wrote. A score that cannot be read is *unparsed*, never guessed.

mod parse;
mod prompt;

pub(crate) use parse::read_scores;
pub(crate) use prompt::{CRITERIA, Template, label};
