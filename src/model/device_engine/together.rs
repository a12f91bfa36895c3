//! How many sequences go on together on a device, and how many where its memory ran out.

/// Bytes of keys and values that batches may take, where the caller leaves the choice.
const AUTO_CACHE_BYTES: usize = 4 << 30;
/// The same of a card, and the least of its batches: a model whose batch is more gets fewer places.
const CARD_CACHE_BYTES: usize = 24 << 30;
/// Sequences at most, where the caller leaves the choice: of a processor, and of a card.
const AUTO_SEQUENCES: [usize; 2] = [512, 1024];
/// Places of a batch at least, where memory does not run out.
const SMALLEST_BATCH: usize = 64;
/// Places of a batch at least.
const FEWEST_PLACES: usize = 8;
/// The length, in tokens, that the choice reckons with.
pub(super) const AUTO_LENGTH: usize = 256;

/// Batches of sequences that go on side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Together {
    /// Sequences of a batch, however few there are.
    pub(super) places: usize,
    /// Batches at a time.
    pub(super) batches: usize,
}

impl Together {
    /// What is begun with, where a backend has room for `most` sequences in a batch and each of them takes `sequence` bytes. The
    /// places are the backend's, or as many as fit beside the weights of a large model: they depend on nothing that may be
    /// otherwise the next time. Of the batches somebody may have `chosen` how many sequences they hold (0: nobody did).
    pub(super) fn of(most: usize, sequence: usize, chosen: usize) -> Self {
        let card = most > SMALLEST_BATCH;
        let bytes = if card {
            CARD_CACHE_BYTES
        } else {
            AUTO_CACHE_BYTES
        };
        let mut places = most;
        while places > SMALLEST_BATCH && places * sequence > bytes / 2 {
            places /= 2;
        }
        let batches = match chosen {
            0 => {
                let most = AUTO_SEQUENCES[usize::from(card)] / places;
                (bytes / (places * sequence)).clamp(1, most)
            }
            chosen => chosen.div_ceil(places),
        };
        Self { places, batches }
    }

    /// All places.
    pub(super) fn sequences(self) -> usize {
        self.batches * self.places
    }

    /// About half as many: fewer batches, in which sequences come out the same; then fewer places of the one that is left, in which they
    /// differ by rounding. `None` where one is as small as it gets.
    pub(super) fn half(self) -> Option<Self> {
        let Self { places, batches } = self;
        match (places, batches) {
            (_, 2..) => Some(Self {
                batches: batches / 2,
                ..self
            }),
            (places, _) if places > FEWEST_PLACES => Some(Self {
                places: places / 2,
                ..self
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Together;

    /// A large model has fewer places: the batch of a card is a part of its memory.
    #[test]
    fn places_follow_what_a_sequence_takes() {
        let of = |most, sequence| {
            let Together { places, batches } = Together::of(most, sequence, 0);
            (places, batches)
        };
        let gib = 1 << 30;
        assert_eq!(of(512, 1 << 20), (512, 2));
        // GPT-2 small in bf16 and in f32, large in bf16.
        assert_eq!(of(512, 256 * 36_864), (512, 2));
        assert_eq!(of(512, 256 * 73_728), (512, 2));
        assert_eq!(of(512, 256 * 184_320), (256, 2));
        assert_eq!(of(512, gib), (64, 1));
        assert_eq!(of(64, 256 * 73_728), (64, 3));
        assert_eq!(of(64, 1), (64, 8));
    }

    #[test]
    fn batches_are_halved_before_places() {
        let first = Together::of(512, 1, 2000);
        let all: Vec<(usize, usize)> =
            std::iter::successors(Some(first), |together| together.half())
                .map(|Together { places, batches }| (places, batches))
                .collect();
        let places = [256, 128, 64, 32, 16, 8].map(|places| (places, 1));
        assert_eq!(all[..3], [(512, 4), (512, 2), (512, 1)]);
        assert_eq!(all[3..], places);
    }
}
