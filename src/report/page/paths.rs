//! The paths that the page's browser shows, as data: each text once, by however many stages it was
//! judged.
//!
//! In: the store. Out: columns of numbers that point into lists of texts, and what was left out.
//! Questions are taken whole, in the data's order, as long as their rows are within the limit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactKind};
use crate::key::Digest;
use crate::metric::Evaluation;
use crate::plan::NodeId;
use crate::report::{ReportError, Source, escaped};
use crate::text::{JudgedPath, Prediction, Question, ReasoningPath, Verdict};

/// What the browser shows.
#[derive(Serialize, Default)]
pub(super) struct PathBook {
    /// Id, words and gold answer of each.
    questions: Vec<(String, String, String)>,
    /// Verdicts, reasons, ends and first tokens.
    words: Vec<String>,
    /// The names of scores.
    scores: Vec<String>,
    stages: Vec<StageRows>,
    paths: Vec<PathRow>,
    /// What was left out, for a person.
    #[serde(skip)]
    pub(super) left_out: Vec<String>,
}

/// A stage's rows: the path, the verdict and the reason, as places; a verdict is -1 where there is none.
#[derive(Serialize)]
struct StageRows {
    name: String,
    what: &'static str,
    rows: Vec<(usize, i64, i64)>,
}

/// A path or an answer. Places of words are -1 where there is none.
#[derive(Serialize)]
struct PathRow {
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
    /// Scores: place of the name, value.
    s: Vec<(usize, f64)>,
}

/// A stage whose rows are shown.
struct Shown {
    node: NodeId,
    output: &'static str,
    kind: ArtifactKind,
}

/// What of a row tells whether it is wanted.
#[derive(Deserialize)]
struct OfQuestion {
    question_id: String,
}

impl PathBook {
    /// Reads the book, at most about `limit` rows of paths and as many of answers; 0 for all.
    ///
    /// # Errors
    /// When an artifact cannot be read.
    pub(super) fn read(source: &Source<'_>, limit: usize) -> Result<Self, ReportError> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let questions = questions(source)?;
        let place: BTreeMap<&str, usize> = questions
            .iter()
            .enumerate()
            .map(|(place, question)| (question.id.as_str(), place))
            .collect();
        let mut writer = Writer::default();
        let shown = shown(source);
        for (answers, what) in [(false, "paths"), (true, "answers")] {
            let of_kind = |each: &&Shown| (each.kind == ArtifactKind::Predictions) == answers;
            let stages: Vec<&Shown> = shown.iter().filter(of_kind).collect();
            let mut rows = vec![0_usize; questions.len()];
            for stage in &stages {
                for id in of_questions(source, stage)? {
                    if let Some(&place) = place.get(id.as_str()) {
                        rows[place] += 1;
                    }
                }
            }
            let (end, told) = within(&rows, limit, what);
            writer.book.left_out.extend(told);
            let wanted = |id: &str| place.get(id).copied().filter(|place| *place < end);
            for stage in stages {
                writer.stage(source, stage, &wanted, &questions)?;
            }
        }
        Ok(writer.book)
    }

    /// Whether there is anything to show.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

/// Up to which question all rows are within the limit, and what is said where that is not the last
/// one. The first question with rows is always taken.
fn within(rows: &[usize], limit: usize, what: &str) -> (usize, Option<String>) {
    let (mut sum, mut end) = (0_usize, 0);
    for (place, count) in rows.iter().enumerate() {
        if sum > 0 && *count > 0 && sum.saturating_add(*count) > limit {
            break;
        }
        sum += count;
        end = place + 1;
    }
    let with_rows = |rows: &[usize]| rows.iter().filter(|count| **count > 0).count();
    let all: usize = rows.iter().sum();
    let told = (sum < all).then(|| {
        format!(
            "{what} of the first {} of {} questions are on this page, {sum} of {all}",
            with_rows(&rows[..end]),
            with_rows(rows)
        )
    });
    (end, told)
}

/// Every question in the store, in the order of the stages and their outputs.
fn questions(source: &Source<'_>) -> Result<Vec<Question>, ReportError> {
    let mut all: Vec<Question> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for &node in source.plan.order() {
        for output in source.plan.node(node).kind.outputs() {
            if output.kind != ArtifactKind::Questions {
                continue;
            }
            if let Some((_, questions)) = source.artifact::<Vec<Question>>(node, output.name)? {
                all.extend((questions.into_iter()).filter(|each| known.insert(each.id.clone())));
            }
        }
    }
    Ok(all)
}

/// The stages whose rows are shown: filters, answers, and paths that no filter of these has judged.
fn shown(source: &Source<'_>) -> Vec<Shown> {
    let order = source.plan.order();
    let here = |node: NodeId, output: &str| source.digest(node, output).is_some();
    // Paths that went into a stage that passes all of them on are shown there.
    let passed_on = |node: NodeId, output: &str| {
        order.iter().any(|&after| {
            let passes = ["filter", "score"].contains(&source.plan.node(after).kind.name());
            passes
                && source.input(after, "paths") == Some((node, output))
                && (source.outputs)(after).is_some()
        })
    };
    let mut shown = Vec::new();
    for &node in order {
        let outputs = source.plan.node(node).kind.outputs();
        let judges = (outputs.iter()).any(|output| output.kind == ArtifactKind::Verdicts);
        for output in outputs {
            let wanted = match output.kind {
                ArtifactKind::Verdicts | ArtifactKind::Predictions => true,
                ArtifactKind::Paths => !judges && !passed_on(node, output.name),
                _ => false,
            };
            if wanted && here(node, output.name) {
                shown.push(Shown {
                    node,
                    output: output.name,
                    kind: output.kind,
                });
            }
        }
    }
    shown
}

fn bytes(source: &Source<'_>, stage: &Shown) -> Result<Vec<u8>, ReportError> {
    let Some(digest) = source.digest(stage.node, stage.output) else {
        return Ok(Vec::new());
    };
    Ok(source.store.object(&digest)?.unwrap_or_default())
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// The question of each row.
fn of_questions(source: &Source<'_>, stage: &Shown) -> Result<Vec<String>, ReportError> {
    let bytes = bytes(source, stage)?;
    // A row that cannot be read is told of where it is read whole.
    let id = |line| serde_json::from_slice::<OfQuestion>(line).ok();
    Ok(lines(&bytes)
        .filter_map(id)
        .map(|row| row.question_id)
        .collect())
}

#[derive(Default)]
struct Writer {
    book: PathBook,
    words: BTreeMap<String, usize>,
    scores: BTreeMap<String, usize>,
    /// By place among all questions, the place in the book.
    questions: BTreeMap<usize, usize>,
    /// What has been written, by content.
    paths: BTreeMap<Digest, usize>,
}

impl Writer {
    fn stage(
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
                ArtifactKind::Verdicts => {
                    let judged = one::<JudgedPath>(line)?;
                    let (verdict, because) = match &judged.verdict {
                        Verdict::Kept => ("kept", String::new()),
                        Verdict::Dropped { by, because } => (by.as_str(), escaped(because)),
                    };
                    let (verdict, because) = (self.word(verdict), self.word_or_none(&because));
                    (self.path(q, &judged.path), verdict, because)
                }
                ArtifactKind::Predictions => {
                    let answer = one::<Prediction>(line)?;
                    let outcome = outcomes.get(&answer.question_id);
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
            name: escaped(&node.names.join(" = ")),
            what: match stage.kind {
                ArtifactKind::Verdicts => "verdicts",
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
        let mut scores = Vec::new();
        for (name, &value) in path.scores.iter().filter(|(_, value)| value.is_finite()) {
            let names = &mut self.book.scores;
            let place = *self.scores.entry(name.clone()).or_insert_with(|| {
                names.push(escaped(name));
                names.len() - 1
            });
            scores.push((place, rounded(value)));
        }
        let row = PathRow {
            q,
            t: escaped(&path.text),
            e: self.word(path.end.name()),
            f: self.word_or_none(&first),
            d: Some(path.draw),
            n: Some(path.tokens.len()).filter(|count| *count > 0),
            p: (path.log_prob.map(|sum| sum.perplexity()))
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
            d: None,
            n: Some(answer.tokens.len()).filter(|count| *count > 0),
            p: None,
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

/// What the first evaluation of these answers says of each question: the verdict, and what was read.
fn outcomes(
    source: &Source<'_>,
    stage: &Shown,
) -> Result<BTreeMap<String, (&'static str, String)>, ReportError> {
    let mut found = BTreeMap::new();
    for &node in source.plan.order() {
        if source.input(node, "predictions") != Some((stage.node, stage.output)) {
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
                    .entry(outcome.question_id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_taken_whole() {
        let rows = [3, 0, 3, 3];
        assert_eq!(within(&rows, 100, "paths"), (4, None));
        let (end, told) = within(&rows, 7, "paths");
        assert_eq!(end, 3);
        assert_eq!(
            told.unwrap(),
            "paths of the first 2 of 3 questions are on this page, 6 of 9"
        );
        // The first one always, however many rows it has.
        assert_eq!(within(&rows, 1, "paths").0, 2);
        assert_eq!(within(&[], 1, "paths"), (0, None));
    }
}
