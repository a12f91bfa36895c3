//! Rows of artifacts as the page's browser holds them: texts once, all else as places in lists.

use std::collections::BTreeMap;

use serde::Serialize;

use super::paths::{OfQuestion, PathBook, Shown, bytes, lines};
use crate::artifact::{Artifact, ArtifactKind};
use crate::key::Digest;
use crate::metric::Evaluation;
use crate::report::{ReportError, Source};
use crate::text::{
    DropReason, FilterDecision, FilteredPath, Prediction, Question, ReasoningPath, escaped,
};

/// A stage's rows: the path, the verdict and the reason, as places; a verdict is -1 where there is none.
#[derive(Serialize)]
pub(super) struct StageRows {
    name: String,
    what: &'static str,
    rows: Vec<(usize, i64, i64)>,
}

/// A path or an answer. Places of words are -1 where there is none.
#[derive(Serialize)]
pub(super) struct PathRow {
    /// Question.
    q: usize,
    /// Text.
    t: String,
    /// Why it ended.
    e: i64,
    /// First token.
    f: i64,
    /// Draw.
    d: Option<u32>,
    /// Tokens.
    n: Option<usize>,
    /// Perplexity.
    p: Option<f64>,
    /// A teacher's answer.
    a: Option<String>,
    /// Scores: place of the name, value; none where a judge's reply has no such score.
    s: Vec<(usize, Option<f64>)>,
}

/// Fills a [`PathBook`].
#[derive(Default)]
pub(super) struct Writer {
    pub(super) book: PathBook,
    words: BTreeMap<String, usize>,
    scores: BTreeMap<String, usize>,
    /// By place among all questions, the place in the book.
    questions: BTreeMap<usize, usize>,
    /// What has been written, by content.
    paths: BTreeMap<Digest, usize>,
}

impl Writer {
    /// Adds the rows of a stage whose questions are `wanted`, by their places in `questions`.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub(super) fn stage(
        &mut self,
        source: &Source<'_>,
        stage: &Shown,
        wanted: &dyn Fn(&str) -> Option<usize>,
        questions: &[Question],
    ) -> Result<(), ReportError> {
        let outcomes = match stage.kind {
            ArtifactKind::Predictions => outcomes(source, stage)?,
            _ => BTreeMap::new(),
        };
        let bytes = bytes(source, stage)?;
        let mut rows = Vec::new();
        for line in lines(&bytes) {
            let place = serde_json::from_slice::<OfQuestion>(line)
                .ok()
                .and_then(|row| wanted(&row.question_id));
            let Some(place) = place else { continue };
            let q = self.question(&questions[place], place);
            rows.push(match stage.kind {
                ArtifactKind::FilteredPaths => {
                    let filtered = one::<FilteredPath>(line)?;
                    let (verdict, because) = match &filtered.decision {
                        FilterDecision::Kept => ("kept", String::new()),
                        FilterDecision::Dropped(DropReason { by, because }) => {
                            (by.as_str(), escaped(because))
                        }
                    };
                    let (verdict, because) = (self.word(verdict), self.word_or_none(&because));
                    (self.path(q, &filtered.path), verdict, because)
                }
                ArtifactKind::Predictions => {
                    let answer = one::<Prediction>(line)?;
                    let outcome = outcomes.get(&(answer.question_id.clone(), answer.draw));
                    let (verdict, said) = match outcome {
                        Some((verdict, said)) => (self.word(verdict), self.word_or_none(said)),
                        None => (-1, -1),
                    };
                    (self.answer(q, &answer), verdict, said)
                }
                _ => {
                    let path = one::<ReasoningPath>(line)?;
                    (self.path(q, &path), -1, -1)
                }
            });
        }
        let node = source.plan.node(stage.node);
        self.book.stages.push(StageRows {
            name: escaped(&node.all_names()),
            what: match stage.kind {
                ArtifactKind::FilteredPaths => "verdicts",
                ArtifactKind::Predictions => "answers",
                _ => "paths",
            },
            rows,
        });
        Ok(())
    }

    fn question(&mut self, question: &Question, place: usize) -> usize {
        let questions = &mut self.book.questions;
        *self.questions.entry(place).or_insert_with(|| {
            questions.push((
                escaped(&question.id),
                escaped(question.asked().trim()),
                escaped(&question.answer),
            ));
            questions.len() - 1
        })
    }

    fn word(&mut self, word: &str) -> i64 {
        let words = &mut self.book.words;
        let place = *self.words.entry(word.to_owned()).or_insert_with(|| {
            words.push(word.to_owned());
            words.len() - 1
        });
        i64::try_from(place).unwrap_or(-1)
    }

    fn word_or_none(&mut self, word: &str) -> i64 {
        if word.is_empty() { -1 } else { self.word(word) }
    }

    fn path(&mut self, q: usize, path: &ReasoningPath) -> usize {
        let content = serde_json::to_vec(path).expect("a path is JSON");
        if let Some(&place) = self.paths.get(&Digest::of(&content)) {
            return place;
        }
        let first = path.first_token.as_ref().map_or_else(String::new, |first| {
            format!("{} {:?}", first.rank, escaped(&first.text))
        });
        let parsed = path.scores.iter().filter(|(_, value)| value.is_finite());
        let parsed = parsed.map(|(name, value)| (name, Some(rounded(*value))));
        let unparsed = path.unparsed.iter().map(|name| (name, None));
        let mut scores = Vec::new();
        for (name, value) in parsed.chain(unparsed) {
            let names = &mut self.book.scores;
            let place = *self.scores.entry(name.clone()).or_insert_with(|| {
                names.push(escaped(name));
                names.len() - 1
            });
            scores.push((place, value));
        }
        let row = PathRow {
            q,
            t: escaped(&path.text),
            e: self.word(path.end.name()),
            f: self.word_or_none(&first),
            d: Some(path.draw),
            n: Some(path.tokens.len()).filter(|count| *count > 0),
            p: (path.log_prob.and_then(|sum| sum.perplexity()))
                .filter(|value| value.is_finite())
                .map(rounded),
            a: path.answer_text.as_deref().map(escaped),
            s: scores,
        };
        self.push(&content, row)
    }

    fn answer(&mut self, q: usize, answer: &Prediction) -> usize {
        let content = serde_json::to_vec(answer).expect("an answer is JSON");
        if let Some(&place) = self.paths.get(&Digest::of(&content)) {
            return place;
        }
        let row = PathRow {
            q,
            t: escaped(&answer.output),
            e: self.word(answer.end.name()),
            f: -1,
            d: (answer.draw > 0 || answer.log_prob.is_some()).then_some(answer.draw),
            n: Some(answer.tokens.len()).filter(|count| *count > 0),
            p: (answer.log_prob.and_then(|sum| sum.perplexity()))
                .filter(|value| value.is_finite())
                .map(rounded),
            a: None,
            s: Vec::new(),
        };
        self.push(&content, row)
    }

    fn push(&mut self, content: &[u8], row: PathRow) -> usize {
        let place = self.book.paths.len();
        self.book.paths.push(row);
        self.paths.insert(Digest::of(content), place);
        place
    }
}

/// The verdict on an answer and what was read of it, by question and draw.
type Outcomes = BTreeMap<(String, u32), (&'static str, String)>;

/// What the first evaluation of these answers says of each, by question and draw: the verdict, and what was read.
fn outcomes(source: &Source<'_>, stage: &Shown) -> Result<Outcomes, ReportError> {
    let mut found = BTreeMap::new();
    for &node in source.plan.order() {
        if source.input(node, ArtifactKind::Predictions) != Some((stage.node, stage.output)) {
            continue;
        }
        let Some(output) = source.output_of(node, ArtifactKind::Evaluation) else {
            continue;
        };
        if let Some((_, evaluation)) = source.artifact::<Evaluation>(node, output)? {
            for outcome in evaluation.outcomes {
                let verdict = match (&outcome.parsed, outcome.correct) {
                    (_, true) => "right",
                    (Some(_), false) => "wrong",
                    (None, false) => "unparsed",
                };
                let said = outcome
                    .parsed
                    .map(|said| format!("said {}", escaped(&said)));
                found
                    .entry((outcome.question_id, outcome.draw))
                    .or_insert((verdict, said.unwrap_or_default()));
            }
        }
    }
    Ok(found)
}

/// One row of an artifact.
fn one<T>(line: &[u8]) -> Result<T, ReportError>
where
    Vec<T>: Artifact,
{
    let rows = Vec::<T>::decode(line)?;
    let none = || ReportError::Invalid("an artifact has a row without a value".to_owned());
    rows.into_iter().next().ok_or_else(none)
}

/// A number with so many digits as a person reads: the store has all of them.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
