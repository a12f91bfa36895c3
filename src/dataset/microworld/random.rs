//! The streams of this world.

use rand_chacha::ChaCha8Rng;

pub(super) use crate::dataset::random::{below, pick, shuffle};

/// The stream called `name` of the world with `seed`.
pub(super) fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    crate::dataset::random::stream("microworld", seed, name)
}
