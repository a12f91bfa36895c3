//! `filter`: keeps the good paths (paper, III-A: pattern, length, repetition, perplexity, selection).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::artifact::ArtifactKind;
use crate::filter::{FilterError, FilterParams, SelectRule, filter};
use crate::model::PromptText;
use crate::stage::{
    Carried, Context, Estimate, Need, Output, Outputs, ParamError, Port, Size, Sizes, StageError,
    StageKind, Work,
};
use crate::text::{Question, ReasoningPath};

/// Keeps the good paths of a stage, step by step, and says of each other why it is dropped.
pub(crate) struct Filter;

impl StageKind for Filter {
    type Params = FilterParams;

    const NAME: &'static str = "filter";
    const VERSION: u32 = 1;
    const DOC: &'static str =
        "Keep the good paths, step by step; dropped ones stay with their verdict.";
    const INPUTS: &'static [Port] = &[
        Port::required("paths", ArtifactKind::Paths, "The paths to judge.")
            .trains()
            .passes_on(),
        Port::questions(
            "questions",
            "data.train",
            "Their questions, for options and gold answers.",
        ),
        Port::required(
            "model",
            ArtifactKind::Model,
            "A student whose tokenizer gives tokens to paths that have none, such as a teacher's. Only its tokenizer counts here, yet all of it is in the key.",
        )
        .optional()
        .tokenises(),
    ];
    const OUTPUTS: &'static [Output] = &[
        Output::new(
            "kept",
            ArtifactKind::Paths,
            "The paths that passed every step.",
        ),
        Output::new(
            "verdicts",
            ArtifactKind::FilteredPaths,
            "Every path with its verdict.",
        ),
        Output::new(
            "funnel",
            ArtifactKind::Funnel,
            "How many paths each step dropped.",
        ),
    ];
    const SEEDED: bool = true;
    const READS_ANSWERS: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] =
        &[("ended", "{\"enabled\":false}"), ("reading", "\"paper\"")];

    fn check(params: &FilterParams) -> Vec<ParamError> {
        told(params.check())
    }

    fn check_written(written: &Map<String, Value>) -> Vec<ParamError> {
        told(FilterParams::check_written(written))
    }

    fn carried(_: &FilterParams, input: Carried) -> Carried {
        input
    }

    fn needs(params: &FilterParams) -> Vec<Need> {
        // Parameters at odds were told by `check`.
        let needs = params.needs().unwrap_or_default().into_iter();
        needs.map(|(field, what)| Need { field, what }).collect()
    }

    fn estimate(params: &FilterParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (paths, questions) = (*inputs.get("paths")?, inputs.get("questions")?);
        let most = match params.select.rule {
            SelectRule::All => paths.rows,
            _ => questions.rows.saturating_mul(params.select.keep.into()),
        };
        let rows = most.min(paths.rows);
        let kept = Size {
            rows,
            tokens: rows * paths.tokens_per_row(),
            model: None,
        };
        Some((
            Work::default(),
            BTreeMap::from([("kept", kept), ("verdicts", paths)]),
        ))
    }

    fn run(params: &FilterParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let mut paths: Vec<ReasoningPath> = context.input("paths")?;
        if context.input_digest("model").is_some() {
            tokenise(&mut paths, context)?;
        }
        let filtered = filter(paths, &questions, params, context.seed)?;
        let kept: Vec<ReasoningPath> = filtered.kept().cloned().collect();
        let funnel = &filtered.funnel;
        let conclude = funnel.conclusions;
        context.report.info(format!(
            "kept {} of {} paths, for {} of {} questions; {} conclude as the gold answer, {} against it, {} not at all",
            funnel.kept,
            funnel.paths,
            funnel.questions_kept,
            funnel.questions,
            conclude.agree,
            conclude.contradict,
            conclude.none
        ));
        Ok(Outputs::from([
            ("kept".to_owned(), context.keep(&kept)?),
            ("verdicts".to_owned(), context.keep(&filtered.paths)?),
            ("funnel".to_owned(), context.keep(funnel)?),
        ]))
    }
}

/// Gives tokens to the paths that have none: those of the port `model`, of the text by itself.
fn tokenise(paths: &mut [ReasoningPath], context: &Context<'_>) -> Result<(), StageError> {
    let (_, student) = context.opened_student("model")?;
    let mut count = 0;
    for path in paths {
        if path.tokens.is_empty() && !path.text.is_empty() {
            let (_, [tokens]) =
                (student.tokenizer).encode_parts(&PromptText::default(), [&path.text])?;
            path.tokens = tokens;
            count += 1;
        }
    }
    context.report.info(format!(
        "gave {count} paths tokens of the model's tokenizer"
    ));
    Ok(())
}

fn told(checked: Result<(), FilterError>) -> Vec<ParamError> {
    match checked {
        Err(FilterError::Parameter {
            key,
            found,
            accepted,
        }) => vec![ParamError {
            field: key,
            message: format!("found {found}, accepted: {accepted}"),
            hint: None,
        }],
        _ => Vec::new(),
    }
}
