//! The choice among a question's survivors.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FilterError;
use super::step::{Candidate, Missing, Needed, Run, Step, StepReason, StepResults, refuse, tie};
use crate::key::Digest;
use crate::text::rep_n;

/// How a question's survivors are ranked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelectRule {
    /// The lowest rep-n first (paper, III-A).
    #[default]
    LowestRep,
    /// In an order that the seed decides.
    Random,
    /// The fewest student tokens first.
    Shortest,
    /// The most student tokens first.
    Longest,
    /// The highest perplexity first.
    HighestPerplexity,
    /// The lowest perplexity first: what the model found likeliest.
    LowestPerplexity,
    /// The highest score first; `score` names it.
    HighestScore,
    /// The lowest score first; `score` names it.
    LowestScore,
    /// Keep every survivor; `keep` means nothing.
    All,
}

impl SelectRule {
    /// What it ranks by, for a person: what is measured of a path, and which comes first. None where it measures nothing.
    fn measures(self) -> Option<(Measure, First)> {
        Some(match self {
            Self::LowestRep => (Measure::Repetition, First::Lowest),
            Self::Shortest => (Measure::Tokens, First::Lowest),
            Self::Longest => (Measure::Tokens, First::Highest),
            Self::HighestPerplexity => (Measure::Perplexity, First::Highest),
            Self::LowestPerplexity => (Measure::Perplexity, First::Lowest),
            Self::HighestScore => (Measure::Score, First::Highest),
            Self::LowestScore => (Measure::Score, First::Lowest),
            Self::Random | Self::All => return None,
        })
    }
}

/// What is measured of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    Repetition,
    Tokens,
    Perplexity,
    Score,
}

/// Which value comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Lowest,
    Highest,
}

impl First {
    fn words(self) -> &'static str {
        match self {
            Self::Lowest => "lowest first",
            Self::Highest => "highest first",
        }
    }
}

/// The choice among a question's survivors. Ties are broken by a hash of the seed and the path's
/// row, never by the order in which paths were drawn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    /// How survivors are ranked. Default `lowest-rep` (paper, III-A).
    pub rule: SelectRule,
    /// How many are kept per question. Default 1 (paper, III-A).
    #[schemars(range(min = 1))]
    pub keep: u32,
    /// The score that `highest-score` and `lowest-score` rank by. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            rule: SelectRule::LowestRep,
            keep: 1,
            score: None,
        }
    }
}

impl Step for Select {
    fn enabled(&self) -> bool {
        true
    }

    fn check(&self, place: &str) -> Result<(), FilterError> {
        if self.keep == 0 {
            return refuse(place, "keep", &0, "1 or more");
        }
        if self.by() == Some(Measure::Score) && self.score.is_none() {
            let accepted = "a score's name, for `rule = \"highest-score\"` and `\"lowest-score\"`";
            return refuse(place, "score", &"missing", accepted);
        }
        Ok(())
    }

    fn idle(&self, written: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
        let all = self.rule == SelectRule::All && self.keep != Self::default().keep;
        (all && written.contains_key("keep")).then_some((
            "keep",
            "none beside `rule = \"all\"`, which keeps every survivor",
        ))
    }

    fn needs(&self) -> Vec<(&'static str, Needed)> {
        let need = match (self.by(), &self.score) {
            (Some(Measure::Repetition), _) => ("", Needed::Tokens),
            (Some(Measure::Tokens), _) => ("rule", Needed::Tokens),
            (Some(Measure::Perplexity), _) => ("rule", Needed::LogProbs),
            (Some(Measure::Score), Some(score)) => ("score", Needed::Score(score.clone())),
            (Some(Measure::Score), None) | (None, _) => return Vec::new(),
        };
        vec![need]
    }

    fn without(&self) -> Option<&'static str> {
        Some("rule = \"random\"`, or to `all`, which keeps every path that is left")
    }

    /// Drops the survivors that are not chosen. A path whose score is unparsed cannot be ranked by it and is never
    /// chosen.
    fn drop_reasons(&self, left: &[Candidate<'_>], run: &Run<'_>) -> StepResults {
        let mut losers: Vec<Option<StepReason>> = vec![None; left.len()];
        if self.rule == SelectRule::All {
            return Ok(losers);
        }
        let n = run.params.repetition.n;
        let mut groups: BTreeMap<&str, Vec<(f64, Digest, usize)>> = BTreeMap::new();
        for (i, each) in left.iter().enumerate() {
            let Some(value) = self.measure(each, n)? else {
                let name = self.score.as_deref().unwrap_or_default();
                losers[i] = Some(StepReason::unparsed(name));
                continue;
            };
            let entry = (value, tie(run.seed, each.path), i);
            groups
                .entry(&each.path.question_id)
                .or_default()
                .push(entry);
        }
        // Beside `unparsed`, what the others lost by needs a name too.
        let unparsed = losers.iter().any(Option::is_some);
        let rule = unparsed.then_some("lower-score");
        let keep = self.keep;
        for group in groups.values_mut() {
            group.sort_by(|a, b| by_rank(a, b, self.rule));
            let among = group.len();
            for (rank, (value, _, i)) in group.iter().enumerate().skip(keep as usize) {
                let place = format!("{} of {among}", rank + 1);
                let because = match self.rule.measures() {
                    Some((measure, first)) => {
                        let measured = match measure {
                            Measure::Repetition => format!("rep-{n} {value:.3} comes"),
                            Measure::Tokens => format!("{value} tokens come"),
                            Measure::Perplexity => format!("perplexity {value:.3} comes"),
                            Measure::Score => format!("score {value} comes"),
                        };
                        format!("{measured} {place}, {}", first.words())
                    }
                    None => format!("drawn {place}"),
                };
                let because = format!("{because}; {keep} kept per question");
                losers[*i] = Some(StepReason { rule, because });
            }
        }
        Ok(losers)
    }
}

impl Select {
    fn by(&self) -> Option<Measure> {
        self.rule.measures().map(|(measure, _)| measure)
    }

    fn measure(&self, path: &Candidate<'_>, n: u32) -> Result<Option<f64>, Box<Missing>> {
        Ok(Some(match (self.by(), &self.score) {
            (Some(Measure::Repetition), _) => rep_n(path.tokens()?, n as usize),
            (Some(Measure::Tokens), _) => path.tokens()?.len() as f64,
            (Some(Measure::Perplexity), _) => path.perplexity()?,
            (Some(Measure::Score), Some(name)) => return path.score(name),
            (Some(Measure::Score), None) | (None, _) => 0.0,
        }))
    }
}

/// Best first. A value that is no number comes last, whatever the rule.
fn by_rank(a: &(f64, Digest, usize), b: &(f64, Digest, usize), rule: SelectRule) -> Ordering {
    let values = match rule.measures() {
        Some((_, First::Highest)) => b.0.total_cmp(&a.0),
        _ => a.0.total_cmp(&b.0),
    };
    a.0.is_nan()
        .cmp(&b.0.is_nan())
        .then(values)
        .then(a.1.cmp(&b.1))
        .then(a.2.cmp(&b.2))
}
