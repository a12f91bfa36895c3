//! The steps in order, each on what the step before kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::conclusions::tally;
use super::{
    Conclusions, FilterError, FilterParams, Funnel, FunnelStep, direct_response,
    repetitive_options, select,
};
use crate::text::{
    EndReason, JudgedPath, Question, ReasoningPath, Verdict, imitative_complete, rep_n,
};

/// All paths judged, and the counts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Filtered {
    /// Every path, in input order.
    pub judged: Vec<JudgedPath>,
    /// How many each step dropped.
    pub funnel: Funnel,
}

impl Filtered {
    /// The kept paths, in input order.
    pub fn kept(&self) -> impl Iterator<Item = &ReasoningPath> {
        self.judged
            .iter()
            .filter(|each| each.verdict == Verdict::Kept)
            .map(|each| &each.path)
    }
}

/// A reason to drop a path: the rule within the step, and what it saw.
pub(super) struct Fault {
    pub(super) rule: Option<&'static str>,
    pub(super) because: String,
}

impl Fault {
    pub(super) fn new(because: String) -> Self {
        Self {
            rule: None,
            because,
        }
    }

    /// A judge was asked for the score `name`, and what it wrote could not be read.
    pub(super) fn unparsed(name: &str) -> Self {
        Self {
            rule: Some("unparsed"),
            because: format!("{name} is unparsed: the judge's reply has no such score"),
        }
    }
}

/// Judges `paths`. `seed` decides ties and random choices, through a hash of it and each path's row.
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
    let mut sieve = Sieve::new(&paths);
    if params.ended.enabled {
        sieve.step("ended", |_, path| Ok(ended(path)))?;
    }
    if params.pattern.enabled {
        sieve.step("pattern", |i, path| Ok(pattern(params, of_path[i], path)))?;
    }
    if params.length.enabled {
        sieve.step("length", |_, path| length(params, path))?;
    }
    if params.repetition.enabled {
        sieve.step("repetition", |_, path| repetition(params, path))?;
    }
    if params.perplexity.enabled {
        sieve.step("perplexity", |_, path| perplexity(params, path))?;
    }
    for limit in &params.scores {
        let name = format!("score {}", limit.name);
        // Beside `unparsed`, what the others are dropped by needs a name too.
        let unparsed = |&place: &usize| paths[place].unparsed.contains(&limit.name);
        let rule = sieve.left().iter().any(unparsed).then_some("out-of-range");
        sieve.step(&name, |_, path| {
            let Some(found) = score(path, &limit.name)? else {
                return Ok(Some(Fault::unparsed(&limit.name)));
            };
            let range = range(limit.min, limit.max);
            let low = limit.min.is_some_and(|min| found.is_nan() || found < min);
            let high = limit.max.is_some_and(|max| found.is_nan() || found > max);
            Ok((low || high).then(|| Fault {
                rule,
                because: format!("{} {found}, {range} wanted", limit.name),
            }))
        })?;
    }
    let mut losers = select::losers(&sieve.left(), &paths, params, seed)?;
    sieve.step("select", |i, _| Ok(losers.remove(&i)))?;
    let (verdicts, funnel) = sieve.finish(questions.len());
    let judged: Vec<JudgedPath> = paths
        .into_iter()
        .zip(verdicts)
        .map(|(path, verdict)| JudgedPath { path, verdict })
        .collect();
    let mut filtered = Filtered { judged, funnel };
    filtered.funnel.conclusions = tally(filtered.kept(), &questions, params.reading)?;
    Ok(filtered)
}

pub(super) fn by_id(questions: &[Question]) -> Result<BTreeMap<&str, &Question>, FilterError> {
    let mut map = BTreeMap::new();
    for question in questions {
        if map.insert(question.id.as_str(), question).is_some() {
            return Err(FilterError::DuplicateQuestion {
                question_id: question.id.clone(),
            });
        }
    }
    Ok(map)
}

/// A text that its student or its server cut. Of a recorded one that does not say why it ended, nothing is held
/// against it.
fn ended(path: &ReasoningPath) -> Option<Fault> {
    let because = "it ended by length, not by itself";
    (path.end == EndReason::Length).then(|| Fault::new(because.into()))
}

fn pattern(params: &FilterParams, question: &Question, path: &ReasoningPath) -> Option<Fault> {
    let rules = &params.pattern;
    let (rule, because) = if rules.imitative && imitative_complete(&path.text) {
        (
            "imitative",
            "imitative: it asks a question again, `Question: ... Answer:`",
        )
    } else if rules.direct_response && direct_response(question, &path.text, params.reading) {
        (
            "direct-response",
            "direct response: an answer without reasoning",
        )
    } else if rules.repetitive_options && repetitive_options(question, &path.text) {
        (
            "repetitive-options",
            "repetitive options: it lists options again",
        )
    } else {
        return None;
    };
    Some(Fault {
        rule: Some(rule),
        because: because.into(),
    })
}

fn length(params: &FilterParams, path: &ReasoningPath) -> Result<Option<Fault>, FilterError> {
    let count = tokens("length", path)?.len();
    let limit = &params.length;
    let fault = if count < limit.min_tokens as usize {
        Some(format!(
            "{count} tokens, at least {} wanted",
            limit.min_tokens
        ))
    } else {
        limit
            .max_tokens
            .filter(|&max| count > max as usize)
            .map(|max| format!("{count} tokens, at most {max} wanted"))
    };
    Ok(fault.map(Fault::new))
}

fn repetition(params: &FilterParams, path: &ReasoningPath) -> Result<Option<Fault>, FilterError> {
    let limit = &params.repetition;
    let rate = rep_n(tokens("repetition", path)?, limit.n as usize);
    let because = || {
        format!(
            "rep-{} {rate:.3}, at most {} wanted",
            limit.n, limit.max_rate
        )
    };
    Ok((rate > limit.max_rate).then(|| Fault::new(because())))
}

fn perplexity(params: &FilterParams, path: &ReasoningPath) -> Result<Option<Fault>, FilterError> {
    let limit = &params.perplexity;
    let found = path_perplexity("perplexity", path)?;
    let low = found.is_nan() || found < limit.min_perplexity;
    let high = limit.max_perplexity.is_some_and(|max| found > max);
    let range = range(Some(limit.min_perplexity), limit.max_perplexity);
    Ok((low || high).then(|| Fault::new(format!("perplexity {found:.3}, {range} wanted"))))
}

fn range(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "anything".into(),
    }
}

/// A path's student tokens. A text that was never tokenised has none; an empty text truly has none.
pub(super) fn tokens<'p>(
    step: &'static str,
    path: &'p ReasoningPath,
) -> Result<&'p [u32], FilterError> {
    if path.tokens.is_empty() && !path.text.is_empty() {
        return Err(FilterError::NoTokens {
            step,
            question_id: path.question_id.clone(),
        });
    }
    Ok(&path.tokens)
}

pub(super) fn path_perplexity(
    step: &'static str,
    path: &ReasoningPath,
) -> Result<f64, FilterError> {
    let known = path.log_prob.and_then(|summary| summary.perplexity());
    known.ok_or_else(|| FilterError::NoLogProb {
        step,
        question_id: path.question_id.clone(),
    })
}

/// The score `name`; `None` where a stage asked for it and could not read it.
pub(super) fn score(path: &ReasoningPath, name: &str) -> Result<Option<f64>, FilterError> {
    if path.unparsed.contains(name) {
        return Ok(None);
    }
    path.scores.get(name).copied().map(Some).ok_or_else(|| {
        let names: Vec<&str> = path.scores.keys().map(String::as_str).collect();
        FilterError::NoScore {
            name: name.to_owned(),
            question_id: path.question_id.clone(),
            found: if names.is_empty() {
                "none".into()
            } else {
                names.join(", ")
            },
        }
    })
}

/// Verdicts and counts as they grow.
struct Sieve<'p> {
    paths: &'p [ReasoningPath],
    verdicts: Vec<Verdict>,
    steps: Vec<FunnelStep>,
}

impl<'p> Sieve<'p> {
    fn new(paths: &'p [ReasoningPath]) -> Self {
        Self {
            paths,
            verdicts: vec![Verdict::Kept; paths.len()],
            steps: Vec::new(),
        }
    }

    fn left(&self) -> Vec<usize> {
        (0..self.paths.len())
            .filter(|&i| self.verdicts[i] == Verdict::Kept)
            .collect()
    }

    fn step(
        &mut self,
        name: &str,
        mut test: impl FnMut(usize, &ReasoningPath) -> Result<Option<Fault>, FilterError>,
    ) -> Result<(), FilterError> {
        let before = self.left();
        let mut by_rule = BTreeMap::new();
        let mut dropped = 0;
        for &i in &before {
            if let Some(fault) = test(i, &self.paths[i])? {
                dropped += 1;
                if let Some(rule) = fault.rule {
                    *by_rule.entry(rule.to_owned()).or_default() += 1;
                }
                self.verdicts[i] = Verdict::Dropped {
                    by: name.to_owned(),
                    because: fault.because,
                };
            }
        }
        self.steps.push(FunnelStep {
            name: name.to_owned(),
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
            .map(|&i| self.paths[i].question_id.as_str())
            .collect();
        ids.len()
    }

    fn finish(self, questions: usize) -> (Vec<Verdict>, Funnel) {
        let left = self.left();
        let funnel = Funnel {
            questions,
            paths: self.paths.len(),
            kept: left.len(),
            questions_kept: self.questions(&left),
            conclusions: Conclusions::default(),
            steps: self.steps,
        };
        assert!(
            funnel.adds_up(),
            "every path is kept or dropped by one step"
        );
        (self.verdicts, funnel)
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
