//! What the parts of a forward pass share.

use super::cache::SequenceCache;

/// Values that one task of a row-wise kernel should hold at least.
pub(super) const ROW_WORK: usize = 32 * 1024;

/// New tokens of one sequence.
pub(super) struct Segment<'a> {
    /// What the sequence has read; grows by the new tokens.
    pub(super) cache: &'a mut SequenceCache,
    /// The new tokens.
    pub(super) tokens: &'a [u32],
    /// How many of the last new positions are wanted in `Scratch::hidden`.
    pub(super) wanted: usize,
}

/// A row of a pass.
pub(super) struct TokenRow {
    pub(super) segment: usize,
    pub(super) position: usize,
}

/// A number in the engine's precision.
#[expect(
    clippy::cast_possible_truncation,
    reason = "f32 is the engine's precision"
)]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}
