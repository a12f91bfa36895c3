//! `import-paths` and `import-predictions`: rows that were made elsewhere, as typed inputs.
//!
//! A checkpoint that was made elsewhere comes in through `student`, under any stage name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::imported;
use crate::artifact::ArtifactKind;
use crate::input::JsonLines;
use crate::stage::{
    Brings, Context, Output, Outputs, OutsideFile, ParamError, Port, StageError, StageKind,
};
use crate::text::{Prediction, Question};

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
        let lines = JsonLines::open(&context.resolve(&params.path))?;
        let rows = imported::paths(&lines, &context.input::<Vec<Question>>("questions")?)?;
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
        let lines = JsonLines::open(&context.resolve(&params.path))?;
        let questions: Vec<Question> = context.input("questions")?;
        let rows = imported::rows(&lines, &questions, needs, id)?;
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
