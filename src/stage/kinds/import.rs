//! `import-paths` and `import-predictions`: rows that were made elsewhere, as typed inputs.
//!
//! A checkpoint that was made elsewhere comes in through `student`, under any stage name.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::artifact::ArtifactKind;
use crate::input::{InputError, JsonLines};
use crate::key::{Digest, canonical_json};
use crate::stage::{
    Brings, Context, Output, Outputs, OutsideFile, ParamError, Port, StageError, StageKind,
};
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

/// `import-paths`: brings in paths from a file.
pub(crate) struct ImportPaths;

/// `import-predictions`: brings in predictions from a file.
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
    const BRINGS: Option<Brings> = Some(Brings::Rows);
    const OUTPUTS: &'static [Output] = &[Output::new("paths", ArtifactKind::Paths, "The paths.")];
    const LOCATIONS: &'static [&'static str] = &["path"];

    fn check(params: &ImportParams) -> Vec<ParamError> {
        path_given(params)
    }

    fn check_outside(params: &ImportParams, context: &Context<'_>) -> Vec<ParamError> {
        context
            .missing_file("path", &params.path)
            .into_iter()
            .collect()
    }

    fn files(params: &ImportParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        Ok(outside(params, context))
    }

    fn run(params: &ImportParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let needs =
            "a path needs `question_id` and `text`, and may have what `sert-run export` writes";
        let id = |path: &ReasoningPath| path.question_id.clone();
        let mut rows = read(params, context, needs, id)?;
        for path in rows
            .iter_mut()
            .filter(|path| path.stream == Digest::default())
        {
            let identity = json!(["imported/1", path.question_id, path.draw, path.text]);
            path.stream = Digest::of(canonical_json(&identity).as_bytes());
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
    const BRINGS: Option<Brings> = Some(Brings::Rows);
    const OUTPUTS: &'static [Output] = &[Output::new(
        "predictions",
        ArtifactKind::Predictions,
        "The answers.",
    )];
    const LOCATIONS: &'static [&'static str] = &["path"];

    fn check(params: &ImportParams) -> Vec<ParamError> {
        path_given(params)
    }

    fn check_outside(params: &ImportParams, context: &Context<'_>) -> Vec<ParamError> {
        context
            .missing_file("path", &params.path)
            .into_iter()
            .collect()
    }

    fn files(params: &ImportParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        Ok(outside(params, context))
    }

    fn run(params: &ImportParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let needs = "a prediction needs `question_id`, `prompt` and `output`, and may have what `sert-run export` writes";
        let id = |prediction: &Prediction| prediction.question_id.clone();
        let rows = read(params, context, needs, id)?;
        Ok(Outputs::from([(
            "predictions".to_owned(),
            context.keep(&rows)?,
        )]))
    }
}

fn path_given(params: &ImportParams) -> Vec<ParamError> {
    if !params.path.is_empty() {
        return Vec::new();
    }
    vec![ParamError {
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
fn read<T: DeserializeOwned>(
    params: &ImportParams,
    context: &Context<'_>,
    needs: &str,
    id: impl Fn(&T) -> String,
) -> Result<Vec<T>, StageError> {
    let questions: Vec<Question> = context.input("questions")?;
    let known: BTreeSet<&str> = questions.iter().map(|q| q.id.as_str()).collect();
    let lines = JsonLines::open(&context.resolve(&params.path))?;
    let mut rows = Vec::new();
    let mut strangers = Vec::new();
    for line in lines.rows() {
        let row: T = line
            .read_with_id("question_id")
            .map_err(|error| error.hint(needs))?;
        let id = id(&row);
        if !known.contains(id.as_str()) {
            strangers.push(line.wrong_at("question_id", id));
        }
        rows.push(row);
    }
    let Some(first) = strangers.first() else {
        return Ok(rows);
    };
    let some: Vec<&str> = questions.iter().take(3).map(|q| q.id.as_str()).collect();
    let what = format!(
        "{} of {} rows belong to none of the {} questions, first `{}`; the questions are {}, ...",
        strangers.len(),
        rows.len(),
        questions.len(),
        first.what,
        some.join(", ")
    );
    let hint = "the rows must come from the same dataset and split as `questions`";
    Err(InputError {
        what,
        ..strangers.swap_remove(0)
    }
    .hint(hint)
    .into())
}

#[cfg(test)]
mod tests {
    use crate::input::JsonLines;
    use crate::text::{Prediction, ReasoningPath};

    /// What is exported comes in, and so does what others write: byte order marks, blank lines, numbers as ids.
    #[test]
    fn rows_of_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(
            &path,
            "\u{feff}{\"question_id\": 123456789012345678901, \"text\": \" So.\", \"scores\": {\"judge\": 7}}\r\n\r\n",
        )
        .unwrap();
        let lines = JsonLines::open(&path).unwrap();
        let rows: Vec<_> = lines.rows().collect();
        let read: ReasoningPath = rows[0].read_with_id("question_id").unwrap();
        assert_eq!(read.question_id, "123456789012345678901");
        assert!((read.scores["judge"] - 7.0).abs() < 1e-12);
        let told = rows[0]
            .read_with_id::<Prediction>("question_id")
            .unwrap_err();
        assert_eq!(told.what, "the row has no `prompt`");
    }
}
