//! `sample`: latent reasoning paths of a student (paper, III-A: 5 first tokens x 5 sequences).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::engine_params::retain_key_fields;
use super::few_shot::{EXAMPLES, port_errors};
use super::prompt_check::prompt_errors;
use super::prompt_size::prompt_tokens;
use super::prompter::Prompter;
use super::prompts::prompts;
use super::sample_params::{Branching, SampleParams};
use super::sampler::Sampler;
use super::unsolved::{Asked, CORRECT, unsolved};
use crate::artifact::ArtifactKind;
use crate::filter::Needed;
use crate::model::Arithmetic;
use crate::program::ProgramParams;
use crate::stage::{
    Carried, Context, Counts, Estimate, Need, Output, Outputs, ParamError, Port, Size, Sizes,
    StageError, StageKind, product,
};
use crate::teacher::http::Endpoint;
use crate::text::{Hint, Question, ReasoningPath};

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
        Port::required(
            "paths",
            ArtifactKind::Paths,
            "With `only`: earlier paths of these questions, each with the score `correct`.",
        )
        .trains()
        .optional(),
        EXAMPLES,
    ];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "Every sampled path, by question, first token and draw.",
    )
    .that_counts(Counts::Drawn)];
    const SEEDED: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = &[
        ("dtype", "\"f32\""),
        ("hint", "\"none\""),
        ("only", "\"all\""),
        ("engine", "\"builtin\""),
    ];

    fn numerics(params: &SampleParams) -> Option<Arithmetic> {
        params.engine().arithmetic()
    }

    fn check(params: &SampleParams) -> Vec<ParamError> {
        [
            prompt_errors(&params.prompt),
            params.engine().param_errors(),
        ]
        .concat()
    }

    fn endpoint(params: &SampleParams) -> Option<Endpoint> {
        params.engine().served()?.endpoint()
    }

    fn programs(params: &SampleParams) -> Vec<ProgramParams> {
        params.engine().programs()
    }

    fn retain_key_fields(params: &mut Map<String, Value>) {
        retain_key_fields(params);
    }

    fn sharded_by(_: &SampleParams) -> &'static [&'static str] {
        &["questions"]
    }

    fn carried(params: &SampleParams, _: Carried) -> Carried {
        Carried {
            tokens: true,
            log_probs: true,
            hinted: params.hint != Hint::None,
            ..Carried::default()
        }
    }

    fn needs(params: &SampleParams) -> Vec<Need> {
        let need = Need {
            field: "only".to_owned(),
            what: Needed::Score(CORRECT.to_owned()),
        };
        (params.only == Asked::Unsolved)
            .then_some(need)
            .into_iter()
            .collect()
    }

    fn check_ports(params: &SampleParams, fed: &[&str]) -> Vec<ParamError> {
        let (message, hint) = match (params.only, fed.contains(&"paths")) {
            (Asked::Unsolved, false) => (
                "which questions are unsolved is told by paths, and none are named",
                "add `paths = \"STAGE\"`: paths with the score `correct`",
            ),
            (Asked::All, true) => (
                "paths say which questions are asked, and all are",
                "add `only = \"unsolved\"`, or leave `paths` out",
            ),
            _ => return port_errors(&params.prompt, fed),
        };
        let field = if params.only == Asked::All {
            "paths"
        } else {
            "only"
        };
        vec![ParamError {
            field: field.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        }]
    }

    fn estimate(params: &SampleParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (questions, shape) = (inputs.get("questions")?, inputs.get("model")?.model?);
        let rows = product(&[questions.rows, params.paths_per_question().into()]);
        let tokens = product(&[rows, params.max_new_tokens.into()]);
        let engine = params.engine();
        let length = prompt_tokens(&params.prompt, questions);
        let work = engine.drawing(shape, [questions.rows, length], rows, params.max_new_tokens);
        // A server is asked for first tokens before it is asked for paths.
        let branches = params.branching == Branching::FirstToken;
        let first = branches.then(|| engine.requests(questions.rows, length, 1));
        let first = first.flatten();
        let work = work.and(first.unwrap_or_default());
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
        let mut questions: Vec<Question> = context.input("questions")?;
        let earlier: Option<Vec<ReasoningPath>> = context.optional_input("paths")?;
        if let (Asked::Unsolved, Some(earlier)) = (params.only, earlier) {
            let all = questions.len();
            questions = unsolved(questions, &earlier)?;
            context.report.info(format!(
                "asking {} of {all} questions: of the others a path is correct",
                questions.len()
            ));
        }
        let questions = context.part(questions, |question| &question.id);
        let (folder, student) = context.opened_student("model")?;
        let prompter = Prompter::new(&params.prompt, context, &student, folder.choice_answer)?;
        let prompts = prompts(
            context,
            &student,
            &questions,
            (&prompter, params.hint),
            params.max_new_tokens,
            params.long_prompts,
        )?;
        let paths = Sampler::new(params, context, &folder, student).paths(&questions, &prompts)?;
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}
