//! The drawing of `sample`: sequences that no row holds yet, by an engine, claimed against other processes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::rows::{RowWriter, await_others, other_end};
use super::sample_params::{Branching, StopRule};
use super::sampler::{BUCKET, Branch, PathRow, Sampler};
use super::student_engine::{StudentEngine, once};
use crate::key::Digest;
use crate::model::sampling::{FirstTokenCandidate, Generated, GenerationRequest, SequenceSpec};
use crate::stage::{Context, StageError};
use crate::text::imitative_complete;

/// Whether the tokens so far are to be the last.
type StopCheck<'a> = dyn Fn(&[u32]) -> bool + Sync + 'a;

/// How far drawing has come.
#[derive(Default)]
struct DrawProgress {
    done: usize,
    total: usize,
    tokens: u64,
}

impl DrawProgress {
    fn tell(&self, context: &Context<'_>) {
        let done = self.done.min(self.total);
        context.progress("paths", done, self.total, self.tokens, String::new());
    }
}

/// What the engine's callbacks share: the rows that are written, and what is still to come.
struct DrawState<'a> {
    rows: RowWriter<'a>,
    /// What each sequence in flight is kept under, by tag.
    in_flight: Vec<Digest>,
    /// How many sequences of a prompt are still to come.
    left: BTreeMap<usize, usize>,
    progress: &'a mut DrawProgress,
}

impl Sampler<'_> {
    /// Draws what no row holds. What another process is drawing is waited for, and drawn here if it does not come.
    pub(super) fn sample_missing(
        &self,
        prompts: &[&Vec<u32>],
        branches: &mut BTreeMap<Vec<u32>, Vec<Branch>>,
    ) -> Result<(), StageError> {
        let branching = self.params.branching == Branching::FirstToken;
        let per_question = self.params.paths_per_question() as usize;
        let mut progress = DrawProgress {
            total: prompts.len() * per_question,
            ..DrawProgress::default()
        };
        let mut engine = None;
        let mut told = false;
        loop {
            let mut todo = Vec::new();
            progress.done = progress.total;
            for prompt in prompts {
                let known = branches.get(*prompt);
                let missing = if branching && known.is_none() {
                    per_question
                } else {
                    self.missing(prompt, known)?.len()
                };
                progress.done -= missing;
                if missing > 0 {
                    todo.push(((*prompt).clone(), missing));
                }
            }
            if todo.is_empty() {
                return Ok(());
            }
            let engine = once(
                &mut engine,
                &self.student,
                self.params.engine(),
                self.context,
            )?;
            // The weights are there, and now it begins.
            progress.tell(self.context);
            let others = self.draw(engine, &todo, branches, &mut progress)?;
            if others.is_empty() {
                return Ok(());
            }
            await_others(self.context, BUCKET, &others, &mut told)?;
            // Those who drew them have found their branches too.
            branches.extend(self.known_branches(prompts)?);
        }
    }

    /// Draws the sequences of `todo`, each prompt with how many of them are missing. Gives the claims that others hold.
    fn draw(
        &self,
        engine: &StudentEngine<'_>,
        todo: &[(Vec<u32>, usize)],
        branches: &mut BTreeMap<Vec<u32>, Vec<Branch>>,
        progress: &mut DrawProgress,
    ) -> Result<Vec<Digest>, StageError> {
        let branching = self.params.branching == Branching::FirstToken;
        let stop = self.stop_rule()?;
        let state = Mutex::new(DrawState {
            rows: RowWriter::new(self.context.store, BUCKET),
            in_flight: Vec::new(),
            left: BTreeMap::new(),
            progress,
        });
        let locked = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        let mut expand = |index: usize, candidates: &[FirstTokenCandidate]| {
            let (prompt, expected) = &todo[index];
            let mut state = locked();
            let claim = self.keys.claim(prompt);
            if !state.rows.claim(&claim) {
                return Vec::new();
            }
            if branching && !branches.contains_key(prompt) {
                let found: Vec<Branch> = candidates
                    .iter()
                    .map(|each| Branch {
                        token: each.token,
                        rank: each.rank,
                    })
                    .collect();
                // A kill must not leave paths that nobody finds.
                let key = self.keys.branches(prompt);
                state.rows.push_before("branches", key, &found);
                branches.insert(prompt.clone(), found);
            }
            let missing = self
                .missing(prompt, branches.get(prompt))
                .unwrap_or_else(|error| {
                    failure.get_or_insert(error);
                    Vec::new()
                });
            // Others may have drawn some since.
            state.progress.done += expected.saturating_sub(missing.len());
            if missing.is_empty() {
                state.rows.end(&claim);
            } else {
                state.left.insert(index, missing.len());
            }
            missing
                .into_iter()
                .map(|each| {
                    state.in_flight.push(each.row);
                    SequenceSpec {
                        forced_first: each.branch.map(|branch| branch.token),
                        stream: each.stream,
                        tag: state.in_flight.len() as u64 - 1,
                    }
                })
                .collect()
        };
        let mut finished = |generated: Generated| {
            let mut state = locked();
            state.progress.done += 1;
            state.progress.tokens += generated.tokens.len() as u64;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "tags count sequences in memory"
            )]
            let row = state.in_flight[generated.tag as usize];
            if let Some(left) = state.left.get_mut(&generated.prompt_index) {
                *left -= 1;
                if *left == 0 {
                    let claim = self.keys.claim(&todo[generated.prompt_index].0);
                    state.rows.end(&claim);
                }
            }
            state.rows.push(
                row,
                &PathRow {
                    tokens: generated.tokens,
                    log_prob: generated.log_prob,
                    end: generated.end,
                    end_token: other_end(generated.end_token, &self.student),
                },
            );
            if state.rows.failed() {
                self.context.cancel.cancel();
            }
            state.progress.tell(self.context);
        };
        let candidates = if branching {
            self.params.first_tokens as usize
        } else {
            0
        };
        let drawing = self.params.drawing();
        let prompts: Vec<Vec<u32>> = todo.iter().map(|(prompt, _)| prompt.clone()).collect();
        let outcome = engine.generate(
            GenerationRequest {
                prompts: &prompts,
                candidates,
                params: &drawing,
                vocabulary: &self.student.vocabulary,
                stop: stop.as_deref(),
            },
            &mut expand,
            &mut finished,
            self.context,
        );
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let others = state.rows.finish()?;
        if let Some(error) = failure {
            return Err(error);
        }
        outcome?;
        Ok(others)
    }

    fn stop_rule(&self) -> Result<Option<Box<StopCheck<'_>>>, StageError> {
        if !self.params.stop.contains(&StopRule::Imitative) {
            return Ok(None);
        }
        // `Answer:` can only become complete with a token that holds a colon.
        let tokenizer = &self.student.tokenizer;
        let mut colon = vec![false; self.student.vocabulary.tokens()];
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
