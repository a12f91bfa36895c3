//! `pretrain`: a student from scratch (for the quickstart and for tests; the paper starts from GPT-2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::corpus;
use super::examples::{Texts, Written};
use super::rows::NEUTRAL_DTYPE;
use super::training::{IfEmpty, TRAINED, check_training, estimate_training, run_training};
use crate::artifact::ArtifactKind;
use crate::dataset::TextParams;
use crate::model::architecture::Gpt2;
use crate::model::train::{Example, TrainOptions};
use crate::model::{Architecture, Arithmetic, Student, StudentTokenizer};
use crate::stage::{
    Brings, Context, Estimate, Output, Outputs, OutsideFile, ParamError, Port, Shape, Sizes,
    StageError, StageKind,
};

/// Parameters of `pretrain`. All defaults are ours.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct PretrainParams {
    /// A text file to train on. Default none: the text that comes in at the port `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<TextParams>,
    /// Size of the byte-level BPE vocabulary that is trained on the text. Default 512.
    #[schemars(range(min = 257, max = 1_000_000))]
    pub vocab_size: usize,
    /// Model width. Default 128.
    #[schemars(range(min = 2, max = 16384))]
    pub width: usize,
    /// Number of blocks. Default 4.
    #[schemars(range(min = 1, max = 1000))]
    pub layers: usize,
    /// Attention heads; divides the width. Default 4.
    #[schemars(range(min = 1, max = 1000))]
    pub heads: usize,
    /// Context in tokens, and the length of a training text: documents are packed to it. Default 256.
    #[schemars(range(min = 8, max = 1_000_000))]
    pub context: usize,
    /// How it trains.
    #[serde(flatten)]
    pub train: TrainOptions,
}

impl Default for PretrainParams {
    fn default() -> Self {
        Self {
            corpus: None,
            vocab_size: 512,
            width: 128,
            layers: 4,
            heads: 4,
            context: 256,
            train: TrainOptions::default(),
        }
    }
}

impl PretrainParams {
    /// The student's sizes.
    pub(super) fn gpt2(&self, vocab_rows: usize) -> Gpt2 {
        Gpt2 {
            vocab_rows,
            context: self.context,
            width: self.width,
            layers: self.layers,
            heads: self.heads,
        }
    }
}

/// Trains a student and its tokenizer from scratch.
pub(crate) struct Pretrain;

impl StageKind for Pretrain {
    type Params = PretrainParams;

    const NAME: &'static str = "pretrain";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Train a student and its tokenizer from scratch on a text.";
    const INPUTS: &'static [Port] = &[Port::required(
        "text",
        ArtifactKind::Text,
        "Documents to train on, unless `corpus` names a file.",
    )
    .or("data.text")
    .optional()
    .trains()];
    const BRINGS: Option<Brings> = Some(Brings::Student);
    const OUTPUTS: &'static [Output] = TRAINED;
    const SEEDED: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = NEUTRAL_DTYPE;
    const LOCATIONS: &'static [&'static str] = &["corpus.path"];

    fn numerics(params: &PretrainParams) -> Option<Arithmetic> {
        Some(Arithmetic::train(params.train.dtype))
    }

    fn check(params: &PretrainParams) -> Vec<ParamError> {
        let mut param_errors = check_training(&params.train);
        if !params.width.is_multiple_of(params.heads) {
            param_errors.push(ParamError {
                field: "heads".to_owned(),
                message: format!(
                    "{} heads do not divide a width of {}",
                    params.heads, params.width
                ),
                hint: None,
            });
        }
        param_errors
    }

    fn check_outside(params: &PretrainParams, context: &Context<'_>) -> Vec<ParamError> {
        corpus::missing(params.corpus.as_ref(), context)
    }

    fn files(
        params: &PretrainParams,
        context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError> {
        Ok(corpus::files(params.corpus.as_ref(), context))
    }

    fn estimate(
        params: &PretrainParams,
        inputs: &Sizes,
        context: &Context<'_>,
    ) -> Option<Estimate> {
        let tokens = corpus::size(params.corpus.as_ref(), inputs, context)?.tokens;
        let gpt2 = params.gpt2(params.vocab_size);
        let length = params.context as u64;
        Some(estimate_training(
            &params.train,
            Shape::of(&gpt2.into()),
            tokens / length.max(1),
            length,
            inputs,
        ))
    }

    fn run(params: &PretrainParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let documents = corpus::documents(params.corpus.as_ref(), "train on", context)?;
        let tokenizer = StudentTokenizer::train(documents.iter().cloned(), params.vocab_size)?;
        let architecture = Architecture {
            end_of_text: Some(tokenizer.eos_id()),
            ..params.gpt2(tokenizer.vocab_size()).into()
        };
        let texts = Texts {
            examples: pack(&tokenizer, &documents, params.context)?,
            ..Texts::default()
        };
        let student = Student::init(architecture, tokenizer, context.seed)?;
        context.report.info(format!(
            "{} documents, {} texts of {} tokens, {:.2}M parameters",
            documents.len(),
            texts.examples.len(),
            params.context,
            student.parameters() as f64 / 1e6
        ));
        run_training(
            context,
            student,
            &texts,
            &[],
            &params.train,
            Written::default(),
            IfEmpty::Fail,
        )
    }
}

/// Documents one after the other, each closed by end-of-text, cut into texts of `length` tokens.
/// A document begins a new text where it would otherwise be cut and is not longer than a text.
pub(super) fn pack(
    tokenizer: &StudentTokenizer,
    documents: &[String],
    length: usize,
) -> Result<Vec<Example>, StageError> {
    let mut texts = Vec::new();
    let mut current: Vec<u32> = Vec::with_capacity(length);
    let mut close = |current: &mut Vec<u32>| {
        if current.len() > 1 {
            texts.push(Example {
                tokens: std::mem::take(current),
                loss_from: 1,
            });
        }
        current.clear();
    };
    for document in documents {
        let mut tokens = tokenizer.encode(document)?;
        tokens.push(tokenizer.eos_id());
        if current.len() + tokens.len() > length {
            close(&mut current);
        }
        for token in tokens {
            if current.len() == length {
                close(&mut current);
            }
            current.push(token);
        }
    }
    close(&mut current);
    Ok(texts)
}
