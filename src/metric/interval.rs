//! Estimates with intervals; Wilson's score interval for shares, of one seed and of several.
//!
//! No interval has a width of zero: where data do not vary, or there is one case, the width comes from how many cases
//! there are, or there is no interval.
//!
//! Source: Wilson 1927 (as statsmodels' `proportion_confint(method="wilson")`, checked to 1e-12); of as many cases as
//! clustered ones are worth, Korn & Graubard 1998, Dean & Pagano 2015.

use serde::{Deserialize, Serialize};

use super::normal::normal_quantile;

/// How an interval was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalMethod {
    /// Wilson's score interval of a share.
    Wilson,
    /// Wilson's, of as many cases as the questions are worth over several seeds.
    WilsonOverSeeds,
    /// Wilson's, of as many cases as the questions are worth over the several answers that each has.
    WilsonOverAnswers,
    /// Wilson's for each gold answer, their distances from the shares squared and added: of balanced accuracy.
    SquareAndAdd,
    /// Agresti and Min's, of the difference of two shares on the same questions.
    AgrestiMin,
    /// Percentiles of the means of seeded resamples.
    PercentileBootstrap,
    /// Such percentiles, corrected for bias and acceleration.
    BcaBootstrap,
    /// All values are alike: what so many alike leave open for a mean between two known ends.
    AllAlike,
    /// The value is known without sampling, so it has no interval.
    Exact,
    /// There is no interval: the values say nothing of how far others would lie.
    None,
}

/// The ends of an interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Bounds {
    /// Whether one end lies above the other, by more than rounding.
    pub(super) fn is_wide(self) -> bool {
        self.high - self.low > 1e-12 * self.high.abs().max(1.0)
    }
}

/// A value with its interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The share or mean.
    pub value: f64,
    /// Its interval, where there is one.
    #[serde(flatten)]
    pub interval: Option<Bounds>,
    /// How many cases it rests on.
    pub n: usize,
    /// How the interval was made, or why there is none.
    pub method: IntervalMethod,
}

impl Estimate {
    /// A value that is known without sampling.
    pub(super) fn exact(value: f64, n: usize) -> Self {
        Self {
            value,
            interval: None,
            n,
            method: IntervalMethod::Exact,
        }
    }
}

/// The share `hits / n` with its Wilson interval; `None` of no cases.
pub fn wilson(hits: usize, n: usize, confidence: f64) -> Option<Estimate> {
    let share = (n > 0).then(|| hits as f64 / n as f64)?;
    Some(Estimate {
        value: share,
        interval: Some(wilson_bounds(share, n as f64, confidence)),
        n,
        method: IntervalMethod::Wilson,
    })
}

/// Wilson's interval of a share of so many cases, more than none.
pub(super) fn wilson_bounds(share: f64, cases: f64, confidence: f64) -> Bounds {
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let scale = 1.0 + z * z / cases;
    let centre = (share + z * z / (2.0 * cases)) / scale;
    let half = z / scale * (share * (1.0 - share) / cases + z * z / (4.0 * cases * cases)).sqrt();
    Bounds {
        // At 0 and 1 the formula gives the end itself, but for rounding.
        low: if share <= 0.0 { 0.0 } else { centre - half },
        high: if share >= 1.0 { 1.0 } else { centre + half },
    }
}

/// The share over `each` answers to every question, of each question's share of them in `shares`: as
/// [`share_over_seeds`], for questions are worth as much whatever lies between their answers.
pub(super) fn share_over_answers(shares: &[f64], each: usize, confidence: f64) -> Option<Estimate> {
    share_over_seeds(shares, each, confidence).map(|found| Estimate {
        method: IntervalMethod::WilsonOverAnswers,
        ..found
    })
}

/// The share over `seeds` seeds, of each question's share of them in `shares`; `None` of no questions.
///
/// The interval is Wilson's of as many cases as the questions are worth: their number where seeds agree on each
/// question, more where they do not, at most one for each answer. That is `n m (1 - m) / v`, with `m` and `v` the mean
/// and the variance of `shares` and of two more questions, one right in all seeds and one in none: without these, which
/// are to it what Agresti and Coull's are to a share, it would not be known at 0 and 1, and jump beside them.
pub(super) fn share_over_seeds(shares: &[f64], seeds: usize, confidence: f64) -> Option<Estimate> {
    let n = shares.len();
    let total: f64 = shares.iter().sum();
    let value = (n > 0).then(|| total / n as f64)?;
    let more = n as f64 + 2.0;
    let mean = (total + 1.0) / more;
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let variance = (squares + 1.0) / more - mean * mean;
    let cases = n as f64 * (mean * (1.0 - mean) / variance).clamp(1.0, seeds as f64);
    Some(Estimate {
        value,
        interval: Some(wilson_bounds(value, cases, confidence)),
        n,
        method: IntervalMethod::WilsonOverSeeds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixture;

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
            let found = wilson(hits, n, confidence).unwrap();
            let bounds = found.interval.unwrap();
            close(bounds.low, low);
            close(bounds.high, high);
            close(found.value, hits as f64 / n as f64);
        }
        assert_eq!(wilson(0, 0, 0.95), None);
    }

    /// Seeds that agree on every question are worth one, and no share over seeds has an interval without a width.
    #[test]
    fn seeds_count_as_far_as_they_differ() {
        let bounds = |shares: &[f64], seeds| {
            let found = share_over_seeds(shares, seeds, 0.95).unwrap();
            (found.value, found.interval.unwrap())
        };
        for hits in [0, 3, 10] {
            let shares: Vec<f64> = (0..10).map(|i| f64::from(u8::from(i < hits))).collect();
            let (value, found) = bounds(&shares, 5);
            let one = wilson(hits, 10, 0.95).unwrap();
            close(value, one.value);
            close(found.low, one.interval.unwrap().low);
            close(found.high, one.interval.unwrap().high);
        }
        // Each question right in one of two seeds: as good as twenty answers, and no better.
        let (_, found) = bounds(&[0.5; 10], 2);
        let twenty = wilson(10, 20, 0.95).unwrap().interval.unwrap();
        close(found.low, twenty.low);
        close(found.high, twenty.high);
        // One right answer among fifty is no surer a ground than none.
        let (_, none) = bounds(&[0.0; 10], 5);
        let (_, one) = bounds(&[&[0.2][..], &[0.0; 9]].concat(), 5);
        assert!(
            one.high > none.high - 0.01 && one.low > 0.0,
            "{one:?} {none:?}"
        );
        assert_eq!(share_over_seeds(&[], 2, 0.95), None);
    }

    /// numpy's mean and variance, statsmodels' Wilson of a fractional number of cases.
    #[test]
    fn shares_over_seeds_agree_with_statsmodels() {
        for case in fixture::load().shares_over_seeds {
            let found = share_over_seeds(&case.shares, case.seeds, case.confidence).unwrap();
            fixture::close(found.value, case.value);
            fixture::close(found.interval.unwrap().low, case.low);
            fixture::close(found.interval.unwrap().high, case.high);
        }
    }
}
