//! The command line: one thin file per command.
//!
//! Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a stage failed or a
//! check found something, 2 bad manifest or usage, 130 interrupted.

mod allow;
mod allow_remote;
mod builtin;
mod cache;
mod complete;
mod data;
mod dataset;
mod diff;
mod doctor;
mod exec;
mod executor;
mod exit;
mod export;
mod figure;
mod init;
mod man;
mod next;
mod plan;
mod rate;
mod report;
mod run;
mod schema;
mod session;
mod show;
mod signals;
mod student;
mod table;
mod version;
mod why;
mod width;
mod workers;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::exit::{Exit, Failure};
use crate::guard;
use crate::stage::StageError;

/// Declarative experiments in self-enhanced reasoning training: one TOML manifest, a cached DAG, a
/// table that others can trust.
#[derive(Parser)]
#[command(
    version,
    long_version = version::long(),
    about,
    max_term_width = 100,
    after_help = "Examples:
  sert-run experiments/quickstart.toml
  sert-run help run",
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a manifest (`sert-run X.toml` is short for this).
    Run(run::RunArgs),
    /// Write a commented manifest for a data file, after a look at it.
    Init(init::InitArgs),
    /// Say what a run would do, and what it would take.
    Plan(plan::PlanArgs),
    /// Say how the manifest's data sets are understood: rows, answers, duplicates, lengths.
    Data(dataset::DatasetArgs),
    /// Print what a stage made.
    Show(show::ShowArgs),
    /// Write what a stage made as JSON lines or as a folder in Hub format.
    Export(export::ExportArgs),
    /// Print a table of results, or check a committed one against the store.
    Table(table::TableArgs),
    /// Draw the manifest's figures as SVG or PNG.
    Figure(figure::FigureArgs),
    /// Walk from a cell of a table to the stages, the keys and the questions behind it.
    Why(why::WhyArgs),
    /// Write one page with tables, figures, stages and paths.
    Report(report::ReportArgs),
    /// Compare two manifests: keys, predictions, metrics, question by question.
    Diff(diff::DiffArgs),
    /// Rate paths by hand, blinded: write a sheet, read filled-in ones back.
    Rate(rate::RateArgs),
    /// List the devices that models can run on, test them, and say how to mend what fails.
    Doctor(doctor::DoctorArgs),
    /// Say what the program makes of a model: family, sizes, tokens, memory; or why it is no student.
    Student(student::StudentArgs),
    /// Run one job on this machine, as a cluster does: one stage, described by a file.
    Exec(exec::ExecArgs),
    /// Look after the store.
    Cache(cache::CacheArgs),
    /// Print the JSON Schema of manifests.
    #[command(after_help = "Examples:
  sert-run schema
  sert-run schema > schemas/manifest.schema.json")]
    Schema,
    /// List what manifests may extend as `builtin:NAME`, or print one of these.
    Builtin(builtin::BuiltinArgs),
    /// Print what makes a shell complete commands, options, and names of the manifest.
    Completions(complete::CompletionsArgs),
    /// Write manual pages.
    Man(man::ManArgs),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    complete::answer();
    let cli = Cli::parse_from(with_run(std::env::args_os().collect()));
    start_tracing();
    signals::take_limits_as_failures();
    guard::tell_only_where_caught();
    let done = guard::catch(|| carry_out(cli.command));
    let outcome = done.unwrap_or_else(|panic| Err(Failure::from(StageError::Panic(panic))));
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell().into(),
    }
}

fn carry_out(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Data(args) => dataset::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Table(args) => table::run(&args),
        Command::Figure(args) => figure::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Rate(args) => rate::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Student(args) => student::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Cache(args) => cache::run(&args),
        Command::Schema => schema::run(),
        Command::Builtin(args) => builtin::run(&args),
        Command::Completions(args) => complete::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// `sert-run X.toml` is short for `sert-run run X.toml`.
fn with_run(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|first| begins_run(first)) {
        arguments.insert(1, "run".into());
    }
    arguments
}

/// Whether a first word is a manifest or an option of `run`. What may be a command, well or badly
/// spelt, is left to clap, which suggests the one that was meant.
fn begins_run(first: &OsStr) -> bool {
    let Some(word) = first.to_str() else {
        return true; // no command's name
    };
    let of_program = ["help", "--help", "-h", "--version", "-V"].contains(&word);
    if of_program || Cli::command().find_subcommand(word).is_some() {
        return false;
    }
    let path = Path::new(word);
    word.starts_with('-')
        || path.extension().is_some_and(|end| end == "toml")
        || word.contains(std::path::is_separator)
        || path.is_file()
}

/// Diagnostics of libraries and of ours, on stderr, as `RUST_LOG` asks; warnings by default.
fn start_tracing() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,cubecl_common=error"));
    // At `trace` ureq dumps the bytes that it sends and the addresses that it is sent to, keys among them.
    let no_bytes = filter_fn(|metadata| {
        *metadata.level() < Level::TRACE || !metadata.target().starts_with("ureq")
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(exit::styled())
        .with_writer(std::io::stderr)
        .finish()
        .with(no_bytes)
        .init();
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// Every page of help, by the words that lead to it.
    fn pages(command: &Command, path: &[String], into: &mut Vec<(Vec<String>, Command)>) {
        into.push((path.to_vec(), command.clone()));
        let below = command.get_subcommands();
        for each in below.filter(|each| each.get_name() != "help") {
            let path = [path, &[each.get_name().to_owned()]].concat();
            pages(each, &path, into);
        }
    }

    #[test]
    fn every_page_of_help_fits_and_has_two_examples_that_are_commands() {
        let mut all = Cli::command().term_width(80);
        all.build();
        let mut found = Vec::new();
        pages(&all, &[], &mut found);
        assert!(found.len() >= 20);
        for (path, mut page) in found {
            let text = page.render_long_help().to_string();
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{path:?}: {line}");
            }
            let (_, examples) = text
                .split_once("\nExamples:\n")
                .unwrap_or_else(|| panic!("{path:?}"));
            let examples: Vec<&str> = examples.lines().collect();
            assert_eq!(examples.len(), 2, "{path:?}");
            for example in examples {
                let line = example.strip_prefix("  ").unwrap();
                // What the shell would take.
                let words = line.split(" > ").next().unwrap().split(' ');
                let words = with_run(words.map(OsString::from).collect());
                let matches = match Cli::command().try_get_matches_from(&words) {
                    Ok(matches) => matches,
                    Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => continue,
                    Err(error) => panic!("{line}: {error}"),
                };
                let mut at = &matches;
                let mut names = Vec::new();
                while let Some((name, below)) = at.subcommand() {
                    names.push(name.to_owned());
                    at = below;
                }
                assert!(names.starts_with(&path), "{line} on the page of {path:?}");
            }
        }
    }

    #[test]
    fn a_wide_page_wraps_too() {
        let mut command = Cli::command().term_width(60);
        command.build();
        let page = command.find_subcommand_mut("run").unwrap();
        let text = page.render_long_help().to_string();
        let describes = |line: &&str| line.starts_with("          ");
        let long = text
            .lines()
            .filter(describes)
            .find(|line| line.chars().count() > 60);
        assert_eq!(long, None);
    }
}
