//! What each filter step left of the paths.

use super::axis::{Axis, number};
use super::frame::{Frame, Key, Setting};
use super::letter::Anchor;
use super::sheet::{Area, Sheet};
use super::style::{Look, NOTE, TICK, look_of};
use super::{Numbers, Picture};
use crate::filter::Funnel;
use crate::report::interval::share_text;

/// Paths left after each filter step, as bars.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct FunnelFigure {
    /// What stands above.
    pub title: String,
    /// What stands below.
    pub note: String,
    /// Questions that were given, with or without paths.
    pub questions: usize,
    /// What came in, then each step.
    pub bars: Vec<FunnelBar>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FunnelBar {
    /// Its name.
    pub name: String,
    /// Paths that it dropped.
    pub dropped: usize,
    /// Of these, how many by which of its rules, where it has several.
    pub by_rule: Vec<(String, usize)>,
    /// Paths left after it.
    pub left: usize,
    /// Questions that still have a path.
    pub questions_left: usize,
}

impl FunnelFigure {
    /// The figure of a filter's counts.
    pub(crate) fn new(title: impl Into<String>, funnel: &Funnel) -> Self {
        // The first row is what came in, so that a step stands one row below its place.
        let rules = std::iter::once(Vec::new()).chain(funnel.steps.iter().map(|step| {
            let rules = step.by_rule.iter();
            rules.map(|(rule, count)| (rule.clone(), *count)).collect()
        }));
        let bar = |((name, dropped, left, questions_left), by_rule)| FunnelBar {
            name,
            dropped,
            by_rule,
            left,
            questions_left,
        };
        let concluded = &funnel.conclusions;
        Self {
            title: title.into(),
            note: format!(
                "Of the {} kept paths, {} conclude as the gold answer, {} against it, {} not at all.",
                number(funnel.kept as f64, 0),
                number(concluded.agree as f64, 0),
                number(concluded.contradict as f64, 0),
                number(concluded.none as f64, 0)
            ),
            questions: funnel.questions,
            bars: funnel.rows().into_iter().zip(rules).map(bar).collect(),
        }
    }

    fn most(&self) -> usize {
        let all = self.bars.iter().map(|bar| bar.left + bar.dropped);
        all.max().unwrap_or_default()
    }

    /// What is written beside a bar.
    fn counts(&self, bar: &FunnelBar) -> (String, String) {
        let share = share_text(bar.left as u64, self.most() as u64);
        let left = format!("{} ({share})", number(bar.left as f64, 0));
        let questions = format!(
            "{} of {} questions",
            number(bar.questions_left as f64, 0),
            number(self.questions as f64, 0)
        );
        (left, questions)
    }

    fn frame(&self) -> Frame {
        let widest = (self.bars.iter())
            .flat_map(|bar| {
                let (left, questions) = self.counts(bar);
                [TICK.width(&left), NOTE.width(&questions)]
            })
            .fold(0.0, f64::max);
        // The first step stands on top.
        let names = self.bars.iter().rev().map(|bar| bar.name.as_str());
        let ends = [0.0, self.most().max(1) as f64];
        let mut x = Axis::round("paths", ends, 5);
        x.high = ends[1];
        x.ticks.retain(|tick| tick.at <= ends[1]);
        let [left, dropped] = looks();
        Frame::new(Setting {
            title: &self.title,
            note: &self.note,
            legend: vec![
                (Key::Bar(left), "left".to_owned()),
                (Key::Bar(dropped), "dropped by this step".to_owned()),
            ],
            width: 720.0,
            panel_height: (self.bars.len() as f64 * 36.0).max(60.0),
            x,
            y: Axis::names("", names),
            above: 0.0,
            right: widest + 10.0,
        })
    }
}

fn looks() -> [Look; 2] {
    [look_of(0), look_of(1)]
}

impl Picture for FunnelFigure {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (f64, f64) {
        self.frame().size()
    }

    fn draw(&self, sheet: &mut Sheet<'_>) {
        let frame = self.frame();
        frame.draw(sheet);
        let [left, dropped] = looks();
        for (place, bar) in self.bars.iter().rev().enumerate() {
            let middle = frame.up(place as f64);
            let area = |from: usize, to: usize| Area {
                left: frame.across(from as f64),
                top: middle - 12.0,
                right: frame.across(to as f64),
                bottom: middle + 12.0,
            };
            if bar.dropped > 0 {
                sheet.filled(area(bar.left, bar.left + bar.dropped), dropped.fill());
            }
            if bar.left > 0 {
                sheet.filled(area(0, bar.left), left.fill());
            }
            let (paths, questions) = self.counts(bar);
            let x = frame.panel.right + 8.0;
            sheet.text(&paths, TICK, Anchor::Start, (x, middle - 2.0));
            sheet.text(&questions, NOTE, Anchor::Start, (x, middle + 11.5));
        }
        frame.draw_edges(sheet);
    }

    fn numbers(&self) -> Numbers {
        let header = ["step", "dropped", "left", "questions left"];
        let mut rows = Vec::new();
        for bar in &self.bars {
            rows.push(vec![
                bar.name.clone(),
                bar.dropped.to_string(),
                bar.left.to_string(),
                bar.questions_left.to_string(),
            ]);
            for (rule, count) in &bar.by_rule {
                let rule = format!("of these: {rule}");
                rows.push(vec![rule, count.to_string(), String::new(), String::new()]);
            }
        }
        Numbers {
            header: header.map(str::to_owned).to_vec(),
            rows,
        }
    }
}
