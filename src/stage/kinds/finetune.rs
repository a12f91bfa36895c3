//! `finetune`: trains on labels only, or on the student's own kept paths (paper, II).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::examples::{ExampleWriter, TooLong, Written};
use super::training::{
    ADD_UPDATES_OF, IfEmpty, NEUTRAL_TRAINING, TRAINED, check_training, estimate_training,
    run_training, with_added_updates,
};
use crate::artifact::ArtifactKind;
use crate::model::Arithmetic;
use crate::model::train::TrainOptions;
use crate::stage::{
    Context, Estimate, Output, Outputs, ParamError, Port, Size, Sizes, StageError, StageKind,
};
use crate::text::{ChoiceAnswer, PromptForm, Question, Reading, ReasoningPath};

/// Parameters of `finetune`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct FinetuneParams {
    /// How a multiple-choice answer is written. Default `letter` (ours; the paper is silent).
    pub choice_answer: ChoiceAnswer,
    /// By which rule a path's own answer is found, which the gold one takes the place of (docs/answers.md). Default
    /// `standard` (ours).
    pub reading: Reading,
    /// What to do if no example comes in. Default `fail` (ours).
    pub if_empty: IfEmpty,
    /// What to do with a training text longer than the context or `max_length_tokens`. Default `drop` (ours; the paper is
    /// silent).
    pub too_long: TooLong,
    /// How it trains.
    #[serde(flatten)]
    pub train: TrainOptions,
}

/// Trains a student on answers alone, or on its own kept paths.
pub(crate) struct Finetune;

impl StageKind for Finetune {
    type Params = FinetuneParams;

    const NAME: &'static str = "finetune";
    const VERSION: u32 = 1;
    const DOC: &'static str =
        "Train on answers only, or (with `paths`) on the student's own kept paths.";
    const INPUTS: &'static [Port] = &[
        Port::model("The student to train."),
        Port::questions("questions", "data.train", "Questions with gold answers."),
        Port::required(
            "paths",
            ArtifactKind::Paths,
            "Kept paths; without them it trains on answers only.",
        )
        .trains()
        .optional(),
        Port::questions(
            "validation",
            "data.validation",
            "Questions for the validation loss, on answers only.",
        )
        .optional(),
        Port::required(
            "validation_paths",
            ArtifactKind::Paths,
            "Paths for the validation questions; without them the validation loss is on answers only.",
        )
        .trains()
        .optional(),
        ADD_UPDATES_OF,
    ];
    const OUTPUTS: &'static [Output] = TRAINED;
    const SEEDED: bool = true;
    const READS_ANSWERS: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = NEUTRAL_TRAINING;

    fn numerics(params: &FinetuneParams) -> Option<Arithmetic> {
        Some(Arithmetic::train(params.train.dtype))
    }

    fn check(params: &FinetuneParams) -> Vec<ParamError> {
        check_training(&params.train)
    }

    fn estimate(params: &FinetuneParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (questions, shape) = (inputs.get("questions")?, inputs.get("model")?.model?);
        let paths = inputs.get("paths");
        let rows = paths.map_or(questions.rows, |paths| paths.rows);
        let length = questions.tokens_per_row() + paths.map_or(3, Size::tokens_per_row);
        Some(estimate_training(
            &params.train,
            shape,
            rows,
            length,
            inputs,
        ))
    }

    fn run(params: &FinetuneParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let paths: Option<Vec<ReasoningPath>> = context.optional_input("paths")?;
        let (_, student) = context.student("model")?;
        let written = Written {
            prompt: PromptForm::Answer,
            choice_answer: params.choice_answer,
            reading: params.reading,
        };
        let writer = ExampleWriter::new(&student, written, params.too_long, &params.train);
        let texts = match &paths {
            Some(paths) => writer.paths(&questions, paths)?,
            None => writer.labels(&questions)?,
        };
        let validation = writer.validation(context, paths.is_some(), params.train.keep)?;
        writer.tell_too_long(context, &texts, &validation);
        run_training(
            context,
            student,
            &texts,
            &validation.examples,
            &with_added_updates(context, &params.train)?,
            written,
            params.if_empty,
        )
    }
}
