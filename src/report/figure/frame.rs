//! The frame of a picture: title above, legend below it, axes around the panel, a note at the foot.
//!
//! Text is measured first, so that nothing is cut off and nothing lies on the data: the sheet grows
//! as high as its text needs.

use plotters::style::RGBColor;

use super::axis::{Axis, Tick};
use super::letter::{Anchor, Face};
use super::sheet::{Area, Point, Sheet};
use super::style::{self, Dash, INK, LABEL, LEADING, Look, Marker, NOTE, RULE, TICK, TITLE};

/// Around everything.
const MARGIN: f64 = 14.0;
/// Between a tick and its text.
const GAP: f64 = 6.0;
/// A legend entry's key.
const KEY: f64 = 26.0;
/// Between legend entries.
const APART: f64 = 18.0;
/// A row of the legend.
const ROW: f64 = 19.0;

/// How a series is shown in the legend.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Key {
    /// A line, with its marker where it has one.
    Line(RGBColor, Dash, Option<Marker>),
    /// A bar.
    Bar(Look),
    /// A place without a value.
    Hole,
}

/// What stands around the panel.
pub(super) struct Setting<'s> {
    pub(super) title: &'s str,
    pub(super) note: &'s str,
    pub(super) legend: Vec<(Key, String)>,
    pub(super) width: f64,
    pub(super) panel_height: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Kept free above the panel.
    pub(super) above: f64,
    /// Kept free to the right of it.
    pub(super) right: f64,
}

/// A frame, laid out.
pub(super) struct Frame {
    title: Vec<String>,
    note: Vec<String>,
    /// Each entry with its left end and its row.
    legend: Vec<(Key, String, f64, usize)>,
    legend_top: f64,
    x_ticks: Vec<(f64, Vec<String>)>,
    /// Names that are too long for their places stand upright.
    x_upright: bool,
    y_ticks: Vec<(f64, Vec<String>)>,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) panel: Area,
    width: f64,
    height: f64,
}

impl Frame {
    pub(super) fn new(setting: Setting<'_>) -> Self {
        let Setting { x, y, width, .. } = setting;
        let inner = width - 2.0 * MARGIN;
        let title = TITLE.lines(setting.title, inner, 3);
        let note = NOTE.lines(setting.note, inner, 8);
        let legend_top = MARGIN + block(TITLE, title.len()) + 8.0;
        let (legend, rows) = placed(setting.legend, inner);
        let legend_high = rows as f64 * ROW + if rows > 0 { 8.0 } else { 4.0 };
        let top = legend_top + legend_high + setting.above;
        let bottom = top + setting.panel_height;

        let (y_ticks, y_wide) = side_ticks(&y, setting.panel_height, width);
        let y_label = if y.label.is_empty() {
            0.0
        } else {
            LABEL.size * LEADING + 4.0
        };
        let panel = Area {
            left: MARGIN + y_label + y_wide + GAP + 2.0,
            top,
            right: width - MARGIN - setting.right,
            bottom,
        };
        let (x_ticks, x_upright, x_high) = foot_ticks(&x, panel.width());
        let x_label = if x.label.is_empty() {
            0.0
        } else {
            LABEL.size * LEADING + 4.0
        };
        let mut height = bottom + GAP + x_high + x_label + MARGIN;
        if !note.is_empty() {
            height += block(NOTE, note.len()) + 8.0;
        }
        Self {
            title,
            note,
            legend,
            legend_top,
            x_ticks,
            x_upright,
            y_ticks,
            x,
            y,
            panel,
            width,
            height: height.ceil(),
        }
    }

    /// Width and height of the whole sheet.
    pub(super) fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// Where `x` is on the sheet.
    pub(super) fn across(&self, x: f64) -> f64 {
        self.panel.left + self.x.share(x) * self.panel.width()
    }

    /// Where `y` is on the sheet.
    pub(super) fn up(&self, y: f64) -> f64 {
        self.panel.bottom - self.y.share(y) * self.panel.height()
    }

    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (self.across(x), self.up(y))
    }

    /// The width of one place of a named axis.
    pub(super) fn place(&self) -> f64 {
        self.panel.width() / (self.x.high - self.x.low)
    }

    /// Paper, title, legend, rules, labels and note: all but the data.
    pub(super) fn draw(&self, sheet: &mut Sheet<'_>) {
        let paper = Area {
            left: 0.0,
            top: 0.0,
            right: self.width,
            bottom: self.height,
        };
        sheet.rect(paper, style::WHITE);
        lines(sheet, &self.title, TITLE, (MARGIN, MARGIN));
        for (key, name, left, row) in &self.legend {
            let middle = self.legend_top + *row as f64 * ROW + 8.0;
            key.draw(sheet, (MARGIN + left, middle));
            let at = (MARGIN + left + KEY + 6.0, middle + LABEL.size * 0.36);
            sheet.text(name, LABEL, Anchor::Start, at);
        }
        self.draw_y(sheet);
        self.draw_x(sheet);
        let foot = self.height - MARGIN - block(NOTE, self.note.len());
        lines(sheet, &self.note, NOTE, (MARGIN, foot));
    }

    /// The panel's lower and left edge, over the data.
    pub(super) fn draw_edges(&self, sheet: &mut Sheet<'_>) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.panel;
        sheet.line(&[(left, top), (left, bottom), (right, bottom)], INK, 1.0);
    }

    fn draw_y(&self, sheet: &mut Sheet<'_>) {
        let panel = self.panel;
        for (at, texts) in &self.y_ticks {
            let y = self.up(*at);
            if !self.y.named {
                sheet.line(&[(panel.left, y), (panel.right, y)], RULE, 0.8);
            }
            let first = y - block(TICK, texts.len()) / 2.0 + TICK.size * (LEADING * 0.5 + 0.36);
            for (line, text) in (0_u32..).zip(texts) {
                let y = first + f64::from(line) * TICK.size * LEADING;
                sheet.text(text, TICK, Anchor::End, (panel.left - GAP, y));
            }
        }
        if !self.y.label.is_empty() {
            let middle = f64::midpoint(panel.top, panel.bottom);
            let label = LABEL.shortened(&self.y.label, panel.height() + 40.0);
            let at = (MARGIN + LABEL.size * 0.9, middle);
            sheet.upwards(&label, LABEL, Anchor::Middle, at);
        }
    }

    fn draw_x(&self, sheet: &mut Sheet<'_>) {
        let panel = self.panel;
        let mut deepest: f64 = 0.0;
        for (at, texts) in &self.x_ticks {
            let x = self.across(*at);
            if !self.x.named {
                let tick = [(x, panel.bottom), (x, panel.bottom + 3.5)];
                sheet.line(&tick, INK, 1.0);
            }
            if self.x_upright {
                for (line, text) in (0_u32..).zip(texts) {
                    let x = x + TICK.size * 0.36 + f64::from(line) * TICK.size * LEADING;
                    sheet.upwards(text, TICK, Anchor::End, (x, panel.bottom + GAP));
                    deepest = deepest.max(TICK.width(text));
                }
            } else {
                let top = panel.bottom + GAP;
                for (line, text) in (0_u32..).zip(texts) {
                    let y = top + TICK.size * (0.9 + f64::from(line) * LEADING);
                    sheet.text(text, TICK, Anchor::Middle, (x, y));
                }
                deepest = deepest.max(block(TICK, texts.len()));
            }
        }
        if !self.x.label.is_empty() {
            let middle = f64::midpoint(panel.left, panel.right);
            let y = panel.bottom + GAP + deepest + 4.0 + LABEL.size;
            let label = LABEL.shortened(&self.x.label, self.width - 2.0 * MARGIN);
            sheet.text(&label, LABEL, Anchor::Middle, (middle, y));
        }
    }
}

impl Key {
    fn draw(self, sheet: &mut Sheet<'_>, (left, middle): Point) {
        let line = [(left, middle), (left + KEY, middle)];
        let centre = (left + KEY / 2.0, middle);
        match self {
            Self::Line(colour, dash, marker) => {
                sheet.dashed(&line, colour, 1.8, dash);
                if let Some(marker) = marker {
                    sheet.marker(centre, marker, colour, 4.0);
                }
            }
            Self::Bar(look) => sheet.filled(swatch(left, middle), look.fill()),
            Self::Hole => draw_hole(sheet, swatch(left, middle)),
        }
    }
}

fn swatch(left: f64, middle: f64) -> Area {
    Area {
        left,
        top: middle - 6.0,
        right: left + KEY,
        bottom: middle + 6.0,
    }
}

/// A place without a value.
pub(super) fn draw_hole(sheet: &mut Sheet<'_>, area: Area) {
    let grey = RGBColor(0x9a, 0x9a, 0x9a);
    sheet.rect(area, style::WHITE);
    sheet.hatched(area, style::Hatch::Crossed, grey);
    sheet.outline(area, grey, 1.0);
}

/// The height of so many lines.
pub(super) fn block(face: Face, lines: usize) -> f64 {
    lines as f64 * face.size * LEADING
}

/// Lines of text from an upper left corner.
pub(super) fn lines(sheet: &mut Sheet<'_>, texts: &[String], face: Face, at: Point) {
    for (line, text) in (0_u32..).zip(texts) {
        let y = at.1 + face.size * (0.95 + f64::from(line) * LEADING);
        sheet.text(text, face, Anchor::Start, (at.0, y));
    }
}

/// Legend entries in rows: each with its left end and row, and how many rows there are.
fn placed(entries: Vec<(Key, String)>, width: f64) -> (Vec<(Key, String, f64, usize)>, usize) {
    let (mut left, mut row, mut out) = (0.0, 0, Vec::new());
    for (key, name) in entries {
        let name = LABEL.shortened(&name, width - KEY - 6.0);
        let wide = KEY + 6.0 + LABEL.width(&name);
        if left > 0.0 && left + wide > width {
            (left, row) = (0.0, row + 1);
        }
        out.push((key, name, left, row));
        left += wide + APART;
    }
    let rows = if out.is_empty() { 0 } else { row + 1 };
    (out, rows)
}

/// The texts of a vertical axis, and how wide they are.
fn side_ticks(axis: &Axis, height: f64, width: f64) -> (Vec<(f64, Vec<String>)>, f64) {
    let most = width * 0.3;
    let room = height / axis.ticks.len().max(1) as f64;
    let texts = |tick: &Tick| {
        let lines = if axis.named && room > block(TICK, 2) {
            TICK.lines(&tick.text, most, 2)
        } else {
            vec![TICK.squeezed(&tick.text, most)]
        };
        (tick.at, lines)
    };
    let ticks = thinned(axis, height, TICK.size * LEADING);
    let ticks: Vec<_> = ticks.into_iter().map(texts).collect();
    let widest = (ticks.iter().flat_map(|(_, lines)| lines))
        .map(|line| TICK.width(line))
        .fold(0.0, f64::max);
    (ticks, widest)
}

/// The texts of a horizontal axis, whether they stand upright, and how high they are.
fn foot_ticks(axis: &Axis, width: f64) -> (Vec<(f64, Vec<String>)>, bool, f64) {
    let room = width / axis.ticks.len().max(1) as f64 - 8.0;
    if !axis.named {
        let widest = (axis.ticks.iter())
            .map(|tick| TICK.width(&tick.text))
            .fold(0.0, f64::max);
        let ticks = thinned(axis, width, widest + 10.0);
        let ticks = ticks.into_iter();
        let ticks = ticks.map(|tick| (tick.at, vec![tick.text.clone()]));
        return (ticks.collect(), false, block(TICK, 1));
    }
    let wrapped = |tick: &Tick| (tick.at, TICK.lines(&tick.text, room, 3));
    let lying: Vec<_> = axis.ticks.iter().map(wrapped).collect();
    let whole =
        |(_, lines): &(f64, Vec<String>)| !lines.iter().any(|line| line.ends_with('\u{2026}'));
    if lying.iter().all(whole) {
        let most = lying.iter().map(|(_, lines)| lines.len()).max();
        let high = block(TICK, most.unwrap_or_default());
        return (lying, false, high);
    }
    let ticks = thinned(axis, width, TICK.size * LEADING);
    let upright: Vec<_> = (ticks.into_iter())
        .map(|tick| (tick.at, vec![TICK.squeezed(&tick.text, 150.0)]))
        .collect();
    let high = (upright.iter())
        .map(|(_, lines)| TICK.width(&lines[0]))
        .fold(0.0, f64::max);
    (upright, true, high)
}

/// The ticks that have `room` each on an axis so long: all of them, or every second, third...
/// Of uneven ones, those that keep clear of the one before.
fn thinned(axis: &Axis, length: f64, room: f64) -> Vec<&Tick> {
    let mut kept: Vec<&Tick> = Vec::new();
    for every in 1..=axis.ticks.len().max(1) {
        kept = axis.ticks.iter().step_by(every).collect();
        let clear = kept
            .windows(2)
            .all(|pair| (axis.share(pair[1].at) - axis.share(pair[0].at)) * length >= room);
        if clear {
            break;
        }
    }
    kept
}
