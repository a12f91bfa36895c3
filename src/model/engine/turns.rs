//! By how much queries and keys are turned at the positions of a pass.

use crate::model::architecture::{Architecture, Rotary};

/// The ways in which an architecture's blocks turn: each once, with its frequencies.
pub(super) struct Turning {
    ways: Vec<(Rotary, Vec<f32>)>,
    /// Which one each block of the pattern takes.
    pattern: Vec<Option<usize>>,
}

/// Cosines and sines of a pass's rows; see [`Turning::fill`].
#[derive(Default)]
pub(super) struct Turns {
    ways: Vec<Vec<f32>>,
}

impl Turning {
    pub(super) fn new(architecture: &Architecture) -> Self {
        let mut ways: Vec<(Rotary, Vec<f32>)> = Vec::new();
        let blocks = architecture.attention.pattern.iter();
        let pattern = blocks.map(|block| {
            let rotary = block.rotary?;
            let known = ways.iter().position(|(way, _)| *way == rotary);
            Some(known.unwrap_or_else(|| {
                ways.push((rotary, rotary.frequencies()));
                ways.len() - 1
            }))
        });
        let pattern = pattern.collect();
        Self { ways, pattern }
    }

    /// Takes the turns at `positions`, one for each row, in place of those that are there.
    pub(super) fn fill(
        &self,
        turns: &mut Turns,
        positions: &(impl Iterator<Item = usize> + Clone),
    ) {
        turns.ways.resize_with(self.ways.len(), Vec::new);
        for ((rotary, frequencies), turns) in self.ways.iter().zip(&mut turns.ways) {
            let half = frequencies.len();
            let rows = positions.clone();
            turns.clear();
            turns.resize(2 * half * rows.clone().count(), 0.0);
            let each = turns.chunks_exact_mut((2 * half).max(1));
            for (position, row) in rows.zip(each) {
                let (cosines, sines) = row.split_at_mut(half);
                rotary.turns(frequencies, position, cosines, sines);
            }
        }
    }

    /// Cosines and sines of block `layer` at row `row`; `None` where it does not turn.
    ///
    /// # Shapes
    /// Both are half as long as the part of a head that is turned.
    pub(super) fn at<'t>(
        &self,
        turns: &'t Turns,
        layer: usize,
        row: usize,
    ) -> Option<(&'t [f32], &'t [f32])> {
        let way = self.pattern[layer % self.pattern.len()]?;
        let half = self.ways[way].1.len();
        let row = &turns.ways[way][2 * half * row..][..2 * half];
        Some(row.split_at(half))
    }
}
