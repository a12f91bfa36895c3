//! The work of `sample`: lets the paths be drawn that no row holds yet (`drawing`), and reads all of them from their rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::prompts::Prompt;
use super::rows::{read_rows, row_key, stream_numerics, with_ends};
use super::sample_params::{Branching, SampleParams};
use crate::artifact::ModelFolder;
use crate::key::Digest;
use crate::memory::room_for;
use crate::model::{Student, WeightFiles};
use crate::stage::{Context, StageError, product};
use crate::text::{EndReason, FirstToken, LogProbSummary, Question, ReasoningPath};

/// The bucket of sampled paths.
pub(super) const BUCKET: &str = "paths";
/// Bytes that a path takes in memory at least (ours).
const PATH_BYTES: u64 = 300;

/// What is kept of one sampled path; its text follows from its tokens.
#[derive(Serialize, Deserialize)]
pub(super) struct PathRow {
    pub(super) tokens: Vec<u32>,
    pub(super) log_prob: LogProbSummary,
    pub(super) end: EndReason,
    /// Where it is not the tokenizer's end of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end_token: Option<u32>,
}

/// A branch of a prompt: kept as a row, since finding it needs the model.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Branch {
    pub(super) token: u32,
    pub(super) rank: u32,
}

/// One sequence that a question asks for.
pub(super) struct Wanted {
    /// Seeds its random stream, and identifies the draw in ties.
    pub(super) stream: Digest,
    /// Where it is kept.
    pub(super) row: Digest,
    pub(super) branch: Option<Branch>,
    draw: u32,
}

/// Makes row keys. A draw's stream: by weights, tokenizer, prompt, drawing, seed, branch token and draw. Its
/// row: by that, by the arithmetic, and by what ends it early, which changes where a path ends and never what is drawn. A
/// prompt's branches: by weights, tokenizer, arithmetic and prompt, so that seeds share them.
pub(super) struct RowKeys {
    stream: Value,
    row: Value,
    branches: Value,
}

impl RowKeys {
    fn new(
        params: &SampleParams,
        context: &Context<'_>,
        folder: &ModelFolder,
        student: &Student<WeightFiles>,
    ) -> Self {
        let base = |parts: Value| json!(row_key(&parts));
        let files = folder.identity();
        let numerics = params.engine().computes(context);
        Self {
            stream: base(json!({
                "stream": "path/1",
                "model": {"files": files, "numerics": stream_numerics()},
                "seed": context.seed,
                "temperature": params.temperature,
                "top_k": params.top_k,
                "top_p": params.top_p,
            })),
            row: with_ends(
                json!({
                    "numerics": numerics,
                    "max_new_tokens": params.max_new_tokens,
                    "stop": params.stop,
                }),
                student,
            ),
            branches: base(json!({
                "row": "branches/1",
                "model": {"files": files, "numerics": numerics},
                "count": params.first_tokens,
            })),
        }
    }

    fn wanted(&self, prompt: &[u32], branch: Option<Branch>, draw: u32) -> Wanted {
        let stream = row_key(&json!([self.stream, prompt, branch.map(|b| b.token), draw]));
        Wanted {
            stream,
            row: row_key(&json!([stream, self.row])),
            branch,
            draw,
        }
    }

    pub(super) fn branches(&self, prompt: &[u32]) -> Digest {
        row_key(&json!([self.branches, prompt]))
    }

    /// What stands for all rows of a prompt, which are drawn together, where they are claimed.
    pub(super) fn claim(&self, prompt: &[u32]) -> Digest {
        row_key(&json!([self.stream, self.row, prompt]))
    }
}

/// Draws the paths of one stage.
pub(super) struct Sampler<'a> {
    pub(super) params: &'a SampleParams,
    pub(super) context: &'a Context<'a>,
    pub(super) student: Student<WeightFiles>,
    pub(super) keys: RowKeys,
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
            keys: RowKeys::new(params, context, folder, &student),
            student,
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
            let rows: Vec<PathRow> = read_rows(self.context.store, BUCKET, &keys)?;
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
            stream: wanted.stream,
            first_token,
            draw: wanted.draw,
            hint: self.params.hint,
            text: tokenizer.decode(&row.tokens)?,
            tokens: row.tokens,
            log_prob: Some(row.log_prob),
            end: row.end,
            end_token: row.end_token,
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

    pub(super) fn known_branches(
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
    pub(super) fn missing(
        &self,
        prompt: &[u32],
        branches: Option<&Vec<Branch>>,
    ) -> Result<Vec<Wanted>, StageError> {
        let wanted = self.wanted(prompt, branches);
        let keys: Vec<Digest> = wanted.iter().map(|each| each.row).collect();
        let rows = self.context.store.rows(BUCKET, &keys)?;
        Ok(wanted
            .into_iter()
            .zip(rows)
            .filter(|(_, row)| row.is_none())
            .map(|(each, _)| each)
            .collect())
    }
}
