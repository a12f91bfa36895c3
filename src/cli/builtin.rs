//! `sert-run builtin`: the bases that are part of the program.

use std::io::Write;

use clap::Args;

use super::complete;
use super::data;
use super::exit::{Exit, Failure};
use crate::input::nearest;
use crate::manifest::{BUILTIN, BUILTINS, builtin};

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run builtin
  sert-run builtin arms")]
pub(crate) struct BuiltinArgs {
    /// The one to print, for example arms; by default they are listed
    #[arg(add = complete::builtins())]
    name: Option<String>,
}

pub(crate) fn run(args: &BuiltinArgs) -> Result<Exit, Failure> {
    let Some(name) = &args.name else {
        let mut out = anstream::stdout().lock();
        for builtin in BUILTINS {
            writeln!(out, "{BUILTIN}{}\n    {}", builtin.name, builtin.doc)?;
        }
        return Ok(Exit::Done);
    };
    let name = name.strip_prefix(BUILTIN).unwrap_or(name);
    let Some(found) = builtin(name) else {
        let names = BUILTINS.iter().map(|builtin| builtin.name);
        let hint = match nearest(name, names.clone()) {
            Some(found) => format!("did you mean `{found}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        return Err(Failure::usage(format!(
            "there is no builtin `{name}`\nhint: {hint}"
        )));
    };
    data::print(found.text.as_bytes())?;
    Ok(Exit::Done)
}
