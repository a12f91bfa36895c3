//! Bootstraps of means: of values, of values that come in groups, of paired differences.

use std::collections::BTreeMap;

use serde::Serialize;

use super::interval::{Estimate, IntervalMethod};
use super::resample::{Resampling, bootstrap, seeded_places};

/// The mean of `values` with its bootstrap interval; of no values 0, without an interval's width.
/// `stream` is the figure's own stream of the generator.
pub fn bootstrap_mean(values: &[f64], resampling: &Resampling, stream: u64) -> Estimate {
    mean_by(values, resampling, seeded_places(resampling.seed, stream)).0
}

/// The mean over all `items`, (group, value) pairs, where those of one group may be alike: several
/// paths of one question. Whole groups are resampled, so the interval is as wide as the groups
/// make it (Davison & Hinkley 1997, 3.8). Its `n` counts items. `None` of no items.
pub fn cluster_mean<'a>(
    items: impl IntoIterator<Item = (&'a str, f64)>,
    resampling: &Resampling,
    stream: u64,
) -> Option<Estimate> {
    cluster_mean_by(items, resampling, seeded_places(resampling.seed, stream))
}

/// A mean of paired differences, and whether it is zero.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct PairedDifference {
    /// The mean difference.
    pub difference: Estimate,
    /// Two-sided p-value, from 2 / (resamples + 1) to 1.
    pub p: f64,
}

/// The mean of `differences`, one for each pair, with its bootstrap interval and a two-sided p-value:
/// twice the smaller share of resampled means at or beyond zero, with one added to count and
/// resamples, so that it is never 0 (Davison & Hinkley 1997, ch. 4; Efron & Tibshirani 1993, ch. 15,
/// for reading a test out of the percentile interval).
pub fn paired_bootstrap(
    differences: &[f64],
    resampling: &Resampling,
    stream: u64,
) -> PairedDifference {
    paired_by(
        differences,
        resampling,
        seeded_places(resampling.seed, stream),
    )
}

/// The mean and its resampled values, with the source of places passed in.
pub(super) fn mean_by(
    values: &[f64],
    resampling: &Resampling,
    place: impl FnMut(usize) -> usize,
) -> (Estimate, Vec<f64>) {
    let n = values.len();
    let mean = |sum: f64, n: usize| if n == 0 { 0.0 } else { sum / n as f64 };
    let value = mean(values.iter().sum(), n);
    let resampled = bootstrap(n, value, resampling, place, |places| {
        let sum: f64 = places.iter().map(|&place| values[place]).sum();
        (!places.is_empty()).then(|| mean(sum, places.len()))
    });
    match resampled {
        Some(found) => (
            Estimate {
                value,
                low: found.low,
                high: found.high,
                n,
                method: found.method,
            },
            found.values,
        ),
        None => (
            Estimate {
                value,
                low: value,
                high: value,
                n,
                method: IntervalMethod::PercentileBootstrap,
            },
            Vec::new(),
        ),
    }
}

fn cluster_mean_by<'a>(
    items: impl IntoIterator<Item = (&'a str, f64)>,
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
    Some(Estimate {
        value,
        low: found.low,
        high: found.high,
        n,
        method: found.method,
    })
}

fn paired_by(
    differences: &[f64],
    resampling: &Resampling,
    place: impl FnMut(usize) -> usize,
) -> PairedDifference {
    let (difference, means) = mean_by(differences, resampling, place);
    let at_most = means.iter().filter(|mean| **mean <= 0.0).count();
    let at_least = means.iter().filter(|mean| **mean >= 0.0).count();
    let tail = (at_most.min(at_least) + 1) as f64 / (means.len() + 1) as f64;
    PairedDifference {
        difference,
        p: (2.0 * tail).min(1.0),
    }
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
        let (found, _) = mean_by(&[1.0, 3.0], &resampling, |_| places.next().unwrap());
        close(found.value, 2.0);
        close(found.low, 1.0);
        close(found.high, 2.0);
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
            let found = bootstrap_mean(&values, &resampling, 1);
            assert_eq!(found, bootstrap_mean(&values, &resampling, 1));
            assert_ne!(found, bootstrap_mean(&values, &resampling, 2));
            // Standard error sqrt(8.25 / 400) = 0.1436, so 4.5 +- 0.2815; a bootstrap of 2,000 wobbles.
            close(found.value, 4.5);
            assert!((found.low - 4.2185).abs() < 0.03, "{found:?}");
            assert!((found.high - 4.7815).abs() < 0.03, "{found:?}");
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
            cluster_mean(items, &Resampling::default(), 9).unwrap()
        };
        let (one, ten) = (of(&once), of(&tenfold));
        assert_eq!((one.n, ten.n), (40, 400));
        close(one.value, ten.value);
        close(one.low, ten.low);
        close(one.high, ten.high);
        assert_eq!(cluster_mean([], &Resampling::default(), 9), None);
    }

    #[test]
    fn p_of_paired_differences() {
        let resampling = Resampling {
            resamples: 999,
            ..Resampling::default()
        };
        close(paired_bootstrap(&[0.0; 9], &resampling, 1).p, 1.0);
        close(paired_bootstrap(&[-0.5; 9], &resampling, 1).p, 2.0 / 1000.0);
        close(paired_bootstrap(&[0.5; 9], &resampling, 1).p, 2.0 / 1000.0);
    }

    #[test]
    fn nothing_to_resample() {
        let none = bootstrap_mean(&[], &Resampling::default(), 1);
        assert_eq!(
            (none.n, none.value, none.low, none.high),
            (0, 0.0, 0.0, 0.0)
        );
        close(paired_bootstrap(&[], &Resampling::default(), 1).p, 1.0);
    }

    /// scipy's `bootstrap(method=...)` of the mean, from the same resamples.
    #[test]
    fn means_agree_with_scipy() {
        let fixture = fixture::load();
        for case in fixture.means {
            let (found, _) = mean_by(&case.values, &case.resampling(), fixture.places.feed());
            case.check(&found);
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
            let found = cluster_mean_by(items, &case.expected.resampling(), fixture.places.feed());
            case.expected.check(&found.unwrap());
        }
    }

    /// numpy, from the same resamples.
    #[test]
    fn paired_differences_agree_with_numpy() {
        let fixture = fixture::load();
        for case in fixture.paired {
            let found = paired_by(
                &case.expected.values,
                &case.expected.resampling(),
                fixture.places.feed(),
            );
            case.expected.check(&found.difference);
            fixture::close(found.p, case.p);
        }
    }
}
