//! Estimates with intervals; Wilson's score interval for shares.
//!
//! Source: Wilson 1927 (as statsmodels' `proportion_confint(method="wilson")`, checked to 1e-12).

use serde::{Deserialize, Serialize};

use super::normal::normal_quantile;

/// How an interval was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalMethod {
    /// Wilson's score interval of a share.
    Wilson,
    /// Percentiles of the means of seeded resamples.
    PercentileBootstrap,
    /// Such percentiles, corrected for bias and acceleration.
    BcaBootstrap,
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
}
