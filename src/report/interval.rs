//! How an estimate is written.

use crate::metric::Estimate;

/// A share in per cent: `54.0 [50.3, 57.7]`.
pub(super) fn percent(estimate: &Estimate) -> String {
    format!(
        "{:.1} [{:.1}, {:.1}]",
        100.0 * estimate.value,
        100.0 * estimate.low,
        100.0 * estimate.high
    )
}

/// A share or mean with so many decimals: `0.91 [0.88, 0.93]`.
pub(super) fn plain(estimate: &Estimate, decimals: usize) -> String {
    format!(
        "{:.decimals$} [{:.decimals$}, {:.decimals$}]",
        estimate.value, estimate.low, estimate.high
    )
}
