//! A backend that computes what `flex` computes and counts what it is told: see README.md.

mod channel;
mod counts;

pub use channel::{NdArray, NdArrayDevice};
pub use counts::Counts;
