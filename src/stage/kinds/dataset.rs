//! `dataset`: questions with gold answers, in the paper's splits.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::artifact::ArtifactKind;
use crate::dataset::{
    DataParams, DatasetError, PartFile, Splits, check, files, latent_world, load,
};
use crate::stage::{
    Brings, Context, Estimate, Output, Outputs, OutsideFile, ParamError, Size, Sizes, Split,
    StageError, StageKind, Work,
};
use crate::text::Question;

/// Loads questions with gold answers, in their splits.
pub(crate) struct Dataset;

impl StageKind for Dataset {
    type Params = DataParams;

    const NAME: &'static str = "dataset";
    const VERSION: u32 = 3;
    const DOC: &'static str = "Load questions with gold answers; `[data]` is short for this.";
    const INPUTS: &'static [crate::stage::Port] = &[];
    const BRINGS: Option<Brings> = Some(Brings::Data);
    const OUTPUTS: &'static [Output] = &[
        Output::new("train", ArtifactKind::Questions, "Questions to train on.").of(Split::Train),
        Output::new("validation", ArtifactKind::Questions, "Questions carved from the training part, for choosing thresholds and epochs.").of(Split::Validation),
        Output::new("test", ArtifactKind::Questions, "Questions that only declared tables read.").of(Split::Test),
        Output::new("all", ArtifactKind::Questions, "Training, validation and test questions together, in this order: for figures over all of them; counts as test data.").of(Split::All),
        Output::new("text", ArtifactKind::Text, "Text to pretrain on, where the dataset has some (microworld, latent-world)."),
    ];
    const LOCATIONS: &'static [&'static str] = DataParams::PLACE_FIELDS;

    /// A latent world is the business of its own data set alone, which its version is a part of.
    fn retain_key_fields(params: &mut Map<String, Value>) {
        if params.get("dataset") == Some(&json!(latent_world::NAME)) {
            params.remove("microworld");
            params.insert("generator".to_owned(), latent_world::VERSION.into());
        } else {
            params.remove("latent_world");
        }
    }

    fn check(params: &DataParams) -> Vec<ParamError> {
        match check(params) {
            Err(DatasetError::Param { field, reason }) => vec![ParamError::of(field, &reason)],
            _ => Vec::new(),
        }
    }

    fn check_outside(params: &DataParams, context: &Context<'_>) -> Vec<ParamError> {
        let own = params.own_files();
        let missing: Vec<ParamError> = own
            .iter()
            .filter_map(|(field, path)| context.missing_file(field, path))
            .collect();
        let outside = !own.is_empty() || params.id.is_some();
        // A run reads them first of all; a plan reads them for its estimate.
        if !missing.is_empty() || !outside || !context.planning {
            return missing;
        }
        let located = located(params, context);
        match context.with_source(|source| load(&located, source)) {
            Err(DatasetError::Param { field, reason }) => vec![ParamError::of(field, &reason)],
            // What cannot be reached now may be reached by a run.
            Err(DatasetError::Fetch(error)) if !error.is_final() => Vec::new(),
            Err(error @ DatasetError::Fetch(_)) => vec![ParamError::of("id", &error)],
            Err(error) => {
                let mut fields = located.own_files().into_iter();
                let at_fault = match &error {
                    DatasetError::Input(error) => fields.find(|(_, path)| **path == error.path),
                    _ => fields.next(),
                };
                vec![ParamError::of(
                    at_fault.map_or("dataset", |(field, _)| field),
                    &error,
                )]
            }
            Ok(_) => Vec::new(),
        }
    }

    fn files(params: &DataParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        let located = located(params, context);
        context.with_source(|source| {
            let files = files(&located, source)?.files.into_iter();
            files
                .map(|PartFile { role, file }| {
                    let path = file.locate(source)?;
                    Ok(OutsideFile { role, path })
                })
                .collect()
        })
    }

    fn estimate(params: &DataParams, _: &Sizes, context: &Context<'_>) -> Option<Estimate> {
        // Reading the files costs nothing beside a model; where they are not here yet, nothing is known.
        let params = located(params, context);
        let splits = context.with_source(|source| load(&params, source)).ok()?;
        let size = |questions: &[Question]| {
            let bytes: usize = questions.iter().map(|q| q.asked().len() + 20).sum();
            Size::of_text(questions.len() as u64, bytes as u64)
        };
        let outputs = BTreeMap::from([
            ("train", size(&splits.train)),
            ("validation", size(&splits.validation)),
            ("test", size(&splits.test)),
            (
                "text",
                Size::of_text(
                    splits.text.len() as u64,
                    splits.text.iter().map(String::len).sum::<usize>() as u64,
                ),
            ),
            ("all", size(&all(&splits))),
        ]);
        Some((Work::default(), outputs))
    }

    fn run(params: &DataParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let params = located(params, context);
        let splits = context.with_source(|source| load(&params, source))?;
        for note in &splits.notes {
            context.report.info(note);
        }
        context.warn_always(&splits.warnings);
        Ok(Outputs::from([
            ("train".to_owned(), context.keep(&splits.train)?),
            ("validation".to_owned(), context.keep(&splits.validation)?),
            ("test".to_owned(), context.keep(&splits.test)?),
            ("text".to_owned(), context.keep(&splits.text)?),
            ("all".to_owned(), context.keep(&all(&splits))?),
        ]))
    }
}

/// What the data set of a stage with these parameters has.
///
/// # Errors
/// It cannot be had or read.
pub(crate) fn data_splits(
    params: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Splits, StageError> {
    let params: DataParams = serde_json::from_value(params.clone().into())?;
    let params = located(&params, context);
    Ok(context.with_source(|source| load(&params, source))?)
}

/// Every question: the parts one after the other, since each has an order of its own.
fn all(splits: &Splits) -> Vec<Question> {
    [&splits.train, &splits.validation, &splits.test]
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

/// The parameters with their paths led from the manifest's folder.
fn located(params: &DataParams, context: &Context<'_>) -> DataParams {
    let mut params = params.clone();
    let paths = [
        &mut params.path,
        &mut params.train_path,
        &mut params.test_path,
        &mut params.validation_path,
    ];
    for path in paths.into_iter().flatten() {
        *path = context.resolve(&*path);
    }
    params
}
