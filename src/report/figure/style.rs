//! What tells series apart: colour, and for those who print in black and white a dash and a marker
//! (lines) or a hatch (bars).

use plotters::style::RGBColor;

use super::letter::Face;
use super::sheet::{Area, Point};

pub(super) const INK: RGBColor = RGBColor(0x1c, 0x1c, 0x1c);
pub(super) const QUIET: RGBColor = RGBColor(0x5a, 0x5a, 0x5a);
pub(super) const RULE: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
pub(super) const WHITE: RGBColor = RGBColor(0xff, 0xff, 0xff);

const fn face(size: f64, bold: bool, colour: RGBColor) -> Face {
    Face { size, bold, colour }
}

pub(super) const TITLE: Face = face(15.0, true, INK);
pub(super) const LABEL: Face = face(12.0, false, INK);
pub(super) const TICK: Face = face(11.0, false, INK);
pub(super) const NOTE: Face = face(10.5, false, QUIET);
/// A line's height, in ems.
pub(super) const LEADING: f64 = 1.3;

/// Lengths of strokes and gaps by turns, in CSS pixels; none for a solid line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Dash(pub(super) &'static [f64]);

/// A marker's form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MarkerShape {
    Disc,
    Square,
    Up,
    Diamond,
    Down,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marker {
    pub(super) form: MarkerShape,
    pub(super) hollow: bool,
}

/// Lines across a bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hatch {
    None,
    Rising,
    Falling,
    Crossed,
    Flat,
    Upright,
    Grid,
}

/// A bar's look.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Fill {
    pub(super) ground: RGBColor,
    pub(super) line: RGBColor,
    pub(super) hatch: Hatch,
}

/// A series' look, as a line and as a bar.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) dash: Dash,
    pub(super) marker: Marker,
    /// How much of the colour a bar's ground has.
    tint: f64,
    hatch: Hatch,
}

const fn look(
    colour: RGBColor,
    dash: &'static [f64],
    form: MarkerShape,
    hollow: bool,
    tint: f64,
    hatch: Hatch,
) -> Look {
    Look {
        colour,
        dash: Dash(dash),
        marker: Marker { form, hollow },
        tint,
        hatch,
    }
}

/// Colours that the colour-blind tell apart too (after Okabe and Ito), darkened for white paper.
#[rustfmt::skip]
const LOOKS: [Look; 10] = [
    look(RGBColor(0x1b, 0x58, 0x9a), &[],                   MarkerShape::Disc,    false, 0.75, Hatch::None),
    look(RGBColor(0xc2, 0x4c, 0x00), &[7.0, 3.0],           MarkerShape::Square,  false, 0.12, Hatch::Rising),
    look(RGBColor(0x00, 0x78, 0x5a), &[2.0, 2.5],           MarkerShape::Up,      false, 0.45, Hatch::None),
    look(RGBColor(0x86, 0x38, 0x8c), &[8.0, 3.0, 2.0, 3.0], MarkerShape::Diamond, false, 0.10, Hatch::Falling),
    look(RGBColor(0x8a, 0x66, 0x00), &[12.0, 4.0],          MarkerShape::Disc,    true,  0.22, Hatch::Crossed),
    look(RGBColor(0x2b, 0x8c, 0xbe), &[4.0, 2.0],           MarkerShape::Square,  true,  0.15, Hatch::None),
    look(RGBColor(0x4a, 0x4a, 0x4a), &[12.0, 3.0, 2.0, 3.0, 2.0, 3.0], MarkerShape::Up, true, 0.08, Hatch::Flat),
    look(RGBColor(0xa0, 0x1c, 0x48), &[3.0, 5.0],           MarkerShape::Diamond, true,  0.10, Hatch::Upright),
    look(RGBColor(0x3b, 0x3b, 0x98), &[6.0, 6.0],           MarkerShape::Down,    false, 0.10, Hatch::Grid),
    look(RGBColor(0x11, 0x11, 0x11), &[1.5, 4.0],           MarkerShape::Down,    true,  0.60, Hatch::None),
];

/// The look of the series at `place`. After ten they come again.
pub(super) fn look_of(place: usize) -> Look {
    LOOKS[place % LOOKS.len()]
}

impl Look {
    pub(super) fn fill(&self) -> Fill {
        Fill {
            ground: tinted(self.colour, self.tint),
            line: self.colour,
            hatch: self.hatch,
        }
    }
}

/// `colour` on white paper.
pub(super) fn tinted(colour: RGBColor, share: f64) -> RGBColor {
    mixed(WHITE, colour, share)
}

/// A colour between two.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 255"
)]
pub(super) fn mixed(from: RGBColor, to: RGBColor, share: f64) -> RGBColor {
    let part =
        |from: u8, to: u8| (f64::from(from) * (1.0 - share) + f64::from(to) * share).round() as u8;
    RGBColor(part(from.0, to.0), part(from.1, to.1), part(from.2, to.2))
}

/// How light a colour is, 0 to 1 (Rec. 709's weights, on the encoded values).
pub(super) fn lightness(RGBColor(red, green, blue): RGBColor) -> f64 {
    (0.2126 * f64::from(red) + 0.7152 * f64::from(green) + 0.0722 * f64::from(blue)) / 255.0
}

impl Marker {
    /// Corners on the unit circle; none for a disc.
    pub(super) fn corners(self) -> Option<Vec<Point>> {
        Some(match self.form {
            MarkerShape::Disc => return None,
            MarkerShape::Square => vec![(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            MarkerShape::Up => vec![(0.0, -1.2), (1.1, 0.85), (-1.1, 0.85)],
            MarkerShape::Down => vec![(0.0, 1.2), (1.1, -0.85), (-1.1, -0.85)],
            MarkerShape::Diamond => vec![(0.0, -1.25), (1.15, 0.0), (0.0, 1.25), (-1.15, 0.0)],
        })
    }
}

impl Dash {
    /// The strokes of a line through `points`.
    pub(super) fn pieces(self, points: &[Point]) -> Vec<Vec<Point>> {
        let mut pieces = Vec::new();
        let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
        let (mut turn, mut left) = (0, self.0[0]);
        for pair in points.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            let mut gone = 0.0;
            while length - gone > left {
                gone += left;
                let share = gone / length;
                let at = (
                    from.0 + (to.0 - from.0) * share,
                    from.1 + (to.1 - from.1) * share,
                );
                if turn % 2 == 0 {
                    piece.push(at);
                    pieces.push(std::mem::take(&mut piece));
                } else {
                    piece = vec![at];
                }
                turn += 1;
                left = self.0[turn % self.0.len()];
            }
            left -= length - gone;
            if turn % 2 == 0 {
                piece.push(to);
            }
        }
        if turn % 2 == 0 && piece.len() > 1 {
            pieces.push(piece);
        }
        pieces
    }
}

impl Hatch {
    /// The hatch's lines within `area`.
    pub(super) fn lines(self, area: Area) -> Vec<(Point, Point)> {
        const GAP: f64 = 5.0;
        let mut lines = Vec::new();
        let (flat, upright, rising, falling) = match self {
            Self::None => return lines,
            Self::Rising => (false, false, true, false),
            Self::Falling => (false, false, false, true),
            Self::Crossed => (false, false, true, true),
            Self::Flat => (true, false, false, false),
            Self::Upright => (false, true, false, false),
            Self::Grid => (true, true, false, false),
        };
        let steps = |length: f64, gap: f64| {
            (1..)
                .map(move |step| f64::from(step) * gap)
                .take_while(move |at| *at < length)
        };
        if flat {
            // From the bottom, so that bars side by side agree.
            lines.extend(steps(area.height(), GAP).map(|at| {
                let y = area.bottom - at;
                ((area.left, y), (area.right, y))
            }));
        }
        if upright {
            lines.extend(steps(area.width(), GAP * 0.8).map(|at| {
                let x = area.left + at;
                ((x, area.top), (x, area.bottom))
            }));
        }
        for (wanted, mirrored) in [(rising, false), (falling, true)] {
            if !wanted {
                continue;
            }
            // The lines x + y = sum, from the lower left corner on; the other way mirrored.
            for sum in steps(area.width() + area.height(), GAP * 1.4) {
                let from = (sum.min(area.width()), (sum - area.width()).max(0.0));
                let to = ((sum - area.height()).max(0.0), sum.min(area.height()));
                let put = |(across, up): Point| {
                    let x = if mirrored {
                        area.right - across
                    } else {
                        area.left + across
                    };
                    (x, area.bottom - up)
                };
                lines.push((put(from), put(to)));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_goes_on_around_a_corner() {
        let pieces = Dash(&[4.0, 2.0]).pieces(&[(0.0, 0.0), (3.0, 0.0), (3.0, 5.0)]);
        assert_eq!(
            pieces,
            vec![
                vec![(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)],
                vec![(3.0, 3.0), (3.0, 5.0)],
            ]
        );
        assert!(Dash(&[4.0, 2.0]).pieces(&[]).is_empty());
    }

    #[test]
    fn hatches_stay_within_their_bar() {
        let area = Area {
            left: 10.0,
            top: 20.0,
            right: 32.0,
            bottom: 90.0,
        };
        for hatch in [Hatch::Rising, Hatch::Falling, Hatch::Crossed, Hatch::Grid] {
            let lines = hatch.lines(area);
            assert!(lines.len() > 5, "{hatch:?}");
            for (from, to) in lines {
                for (x, y) in [from, to] {
                    assert!((10.0..=32.0).contains(&x) && (20.0..=90.0).contains(&y));
                }
            }
        }
    }

    /// In grey, neighbours differ by the ground or by the hatch.
    #[test]
    fn bars_side_by_side_differ_without_colour() {
        for place in 1..LOOKS.len() {
            let (a, b) = (look_of(place - 1).fill(), look_of(place).fill());
            let grounds = (lightness(a.ground) - lightness(b.ground)).abs();
            assert!(a.hatch != b.hatch || grounds > 0.15, "{place}");
            assert_ne!(look_of(place - 1).dash, look_of(place).dash);
        }
    }
}
