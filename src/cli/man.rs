//! `sert-run man DIR`: the program's manual pages, made of what `--help` says.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory};

use super::Cli;
use super::exit::{Exit, Failure, say};

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run man man1
  sert-run man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder to write sert-run.1 and a page for each command to, for example ~/.local/share/man/man1
    dir: PathBuf,
}

pub(crate) fn run(args: &ManArgs) -> Result<Exit, Failure> {
    let shown = args.dir.display();
    std::fs::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.dir))
        .with_context(|| format!("cannot write manual pages to `{shown}`"))?;
    say(&format!(
        "wrote sert-run.1 and a page for each command to {shown}"
    ));
    Ok(Exit::Done)
}
