//! The standard normal distribution.

use statrs::distribution::{ContinuousCDF, Normal};

/// The standard normal's quantile at `p`, 0 to 1 (the ends give infinities).
pub(super) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// The standard normal's distribution function at `z`, to about 5e-12.
pub(super) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python's `statistics.NormalDist().inv_cdf`, in the middle and both tails.
    #[test]
    fn normal_quantiles() {
        for (p, z) in [
            (0.5, 0.0),
            (0.6, 0.253_347_103_135_799_7),
            (0.75, 0.674_489_750_196_081_7),
            (0.975, 1.959_963_984_540_053_6),
            (0.995, 2.575_829_303_548_9),
            (0.999_95, 3.890_591_886_413_12),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-12, "{p}");
            assert!((normal_quantile(1.0 - p) + z).abs() < 1e-12, "1 - {p}");
            assert!((normal_cdf(z) - p).abs() < 1e-11, "{z}");
        }
    }
}
