//! `distill`: reasoning distillation, training on a teacher's paths (paper, II; Kim & Rush 2016).

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
use crate::filter::{conclusions, correct, unreadable};
use crate::model::train::TrainOptions;
use crate::model::{Arithmetic, LoraOptions};
use crate::stage::{
    Context, Estimate, Output, Outputs, ParamError, Port, Sizes, StageError, StageKind,
};
use crate::text::{ChoiceAnswer, PromptForm, PromptSpec, Question, Reading, ReasoningPath};

/// Which of the teacher's paths to train on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TeacherPaths {
    /// Those whose answer is the gold answer, as Ho et al. 2023 do.
    #[default]
    Correct,
    /// All of them.
    All,
}

/// Parameters of `distill`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct DistillParams {
    /// The prompt that it is trained to answer (docs/prompts.md). Default `step-by-step` (paper, II).
    pub prompt: PromptSpec,
    /// Which paths to train on. Default `correct` (ours; the paper is silent, Ho et al. 2023, whom it
    /// follows, keep the correct ones).
    pub teacher_paths: TeacherPaths,
    /// How a multiple-choice answer is written. Default `letter` (ours; the paper is silent).
    pub choice_answer: ChoiceAnswer,
    /// By which rule a path's answer is read: to tell whether it is correct, and to find what the gold one takes the
    /// place of (docs/answers.md). Default `standard` (ours).
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

impl Default for DistillParams {
    fn default() -> Self {
        Self {
            prompt: PromptSpec::form(PromptForm::StepByStep),
            teacher_paths: TeacherPaths::default(),
            choice_answer: ChoiceAnswer::default(),
            reading: Reading::default(),
            if_empty: IfEmpty::default(),
            too_long: TooLong::default(),
            lora: None,
            train: TrainOptions::default(),
        }
    }
}

impl DistillParams {
    /// How it trains, whole.
    fn options(&self) -> TrainOptions {
        TrainOptions {
            lora: self.lora.clone(),
            ..self.train.clone()
        }
    }
}

/// Trains a student on a teacher's reasoning paths.
pub(crate) struct Distill;

impl StageKind for Distill {
    type Params = DistillParams;

    const NAME: &'static str = "distill";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Train on a teacher's reasoning paths.";
    const INPUTS: &'static [Port] = &[
        Port::model("The student to train: the raw one for RD, a self-trained one for SERT+RD."),
        Port::questions("questions", "data.train", "Questions with gold answers."),
        Port::required("paths", ArtifactKind::Paths, "The teacher's paths.").trains(),
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

    fn numerics(params: &DistillParams) -> Option<Arithmetic> {
        Some(Arithmetic::train(params.train.dtype))
    }

    fn check(params: &DistillParams) -> Vec<ParamError> {
        let mut param_errors = check_training(&params.train);
        param_errors.extend(training_prompt_errors(&params.prompt));
        param_errors
    }

    fn check_ports(params: &DistillParams, fed: &[&str]) -> Vec<ParamError> {
        port_errors(&params.prompt, fed)
    }

    fn retain_key_fields(params: &mut Map<String, Value>) {
        // The prompt from before there was a choice.
        if params.get("prompt") == Some(&json!(PromptSpec::form(PromptForm::StepByStep))) {
            params.remove("prompt");
        }
    }

    fn taught_with_examples(params: &Self::Params, _: bool) -> bool {
        params.prompt.few_shot.is_some()
    }

    fn estimate(params: &DistillParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (questions, shape) = (inputs.get("questions")?, inputs.get("model")?.model?);
        let paths = inputs.get("paths")?;
        let length = prompt_tokens(&params.prompt, questions) + paths.tokens_per_row();
        Some(estimate_training(
            &params.options(),
            shape,
            paths.rows,
            length,
            inputs,
        ))
    }

    fn run(params: &DistillParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let mut paths: Vec<ReasoningPath> = context.input("paths")?;
        let (_, student) = context.student("model")?;
        let all = paths.len();
        if params.teacher_paths == TeacherPaths::Correct {
            let conclude = conclusions(&paths, &questions, params.reading)?;
            if let Some(warning) = unreadable(&paths, &questions, params.reading)? {
                context.report.warn(warning);
            }
            paths = correct(paths, &questions, params.reading)?;
            context.report.info(format!(
                "training on the {} correct ones of {all} teacher paths; {} are wrong, {} have no readable answer",
                conclude.agree, conclude.contradict, conclude.none
            ));
        } else {
            context
                .report
                .info(format!("training on all {all} teacher paths"));
        }
        let written = Written {
            prompt: params.prompt.clone(),
            choice_answer: params.choice_answer,
            reading: params.reading,
            append_answer: AppendAnswer::Gold,
        };
        let prompter = Prompter::new(&params.prompt, context, &student, params.choice_answer)?;
        let writer = ExampleWriter::new(
            &student,
            &prompter,
            written.clone(),
            params.too_long,
            &params.train,
        );
        let texts = writer.paths(&questions, &paths)?;
        let validation = writer.validation(context, true, params.train.keep)?;
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
