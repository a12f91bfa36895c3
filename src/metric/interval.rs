//! Estimates with intervals: Wilson's score interval for shares, the percentile bootstrap for means.
//!
//! Sources: Wilson 1927 (as statsmodels' `proportion_confint(method="wilson")`, checked to 1e-12);
//! Efron 1979, percentiles interpolated linearly as numpy's default.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::EvalParams;
use super::normal::normal_quantile;

/// How an interval was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalMethod {
    /// Wilson's score interval of a share.
    Wilson,
    /// Percentiles of the means of seeded resamples.
    PercentileBootstrap,
    /// The value is known without sampling; the interval is the value.
    Exact,
}

/// A value with its interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The share or mean.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How many cases it rests on.
    pub n: usize,
    /// How the interval was made.
    pub method: IntervalMethod,
}

/// The share `hits / n` with its Wilson interval. No cases say nothing: 0, from 0 to 1.
pub fn wilson(hits: usize, n: usize, confidence: f64) -> Estimate {
    let method = IntervalMethod::Wilson;
    if n == 0 {
        return Estimate {
            value: 0.0,
            low: 0.0,
            high: 1.0,
            n,
            method,
        };
    }
    let total = n as f64;
    let share = hits as f64 / total;
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let scale = 1.0 + z * z / total;
    let centre = (share + z * z / (2.0 * total)) / scale;
    let half = z / scale * (share * (1.0 - share) / total + z * z / (4.0 * total * total)).sqrt();
    Estimate {
        value: share,
        // At 0 and n the formula gives the end itself, but for rounding.
        low: if hits == 0 { 0.0 } else { centre - half },
        high: if hits == n { 1.0 } else { centre + half },
        n,
        method,
    }
}

/// The mean of `values` with its percentile bootstrap interval.
///
/// Resampling draws places by multiplying a 64-bit word of `ChaCha8` (`params.seed`, stream `stream`)
/// with the number of values and keeping the upper half: stated here because the interval's bits
/// depend on it. Each metric has a stream of its own, so a new column moves no other's interval.
pub fn bootstrap_mean(values: &[f64], params: &EvalParams, stream: u64) -> Estimate {
    let mut generator = ChaCha8Rng::seed_from_u64(params.seed);
    generator.set_stream(stream);
    bootstrap_by(
        values,
        params.bootstrap_resamples,
        params.confidence,
        || {
            let wide = u128::from(generator.next_u64()) * values.len() as u128;
            usize::try_from(wide >> 64).expect("below the number of values")
        },
    )
}

/// The bootstrap, with the source of places passed in.
fn bootstrap_by(
    values: &[f64],
    resamples: u32,
    confidence: f64,
    mut place: impl FnMut() -> usize,
) -> Estimate {
    let n = values.len();
    let mean = |sum: f64| if n == 0 { 0.0 } else { sum / n as f64 };
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| mean((0..n).map(|_| values[place()]).sum()))
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Estimate {
        value: mean(values.iter().sum()),
        low: percentile(&means, tail),
        high: percentile(&means, 1.0 - tail),
        n,
        method: IntervalMethod::PercentileBootstrap,
    }
}

/// The quantile of sorted values, interpolated linearly (numpy's default, Hyndman and Fan's type 7).
fn percentile(sorted: &[f64], quantile: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let at = quantile.clamp(0.0, 1.0) * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to `last`"
    )]
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    /// statsmodels 0.14, `proportion_confint(hits, n, 1 - confidence, "wilson")`.
    #[test]
    fn wilson_agrees_with_statsmodels() {
        for (hits, n, confidence, low, high) in [
            (
                368,
                687,
                0.95,
                0.498_273_877_599_572_2,
                0.572_654_118_070_586_1,
            ),
            (
                361,
                687,
                0.95,
                0.488_095_025_839_128_8,
                0.562_567_828_210_984_3,
            ),
            (0, 10, 0.95, 0.0, 0.277_532_799_862_889_26),
            (10, 10, 0.95, 0.722_467_200_137_110_6, 1.0),
            (1, 2, 0.90, 0.120_866_319_422_273_6, 0.879_133_680_577_726_4),
            (
                19_534,
                100_000,
                0.99,
                0.192_130_878_440_698_6,
                0.198_589_546_629_109_2,
            ),
        ] {
            let found = wilson(hits, n, confidence);
            close(found.low, low);
            close(found.high, high);
            close(found.value, hits as f64 / n as f64);
        }
    }

    #[test]
    fn bootstrap_by_hand() {
        // Resamples 11 33 13 31 11 of the values 1 and 3: means 1 3 2 2 1, sorted 1 1 2 2 3.
        // Quantile 0.25 of five is the second, 0.75 the fourth.
        let mut places = [0, 0, 1, 1, 0, 1, 1, 0, 0, 0].into_iter();
        let found = bootstrap_by(&[1.0, 3.0], 5, 0.5, || places.next().unwrap());
        close(found.value, 2.0);
        close(found.low, 1.0);
        close(found.high, 2.0);
        assert_eq!(places.next(), None);
    }

    /// numpy: `percentile([1, 2, 3, 4, 10], [2.5, 97.5])` is 1.1 and 9.4.
    #[test]
    fn percentiles_interpolate() {
        let sorted = [1.0, 2.0, 3.0, 4.0, 10.0];
        close(percentile(&sorted, 0.025), 1.1);
        close(percentile(&sorted, 0.975), 9.4);
    }

    #[test]
    fn bootstrap_is_seeded_and_near_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 10)).collect();
        let params = EvalParams::default();
        let found = bootstrap_mean(&values, &params, 1);
        assert_eq!(found, bootstrap_mean(&values, &params, 1));
        assert_ne!(found, bootstrap_mean(&values, &params, 2));
        // Standard error sqrt(8.25 / 400) = 0.1436, so 4.5 +- 0.2815; a bootstrap of 2,000 wobbles.
        close(found.value, 4.5);
        assert!((found.low - 4.2185).abs() < 0.03, "{found:?}");
        assert!((found.high - 4.7815).abs() < 0.03, "{found:?}");
    }
}
