//! Dropout masks that depend on nothing but (seed, step, example, place): the same on every machine, device and thread,
//! however a step's examples are split into micro-batches, and the same again after a resumption, because no generator
//! carries a state from step to step.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::rows::Spans;
use crate::key::Digest;

/// The place of the embedding's mask.
pub(crate) const EMBEDDING_SITE: u32 = 0;
/// The first of the places before low-rank branches, which have a rate of their own.
pub(crate) const LORA_SITE: u32 = 1 << 31;

/// The first of a block's three places: attention weights, and the ends of its two residual branches. Every way
/// through the network takes its masks from the same places.
pub(crate) fn block_site(layer: usize) -> u32 {
    EMBEDDING_SITE + 1 + 3 * u32::try_from(layer).expect("few layers")
}

/// The dropout of one step, or of the examples of one micro-batch of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    key: [u8; 32],
    /// A 16-bit draw below it drops the element.
    threshold: u16,
    /// The same before low-rank branches.
    lora_threshold: u16,
    /// The number in the step of the first example of this micro-batch.
    first: u32,
}

impl Dropout {
    /// Masks that drop `rate` of the elements, rounded to 1/65536, and `lora_rate` of those before low-rank branches;
    /// `None` if that is none.
    pub(crate) fn new([rate, lora_rate]: [f64; 2], seed: u64, step: u64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate needs no more than f32 and is in [0, 1), the cast saturates"
        )]
        let [threshold, lora_threshold] =
            [rate, lora_rate].map(|rate| (rate as f32 * 65536.0).round() as u16);
        let mut words = b"sert-run dropout".to_vec();
        for word in [seed, step] {
            words.extend(word.to_le_bytes());
        }
        (threshold > 0 || lora_threshold > 0).then_some(Self {
            key: *Digest::of(&words).as_bytes(),
            threshold,
            lora_threshold,
            first: 0,
        })
    }

    /// That of a micro-batch which begins with the step's example number `first`.
    pub(crate) fn beginning_at(self, first: usize) -> Self {
        let first = u32::try_from(first).expect("a step has fewer than 2^32 examples");
        Self { first, ..self }
    }

    /// With the rate of `site`; `None` where that drops nothing.
    pub(crate) fn at(self, site: u32) -> Option<Self> {
        let threshold = if site < LORA_SITE {
            self.threshold
        } else {
            self.lora_threshold
        };
        (threshold > 0).then_some(Self { threshold, ..self })
    }

    /// What an element that is kept is multiplied by: 1 / (1 - rate).
    pub(crate) fn scale(&self) -> f32 {
        65536.0 / (65536.0 - f32::from(self.threshold))
    }

    /// Fills `mask` with 0 where dropped and [`Dropout::scale`] elsewhere. (`site`, `part`) names the mask.
    fn fill(&self, site: u32, part: u32, mask: &mut [f32]) {
        let scale = self.scale();
        self.draw(site, part, mask.len(), |first, draws| {
            for (value, draw) in mask[first..].iter_mut().zip(draws) {
                *value = if self.drops(*draw) { 0.0 } else { scale };
            }
        });
    }

    /// The same as bits, 1 where kept: rows of `columns`, each from the lowest bit of a word of its own on, `stride`
    /// words apart.
    fn fill_bits(
        &self,
        (site, part): (u32, u32),
        columns: usize,
        stride: usize,
        words: &mut [u32],
    ) {
        let rows = words.len() / stride;
        self.draw(site, part, rows * columns, |first, draws| {
            for (at, draw) in (first..).zip(draws) {
                let (row, column) = (at / columns, at % columns);
                let kept = u32::from(!self.drops(*draw));
                words[row * stride + column / 32] |= kept << (column % 32);
            }
        });
    }

    fn drops(&self, draw: [u8; 2]) -> bool {
        u16::from_le_bytes(draw) < self.threshold
    }

    /// Hands `take` the draws of so many elements, block by block, each with the place of its first.
    fn draw(&self, site: u32, part: u32, count: usize, mut take: impl FnMut(usize, &[[u8; 2]])) {
        let mut rng = ChaCha8Rng::from_seed(self.key);
        rng.set_stream(u64::from(site) << 32 | u64::from(part));
        let mut draws = [0; 512];
        for first in (0..count).step_by(draws.len() / 2) {
            rng.fill_bytes(&mut draws);
            let draws = draws.as_chunks::<2>().0;
            take(first, &draws[..draws.len().min(count - first)]);
        }
    }

    /// The mask of hidden rows at `site`: `mask` is `[spans.rows(), width]`.
    pub(crate) fn fill_rows(&self, site: u32, spans: &Spans, width: usize, mask: &mut [f32]) {
        spans
            .split(mask, width)
            .into_par_iter()
            .zip(self.first..u32::MAX)
            .for_each(|(mask, example)| self.fill(site, example, mask));
    }

    /// The mask of one head's attention weights, for the micro-batch's example number `example`.
    pub(crate) fn fill_head(
        &self,
        site: u32,
        example: usize,
        (head, heads): (usize, usize),
        mask: &mut [f32],
    ) {
        self.fill(site, self.part(example, (head, heads)), mask);
    }

    /// What names the mask of a head.
    fn part(&self, example: usize, (head, heads): (usize, usize)) -> u32 {
        let part = (self.first as usize + example) * heads + head;
        u32::try_from(part).expect("a step has fewer than 2^32 heads")
    }

    /// [`Dropout::fill_rows`] as bits, for a device that expands them itself: a 32nd of the bytes go up.
    ///
    /// # Shapes
    /// `[spans.rows(), width / 32 rounded up]`.
    pub(crate) fn row_bits(&self, site: u32, spans: &Spans, width: usize) -> Vec<u32> {
        let stride = width.div_ceil(32);
        let mut words = vec![0; spans.rows() * stride];
        let parts = spans.split(&mut words, stride).into_par_iter();
        parts
            .zip(self.first..u32::MAX)
            .for_each(|(words, example)| self.fill_bits((site, example), width, stride, words));
        words
    }

    /// [`Dropout::fill_head`] of every example and head as bits, zeros beyond an example's own length.
    ///
    /// # Shapes
    /// `[examples, heads, length, length / 32 rounded up]`.
    pub(crate) fn head_bits(
        &self,
        site: u32,
        spans: &Spans,
        heads: usize,
        length: usize,
    ) -> Vec<u32> {
        let stride = length.div_ceil(32);
        let mut words = vec![0; spans.ranges().len() * heads * length * stride];
        words
            .par_chunks_mut(length * stride)
            .enumerate()
            .for_each(|(place, words)| {
                let (example, head) = (place / heads, place % heads);
                let own = spans.ranges()[example].len();
                let name = (site, self.part(example, (head, heads)));
                self.fill_bits(name, own, stride, &mut words[..own * stride]);
            });
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_the_mean_and_depends_on_its_name_alone() {
        let dropout = Dropout::new([0.1, 0.0], 1, 2).unwrap();
        let mut mask = vec![0.0; 100_000];
        dropout.fill(3, 4, &mut mask);
        let mean: f32 = mask.iter().sum::<f32>() / mask.len() as f32;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        assert!(
            mask.iter()
                .all(|value| *value == 0.0 || (*value - 1.0 / 0.9).abs() < 1e-4)
        );

        let mut other = vec![0.0; 1000];
        Dropout::new([0.1, 0.0], 1, 2)
            .unwrap()
            .fill(3, 4, &mut other);
        assert_eq!(other, mask[..1000]);
        dropout.fill(3, 5, &mut other);
        assert_ne!(other, mask[..1000]);
        Dropout::new([0.1, 0.0], 1, 3)
            .unwrap()
            .fill(3, 4, &mut other);
        assert_ne!(other, mask[..1000]);
        assert!(Dropout::new([0.0; 2], 1, 2).is_none());
    }

    #[test]
    fn low_rank_branches_have_a_rate_of_their_own() {
        let both = Dropout::new([0.1, 0.5], 1, 2).unwrap();
        let one = Dropout::new([0.1, 0.0], 1, 2).unwrap();
        let (mut mask, mut same) = ([0.0; 999], [0.0; 999]);
        let kept = |mask: &[f32]| mask.iter().filter(|value| **value > 0.0).count();
        both.at(3).unwrap().fill(3, 4, &mut mask);
        one.at(3).unwrap().fill(3, 4, &mut same);
        assert_eq!(mask.map(f32::to_bits), same.map(f32::to_bits));
        both.at(LORA_SITE).unwrap().fill(LORA_SITE, 4, &mut mask);
        assert!((450..550).contains(&kept(&mask)), "{}", kept(&mask));
        assert!(one.at(LORA_SITE).is_none());
        let lora = Dropout::new([0.0, 0.5], 1, 2).unwrap();
        assert!(lora.at(EMBEDDING_SITE).is_none() && lora.at(LORA_SITE).is_some());
    }

    #[test]
    fn bits_are_the_same_masks() {
        let dropout = Dropout::new([0.3, 0.0], 1, 2).unwrap();
        let spans = Spans::new([5, 3, 40]);
        let bit = |words: &[u32], stride: usize, row: usize, column: usize| {
            words[row * stride + column / 32] >> (column % 32) & 1 == 1
        };
        let mut rows = vec![0.0; 48 * 70];
        dropout.fill_rows(2, &spans, 70, &mut rows);
        let words = dropout.row_bits(2, &spans, 70);
        assert_eq!(words.len(), 48 * 3);
        for (at, value) in rows.iter().enumerate() {
            assert_eq!(bit(&words, 3, at / 70, at % 70), *value > 0.0, "{at}");
        }
        let words = dropout.head_bits(4, &spans, 2, 40);
        assert_eq!(words.len(), 3 * 2 * 40 * 2);
        let mut head = vec![0.0; 9];
        dropout.fill_head(4, 1, (1, 2), &mut head);
        // The fourth square, 40 rows each.
        for (at, value) in head.iter().enumerate() {
            assert_eq!(
                bit(&words, 2, 3 * 40 + at / 3, at % 3),
                *value > 0.0,
                "{at}"
            );
        }
        assert!(!bit(&words, 2, 3 * 40, 3), "beyond the example's length");
    }

    #[test]
    fn a_micro_batch_has_the_masks_of_its_examples_in_the_step() {
        let dropout = Dropout::new([0.3, 0.0], 1, 2).unwrap();
        let spans = Spans::new([5, 3, 4]);
        let mut all = vec![0.0; 12 * 7];
        dropout.fill_rows(2, &spans, 7, &mut all);
        let mut rest = vec![0.0; 7 * 7];
        let later = dropout.beginning_at(1);
        later.fill_rows(2, &Spans::new([3, 4]), 7, &mut rest);
        assert_eq!(rest, all[5 * 7..]);
        let (mut head, mut same) = ([0.0; 16], [0.0; 16]);
        dropout.fill_head(3, 2, (1, 2), &mut head);
        later.fill_head(3, 1, (1, 2), &mut same);
        assert_eq!(head.map(f32::to_bits), same.map(f32::to_bits));
    }
}
