//! What `pretrain`, `finetune` and `distill` share: run a training, keep model and losses.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::examples::{Texts, Written};
use crate::artifact::{ArtifactKind, ModelFolder};
use crate::key::Digest;
use crate::model::device::DeviceName;
use crate::model::train::{Example, LossPoint, TrainOptions, TrainRuntime, train};
use crate::model::{Adapter, Dtype, Student};
use crate::stage::{
    Context, Counts, Estimate, Output, Outputs, ParamError, Port, Shape, Size, Sizes, StageError,
    Work, product,
};

/// What a training stage makes.
pub(crate) const TRAINED: &[Output] = &[
    Output::new(
        "model",
        ArtifactKind::Model,
        "The trained student, as a folder in Hub format.",
    ),
    Output::new("losses", ArtifactKind::Losses, "The loss curve.").that_counts(Counts::Trained),
];

/// The port by which a control trains as long as another training and itself together: RD with as many
/// updates as SERT+RD (ours; the paper's SERT+RD trains 40 epochs to RD's 20).
pub(crate) const ADD_UPDATES_OF: Port = Port::required(
    "add_updates_of",
    ArtifactKind::Losses,
    "A control: the losses of another training, whose number of updates is added to this one's. Schedule and order of the examples go on over more epochs; the last may be cut.",
)
.trains()
.optional();

/// What a training does to which no example comes, as where a filter dropped every path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum IfEmpty {
    /// It fails: as a rule something before it is wrong.
    #[default]
    Fail,
    /// The student comes out as it went in, after no update: an arm that kept nothing is then a row like others.
    KeepStudent,
}

/// Parameters added later, with the value at which a training is what it was before them.
pub(crate) const NEUTRAL_TRAINING: &[(&str, &str)] = &[
    ("dtype", "\"f32\""),
    ("if_empty", "\"fail\""),
    ("too_long", "\"cut\""),
    ("reading", "\"paper\""),
    ("append_answer", "\"gold\""),
    ("lora", "null"),
];

/// What is wrong with the options, where their schema cannot say it.
pub(crate) fn check_training(options: &TrainOptions) -> Vec<ParamError> {
    if options.dtype != Dtype::Int8 {
        return Vec::new();
    }
    vec![ParamError {
        field: "dtype".to_owned(),
        message: "no training computes in int8".to_owned(),
        hint: Some(
            "8-bit integers are for `sample`, `predict` and `score`; train in f32, bf16 or f16"
                .to_owned(),
        ),
    }]
}

/// The options with as many more steps as the training at the port [`ADD_UPDATES_OF`] took, if it is fed.
pub(crate) fn with_added_updates(
    context: &Context<'_>,
    options: &TrainOptions,
) -> Result<TrainOptions, StageError> {
    let losses: Option<Vec<LossPoint>> = context.optional_input(ADD_UPDATES_OF.name)?;
    let extra_steps = losses.and_then(|losses| Some(losses.last()?.step));
    if let Some(steps) = extra_steps {
        context.report.info(format!(
            "{steps} updates more, as many as `add_updates_of` took"
        ));
    }
    Ok(TrainOptions {
        extra_steps: extra_steps.unwrap_or_default(),
        ..options.clone()
    })
}

/// The estimate of a training on `rows` texts of `length` tokens.
pub(crate) fn estimate_training(
    options: &TrainOptions,
    shape: Shape,
    rows: u64,
    length: u64,
    inputs: &Sizes,
) -> Estimate {
    let length = length.min(shape.positions);
    let batch = options.batch_size as u64;
    // A row of losses is an epoch; those of another training are taken to be as long as this one's.
    let added = inputs.get(ADD_UPDATES_OF.name).map_or(0, |size| size.rows);
    let epochs = options.epochs as u64 + added;
    let tokens = product(&[rows, length, epochs]);
    let batch = product(&[batch, length]);
    let work = match &options.lora {
        None => Work::training(shape, tokens, batch),
        Some(lora) => Work::adapting(shape, lora.rank as u64, tokens, batch),
    };
    let losses = Size {
        rows: epochs,
        ..Size::default()
    };
    let sizes = BTreeMap::from([("model", Size::of_model(shape)), ("losses", losses)]);
    (work, sizes)
}

/// Trains `student` and keeps the result; checkpoints let a killed run go on.
pub(crate) fn run_training(
    context: &Context<'_>,
    student: Student,
    texts: &Texts,
    validation: &[Example],
    options: &TrainOptions,
    written: Written,
    if_empty: IfEmpty,
) -> Result<Outputs, StageError> {
    let made = |model: Digest, losses: Vec<LossPoint>| {
        let losses = context.keep(&losses)?;
        Ok(Outputs::from([
            ("model".to_owned(), model),
            ("losses".to_owned(), losses),
        ]))
    };
    let Written {
        prompt,
        choice_answer,
        ..
    } = written;
    let keep = |student: &Student| context.keep_student(student, prompt.clone(), choice_answer);
    let examples = &texts.examples;
    if examples.is_empty() && if_empty == IfEmpty::KeepStudent {
        let warning =
            "there is nothing to train on: the student comes out as it went in (`if_empty`)";
        context.report.warn(warning);
        let model = match options.lora {
            None => keep(&student)?,
            // Its files are in the store: a whole model would be one more.
            Some(_) => context.keep(&ModelFolder {
                prompt: prompt.clone(),
                choice_answer,
                ..context.input("model")?
            })?,
        };
        return made(model, Vec::new());
    }
    if examples.is_empty() && texts.dropped > 0 {
        return Err(StageError::Invalid(format!(
            "there is nothing to train on: each of the {} texts is too long, the longest with {} tokens\nhint: `too_long = \"cut-reasoning\"` keeps the answers of long texts; `max_length_tokens` and the student's context say how long a text may be",
            texts.dropped, texts.longest
        )));
    }
    if examples.is_empty() {
        return Err(StageError::Invalid(
            "there is nothing to train on: no example came in\nhint: `sert-run show X.toml STAGE` shows what the stage that feeds this one made; `if_empty = \"keep-student\"` of `finetune` and `distill` lets the student through as it is".to_owned(),
        ));
    }
    let checkpoints = context.work_dir()?;
    let runtime = TrainRuntime {
        threads: context.options.threads,
        device: context.options.device,
        beside: context.options.beside.clone(),
        gradient_checkpointing: context.options.gradient_checkpointing,
        checkpoints: context.options.checkpoints,
    };
    let mut progress = |at: crate::model::train::TrainProgress| {
        context.progress(
            "steps",
            at.step,
            at.steps_total,
            at.tokens,
            format!("epoch {}, loss {:.3}", at.epoch, at.loss),
        );
    };
    let shell = student.without_weights();
    let trained = train(
        student,
        examples,
        validation,
        options,
        context.seed,
        &checkpoints,
        &runtime,
        &mut progress,
        context.cancel,
    )?;
    if !runtime.beside.is_empty() {
        let devices = std::iter::once(&runtime.device).chain(&runtime.beside);
        let devices: Vec<String> = devices.map(DeviceName::to_string).collect();
        context.record_use("devices", json!(devices));
    }
    if !trained.micro_batch_ladder.is_empty() {
        context.record_use("micro_batch_tokens", json!(trained.micro_batch_ladder));
    }
    for warning in &trained.warnings {
        context.report.warn(warning);
    }
    if trained.truncated > 0 {
        context.report.warn(format!(
            "{} of {} training texts were cut at the maximum length: what they ended with is not learnt",
            trained.truncated,
            examples.len()
        ));
    }
    if trained.skipped > 0 {
        context.report.warn(format!(
            "{} of {} training texts were left out: their prompt alone reaches the maximum length",
            trained.skipped,
            examples.len()
        ));
    }
    let model = match &options.lora {
        None => keep(&shell.with(trained.weights))?,
        Some(lora) => {
            let architecture = &shell.architecture;
            let adapter = Adapter::new(architecture, lora, trained.weights)?;
            context.keep_adapter(
                "model",
                adapter,
                architecture,
                prompt.clone(),
                choice_answer,
            )?
        }
    };
    made(model, trained.losses)
}
