//! The scores of answers, by which they are chosen and weighed: their own, and those of the paths that they were scored as.

use std::collections::{BTreeMap, BTreeSet};

use super::params::LOG_PROB;
use super::{EvalParams, MetricError};
use crate::text::{Prediction, ReasoningPath};

/// An answer: its question's id, and which of the answers to it.
type AnswerId<'a> = (&'a str, u32);

/// Scores by answer and name.
pub(super) struct Scores<'a> {
    by_answer: BTreeMap<AnswerId<'a>, BTreeMap<&'a str, f64>>,
    /// The names of all, those of scores included that were asked for and of no answer could be read.
    names: BTreeSet<&'a str>,
}

impl<'a> Scores<'a> {
    /// The mean log-probability of each answer's tokens, where it is known, and what the paths of `scored` carry.
    ///
    /// # Errors
    /// Answers that are not among the paths.
    pub(super) fn of(
        predictions: &'a [Prediction],
        scored: Option<&'a [ReasoningPath]>,
    ) -> Result<Self, MetricError> {
        let paths: Option<BTreeMap<AnswerId<'_>, &ReasoningPath>> = scored.map(|paths| {
            let by_answer = paths.iter();
            by_answer
                .map(|path| ((path.question_id.as_str(), path.draw), path))
                .collect()
        });
        let mut scores = BTreeMap::new();
        let mut missing: Vec<AnswerId<'_>> = Vec::new();
        let unread = scored.into_iter().flatten().flat_map(|path| &path.unparsed);
        let mut names: BTreeSet<&str> = unread.map(String::as_str).collect();
        for answer in predictions {
            let id = (answer.question_id.as_str(), answer.draw);
            let own = answer.log_prob.and_then(|sum| sum.mean());
            let mut of_answer: BTreeMap<&str, f64> =
                own.map(|own| (LOG_PROB, own)).into_iter().collect();
            if let Some(paths) = &paths {
                match paths.get(&id).filter(|path| path.text == answer.output) {
                    Some(path) => of_answer.extend(
                        path.scores
                            .iter()
                            .map(|(name, score)| (name.as_str(), *score)),
                    ),
                    None => missing.push(id),
                }
            }
            names.extend(of_answer.keys());
            scores.insert(id, of_answer);
        }
        match missing.first() {
            None => Ok(Self {
                by_answer: scores,
                names,
            }),
            Some((question_id, draw)) => Err(MetricError::NotScored {
                missing: missing.len(),
                answers: predictions.len(),
                question_id: (*question_id).to_owned(),
                draw: *draw,
            }),
        }
    }

    /// The score `name` of an answer.
    pub(super) fn get(&self, answer: &Prediction, name: &str) -> Option<f64> {
        let scores = self
            .by_answer
            .get(&(answer.question_id.as_str(), answer.draw))?;
        scores.get(name).copied()
    }

    /// An error where a score that was asked for by name is nobody's. What nobody asked for need not be there.
    pub(super) fn check(&self, params: &EvalParams) -> Result<(), MetricError> {
        let usual = EvalParams::default();
        for (key, name, usual) in [
            ("best_by", &params.best_by, usual.best_by),
            ("vote_by", &params.vote_by, usual.vote_by),
        ] {
            if *name != usual && !self.names.contains(name.as_str()) {
                return Err(MetricError::NoScore {
                    key,
                    name: name.clone(),
                    answers: self.by_answer.len(),
                    known: self.known(),
                });
            }
        }
        Ok(())
    }

    /// The names that there are, for a person.
    fn known(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }
}
