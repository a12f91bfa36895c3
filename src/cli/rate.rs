//! `sert-run rate sheet|read`: paths rated by hand, blinded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::complete;
use super::data;
use super::exit::{Exit, Failure, say};
use super::session::{ManifestArgs, Purpose, Session};
use super::width::WidthArgs;
use crate::artifact::{Artifact, ArtifactKind};
use crate::disk;
use crate::input::read_text;
use crate::manifest::split_reference;
use crate::metric::Resampling;
use crate::report::rating::{
    Choice, Item, RatingError, RatingReport, Sheet, SheetError, items, write_sheet,
};
use crate::text::Question;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run rate sheet experiments/quickstart.toml kept --out sheet.csv
  sert-run rate read experiments/quickstart.toml kept anna.csv ben.csv")]
pub(crate) struct RateArgs {
    #[command(subcommand)]
    command: RateCommand,
}

#[derive(Subcommand)]
enum RateCommand {
    /// Write a sheet of a stage's paths for raters to fill in
    #[command(after_help = "Examples:
  sert-run rate sheet experiments/quickstart.toml kept --out sheet.csv
  sert-run rate sheet experiments/quickstart.toml kept --out s.csv --paths 60")]
    Sheet(SheetArgs),
    /// Read filled-in sheets: means, and agreement between raters and with the judge
    #[command(after_help = "Examples:
  sert-run rate read experiments/quickstart.toml kept anna.csv ben.csv
  sert-run rate read experiments/quickstart.toml kept anna.csv --partial --json")]
    Read(ReadArgs),
}

/// The paths, and the seed of their ids.
#[derive(Args)]
struct StageArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage, or one of its outputs as STAGE.OUTPUT: paths, or verdicts (which stay hidden)
    #[arg(add = complete::outputs())]
    stage: String,
    /// Seed of the items' ids, and so of which paths are on the sheet and in which order
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
struct SheetArgs {
    #[command(flatten)]
    stage: StageArgs,
    /// Where to write the sheet, a CSV file. It must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Paths on the sheet at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    paths: usize,
    /// Paths of one question at most; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0)]
    per_question: usize,
}

#[derive(Args)]
struct ReadArgs {
    #[command(flatten)]
    stage: StageArgs,
    /// Filled-in sheets, one for each rater, who goes by the file's name
    #[arg(required = true)]
    sheets: Vec<PathBuf>,
    /// Take blank ratings as not given yet
    #[arg(long)]
    partial: bool,
    /// Print one JSON document, each rating with its path's row
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    width: WidthArgs,
}

pub(crate) fn run(args: &RateArgs) -> Result<Exit, Failure> {
    match &args.command {
        RateCommand::Sheet(args) => sheet(args),
        RateCommand::Read(args) => read(args),
    }
}

fn sheet(args: &SheetArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.stage.manifest, Purpose::Look)?;
    let items = items_of(&session, &args.stage.stage, args.stage.seed)?;
    let questions = questions_of(&session, &args.stage.stage)?;
    let choice = Choice {
        paths: args.paths,
        per_question: args.per_question,
    };
    let (bytes, count) = write_sheet(&items, &questions, choice)?;
    disk::write_new(&args.out, &bytes).map_err(|error| match error.source.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!(
            "`{}` exists\nhint: a sheet is written to a new file, so that no ratings are lost",
            args.out.display()
        )),
        _ => error.into(),
    })?;
    say(&format!(
        "wrote {count} of {} paths of `{}` to {}; give each rater a copy, and read them back with the same --seed",
        items.len(),
        args.stage.stage,
        args.out.display()
    ));
    Ok(Exit::Done)
}

fn read(args: &ReadArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.stage.manifest, Purpose::Look)?;
    let (stage, seed) = (&args.stage.stage, args.stage.seed);
    let report = agreement(&session, stage, seed, &args.sheets, args.partial)?;
    if args.json {
        let json = serde_json::to_string(&report).context("failed to write JSON")?;
        data::print(format!("{json}\n").as_bytes())?;
    } else {
        write!(
            anstream::stdout().lock(),
            "{}",
            report.text(args.width.stdout())
        )?;
    }
    Ok(Exit::Done)
}

/// How raters of `stage` agree, from their sheets.
pub(crate) fn agreement(
    session: &Session,
    stage: &str,
    seed: u64,
    files: &[PathBuf],
    partial: bool,
) -> Result<RatingReport, Failure> {
    let items = items_of(session, stage, seed)?;
    let mut sheets = Vec::new();
    let mut errors = Vec::new();
    for (file, rater) in files.iter().zip(raters(files)?) {
        let text = read_text(file).map_err(|error| vec![SheetError::from(error)]);
        match text.and_then(|text| Sheet::read(&rater, file, &text, &items, partial)) {
            Ok(sheet) => sheets.push(sheet),
            Err(found) => errors.extend(found),
        }
    }
    if !errors.is_empty() {
        return Err(RatingError::Sheets(errors).into());
    }
    Ok(RatingReport::of(&items, &sheets, &Resampling::default()))
}

fn items_of(session: &Session, stage: &str, seed: u64) -> Result<BTreeMap<String, Item>, Failure> {
    let found = session.artifact(stage)?;
    match items(found.kind, &found.bytes, seed) {
        Err(error @ RatingError::NoPaths { .. }) => {
            Err(Failure::usage(format!("`{stage}`: {error}")))
        }
        found => Ok(found?),
    }
}

/// The questions that the stage's paths answer.
fn questions_of(session: &Session, reference: &str) -> Result<Vec<Question>, Failure> {
    let (stage, _) = split_reference(reference);
    let asked = session.plan.find(stage)?;
    let Some((from, output)) = session.plan.input(asked, ArtifactKind::Questions) else {
        return Err(Failure::usage(format!("`{stage}` takes no questions")));
    };
    let name = session.plan.node(from).name();
    let found = session.artifact(&format!("{name}.{output}"))?;
    Ok(Vec::decode(&found.bytes)?)
}

/// Raters go by the names of their files, or by their paths where names are equal.
fn raters(sheets: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let stem = |file: &Path| {
        let stem = file.file_stem().unwrap_or(file.as_os_str());
        stem.to_string_lossy().into_owned()
    };
    let stems: BTreeSet<String> = sheets.iter().map(|file| stem(file)).collect();
    if stems.len() == sheets.len() {
        return Ok(sheets.iter().map(|file| stem(file)).collect());
    }
    let paths: BTreeSet<&PathBuf> = sheets.iter().collect();
    if paths.len() < sheets.len() {
        return Err(Failure::usage("a sheet is given twice"));
    }
    Ok(sheets
        .iter()
        .map(|file| file.display().to_string())
        .collect())
}
