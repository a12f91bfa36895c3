//! Lines over numbers or over named places, with bands or whiskers for the intervals: how accuracy
//! goes with a threshold.

use super::axis::{Axis, decimals_of, number};
use super::frame::{Frame, Key, Setting};
use super::sheet::{Ink, Point, Sheet};
use super::style::{Look, look_of};
use super::{Interval, Numbers, Picture, cell};

/// Lines with intervals.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Curve {
    /// What stands above.
    pub title: String,
    /// What stands below: what the intervals are, how many cases there are.
    pub note: String,
    /// What the horizontal axis is, with its unit.
    pub x_label: String,
    /// What the vertical axis is, with its unit.
    pub y_label: String,
    /// What values cannot pass, where there is such a thing: 0 and 100 for a share in per cent.
    pub limits: Option<(f64, f64)>,
    /// Where the values stand.
    pub x: Abscissa,
    /// The lines, each with a value for each of `x`.
    pub series: Vec<CurveSeries>,
}

/// The horizontal axis of a curve.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Abscissa {
    /// Numbers, each where it belongs.
    Numbers(Vec<f64>),
    /// Names, side by side.
    Names(Vec<String>),
}

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CurveSeries {
    /// What the legend calls it.
    pub name: String,
    /// A value for each place; `None` is a gap.
    pub values: Vec<Option<Interval>>,
}

impl Curve {
    fn frame(&self) -> Frame {
        let values = self.values().flat_map(|each| [each.low, each.high]);
        let x = match &self.x {
            Abscissa::Numbers(numbers) => Axis::tight(&self.x_label, numbers, 8),
            Abscissa::Names(names) => Axis::names(&self.x_label, names.iter().map(String::as_str)),
        };
        let entry = |(place, series): (usize, &CurveSeries)| {
            let look = look_of(place);
            let key = Key::Line(look.colour, look.dash, Some(look.marker));
            (key, series.name.clone())
        };
        Frame::new(Setting {
            title: &self.title,
            note: &self.note,
            legend: self.series.iter().enumerate().map(entry).collect(),
            width: 720.0,
            panel_height: 300.0,
            x,
            y: Axis::round(&self.y_label, values, 6).within(self.limits),
            above: 0.0,
            right: 10.0,
        })
    }

    fn values(&self) -> impl Iterator<Item = Interval> {
        let all = self.series.iter().flat_map(|series| &series.values);
        all.flatten().copied()
    }

    /// Runs of neighbours that have values, as places on the sheet with their intervals'.
    fn runs(&self, frame: &Frame, place: usize) -> Vec<Vec<(Point, f64, f64)>> {
        // Beside each other, so that whiskers of several series do not cover one another.
        let aside = match self.x {
            Abscissa::Numbers(_) => 0.0,
            Abscissa::Names(_) => {
                let middle = (self.series.len().max(1) - 1) as f64 / 2.0;
                (place as f64 - middle) * (frame.place() * 0.12).min(9.0)
            }
        };
        let mut points: Vec<(f64, Option<Interval>)> = match &self.x {
            Abscissa::Numbers(numbers) => numbers.clone(),
            Abscissa::Names(names) => (0..names.len()).map(|place| place as f64).collect(),
        }
        .into_iter()
        .zip(self.series[place].values.iter().copied())
        .filter(|(x, _)| x.is_finite())
        .collect();
        // A sweep lists its values as the manifest does, and the line goes from left to right.
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
            .split(|(_, value)| value.is_none_or(|value| !value.value.is_finite()))
            .filter(|run| !run.is_empty())
            .map(|run| {
                let placed = run.iter().filter_map(|(x, value)| {
                    let value = (*value)?;
                    let at = (frame.across(*x) + aside, frame.up(value.value));
                    Some((at, frame.up(value.low), frame.up(value.high)))
                });
                placed.collect()
            })
            .collect()
    }
}

impl Picture for Curve {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (f64, f64) {
        self.frame().size()
    }

    fn draw(&self, sheet: &mut Sheet<'_>) {
        let frame = self.frame();
        frame.draw(sheet);
        let looks = || (0..self.series.len()).map(|place| (place, look_of(place)));
        if matches!(self.x, Abscissa::Numbers(_)) {
            for (place, look) in looks() {
                for run in self.runs(&frame, place) {
                    band(sheet, &run, look);
                }
            }
        }
        frame.draw_edges(sheet);
        for (place, look) in looks() {
            for run in self.runs(&frame, place) {
                // One point spans no band, and between two names there is nothing that a band could tell of.
                if run.len() == 1 || matches!(self.x, Abscissa::Names(_)) {
                    for (at, low, high) in &run {
                        whisker(sheet, at.0, *low, *high, look);
                    }
                }
                let points: Vec<Point> = run.iter().map(|(at, _, _)| *at).collect();
                sheet.dashed(&points, look.colour, 1.8, look.dash);
                for point in points {
                    sheet.marker(point, look.marker, look.colour, 4.0);
                }
            }
        }
    }

    fn numbers(&self) -> Numbers {
        let mut header = vec![self.x_label.clone()];
        header.extend(self.series.iter().map(|series| series.name.clone()));
        let places: Vec<String> = match &self.x {
            Abscissa::Numbers(numbers) => (numbers.iter())
                .map(|&x| number(x, decimals_of(x)))
                .collect(),
            Abscissa::Names(names) => names.clone(),
        };
        let row = |(place, name): (usize, String)| {
            let value = |series: &CurveSeries| series.values.get(place).copied().flatten();
            std::iter::once(name)
                .chain(self.series.iter().map(|series| cell(value(series), 2)))
                .collect()
        };
        Numbers {
            header,
            rows: places.into_iter().enumerate().map(row).collect(),
        }
    }
}

/// The intervals of a run of points, as an area with thin edges.
fn band(sheet: &mut Sheet<'_>, run: &[(Point, f64, f64)], look: Look) {
    if run.len() < 2 || run.iter().all(|(_, low, high)| (low - high).abs() < 0.05) {
        return;
    }
    let lower: Vec<Point> = run.iter().map(|(at, low, _)| (at.0, *low)).collect();
    let upper: Vec<Point> = run.iter().map(|(at, _, high)| (at.0, *high)).collect();
    let around: Vec<Point> = lower.iter().chain(upper.iter().rev()).copied().collect();
    sheet.polygon(&around, Ink(look.colour, 0.13));
    for edge in [&lower, &upper] {
        sheet.dashed(edge, Ink(look.colour, 0.55), 0.8, look.dash);
    }
}

/// An interval as a line with two feet.
fn whisker(sheet: &mut Sheet<'_>, x: f64, low: f64, high: f64, look: Look) {
    if (low - high).abs() < 0.05 {
        return;
    }
    sheet.line(&[(x, low), (x, high)], look.colour, 1.2);
    for y in [low, high] {
        sheet.line(&[(x - 3.5, y), (x + 3.5, y)], look.colour, 1.2);
    }
}
