//! Bootstraps of means: of values, of values that come in groups, of paired differences.
//!
//! Resamples of values that are all alike are alike too: that the interval is nothing wide then says nothing of other
//! values. A mean between two known ends keeps an interval ([`all_alike`]), any other has none.

use std::collections::BTreeMap;

use serde::Serialize;

use super::interval::{Bounds, Estimate, IntervalMethod, wilson_bounds};
use super::resample::{Resampled, Resampling, bootstrap, seeded_places};

/// The ends between which all values of a figure lie, where there are any.
pub(super) type Ends = Option<(f64, f64)>;

/// The mean of `values` with its bootstrap interval; `None` of no values. `stream` is the figure's own stream of the
/// generator.
pub(super) fn bootstrap_mean(
    values: &[f64],
    ends: Ends,
    resampling: &Resampling,
    stream: u64,
) -> Option<Estimate> {
    let place = seeded_places(resampling.seed, stream);
    mean_by(values, ends, resampling, place).map(|(mean, _)| mean)
}

/// The mean over all `items`, (group, value) pairs, where those of one group may be alike: several
/// paths of one question. Whole groups are resampled, so the interval is as wide as the groups
/// make it (Davison & Hinkley 1997, 3.8). Its `n` counts items. `None` of no items. `ends` are those between which all
/// values lie, where there are any.
pub fn cluster_mean<'a>(
    items: impl IntoIterator<Item = (&'a str, f64)>,
    ends: Option<(f64, f64)>,
    resampling: &Resampling,
    stream: u64,
) -> Option<Estimate> {
    let place = seeded_places(resampling.seed, stream);
    cluster_mean_by(items, ends, resampling, place)
}

/// A mean of paired differences, and whether it is zero.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct PairedDifference {
    /// The mean difference.
    pub(super) difference: Estimate,
    /// Two-sided p-value, from 2 / (resamples + 1) to 1.
    pub(super) p: f64,
}

/// The mean of `differences`, one for each pair, with its bootstrap interval and a two-sided p-value; `None` of no
/// pairs.
///
/// p is twice the smaller share of resampled means at or beyond zero, with one added to count and
/// resamples, so that it is never 0 (Davison & Hinkley 1997, ch. 4; Efron & Tibshirani 1993, ch. 15,
/// for reading a test out of the percentile interval). Resamples of few pairs that all differ the same way never reach
/// zero, however few they are, so p is at least what an exact test of the signs of `m` differences can show: 2 / 2^m.
pub(super) fn paired_bootstrap(
    differences: &[f64],
    ends: Ends,
    resampling: &Resampling,
    stream: u64,
) -> Option<PairedDifference> {
    let place = seeded_places(resampling.seed, stream);
    paired_by(differences, ends, resampling, place)
}

/// The mean and its resampled values, with the source of places passed in.
pub(super) fn mean_by(
    values: &[f64],
    ends: Ends,
    resampling: &Resampling,
    place: impl FnMut(usize) -> usize,
) -> Option<(Estimate, Vec<f64>)> {
    let n = values.len();
    let value = (n > 0).then(|| values.iter().sum::<f64>() / n as f64)?;
    let found = bootstrap(n, value, resampling, place, |places| {
        let sum: f64 = places.iter().map(|&place| values[place]).sum();
        (!places.is_empty()).then(|| sum / places.len() as f64)
    })?;
    let estimate = estimate(value, n, n, &found, ends, resampling);
    Some((estimate, found.values))
}

/// The mean of `units` that were resampled, over `n` cases.
fn estimate(
    value: f64,
    n: usize,
    units: usize,
    found: &Resampled,
    ends: Ends,
    resampling: &Resampling,
) -> Estimate {
    let (interval, method) = if found.bounds.is_wide() {
        (Some(found.bounds), found.method)
    } else {
        match all_alike(value, units, ends, resampling.confidence) {
            Some(bounds) => (Some(bounds), IntervalMethod::AllAlike),
            None => (None, IntervalMethod::None),
        }
    };
    Estimate {
        value,
        interval,
        n,
        method,
    }
}

/// What `units` cases that are all `value` leave open for the mean of others, between two ends.
///
/// Wilson says how small the share `q` of such cases may be. The rest may lie at either end, and no further, so the mean
/// is from `q value + (1 - q) low` to `q value + (1 - q) high`. At an end this is Wilson's interval of a share of none.
fn all_alike(value: f64, units: usize, ends: Ends, confidence: f64) -> Option<Bounds> {
    let (low, high) = ends.filter(|(low, high)| (*low..=*high).contains(&value))?;
    let rest = 1.0 - wilson_bounds(1.0, units as f64, confidence).low;
    Some(Bounds {
        low: value - rest * (value - low),
        high: value + rest * (high - value),
    })
}

fn cluster_mean_by<'a>(
    items: impl IntoIterator<Item = (&'a str, f64)>,
    ends: Ends,
    resampling: &Resampling,
    place: impl FnMut(usize) -> usize,
) -> Option<Estimate> {
    let mut groups: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for (group, value) in items {
        let (sum, count) = groups.entry(group).or_default();
        *sum += value;
        *count += 1;
    }
    let groups: Vec<(f64, usize)> = groups.into_values().collect();
    let mean = |places: &mut dyn Iterator<Item = usize>| {
        let (sum, count) = places.fold((0.0, 0), |(sum, count), place| {
            (sum + groups[place].0, count + groups[place].1)
        });
        (count > 0).then(|| (sum / count as f64, count))
    };
    let (value, n) = mean(&mut (0..groups.len()))?;
    let found = bootstrap(groups.len(), value, resampling, place, |places| {
        mean(&mut places.iter().copied()).map(|(value, _)| value)
    })?;
    Some(estimate(value, n, groups.len(), &found, ends, resampling))
}

fn paired_by(
    differences: &[f64],
    ends: Ends,
    resampling: &Resampling,
    place: impl FnMut(usize) -> usize,
) -> Option<PairedDifference> {
    let (difference, means) = mean_by(differences, ends, resampling, place)?;
    Some(PairedDifference {
        difference,
        p: two_sided(&means, differences),
    })
}

/// The two-sided p-value of a difference, from its resampled values and the differences of the pairs (see
/// [`paired_bootstrap`]).
pub(super) fn two_sided(resampled: &[f64], differences: &[f64]) -> f64 {
    let at_most = resampled.iter().filter(|each| **each <= 0.0).count();
    let at_least = resampled.iter().filter(|each| **each >= 0.0).count();
    let tail = (at_most.min(at_least) + 1) as f64 / (resampled.len() + 1) as f64;
    let apart = differences.iter().filter(|each| each.abs() > 1e-12).count();
    let least = 0.5_f64.powf(apart as f64 - 1.0);
    (2.0 * tail).max(least).min(1.0)
}

/// A statistic of `units` cases, `value` of all of them, with its bootstrap interval and its resampled values; `None` where
/// no resample has one. `statistic` takes the places of the cases.
pub(super) fn statistic_over(
    units: usize,
    value: f64,
    resampling: &Resampling,
    stream: u64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<(Estimate, Vec<f64>)> {
    let place = seeded_places(resampling.seed, stream);
    let found = bootstrap(units, value, resampling, place, statistic)?;
    let estimate = estimate(value, units, units, &found, None, resampling);
    Some((estimate, found.values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{BootstrapInterval, fixture};

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn by_hand() {
        // Resamples 11 33 13 31 11 of the values 1 and 3: means 1 3 2 2 1, sorted 1 1 2 2 3.
        // Quantile 0.25 of five is the second, 0.75 the fourth.
        let mut places = [0, 0, 1, 1, 0, 1, 1, 0, 0, 0].into_iter();
        let resampling = Resampling {
            confidence: 0.5,
            resamples: 5,
            ..Resampling::default()
        };
        let found = mean_by(&[1.0, 3.0], None, &resampling, |_| places.next().unwrap());
        let (found, _) = found.unwrap();
        close(found.value, 2.0);
        close(found.interval.unwrap().low, 1.0);
        close(found.interval.unwrap().high, 2.0);
        assert_eq!(places.next(), None);
    }

    #[test]
    fn seeded_and_near_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 10)).collect();
        for interval in [BootstrapInterval::Percentile, BootstrapInterval::Bca] {
            let resampling = Resampling {
                resamples: 2000,
                interval,
                ..Resampling::default()
            };
            let of = |stream| bootstrap_mean(&values, None, &resampling, stream).unwrap();
            let (found, bounds) = (of(1), of(1).interval.unwrap());
            assert_eq!(found, of(1));
            assert_ne!(found, of(2));
            // Standard error sqrt(8.25 / 400) = 0.1436, so 4.5 +- 0.2815; a bootstrap of 2,000 wobbles.
            close(found.value, 4.5);
            assert!((bounds.low - 4.2185).abs() < 0.03, "{found:?}");
            assert!((bounds.high - 4.7815).abs() < 0.03, "{found:?}");
        }
    }

    /// Ten equal paths to a question say no more than one does.
    #[test]
    fn groups_are_resampled_whole() {
        let once: Vec<(String, f64)> = (0..40)
            .map(|i| (format!("q{i}"), f64::from(i % 7)))
            .collect();
        let tenfold: Vec<_> = (0..10).flat_map(|_| once.clone()).collect();
        let of = |items: &[(String, f64)]| {
            let items = items.iter().map(|(group, value)| (group.as_str(), *value));
            cluster_mean(items, None, &Resampling::default(), 9).unwrap()
        };
        let (one, ten) = (of(&once), of(&tenfold));
        assert_eq!((one.n, ten.n), (40, 400));
        close(one.value, ten.value);
        let (of_one, of_ten) = (one.interval.unwrap(), ten.interval.unwrap());
        close(of_one.low, of_ten.low);
        close(of_one.high, of_ten.high);
        assert_eq!(cluster_mean([], None, &Resampling::default(), 9), None);
    }

    #[test]
    fn p_of_paired_differences() {
        let resampling = Resampling {
            resamples: 999,
            ..Resampling::default()
        };
        let p = |differences: &[f64]| {
            let found = paired_bootstrap(differences, None, &resampling, 1);
            found.unwrap().p
        };
        close(p(&[0.0; 9]), 1.0);
        close(p(&[-0.5; 20]), 2.0 / 1000.0);
        close(p(&[0.5; 20]), 2.0 / 1000.0);
        // One question proves nothing, and three cannot show more than a quarter.
        close(p(&[-3.0]), 1.0);
        close(p(&[1.0, 2.0, 3.0]), 0.25);
        close(p(&[&[1.0, 2.0, 3.0][..], &[0.0; 90]].concat()), 0.25);
    }

    /// Values that do not vary, single ones, and none: never an interval without a width.
    #[test]
    fn what_does_not_vary_is_not_certain() {
        let resampling = Resampling::default();
        let of = |values: &[f64], ends| bootstrap_mean(values, ends, &resampling, 1);
        assert_eq!(of(&[], None), None);
        for values in [&[4.0][..], &[1.0; 200]] {
            let found = of(values, None).unwrap();
            assert_eq!((found.interval, found.method), (None, IntervalMethod::None));
        }
        // Beyond the ends, so these say nothing.
        assert_eq!(of(&[4.0; 9], Some((0.0, 1.0))).unwrap().interval, None);
        for case in fixture::load().alike {
            let resampling = Resampling {
                confidence: case.confidence,
                ..resampling
            };
            let values = vec![case.value; case.n];
            let found = bootstrap_mean(&values, Some((0.0, 1.0)), &resampling, 1).unwrap();
            assert_eq!(found.method, IntervalMethod::AllAlike);
            fixture::close(found.interval.unwrap().low, case.low);
            fixture::close(found.interval.unwrap().high, case.high);
            // The same on another scale, and of groups.
            let items: Vec<(String, f64)> = (0..case.n)
                .map(|i| (format!("q{i}"), 20.0 * case.value - 10.0))
                .collect();
            let items = items.iter().map(|(group, value)| (group.as_str(), *value));
            let found = cluster_mean(items, Some((-10.0, 10.0)), &resampling, 1).unwrap();
            fixture::close(found.interval.unwrap().low, 20.0 * case.low - 10.0);
            fixture::close(found.interval.unwrap().high, 20.0 * case.high - 10.0);
        }
        // Groups of other sizes with one mean: their resamples differ by rounding alone.
        let uneven = [("a", 0.1), ("b", 0.1), ("b", 0.1), ("c", 0.3), ("c", -0.1)];
        assert_eq!(
            cluster_mean(uneven, None, &resampling, 1).unwrap().interval,
            None
        );
    }

    /// scipy's `bootstrap(method=...)` of the mean, from the same resamples.
    #[test]
    fn means_agree_with_scipy() {
        let fixture = fixture::load();
        for case in fixture.means {
            let place = fixture.places.feed();
            let found = mean_by(&case.values, None, &case.resampling(), place);
            case.check(&found.unwrap().0);
        }
    }

    /// numpy, from the same resamples.
    #[test]
    fn clusters_agree_with_numpy() {
        let fixture = fixture::load();
        for case in fixture.clusters {
            let items = case
                .items
                .iter()
                .map(|(group, value)| (group.as_str(), *value));
            let resampling = case.expected.resampling();
            let found = cluster_mean_by(items, None, &resampling, fixture.places.feed());
            case.expected.check(&found.unwrap());
        }
    }

    /// numpy, from the same resamples.
    #[test]
    fn paired_differences_agree_with_numpy() {
        let fixture = fixture::load();
        for case in fixture.paired {
            let values = &case.expected.values;
            let resampling = case.expected.resampling();
            let found = paired_by(values, None, &resampling, fixture.places.feed()).unwrap();
            case.expected.check(&found.difference);
            fixture::close(found.p, case.p);
        }
    }
}
