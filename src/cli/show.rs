//! `sert-run show X.toml STAGE`: what a stage made, for a person or as JSON lines.

use std::io::Write;

use clap::Args;

use super::complete;
use super::data;
use super::exit::{Exit, Failure};
use super::session::{ManifestArgs, Purpose, Session};
use super::width::WidthArgs;
use crate::artifact::ArtifactKind;
use crate::event::Silent;
use crate::manifest::split_reference;
use crate::plan::NodeId;
use crate::report::{Beside, Source, artifact_json, artifact_text};
use crate::run::ask;
use crate::stage::{Environment, Inputs};
use crate::text::{Prediction, Question, ReasoningPath};

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run show experiments/quickstart.toml kept.verdicts --rows 5
  sert-run show X.toml kept --question microworld-train-0001 --answers")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage, or one of its outputs as STAGE.OUTPUT
    #[arg(add = complete::outputs())]
    stage: String,
    /// Print the artifact's JSON lines
    #[arg(long)]
    json: bool,
    /// Rows to print; 0 for all, which --json prints by default, 20 otherwise
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Only the rows of this question
    #[arg(long, value_name = "ID")]
    question: Option<String>,
    /// A stage's paths to the question beside the greedy answers of the student that wrote them and of those trained on them;
    /// what is not in the store yet is asked now
    #[arg(long, requires = "question", conflicts_with = "json")]
    answers: bool,
    #[command(flatten)]
    width: WidthArgs,
}

pub(crate) fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let question = args.question.as_deref();
    if let Some(question) = question.filter(|_| args.answers) {
        let text = session.with_source(|source| beside(&session, source, args, question))?;
        write!(anstream::stdout().lock(), "{text}")?;
        return Ok(Exit::Done);
    }
    let found = session.artifact(&args.stage)?;
    if args.json {
        let rows = args.rows.unwrap_or(0);
        data::print(&artifact_json(found.kind, &found.bytes, rows, question)?)?;
    } else {
        let mut out = anstream::stdout().lock();
        let rows = args.rows.unwrap_or(20);
        let width = args.width.stdout();
        write!(
            out,
            "{}",
            artifact_text(found.kind, &found.bytes, rows, question, width)?
        )?;
        if let Some(used) = found.used {
            writeln!(out, "{used}")?;
        }
    }
    Ok(Exit::Done)
}

/// The question, its paths, and the answers before and after a training on such paths.
fn beside(
    session: &Session,
    source: &Source<'_>,
    args: &ShowArgs,
    question: &str,
) -> Result<String, Failure> {
    let (stage, _) = split_reference(&args.stage);
    let id = session.plan.find(stage)?;
    let learned = session.plan.learned_from(id).ok_or_else(|| {
        Failure::usage(format!(
            "no student of the manifest wrote paths of `{stage}`, trains on them, and answers greedily before and after\nhint: `sert-run show` without --answers prints what the stage made"
        ))
    })?;
    let (asked, output) = learned.questions;
    let questions = made::<Vec<Question>>(session, source, asked, output)?;
    let question = questions.iter().find(|each| each.id == question);
    let question = question.ok_or_else(|| {
        let some: Vec<&str> = questions
            .iter()
            .take(3)
            .map(|each| each.id.as_str())
            .collect();
        Failure::usage(format!(
            "`{}.{output}` has no question `{}`\nhint: it has {}, ...",
            session.plan.node(asked).name(),
            args.question.as_deref().unwrap_or_default(),
            some.join(", ")
        ))
    })?;
    let output = source
        .output_of(id, ArtifactKind::Paths)
        .unwrap_or_default();
    let paths = made::<Vec<ReasoningPath>>(session, source, id, output)?;
    let of_question = paths.iter().filter(|path| path.question_id == question.id);
    let rows = match args.rows {
        None | Some(0) => usize::MAX,
        Some(rows) => rows,
    };
    let name = |id: NodeId| session.plan.node(id).name();
    let mut after = Vec::new();
    for id in learned.after {
        after.push((name(id), answers(session, source, id, question)?));
    }
    let beside = Beside {
        question,
        before: (
            name(learned.before),
            answers(session, source, learned.before, question)?,
        ),
        stage,
        paths: of_question.take(rows).collect(),
        after,
    };
    Ok(beside.text(args.width.stdout()))
}

/// What the stage `id` answers to the question: from the store, or asked now.
fn answers(
    session: &Session,
    source: &Source<'_>,
    id: NodeId,
    question: &Question,
) -> Result<Vec<Prediction>, Failure> {
    if let Some(output) = source.output_of(id, ArtifactKind::Predictions)
        && let Some((_, all)) = source.artifact::<Vec<Prediction>>(id, output)?
    {
        let found: Vec<Prediction> = (all.into_iter())
            .filter(|each| each.question_id == question.id)
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let mut inputs = Inputs::new();
    for (port, (from, output)) in session.plan.inputs(id) {
        let digest = source.digest(from, output);
        inputs.insert(port, digest.ok_or_else(|| not_made(session, from))?);
    }
    let environment = Environment {
        planning: false,
        shard: None,
        ..session.environment(&session.options, &Silent)
    };
    Ok(ask(session.plan.node(id), inputs, question, &environment)?)
}

fn made<T: crate::artifact::Artifact>(
    session: &Session,
    source: &Source<'_>,
    id: NodeId,
    output: &str,
) -> Result<T, Failure> {
    let found = source.artifact(id, output)?;
    found
        .map(|(_, value)| value)
        .ok_or_else(|| not_made(session, id))
}

fn not_made(session: &Session, id: NodeId) -> Failure {
    anyhow::anyhow!(
        "`{}` is not in the store\nhint: run `sert-run {}` first, with the same --set and --limit",
        session.plan.node(id).name(),
        session.manifest.path.display()
    )
    .into()
}
