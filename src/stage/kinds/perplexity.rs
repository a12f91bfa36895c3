//! `perplexity`: how likely a student finds a fixed text, document by document: what a training forgets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::corpus;
use super::engine_params::Engine;
use super::rows::{NEUTRAL_DTYPE, cached_rows, in_parts, row_key};
use super::student_engine::once;
use crate::artifact::{Artifact, ArtifactKind};
use crate::dataset::TextParams;
use crate::key::Digest;
use crate::metric::{BootstrapInterval, DocumentScore, TextScores};
use crate::model::{Arithmetic, Dtype, ScoreJob, Student, WeightFiles};
use crate::stage::{
    Context, Estimate, Output, Outputs, OutsideFile, ParamError, Port, Size, Sizes, StageError,
    StageKind, Work,
};

/// Parameters of `perplexity`. All defaults are ours.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PerplexityParams {
    /// A text file. Default none: the text that comes in at the port `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<TextParams>,
    /// Most tokens that the student sees at once, the one included that a piece begins after: a longer document is read in
    /// pieces, each after the last token of the piece before. At most the student's context. Default 1024.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub window: usize,
    /// Number format of weights and products. Default `f32` (ours); `int8` is the CPU's, `tf32` what
    /// `cuda` has for `f32`, `bf16` and `f16` need a
    /// device that has them.
    pub dtype: Dtype,
    /// Confidence of the intervals, 0.5 to 0.9999. Default 0.95.
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// Resamples of each bootstrap, 100 to 1,000,000. Default 2000.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub bootstrap_resamples: u32,
    /// How a bootstrap's interval is read: `percentile` or `bca`. Default percentile.
    pub bootstrap_interval: BootstrapInterval,
}

impl Default for PerplexityParams {
    fn default() -> Self {
        Self {
            corpus: None,
            window: 1024,
            dtype: Dtype::F32,
            confidence: 0.95,
            bootstrap_resamples: 2000,
            bootstrap_interval: BootstrapInterval::default(),
        }
    }
}

/// Measures how likely a student finds a text.
pub(crate) struct Perplexity;

impl StageKind for Perplexity {
    type Params = PerplexityParams;

    const NAME: &'static str = "perplexity";
    const VERSION: u32 = 1;
    const DOC: &'static str =
        "Measure how likely a student finds a fixed text: what a training forgets.";
    const INPUTS: &'static [Port] = &[
        Port::model("The student that reads."),
        Port::required(
            "text",
            ArtifactKind::Text,
            "Documents to read, unless `corpus` names a file.",
        )
        .or("data.text")
        .optional(),
    ];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "scores",
        ArtifactKind::TextScores,
        "The log-probability of each document, with its tokens, words and bytes.",
    )];
    const SEEDED: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = NEUTRAL_DTYPE;
    const LOCATIONS: &'static [&'static str] = &["corpus.path"];

    fn numerics(params: &PerplexityParams) -> Option<Arithmetic> {
        Some(Arithmetic::sample(params.dtype))
    }

    fn check_outside(params: &PerplexityParams, context: &Context<'_>) -> Vec<ParamError> {
        corpus::missing(params.corpus.as_ref(), context)
    }

    fn files(
        params: &PerplexityParams,
        context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError> {
        Ok(corpus::files(params.corpus.as_ref(), context))
    }

    fn estimate(
        params: &PerplexityParams,
        inputs: &Sizes,
        context: &Context<'_>,
    ) -> Option<Estimate> {
        let shape = inputs.get("model")?.model?;
        let text = corpus::size(params.corpus.as_ref(), inputs, context)?;
        let length = (params.window as u64).min(shape.positions);
        let work = Work::inference(shape, params.dtype, text.tokens, 0, 1, length);
        let size = Size {
            rows: text.rows,
            ..Size::default()
        };
        Some((work, BTreeMap::from([("scores", size)])))
    }

    fn run(params: &PerplexityParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let documents = corpus::documents(params.corpus.as_ref(), "read", context)?;
        let (folder, student) = context.opened_student("model")?;
        let mut jobs = Vec::new();
        let mut of_document = Vec::new();
        for (place, document) in documents.iter().enumerate() {
            let pieces = pieces(document, &student, params.window)?;
            of_document.extend(std::iter::repeat_n(place, pieces.len()));
            jobs.extend(pieces);
        }
        // As `score` has them: what a student finds of the same tokens is one row.
        let base = row_key(&json!({
            "row": "score/1",
            "model": folder.identity(),
            "numerics": context.numerics(Arithmetic::sample(params.dtype)),
        }));
        let keys: Vec<Digest> = (jobs.iter())
            .map(|job| row_key(&json!([base, job.prompt, job.continuations])))
            .collect();
        let mut engine = None;
        let log_probs: Vec<Vec<f64>> = cached_rows(context, "scores", &keys, |missing, rows| {
            let engine = once(
                &mut engine,
                &student,
                Engine::builtin(params.dtype),
                context,
            )?;
            let mut done = jobs.len() - missing.len();
            in_parts(&keys, missing, rows, |part, rows| {
                let wanted: Vec<ScoreJob> = part.iter().map(|&place| jobs[place].clone()).collect();
                let mut finished = |index: usize, scores: Vec<Vec<f64>>| {
                    done += 1;
                    rows.push(keys[part[index]], &scores.concat());
                    context.progress("pieces", done, jobs.len(), 0, String::new());
                    if rows.failed() {
                        context.cancel.cancel();
                    }
                };
                engine.score(&wanted, &mut finished, context)
            })
        })?;
        let mut scores: Vec<DocumentScore> = (documents.iter())
            .map(|document| DocumentScore {
                words: document.split_whitespace().count() as u64,
                bytes: document.len() as u64,
                ..DocumentScore::default()
            })
            .collect();
        for (place, log_probs) in of_document.into_iter().zip(&log_probs) {
            scores[place].log_prob += log_probs.iter().sum::<f64>();
            scores[place].tokens += log_probs.len() as u64;
        }
        let scores = TextScores {
            text: Digest::of(&documents.encode()),
            confidence: params.confidence,
            bootstrap_resamples: params.bootstrap_resamples,
            bootstrap_interval: params.bootstrap_interval,
            seed: context.seed,
            documents: scores,
        };
        Ok(Outputs::from([(
            "scores".to_owned(),
            context.keep(&scores)?,
        )]))
    }
}

/// What the student reads of a document: each of its tokens once, the first after what the tokenizer puts before a text,
/// or after an end of text, and the others after all before them that fit into `window` tokens with the rest of their piece.
fn pieces(
    document: &str,
    student: &Student<WeightFiles>,
    window: usize,
) -> Result<Vec<ScoreJob>, StageError> {
    let tokenizer = &student.tokenizer;
    let tokens = tokenizer.encode(document)?;
    let window = window.min(student.architecture.context);
    let mut before = match tokenizer.prefix() {
        [] => vec![tokenizer.eos_id()],
        prefix => prefix.to_vec(),
    };
    let mut rest = tokens.as_slice();
    let mut jobs = Vec::new();
    while !rest.is_empty() {
        let room = window.saturating_sub(before.len()).max(1);
        let (piece, later) = rest.split_at(room.min(rest.len()));
        jobs.push(ScoreJob {
            prompt: std::mem::replace(&mut before, piece[piece.len() - 1..].to_vec()),
            continuations: vec![piece.to_vec()],
        });
        rest = later;
    }
    Ok(jobs)
}
