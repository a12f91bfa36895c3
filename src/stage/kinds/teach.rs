//! `teach`: a teacher's reasoning paths (paper, II: zero-shot chain of thought), here recorded ones.

use std::collections::BTreeMap;

use crate::artifact::ArtifactKind;
use crate::stage::{
    Context, Estimate, Output, Outputs, OutsideFile, Port, Size, Sizes, StageError, StageKind, Work,
};
use crate::teacher::{TeachParams, files, load};
use crate::text::Question;

/// See the module.
pub(crate) struct Teach;

impl StageKind for Teach {
    type Params = TeachParams;

    const NAME: &'static str = "teach";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Bring in a teacher's reasoning paths.";
    const INPUTS: &'static [Port] = &[Port::questions(
        "questions",
        "data.train",
        "The questions that were asked.",
    )];
    const OUTPUTS: &'static [Output] = &[Output {
        name: "paths",
        kind: ArtifactKind::Paths,
        doc: "The teacher's paths, one for each question it answered.",
    }];
    const LOCATIONS: &'static [&'static str] = TeachParams::PATH_FIELDS;

    fn files(params: &TeachParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        context.outside(&files(&located(params, context))?)
    }

    fn estimate(_: &TeachParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        // A recorded path is about as long as the paper's, 77 words (paper, Table II).
        let rows = inputs.get("questions")?.rows;
        let size = Size {
            rows,
            tokens: rows * 100,
            model: None,
        };
        Some((Work::default(), BTreeMap::from([("paths", size)])))
    }

    fn run(params: &TeachParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let params = located(params, context);
        let taught = context.with_source(|source| load(&params, &questions, source))?;
        context.report.info(taught.summary());
        Ok(Outputs::from([(
            "paths".to_owned(),
            context.keep(&taught.paths)?,
        )]))
    }
}

/// The parameters with a local path led from the manifest's folder.
pub(super) fn located(params: &TeachParams, context: &Context<'_>) -> TeachParams {
    let mut params = params.clone();
    if let Some(path) = params.path.as_mut().filter(|path| !path.contains("://")) {
        *path = context.resolve(&*path).to_string_lossy().into_owned();
    }
    params
}
