//! `sert-run data X.toml`: the manifest's data sets as the program understands them.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::data;
use super::exit::{Exit, Failure};
use super::session::{ManifestArgs, Purpose, Session};
use crate::event::Silent;
use crate::model::{Student, WeightFiles, is_gguf};
use crate::plan::NodeId;
use crate::report::DataReport;
use crate::stage::{Brings, Environment, Inputs, data_splits};
use crate::text::word_count;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run data experiments/strategyqa.toml
  sert-run data experiments/quickstart.toml --rows 20")]
pub(crate) struct DatasetArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Questions to print
    #[arg(long, default_value_t = 5, value_name = "N")]
    rows: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &DatasetArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Plan)?;
    let environment = session.environment(&session.options, &Silent);
    let data_sets = that_bring(&session, Brings::Data);
    session.check_outside(&data_sets)?;
    let student = that_bring(&session, Brings::Student)
        .into_iter()
        .find_map(|node| Some((node, student(&session, node, &environment)?)));
    let unit = student.as_ref().map_or("words".to_owned(), |(node, _)| {
        format!("tokens of {}", session.plan.node(*node).name())
    });
    let length = |text: &str| match &student {
        Some((_, student)) => student
            .tokenizer
            .encode(text)
            .map_or(0, |tokens| tokens.len()),
        None => word_count(text),
    };
    let nothing = Inputs::new();
    let mut reports = Vec::new();
    for id in data_sets {
        let node = session.plan.node(id);
        let context = environment.context(node.name(), node.seed, &nothing);
        let splits = data_splits(&node.params, &context)?;
        reports.push(DataReport::new(
            node.name(),
            splits,
            args.rows,
            &unit,
            &length,
        ));
    }
    if args.json {
        data::print_json(&reports)?;
        return Ok(Exit::Done);
    }
    let texts: Vec<String> = reports.iter().map(DataReport::text).collect();
    write!(anstream::stdout().lock(), "{}", texts.join("\n"))?;
    Ok(Exit::Done)
}

/// The nodes that bring such a thing in, in order.
fn that_bring(session: &Session, what: Brings) -> Vec<NodeId> {
    let nodes = session.plan.order().iter().copied();
    let does = |node: &NodeId| session.plan.node(*node).kind.brings() == Some(what);
    nodes.filter(does).collect()
}

/// The student that a stage brings in, as far as it is on this machine already.
fn student(
    session: &Session,
    id: NodeId,
    environment: &Environment<'_>,
) -> Option<Student<WeightFiles>> {
    let node = session.plan.node(id);
    let nothing = Inputs::new();
    let context = environment.context(node.name(), node.seed, &nothing);
    let files = node.kind.files(&node.params, &context).ok()?;
    let path = files.into_iter().map(|file| file.path).find(|path| {
        let name = path.file_name().unwrap_or_default();
        name == "config.json" || is_gguf(path)
    })?;
    let folder = if is_gguf(&path) {
        path
    } else {
        path.parent().map(PathBuf::from)?
    };
    Student::open(&folder).ok()
}
