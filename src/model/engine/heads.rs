//! The heads of a block's attention: keys and values into the caches, queries over what is there.

use super::attention::{Look, attend};
use super::model::{Block, Model};
use super::norm::Norm;
use super::parallel::Parallel;
use super::pass::{ROW_WORK, Segment, TokenRow, single};
use super::turns::Turns;
use crate::model::architecture::QueryKeyNorm;
use crate::model::kernel::rotary::rotate;

/// Scores and weighted values that one task of attention should hold at least.
const ATTENTION_WORK: usize = 64 * 1024;

/// The heads in one pass.
pub(super) struct Heads<'p> {
    model: &'p Model,
    parallel: Parallel,
    rows: &'p [TokenRow],
    turns: &'p Turns,
    /// The distance between rows of queries, keys and values.
    wide: usize,
    /// The distance between rows of what the heads give.
    mixed_stride: usize,
    /// What a row looks at in the mean, where there is no window.
    reach: usize,
}

impl<'p> Heads<'p> {
    pub(super) fn new(
        model: &'p Model,
        parallel: Parallel,
        rows: &'p [TokenRow],
        turns: &'p Turns,
        wide: usize,
        mixed_stride: usize,
    ) -> Self {
        let reach = rows.iter().map(|row| row.position + 1).sum::<usize>() / rows.len().max(1);
        Self {
            model,
            parallel,
            rows,
            turns,
            wide,
            mixed_stride,
            reach,
        }
    }

    /// Norms and turns queries and keys where the block does, in place, and stores keys and values.
    ///
    /// # Shapes
    /// `projected` `[rows, wide]`: queries, keys, values.
    pub(super) fn keep(
        &self,
        layer: usize,
        block: &Block,
        segments: &mut [Segment<'_>],
        firsts: &[usize],
        projected: &mut [f32],
    ) {
        let heads = self.model.architecture.heads;
        let mut rest = projected;
        let segments = segments.iter_mut().map(|segment| {
            let count = segment.tokens.len() * self.wide;
            let own = rest.split_off_mut(..count);
            (segment, own.expect("each token has a row"))
        });
        let mut segments: Vec<(&mut Segment<'_>, &mut [f32])> = segments.collect();
        let grain = (ROW_WORK / (2 * heads.key_width())).max(1);
        self.parallel
            .for_each_mut(&mut segments, grain, |index, (segment, rows)| {
                let mut room = Vec::new();
                for (row, projected) in (firsts[index]..).zip(rows.chunks_exact_mut(self.wide)) {
                    let (queries, others) = projected.split_at_mut(heads.query_width());
                    let (keys, values) = others.split_at_mut(heads.key_width());
                    for (norm, heads) in block.head_norms.iter().zip([&mut *queries, &mut *keys]) {
                        if let Some(norm) = norm {
                            self.norm(norm, heads, &mut room);
                        }
                    }
                    if let Some((cosines, sines)) = self.model.turning.at(self.turns, layer, row) {
                        for turned in [queries, &mut *keys] {
                            rotate(self.parallel.isa(), turned, heads.width, cosines, sines);
                        }
                    }
                    let position = self.rows[row].position;
                    let values = &values[..heads.key_width()];
                    segment.cache.write(layer, position, keys, values);
                }
            });
    }

    /// Norms queries or keys, in place; `room` is for what they were.
    ///
    /// # Shapes
    /// `heads` `[heads, head width]`.
    fn norm(&self, norm: &Norm, heads: &mut [f32], room: &mut Vec<f32>) {
        let architecture = &self.model.architecture;
        room.clear();
        room.extend_from_slice(heads);
        let width = match architecture.attention.query_key_norm {
            Some(QueryKeyNorm::Head) => architecture.heads.width,
            Some(QueryKeyNorm::All) | None => heads.len(),
        };
        for (from, to) in room.chunks_exact(width).zip(heads.chunks_exact_mut(width)) {
            norm.row(self.parallel.isa(), from, to);
        }
    }

    /// What every head of every row gives.
    ///
    /// # Shapes
    /// `projected` `[rows, wide]`: queries, keys, values; `mixed` `[rows, mixed_stride]`, or longer.
    pub(super) fn attend(
        &self,
        layer: usize,
        segments: &[Segment<'_>],
        projected: &[f32],
        mixed: &mut [f32],
    ) {
        let architecture = &self.model.architecture;
        let (heads, attention) = (architecture.heads, &architecture.attention);
        let (shape, queries) = (self.model.pages.shape(), heads.query_width());
        let window = architecture.block_attention(layer).window;
        let look = Look {
            isa: self.parallel.isa(),
            layer,
            group: heads.query / heads.key,
            window,
            scale: match attention.scale {
                Some(scale) => single(scale),
                None => 1.0 / (heads.width as f32).sqrt(),
            },
            cap: attention.score_cap.map(single),
        };
        let reach = window.unwrap_or(self.reach).min(self.reach).max(1);
        let grain = (ATTENTION_WORK / (2 * queries * reach)).max(1);
        let mixed = mixed.chunks_exact_mut(self.mixed_stride);
        let mut outs: Vec<&mut [f32]> = mixed.take(self.rows.len()).collect();
        self.parallel.for_each_mut(&mut outs, grain, |i, out| {
            let row = &self.rows[i];
            let cache = &*segments[row.segment].cache;
            let query = &projected[i * self.wide..][..queries];
            attend(
                shape,
                look,
                cache,
                row.position + 1,
                query,
                &mut out[..queries],
            );
        });
    }
}
