//! The logits after one token of one sequence, as drawing asks for them.

use crate::model::kernel::lanes::Isa;
use crate::model::kernel::scalar::ln;
use crate::model::kernel::vector::{most_probable, sum_exp};

/// Up to so many of the most probable tokens are found in one pass with a short list; more by selection.
pub(super) const FEW: usize = 64;

/// What turns a row's logits into log-probabilities.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::model) struct Normalizer {
    max: f64,
    log_sum: f64,
}

impl Normalizer {
    /// `None` where the logits are not finite.
    pub(in crate::model) fn of(isa: Isa, logits: &[f32]) -> Option<Self> {
        let (max, sum) = sum_exp(isa, logits, 1.0);
        Self::of_sum(max, sum)
    }

    /// Of a row's greatest logit and the sum of exp(logit - greatest); `None` where they are not finite.
    pub(in crate::model) fn of_sum(max: f32, sum: f64) -> Option<Self> {
        (max.is_finite() && sum.is_finite()).then(|| Self {
            max: f64::from(max),
            log_sum: ln(sum),
        })
    }

    /// Log-probability in nats of a token with this logit.
    pub(in crate::model) fn log_prob(self, logit: f32) -> f64 {
        f64::from(logit) - self.max - self.log_sum
    }
}

/// A row of logits. An engine whose logits lie elsewhere need not bring them all: most draws ask for a few.
pub(in crate::model) trait LogitsRow {
    /// How many logits there are: those of an embedding's padding too.
    fn vocab_size(&self) -> usize;

    /// `None` where the logits are not finite.
    fn normalizer(&self) -> Option<Normalizer>;

    /// Whether the logit of a token is here.
    fn knows(&self, _token: u32) -> bool {
        true
    }

    /// The logit of a token that is here.
    fn logit(&self, token: u32) -> f32;

    /// Into `best`: the `count` most probable of the first `tokens` tokens with their logits, the most probable first, of
    /// equals the one with the lowest id; minus infinity never counts.
    fn best(&self, count: usize, tokens: usize, best: &mut Vec<(f32, u32)>);

    /// The sum over the first `tokens` tokens of `exp((logit - their greatest) / temperature)`.
    fn total_weight(&self, temperature: f64, tokens: usize) -> f64;
}

/// A row that is in memory.
#[derive(Clone, Copy)]
pub(in crate::model) struct BorrowedLogits<'a> {
    pub(in crate::model) isa: Isa,
    /// One for each token.
    pub(in crate::model) values: &'a [f32],
}

impl LogitsRow for BorrowedLogits<'_> {
    fn vocab_size(&self) -> usize {
        self.values.len()
    }

    fn normalizer(&self) -> Option<Normalizer> {
        Normalizer::of(self.isa, self.values)
    }

    fn logit(&self, token: u32) -> f32 {
        self.values[token as usize]
    }

    fn best(&self, count: usize, tokens: usize, best: &mut Vec<(f32, u32)>) {
        let values = &self.values[..tokens];
        if count <= FEW {
            most_probable(self.isa, values, count, best);
            return;
        }
        best.clear();
        let possible = values.iter().copied().zip(0..);
        best.extend(possible.filter(|(logit, _)| *logit > f32::NEG_INFINITY));
        let order = |a: &(f32, u32), b: &(f32, u32)| {
            let by_logit = b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal);
            by_logit.then(a.1.cmp(&b.1))
        };
        if count < best.len() {
            best.select_nth_unstable_by(count, order);
            best.truncate(count);
        }
        best.sort_unstable_by(order);
    }

    fn total_weight(&self, temperature: f64, tokens: usize) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "f32 is the kernels' precision"
        )]
        let scale = (1.0 / temperature) as f32;
        sum_exp(self.isa, &self.values[..tokens], scale).1
    }
}

/// A row in memory of its own.
pub(in crate::model) struct OwnedLogits {
    isa: Isa,
    values: Vec<f32>,
}

impl OwnedLogits {
    /// A copy of `values`.
    pub(in crate::model) fn new(isa: Isa, values: &[f32]) -> Self {
        Self {
            isa,
            values: values.to_vec(),
        }
    }

    fn borrowed(&self) -> BorrowedLogits<'_> {
        BorrowedLogits {
            isa: self.isa,
            values: &self.values,
        }
    }
}

impl LogitsRow for OwnedLogits {
    fn vocab_size(&self) -> usize {
        self.values.len()
    }

    fn normalizer(&self) -> Option<Normalizer> {
        self.borrowed().normalizer()
    }

    fn logit(&self, token: u32) -> f32 {
        self.borrowed().logit(token)
    }

    fn best(&self, count: usize, tokens: usize, best: &mut Vec<(f32, u32)>) {
        self.borrowed().best(count, tokens, best);
    }

    fn total_weight(&self, temperature: f64, tokens: usize) -> f64 {
        self.borrowed().total_weight(temperature, tokens)
    }
}
