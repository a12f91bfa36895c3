//! Paths that say again what another path of their question says.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FilterError;
use super::equations::equations;
use super::step::{Candidate, Run, Step, StepReason, StepResults, refuse, tie};
use crate::text::fold;

/// What makes two paths of a question the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DedupBy {
    /// Their texts, whatever the case, the blanks and the Unicode form.
    Text,
    /// Their equations (`3 * 4 = 12`), in order: ways to a result differ by what they calculate, not by words (Yuan et al. 2023,
    /// RFT). Paths without equations are compared by their texts.
    Equations,
    /// Their words: more of their n-grams are common than `max_overlap` allows.
    Ngram,
}

/// Of a question's paths that are the same, one is kept. The step runs where `by` is set.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dedup {
    /// What makes two paths the same. Default none: the step does not run (the paper has no such step).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<DedupBy>,
    /// `ngram` only: words in an n-gram. Default 3 (ours).
    #[schemars(range(min = 1))]
    pub n: u32,
    /// `ngram` only: the greatest share of n-grams that two kept paths may have in common, of all that either has (Jaccard).
    /// Default 0.7 (ours).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_overlap: f64,
}

impl Default for Dedup {
    fn default() -> Self {
        Self {
            by: None,
            n: 3,
            max_overlap: 0.7,
        }
    }
}

impl Step for Dedup {
    fn enabled(&self) -> bool {
        self.by.is_some()
    }

    fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    fn has_switch(&self) -> bool {
        false
    }

    fn check(&self, place: &str) -> Result<(), FilterError> {
        if self.n == 0 {
            return refuse(place, "n", &0, "1 or more");
        }
        if !(0.0..=1.0).contains(&self.max_overlap) {
            let accepted = "a share from 0 to 1";
            return refuse(place, "max_overlap", &self.max_overlap, accepted);
        }
        Ok(())
    }

    fn idle(&self, written: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
        if matches!(self.by, None | Some(DedupBy::Ngram)) {
            return None;
        }
        let usual = Self::default();
        let changed = [
            ("n", self.n != usual.n),
            (
                "max_overlap",
                self.max_overlap.to_bits() != usual.max_overlap.to_bits(),
            ),
        ];
        let found = changed
            .into_iter()
            .find(|(key, is_changed)| *is_changed && written.contains_key(*key));
        found.map(|(key, _)| (key, "none, or `by = \"ngram\"`, which goes by it"))
    }

    fn check_listed(&self, place: &str) -> Result<(), FilterError> {
        if self.by.is_some() {
            return Ok(());
        }
        refuse(place, "by", &"missing", "`text`, `equations` or `ngram`")
    }

    /// Which of the same paths stays is decided by the seed and their streams, never by the order in which they were
    /// drawn.
    fn drop_reasons(&self, left: &[Candidate<'_>], run: &Run<'_>) -> StepResults {
        let mut reasons: Vec<Option<StepReason>> = vec![None; left.len()];
        let Some(by) = self.by else {
            return Ok(reasons);
        };
        let mut order: Vec<usize> = (0..left.len()).collect();
        order.sort_by_cached_key(|&i| (tie(run.seed, left[i].path), i));
        let mut kept: BTreeMap<&str, Kept> = BTreeMap::new();
        for i in order {
            let path = left[i].path;
            let of_question = kept.entry(&path.question_id).or_default();
            let same = match by {
                DedupBy::Text => of_question.known(fold(&path.text), i),
                DedupBy::Equations => {
                    let content = equations(&path.text).unwrap_or_else(|| fold(&path.text));
                    of_question.known(content, i)
                }
                DedupBy::Ngram => {
                    let grams = ngrams(&path.text, self.n as usize);
                    of_question.near(grams, self.max_overlap, i)
                }
            };
            reasons[i] = same.map(|other| {
                let other = named(&left[other]);
                StepReason::new(match by {
                    DedupBy::Text => format!("it has the text of {other}"),
                    DedupBy::Equations => format!("it calculates as {other}"),
                    DedupBy::Ngram => format!(
                        "more than {} of its {}-grams and those of {other} are common",
                        self.max_overlap, self.n
                    ),
                })
            });
        }
        Ok(reasons)
    }
}

/// Which path of a question it is, for a person.
fn named(candidate: &Candidate<'_>) -> String {
    let path = candidate.path;
    match &path.first_token {
        Some(first) => format!("draw {} from {:?}", path.draw, first.text),
        None => format!("draw {}", path.draw),
    }
}

/// What is kept of a question.
#[derive(Default)]
struct Kept {
    by_content: BTreeMap<String, usize>,
    grams: Vec<(BTreeSet<String>, usize)>,
}

impl Kept {
    /// The kept path of this content; where there is none, `place` is kept.
    fn known(&mut self, content: String, place: usize) -> Option<usize> {
        let first = *self.by_content.entry(content).or_insert(place);
        (first != place).then_some(first)
    }

    /// A kept path with more than the share `most` of n-grams in common; where there is none, `place` is kept.
    fn near(&mut self, grams: BTreeSet<String>, most: f64, place: usize) -> Option<usize> {
        let overlap = |other: &BTreeSet<String>| {
            let common = grams.intersection(other).count();
            common as f64 / (grams.len() + other.len() - common).max(1) as f64
        };
        let near = self.grams.iter().find(|(other, _)| overlap(other) > most);
        let near = near.map(|(_, other)| *other);
        if near.is_none() {
            self.grams.push((grams, place));
        }
        near
    }
}

/// The n-grams of a text's words, letters and digits alone; all of its words where they are fewer.
fn ngrams(text: &str, n: usize) -> BTreeSet<String> {
    let folded = fold(text);
    let words: Vec<&str> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    if words.len() < n {
        return BTreeSet::from([words.join(" ")]);
    }
    words.windows(n).map(|gram| gram.join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_one_ngram() {
        assert_eq!(ngrams("Yes, no", 3), BTreeSet::from(["yes no".to_owned()]));
        assert_eq!(ngrams("a b c d", 3).len(), 2);
        assert_eq!(ngrams("", 3).len(), 1);
    }

    /// Five trigrams, of which three are in both: 3 of 5 + 5 - 3.
    #[test]
    fn an_overlap_at_its_limit_is_allowed() {
        let mut kept = Kept::default();
        let grams = |text| ngrams(text, 3);
        assert_eq!(kept.near(grams("a b c d e f g"), 0.0, 0), None);
        let other = || grams("a b c d e x y");
        assert_eq!(kept.near(other(), 3.0 / 7.0 - 1e-9, 1), Some(0));
        assert_eq!(kept.near(other(), 3.0 / 7.0, 1), None);
        assert_eq!(kept.near(other(), 0.9, 2), Some(1));
    }
}
