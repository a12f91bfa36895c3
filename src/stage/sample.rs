//! `sample`: latent reasoning paths of a student (paper, II: 5 first tokens x 5 sequences).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::prompts::{LongPrompts, Prompt, prompts};
use super::rows::{RowWriter, numerics, read_rows, row_key};
use super::{Context, Estimate, Output, Outputs, Port, Size, Sizes, StageError, StageKind, Work};
use crate::artifact::{ArtifactKind, ModelFolder};
use crate::key::{Digest, canonical_json};
use crate::model::Student;
use crate::model::engine::{FirstTokenCandidate, SamplingParams, SequenceSpec};
use crate::text::{
    EndReason, FirstToken, LogProbSummary, PromptForm, Question, ReasoningPath, imitative_complete,
};

/// Where a question's sequences part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Branching {
    /// At the first token: one branch for each of the most probable ones (paper, II).
    #[default]
    FirstToken,
    /// Nowhere: plain sampling, as many sequences (paper, Figure 1, "raw").
    None,
}

/// When a sequence may end early because its fate is certain.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StopRule {
    /// The imitative pattern `Question: ... Answer:` is complete: the filter's imitative rule is
    /// certain to drop the path. Switch off to analyse raw paths.
    Imitative,
}

/// Parameters of `sample`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SampleParams {
    /// The prompt. Default `answer`: `Question: {q} Answer:` (paper, II).
    pub prompt: PromptForm,
    /// Where sequences part. Default `first-token` (paper, II).
    pub branching: Branching,
    /// How many of the most probable first tokens start a branch. Default 5 (paper, II).
    #[schemars(range(min = 1, max = 1000))]
    pub first_tokens: u32,
    /// Sequences sampled from each branch. Default 5 (paper, II). Without branching a question gets
    /// `first_tokens` times this many.
    #[schemars(range(min = 1, max = 10000))]
    pub paths_per_first_token: u32,
    /// Divides the logits; 0 is greedy. Default 1 (ours; the paper is silent).
    #[schemars(range(min = 0.0, max = 100.0))]
    pub temperature: f64,
    /// Draw among this many most probable tokens; 0 for all. Default 10 (paper, III-A).
    pub top_k: u32,
    /// Draw among the fewest tokens that reach this probability. Default 0.95 (paper, III-A).
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub top_p: f64,
    /// Most tokens of a path, its first token included. Default 128 (ours; the paper is silent; Ho
    /// et al. 2023 use 128).
    #[schemars(range(min = 1, max = 100_000))]
    pub max_new_tokens: u32,
    /// Rules that end a sequence early. Default none.
    pub stop: Vec<StopRule>,
    /// What to do with a prompt that does not fit. Default `truncate-left` (ours).
    pub long_prompts: LongPrompts,
}

impl Default for SampleParams {
    fn default() -> Self {
        Self {
            prompt: PromptForm::Answer,
            branching: Branching::FirstToken,
            first_tokens: 5,
            paths_per_first_token: 5,
            temperature: 1.0,
            top_k: 10,
            top_p: 0.95,
            max_new_tokens: 128,
            stop: Vec::new(),
            long_prompts: LongPrompts::TruncateLeft,
        }
    }
}

impl SampleParams {
    fn drawing(&self) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            max_new_tokens: self.max_new_tokens,
        }
    }

    /// Sequences for each question.
    pub(crate) fn paths_per_question(&self) -> u32 {
        self.first_tokens * self.paths_per_first_token
    }
}

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
    row: Digest,
    branch: Option<Branch>,
    draw: u32,
}

/// See the module.
pub(crate) struct Sample;

impl StageKind for Sample {
    type Params = SampleParams;

    const NAME: &'static str = "sample";
    const VERSION: u32 = 1;
    const DOC: &'static str =
        "Sample reasoning paths from a student: top first tokens, several sequences each.";
    const INPUTS: &'static [Port] = &[
        Port::model("The student that writes."),
        Port::questions("questions", "data.train", "The questions to answer."),
    ];
    const OUTPUTS: &'static [Output] = &[Output {
        name: "paths",
        kind: ArtifactKind::Paths,
        doc: "Every sampled path, by question, first token and draw.",
    }];
    const SEEDED: bool = true;
    const RUNS_MODEL: bool = true;

    fn estimate(params: &SampleParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (questions, shape) = (inputs.get("questions")?, inputs.get("model")?.model?);
        let rows = questions.rows * u64::from(params.paths_per_question());
        let tokens = rows * u64::from(params.max_new_tokens);
        let length = questions.tokens_per_row() + u64::from(params.max_new_tokens);
        let work = Work::inference(shape, questions.tokens, tokens, rows.min(128), length);
        Some((
            work,
            BTreeMap::from([(
                "paths",
                Size {
                    rows,
                    tokens,
                    model: None,
                },
            )]),
        ))
    }

    fn run(params: &SampleParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let (folder, student) = context.student("model")?;
        let prompts = prompts(
            context,
            &student,
            &questions,
            params.prompt,
            params.max_new_tokens,
            params.long_prompts,
        )?;
        let sampler = Sampler {
            params,
            context,
            student: &student,
            keys: RowKeys::new(params, context.seed, &folder),
        };
        let paths = sampler.paths(&questions, &prompts)?;
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// Makes row keys: by weights, tokenizer, prompt, drawing, seed, branch token and draw.
struct RowKeys {
    base: serde_json::Value,
}

impl RowKeys {
    fn new(params: &SampleParams, seed: u64, folder: &ModelFolder) -> Self {
        let base = json!({
            "row": "path/1",
            "model": folder.identity(),
            "numerics": numerics(),
            "seed": seed,
            "temperature": params.temperature,
            "top_k": params.top_k,
            "top_p": params.top_p,
            "max_new_tokens": params.max_new_tokens,
            "stop": params.stop,
        });
        Self {
            base: serde_json::Value::String(
                Digest::of(canonical_json(&base).as_bytes()).to_string(),
            ),
        }
    }

    fn path(&self, prompt: &[u32], branch: Option<Branch>, draw: u32) -> Digest {
        row_key(&json!([self.base, prompt, branch.map(|b| b.token), draw]))
    }
}

struct Sampler<'a> {
    params: &'a SampleParams,
    context: &'a Context<'a>,
    student: &'a Student,
    keys: RowKeys,
}

impl Sampler<'_> {
    fn paths(
        &self,
        questions: &[Question],
        prompts: &[Prompt],
    ) -> Result<Vec<ReasoningPath>, StageError> {
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
            row: wanted.row,
            first_token,
            draw: wanted.draw,
            text: tokenizer.decode(&row.tokens)?,
            tokens: row.tokens,
            log_prob: Some(row.log_prob),
            end: row.end,
            answer_text: None,
            scores: BTreeMap::new(),
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
            .map(|(branch, draw)| Wanted {
                row: self.keys.path(prompt, branch, draw),
                branch,
                draw,
            })
            .collect()
    }

    fn branch_key(&self, prompt: &[u32]) -> Digest {
        row_key(&json!([
            "branches/1",
            self.keys.base,
            prompt,
            self.params.first_tokens
        ]))
    }

    fn known_branches(
        &self,
        prompts: &[&Vec<u32>],
    ) -> Result<BTreeMap<Vec<u32>, Vec<Branch>>, StageError> {
        let mut known = BTreeMap::new();
        if self.params.branching == Branching::FirstToken {
            let keys: Vec<Digest> = prompts
                .iter()
                .map(|prompt| self.branch_key(prompt))
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
        let mut todo: Vec<Vec<u32>> = Vec::new();
        for prompt in prompts {
            let known = branches.get(*prompt);
            if (branching && known.is_none()) || !self.missing(prompt, known)?.is_empty() {
                todo.push((*prompt).clone());
            }
        }
        let per_question = self.params.paths_per_question() as usize;
        let total = prompts.len() * per_question;
        let mut done = (prompts.len() - todo.len()) * per_question;
        if todo.is_empty() {
            return Ok(());
        }
        let engine = self.context.engine(self.student)?;
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
                branch_rows.push(self.branch_key(prompt), &found);
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
                        stream: each.row,
                        tag: in_flight.len() as u64 - 1,
                    }
                })
                .collect()
        };
        let mut finished = |generated: crate::model::engine::Generated| {
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
            &todo,
            candidates,
            &drawing,
            stop.as_deref(),
            &mut expand,
            &mut finished,
            self.context.cancel,
        );
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
