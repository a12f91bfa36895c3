//! `sert-run diff A.toml B.toml`: keys, predictions and metrics of two manifests, by stage name.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::session::{OverrideArgs, Purpose, Session};
use super::width::WidthArgs;
use crate::artifact::{Artifact, ArtifactKind};
use crate::event::Silent;
use crate::metric::Evaluation;
use crate::plan::{NodeState, Resolved, resolve};
use crate::report::{changed_answers, difference_text, evaluations_side_by_side};
use crate::text::{Prediction, printable};

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run diff experiments/strategyqa.toml experiments/ablation.toml
  sert-run diff a.toml a.toml --set-b seed=1 --questions")]
pub(crate) struct DiffArgs {
    /// The one manifest
    a: PathBuf,
    /// The other
    b: PathBuf,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Set a field in A only; may be given again
    #[arg(long, value_name = "PATH=VALUE")]
    set_a: Vec<String>,
    /// Set a field in B only; may be given again
    #[arg(long, value_name = "PATH=VALUE")]
    set_b: Vec<String>,
    /// Print each question that is answered in other words, and who became right and who wrong
    #[arg(long)]
    questions: bool,
    #[command(flatten)]
    width: WidthArgs,
}

/// One side: a session, and the state of each stage by name.
struct Side {
    session: Session,
    stages: BTreeMap<String, Resolved>,
}

impl Side {
    fn open(
        path: &std::path::Path,
        overrides: &OverrideArgs,
        own: &[String],
    ) -> Result<Self, Failure> {
        let mut overrides = overrides.clone();
        overrides.overrides.extend_from_slice(own);
        let session = Session::open_with(path, &overrides, Purpose::Look)?;
        let nodes = session.plan.order().to_vec();
        let resolved = resolve(
            &session.plan,
            &nodes,
            &session.environment(&session.options, &Silent),
        )?;
        let mut stages = BTreeMap::new();
        for each in resolved {
            for name in &session.plan.node(each.node).names {
                stages.insert(name.to_string(), each.clone());
            }
        }
        Ok(Self { session, stages })
    }

    fn artifact<T: Artifact>(&self, stage: &str) -> Result<Option<T>, Failure> {
        match self.stages.get(stage) {
            Some(resolved) => self.artifact_of(resolved),
            None => Ok(None),
        }
    }

    /// The answers that the evaluation `stage` measured; none where they are not in the store.
    fn measured(&self, stage: &Resolved) -> Result<Vec<Prediction>, Failure> {
        let predict = self
            .session
            .plan
            .input(stage.node, ArtifactKind::Predictions);
        let predict =
            predict.and_then(|(from, _)| self.stages.values().find(|each| each.node == from));
        match predict {
            Some(predict) => Ok(self.artifact_of(predict)?.unwrap_or_default()),
            None => Ok(Vec::new()),
        }
    }

    fn artifact_of<T: Artifact>(&self, stage: &Resolved) -> Result<Option<T>, Failure> {
        let NodeState::Hit(outputs) = &stage.state else {
            return Ok(None);
        };
        let outputs_of_kind = self.session.plan.node(stage.node).kind.outputs();
        let Some(output) = outputs_of_kind.iter().find(|output| output.kind == T::KIND) else {
            return Ok(None);
        };
        let bytes = match outputs.get(output.name) {
            Some(digest) => self.session.store.object(digest)?,
            None => None,
        };
        Ok(bytes.map(|bytes| T::decode(&bytes)).transpose()?)
    }
}

pub(crate) fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let a = Side::open(&args.a, &args.overrides, &args.set_a)?;
    let b = Side::open(&args.b, &args.overrides, &args.set_b)?;
    let mut out = anstream::stdout().lock();
    let mut names: Vec<&String> = a.stages.keys().chain(b.stages.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        match (a.stages.get(name), b.stages.get(name)) {
            (Some(_), None) => writeln!(out, "{name:<24} only in A")?,
            (None, Some(_)) => writeln!(out, "{name:<24} only in B")?,
            (Some(in_a), Some(in_b)) => compare(&mut out, args, name, (&a, in_a), (&b, in_b))?,
            (None, None) => {}
        }
    }
    Ok(Exit::Done)
}

fn compare(
    out: &mut impl Write,
    args: &DiffArgs,
    name: &str,
    (a, in_a): (&Side, &Resolved),
    (b, in_b): (&Side, &Resolved),
) -> Result<(), Failure> {
    let (Some(key_a), Some(key_b)) = (in_a.key, in_b.key) else {
        writeln!(out, "{name:<24} not run yet")?;
        return Ok(());
    };
    if key_a == key_b {
        writeln!(out, "{name:<24} same")?;
        return Ok(());
    }
    writeln!(out, "{name:<24} differs")?;
    if let (Some(recipe_a), Some(recipe_b)) = (&in_a.recipe, &in_b.recipe) {
        for difference in recipe_b.differences(recipe_a) {
            writeln!(out, "    {}", printable(&difference_text(&difference)))?;
        }
    }
    let kinds = a.session.plan.node(in_a.node).kind.outputs();
    if kinds
        .iter()
        .any(|output| output.kind == ArtifactKind::Predictions)
        && let (Some(in_a), Some(in_b)) = (
            a.artifact::<Vec<Prediction>>(name)?,
            b.artifact::<Vec<Prediction>>(name)?,
        )
    {
        predictions(out, args, &in_a, &in_b)?;
    }
    if kinds
        .iter()
        .any(|output| output.kind == ArtifactKind::Evaluation)
        && let (Some(of_a), Some(of_b)) = (
            a.artifact::<Evaluation>(name)?,
            b.artifact::<Evaluation>(name)?,
        )
    {
        write!(
            out,
            "{}",
            evaluations_side_by_side(&of_a, &of_b, args.width.stdout())
        )?;
        if args.questions {
            let (outputs_a, outputs_b) = (a.measured(in_a)?, b.measured(in_b)?);
            let changed = changed_answers((&of_a, &outputs_a), (&of_b, &outputs_b));
            write!(out, "{changed}")?;
        }
    }
    Ok(())
}

fn predictions(
    out: &mut impl Write,
    args: &DiffArgs,
    a: &[Prediction],
    b: &[Prediction],
) -> Result<(), Failure> {
    let id = |answer: &Prediction| (answer.question_id.clone(), answer.draw);
    let in_b: BTreeMap<(String, u32), &Prediction> = b.iter().map(|p| (id(p), p)).collect();
    let common: Vec<_> = a
        .iter()
        .filter_map(|p| Some((p, *in_b.get(&id(p))?)))
        .collect();
    let several = a.iter().chain(b).any(|answer| answer.draw > 0);
    let what = if several { "answers" } else { "questions" };
    let otherwise = if several {
        "in other words"
    } else {
        "answered in other words"
    };
    let changed: Vec<_> = common
        .iter()
        .filter(|(a, b)| a.output != b.output)
        .collect();
    writeln!(
        out,
        "    {} {what} in both, {} {otherwise}; {} only in A, {} only in B",
        common.len(),
        changed.len(),
        a.len() - common.len(),
        b.len() - common.len()
    )?;
    if args.questions {
        for (a, b) in changed {
            writeln!(
                out,
                "    {}\n    A: {}\n    B: {}",
                printable(&a.question_id),
                printable(a.output.trim()),
                printable(b.output.trim())
            )?;
        }
    }
    Ok(())
}
