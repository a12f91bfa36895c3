//! Letters: how wide a text is, and how it gets into an SVG or onto a bitmap.
//!
//! Text is set in `DejaVu Sans`, which comes with the program, so that a bitmap is the same
//! everywhere. An SVG names the font, then `Verdana`, which is as wide, then whatever there is.

use std::convert::Infallible;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use plotters::element::{Drawable, PointCollection};
use plotters::style::RGBColor;
use plotters_backend::text_anchor::{HPos, Pos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontFamily, FontStyle, FontTransform,
};

use crate::text::escaped;

/// What an SVG asks for.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// plotters' SVG backend puts the top of a text this far above its baseline, in ems.
const ASCENT: f64 = 0.76;
/// plotters' SVG backend divides a font's size by this.
const SIZE_PER_EM: f64 = 1.24;

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| font(dejavu::sans::regular()));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| font(dejavu::sans::bold()));

fn font(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the font is part of the program")
}

/// How text looks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Face {
    /// The em, in the sheet's units.
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) colour: RGBColor,
}

/// Which part of a text stands at its point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Face {
    /// How wide `text` is, in the units of the face's size.
    pub(super) fn width(&self, text: &str) -> f64 {
        let mut width = 0.0;
        self.set(&legible(text), |_, end| width = end);
        f64::from(width)
    }

    /// The lines of `text` in so much width, at most `most`; what is left out is an ellipsis.
    pub(super) fn lines(&self, text: &str, width: f64, most: usize) -> Vec<String> {
        let text = legible(text);
        let mut lines: Vec<String> = Vec::new();
        for part in text.split_inclusive([' ', '/', '-', '_']) {
            match lines.last_mut() {
                Some(line) if self.width(format!("{line}{part}").trim_end()) <= width => {
                    line.push_str(part);
                }
                _ => lines.push(part.to_owned()),
            }
        }
        let cut = lines.len() > most;
        lines.truncate(most);
        if cut && let Some(last) = lines.last_mut() {
            last.truncate(last.trim_end().len());
            last.push_str(" \u{2026}");
        }
        (lines.into_iter())
            .map(|line| self.shortened(line.trim_end(), width))
            .collect()
    }

    /// `text`, its middle an ellipsis where it is wider: names differ by their ends.
    pub(super) fn squeezed(&self, text: &str, width: f64) -> String {
        let text = legible(text);
        let all: Vec<char> = text.chars().collect();
        if self.width(&text) <= width {
            return text;
        }
        (0..all.len() / 2)
            .rev()
            .map(|each| {
                let side = |part: &[char]| part.iter().collect::<String>();
                let (head, tail) = (side(&all[..each]), side(&all[all.len() - each..]));
                format!("{}\u{2026}{}", head.trim_end(), tail.trim_start())
            })
            .find(|cut| self.width(cut) <= width)
            .unwrap_or_default()
    }

    /// `text`, its end an ellipsis where it is wider.
    pub(super) fn shortened(&self, text: &str, width: f64) -> String {
        let text = legible(text);
        if self.width(&text) <= width {
            return text;
        }
        let mut short: String = text;
        while short.pop().is_some() {
            let cut = format!("{}\u{2026}", short.trim_end());
            if self.width(&cut) <= width {
                return cut;
            }
        }
        String::new()
    }

    fn font(&self) -> &'static FontRef<'static> {
        if self.bold { &BOLD } else { &REGULAR }
    }

    /// Sets `text`, which is legible: each glyph at its place on the baseline, and where it ends.
    #[expect(clippy::cast_possible_truncation, reason = "sizes are small")]
    fn set(&self, text: &str, mut glyph: impl FnMut(Glyph, f32)) {
        let font = self.font();
        // ab_glyph scales by a font's height, ascent to descent, not by its em.
        let em = font.height_unscaled() / font.units_per_em().unwrap_or(2048.0);
        let scale = PxScale::from(self.size as f32 * em);
        let scaled = font.as_scaled(scale);
        let mut x = 0.0;
        let mut before = None;
        for c in text.chars() {
            let id = font.glyph_id(c);
            if let Some(before) = before {
                x += scaled.kern(before, id);
            }
            let end = x + scaled.h_advance(id);
            glyph(id.with_scale_and_position(scale, point(x, 0.0)), end);
            (x, before) = (end, Some(id));
        }
    }
}

/// `text` as a picture may hold it: on one line, and nothing in it that XML does not allow.
fn legible(text: &str) -> String {
    escaped(text)
        .chars()
        .map(|c| match c {
            '\n' => ' ',
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// A text on a surface, in the surface's own units.
pub(super) struct Words {
    text: String,
    face: Face,
    anchor: Anchor,
    upwards: bool,
    top: BackendCoord,
}

impl Words {
    /// `text` with its baseline through `at`; read upwards where `upwards`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a sheet is some thousand units wide"
    )]
    pub(super) fn new(
        text: &str,
        face: Face,
        anchor: Anchor,
        upwards: bool,
        at: (f64, f64),
    ) -> Self {
        let above = ASCENT * face.size;
        let (x, y) = if upwards {
            (at.0 - above, at.1)
        } else {
            (at.0, at.1 - above)
        };
        Self {
            text: legible(text),
            face,
            anchor,
            upwards,
            top: (x.round() as i32, y.round() as i32),
        }
    }
}

impl<'a> PointCollection<'a, BackendCoord> for &'a Words {
    type Point = &'a BackendCoord;
    type IntoIter = std::iter::Once<&'a BackendCoord>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::once(&self.top)
    }
}

impl<B: DrawingBackend> Drawable<B> for Words {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut points: I,
        backend: &mut B,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        match points.next() {
            Some(at) => backend.draw_text(&self.text, self, at),
            None => Ok(()),
        }
    }
}

impl BackendTextStyle for Words {
    type FontError = Infallible;

    fn color(&self) -> BackendColor {
        self.face.colour.color()
    }

    fn size(&self) -> f64 {
        self.face.size * SIZE_PER_EM
    }

    fn transform(&self) -> FontTransform {
        if self.upwards {
            FontTransform::Rotate270
        } else {
            FontTransform::None
        }
    }

    fn style(&self) -> FontStyle {
        if self.face.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        }
    }

    fn anchor(&self) -> Pos {
        let horizontal = match self.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        Pos::new(horizontal, VPos::Top)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name(FAMILY)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a text is some thousand units wide"
    )]
    fn layout_box(&self, text: &str) -> Result<((i32, i32), (i32, i32)), Infallible> {
        let width = self.face.width(text).round() as i32;
        Ok(((0, 0), (width, self.face.size.round() as i32)))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "pixels of a glyph"
    )]
    fn draw<E, DrawFunc: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        text: &str,
        (left, top): BackendCoord,
        mut draw: DrawFunc,
    ) -> Result<Result<(), E>, Infallible> {
        let baseline = (ASCENT * self.face.size).round() as i32;
        let colour = BackendStyle::color(&self.face.colour);
        let mut done = Ok(());
        self.face.set(text, |glyph, _| {
            let Some(outline) = self.face.font().outline_glyph(glyph) else {
                return; // a blank
            };
            let at = outline.px_bounds().min;
            let (x0, y0) = (left + at.x as i32, top + baseline + at.y as i32);
            outline.draw(|x, y, coverage| {
                if done.is_ok() && coverage > 0.0 {
                    let ink = BackendColor {
                        alpha: colour.alpha * f64::from(coverage.min(1.0)),
                        ..colour
                    };
                    done = draw(x0 + x as i32, y0 + y as i32, ink);
                }
            });
        });
        Ok(done)
    }
}
