//! The work of `sample`: draws the paths that no row holds yet, and reads all of them from their rows.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::prompts::Prompt;
use super::rows::{RowWriter, read_rows, row_key};
use super::sample::{Branching, SampleParams, StopRule};
use crate::artifact::ModelFolder;
use crate::key::Digest;
use crate::memory::room_for;
use crate::model::engine::{FirstTokenCandidate, Generated, Request, SequenceSpec};
use crate::model::{Student, WeightFiles};
use crate::stage::{Context, StageError, product};
use crate::text::{
    EndReason, FirstToken, LogProbSummary, Question, ReasoningPath, imitative_complete,
};

/// Bytes that a path takes in memory at least (ours).
const PATH_BYTES: u64 = 300;

/// Whether the tokens so far are to be the last.
type StopCheck<'a> = dyn Fn(&[u32]) -> bool + Sync + 'a;

/// What is kept of one sampled path; its text follows from its tokens.
#[derive(Serialize, Deserialize)]
struct PathRow {
    tokens: Vec<u32>,
    log_prob: LogProbSummary,
    end: EndReason,
}

/// A branch of a prompt: kept as a row, since finding it needs the model.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Branch {
    token: u32,
    rank: u32,
}

/// One sequence that a question asks for.
struct Wanted {
    /// Seeds its random stream, and identifies the draw in ties.
    stream: Digest,
    /// Where it is kept.
    row: Digest,
    branch: Option<Branch>,
    draw: u32,
}

/// Makes row keys. A draw's stream: by weights, tokenizer, prompt, drawing, seed, branch token and draw. Its
/// row: by that and by what ends it early, which changes where a path ends and never what is drawn. A
/// prompt's branches: by weights, tokenizer and prompt, so that seeds share them.
struct RowKeys {
    stream: Value,
    end: Value,
    branches: Value,
}

impl RowKeys {
    fn new(params: &SampleParams, context: &Context<'_>, folder: &ModelFolder) -> Self {
        let base = |parts: Value| json!(row_key(&parts));
        let model = json!({"files": folder.identity(), "numerics": context.numerics(params.dtype)});
        Self {
            stream: base(json!({
                "stream": "path/1",
                "model": model,
                "seed": context.seed,
                "temperature": params.temperature,
                "top_k": params.top_k,
                "top_p": params.top_p,
            })),
            end: json!({"max_new_tokens": params.max_new_tokens, "stop": params.stop}),
            branches: base(
                json!({"row": "branches/1", "model": model, "count": params.first_tokens}),
            ),
        }
    }

    fn wanted(&self, prompt: &[u32], branch: Option<Branch>, draw: u32) -> Wanted {
        let stream = row_key(&json!([self.stream, prompt, branch.map(|b| b.token), draw]));
        Wanted {
            stream,
            row: row_key(&json!([stream, self.end])),
            branch,
            draw,
        }
    }

    fn branches(&self, prompt: &[u32]) -> Digest {
        row_key(&json!([self.branches, prompt]))
    }
}

/// Draws the paths of one stage.
pub(super) struct Sampler<'a> {
    params: &'a SampleParams,
    context: &'a Context<'a>,
    student: Student<WeightFiles>,
    keys: RowKeys,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(
        params: &'a SampleParams,
        context: &'a Context<'a>,
        folder: &ModelFolder,
        student: Student<WeightFiles>,
    ) -> Self {
        Self {
            params,
            context,
            student,
            keys: RowKeys::new(params, context, folder),
        }
    }

    /// Every path of every question, in order of question, first token and draw.
    pub(super) fn paths(
        self,
        questions: &[Question],
        prompts: &[Prompt],
    ) -> Result<Vec<ReasoningPath>, StageError> {
        let per_question = u64::from(self.params.paths_per_question());
        room_for(
            "the paths of all questions",
            "lower `first_tokens` or `paths_per_first_token`, or take fewer questions with --limit",
            product(&[questions.len() as u64, per_question, PATH_BYTES]),
        )?;
        // Questions with the same prompt share their rows.
        let unique: Vec<&Vec<u32>> = {
            let mut seen: Vec<_> = prompts.iter().map(|prompt| &prompt.tokens).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        let mut branches = self.known_branches(&unique)?;
        self.sample_missing(&unique, &mut branches)?;
        let mut paths = Vec::new();
        for (question, prompt) in questions.iter().zip(prompts) {
            let wanted = self.wanted(&prompt.tokens, branches.get(&prompt.tokens));
            let keys: Vec<Digest> = wanted.iter().map(|each| each.row).collect();
            let rows: Vec<PathRow> = read_rows(self.context.store, "paths", &keys)?;
            for (each, row) in wanted.iter().zip(rows) {
                paths.push(self.path(question, each, row)?);
            }
        }
        Ok(paths)
    }

    fn path(
        &self,
        question: &Question,
        wanted: &Wanted,
        row: PathRow,
    ) -> Result<ReasoningPath, StageError> {
        let tokenizer = &self.student.tokenizer;
        let first_token = match wanted.branch {
            None => None,
            Some(branch) => Some(FirstToken {
                id: branch.token,
                rank: branch.rank,
                text: tokenizer.decode(&[branch.token])?,
            }),
        };
        Ok(ReasoningPath {
            question_id: question.id.clone(),
            row: wanted.stream,
            first_token,
            draw: wanted.draw,
            text: tokenizer.decode(&row.tokens)?,
            tokens: row.tokens,
            log_prob: Some(row.log_prob),
            end: row.end,
            answer_text: None,
            scores: BTreeMap::new(),
            unparsed: std::collections::BTreeSet::new(),
        })
    }

    /// The sequences that one prompt asks for, in order. Without branching there is one branch.
    fn wanted(&self, prompt: &[u32], branches: Option<&Vec<Branch>>) -> Vec<Wanted> {
        let per_branch = |branch, draws| (0..draws).map(move |draw| (branch, draw));
        let pairs: Vec<(Option<Branch>, u32)> = match self.params.branching {
            Branching::None => per_branch(None, self.params.paths_per_question()).collect(),
            Branching::FirstToken => branches
                .into_iter()
                .flatten()
                .flat_map(|&branch| per_branch(Some(branch), self.params.paths_per_first_token))
                .collect(),
        };
        pairs
            .into_iter()
            .map(|(branch, draw)| self.keys.wanted(prompt, branch, draw))
            .collect()
    }

    fn known_branches(
        &self,
        prompts: &[&Vec<u32>],
    ) -> Result<BTreeMap<Vec<u32>, Vec<Branch>>, StageError> {
        let mut known = BTreeMap::new();
        if self.params.branching == Branching::FirstToken {
            let keys: Vec<Digest> = prompts
                .iter()
                .map(|prompt| self.keys.branches(prompt))
                .collect();
            for (prompt, bytes) in prompts
                .iter()
                .zip(self.context.store.rows("branches", &keys)?)
            {
                if let Some(bytes) = bytes {
                    known.insert((*prompt).clone(), serde_json::from_slice(&bytes)?);
                }
            }
        }
        Ok(known)
    }

    /// The sequences of `prompt` that no row holds yet.
    fn missing(
        &self,
        prompt: &[u32],
        branches: Option<&Vec<Branch>>,
    ) -> Result<Vec<Wanted>, StageError> {
        let wanted = self.wanted(prompt, branches);
        let keys: Vec<Digest> = wanted.iter().map(|each| each.row).collect();
        let rows = self.context.store.rows("paths", &keys)?;
        Ok(wanted
            .into_iter()
            .zip(rows)
            .filter(|(_, row)| row.is_none())
            .map(|(each, _)| each)
            .collect())
    }

    fn sample_missing(
        &self,
        prompts: &[&Vec<u32>],
        branches: &mut BTreeMap<Vec<u32>, Vec<Branch>>,
    ) -> Result<(), StageError> {
        let branching = self.params.branching == Branching::FirstToken;
        let per_question = self.params.paths_per_question() as usize;
        let total = prompts.len() * per_question;
        let mut todo: Vec<Vec<u32>> = Vec::new();
        let mut done = total;
        for prompt in prompts {
            let known = branches.get(*prompt);
            let missing = if branching && known.is_none() {
                per_question
            } else {
                self.missing(prompt, known)?.len()
            };
            done -= missing;
            if missing > 0 {
                todo.push((*prompt).clone());
            }
        }
        if todo.is_empty() {
            return Ok(());
        }
        let engine = self.context.engine(&self.student, self.params.dtype)?;
        // The weights are there, and now it begins.
        self.context
            .progress("paths", done, total, 0, String::new());
        let stop = self.stop_rule()?;
        let (mut rows, mut branch_rows) = (
            RowWriter::new(self.context.store, "paths"),
            RowWriter::new(self.context.store, "branches"),
        );
        let mut tokens = 0;
        // What each sequence in flight is kept under, by tag; and the first failure of a look-up.
        let in_flight: Mutex<Vec<Digest>> = Mutex::default();
        let mut failure = None;
        let mut expand = |index: usize, candidates: &[FirstTokenCandidate]| {
            let prompt = &todo[index];
            if branching && !branches.contains_key(prompt) {
                let found: Vec<Branch> = candidates
                    .iter()
                    .map(|each| Branch {
                        token: each.token,
                        rank: each.rank,
                    })
                    .collect();
                branch_rows.push(self.keys.branches(prompt), &found);
                branches.insert(prompt.clone(), found);
            }
            let missing = self
                .missing(prompt, branches.get(prompt))
                .unwrap_or_else(|error| {
                    failure.get_or_insert(error);
                    Vec::new()
                });
            let mut in_flight = in_flight.lock().unwrap_or_else(PoisonError::into_inner);
            missing
                .into_iter()
                .map(|each| {
                    in_flight.push(each.row);
                    SequenceSpec {
                        forced_first: each.branch.map(|branch| branch.token),
                        stream: each.stream,
                        tag: in_flight.len() as u64 - 1,
                    }
                })
                .collect()
        };
        let mut finished = |generated: Generated| {
            done += 1;
            tokens += generated.tokens.len() as u64;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "tags count sequences in memory"
            )]
            let row =
                in_flight.lock().unwrap_or_else(PoisonError::into_inner)[generated.tag as usize];
            rows.push(
                row,
                &PathRow {
                    tokens: generated.tokens,
                    log_prob: generated.log_prob,
                    end: generated.end,
                },
            );
            if rows.failed() {
                self.context.cancel.cancel();
            }
            self.context
                .progress("paths", done.min(total), total, tokens, String::new());
        };
        let candidates = if branching {
            self.params.first_tokens as usize
        } else {
            0
        };
        let drawing = self.params.drawing();
        let outcome = engine.generate(
            Request {
                prompts: &todo,
                candidates,
                params: &drawing,
                stop: stop.as_deref(),
            },
            &mut expand,
            &mut finished,
            self.context.cancel,
        );
        self.context.record_batch(&engine);
        branch_rows.finish()?;
        rows.finish()?;
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(outcome?)
    }

    fn stop_rule(&self) -> Result<Option<Box<StopCheck<'_>>>, StageError> {
        if !self.params.stop.contains(&StopRule::Imitative) {
            return Ok(None);
        }
        // `Answer:` can only become complete with a token that holds a colon.
        let tokenizer = &self.student.tokenizer;
        let mut colon = vec![false; self.student.config.vocab_size];
        for (id, flag) in (0..).zip(&mut colon) {
            *flag = tokenizer.decode(&[id])?.contains(':');
        }
        Ok(Some(Box::new(move |tokens: &[u32]| {
            let last = tokens.last().is_some_and(|&id| colon[id as usize]);
            last && tokenizer
                .decode(tokens)
                .is_ok_and(|text| imitative_complete(&text))
        })))
    }
}
