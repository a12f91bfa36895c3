//! A value for each pair of two parameters, as colours and written out.

use plotters::style::RGBColor;

use super::axis::{Axis, Tick, number};
use super::frame::{Frame, Key, Setting, draw_hole};
use super::letter::Anchor;
use super::sheet::{Area, Sheet};
use super::style::{INK, LABEL, TICK, WHITE, lightness, mixed};
use super::{NO_VALUE, Numbers, Picture};

/// A value for each pair of two parameters.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct HeatMap {
    /// What stands above.
    pub title: String,
    /// What stands below.
    pub note: String,
    /// What the columns are, with its unit.
    pub x_label: String,
    /// What the rows are, with its unit.
    pub y_label: String,
    /// What the values are, with their unit.
    pub value_label: String,
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows' names, from below upwards.
    pub rows: Vec<String>,
    /// `cells[row][column]`; `None` is a hole, shown as one.
    pub cells: Vec<Vec<Option<f64>>>,
    /// Decimals of the written values.
    pub decimals: usize,
}

/// Dark is much: what prints in grey keeps its order (viridis, turned round, its darkest end left
/// out for the sake of what is written on it).
const SCALE: [RGBColor; 6] = [
    RGBColor(0xfd, 0xf3, 0xa8),
    RGBColor(0xa8, 0xdb, 0x6c),
    RGBColor(0x4a, 0xb8, 0x7d),
    RGBColor(0x2a, 0x8a, 0x8c),
    RGBColor(0x35, 0x5f, 0x8d),
    RGBColor(0x40, 0x2c, 0x74),
];

/// To the right of the cells: the key to the colours.
const KEY_WIDTH: f64 = 14.0;
const KEY_GAP: f64 = 22.0;

impl HeatMap {
    fn value(&self, row: usize, column: usize) -> Option<f64> {
        let value = self.cells.get(row)?.get(column).copied().flatten();
        value.filter(|value| value.is_finite())
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let places = (0..self.rows.len())
            .flat_map(|row| (0..self.columns.len()).map(move |column| (row, column)));
        places.filter_map(|(row, column)| self.value(row, column))
    }

    /// The key's axis, from the least value to the greatest.
    fn scale(&self) -> Axis {
        let ends = self.values().fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = ends.unwrap_or((0.0, 1.0));
        if high > low {
            let mut axis = Axis::round(&self.value_label, [low, high], 5);
            axis.ticks.retain(|tick| (low..=high).contains(&tick.at));
            (axis.low, axis.high) = (low, high);
            return axis;
        }
        // One value everywhere: a key with that value alone.
        Axis {
            label: self.value_label.clone(),
            low: low - 0.5,
            high: low + 0.5,
            ticks: vec![Tick {
                at: low,
                text: self.written(low),
            }],
            named: false,
        }
    }

    fn written(&self, value: f64) -> String {
        number(value, self.decimals)
    }

    fn frame(&self) -> Frame {
        let scale = self.scale();
        let ticks = (scale.ticks.iter()).map(|tick| TICK.width(&tick.text));
        let ticks = ticks.fold(0.0, f64::max);
        let widest = self.values().map(|value| TICK.width(&self.written(value)));
        let cell = (widest.fold(0.0, f64::max) + 14.0).max(58.0);
        let holes = self.values().count() < self.rows.len() * self.columns.len();
        Frame::new(Setting {
            title: &self.title,
            note: &self.note,
            legend: if holes {
                vec![(Key::Hole, "no value".to_owned())]
            } else {
                Vec::new()
            },
            width: (self.columns.len() as f64 * cell + 230.0).clamp(480.0, 1100.0),
            panel_height: (self.rows.len() as f64 * 38.0).clamp(120.0, 620.0),
            x: Axis::names(&self.x_label, self.columns.iter().map(String::as_str)),
            y: Axis::names(&self.y_label, self.rows.iter().map(String::as_str)),
            above: 0.0,
            right: KEY_GAP + KEY_WIDTH + 8.0 + ticks + 26.0,
        })
    }
}

impl Picture for HeatMap {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (f64, f64) {
        self.frame().size()
    }

    fn draw(&self, sheet: &mut Sheet<'_>) {
        let frame = self.frame();
        frame.draw(sheet);
        let scale = self.scale();
        for row in 0..self.rows.len() {
            for column in 0..self.columns.len() {
                let (x, y) = (column as f64, row as f64);
                let area = Area {
                    left: frame.across(x - 0.5),
                    top: frame.up(y + 0.5),
                    right: frame.across(x + 0.5),
                    bottom: frame.up(y - 0.5),
                };
                let Some(value) = self.value(row, column) else {
                    draw_hole(sheet, area);
                    continue;
                };
                let ground = colour(scale.share(value));
                sheet.rect(area, ground);
                sheet.outline(area, WHITE, 1.5);
                let ink = if lightness(ground) > 0.5 { INK } else { WHITE };
                let face = super::letter::Face {
                    colour: ink,
                    ..TICK
                };
                let text = face.shortened(&self.written(value), area.width() - 4.0);
                let at = (frame.across(x), frame.up(y) + TICK.size * 0.36);
                sheet.text(&text, face, Anchor::Middle, at);
            }
        }
        draw_key(sheet, &scale, frame.panel);
    }

    fn numbers(&self) -> Numbers {
        let mut header = vec![format!("{} \\ {}", self.y_label, self.x_label)];
        header.extend(self.columns.iter().cloned());
        let row = |(row, name): (usize, &String)| {
            let cell = |column| {
                let value = self.value(row, column);
                value.map_or_else(|| NO_VALUE.to_owned(), |value| self.written(value))
            };
            std::iter::once(name.clone())
                .chain((0..self.columns.len()).map(cell))
                .collect()
        };
        Numbers {
            header,
            rows: self.rows.iter().enumerate().rev().map(row).collect(),
        }
    }
}

/// Which colour means what.
fn draw_key(sheet: &mut Sheet<'_>, scale: &Axis, panel: Area) {
    let left = panel.right + KEY_GAP;
    let right = left + KEY_WIDTH;
    let steps = 60_u32;
    for step in 0..steps {
        let (from, to) = (
            f64::from(step) / f64::from(steps),
            f64::from(step + 1) / f64::from(steps),
        );
        let area = Area {
            left,
            // A little over the next one, so that no seam shows.
            top: (panel.bottom - to * panel.height() - 0.3).max(panel.top),
            right,
            bottom: panel.bottom - from * panel.height(),
        };
        sheet.rect(area, colour(f64::midpoint(from, to)));
    }
    let mut widest: f64 = 0.0;
    for tick in &scale.ticks {
        let y = panel.bottom - scale.share(tick.at) * panel.height();
        sheet.line(&[(right, y), (right + 4.0, y)], INK, 1.0);
        let at = (right + 8.0, y + TICK.size * 0.36);
        sheet.text(&tick.text, TICK, Anchor::Start, at);
        widest = widest.max(TICK.width(&tick.text));
    }
    let middle = f64::midpoint(panel.top, panel.bottom);
    let label = LABEL.shortened(&scale.label, panel.height() + 60.0);
    let x = right + 8.0 + widest + 8.0 + LABEL.size;
    sheet.upwards(&label, LABEL, Anchor::Middle, (x, middle));
}

/// The colour of a share of the scale.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 5"
)]
fn colour(share: f64) -> RGBColor {
    let at = share.clamp(0.0, 1.0) * (SCALE.len() - 1) as f64;
    let below = (at.floor() as usize).min(SCALE.len() - 2);
    mixed(SCALE[below], SCALE[below + 1], at - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_darker_all_the_way() {
        let shades: Vec<f64> = (0..=50)
            .map(|step| lightness(colour(f64::from(step) / 50.0)))
            .collect();
        assert!(
            shades.windows(2).all(|pair| pair[1] < pair[0]),
            "{shades:?}"
        );
    }
}
