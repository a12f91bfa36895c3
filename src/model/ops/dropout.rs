//! Dropout masks that depend on nothing but (seed, step, micro-batch, place): the same on every machine and thread,
//! and the same again after a resumption, because no generator carries a state from step to step.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::key::Digest;

/// Elements that one random stream covers, so that threads can share a mask.
const PART: usize = 1 << 14;

/// The dropout of one micro-batch of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    key: [u8; 32],
    /// A 16-bit draw below it drops the element.
    threshold: u16,
}

impl Dropout {
    /// Masks that drop `rate` of the elements, rounded to 1/65536; `None` if that is none.
    pub(crate) fn new(rate: f32, seed: u64, step: u64, micro_batch: u64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is in [0, 1), the cast saturates"
        )]
        let threshold = (rate * 65536.0).round() as u16;
        let mut words = b"sert-run dropout".to_vec();
        for word in [seed, step, micro_batch] {
            words.extend(word.to_le_bytes());
        }
        let key = *Digest::of(&words).as_bytes();
        (threshold > 0).then_some(Self { key, threshold })
    }

    /// Fills `mask` with 0 where dropped and 1/(1 - rate) elsewhere. (`site`, `part`) names the mask.
    pub(crate) fn fill(&self, site: u32, part: u32, mask: &mut [f32]) {
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

    /// A whole mask as a tensor.
    pub(crate) fn mask(&self, site: u32, shape: [usize; 2], device: &Device) -> Tensor<2> {
        let mut mask = vec![0.0; shape[0] * shape[1]];
        mask.par_chunks_mut(PART)
            .zip(0..u32::MAX)
            .for_each(|(values, part)| self.fill(site, part, values));
        Tensor::from_data(TensorData::new(mask, shape), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_the_mean_and_depends_on_its_name_alone() {
        let dropout = Dropout::new(0.1, 1, 2, 0).unwrap();
        let mut mask = vec![0.0; 100_000];
        dropout.fill(3, 4, &mut mask);
        let mean: f32 = mask.iter().sum::<f32>() / mask.len() as f32;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        assert!(
            mask.iter()
                .all(|value| *value == 0.0 || (*value - 1.0 / 0.9).abs() < 1e-4)
        );

        let mut other = vec![0.0; 1000];
        Dropout::new(0.1, 1, 2, 0).unwrap().fill(3, 4, &mut other);
        assert_eq!(other, mask[..1000]);
        dropout.fill(3, 5, &mut other);
        assert_ne!(other, mask[..1000]);
        Dropout::new(0.1, 1, 3, 0).unwrap().fill(3, 4, &mut other);
        assert_ne!(other, mask[..1000]);
        assert!(Dropout::new(0.0, 1, 2, 0).is_none());
    }
}
