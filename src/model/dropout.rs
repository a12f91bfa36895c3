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
    /// The number in the step of the first example of this micro-batch.
    first: u32,
}

impl Dropout {
    /// Masks that drop `rate` of the elements, rounded to 1/65536; `None` if that is none.
    pub(crate) fn new(rate: f32, seed: u64, step: u64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is in [0, 1), the cast saturates"
        )]
        let threshold = (rate * 65536.0).round() as u16;
        let mut words = b"sert-run dropout".to_vec();
        for word in [seed, step] {
            words.extend(word.to_le_bytes());
        }
        (threshold > 0).then_some(Self {
            key: *Digest::of(&words).as_bytes(),
            threshold,
            first: 0,
        })
    }

    /// That of a micro-batch which begins with the step's example number `first`.
    pub(crate) fn beginning_at(self, first: usize) -> Self {
        let first = u32::try_from(first).expect("a step has fewer than 2^32 examples");
        Self { first, ..self }
    }

    /// Fills `mask` with 0 where dropped and 1/(1 - rate) elsewhere. (`site`, `part`) names the mask.
    fn fill(&self, site: u32, part: u32, mask: &mut [f32]) {
        let scale = 65536.0 / (65536.0 - f32::from(self.threshold));
        let mut rng = ChaCha8Rng::from_seed(self.key);
        rng.set_stream(u64::from(site) << 32 | u64::from(part));
        let mut draws = [0; 512];
        for block in mask.chunks_mut(draws.len() / 2) {
            rng.fill_bytes(&mut draws);
            for (value, draw) in block.iter_mut().zip(draws.as_chunks::<2>().0) {
                *value = if u16::from_le_bytes(*draw) < self.threshold {
                    0.0
                } else {
                    scale
                };
            }
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
        let part = (self.first as usize + example) * heads + head;
        let part = u32::try_from(part).expect("a step has fewer than 2^32 heads");
        self.fill(site, part, mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_the_mean_and_depends_on_its_name_alone() {
        let dropout = Dropout::new(0.1, 1, 2).unwrap();
        let mut mask = vec![0.0; 100_000];
        dropout.fill(3, 4, &mut mask);
        let mean: f32 = mask.iter().sum::<f32>() / mask.len() as f32;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        assert!(
            mask.iter()
                .all(|value| *value == 0.0 || (*value - 1.0 / 0.9).abs() < 1e-4)
        );

        let mut other = vec![0.0; 1000];
        Dropout::new(0.1, 1, 2).unwrap().fill(3, 4, &mut other);
        assert_eq!(other, mask[..1000]);
        dropout.fill(3, 5, &mut other);
        assert_ne!(other, mask[..1000]);
        Dropout::new(0.1, 1, 3).unwrap().fill(3, 4, &mut other);
        assert_ne!(other, mask[..1000]);
        assert!(Dropout::new(0.0, 1, 2).is_none());
    }
    #[test]
    fn a_micro_batch_has_the_masks_of_its_examples_in_the_step() {
        let dropout = Dropout::new(0.3, 1, 2).unwrap();
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
