//! Sampling that belongs to no engine: one scheduler and one rule of drawing for the CPU's kernels and for every device.
//!
//! In: a [`GenerationRequest`] and a `Decoder`, which reads prompts and goes on token by token. Out: [`Generated`]
//! sequences. Which token is drawn depends on the row of logits, the parameters and the sequence's own random stream
//! alone, so an engine decides by its rounding and by nothing else.

mod draw;
mod params;
mod request;
mod row;
mod scheduler;
mod sequence;

#[cfg(test)]
pub(super) use draw::nearness;
pub(crate) use draw::record;
pub use params::SamplingParams;
pub use request::{
    Expand, FirstTokenCandidate, Generated, GenerationRequest, SequenceSpec, StopRule,
};
pub(super) use row::{BorrowedLogits, LogitsRow, Normalizer, OwnedLogits};
pub(super) use scheduler::{Active, Advance, Decoder, Prefilled, Read, generate};
