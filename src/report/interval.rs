//! How an estimate is written.

use crate::metric::{Estimate, IntervalMethod, Unit};

/// More decimals than a figure usually has, so that an interval is not written as none (ours).
const MORE: usize = 4;

/// An interval that there is not.
const NO_INTERVAL: &str = "[-]";

/// An estimate times `scale`: `54.0 [50.3, 57.7]`, `4.00 [-]` where it has no interval, the value alone where it is
/// known without sampling. Between the two stands what `between` writes, given the decimals.
pub(super) fn written(
    estimate: &Estimate,
    scale: f64,
    decimals: usize,
    between: impl Fn(usize) -> String,
) -> String {
    let decimals = enough(estimate, scale, decimals);
    let value = format!("{:.decimals$}{}", estimate.value * scale, between(decimals));
    format!(
        "{value}{}",
        brackets(estimate, |end| format!("{:.decimals$}", end * scale))
    )
}

/// The interval in brackets, after a blank.
pub(super) fn brackets(estimate: &Estimate, end: impl Fn(f64) -> String) -> String {
    match estimate.interval {
        Some(bounds) => format!(" [{}, {}]", end(bounds.low), end(bounds.high)),
        None if estimate.method == IntervalMethod::Exact => String::new(),
        None => format!(" {NO_INTERVAL}"),
    }
}

/// As many decimals as tell the ends of an estimate's interval, times `scale`, apart, `decimals` at least.
pub(super) fn enough(estimate: &Estimate, scale: f64, decimals: usize) -> usize {
    let ends = estimate.interval;
    ends.map_or(decimals, |ends| {
        telling(ends.low * scale, ends.high * scale, decimals)
    })
}

/// As many decimals as tell the ends of an interval apart, `decimals` at least.
pub(super) fn telling(low: f64, high: f64, decimals: usize) -> usize {
    let apart =
        |decimals: &usize| format!("{low:.*}", *decimals) != format!("{high:.*}", *decimals);
    (decimals..=decimals + MORE).find(apart).unwrap_or(decimals)
}

/// A part of a whole: `54.0 %`, and `-` where there is no whole.
pub(super) fn share_text(part: u64, whole: u64) -> String {
    if whole > 0 {
        format!("{:.1} %", 100.0 * part as f64 / whole as f64)
    } else {
        "-".to_owned()
    }
}

/// `95 %`.
pub(super) fn confidence_text(confidence: f64) -> String {
    // 100 times 0.9999 is not 99.99.
    let percent = format!("{:.6}", 100.0 * confidence);
    format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// A share in per cent: `54.0 [50.3, 57.7]`.
pub(super) fn percent(estimate: &Estimate) -> String {
    written(estimate, Unit::Percent.scale(), 1, |_| String::new())
}

/// A share or mean with so many decimals: `0.91 [0.88, 0.93]`.
pub(super) fn plain(estimate: &Estimate, decimals: usize) -> String {
    written(estimate, 1.0, decimals, |_| String::new())
}

/// A column's name with its unit, where it has one: `Fmt %`, `Len`.
pub(super) fn titled(name: &str, unit: Unit) -> String {
    match unit {
        Unit::Percent => format!("{name} %"),
        Unit::Plain(_) => name.to_owned(),
    }
}

/// The estimate in its unit, with its interval.
pub(super) fn figure(estimate: &Estimate, unit: Unit) -> String {
    match unit {
        Unit::Percent => percent(estimate),
        Unit::Plain(_) => plain(estimate, 2),
    }
}

/// `b - a` in its unit, with its sign.
pub(super) fn difference(a: &Estimate, b: &Estimate, unit: Unit) -> String {
    let difference = b.value - a.value;
    match unit {
        Unit::Percent => format!("{:+.1}", 100.0 * difference),
        Unit::Plain(_) => format!("{difference:+.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Bounds;

    #[test]
    fn no_interval_is_written_as_one_without_a_width() {
        let estimate = |interval: Option<(f64, f64)>, method| Estimate {
            value: 0.001,
            interval: interval.map(|(low, high)| Bounds { low, high }),
            n: 9,
            method,
        };
        let wilson = |low, high| estimate(Some((low, high)), IntervalMethod::Wilson);
        for (estimate, text) in [
            (wilson(0.0, 0.25), "0.00 [0.00, 0.25]"),
            (wilson(0.0, 0.0024), "0.001 [0.000, 0.002]"),
            (wilson(0.0009, 0.0011), "0.0010 [0.0009, 0.0011]"),
            (estimate(None, IntervalMethod::None), "0.00 [-]"),
            (estimate(None, IntervalMethod::Exact), "0.00"),
        ] {
            assert_eq!(plain(&estimate, 2), text);
        }
        assert_eq!(percent(&wilson(0.0, 0.0004)), "0.10 [0.00, 0.04]");
        assert_eq!(
            (share_text(1, 3), share_text(0, 0)),
            ("33.3 %".into(), "-".into())
        );
        for (confidence, text) in [
            (0.95, "95 %"),
            (0.5, "50 %"),
            (0.9999, "99.99 %"),
            (0.9, "90 %"),
        ] {
            assert_eq!(confidence_text(confidence), text);
        }
    }
}
