//! Agreement of two raters: Cohen's kappa and the share of equal ratings.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::interval::{Estimate, IntervalMethod, wilson};
use super::mean::cluster_mean;
use super::resample::{Resampling, bootstrap, seeded_places};

/// How much it counts when two ratings differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// All differences count alike: for categories.
    Unweighted,
    /// By the square of the difference: for grades.
    Quadratic,
}

/// One item with what two raters gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rated<'a> {
    /// What it belongs to: items of one question are resampled together.
    pub group: &'a str,
    /// The first rater's rating.
    pub a: u8,
    /// The second's.
    pub b: u8,
}

/// How far two raters agree.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Agreement {
    /// Cohen's kappa with its bootstrap interval; `None` where it is not defined. Resamples in which
    /// it is not defined are left out. Without an interval where all resamples have one kappa, as in full agreement.
    pub kappa: Option<Estimate>,
    /// The share of items rated alike: with Wilson's interval where each item has a group of its own,
    /// else by the bootstrap over groups; where that cannot vary, as all items or none are rated alike,
    /// with Wilson's of as many cases as there are groups.
    pub exact: Estimate,
}

/// Cohen's kappa (1960; quadratic weights Cohen 1968; as scikit-learn's `cohen_kappa_score`) of pairs
/// of ratings: 1 for full agreement, 0 for what chance would give. `None` of no pairs, and where both
/// raters gave everything the same one rating.
pub fn kappa(pairs: &[(u8, u8)], weights: Weights) -> Option<f64> {
    kappa_of(pairs.iter().copied(), weights)
}

/// The agreement on `items`, with kappa weighted by `weights`; `None` of no items. `stream` is the
/// figure's own stream of the generator, and the one after it.
pub fn agreement(
    items: &[Rated<'_>],
    weights: Weights,
    resampling: &Resampling,
    stream: u64,
) -> Option<Agreement> {
    if items.is_empty() {
        return None;
    }
    let place = seeded_places(resampling.seed, stream);
    let equal = items.iter().filter(|item| item.a == item.b).count();
    let groups: BTreeSet<&str> = items.iter().map(|item| item.group).collect();
    let exact = if equal == 0 || equal == items.len() || groups.len() == items.len() {
        let equal_groups = if equal == items.len() {
            groups.len()
        } else {
            equal
        };
        Estimate {
            n: items.len(),
            ..wilson(equal_groups, groups.len(), resampling.confidence)?
        }
    } else {
        let shares = items
            .iter()
            .map(|item| (item.group, f64::from(u8::from(item.a == item.b))));
        cluster_mean(shares, Some((0.0, 1.0)), resampling, stream + 1)?
    };
    Some(Agreement {
        kappa: kappa_by(items, weights, resampling, place),
        exact,
    })
}

/// Kappa with its interval, with the source of places passed in.
fn kappa_by(
    items: &[Rated<'_>],
    weights: Weights,
    resampling: &Resampling,
    place: impl FnMut(usize) -> usize,
) -> Option<Estimate> {
    let value = kappa_of(items.iter().map(|item| (item.a, item.b)), weights)?;
    let mut groups: BTreeMap<&str, Vec<(u8, u8)>> = BTreeMap::new();
    for item in items {
        groups.entry(item.group).or_default().push((item.a, item.b));
    }
    let groups: Vec<Vec<(u8, u8)>> = groups.into_values().collect();
    let found = bootstrap(groups.len(), value, resampling, place, |places| {
        let pairs = places
            .iter()
            .flat_map(|&place| groups[place].iter().copied());
        kappa_of(pairs, weights)
    })?;
    let wide = found.bounds.is_wide();
    Some(Estimate {
        value,
        interval: wide.then_some(found.bounds),
        n: items.len(),
        method: if wide {
            found.method
        } else {
            IntervalMethod::None
        },
    })
}

/// One less observed disagreement over that of the same ratings paired at random; in whole numbers up
/// to the last division.
fn kappa_of(pairs: impl Iterator<Item = (u8, u8)>, weights: Weights) -> Option<f64> {
    let (mut n, mut apart) = (0_u64, 0_u64);
    let (observed, at_random) = match weights {
        Weights::Unweighted => {
            let (mut of_a, mut of_b) = ([0_u64; 256], [0_u64; 256]);
            for (a, b) in pairs {
                n += 1;
                apart += u64::from(a != b);
                of_a[usize::from(a)] += 1;
                of_b[usize::from(b)] += 1;
            }
            let together: u64 = of_a.iter().zip(&of_b).map(|(a, b)| a * b).sum();
            (n * apart, n * n - together)
        }
        Weights::Quadratic => {
            let (mut sum_a, mut sum_b, mut squares) = (0_u64, 0_u64, 0_u64);
            for (a, b) in pairs {
                let (a, b) = (u64::from(a), u64::from(b));
                n += 1;
                apart += a.abs_diff(b).pow(2);
                sum_a += a;
                sum_b += b;
                squares += a * a + b * b;
            }
            (n * apart, n * squares - 2 * sum_a * sum_b)
        }
    };
    (at_random > 0).then(|| 1.0 - observed as f64 / at_random as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{IntervalMethod, fixture};

    #[test]
    fn by_hand() {
        // Yes/no of 50 items, 20 and 15 alike: agreed 0.7, by chance 0.5.
        let mut pairs = vec![(1, 1); 20];
        pairs.extend([(1, 0); 5]);
        pairs.extend([(0, 1); 10]);
        pairs.extend([(0, 0); 15]);
        for weights in [Weights::Unweighted, Weights::Quadratic] {
            let found = kappa(&pairs, weights).unwrap();
            assert!((found - 0.4).abs() < 1e-15, "{found}");
        }
        assert_eq!(kappa(&[(4, 4), (4, 4)], Weights::Quadratic), None);
        assert_eq!(kappa(&[], Weights::Unweighted), None);
        // Worlds apart, and as far as they can be.
        let apart = kappa(&[(0, 10), (10, 0)], Weights::Quadratic);
        assert!((apart.unwrap() + 1.0).abs() < 1e-15);
    }

    #[test]
    fn items_of_one_question_go_together() {
        let rated = |group, a, b| Rated { group, a, b };
        let alone = [
            rated("x", 3, 3),
            rated("y", 5, 6),
            rated("z", 9, 9),
            rated("w", 1, 4),
        ];
        let of = |items: &[Rated<'_>]| {
            agreement(items, Weights::Quadratic, &Resampling::default(), 40).unwrap()
        };
        let found = of(&alone);
        assert_eq!(found.exact, wilson(2, 4, 0.95).unwrap());
        assert_eq!(found.kappa.unwrap().n, 4);
        let together = of(&[rated("x", 3, 3), rated("x", 5, 6), rated("y", 9, 9)]);
        assert_eq!(together.exact.method, IntervalMethod::PercentileBootstrap);
        // No two alike is no proof that none ever are: two questions, three items.
        let never = of(&[rated("x", 3, 4), rated("x", 5, 6), rated("y", 9, 8)]);
        assert_eq!(
            never.exact,
            Estimate {
                n: 3,
                ..wilson(0, 2, 0.95).unwrap()
            }
        );
        let always = of(&[rated("x", 3, 3), rated("x", 5, 5), rated("y", 9, 9)]);
        assert_eq!(
            always.exact,
            Estimate {
                n: 3,
                ..wilson(2, 2, 0.95).unwrap()
            }
        );
        // Each question half alike, and both raters agree in full: no resample differs, which is no certainty.
        let half = of(&[
            rated("x", 3, 3),
            rated("x", 5, 6),
            rated("y", 9, 8),
            rated("y", 4, 4),
        ]);
        assert_eq!(half.exact.method, IntervalMethod::AllAlike);
        assert!(half.exact.interval.unwrap().low < 0.5 && half.exact.interval.unwrap().high > 0.5);
        assert_eq!(always.kappa.unwrap().interval, None);
        let none = agreement(&[], Weights::Quadratic, &Resampling::default(), 40);
        assert_eq!(none, None);
        let same = of(&[rated("x", 3, 3), rated("y", 3, 3)]);
        assert_eq!(same.kappa, None);
    }

    /// scikit-learn's `cohen_kappa_score`; its interval by numpy from the same resamples.
    #[test]
    fn agrees_with_scikit_learn() {
        let fixture = fixture::load();
        for case in fixture.kappa {
            let items: Vec<Rated<'_>> = case
                .items
                .iter()
                .map(|(group, a, b)| Rated {
                    group,
                    a: *a,
                    b: *b,
                })
                .collect();
            let resampling = case.expected.resampling();
            let place = fixture.places.feed();
            case.expected
                .check(&kappa_by(&items, case.weights, &resampling, place).unwrap());
        }
    }
}
