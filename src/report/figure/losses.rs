//! Training and validation loss by epoch.

use super::axis::Axis;
use super::frame::{Frame, Key, Setting};
use super::sheet::{Point, Sheet};
use super::style::{Dash, look_of};
use super::{NO_VALUE, Numbers, Picture};
use crate::model::train::LossPoint;

/// Loss curves of one or several trainings.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Losses {
    /// What stands above.
    pub title: String,
    /// What stands below.
    pub note: String,
    /// The trainings.
    pub trainings: Vec<LossCurve>,
}

/// The losses of one training.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LossCurve {
    /// The stage.
    pub name: String,
    /// One point for each epoch.
    pub points: Vec<LossPoint>,
}

/// Validation losses are dashed.
const DASH: Dash = Dash(&[5.0, 3.0]);

impl Losses {
    /// What the curves are.
    pub(crate) const NOTE: &'static str = "Training: mean over each epoch as the weights changed, with dropout if it has any. Validation: at its end, without.";

    fn frame(&self) -> Frame {
        let points = || self.trainings.iter().flat_map(|each| &each.points);
        let losses = points().flat_map(|point| [Some(point.train_loss), point.validation_loss]);
        let epochs: Vec<f64> = points().map(|point| point.epoch as f64).collect();
        let mut legend: Vec<(Key, String)> = Vec::new();
        for (place, training) in self.trainings.iter().enumerate() {
            let look = look_of(place);
            let validated = (training.points.iter()).any(|point| point.validation_loss.is_some());
            let key = |dash, marker| Key::Line(look.colour, dash, marker);
            let name = |what: &str| format!("{}, {what}", training.name);
            legend.push((key(Dash(&[]), Some(look.marker)), name("training")));
            if validated {
                legend.push((key(DASH, None), name("validation")));
            }
        }
        Frame::new(Setting {
            title: &self.title,
            note: &self.note,
            legend,
            width: 720.0,
            panel_height: 280.0,
            x: whole_epochs(&epochs),
            y: Axis::round("loss (nats per token)", losses.flatten(), 6),
            above: 0.0,
            right: 10.0,
        })
    }
}

/// An axis of epochs: whole numbers only.
fn whole_epochs(epochs: &[f64]) -> Axis {
    let mut axis = Axis::tight("epoch", epochs, 10);
    axis.ticks.retain(|tick| tick.at.fract().abs() < 1e-9);
    axis
}

impl Picture for Losses {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (f64, f64) {
        self.frame().size()
    }

    fn draw(&self, sheet: &mut Sheet<'_>) {
        let frame = self.frame();
        frame.draw(sheet);
        frame.draw_edges(sheet);
        for (place, training) in self.trainings.iter().enumerate() {
            let look = look_of(place);
            let line = |loss: fn(&LossPoint) -> Option<f64>| -> Vec<Point> {
                (training.points.iter())
                    .filter_map(|point| Some((point.epoch as f64, loss(point)?)))
                    .filter(|(_, loss)| loss.is_finite())
                    .map(|(epoch, loss)| frame.at(epoch, loss))
                    .collect()
            };
            let validated = line(|point| point.validation_loss);
            sheet.dashed(&validated, look.colour, 1.6, DASH);
            if validated.len() == 1 {
                sheet.marker(validated[0], look.marker, look.colour, 3.0);
            }
            let trained = line(|point| Some(point.train_loss));
            sheet.line(&trained, look.colour, 1.8);
            // Many epochs: a marker on each would hide the line.
            let every = trained.len().div_ceil(20).max(1);
            for point in trained.iter().step_by(every) {
                sheet.marker(*point, look.marker, look.colour, 3.5);
            }
        }
    }

    fn numbers(&self) -> Numbers {
        let header = [
            "training",
            "epoch",
            "step",
            "training loss",
            "validation loss",
        ];
        let rows = self.trainings.iter().flat_map(|training| {
            training.points.iter().map(|point| {
                let validation = point.validation_loss;
                vec![
                    training.name.clone(),
                    point.epoch.to_string(),
                    point.step.to_string(),
                    format!("{:.4}", point.train_loss),
                    validation.map_or_else(|| NO_VALUE.to_owned(), |loss| format!("{loss:.4}")),
                ]
            })
        });
        Numbers {
            header: header.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }
    }
}
