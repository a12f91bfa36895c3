//! Choices by whole numbers only, the same on every platform and with every version of `rand`.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::key::Digest;

/// The stream called `name` of the generated data set `of` with `seed`: what one stream draws does not move another.
pub(super) fn stream(of: &str, seed: u64, name: &str) -> ChaCha8Rng {
    let digest = Digest::of(format!("{of}\0{seed}\0{name}").as_bytes());
    ChaCha8Rng::from_seed(*digest.as_bytes())
}

/// A number below `n`, which is not 0. The bias is below n / 2^32.
pub(super) fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    let wide = u128::from(rng.next_u32()) * n as u128;
    usize::try_from(wide >> 32).expect("less than n")
}

/// One of `items`, of which there is at least one.
pub(super) fn pick<'a, T>(rng: &mut ChaCha8Rng, items: &'a [T]) -> &'a T {
    &items[below(rng, items.len())]
}

/// Fisher and Yates' shuffle.
pub(super) fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(rng, i + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_everything_and_depends_on_seed_and_name() {
        let shuffled = |seed, name| {
            let mut items: Vec<usize> = (0..20).collect();
            shuffle(&mut stream("world", seed, name), &mut items);
            items
        };
        let mut sorted = shuffled(1, "a");
        assert_ne!(sorted, shuffled(2, "a"));
        assert_ne!(sorted, shuffled(1, "b"));
        assert_eq!(sorted, shuffled(1, "a"));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn below_reaches_both_ends_and_nothing_else() {
        let mut rng = stream("world", 0, "t");
        let mut counts = [0; 3];
        for _ in 0..300 {
            counts[below(&mut rng, 3)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 60), "{counts:?}");
    }
}
