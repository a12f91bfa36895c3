//! Figures: plain data in, an SVG document or a PNG file out, the same bytes every time.
//!
//! One file per picture. `frame` lays out what stands around the data, `sheet` draws through the
//! plotters crate, `letter` brings its own font, `style` tells series apart in black and white
//! too. Values are in the unit that the axis names: a share on an axis in per cent is 54, not 0.54.

mod axis;
mod bars;
mod criteria;
mod curve;
mod distribution;
mod frame;
mod funnel;
mod heat_map;
mod letter;
mod losses;
mod render;
mod score_bands;
mod sheet;
mod style;

#[cfg(test)]
mod tests;

pub(crate) use bars::BarSeries;
pub(crate) use criteria::Criteria;
pub(crate) use curve::{Abscissa, Curve, CurveSeries};
pub(crate) use distribution::{Distribution, Sample};
pub(crate) use funnel::FunnelFigure;
pub(crate) use heat_map::HeatMap;
pub(crate) use losses::{LossCurve, Losses};
pub(crate) use score_bands::{ScoreBands, band_edges, band_shares};

use crate::metric::Estimate;
use crate::report::interval::telling;
use sheet::Sheet;

/// A value and its interval, in the axis's unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Interval {
    /// The value.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// A value without an interval.
    pub(crate) fn exact(value: f64) -> Self {
        Self {
            value,
            low: value,
            high: value,
        }
    }

    /// The same times `factor`: 100 makes per cent of a share.
    #[must_use]
    pub(crate) fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            low: self.low * factor,
            high: self.high * factor,
        }
    }

    fn is_wide(&self) -> bool {
        self.high > self.low
    }

    /// `54.0 [50.3, 57.7]`, or the value alone where it has no interval.
    fn text(&self, decimals: usize) -> String {
        let Self { value, low, high } = *self;
        if self.is_wide() {
            let decimals = telling(low, high, decimals);
            format!("{value:.decimals$} [{low:.decimals$}, {high:.decimals$}]")
        } else {
            format!("{value:.decimals$}")
        }
    }
}

impl From<&Estimate> for Interval {
    fn from(estimate: &Estimate) -> Self {
        let value = estimate.value;
        let none = Self::exact(value);
        estimate.interval.map_or(none, |bounds| Self {
            value,
            low: bounds.low,
            high: bounds.high,
        })
    }
}

/// The numbers that a figure shows, as a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    /// The columns' names.
    pub header: Vec<String>,
    /// The rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

/// A figure of any kind.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Figure {
    Curve(Curve),
    HeatMap(HeatMap),
    Funnel(FunnelFigure),
    ScoreBands(ScoreBands),
    Distribution(Distribution),
    Criteria(Criteria),
    Losses(Losses),
}

impl Figure {
    /// The figure as an SVG document.
    pub(crate) fn svg(&self) -> String {
        render::svg(self.picture())
    }

    /// The figure as a PNG file, two pixels to the CSS pixel.
    pub(crate) fn png(&self) -> Vec<u8> {
        render::png(self.picture())
    }

    /// What stands above it.
    pub(crate) fn title(&self) -> &str {
        self.picture().title()
    }

    /// What it shows, as numbers.
    pub(crate) fn numbers(&self) -> Numbers {
        self.picture().numbers()
    }

    /// Adds a sentence to what stands below it.
    pub(crate) fn add_to_note(&mut self, sentence: &str) {
        let note = match self {
            Self::Curve(picture) => &mut picture.note,
            Self::HeatMap(picture) => &mut picture.note,
            Self::Funnel(picture) => &mut picture.note,
            Self::ScoreBands(picture) => &mut picture.note,
            Self::Distribution(picture) => &mut picture.note,
            Self::Criteria(picture) => &mut picture.note,
            Self::Losses(picture) => &mut picture.note,
        };
        if !note.is_empty() {
            let end = if note.ends_with('.') { " " } else { ". " };
            note.push_str(end);
        }
        note.push_str(sentence);
    }

    fn picture(&self) -> &dyn Picture {
        match self {
            Self::Curve(picture) => picture,
            Self::HeatMap(picture) => picture,
            Self::Funnel(picture) => picture,
            Self::ScoreBands(picture) => picture,
            Self::Distribution(picture) => picture,
            Self::Criteria(picture) => picture,
            Self::Losses(picture) => picture,
        }
    }
}

/// What can be drawn.
trait Picture {
    fn title(&self) -> &str;
    /// Width and height, in CSS pixels.
    fn size(&self) -> (f64, f64);
    fn draw(&self, sheet: &mut Sheet<'_>);
    fn numbers(&self) -> Numbers;
}

/// A cell of [`Numbers`] without a value.
const NO_VALUE: &str = "-";

fn cell(value: Option<Interval>, decimals: usize) -> String {
    value.map_or_else(|| NO_VALUE.to_owned(), |value| value.text(decimals))
}
