//! The sheet that pictures are drawn on, in CSS pixels from its upper left corner.
//!
//! One drawing serves both formats: an SVG in tenths of a pixel, so that nothing is rounded
//! visibly, and a bitmap.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon};
use plotters::style::{Color, RGBColor, ShapeStyle};
use plotters_backend::{BackendCoord, DrawingBackend};

use super::letter::{Anchor, Face, Words};
use super::style::{Dash, Fill, Hatch, Marker};

/// A point on a sheet.
pub(super) type Point = (f64, f64);

/// A rectangle on a sheet.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    fn corners(&self) -> [Point; 4] {
        [
            (self.left, self.top),
            (self.right, self.top),
            (self.right, self.bottom),
            (self.left, self.bottom),
        ]
    }
}

/// A colour and how much of it covers what is below, 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink(pub(super) RGBColor, pub(super) f64);

impl From<RGBColor> for Ink {
    fn from(colour: RGBColor) -> Self {
        Self(colour, 1.0)
    }
}

/// What takes the shapes, in its own units.
pub(super) trait Surface {
    fn polygon(&mut self, points: Vec<BackendCoord>, style: ShapeStyle);
    fn path(&mut self, points: Vec<BackendCoord>, style: ShapeStyle);
    fn disc(&mut self, centre: BackendCoord, radius: i32, style: ShapeStyle);
    fn words(&mut self, words: Words);
}

impl<B: DrawingBackend> Surface for DrawingArea<B, Shift> {
    fn polygon(&mut self, points: Vec<BackendCoord>, style: ShapeStyle) {
        put(self, &Polygon::new(points, style));
    }

    fn path(&mut self, points: Vec<BackendCoord>, style: ShapeStyle) {
        put(self, &PathElement::new(points, style));
    }

    fn disc(&mut self, centre: BackendCoord, radius: i32, style: ShapeStyle) {
        put(self, &Circle::new(centre, radius, style));
    }

    fn words(&mut self, words: Words) {
        put(self, &words);
    }
}

fn put<'e, B: DrawingBackend, E>(area: &DrawingArea<B, Shift>, element: &'e E)
where
    &'e E: PointCollection<'e, BackendCoord>,
    E: Drawable<B>,
{
    area.draw(element)
        .expect("both backends write to memory, which takes everything");
}

/// A surface with its scale.
pub(super) struct Sheet<'s> {
    surface: &'s mut dyn Surface,
    /// Units of the surface in a CSS pixel.
    scale: f64,
}

impl<'s> Sheet<'s> {
    pub(super) fn new(surface: &'s mut dyn Surface, scale: f64) -> Self {
        Self { surface, scale }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a sheet is some thousand units wide, and a cast saturates"
    )]
    fn at(&self, (x, y): Point) -> BackendCoord {
        (
            (x * self.scale).round() as i32,
            (y * self.scale).round() as i32,
        )
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "widths are small and positive"
    )]
    fn stroke(&self, ink: Ink, width: f64) -> ShapeStyle {
        ShapeStyle {
            color: ink.0.mix(ink.1),
            filled: false,
            stroke_width: (width * self.scale).round().max(1.0) as u32,
        }
    }

    /// A line through `points`.
    pub(super) fn line(&mut self, points: &[Point], ink: impl Into<Ink>, width: f64) {
        let style = self.stroke(ink.into(), width);
        let points = points.iter().map(|point| self.at(*point)).collect();
        self.surface.path(points, style);
    }

    /// A dashed line through `points`; the pattern goes on around corners.
    pub(super) fn dashed(&mut self, points: &[Point], ink: impl Into<Ink>, width: f64, dash: Dash) {
        let ink = ink.into();
        if dash.0.is_empty() {
            return self.line(points, ink, width);
        }
        for piece in dash.pieces(points) {
            self.line(&piece, ink, width);
        }
    }

    /// A filled polygon.
    pub(super) fn polygon(&mut self, points: &[Point], ink: impl Into<Ink>) {
        let ink = ink.into();
        let style = ink.0.mix(ink.1).filled();
        let points = points.iter().map(|point| self.at(*point)).collect();
        self.surface.polygon(points, style);
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, area: Area, ink: impl Into<Ink>) {
        self.polygon(&area.corners(), ink);
    }

    /// A rectangle's outline.
    pub(super) fn outline(&mut self, area: Area, ink: impl Into<Ink>, width: f64) {
        let (ink, half) = (ink.into(), width / 2.0);
        let Area {
            left,
            top,
            right,
            bottom,
        } = area;
        let strip = |left, top, right, bottom| Area {
            left: left - half,
            top: top - half,
            right: right + half,
            bottom: bottom + half,
        };
        self.rect(strip(left, top, right, top), ink);
        self.rect(strip(left, bottom, right, bottom), ink);
        self.rect(strip(left, top, left, bottom), ink);
        self.rect(strip(right, top, right, bottom), ink);
    }

    /// A rectangle with a series' fill, so that it is known without colour too.
    pub(super) fn filled(&mut self, area: Area, fill: Fill) {
        self.rect(area, fill.ground);
        self.hatched(area, fill.hatch, fill.line);
        self.outline(area, fill.line, 1.0);
    }

    /// The hatch alone.
    pub(super) fn hatched(&mut self, area: Area, hatch: Hatch, colour: RGBColor) {
        for (from, to) in hatch.lines(area) {
            self.line(&[from, to], colour, 0.9);
        }
    }

    /// A marker around a point.
    pub(super) fn marker(&mut self, at: Point, marker: Marker, colour: RGBColor, radius: f64) {
        let white = RGBColor(255, 255, 255);
        if let Some(corners) = marker.corners() {
            let around = |radius: f64| -> Vec<Point> {
                let to = |(x, y): &Point| (at.0 + x * radius, at.1 + y * radius);
                corners.iter().map(to).collect()
            };
            self.polygon(&around(radius), colour);
            if marker.hollow {
                self.polygon(&around(radius * 0.55), white);
            }
        } else {
            self.disc(at, radius, colour);
            if marker.hollow {
                self.disc(at, radius * 0.6, white);
            }
        }
    }

    /// A filled circle.
    #[expect(clippy::cast_possible_truncation, reason = "radii are small")]
    pub(super) fn disc(&mut self, at: Point, radius: f64, ink: impl Into<Ink>) {
        let ink = ink.into();
        let radius = (radius * self.scale).round() as i32;
        let at = self.at(at);
        self.surface.disc(at, radius, ink.0.mix(ink.1).filled());
    }

    /// A text with its baseline through `at`.
    pub(super) fn text(&mut self, text: &str, face: Face, anchor: Anchor, at: Point) {
        self.words(text, face, anchor, false, at);
    }

    /// A text read upwards.
    pub(super) fn upwards(&mut self, text: &str, face: Face, anchor: Anchor, at: Point) {
        self.words(text, face, anchor, true, at);
    }

    fn words(&mut self, text: &str, face: Face, anchor: Anchor, upwards: bool, at: Point) {
        let scale = self.scale;
        let face = Face {
            size: face.size * scale,
            ..face
        };
        let at = (at.0 * scale, at.1 * scale);
        self.surface
            .words(Words::new(text, face, anchor, upwards, at));
    }
}
