//! What paths carry besides their text, told from the stages that make them: so that a filter on a score that
//! nobody makes is refused before anything runs.

use std::collections::BTreeMap;

use super::ParamError;
use crate::filter::Needed;
use crate::input::nearest;

/// What paths carry besides their text, as far as the stages that make them say.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing of its own that paths may carry"
)]
pub struct Carried {
    /// Whether they may have tokens of a student.
    pub tokens: bool,
    /// Whether they may have log-probabilities under the model that wrote them.
    pub log_probs: bool,
    /// Scores by name.
    pub scores: BTreeMap<String, ScoreRange>,
    /// Whether some may have been written with the gold answer in the prompt.
    pub hinted: bool,
    /// Whether they may have anything else too: rows that were made elsewhere.
    pub anything: bool,
}

/// The least and the greatest value that a score can have.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScoreRange(pub f64, pub f64);

impl ScoreRange {
    /// A judge's scale (paper, Table I).
    pub const TEN: Self = Self(0.0, 10.0);
}

/// What a stage needs of the paths that come in.
#[derive(Clone, PartialEq, Debug)]
pub struct Need {
    /// Dotted path of the field that asks for it.
    pub field: String,
    /// What.
    pub what: Needed,
}

impl Carried {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self {
            anything: true,
            ..Self::default()
        }
    }

    /// The same paths with a score more.
    #[must_use]
    pub fn with(mut self, score: impl Into<String>, range: ScoreRange) -> Self {
        self.scores.insert(score.into(), range);
        self
    }

    /// What all of these paths and `others` carry, where they come together.
    #[must_use]
    pub fn and(self, others: &Self) -> Self {
        let names = self.scores.keys().chain(others.scores.keys());
        let score = |name: &String| match (self.scores.get(name), others.scores.get(name)) {
            (Some(here), Some(there)) => {
                let range = ScoreRange(here.0.min(there.0), here.1.max(there.1));
                Some((name.clone(), range))
            }
            (Some(range), None) => others.anything.then(|| (name.clone(), *range)),
            (None, Some(range)) => self.anything.then(|| (name.clone(), *range)),
            (None, None) => None,
        };
        let scores = names.filter_map(score).collect();
        let may = |here: bool, there: bool| (here || self.anything) && (there || others.anything);
        Self {
            tokens: may(self.tokens, others.tokens),
            log_probs: may(self.log_probs, others.log_probs),
            hinted: self.hinted || others.hinted,
            anything: self.anything && others.anything,
            scores,
        }
    }

    /// What is wrong where `need` cannot be met.
    pub fn lacks(&self, need: &Need) -> Option<ParamError> {
        let (message, hint) = match &need.what {
            Needed::Tokens if !(self.tokens || self.anything) => (
                "this counts student tokens, and the paths that come in have none".to_owned(),
                "a teacher's paths carry text alone; add `model = \"student\"`, whose tokenizer then gives them tokens, switch the step off, or take another `rule` of `select`"
                    .to_owned(),
            ),
            Needed::LogProbs if !(self.log_probs || self.anything) => (
                "this needs log-probabilities, and the paths that come in have none".to_owned(),
                "only paths that a student wrote carry them; switch the step off, or take another `rule` of `select`"
                    .to_owned(),
            ),
            Needed::Score(name) if !(self.scores.contains_key(name) || self.anything) => {
                (format!("no stage before it makes the score `{name}`"), self.hint(name))
            }
            Needed::Bound(name, bound) => {
                let ScoreRange(least, most) = *self.scores.get(name)?;
                if (least..=most).contains(bound) {
                    return None;
                }
                let range = match (least.is_finite(), most.is_finite()) {
                    (true, true) => format!("goes from {least} to {most}"),
                    (true, false) => format!("is {least} or more"),
                    (false, true) => format!("is {most} or less"),
                    (false, false) => return None,
                };
                (
                    format!("{bound} is outside the score `{name}`, which {range}"),
                    "take a limit within it".to_owned(),
                )
            }
            _ => return None,
        };
        Some(ParamError {
            field: need.field.clone(),
            message,
            hint: Some(hint),
        })
    }

    /// The score that `name` may mean, or those that there are.
    fn hint(&self, name: &str) -> String {
        let names = || self.scores.keys().map(String::as_str);
        if let Some(near) = nearest(name, names()) {
            return format!("did you mean `{near}`?");
        }
        let names: Vec<String> = names().map(|name| format!("`{name}`")).collect();
        if names.is_empty() {
            format!("put a `verify`, `score` or `judge` stage that makes `{name}` before it")
        } else {
            format!("the scores that are made: {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paths_lack_is_told() {
        let need = |what: Needed| Need {
            field: "x".into(),
            what,
        };
        let score = |name: &str| need(Needed::Score(name.into()));
        let bound = |name: &str, bound| need(Needed::Bound(name.into(), bound));
        let told = |carried: &Carried, need: &Need| {
            let param_error = carried.lacks(need)?;
            Some(format!("{} | {}", param_error.message, param_error.hint?))
        };
        let bare = Carried::default();
        let scored = Carried {
            tokens: true,
            log_probs: true,
            ..Carried::default()
        }
        .with("perplexity", ScoreRange(1.0, f64::INFINITY))
        .with("gold_log_prob", ScoreRange(f64::NEG_INFINITY, 0.0))
        .with("judge", ScoreRange::TEN);
        for (carried, need, wanted) in [
            (&scored, need(Needed::Tokens), None),
            (&scored, need(Needed::LogProbs), None),
            (&scored, score("judge"), None),
            (&scored, bound("judge", 0.0), None),
            (&scored, bound("judge", 10.0), None),
            (&scored, bound("perplexity", 1e9), None),
            (
                &scored,
                score("jugde"),
                Some("no stage before it makes the score `jugde` | did you mean `judge`?"),
            ),
            (
                &scored,
                score("kindness"),
                Some(
                    "no stage before it makes the score `kindness` | the scores that are made: `gold_log_prob`, `judge`, `perplexity`",
                ),
            ),
            (
                &scored,
                bound("judge", 60.0),
                Some(
                    "60 is outside the score `judge`, which goes from 0 to 10 | take a limit within it",
                ),
            ),
            (
                &scored,
                bound("perplexity", 0.5),
                Some(
                    "0.5 is outside the score `perplexity`, which is 1 or more | take a limit within it",
                ),
            ),
            (
                &scored,
                bound("gold_log_prob", 0.5),
                Some(
                    "0.5 is outside the score `gold_log_prob`, which is 0 or less | take a limit within it",
                ),
            ),
            // Of a score that is not there, that is told once.
            (&bare, bound("judge", 60.0), None),
            (
                &bare,
                score("judge"),
                Some(
                    "no stage before it makes the score `judge` | put a `verify`, `score` or `judge` stage that makes `judge` before it",
                ),
            ),
        ] {
            assert_eq!(told(carried, &need).as_deref(), wanted, "{need:?}");
        }
        assert!(told(&bare, &need(Needed::Tokens)).is_some());
        assert!(told(&bare, &need(Needed::LogProbs)).is_some());
        // Together they carry what each of them does.
        let other = Carried {
            tokens: true,
            hinted: true,
            ..Carried::default()
        }
        .with("judge", ScoreRange(-1.0, 1.0));
        let both = scored.clone().and(&other);
        assert!(both.tokens && !both.log_probs && both.hinted && !both.anything);
        assert_eq!(
            both.scores,
            BTreeMap::from([("judge".into(), ScoreRange(-1.0, 10.0))])
        );
        let loose = other.and(&Carried::unknown());
        assert!(loose.tokens && loose.hinted && !loose.anything && loose.scores.len() == 1);
        for what in [Needed::Tokens, Needed::LogProbs, Needed::Score("x".into())] {
            assert_eq!(told(&Carried::unknown(), &need(what)), None);
        }
    }
}
