//! The paper's Figure 4: how scores are distributed after each filter step, as box plots.

use super::axis::{Axis, number};
use super::frame::{Frame, Key, Setting};
use super::letter::Anchor;
use super::sheet::{Area, Sheet};
use super::style::{INK, LEADING, Marker, MarkerShape, NOTE, WHITE, look_of};
use super::{NO_VALUE, Numbers, Picture};

/// Box plots of scores: groups along the axis, one box for each sample in them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Distribution {
    /// What stands above.
    pub title: String,
    /// What stands below, before the words that say what a box is.
    pub note: String,
    /// Which score it is, with its unit.
    pub score: String,
    /// The ends of the scale, where it has any.
    pub scale: Option<(f64, f64)>,
    /// The groups along the horizontal axis: raw, +pattern, +length...
    pub steps: Vec<String>,
    /// What is compared within a group, such as criteria: each with a sample for each step.
    pub samples: Vec<Sample>,
}

/// The scores of one thing at each step.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Sample {
    /// What the legend calls it; shown where there are several.
    pub name: String,
    /// The scores, by step.
    pub scores: Vec<Vec<f64>>,
}

const WHAT_A_BOX_IS: &str = "Box: quartiles and median; whiskers: 5th and 95th percentile; diamond: mean; above each, how many scores.";

/// What a box shows.
struct Summary {
    n: usize,
    mean: f64,
    /// The 5th, 25th, 50th, 75th and 95th percentile.
    at: [f64; 5],
}

impl Summary {
    /// Of the scores that are numbers; `None` where there are none.
    fn of(scores: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        if sorted.is_empty() {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            n: sorted.len(),
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
            at: [0.05, 0.25, 0.5, 0.75, 0.95].map(|share| quantile(&sorted, share)),
        })
    }
}

/// The quantile of sorted values, interpolated linearly (Hyndman and Fan's type 7, as elsewhere).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to the last place"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

impl Sample {
    fn summary(&self, step: usize) -> Option<Summary> {
        self.scores.get(step).and_then(|scores| Summary::of(scores))
    }
}

impl Distribution {
    fn summaries(&self) -> impl Iterator<Item = Summary> {
        let places = self
            .samples
            .iter()
            .flat_map(|sample| (0..self.steps.len()).map(move |step| (sample, step)));
        places.filter_map(|(sample, step)| sample.summary(step))
    }

    fn frame(&self) -> Frame {
        let shown = self
            .summaries()
            .flat_map(|each| [each.at[0], each.at[4], each.mean]);
        let y = match self.scale {
            Some((low, high)) => Axis::round(&self.score, shown.chain([low, high]), 5),
            None => Axis::round(&self.score, shown, 5),
        }
        .within(self.scale);
        let entry =
            |(place, sample): (usize, &Sample)| (Key::Bar(look_of(place)), sample.name.clone());
        let legend = match self.samples.len() {
            0 | 1 => Vec::new(),
            _ => self.samples.iter().enumerate().map(entry).collect(),
        };
        let levels = if self.samples.len() > 1 { 2.0 } else { 1.0 };
        let boxes = (self.steps.len() * (self.samples.len() + 1)) as f64;
        Frame::new(Setting {
            title: &self.title,
            note: &format!("{} {WHAT_A_BOX_IS}", self.note),
            legend,
            width: (boxes * 30.0 + 90.0).clamp(720.0, 1100.0),
            panel_height: 320.0,
            x: Axis::names("", self.steps.iter().map(String::as_str)),
            y,
            above: levels * NOTE.size * LEADING,
            right: 4.0,
        })
    }
}

impl Picture for Distribution {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (f64, f64) {
        self.frame().size()
    }

    fn draw(&self, sheet: &mut Sheet<'_>) {
        let frame = self.frame();
        frame.draw(sheet);
        let slot = frame.place() * 0.86 / self.samples.len().max(1) as f64;
        let wide = (slot * 0.78).min(44.0);
        for step in 0..self.steps.len() {
            let first = frame.across(step as f64) - slot * (self.samples.len() as f64 - 1.0) / 2.0;
            for (place, sample) in self.samples.iter().enumerate() {
                let x = first + slot * place as f64;
                if let Some(summary) = sample.summary(step) {
                    let at = summary.at.map(|value| frame.up(value));
                    draw_box(sheet, x, wide, at, frame.up(summary.mean), place);
                    // Where the place is narrow, they stand on two levels by turns.
                    let n = counted(summary.n);
                    let raised = NOTE.width(&n) > slot - 4.0 && place % 2 == 1;
                    let above = if raised {
                        6.0 + NOTE.size * LEADING
                    } else {
                        6.0
                    };
                    let at = (x, frame.panel.top - above);
                    sheet.text(&n, NOTE, Anchor::Middle, at);
                } else {
                    let y = frame.panel.bottom - 6.0;
                    sheet.text("none", NOTE, Anchor::Middle, (x, y));
                }
            }
        }
        frame.draw_edges(sheet);
    }

    fn numbers(&self) -> Numbers {
        let header = [
            "step", "of", "n", "mean", "5 %", "25 %", "median", "75 %", "95 %",
        ];
        let mut rows = Vec::new();
        for (step, name) in self.steps.iter().enumerate() {
            for sample in &self.samples {
                let mut row = vec![name.clone(), sample.name.clone()];
                if let Some(summary) = sample.summary(step) {
                    row.push(summary.n.to_string());
                    row.push(format!("{:.3}", summary.mean));
                    row.extend(summary.at.map(|value| format!("{value:.3}")));
                } else {
                    row.push("0".to_owned());
                    row.extend(std::iter::repeat_n(NO_VALUE.to_owned(), 6));
                }
                rows.push(row);
            }
        }
        Numbers {
            header: header.map(str::to_owned).to_vec(),
            rows,
        }
    }
}

fn counted(n: usize) -> String {
    number(n as f64, 0)
}

/// A box at `x`, its percentiles and mean as places on the sheet.
fn draw_box(sheet: &mut Sheet<'_>, x: f64, wide: f64, at: [f64; 5], mean: f64, place: usize) {
    let [least, lower, median, upper, most] = at;
    let half = wide / 2.0;
    sheet.line(&[(x, least), (x, lower)], INK, 1.1);
    sheet.line(&[(x, upper), (x, most)], INK, 1.1);
    for y in [least, most] {
        sheet.line(&[(x - half * 0.5, y), (x + half * 0.5, y)], INK, 1.1);
    }
    let area = Area {
        left: x - half,
        top: upper,
        right: x + half,
        bottom: lower,
    };
    sheet.filled(area, look_of(place).fill());
    // Edged in white, so that the median is seen on a dark ground and on a hatch of flat lines.
    sheet.line(&[(x - half, median), (x + half, median)], WHITE, 4.0);
    sheet.line(&[(x - half, median), (x + half, median)], INK, 2.2);
    let diamond = Marker {
        form: MarkerShape::Diamond,
        hollow: true,
    };
    sheet.marker((x, mean), diamond, INK, 4.5);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_what_its_note_says() {
        // numpy.percentile([0..10], [5, 25, 50, 75, 95])
        let scores: Vec<f64> = (0..=10).rev().map(f64::from).chain([f64::NAN]).collect();
        let summary = Summary::of(&scores).unwrap();
        assert_eq!(summary.n, 11);
        for (found, expected) in summary.at.iter().zip([0.5, 2.5, 5.0, 7.5, 9.5]) {
            assert!((found - expected).abs() < 1e-12, "{:?}", summary.at);
        }
        assert!((summary.mean - 5.0).abs() < 1e-12);
        assert!(Summary::of(&[f64::NAN]).is_none());
    }
}
