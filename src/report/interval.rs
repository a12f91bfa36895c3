//! How an estimate is written.

use crate::metric::{Estimate, IntervalMethod};

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

/// Whether an estimate is a share, which is written in per cent, and no mean.
fn is_share(estimate: &Estimate) -> bool {
    matches!(
        estimate.method,
        IntervalMethod::Wilson | IntervalMethod::Exact
    )
}

/// A column's name with its unit, where it has one: `Fmt %`, `Len`.
pub(super) fn titled(name: &str, estimate: &Estimate) -> String {
    let unit = if is_share(estimate) { " %" } else { "" };
    format!("{name}{unit}")
}

/// The estimate in that unit, with its interval.
pub(super) fn figure(estimate: &Estimate) -> String {
    if is_share(estimate) {
        percent(estimate)
    } else {
        plain(estimate, 2)
    }
}

/// `b - a` in that unit, with its sign.
pub(super) fn difference(a: &Estimate, b: &Estimate) -> String {
    let difference = b.value - a.value;
    if is_share(a) {
        format!("{:+.1}", 100.0 * difference)
    } else {
        format!("{difference:+.2}")
    }
}
