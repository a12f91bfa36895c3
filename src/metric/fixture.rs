//! Numbers of scipy, statsmodels, scikit-learn and numpy, for tests of this module
//! (`tests/fixtures/make_statistics.py`).

use std::path::Path;

use serde::Deserialize;

use super::{BootstrapInterval, Estimate, IntervalMethod, Resampling, Weights};

/// The file.
#[derive(Deserialize)]
pub(super) struct Fixture {
    pub(super) places: Places,
    /// Only A, only B, p.
    pub(super) mcnemar: Vec<(usize, usize, f64)>,
    pub(super) holm: Vec<Holm>,
    pub(super) means: Vec<Resampled>,
    pub(super) clusters: Vec<Clusters>,
    pub(super) paired: Vec<Paired>,
    pub(super) seeds: Vec<Seeds>,
    pub(super) smallest: Vec<Smallest>,
    pub(super) kappa: Vec<Kappa>,
    pub(super) shares_over_seeds: Vec<SharesOverSeeds>,
    pub(super) balanced: Vec<Balanced>,
    pub(super) shares_apart: Vec<SharesApart>,
    pub(super) alike: Vec<Alike>,
}

/// The places of one resample after the other, all of as many units.
#[derive(Deserialize)]
pub(super) struct Places {
    units: usize,
    resamples: Vec<Vec<usize>>,
}

impl Places {
    /// Feeds them to a bootstrap, once.
    pub(super) fn feed(&self) -> impl FnMut(usize) -> usize + '_ {
        let mut places = self.resamples.iter().flatten().copied();
        move |units| {
            assert_eq!(
                units, self.units,
                "the fixture's places are for other units"
            );
            places.next().unwrap()
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Holm {
    pub(super) p: Vec<f64>,
    pub(super) corrected: Vec<f64>,
}

/// A resampled figure.
#[derive(Deserialize)]
pub(super) struct Resampled {
    #[serde(default)]
    pub(super) values: Vec<f64>,
    interval: BootstrapInterval,
    confidence: f64,
    resamples: u32,
    n: usize,
    value: f64,
    low: f64,
    high: f64,
}

impl Resampled {
    pub(super) fn resampling(&self) -> Resampling {
        Resampling {
            confidence: self.confidence,
            resamples: self.resamples,
            interval: self.interval,
            seed: 0,
        }
    }

    pub(super) fn check(&self, found: &Estimate) {
        close(found.value, self.value);
        let bounds = found.interval.unwrap();
        close(bounds.low, self.low);
        close(bounds.high, self.high);
        assert_eq!(found.n, self.n);
        let method = match self.interval {
            BootstrapInterval::Percentile => IntervalMethod::PercentileBootstrap,
            BootstrapInterval::Bca => IntervalMethod::BcaBootstrap,
        };
        assert_eq!(found.method, method);
    }
}

#[derive(Deserialize)]
pub(super) struct Clusters {
    pub(super) items: Vec<(String, f64)>,
    pub(super) expected: Resampled,
}

#[derive(Deserialize)]
pub(super) struct Paired {
    pub(super) expected: Resampled,
    pub(super) p: f64,
}

#[derive(Deserialize)]
pub(super) struct Seeds {
    /// One row of values, one per question, for each seed.
    pub(super) values: Vec<Vec<f64>>,
    pub(super) mean: f64,
    pub(super) sd: f64,
    pub(super) questions: Resampled,
}

#[derive(Deserialize)]
pub(super) struct Smallest {
    pub(super) n: usize,
    pub(super) discordant: Option<f64>,
    pub(super) mean_square: Option<f64>,
    pub(super) share: Option<f64>,
    pub(super) alpha: f64,
    pub(super) power: f64,
    pub(super) difference: f64,
}

#[derive(Deserialize)]
pub(super) struct Kappa {
    pub(super) weights: Weights,
    pub(super) items: Vec<(String, u8, u8)>,
    pub(super) expected: Resampled,
}

/// A share over seeds, from each question's.
#[derive(Deserialize)]
pub(super) struct SharesOverSeeds {
    pub(super) shares: Vec<f64>,
    pub(super) seeds: usize,
    pub(super) confidence: f64,
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Balanced accuracy, from each question's gold answer and share of seeds that is right.
#[derive(Deserialize)]
pub(super) struct Balanced {
    pub(super) rows: Vec<(String, f64)>,
    pub(super) seeds: usize,
    pub(super) confidence: f64,
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The difference of two shares on the same questions.
#[derive(Deserialize)]
pub(super) struct SharesApart {
    pub(super) differences: Vec<f64>,
    pub(super) confidence: f64,
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The mean of `n` values from 0 to 1 that are all `value`.
#[derive(Deserialize)]
pub(super) struct Alike {
    pub(super) value: f64,
    pub(super) n: usize,
    pub(super) confidence: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Reads the file. None of its lists is empty, so that no loop over one passes without a check.
pub(super) fn load() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("tests/fixtures/statistics.json")).unwrap();
    let lists: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let empty = |value: &serde_json::Value| value.as_array().is_some_and(Vec::is_empty);
    assert!(!lists.values().any(empty), "the fixture has an empty list");
    serde_json::from_str(&text).unwrap()
}

/// Within 1e-9.
pub(super) fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

/// Within 1e-9 of it, however small it is.
pub(super) fn close_relative(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs(),
        "{found:e} is not {expected:e}"
    );
}
