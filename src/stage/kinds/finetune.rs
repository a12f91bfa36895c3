//! `finetune`: trains on labels only, or on the student's own kept paths (paper, II).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::append_answer::AppendAnswer;
use super::examples::{ExampleWriter, TooLong, Written};
use super::few_shot::{EXAMPLES, port_errors};
use super::prompt_check::training_prompt_errors;
use super::prompt_size::prompt_tokens;
use super::prompter::Prompter;
use super::training::{
    ADD_UPDATES_OF, IfEmpty, NEUTRAL_TRAINING, TRAINED, check_training, estimate_training,
    run_training, with_added_updates,
};
use crate::artifact::ArtifactKind;
use crate::model::train::TrainOptions;
use crate::model::{Arithmetic, LoraOptions};
use crate::stage::{
    Context, Estimate, Output, Outputs, ParamError, Port, Size, Sizes, StageError, StageKind,
};
use crate::text::{ChoiceAnswer, Hint, PromptSpec, Question, Reading, ReasoningPath};

/// Parameters of `finetune`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct FinetuneParams {
    /// The prompt that it is trained to answer (docs/prompts.md). Default `answer` (paper, II).
    pub prompt: PromptSpec,
    /// How a multiple-choice answer is written. Default `letter` (ours; the paper is silent).
    pub choice_answer: ChoiceAnswer,
    /// What answer stands at the end of a path: `gold`, whatever it concludes; `own`, the one that it concludes itself,
    /// and one that concludes none is left out; `false`, none is appended, and the path is trained on as it was written,
    /// with the end of text unless it was cut. Default `gold` (paper, II).
    pub append_answer: AppendAnswer,
    /// By which rule a path's own answer is found, which the gold one takes the place of (docs/answers.md). Default
    /// `standard` (ours).
    pub reading: Reading,
    /// What to do if no example comes in. Default `fail` (ours).
    pub if_empty: IfEmpty,
    /// What to do with a training text longer than the context or `max_length_tokens`. Default `drop` (ours; the paper is
    /// silent).
    pub too_long: TooLong,
    /// Train a low-rank adapter (`LoRA`) beside the student's weights, and keep that in place of a whole model: a table, empty
    /// for all its defaults. Absent, all weights are trained. Default absent (paper).
    pub lora: Option<LoraOptions>,
    /// How it trains.
    #[serde(flatten)]
    pub train: TrainOptions,
}

impl FinetuneParams {
    /// How it trains, whole.
    fn options(&self) -> TrainOptions {
        TrainOptions {
            lora: self.lora.clone(),
            ..self.train.clone()
        }
    }
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
        EXAMPLES,
    ];
    const OUTPUTS: &'static [Output] = TRAINED;
    const SEEDED: bool = true;
    const READS_ANSWERS: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = NEUTRAL_TRAINING;

    fn numerics(params: &FinetuneParams) -> Option<Arithmetic> {
        Some(Arithmetic::train(params.train.dtype))
    }

    fn check(params: &FinetuneParams) -> Vec<ParamError> {
        let mut param_errors = check_training(&params.train);
        param_errors.extend(training_prompt_errors(&params.prompt));
        if params.append_answer == AppendAnswer::No && params.too_long == TooLong::CutReasoning {
            param_errors.push(ParamError {
                field: "too_long".to_owned(),
                message: "a path's reasoning is cut so that its answer stays, and none is appended"
                    .to_owned(),
                hint: Some("take `too_long = \"drop\"` or `\"cut\"`".to_owned()),
            });
        }
        param_errors
    }

    fn check_ports(params: &FinetuneParams, fed: &[&str]) -> Vec<ParamError> {
        if params.append_answer == AppendAnswer::Gold || fed.contains(&"paths") {
            return port_errors(&params.prompt, fed);
        }
        vec![ParamError {
            field: "append_answer".to_owned(),
            message: "without `paths` there is the gold answer and nothing else to train on"
                .to_owned(),
            hint: Some("add `paths = \"STAGE\"`, or leave `append_answer` out".to_owned()),
        }]
    }

    fn retain_key_fields(params: &mut Map<String, Value>) {
        // The prompt from before there was a choice.
        if params.get("prompt") == Some(&json!(PromptSpec::default())) {
            params.remove("prompt");
        }
    }

    fn taught_with_examples(params: &Self::Params, _: bool) -> bool {
        params.prompt.few_shot.is_some()
    }

    fn estimate(params: &FinetuneParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (questions, shape) = (inputs.get("questions")?, inputs.get("model")?.model?);
        let paths = inputs.get("paths");
        let rows = paths.map_or(questions.rows, |paths| paths.rows);
        let prompt = prompt_tokens(&params.prompt, questions);
        let length = prompt + paths.map_or(3, Size::tokens_per_row);
        Some(estimate_training(
            &params.options(),
            shape,
            rows,
            length,
            inputs,
        ))
    }

    fn run(params: &FinetuneParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let paths: Option<Vec<ReasoningPath>> = context.optional_input("paths")?;
        let hinted = paths
            .iter()
            .flatten()
            .filter(|path| path.hint != Hint::None);
        let hinted = hinted.count();
        if hinted > 0 {
            context.report.info(format!(
                "{hinted} of the paths were written with the answer in the prompt; they are trained on without it"
            ));
            context.record_use("hinted_paths", json!(hinted));
        }
        let (_, student) = context.student("model")?;
        let written = Written {
            prompt: params.prompt.clone(),
            choice_answer: params.choice_answer,
            reading: params.reading,
            append_answer: params.append_answer,
        };
        let prompter = Prompter::new(&params.prompt, context, &student, params.choice_answer)?;
        let writer = ExampleWriter::new(
            &student,
            &prompter,
            written.clone(),
            params.too_long,
            &params.train,
        );
        let texts = match &paths {
            Some(paths) => writer.paths(&questions, paths)?,
            None => writer.labels(&questions)?,
        };
        let validation = writer.validation(context, paths.is_some(), params.train.keep)?;
        writer.tell_left_out(context, &texts, &validation);
        run_training(
            context,
            student,
            &texts,
            &validation.examples,
            &with_added_updates(context, &params.options())?,
            written,
            params.if_empty,
        )
    }
}
