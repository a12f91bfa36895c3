//! The paper's Figure 3: mean judge scores for each criterion and arm.

use super::axis::Axis;
use super::bars::{BarGroup, BarSeries, Bars};
use super::sheet::Sheet;
use super::{Numbers, Picture};

/// Mean scores by criterion.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Criteria {
    /// What stands above.
    pub title: String,
    /// What stands below: what the intervals are, how many cases there are.
    pub note: String,
    /// Whose score it is, with its unit, for example `mean score of the judge (0 to 10)`.
    pub score: String,
    /// The ends of the scale, where it has any: 0 and 10 for the paper's judge.
    pub scale: Option<(f64, f64)>,
    /// The criteria.
    pub groups: Vec<BarGroup>,
    /// The arms, each with a mean for each criterion.
    pub series: Vec<BarSeries>,
}

impl Criteria {
    fn bars(&self) -> Bars<'_> {
        let values = (self
            .series
            .iter()
            .flat_map(|series| &series.values)
            .flatten())
        .flat_map(|each| [each.low, each.high]);
        // Bars begin at nothing; a mean near the ends of the scale is seen to be near them.
        let (low, high) = self.scale.unwrap_or((0.0, 0.0));
        Bars {
            title: &self.title,
            note: &self.note,
            x_label: "",
            y: Axis::round(&self.score, values.chain([0.0, low, high]), 5),
            groups: &self.groups,
            series: &self.series,
        }
    }
}

impl Picture for Criteria {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (f64, f64) {
        self.bars().frame().size()
    }

    fn draw(&self, sheet: &mut Sheet<'_>) {
        self.bars().draw(sheet);
    }

    fn numbers(&self) -> Numbers {
        let mut numbers = self.bars().numbers(2);
        "criterion".clone_into(&mut numbers.header[0]);
        numbers
    }
}
