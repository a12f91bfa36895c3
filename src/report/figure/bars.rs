//! Grouped bars with intervals, which score bands and criteria share.

use super::axis::Axis;
use super::frame::{Frame, Key, Setting};
use super::sheet::{Area, Ink, Sheet};
use super::style::{INK, WHITE, look_of};
use super::{Interval, Numbers, cell};

/// The names along the horizontal axis.
pub(crate) type BarGroup = String;

/// The bars of one arm, one in each group.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct BarSeries {
    /// What the legend calls it.
    pub name: String,
    /// A value for each group; `None` is a hole, shown as one.
    pub values: Vec<Option<Interval>>,
}

impl BarSeries {
    fn value(&self, group: usize) -> Option<Interval> {
        let value = self.values.get(group).copied().flatten();
        value.filter(|value| value.value.is_finite())
    }
}

/// What such a picture shows.
pub(super) struct Bars<'b> {
    pub(super) title: &'b str,
    pub(super) note: &'b str,
    pub(super) x_label: &'b str,
    pub(super) y: Axis,
    pub(super) groups: &'b [BarGroup],
    pub(super) series: &'b [BarSeries],
}

impl Bars<'_> {
    pub(super) fn frame(&self) -> Frame {
        let entry =
            |(place, series): (usize, &BarSeries)| (Key::Bar(look_of(place)), series.name.clone());
        let mut legend: Vec<(Key, String)> = self.series.iter().enumerate().map(entry).collect();
        if self.series.iter().any(|series| self.has_hole(series)) {
            legend.push((Key::Hole, "no value".to_owned()));
        }
        // Bars keep a width at which hatches and whiskers can be seen.
        let bars = (self.groups.len() * (self.series.len() + 1)) as f64;
        Frame::new(Setting {
            title: self.title,
            note: self.note,
            legend,
            width: (bars * 15.0 + 90.0).clamp(720.0, 1100.0),
            panel_height: 300.0,
            x: Axis::names(self.x_label, self.groups.iter().map(String::as_str)),
            y: self.y.clone(),
            above: 0.0,
            right: 4.0,
        })
    }

    fn has_hole(&self, series: &BarSeries) -> bool {
        (0..self.groups.len()).any(|group| series.value(group).is_none())
    }

    pub(super) fn draw(&self, sheet: &mut Sheet<'_>) {
        let frame = self.frame();
        frame.draw(sheet);
        let room = frame.place() * 0.84;
        let wide = (room / self.series.len().max(1) as f64).min(46.0);
        let gap = (wide * 0.12).min(3.0);
        let base = frame.up(0.0_f64.clamp(frame.y.low, frame.y.high));
        for group in 0..self.groups.len() {
            let first = frame.across(group as f64) - wide * self.series.len() as f64 / 2.0;
            for (place, series) in self.series.iter().enumerate() {
                let left = first + wide * place as f64 + gap / 2.0;
                let right = left + wide - gap;
                let Some(value) = series.value(group) else {
                    let (top, bottom) = (base - 14.0, base);
                    super::frame::draw_hole(
                        sheet,
                        Area {
                            left,
                            top,
                            right,
                            bottom,
                        },
                    );
                    continue;
                };
                let at = frame.up(value.value);
                let bar = Area {
                    left,
                    top: at.min(base),
                    right,
                    bottom: at.max(base),
                };
                sheet.filled(bar, look_of(place).fill());
                if value.is_wide() {
                    let (low, high) = (frame.up(value.low), frame.up(value.high));
                    whisker(sheet, f64::midpoint(left, right), low, high, wide);
                }
            }
        }
        frame.draw_edges(sheet);
    }

    pub(super) fn numbers(&self, decimals: usize) -> Numbers {
        let mut header = vec![self.x_label.to_owned()];
        header.extend(self.series.iter().map(|series| series.name.clone()));
        let row = |(group, name): (usize, &BarGroup)| {
            let cells = (self.series.iter()).map(|series| cell(series.value(group), decimals));
            std::iter::once(name.clone()).chain(cells).collect()
        };
        Numbers {
            header,
            rows: self.groups.iter().enumerate().map(row).collect(),
        }
    }
}

/// An interval, on a bar of any ground.
fn whisker(sheet: &mut Sheet<'_>, x: f64, low: f64, high: f64, wide: f64) {
    let foot = (wide * 0.22).clamp(1.5, 5.0);
    let lines = [
        [(x, low), (x, high)],
        [(x - foot, low), (x + foot, low)],
        [(x - foot, high), (x + foot, high)],
    ];
    for line in &lines {
        sheet.line(line, Ink(WHITE, 0.8), 3.0);
    }
    for line in &lines {
        sheet.line(line, INK, 1.1);
    }
}
