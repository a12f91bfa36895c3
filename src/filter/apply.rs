//! Applies the steps in order, each to what the step before kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::conclusions::tally;
use super::listed::Planned;
use super::step::{Candidate, Run, by_id};
use super::{Conclusions, FilterError, FilterParams, Funnel, FunnelStep};
use crate::text::{DropReason, FilterDecision, FilteredPath, Question, ReasoningPath};

/// All paths with what was decided about them, and the counts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Filtered {
    /// Every path, in input order.
    pub paths: Vec<FilteredPath>,
    /// How many each step dropped.
    pub funnel: Funnel,
}

impl Filtered {
    /// The kept paths, in input order.
    pub fn kept(&self) -> impl Iterator<Item = &ReasoningPath> {
        self.paths
            .iter()
            .filter(|each| each.decision == FilterDecision::Kept)
            .map(|each| &each.path)
    }
}

/// Filters `paths`. `seed` decides ties and random choices, through a hash of it and each path's stream.
///
/// # Errors
/// Parameters at odds, a path of an unknown question, or a path that lacks what a step needs
/// (tokens, log-probabilities, a score).
pub fn filter(
    paths: Vec<ReasoningPath>,
    questions: &[Question],
    params: &FilterParams,
    seed: u64,
) -> Result<Filtered, FilterError> {
    params.check()?;
    let questions = by_id(questions)?;
    let mut of_path = Vec::with_capacity(paths.len());
    for path in &paths {
        let question = questions.get(path.question_id.as_str());
        of_path.push(*question.ok_or_else(|| FilterError::UnknownQuestion {
            question_id: path.question_id.clone(),
            questions: questions.len(),
        })?);
    }
    let candidates: Vec<Candidate<'_>> = (paths.iter().zip(of_path))
        .map(|(path, question)| Candidate { path, question })
        .collect();
    let run = Run { params, seed };
    let mut sieve = Sieve::new(&candidates);
    for step in params.planned()? {
        sieve.step(&step, &run)?;
    }
    let (decisions, funnel) = sieve.finish(questions.len());
    let paths: Vec<FilteredPath> = paths
        .into_iter()
        .zip(decisions)
        .map(|(path, decision)| FilteredPath { path, decision })
        .collect();
    let mut filtered = Filtered { paths, funnel };
    filtered.funnel.conclusions = tally(filtered.kept(), &questions, params.reading)?;
    Ok(filtered)
}

/// Decisions and counts, as each step adds to them.
struct Sieve<'p> {
    candidates: &'p [Candidate<'p>],
    decisions: Vec<FilterDecision>,
    steps: Vec<FunnelStep>,
}

impl<'p> Sieve<'p> {
    fn new(candidates: &'p [Candidate<'p>]) -> Self {
        Self {
            candidates,
            decisions: vec![FilterDecision::Kept; candidates.len()],
            steps: Vec::new(),
        }
    }

    fn left(&self) -> Vec<usize> {
        (0..self.candidates.len())
            .filter(|&i| self.decisions[i] == FilterDecision::Kept)
            .collect()
    }

    fn step(&mut self, planned: &Planned, run: &Run<'_>) -> Result<(), FilterError> {
        let before = self.left();
        let left: Vec<Candidate<'_>> = before.iter().map(|&i| self.candidates[i]).collect();
        let found = planned.step.drop_reasons(&left, run);
        let found = found.map_err(|missing| planned.lacks(*missing))?;
        let mut by_rule = BTreeMap::new();
        let mut dropped = 0;
        for (i, reason) in before.iter().zip(found) {
            let Some(reason) = reason else {
                continue;
            };
            dropped += 1;
            if let Some(rule) = reason.rule {
                *by_rule.entry(rule.to_owned()).or_default() += 1;
            }
            self.decisions[*i] = FilterDecision::Dropped(DropReason {
                by: planned.name.clone(),
                because: reason.because,
            });
        }
        self.steps.push(FunnelStep {
            name: planned.name.clone(),
            dropped,
            by_rule,
            left: before.len() - dropped,
            questions_left: self.questions(&self.left()),
        });
        Ok(())
    }

    fn questions(&self, places: &[usize]) -> usize {
        let ids: std::collections::BTreeSet<&str> = places
            .iter()
            .map(|&i| self.candidates[i].path.question_id.as_str())
            .collect();
        ids.len()
    }

    fn finish(self, questions: usize) -> (Vec<FilterDecision>, Funnel) {
        let left = self.left();
        let funnel = Funnel {
            questions,
            paths: self.candidates.len(),
            kept: left.len(),
            questions_kept: self.questions(&left),
            conclusions: Conclusions::default(),
            steps: self.steps,
        };
        assert!(
            funnel.adds_up(),
            "every path is kept or dropped by one step"
        );
        (self.decisions, funnel)
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
