//! `import-paths` and `import-predictions`: rows that were made elsewhere, as typed inputs.
//!
//! A checkpoint that was made elsewhere comes in through `student`, under any stage name.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::artifact::{Artifact, ArtifactKind};
use crate::key::{Digest, canonical_json};
use crate::stage::{Complaint, Context, Output, Outputs, OutsideFile, Port, StageError, StageKind};
use crate::text::{Prediction, Question, ReasoningPath};

/// Parameters of both kinds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ImportParams {
    /// A file of JSON lines as `sert-run export` writes them. A path needs `question_id` and `text`; a
    /// prediction `question_id`, `prompt` and `output`. Where `end` (`end-of-text`, `length`, `imitative`) is left
    /// out, it is not known how an answer ended, and so neither Fmt nor how many were cut.
    pub path: String,
}

/// `import-paths`.
pub(crate) struct ImportPaths;

/// `import-predictions`.
pub(crate) struct ImportPredictions;

impl StageKind for ImportPaths {
    type Params = ImportParams;

    const NAME: &'static str = "import-paths";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Bring in reasoning paths that were made elsewhere.";
    const INPUTS: &'static [Port] = &[Port::questions(
        "questions",
        "data.train",
        "The questions that they answer.",
    )];
    const OUTPUTS: &'static [Output] = &[Output {
        name: "paths",
        kind: ArtifactKind::Paths,
        doc: "The paths.",
    }];
    const LOCATIONS: &'static [&'static str] = &["path"];

    fn check(params: &ImportParams) -> Vec<Complaint> {
        path_given(params)
    }

    fn files(params: &ImportParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        Ok(outside(params, context))
    }

    fn run(params: &ImportParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let mut rows = read::<ReasoningPath>(params, context, |path| &path.question_id)?;
        for path in rows.iter_mut().filter(|path| path.row == Digest::default()) {
            let identity = json!(["imported/1", path.question_id, path.draw, path.text]);
            path.row = Digest::of(canonical_json(&identity).as_bytes());
        }
        Ok(Outputs::from([("paths".to_owned(), context.keep(&rows)?)]))
    }
}

impl StageKind for ImportPredictions {
    type Params = ImportParams;

    const NAME: &'static str = "import-predictions";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Bring in answers that were made elsewhere.";
    const INPUTS: &'static [Port] =
        &[
            Port::questions("questions", "data.test", "The questions that they answer.")
                .any_split(),
        ];
    const OUTPUTS: &'static [Output] = &[Output {
        name: "predictions",
        kind: ArtifactKind::Predictions,
        doc: "The answers.",
    }];
    const LOCATIONS: &'static [&'static str] = &["path"];

    fn check(params: &ImportParams) -> Vec<Complaint> {
        path_given(params)
    }

    fn files(params: &ImportParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        Ok(outside(params, context))
    }

    fn run(params: &ImportParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let rows = read::<Prediction>(params, context, |prediction| &prediction.question_id)?;
        Ok(Outputs::from([(
            "predictions".to_owned(),
            context.keep(&rows)?,
        )]))
    }
}

fn path_given(params: &ImportParams) -> Vec<Complaint> {
    if !params.path.is_empty() {
        return Vec::new();
    }
    vec![Complaint {
        field: "path".to_owned(),
        message: "no file is named".to_owned(),
        hint: Some("`path = \"rows.jsonl\"`, in the form that `sert-run export` writes".to_owned()),
    }]
}

fn outside(params: &ImportParams, context: &Context<'_>) -> Vec<OutsideFile> {
    vec![OutsideFile {
        role: "rows".to_owned(),
        path: context.resolve(&params.path),
    }]
}

/// The rows of the file, each of a question that comes in.
fn read<T>(
    params: &ImportParams,
    context: &Context<'_>,
    id: fn(&T) -> &String,
) -> Result<Vec<T>, StageError>
where
    Vec<T>: Artifact,
{
    let path = context.resolve(&params.path);
    let bytes = crate::disk::read(&path).map_err(|source| {
        let path = path.clone();
        StageError::Io { path, source }
    })?;
    context.saw(path, Digest::of(&bytes));
    let rows = Vec::<T>::decode(&bytes)?;
    let questions: Vec<Question> = context.input("questions")?;
    let known: BTreeSet<&str> = questions.iter().map(|q| q.id.as_str()).collect();
    let strangers: Vec<&String> = rows
        .iter()
        .map(id)
        .filter(|id| !known.contains(id.as_str()))
        .collect();
    match strangers.first() {
        None => Ok(rows),
        Some(first) => Err(StageError::Invalid(format!(
            "{} of {} rows in `{}` belong to none of the {} questions (first: `{first}`)\nhint: the rows must come from the same dataset and split as `questions`",
            strangers.len(),
            rows.len(),
            params.path,
            questions.len(),
        ))),
    }
}
