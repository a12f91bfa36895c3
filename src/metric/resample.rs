//! What a bootstrap draws, and the intervals that are read from it: percentile and BCa.
//!
//! Sources: Efron 1979, percentiles interpolated linearly (numpy's default); BCa as Efron 1987 and
//! Efron & Tibshirani 1993, 14.3, with scipy's handling of ties.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::{Bounds, IntervalMethod};
use super::normal::{normal_cdf, normal_quantile};

/// How an interval is read from the resampled values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootstrapInterval {
    /// Their percentiles.
    #[default]
    Percentile,
    /// Percentiles corrected for bias and for a variance that changes with the value.
    Bca,
}

/// How figures are resampled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Resampling {
    /// Confidence of the interval, between 0 and 1.
    pub confidence: f64,
    /// How many resamples.
    pub resamples: u32,
    /// How the interval is read from them.
    pub interval: BootstrapInterval,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Resampling {
    /// 95 %, 10,000 resamples (a test's p cannot be below 2 in 10,001), percentiles, seed 0.
    fn default() -> Self {
        Self {
            confidence: 0.95,
            resamples: 10_000,
            interval: BootstrapInterval::Percentile,
            seed: 0,
        }
    }
}

/// The source of a bootstrap's places: given how many units there are, one of them.
///
/// Multiplies a 64-bit word of `ChaCha8` (`seed`, `stream`) with the number of units and keeps the
/// upper half: stated here because the intervals' bits depend on it. Each figure has a stream of its
/// own, so a new column moves no other's interval.
pub(super) fn seeded_places(seed: u64, stream: u64) -> impl FnMut(usize) -> usize {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    move |units| {
        let wide = u128::from(generator.next_u64()) * units as u128;
        usize::try_from(wide >> 64).expect("below the number of units")
    }
}

/// A bootstrap's outcome.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Resampled {
    /// The values of the resamples, in order; a resample without a value is left out.
    pub(super) values: Vec<f64>,
    /// The interval; nothing wide where no resample differs from another.
    pub(super) bounds: Bounds,
    /// How it was made.
    pub(super) method: IntervalMethod,
}

/// Draws as many places as there are `units`, for each resample, and takes `statistic` of them; it
/// may have no value. `value` is the statistic of all units once. `None` where no resample has one.
pub(super) fn bootstrap(
    units: usize,
    value: f64,
    resampling: &Resampling,
    mut place: impl FnMut(usize) -> usize,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Resampled> {
    let mut places = vec![0; units];
    let values: Vec<f64> = (0..resampling.resamples)
        .filter_map(|_| {
            places.fill_with(|| place(units));
            statistic(&places)
        })
        .collect();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    sorted.first()?;
    let tail = (1.0 - resampling.confidence) / 2.0;
    let corrected = match resampling.interval {
        BootstrapInterval::Percentile => None,
        BootstrapInterval::Bca => bca_tails(units, value, &sorted, tail, &statistic),
    };
    let bounds = |(lower, upper)| Bounds {
        low: percentile(&sorted, lower),
        high: percentile(&sorted, upper),
    };
    // A correction that leaves both ends at one resample is none.
    let corrected = corrected.map(bounds).filter(|bounds| bounds.is_wide());
    let (method, bounds) = match corrected {
        Some(bounds) => (IntervalMethod::BcaBootstrap, bounds),
        None => (
            IntervalMethod::PercentileBootstrap,
            bounds((tail, 1.0 - tail)),
        ),
    };
    Some(Resampled {
        values,
        bounds,
        method,
    })
}

/// The quantiles that BCa reads in place of `tail` and `1 - tail`. `None` where the value lies
/// outside all resamples, or leaving a unit out leaves no value: the correction is not defined then.
fn bca_tails(
    units: usize,
    value: f64,
    sorted: &[f64],
    tail: f64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<(f64, f64)> {
    let below = sorted.partition_point(|each| *each < value);
    let at_most = sorted.partition_point(|each| *each <= value);
    let share = (below + at_most) as f64 / (2.0 * sorted.len() as f64);
    if share <= 0.0 || share >= 1.0 {
        return None;
    }
    let bias = normal_quantile(share);
    // The jackknife: the statistic without each unit in turn.
    let mut places: Vec<usize> = (1..units).collect();
    let mut left_out = Vec::with_capacity(units);
    for unit in 0..units {
        left_out.push(statistic(&places)?);
        if let Some(next) = places.get_mut(unit) {
            *next = unit;
        }
    }
    let mean = left_out.iter().sum::<f64>() / units as f64;
    let (mut squares, mut cubes) = (0.0, 0.0);
    for each in &left_out {
        let influence = mean - each;
        squares += influence * influence;
        cubes += influence * influence * influence;
    }
    let acceleration = if squares > 0.0 {
        cubes / (6.0 * squares.powf(1.5))
    } else {
        0.0
    };
    let corrected = |z: f64| {
        let shifted = bias + z;
        normal_cdf(bias + shifted / (1.0 - acceleration * shifted))
    };
    let z = normal_quantile(tail);
    Some((corrected(z), corrected(-z)))
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

    /// numpy: `percentile([1, 2, 3, 4, 10], [2.5, 97.5])` is 1.1 and 9.4.
    #[test]
    fn percentiles_interpolate() {
        let sorted = [1.0, 2.0, 3.0, 4.0, 10.0];
        assert!((percentile(&sorted, 0.025) - 1.1).abs() < 1e-12);
        assert!((percentile(&sorted, 0.975) - 9.4).abs() < 1e-12);
    }

    #[test]
    fn resamples_without_a_value_are_left_out() {
        let resampling = Resampling {
            resamples: 4,
            ..Resampling::default()
        };
        let mut places = [0, 0, 1, 1, 0, 1, 1, 1].into_iter();
        let found = bootstrap(
            2,
            0.5,
            &resampling,
            |_| places.next().unwrap(),
            |places| (places[0] == places[1]).then(|| places[0] as f64),
        )
        .unwrap();
        assert_eq!(found.values, [0.0, 1.0, 1.0]);
        let none = bootstrap(2, 0.5, &resampling, |_| 0, |_| None);
        assert_eq!(none, None);
    }

    /// Without a spread there is nothing to correct, and without a resample on the one side the
    /// correction has no value: neither is a NaN.
    #[test]
    fn bca_of_degenerate_data() {
        let resampling = Resampling {
            resamples: 50,
            interval: BootstrapInterval::Bca,
            ..Resampling::default()
        };
        let constant = bootstrap(3, 2.0, &resampling, seeded_places(0, 1), |_| Some(2.0)).unwrap();
        assert!(!constant.bounds.is_wide(), "{constant:?}");
        let outside = bootstrap(3, 5.0, &resampling, seeded_places(0, 1), |_| Some(2.0)).unwrap();
        assert_eq!(outside.method, IntervalMethod::PercentileBootstrap);
    }
}
