//! The verifier that is a program of the user's: a line of JSON in for each path, a line out, by id.
//!
//! Lines are sent in parts, to several runs of the program at once. Where a run ends badly, what it left unanswered is sent
//! again in halves, down to single lines: so a path that makes it crash costs no other its score. Answers are kept as rows, one
//! by one; what failed is not, and is asked again whenever the stage runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::finding::Finding;
use super::rows::row_key;
use super::verify_asked::asked;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::program::{Program, ProgramParams};
use crate::stage::{Context, StageError};
use crate::teacher::http::Scored;
use crate::text::{Excerpt, Question, ReasoningPath, cut, excerpt};

/// Where answers are kept.
const BUCKET: &str = "verifications";
/// Lines that one run of the program is sent (ours).
const LINES: usize = 64;
/// Bytes that it may write for each line (ours): an answer has some fifty.
const LONGEST_ANSWER: usize = 1 << 16;
/// Runs without one answer after which it is given up, and for each thread so many more (ours): halving a part takes seven.
const PATIENCE: usize = 16;
const PATIENCE_EACH: usize = 8;

/// What the program says of a path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Answer {
    /// None where it does not know.
    correct: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A line of the program's output.
#[derive(Deserialize)]
struct Line {
    id: usize,
    correct: Value,
    #[serde(default)]
    reason: Option<String>,
}

/// An answer, or why there is none.
type Outcome = Result<Answer, String>;

/// What the program finds of each path.
///
/// # Errors
/// It may not run, cannot be started, or answers nothing at all.
pub(super) fn find(
    params: &ProgramParams,
    paths: &[(&Question, &ReasoningPath)],
    context: &Context<'_>,
) -> Result<Vec<Finding>, StageError> {
    let prepared = context.prepare_program(params)?;
    let asked: Vec<Value> = paths
        .iter()
        .map(|(question, path)| asked(question, path))
        .collect();
    let who = json!([
        prepared.digests,
        params.files,
        params.interpreter,
        params.args,
        params.network
    ]);
    let key = |asked: &Value| row_key(&json!(["verification/1", who, asked]));
    let keys: Vec<Digest> = asked.iter().map(key).collect();
    let mut outcomes = known(context, &keys)?;
    let lines: Vec<(usize, String)> = (asked.iter().enumerate())
        .filter(|(place, _)| outcomes[*place].is_none())
        .map(|(place, asked)| (place, with_id(place, asked)))
        .collect();
    let threads = context.options.thread_count();
    let asker = Asker {
        program: &prepared.program,
        words: params.words(),
        cancel: context.cancel,
        answered: AtomicBool::new(outcomes.iter().any(Option::is_some)),
        in_vain: AtomicUsize::new(0),
        patience: PATIENCE + PATIENCE_EACH * threads,
    };
    let all = paths.len();
    let mut done = all - lines.len();
    for part in lines.chunks(LINES * threads) {
        let each: Vec<&[(usize, String)]> = part.chunks(part.len().div_ceil(threads)).collect();
        let found = context.on_threads(|| {
            let found = each.into_par_iter().map(|lines| asker.ask(lines));
            found.collect::<Result<Vec<_>, StageError>>()
        })??;
        let found: Vec<(usize, Outcome)> = found.into_iter().flatten().collect();
        let rows: Vec<(Digest, Vec<u8>)> = found
            .iter()
            .filter_map(|(place, outcome)| Some((keys[*place], outcome.as_ref().ok()?)))
            .map(|(key, answer)| Ok((key, serde_json::to_vec(answer)?)))
            .collect::<Result<_, StageError>>()?;
        context.store.put_rows(BUCKET, &rows)?;
        for (place, outcome) in found {
            outcomes[place] = Some(outcome);
        }
        done += part.len();
        context.progress("paths", done, all, 0, String::new());
    }
    Ok(outcomes.into_iter().map(finding).collect())
}

/// The line, its id first.
fn with_id(place: usize, asked: &Value) -> String {
    let mut line = serde_json::Map::from_iter([("id".to_owned(), json!(place))]);
    line.extend(asked.as_object().cloned().unwrap_or_default());
    Value::Object(line).to_string() + "\n"
}

/// The answers that are kept.
fn known(context: &Context<'_>, keys: &[Digest]) -> Result<Vec<Option<Outcome>>, StageError> {
    let rows = context.store.rows(BUCKET, keys)?;
    let read = |row: Option<Vec<u8>>| row.map(|row| Ok(Ok(serde_json::from_slice(&row)?)));
    rows.into_iter().map(|row| read(row).transpose()).collect()
}

fn finding(outcome: Option<Outcome>) -> Finding {
    match outcome {
        Some(Ok(Answer { correct, reason })) => match correct {
            Some(is_right) => Finding::of(is_right),
            None => Finding::Unknown(match reason {
                Some(reason) => format!("the program says: {reason}"),
                None => "the program does not say".to_owned(),
            }),
        },
        Some(Err(why)) => Finding::Unknown(format!("the program failed: {why}")),
        None => Finding::Unknown("the program was not asked".to_owned()),
    }
}

/// Asks the program.
struct Asker<'a> {
    program: &'a Program,
    words: String,
    cancel: &'a CancelToken,
    /// Whether it has ever answered.
    answered: AtomicBool,
    /// Runs that brought no answer.
    in_vain: AtomicUsize,
    patience: usize,
}

impl Asker<'_> {
    /// The outcome of each line, by its id.
    fn ask(&self, lines: &[(usize, String)]) -> Result<Vec<(usize, Outcome)>, StageError> {
        let input: String = lines.iter().map(|(_, line)| line.as_str()).collect();
        let most = LONGEST_ANSWER * (lines.len() + 1);
        let ran = self
            .program
            .run(input.into_bytes(), &[], most, self.cancel)?;
        let failure = ran.failure();
        let ids: Vec<usize> = lines.iter().map(|(id, _)| *id).collect();
        let Read { mut found, bad } = read(&String::from_utf8_lossy(&ran.stdout), &ids);
        if found.values().any(Result::is_ok) {
            self.answered.store(true, Ordering::Relaxed);
        } else {
            self.count_in_vain(failure.as_deref().or(bad.as_deref()))?;
        }
        let left: Vec<(usize, String)> = lines
            .iter()
            .filter(|(id, _)| !found.contains_key(id))
            .cloned()
            .collect();
        match failure {
            Some(_) if lines.len() > 1 && !left.is_empty() => {
                for half in left.chunks(left.len().div_ceil(2)) {
                    found.extend(self.ask(half)?);
                }
            }
            failure => {
                let why = failure.or(bad);
                let why = why.unwrap_or_else(|| "it wrote no line for it".to_owned());
                found.extend(left.into_iter().map(|(id, _)| (id, Err(why.clone()))));
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Gives up a program that never answers: it is not the paths that it fails on.
    fn count_in_vain(&self, why: Option<&str>) -> Result<(), StageError> {
        let times = 1 + self.in_vain.fetch_add(1, Ordering::Relaxed);
        if self.answered.load(Ordering::Relaxed) || times < self.patience {
            return Ok(());
        }
        Err(StageError::Invalid(format!(
            "`{}` was run {times} times and gave no answer: {}\nhint: it must write a line `{{\"id\": ..., \"correct\": 1}}` for each line that it reads; docs/verifiers.md shows one",
            self.words,
            why.unwrap_or("it wrote nothing")
        )))
    }
}

/// What was read of an output.
struct Read {
    found: BTreeMap<usize, Outcome>,
    /// What is wrong with the first line that is nobody's answer.
    bad: Option<String>,
}

/// Reads the answers to lines of these ids.
fn read(output: &str, ids: &[usize]) -> Read {
    let mut found: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut bad = None;
    for text in output.lines().filter(|line| !line.trim().is_empty()) {
        let line = match serde_json::from_str::<Line>(text) {
            Ok(line) if ids.contains(&line.id) => line,
            Ok(line) => {
                bad.get_or_insert(format!(
                    "it wrote a line for id {}, which it was not asked",
                    line.id
                ));
                continue;
            }
            Err(error) => {
                let shown = excerpt(text, Excerpt::Head);
                bad.get_or_insert(format!(
                    "it wrote a line that is no answer: {shown} ({error})"
                ));
                continue;
            }
        };
        let id = line.id;
        let outcome = answer(line);
        found
            .entry(id)
            .and_modify(|before| *before = Err("it wrote two lines for it".to_owned()))
            .or_insert(outcome);
    }
    Read { found, bad }
}

fn answer(line: Line) -> Outcome {
    let correct = match &line.correct {
        Value::Null => None,
        Value::Bool(is_right) => Some(*is_right),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        other => {
            return Err(format!(
                "`correct` is {}, neither 1, 0 nor null",
                excerpt(&other.to_string(), Excerpt::Head)
            ));
        }
    };
    let reason = line.reason;
    let reason = reason.map(|reason| cut(reason, Scored::REASON_LETTERS));
    Ok(Answer { correct, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(output: &str) -> Vec<(usize, Result<Option<bool>, String>)> {
        let found = read(output, &[0, 1, 2]).found.into_iter();
        found
            .map(|(id, outcome)| (id, outcome.map(|answer| answer.correct)))
            .collect()
    }

    #[test]
    fn answers_are_read_by_id_in_any_order() {
        let output = "{\"id\":2,\"correct\":null}\n\n{\"id\": 0, \"correct\": 1, \"extra\": 3}\n{\"id\":1,\"correct\":false}";
        assert_eq!(
            said(output),
            [(0, Ok(Some(true))), (1, Ok(Some(false))), (2, Ok(None))]
        );
        assert_eq!(said("{\"id\":0,\"correct\":0.0}"), [(0, Ok(Some(false)))]);
        let long = json!({ "id": 0, "correct": null, "reason": "x".repeat(501) }).to_string();
        let found = read(&long, &[0]).found.remove(&0).unwrap().unwrap();
        assert_eq!(found.reason, Some("x".repeat(500) + "..."));
    }

    #[test]
    fn bad_lines_are_told_and_no_answers() {
        let told = |output: &str| {
            let Read { found, bad } = read(output, &[0]);
            let of_line = found.into_values().next().and_then(Result::err);
            of_line.or(bad).unwrap()
        };
        for (output, why) in [
            ("oops", "it wrote a line that is no answer: \"oops\""),
            ("{\"id\":0}", "it wrote a line that is no answer"),
            (
                "{\"id\":\"0\",\"correct\":1}",
                "it wrote a line that is no answer",
            ),
            ("{\"id\":7,\"correct\":1}", "it wrote a line for id 7"),
            (
                "{\"id\":0,\"correct\":0.5}",
                "`correct` is \"0.5\", neither",
            ),
            ("{\"id\":0,\"correct\":\"yes\"}", "`correct` is"),
            (
                "{\"id\":0,\"correct\":1}\n{\"id\":0,\"correct\":1}",
                "it wrote two lines",
            ),
        ] {
            assert!(told(output).starts_with(why), "{output}: {}", told(output));
        }
    }

    #[test]
    fn what_is_not_known_says_why() {
        let why = |outcome: Outcome| match finding(Some(outcome)) {
            Finding::Unknown(why) => why,
            other => format!("{other:?}"),
        };
        let answer = |correct, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            Ok(Answer { correct, reason })
        };
        assert_eq!(why(answer(Some(true), Some("x"))), "Right");
        assert_eq!(why(answer(None, Some("two"))), "the program says: two");
        assert_eq!(why(answer(None, None)), "the program does not say");
        let failed = Err("it was ended by signal 9".to_owned());
        assert_eq!(why(failed), "the program failed: it was ended by signal 9");
    }
}
