//! `sert-run table X.toml`: tables of results from the store, in the form that a paper or a program wants.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use similar::TextDiff;

use super::complete;
use super::data;
use super::exit::{Exit, Failure, tell_failures};
use super::session::{ManifestArgs, Purpose, Session};
use super::width::WidthArgs;
use crate::disk;
use crate::manifest::{TableSpec, nearest};
use crate::report::Width;
use crate::report::table::{Format, build_all};
use crate::text::printable;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run table experiments/quickstart.toml --out results.md
  sert-run table experiments/quickstart.toml --check results.md")]
pub(crate) struct TableArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The table; may be given again; all of them by default
    #[arg(long = "table", value_name = "NAME", add = complete::tables())]
    tables: Vec<String>,
    /// The form; by default that of `--out` or `--check` by the file's name, else text
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Compare with this file; exit code 1, and what differs, where it does not follow from the store
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    check: Option<PathBuf>,
    #[command(flatten)]
    width: WidthArgs,
}

pub(crate) fn run(args: &TableArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let named = args.out.as_deref().or(args.check.as_deref());
    let format = match (args.format, named) {
        (Some(format), _) => format,
        (None, None) => Format::Text,
        (None, Some(path)) => Format::of_file(path).ok_or_else(|| {
            Failure::usage(format!(
                "`{}` does not tell a form by its name\nhint: name one with --format, or end it in .txt, .md, .csv, .tex, .html or .json",
                path.display()
            ))
        })?,
    };
    let built =
        session.with_source(|source| Ok(build_all(source, chosen(&session, &args.tables)?)))?;
    // A file does not depend on the terminal that it was asked for on.
    let width = match named {
        Some(_) => Width::FREE,
        None => args.width.stdout(),
    };
    let texts: Vec<String> = (built.tables.iter())
        .map(|table| table.render(format, width))
        .collect();
    let text = texts.join("\n");
    if let Some(path) = &args.check {
        let same = check(path, &text)?;
        let whole = tell_failures(&built.failures);
        return Ok(if same == Exit::Done { whole } else { same });
    }
    match &args.out {
        Some(path) => disk::write(path, text.as_bytes())?,
        None => data::print(text.as_bytes())?,
    }
    Ok(tell_failures(&built.failures))
}

/// The tables that were named; all of them where none was.
pub(crate) fn chosen<'s>(
    session: &'s Session,
    names: &[String],
) -> Result<Vec<&'s TableSpec>, Failure> {
    let tables = &session.manifest.tables;
    if tables.is_empty() {
        return Err(Failure::usage(
            "the manifest declares no tables\nhint: add a section `[tables.results]`",
        ));
    }
    if names.is_empty() {
        return Ok(tables.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            let found = tables.iter().find(|table| table.name == *name);
            found.ok_or_else(|| {
                let known: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("tables: {}", known.join(", ")),
                };
                Failure::usage(format!("there is no table `{name}`\nhint: {hint}"))
            })
        })
        .collect()
}

fn check(path: &Path, now: &str) -> Result<Exit, Failure> {
    let committed = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    if committed == now {
        return Ok(Exit::Done);
    }
    let diff = TextDiff::from_lines(committed.as_str(), now);
    let text = diff
        .unified_diff()
        .context_radius(2)
        .header(&path.display().to_string(), "what follows from the store")
        .to_string();
    let mut out = anstream::stdout().lock();
    for line in text.lines() {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(Exit::Failed)
}
