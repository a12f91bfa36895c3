//! Completion in the shell: words of the command line, and names of the manifest that stands on it.
//!
//! The shell asks the program itself (`COMPLETE=bash sert-run -- WORDS`), so names are those of the manifest as it is now.
//! `sert-run completions SHELL` prints what tells the shell so.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, Args, Command, CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::Shells;

use super::data;
use super::exit::{Exit, Failure};
use super::{Cli, begins_run};
use crate::manifest::{self, BUILTINS, Names};
use crate::stage::KINDS;

/// The variable by which a shell asks.
const ASKED_BY: &str = "COMPLETE";

/// A shell.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run completions bash
  sert-run completions zsh > _sert-run")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints what makes a shell ask.
pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let shells = Shells::builtins();
    let shell = args.shell.to_possible_value();
    let shell = shell.and_then(|value| shells.completer(value.get_name()));
    let shell = shell.ok_or_else(|| Failure::usage("no such shell"))?;
    let program = program(std::env::args_os().next());
    let mut text = Vec::new();
    shell.write_registration(ASKED_BY, "sert-run", "sert-run", &program, &mut text)?;
    data::print(&text)?;
    Ok(Exit::Done)
}

/// How the shell is to call the program: as it was called, wherever the shell is by then.
fn program(called: Option<OsString>) -> String {
    let called = PathBuf::from(called.unwrap_or_else(|| "sert-run".into()));
    let called = if called.components().count() > 1 {
        std::path::absolute(&called).unwrap_or(called)
    } else {
        called
    };
    called.to_string_lossy().into_owned()
}

/// Answers a shell that asks, and ends the program; does nothing where none does.
pub(crate) fn answer() {
    CompleteEnv::with_factory(|| command(&words()))
        .var(ASKED_BY)
        .complete();
}

/// The words of the line that is completed, the program's name first.
fn words() -> Vec<OsString> {
    let words = std::env::args_os().skip_while(|word| word != "--");
    words.skip(1).collect()
}

/// The command of a line: `sert-run X.toml` is short for `sert-run run X.toml`, and a first word may be either.
fn command(words: &[OsString]) -> Command {
    let command = Cli::command();
    if words.len() > 2
        && begins_run(&words[1])
        && let Some(run) = command.find_subcommand("run")
    {
        return run.clone().name("sert-run");
    }
    command.arg(Arg::new("manifest").add(manifests()))
}

/// Completes manifests.
pub(crate) fn manifests() -> ArgValueCompleter {
    ArgValueCompleter::new(PathCompleter::any().filter(|path| {
        path.is_dir()
            || path
                .extension()
                .is_some_and(|extension| extension == "toml")
    }))
}

/// Completes stages.
pub(crate) fn stages() -> ArgValueCandidates {
    of_manifest(|names| names.stages.iter().map(|(name, _)| name.clone()).collect())
}

/// Completes tables.
pub(crate) fn tables() -> ArgValueCandidates {
    of_manifest(|names| names.tables.clone())
}

/// Completes figures.
pub(crate) fn figures() -> ArgValueCandidates {
    of_manifest(|names| names.figures.clone())
}

/// Completes profiles.
pub(crate) fn profiles() -> ArgValueCandidates {
    of_manifest(|names| names.profiles.clone())
}

/// Completes the names of builtins.
pub(crate) fn builtins() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let each = BUILTINS.iter();
        each.map(|builtin| CompletionCandidate::new(builtin.name).help(Some(builtin.doc.into())))
            .collect()
    })
}

/// Completes stages, and the outputs of one behind its dot.
pub(crate) fn outputs() -> ArgValueCompleter {
    ArgValueCompleter::new(OfStages)
}

struct OfStages;

impl ValueCompleter for OfStages {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let current = current.to_string_lossy();
        let names = named(&words());
        let outputs = names.stages.iter().flat_map(|(name, kind)| {
            let outputs = kind.map_or(&[][..], |kind| kind.outputs());
            let outputs = outputs.iter().map(move |it| format!("{name}.{}", it.name));
            let outputs = outputs.filter(|_| current.contains('.'));
            std::iter::once(name.clone()).chain(outputs)
        });
        let begins = outputs.filter(|name| name.starts_with(&*current));
        begins.map(CompletionCandidate::new).collect()
    }
}

fn of_manifest(which: fn(&Names) -> Vec<String>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let found = which(&named(&words())).into_iter();
        found.map(CompletionCandidate::new).collect()
    })
}

/// The names in the manifest that stands on a line.
fn named(words: &[OsString]) -> Names {
    let manifest = words.iter().skip(1).map(Path::new);
    let mut manifest =
        manifest.filter(|path| path.extension().is_some_and(|end| end == "toml") && path.is_file());
    let manifest = manifest.next();
    manifest.map_or_else(Names::default, |path| manifest::names(path, KINDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is offered for the last word of a line.
    fn offered(line: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        let last = words.len() - 1;
        let found = clap_complete::engine::complete(&mut command(&words), words, last, None);
        let found = found.unwrap().into_iter();
        found
            .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn commands_options_and_manifests_are_offered() {
        assert_eq!(offered(&["sert-run", "pl"]), ["plan"]);
        assert!(offered(&["sert-run", "plan", "--st"]).contains(&"--stage".to_owned()));
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/quick");
        let whole = format!("{root}start.toml");
        assert_eq!(offered(&["sert-run", root]).join(" "), whole);
        assert_eq!(offered(&["sert-run", "show", root]).join(" "), whole);
        // Short for `run`.
        assert!(offered(&["sert-run", &whole, "--keep"]).contains(&"--keep-going".to_owned()));
        assert_eq!(offered(&["sert-run", "completions", "z"]), ["zsh"]);
        assert!(
            offered(&["sert-run", "builtin", "arms-"]).contains(&"arms-without-teacher".to_owned())
        );
    }

    #[test]
    fn names_are_those_of_the_manifest_on_the_line() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/experiments/sensitivity-quickstart.toml"
        );
        let names = named(&["sert-run".into(), "show".into(), path.into()]);
        let stages: Vec<&str> = names.stages.iter().map(|(name, _)| name.as_str()).collect();
        for stage in ["data", "kept", "teacher", "eval-sert-rd"] {
            assert!(stages.contains(&stage), "{stages:?}");
        }
        assert_eq!(names.tables, ["results"]);
        assert_eq!(names.profiles, ["small"]);
        assert!(names.figures.contains(&"yield".to_owned()));
        assert!(
            named(&["sert-run".into(), "show".into(), "none.toml".into()])
                .stages
                .is_empty()
        );
    }

    #[test]
    fn every_shell_can_be_told() {
        for shell in Shell::value_variants() {
            let name = shell.to_possible_value().unwrap();
            assert!(
                Shells::builtins().completer(name.get_name()).is_some(),
                "{shell:?}"
            );
        }
        assert_eq!(program(Some("sert-run".into())), "sert-run");
        assert!(Path::new(&program(Some("target/x".into()))).is_absolute());
    }
}
