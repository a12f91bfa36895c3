//! A student behind a server: vLLM, `SGLang` or llama.cpp's server draws from it and reads with it, in place of our own engine.
//!
//! In: what a manifest says of the server ([`ServerParams`]), prompts as tokens. Out: the same [`Generated`] sequences and
//! log-probabilities that our own engine gives, so that all that comes after is the same. How requests travel (tries, waits, permissions,
//! spending) is `teacher::http`'s.
//!
//! | part | what it does |
//! |---|---|
//! | `params` | what a manifest says of a server |
//! | `form` | how each server is asked, and where it puts tokens and log-probabilities |
//! | `asking` | many requests, each answer handed on as it comes |
//! | `engine`, `drawing`, `reading` | sequences and log-probabilities, of answers |
//! | `check` | what is found out before the first sequence: version, token ids, untempered log-probabilities, weights |
//! | `launch` | a server that the run starts and stops |
//! | `error` | why it cannot be used |
//!
//! [`Generated`]: crate::model::sampling::Generated

mod asking;
mod check;
mod drawing;
mod engine;
mod error;
mod form;
mod launch;
mod params;
mod reading;

pub(crate) use asking::Asking;
pub(crate) use check::rounding;
pub(crate) use engine::{Served, ServedStudent};
pub(crate) use error::ServedError;
pub(crate) use launch::{Launch, Launched, launch};
pub(crate) use params::{LaunchName, ServerParams};
