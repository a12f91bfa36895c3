//! Axes: what range they cover, and where their ticks stand.

/// A mark on an axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: String,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Axis {
    /// What is measured, with its unit.
    pub(super) label: String,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<Tick>,
    /// Whether the ticks are names of places and no numbers.
    pub(super) named: bool,
}

impl Axis {
    /// An axis of numbers from a round one below `values` to a round one above, with about `most`
    /// ticks. What is no number is left out; with no number at all it goes from 0 to 1.
    pub(super) fn round(label: &str, values: impl IntoIterator<Item = f64>, most: usize) -> Self {
        let (low, high) = range(values);
        let step = round_step((high - low) / most.max(1) as f64);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self::stepped(label, low, high, step)
    }

    /// The same, but not beyond `limits`.
    pub(super) fn within(mut self, limits: Option<(f64, f64)>) -> Self {
        if let Some((low, high)) = limits.filter(|(low, high)| low < high) {
            (self.low, self.high) = (self.low.max(low), self.high.min(high));
            let (low, high) = (self.low, self.high);
            self.ticks.retain(|tick| (low..=high).contains(&tick.at));
        }
        self
    }

    /// An axis of numbers from the least to the greatest of `values`, a little apart from the
    /// frame, with a tick at each where there are few, else at round numbers.
    pub(super) fn tight(label: &str, values: &[f64], most: usize) -> Self {
        let (low, high) = range(values.iter().copied());
        let margin = (high - low) * 0.04;
        let (low, high) = (low - margin, high + margin);
        let mut own: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        own.sort_by(f64::total_cmp);
        own.dedup();
        let apart = |pair: &[f64]| pair[1] - pair[0] > (high - low) / 20.0;
        if (1..=most).contains(&own.len()) && own.windows(2).all(apart) {
            let tick = |&at: &f64| Tick {
                at,
                text: number(at, decimals_of(at)),
            };
            return Self {
                label: label.to_owned(),
                low,
                high,
                ticks: own.iter().map(tick).collect(),
                named: false,
            };
        }
        Self::stepped(label, low, high, round_step((high - low) / most as f64))
    }

    /// An axis of names, each at its place from 0.
    pub(super) fn names<'n>(label: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        let ticks: Vec<Tick> = (0_u32..)
            .zip(names)
            .map(|(place, name)| Tick {
                at: f64::from(place),
                text: name.to_owned(),
            })
            .collect();
        Self {
            label: label.to_owned(),
            low: -0.5,
            high: ticks.len().max(1) as f64 - 0.5,
            ticks,
            named: true,
        }
    }

    /// Ticks at every multiple of `step` from `low` to `high`.
    pub(super) fn stepped(label: &str, low: f64, high: f64, step: f64) -> Self {
        // A quotient a hair above a whole number (0.15000000000000002 / 0.05) must not cost the first tick.
        let first = (low / step - 1e-9).ceil();
        let decimals = decimals_of(step);
        // Bounded, as a step too small to change `at` would never pass `high`.
        let ticks = (0..1000)
            .map(|place| (first + f64::from(place)) * step)
            .take_while(|at| *at <= high + step * 1e-9)
            .map(|at| Tick {
                at,
                text: number(at, decimals),
            });
        Self {
            label: label.to_owned(),
            low,
            high,
            ticks: ticks.collect(),
            named: false,
        }
    }

    /// Where `value` is, from 0 at the low end to 1 at the high one; never beyond them.
    pub(super) fn share(&self, value: f64) -> f64 {
        let span = self.high - self.low;
        if span > 0.0 && value.is_finite() {
            ((value - self.low) / span).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

/// The least and the greatest, made wider where they are one.
fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    // Larger numbers have no place on paper, and their differences overflow.
    let sound = |value: &f64| value.abs() < 1e15;
    let (low, high) = values
        .into_iter()
        .filter(sound)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        (0.0, 1.0)
    } else if high - low > 1e-9 * high.abs().max(low.abs()) {
        (low, high)
    } else {
        let around = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        (low - around, high + around)
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// How many decimals show `value`, at most 6.
pub(super) fn decimals_of(value: f64) -> usize {
    (0..6)
        .find(|&places| {
            let scaled = value.abs() * 10_f64.powi(places);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1e-3)
        })
        .map_or(6, |places| usize::try_from(places).unwrap_or(0))
}

/// A number with so many decimals, its thousands apart, and a true minus.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let nothing = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if value < 0.0 && !nothing {
        "\u{2212}"
    } else {
        ""
    };
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn round_axes_hold_their_values() {
        let axis = Axis::round("", [0.0, 83.2], 5);
        assert_eq!(texts(&axis), ["0", "20", "40", "60", "80", "100"]);
        let axis = Axis::round("", [0.512, 0.538], 5);
        assert!(axis.low <= 0.512 && axis.high >= 0.538, "{axis:?}");
        assert_eq!(axis.ticks[0].text, "0.51");
        let axis = Axis::round("", [-30.0, 12_000.0], 4);
        assert_eq!(axis.ticks[0].text, "\u{2212}5,000");
        assert!(axis.ticks.len() <= 6, "{axis:?}");
    }

    #[test]
    fn odd_values_make_an_axis_too() {
        for values in [
            vec![],
            vec![f64::NAN, f64::INFINITY],
            vec![0.0],
            vec![-7.0, -7.0],
            vec![1e300, -1e300],
        ] {
            let axis = Axis::round("", values.clone(), 5);
            assert!(axis.high > axis.low, "{values:?}: {axis:?}");
            assert!((2..20).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
            let axis = Axis::tight("", &values, 8);
            assert!(axis.high > axis.low && !axis.ticks.is_empty(), "{axis:?}");
        }
        assert!((Axis::round("", [1.0], 5).share(f64::NAN)).abs() < 1e-12);
    }

    #[test]
    fn few_values_are_their_own_ticks() {
        let axis = Axis::tight("", &[20.0, 0.0, 2.0, 5.0, 10.0, 10.0], 8);
        assert_eq!(texts(&axis), ["0", "2", "5", "10", "20"]);
        let axis = Axis::tight("", &[0.0, 0.1, 20.0], 8);
        assert_eq!(texts(&axis), ["0", "5", "10", "15", "20"]);
        let axis = Axis::tight("", &[0.15, 0.2, 0.25], 8);
        assert_eq!(texts(&axis), ["0.15", "0.2", "0.25"]);
    }

    #[test]
    fn numbers_as_people_write_them() {
        assert_eq!(number(1_234_567.0, 0), "1,234,567");
        assert_eq!(number(-0.25, 2), "\u{2212}0.25");
        assert_eq!(number(-0.001, 1), "0.0");
        assert_eq!(decimals_of(0.0), 0);
        assert_eq!(decimals_of(0.1 + 0.2), 1);
        assert_eq!(decimals_of(12.5), 1);
    }
}
