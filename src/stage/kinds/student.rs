//! `student`: a pretrained student from the Hugging Face hub or from a local folder.

use std::collections::BTreeMap;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompt_check::prompt_errors;
use crate::artifact::{ArtifactKind, TextMarks};
use crate::fetch::{FetchError, HubModel};
use crate::model::{Architecture, ModelError, find_gguf, is_gguf};
use crate::stage::{
    Brings, Context, Estimate, Output, Outputs, OutsideFile, ParamError, Shape, Size, Sizes,
    StageError, StageKind, Work, hub_files,
};
use crate::text::{ChoiceAnswer, PromptSpec};

/// Parameters of `student`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StudentParams {
    /// A model on the Hugging Face hub, for example `openai-community/gpt2-medium`, or a local
    /// folder in Hub format (a path with a `/` that exists, or one that starts with `.` or `/`), or a GGUF file (`*.gguf`).
    /// Default `openai-community/gpt2` (paper, III-A: GPT-2 small, medium and large).
    pub model: String,
    /// Branch, tag or commit on the hub. Default `main`.
    pub revision: String,
    /// The prompt that it is asked with where `predict` says `auto`. Default `answer`.
    pub prompt: PromptSpec,
    /// How it writes a multiple-choice answer, for the log-likelihood of options. Default `letter`.
    pub choice_answer: ChoiceAnswer,
}

impl Default for StudentParams {
    fn default() -> Self {
        Self {
            model: "openai-community/gpt2".to_owned(),
            revision: "main".to_owned(),
            prompt: PromptSpec::default(),
            choice_answer: ChoiceAnswer::Letter,
        }
    }
}

/// Brings in a pretrained student.
pub(crate) struct Student;

impl Student {
    /// The folder that `model` names, where it names no model on the hub.
    fn local(params: &StudentParams, context: &Context<'_>) -> Option<PathBuf> {
        let local = context.resolve(&params.model);
        let looks_local = params.model.starts_with(['.', '/']) || local.is_dir() || is_gguf(&local);
        looks_local.then_some(local)
    }

    fn folder(params: &StudentParams, context: &Context<'_>) -> Result<PathBuf, StageError> {
        if let Some(local) = Self::local(params, context) {
            if local.is_dir() || find_gguf(&local)?.is_some() {
                return Ok(local);
            }
            if local.exists() {
                return Err(ModelError::NoModelFile(local).into());
            }
            return Err(StageError::Invalid(format!(
                "the model `{}` does not exist\nhint: relative paths start at the manifest's folder, or else at the folder you are in",
                params.model
            )));
        }
        Self::from_hub(params, context, !context.planning)
    }

    /// The hub's folder. While planning, weights count only if they are here already.
    fn from_hub(
        params: &StudentParams,
        context: &Context<'_>,
        fetch_weights: bool,
    ) -> Result<PathBuf, StageError> {
        let model = HubModel {
            id: &params.model,
            revision: &params.revision,
            weights: true,
        };
        let report = context.report;
        let progress = move |progress| report.progress(progress);
        if fetch_weights {
            return Ok(context.fetcher.hub_folder(&model, &progress)?);
        }
        Self::here(&model, context).map_err(|error| match error {
            FetchError::Offline { .. } if !context.fetcher.options().offline => {
                StageError::Invalid(format!(
                    "the weights of `{}` are not here yet: a run fetches them, a plan does not",
                    params.model
                ))
            }
            error => error.into(),
        })
    }

    /// The hub's folder as far as it is on this machine.
    fn here(model: &HubModel<'_>, context: &Context<'_>) -> Result<PathBuf, FetchError> {
        let here = context.fetcher.offline();
        here.hub_folder(model, &|_| ())
    }

    /// The hub's folder without the weights.
    fn without_weights(
        params: &StudentParams,
        context: &Context<'_>,
    ) -> Result<PathBuf, FetchError> {
        let model = HubModel {
            id: &params.model,
            revision: &params.revision,
            weights: false,
        };
        context.fetcher.hub_folder(&model, &|_| ())
    }

    /// The architecture, without the weights.
    fn architecture(params: &StudentParams, context: &Context<'_>) -> Option<Architecture> {
        let folder = Self::folder(params, context)
            .or_else(|_| Self::without_weights(params, context))
            .ok()?;
        if find_gguf(&folder).ok()?.is_some() {
            let student = crate::model::Student::open(&folder).ok()?;
            return Some(student.architecture);
        }
        Architecture::load(&folder).ok()
    }

    /// Why a folder's content is no student. A run does not ask: it is its stage's failure there, and the others run.
    fn of_folder(folder: &Path, context: &Context<'_>) -> Option<ParamError> {
        let opened = context
            .planning
            .then(|| crate::model::Student::open(folder))?;
        opened.err().map(|error| ParamError::of("model", &error))
    }

    /// Why what `model` names cannot be a student, as far as that is known without its weights.
    fn param_error(params: &StudentParams, context: &Context<'_>) -> Option<ParamError> {
        let of = |error: &dyn std::fmt::Display| ParamError::of("model", &error);
        if let Some(local) = Self::local(params, context) {
            if !local.exists() {
                return Some(context.missing("model", Path::new(&params.model)));
            }
            return Self::of_folder(&local, context);
        }
        let model = HubModel {
            id: &params.model,
            revision: &params.revision,
            weights: true,
        };
        if let Ok(folder) = Self::here(&model, context) {
            return Self::of_folder(&folder, context);
        }
        if !context.planning {
            return None; // a run asks the hub soon enough, and tells how it goes
        }
        match Self::without_weights(params, context) {
            Ok(folder) => Architecture::load(&folder).err().map(|error| of(&error)),
            Err(error) => {
                let above = Path::new(&params.model).parent()?;
                if !above.as_os_str().is_empty() && context.resolve(above).is_dir() {
                    // Likely a folder that was to stand there.
                    let mut param_error = context.missing("model", Path::new(&params.model));
                    let of_hub = of(&error).message;
                    param_error.message += "; nor is it at hand as a model of the hub: ";
                    param_error.message += &of_hub;
                    return Some(param_error);
                }
                // What cannot be reached now may be reached by a run.
                error.is_final().then(|| of(&error))
            }
        }
    }
}

impl StageKind for Student {
    type Params = StudentParams;

    const NAME: &'static str = "student";
    // 2: it says how the student's texts begin and end, where that is not GPT-2's way.
    const VERSION: u32 = 2;
    const DOC: &'static str = "Bring in a pretrained student; `[student]` is short for this.";
    const INPUTS: &'static [crate::stage::Port] = &[];
    const BRINGS: Option<Brings> = Some(Brings::Student);
    const OUTPUTS: &'static [Output] = &[Output::new(
        "model",
        ArtifactKind::Model,
        "The student, as a folder in Hub format.",
    )];
    const LOCATIONS: &'static [&'static str] = &["model", "revision"];

    fn check(params: &StudentParams) -> Vec<ParamError> {
        if params.model.is_empty() {
            return vec![ParamError {
                field: "model".to_owned(),
                message: "the model's name is empty".to_owned(),
                hint: Some(
                    "name a hub model such as `openai-community/gpt2`, or a local folder"
                        .to_owned(),
                ),
            }];
        }
        prompt_errors(&params.prompt)
    }

    fn check_outside(params: &StudentParams, context: &Context<'_>) -> Vec<ParamError> {
        Self::param_error(params, context).into_iter().collect()
    }

    fn files(
        params: &StudentParams,
        context: &Context<'_>,
    ) -> Result<Vec<OutsideFile>, StageError> {
        let folder = Self::folder(params, context)?;
        // Before anything is digested: files with holes may claim to be larger than any disk.
        crate::model::Student::open(&folder)?;
        let files = hub_files(&folder)?.into_iter();
        Ok(files
            .map(|(role, path)| OutsideFile { role, path })
            .collect())
    }

    fn taught_with_examples(params: &StudentParams, _: bool) -> bool {
        params.prompt.few_shot.is_some()
    }

    fn estimate(params: &StudentParams, _: &Sizes, context: &Context<'_>) -> Option<Estimate> {
        let shape = Shape::of(&Self::architecture(params, context)?);
        let work = Work {
            disk_bytes: 4 * shape.parameters,
            ..Work::default()
        };
        Some((work, BTreeMap::from([("model", Size::of_model(shape))])))
    }

    fn run(params: &StudentParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let folder = Self::folder(params, context)?;
        // Shapes, vocabulary and numbers are checked before anything builds on them.
        let student = crate::model::Student::open(&folder)?;
        context.on_threads(|| student.weights.check_values())??;
        context.report.info(format!(
            "{}: {:.1}M parameters, {} layers of width {}, context {}",
            params.model,
            student.weights.parameters() as f64 / 1e6,
            student.architecture.layers,
            student.architecture.width,
            student.architecture.context
        ));
        let marks = TextMarks::of(&student);
        let (rows, tokens) = (student.architecture.vocab_rows, student.vocabulary.tokens());
        if rows > tokens {
            context.report.info(format!(
                "{} rows of the embedding are no tokens: they are never drawn",
                rows - tokens
            ));
        }
        if !marks.prefix.is_empty() {
            context.report.info(format!(
                "every text begins with the tokens {:?}, by its tokenizer",
                marks.prefix
            ));
        }
        if !marks.ends.is_empty() {
            context.report.info(format!(
                "a text ends at any of the tokens {:?}, by config.json and generation_config.json",
                marks.ends
            ));
        }
        Ok(Outputs::from([(
            "model".to_owned(),
            context.keep_folder(&folder, params.prompt.clone(), params.choice_answer, marks)?,
        )]))
    }
}
