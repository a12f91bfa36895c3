//! From a row of logits to a token: temperature, top-k, top-p, one uniform number; and the token's
//! log-probability under the untempered full softmax, which the perplexity filter reads later.
//!
//! The order and the meaning of the steps are those of Hugging Face's logits processors.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::SamplingParams;
use super::row::{FEW, LogitsRow};
use crate::key::Digest;
use crate::model::kernel::scalar::exp;
use crate::text::LogProbSummary;

/// Candidates that decide nearly all draws among all tokens; [`FEW`] decide most.
const MANY: usize = 2048;

/// The random stream of one sequence.
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    pub(super) fn new(seed: &Digest) -> Self {
        Self(ChaCha8Rng::from_seed(*seed.as_bytes()))
    }

    /// A number in [0, 1): 53 bits of the stream.
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Draws one of the first `tokens` tokens. `room` holds candidates between calls.
pub(super) fn draw(
    row: &dyn LogitsRow,
    tokens: usize,
    params: &SamplingParams,
    stream: &mut Stream,
    room: &mut Vec<(f32, u32)>,
) -> u32 {
    if params.temperature == 0.0 {
        row.best(1, tokens, room);
        return room[0].1;
    }
    let rules = (params.temperature, params.top_p, stream.uniform());
    if let Some(top_k) = params.deciding(tokens) {
        row.best(top_k, tokens, room);
        let place = choose(room, None, rules);
        return room[place.unwrap_or(0)].1;
    }
    // Among all: most draws are decided by a few of the most probable, so the whole is seldom sorted.
    let total = row.total_weight(params.temperature, tokens);
    for count in [FEW, MANY, tokens] {
        row.best(count, tokens, room);
        if let Some(place) = choose(room, Some(total), rules) {
            return room[place].1;
        }
    }
    // A rounding error at the very end of the distribution.
    room[room.len() - 1].1
}

/// The place among `candidates`, sorted by descending logit, on which the uniform number of `rules`
/// (temperature, top-p, uniform) falls after top-p. `total` is the weight of all tokens where the
/// candidates are but the most probable of them; `None` where more candidates are needed to tell.
fn choose(candidates: &[(f32, u32)], total: Option<f64>, rules: (f64, f64, f64)) -> Option<usize> {
    let (temperature, top_p, uniform) = rules;
    let top = f64::from(candidates[0].0);
    let weights: Vec<f64> = candidates
        .iter()
        .map(|&(logit, _)| exp((f64::from(logit) - top) / temperature))
        .collect();
    let all = total.unwrap_or_else(|| weights.iter().sum());
    let mut kept = all;
    let mut count = weights.len();
    if top_p < 1.0 {
        (kept, count) = (0.0, 0);
        while count == 0 || kept < all * top_p {
            kept += weights.get(count)?;
            count += 1;
        }
    }
    let target = uniform * kept;
    let mut reached = 0.0;
    for (place, weight) in weights[..count].iter().enumerate() {
        reached += weight;
        if target < reached {
            return Some(place);
        }
    }
    (total.is_none() || top_p < 1.0).then(|| count - 1)
}

/// Test: how near draw number `draws` of a stream is to giving another token, where the `top_k` most probable decide: the
/// distance of its uniform number from the nearest edge of its token's part, or the distance of that token's logit from
/// the nearest one, since near logits may change places.
#[cfg(test)]
pub(in crate::model) fn nearness(
    row: &dyn LogitsRow,
    tokens: usize,
    params: &SamplingParams,
    stream: &Digest,
    draws: usize,
) -> f64 {
    let mut stream = Stream::new(stream);
    let uniform = (0..=draws).map(|_| stream.uniform()).last();
    let (uniform, mut room) = (uniform.expect("there is a draw"), Vec::new());
    let top_k = params.deciding(tokens).expect("a few tokens decide");
    row.best(top_k, tokens, &mut room);
    let rules = (params.temperature, params.top_p, uniform);
    let place = choose(&room, None, rules).expect("all are there");
    let other = |uniform| choose(&room, None, (rules.0, rules.1, uniform)) != Some(place);
    let steps = (-53..0).map(|power| 2.0_f64.powi(power));
    let edge = steps
        .into_iter()
        .find(|step| other((uniform - step).max(0.0)) || other((uniform + step).min(1.0 - 1e-16)));
    let beside = [place.checked_sub(1), Some(place + 1)];
    let beside = beside.into_iter().flatten().filter_map(|at| room.get(at));
    let gaps = beside.map(|(logit, _)| f64::from((logit - room[place].0).abs()));
    gaps.fold(edge.unwrap_or(1.0), f64::min)
}

/// Adds one token's log-probability.
pub(crate) fn record(summary: &mut LogProbSummary, log_prob: f64) {
    if summary.count == 0 {
        summary.first = log_prob;
        summary.min = log_prob;
    }
    summary.sum += log_prob;
    summary.count += 1;
    summary.min = summary.min.min(log_prob);
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    reason = "exact values are meant; logits are f32"
)]
mod tests {
    use super::*;
    use crate::model::kernel::lanes::Isa;
    use crate::model::sampling::BorrowedLogits;

    /// Logits whose softmax is 0.5, 0.3, 0.15, 0.05 in this order of ids.
    fn logits() -> Vec<f32> {
        [0.15, 0.5, 0.05, 0.3].map(|p: f64| p.ln() as f32).to_vec()
    }

    fn row(values: &[f32]) -> BorrowedLogits<'_> {
        let isa = Isa::available()[0];
        BorrowedLogits { isa, values }
    }

    #[test]
    fn the_place_of_a_number_is_as_worked_by_hand() {
        let sorted: Vec<(f32, u32)> = [0.5, 0.3, 0.15, 0.05]
            .map(|p: f64| (p.ln() as f32, 0))
            .to_vec();
        // All four: boundaries at 0.5, 0.8, 0.95.
        for (uniform, place) in [
            (0.0, 0),
            (0.49, 0),
            (0.51, 1),
            (0.79, 1),
            (0.81, 2),
            (0.94, 2),
            (0.96, 3),
        ] {
            assert_eq!(
                choose(&sorted, None, (1.0, 1.0, uniform)),
                Some(place),
                "{uniform}"
            );
        }
        // 0.9 needs three, whose sum is 0.95: boundaries at 0.526 and 0.842. 0.79 needs two: 0.625.
        for (top_p, uniform, place) in [
            (0.9, 0.52, 0),
            (0.9, 0.54, 1),
            (0.9, 0.83, 1),
            (0.9, 0.99, 2),
            (0.79, 0.62, 0),
            (0.79, 0.99, 1),
            (0.1, 0.99, 0),
        ] {
            assert_eq!(
                choose(&sorted, None, (1.0, top_p, uniform)),
                Some(place),
                "{top_p} {uniform}"
            );
        }
        // Temperature 1/2 squares: 0.25, 0.09, 0.0225, 0.0025 of 0.365: boundaries at 0.685, 0.932.
        assert_eq!(choose(&sorted, None, (0.5, 1.0, 0.68)), Some(0));
        assert_eq!(choose(&sorted, None, (0.5, 1.0, 0.69)), Some(1));
        assert_eq!(choose(&sorted, None, (0.5, 1.0, 0.94)), Some(2));
    }

    #[test]
    fn frequencies_are_the_probabilities() {
        let cases = [
            (0, 1.0, [0.15, 0.5, 0.05, 0.3]),
            (2, 1.0, [0.0, 0.625, 0.0, 0.375]),
            (3, 0.9, [0.157_894_7, 0.526_315_8, 0.0, 0.315_789_5]),
        ];
        for (top_k, top_p, expected) in cases {
            let params = SamplingParams {
                top_k,
                top_p,
                ..SamplingParams::default()
            };
            let mut stream = Stream::new(&Digest::of(b"frequencies"));
            let mut counts = [0.0_f64; 4];
            let mut room = Vec::new();
            let draws = 20_000.0;
            for _ in 0..20_000 {
                counts[draw(&row(&logits()), 4, &params, &mut stream, &mut room) as usize] += 1.0;
            }
            let mut chi_square = 0.0;
            for (count, p) in counts.iter().zip(expected) {
                if p == 0.0 {
                    assert_eq!(*count, 0.0);
                } else {
                    chi_square += (count - p * draws).powi(2) / (p * draws);
                }
            }
            // Three degrees of freedom: 16.3 is exceeded once in a thousand.
            assert!(chi_square < 16.3, "{chi_square}");
        }
    }

    #[test]
    fn drawing_among_all_is_the_same_however_few_decide() {
        // Flat enough that some draws need the whole order: against a walk over all of it.
        let logits: Vec<f32> = (0..5000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32)
            .collect();
        let mut sorted: Vec<(f32, u32)> = logits.iter().copied().zip(0..).collect();
        sorted.sort_by(|a, b| b.partial_cmp(a).unwrap());
        let weights: Vec<f64> = sorted.iter().map(|c| f64::from(c.0 * 2.0).exp()).collect();
        for top_p in [1.0, 0.9, 0.01] {
            let params = SamplingParams {
                temperature: 0.5,
                top_k: 0,
                top_p,
                ..SamplingParams::default()
            };
            let enough = weights.iter().sum::<f64>() * top_p;
            let mut nucleus = 0;
            let mut kept = 0.0;
            while kept < enough && nucleus < weights.len() {
                kept += weights[nucleus];
                nucleus += 1;
            }
            let mut stream = Stream::new(&Digest::of(b"all"));
            let mut same = Stream::new(&Digest::of(b"all"));
            let (mut room, mut far) = (Vec::new(), 0);
            for _ in 0..200 {
                let mut left = same.uniform() * kept;
                let place = weights[..nucleus].iter().position(|w| {
                    left -= w;
                    left < 0.0
                });
                let token = draw(&row(&logits), logits.len(), &params, &mut stream, &mut room);
                assert_eq!(token, sorted[place.unwrap()].1);
                far += usize::from(place.unwrap() >= MANY);
            }
            assert!(top_p < 0.9 || far > 0, "the last resort is tested too");
        }
    }

    #[test]
    fn greedy_takes_no_number_and_the_lower_id() {
        let params = SamplingParams {
            temperature: 0.0,
            ..SamplingParams::default()
        };
        let (mut stream, mut room) = (Stream::new(&Digest::of(b"")), Vec::new());
        let next = Stream::new(&Digest::of(b"")).uniform();
        assert_eq!(
            draw(&row(&[1.0, 2.0, 2.0]), 3, &params, &mut stream, &mut room),
            1
        );
        assert_eq!(stream.uniform(), next);
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let normalizer = row(&logits()).normalizer().unwrap();
        for (logit, p) in logits().into_iter().zip([0.15_f64, 0.5, 0.05, 0.3]) {
            assert!((normalizer.log_prob(logit) - p.ln()).abs() < 1e-6);
        }
        assert!(row(&[f32::NAN]).normalizer().is_none());
    }
}
