//! Rotary positions of packed rows: queries and keys are rotated in place.

use rayon::prelude::*;

use super::gemm::isa;
use crate::model::architecture::{Heads, Rotary};
use crate::model::kernel::rotary as kernel;

/// Rows that a thread takes at a time; each stands alone, so it changes no bit.
const ROWS: usize = 32;

/// Cosines and sines of the first positions' angles.
pub(crate) struct Turns {
    pub(crate) rotary: Rotary,
    frequencies: Vec<f32>,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl Turns {
    /// Of no position yet.
    pub(crate) fn new(rotary: Rotary) -> Self {
        Self {
            rotary,
            frequencies: rotary.frequencies(),
            cosines: Vec::new(),
            sines: Vec::new(),
        }
    }

    /// Makes those of the positions below `positions` that are not there yet.
    pub(crate) fn reserve(&mut self, positions: usize) {
        let pairs = self.frequencies.len();
        let there = self.cosines.len() / pairs;
        if positions <= there {
            return;
        }
        self.cosines.resize(positions * pairs, 0.0);
        self.sines.resize(positions * pairs, 0.0);
        let cosines = self.cosines.chunks_exact_mut(pairs);
        let places = cosines.zip(self.sines.chunks_exact_mut(pairs));
        for (position, (cosines, sines)) in places.enumerate().skip(there) {
            let frequencies = &self.frequencies;
            self.rotary.turns(frequencies, position, cosines, sines);
        }
    }

    /// Rotates queries and keys by their rows' positions.
    ///
    /// # Shapes
    /// `positions` `[rows]`, `qkv` `[rows, projected_width]`.
    pub(crate) fn rotate(&self, heads: Heads, positions: &[usize], qkv: &mut [f32]) {
        self.each_row(heads, positions, qkv, |row, cosines, sines| {
            kernel::rotate(isa(), row, heads.width, cosines, sines);
        });
    }

    /// Turns the gradients of rotated queries and keys into those of what was rotated.
    ///
    /// # Shapes
    /// `positions` `[rows]`, `dqkv` `[rows, projected_width]`.
    pub(crate) fn rotate_gradient(&self, heads: Heads, positions: &[usize], dqkv: &mut [f32]) {
        self.each_row(heads, positions, dqkv, |row, cosines, sines| {
            kernel::rotate_backward(isa(), row, heads.width, cosines, sines);
        });
    }

    /// Calls `turn` with each row's queries and keys, and its position's cosines and sines.
    ///
    /// # Shapes
    /// `positions` `[rows]`, `qkv` `[rows, projected_width]`.
    fn each_row(
        &self,
        heads: Heads,
        positions: &[usize],
        qkv: &mut [f32],
        turn: impl Fn(&mut [f32], &[f32], &[f32]) + Sync,
    ) {
        let pairs = self.frequencies.len();
        let (stride, turned) = (
            heads.projected_width(),
            heads.query_width() + heads.key_width(),
        );
        let blocks = qkv.par_chunks_mut(ROWS * stride);
        let blocks = blocks.zip(positions.par_chunks(ROWS));
        blocks.for_each(|(qkv, positions)| {
            for (row, position) in qkv.chunks_exact_mut(stride).zip(positions) {
                let [cosines, sines] =
                    [&self.cosines, &self.sines].map(|all| &all[position * pairs..][..pairs]);
                turn(&mut row[..turned], cosines, sines);
            }
        });
    }
}
