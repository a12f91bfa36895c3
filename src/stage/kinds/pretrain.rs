//! `pretrain`: a student from scratch (for the quickstart and for tests; the paper starts from GPT-2).

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::corpus;
use super::examples::{Texts, Written};
use super::rows::NEUTRAL_DTYPE;
use super::training::{IfEmpty, TRAINED, check_training, estimate_training, run_training};
use crate::artifact::ArtifactKind;
use crate::dataset::TextParams;
use crate::model::architecture::Gpt2;
use crate::model::train::{Example, TrainOptions};
use crate::model::{
    Architecture, Arithmetic, INITIALIZER_RANGE, ModelError, Student, StudentTokenizer,
};
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
    /// The family of the student. Default `gpt2`.
    pub family: PretrainFamily,
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
    /// Context in tokens. Default 256.
    #[schemars(range(min = 8, max = 1_000_000))]
    pub context: usize,
    /// Whether documents are packed to training texts as long as the context, one after the other. Otherwise each is a text of
    /// its own, or several where it is longer, and sees no other. Default true.
    pub packing: bool,
    /// Standard deviation of the fresh weights (GPT-2's `initializer_range`); a small student learns faster from a larger one.
    /// Default 0.02, GPT-2's.
    #[schemars(range(min = 0.000_001, max = 10.0))]
    pub initializer_range: f64,
    /// How it trains.
    #[serde(flatten)]
    pub train: TrainOptions,
}

impl Default for PretrainParams {
    fn default() -> Self {
        Self {
            corpus: None,
            family: PretrainFamily::default(),
            vocab_size: 512,
            width: 128,
            layers: 4,
            heads: 4,
            context: 256,
            packing: true,
            initializer_range: INITIALIZER_RANGE,
            train: TrainOptions::default(),
        }
    }
}

/// What a student from scratch is built as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PretrainFamily {
    /// GPT-2: learned positions, the feed-forward half four times as wide as the model.
    #[default]
    Gpt2,
    /// Llama: rotary positions, RMS norms, a gated feed-forward half of about the same size as GPT-2's, input and output
    /// embeddings tied.
    Llama,
}

impl PretrainParams {
    /// The student's architecture.
    ///
    /// # Errors
    /// The sizes do not go together.
    pub(super) fn architecture(&self, vocab_rows: usize) -> Result<Architecture, ModelError> {
        match self.family {
            PretrainFamily::Gpt2 => Ok(Gpt2 {
                vocab_rows,
                context: self.context,
                width: self.width,
                layers: self.layers,
                heads: self.heads,
            }
            .into()),
            PretrainFamily::Llama => {
                let config = json!({
                    "model_type": "llama",
                    "vocab_size": vocab_rows,
                    "max_position_embeddings": self.context,
                    "hidden_size": self.width,
                    "intermediate_size": gated_width(self.width),
                    "num_hidden_layers": self.layers,
                    "num_attention_heads": self.heads,
                    "tie_word_embeddings": true,
                });
                Architecture::parse(config.to_string().as_bytes(), Path::new("config.json"))
            }
        }
    }
}

/// A gated feed-forward half has three matrices where a plain one has two: 8/3 of the width are as many parameters as four
/// times the width; a multiple of 16, which kernels like.
fn gated_width(width: usize) -> usize {
    (width * 8).div_ceil(3).next_multiple_of(16)
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
    const NEUTRAL: &'static [(&'static str, &'static str)] = &[
        NEUTRAL_DTYPE[0],
        ("family", "\"gpt2\""),
        ("packing", "true"),
        ("initializer_range", "0.02"),
    ];
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
        } else if params.family == PretrainFamily::Llama
            && !(params.width / params.heads).is_multiple_of(2)
        {
            param_errors.push(ParamError {
                field: "heads".to_owned(),
                message: format!(
                    "{} heads of {} numbers each, expected an even number: rotary positions turn pairs of them",
                    params.heads,
                    params.width / params.heads
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
        let architecture = params.architecture(params.vocab_size).ok()?;
        let length = params.context as u64;
        Some(estimate_training(
            &params.train,
            Shape::of(&architecture),
            tokens / length.max(1),
            length,
            inputs,
        ))
    }

    fn run(params: &PretrainParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let documents = corpus::documents(params.corpus.as_ref(), "train on", context)?;
        let (student, examples) = fresh(params, &documents, context.seed)?;
        let texts = Texts {
            examples,
            ..Texts::default()
        };
        context.report.info(format!(
            "{} documents, {} texts of {}{} tokens, {:.2}M parameters",
            documents.len(),
            texts.examples.len(),
            if params.packing { "" } else { "at most " },
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

/// A student of fresh weights whose tokenizer knows `documents`, and these as it is trained on them.
pub(super) fn fresh(
    params: &PretrainParams,
    documents: &[String],
    seed: u64,
) -> Result<(Student, Vec<Example>), StageError> {
    let tokenizer = StudentTokenizer::train(documents.iter().cloned(), params.vocab_size)?;
    let architecture = Architecture {
        end_of_text: Some(tokenizer.eos_id()),
        ..params.architecture(tokenizer.vocab_size())?
    };
    let examples = cut(&tokenizer, documents, params.context, params.packing)?;
    let student = Student::init_within(architecture, tokenizer, params.initializer_range, seed)?;
    Ok((student, examples))
}

/// Documents, each closed by end-of-text, cut into texts of at most `length` tokens: one after the other where they are
/// `packed`, and a document begins a new text where it would otherwise be cut and is not longer than a text.
fn cut(
    tokenizer: &StudentTokenizer,
    documents: &[String],
    length: usize,
    packed: bool,
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
        if !packed || current.len() + tokens.len() > length {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::architecture::{Positions, Role};

    fn params(family: PretrainFamily) -> PretrainParams {
        PretrainParams {
            family,
            width: 64,
            context: 8,
            ..PretrainParams::default()
        }
    }

    #[test]
    fn documents_are_packed_or_stay_apart() {
        let tokenizer = StudentTokenizer::train(std::iter::empty(), 257).unwrap();
        let documents = ["ab", "cde", "0123456789"].map(str::to_owned);
        let texts = |packed| -> Vec<Vec<u8>> {
            let cut = cut(&tokenizer, &documents, 8, packed).unwrap();
            let text = |example: Example| {
                let tokens = example.tokens.iter();
                let byte = |token: &u32| {
                    if *token == tokenizer.eos_id() {
                        b'.'
                    } else {
                        tokenizer.decode(&[*token]).unwrap().as_bytes()[0]
                    }
                };
                tokens.map(byte).collect()
            };
            cut.into_iter().map(text).collect()
        };
        // A document that is longer than a text is cut wherever it begins.
        assert_eq!(texts(true), [&b"ab.cde."[..], b"01234567", b"89."]);
        assert_eq!(texts(false), [&b"ab."[..], b"cde.", b"01234567", b"89."]);
    }

    #[test]
    fn a_family_is_built_of_the_same_sizes() {
        let [gpt2, llama] = [PretrainFamily::Gpt2, PretrainFamily::Llama]
            .map(|family| params(family).architecture(300).unwrap());
        assert_eq!(gpt2.family.model_type(), "gpt2");
        assert_eq!(llama.family.model_type(), "llama");
        assert_eq!(llama.positions, Positions::Rotary);
        assert!(
            llama
                .arrays()
                .iter()
                .all(|array| array.id.role != Role::Output)
        );
        assert_eq!(
            (gpt2.feed_forward.inner, llama.feed_forward.inner),
            (256, 176)
        );
    }

    #[test]
    fn heads_of_an_odd_width_are_refused_where_positions_turn() {
        let wrong = |family, heads| {
            let params = PretrainParams {
                width: 60,
                heads,
                ..params(family)
            };
            let errors = Pretrain::check(&params);
            errors.first().map(|error| error.message.clone())
        };
        assert_eq!(wrong(PretrainFamily::Gpt2, 12), None);
        assert_eq!(wrong(PretrainFamily::Llama, 6), None);
        let told = wrong(PretrainFamily::Llama, 12).unwrap();
        assert!(told.contains("12 heads of 5 numbers each"), "{told}");
    }
}
