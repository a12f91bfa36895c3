//! `verify`: adds to paths whether their answers are right, and how many of their question's are.
//!
//! In: paths and their questions. Out: the same paths with the score `correct` (1, or 0; unparsed where there is no answer or the
//! verifier does not know), and `pass_rate`, the share of the question's paths that are right. No model is run.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::finding;
use super::verify_params::{Verifier, VerifyParams};
use super::verify_server::ServerParams;
use super::{verify_by, verify_exec, verify_http, verify_latent_world, verify_vote};
use crate::artifact::ArtifactKind;
use crate::program::ProgramParams;
use crate::stage::{
    Carried, Context, Estimate, Output, Outputs, OutsideFile, ParamError, Port, ScoreRange, Sizes,
    StageError, StageKind, Work,
};
use crate::teacher::http::Endpoint;
use crate::text::{Question, ReasoningPath};

/// Checks the answers of paths.
pub(crate) struct Verify;

impl StageKind for Verify {
    type Params = VerifyParams;

    const NAME: &'static str = "verify";
    const VERSION: u32 = 2;
    const DOC: &'static str =
        "Check the answers of paths: whether each is right, and how many of its question's are.";
    const INPUTS: &'static [Port] = &[
        Port::required("paths", ArtifactKind::Paths, "The paths to check.").passes_on(),
        Port::questions(
            "questions",
            "data.train",
            "The questions that the paths answer, of any split; checked test paths may be shown, never trained on.",
        )
        .any_split(),
        verify_latent_world::WORLD,
    ];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "The same paths with the scores added.",
    )];
    const READS_ANSWERS: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] =
        &[("reading", "\"paper\""), ("label_noise", "0.0")];
    const LOCATIONS: &'static [&'static str] = &["exec.program"];

    fn retain_key_fields(params: &mut Map<String, Value>) {
        // Values are read by one rule, and a program or a server reads by its own.
        let is = |verifier| params.get("verifier") == Some(&json!(verifier));
        let own = [
            Verifier::Math,
            Verifier::LatentWorld,
            Verifier::Exec,
            Verifier::Http,
        ];
        if own.into_iter().any(is) {
            params.remove("reading");
        }
        if let Some(Value::Object(server)) = params.get_mut("http") {
            ServerParams::retain_key_fields(server);
        }
    }

    fn check(params: &VerifyParams) -> Vec<ParamError> {
        params.param_errors()
    }

    fn check_ports(params: &VerifyParams, fed: &[&str]) -> Vec<ParamError> {
        verify_latent_world::port_errors(params, fed)
    }

    fn check_outside(params: &VerifyParams, context: &Context<'_>) -> Vec<ParamError> {
        let program = params.exec.as_ref();
        program.map_or_else(Vec::new, |program| {
            context.missing_programs("exec.", program)
        })
    }

    fn endpoint(params: &VerifyParams) -> Option<Endpoint> {
        params.http.as_ref().map(ServerParams::endpoint)
    }

    fn programs(params: &VerifyParams) -> Vec<ProgramParams> {
        params.exec.iter().cloned().collect()
    }

    fn files(params: &VerifyParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        let program = params.exec.as_ref();
        Ok(program.map_or_else(Vec::new, |program| context.program_files(program)))
    }

    fn carried(params: &VerifyParams, input: Carried) -> Carried {
        let share = ScoreRange(0.0, 1.0);
        verify_latent_world::carried(params, input)
            .with(&params.name, share)
            .with(params.pass_rate(), share)
    }

    fn estimate(params: &VerifyParams, inputs: &Sizes, context: &Context<'_>) -> Option<Estimate> {
        let paths = *inputs.get("paths")?;
        let work = match &params.http {
            None => Work::default(),
            Some(server) => {
                let requests = asked(context).and_then(|(paths, questions)| {
                    let paths = with_questions(&paths, &questions)?;
                    Ok(verify_http::requests(&server.endpoint(), &paths))
                });
                verify_http::work(server, requests.ok().as_deref(), paths.rows, context)
            }
        };
        Some((work, BTreeMap::from([("paths", paths)])))
    }

    fn run(params: &VerifyParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let (mut paths, questions) = asked(context)?;
        let with_questions = with_questions(&paths, &questions)?;
        let mut judged = Vec::new();
        let mut findings = match (&params.exec, &params.http) {
            (Some(program), _) => verify_exec::find(program, &with_questions, context)?,
            (None, Some(server)) => verify_http::find(server, &with_questions, context)?,
            (None, None) if params.verifier == Verifier::Majority => {
                verify_vote::find(&with_questions, params.reading)
            }
            (None, None) if params.verifier == Verifier::LatentWorld => {
                let world: Vec<String> = context.input(verify_latent_world::WORLD.name)?;
                judged = verify_latent_world::judge(&world, &with_questions)?;
                context.report.info(verify_latent_world::told(&judged));
                let findings = with_questions.iter().zip(&judged);
                findings
                    .map(|((question, _), judged)| verify_latent_world::finding(question, judged))
                    .collect()
            }
            (None, None) => verify_by::find(params, &with_questions)?,
        };
        finding::turn_round(params.label_noise, &paths, &mut findings, context);
        verify_latent_world::note(&mut paths, &judged);
        finding::note(params, &mut paths, &findings);
        finding::tell(params, context, &paths, &findings);
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// The paths and the questions.
fn asked(context: &Context<'_>) -> Result<(Vec<ReasoningPath>, Vec<Question>), StageError> {
    Ok((context.input("paths")?, context.input("questions")?))
}

/// Each path with its question.
///
/// # Errors
/// A path of a question that is not among `questions`.
fn with_questions<'a>(
    paths: &'a [ReasoningPath],
    questions: &'a [Question],
) -> Result<Vec<(&'a Question, &'a ReasoningPath)>, StageError> {
    let by_id: BTreeMap<&str, &Question> = questions.iter().map(|q| (q.id.as_str(), q)).collect();
    let question = |path: &'a ReasoningPath| match by_id.get(path.question_id.as_str()) {
        Some(question) => Ok((*question, path)),
        None => Err(StageError::Invalid(format!(
            "a path is for the question `{}`, which is not among the {} of `questions`\nhint: `questions` must be those that the paths answer, for example `data.validation`",
            path.question_id,
            by_id.len()
        ))),
    };
    paths.iter().map(question).collect()
}
