//! `sample`: latent reasoning paths of a student (paper, III-A: 5 first tokens x 5 sequences).

use std::collections::BTreeMap;

use super::prompts::prompts;
use super::rows::NEUTRAL_DTYPE;
use super::sample_params::SampleParams;
use super::sampler::Sampler;
use crate::artifact::ArtifactKind;
use crate::model::Arithmetic;
use crate::stage::{
    Carried, Context, Estimate, Output, Outputs, Port, Size, Sizes, StageError, StageKind, Work,
    product,
};
use crate::text::Question;

/// Samples reasoning paths from a student.
pub(crate) struct Sample;

impl StageKind for Sample {
    type Params = SampleParams;

    const NAME: &'static str = "sample";
    const VERSION: u32 = 1;
    const DOC: &'static str =
        "Sample reasoning paths from a student: top first tokens, several sequences each.";
    const INPUTS: &'static [Port] = &[
        Port::model("The student that writes."),
        Port::questions("questions", "data.train", "The questions to answer."),
    ];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "Every sampled path, by question, first token and draw.",
    )];
    const SEEDED: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = NEUTRAL_DTYPE;

    fn numerics(params: &SampleParams) -> Option<Arithmetic> {
        Some(Arithmetic::sample(params.dtype))
    }

    fn carried(_: &SampleParams, _: Carried) -> Carried {
        Carried {
            tokens: true,
            log_probs: true,
            ..Carried::default()
        }
    }

    fn estimate(params: &SampleParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (questions, shape) = (inputs.get("questions")?, inputs.get("model")?.model?);
        let rows = product(&[questions.rows, params.paths_per_question().into()]);
        let tokens = product(&[rows, params.max_new_tokens.into()]);
        let length = questions.tokens_per_row() + u64::from(params.max_new_tokens);
        let work = Work::inference(shape, questions.tokens, tokens, rows.min(128), length);
        Some((
            work,
            BTreeMap::from([(
                "paths",
                Size {
                    rows,
                    tokens,
                    model: None,
                },
            )]),
        ))
    }

    fn run(params: &SampleParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let (folder, student) = context.opened_student("model")?;
        let prompts = prompts(
            context,
            &student,
            &questions,
            params.prompt,
            params.max_new_tokens,
            params.long_prompts,
        )?;
        let paths = Sampler::new(params, context, &folder, student).paths(&questions, &prompts)?;
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}
