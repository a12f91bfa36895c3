//! `sert-run figure X.toml`: figures from the store, as SVG or PNG.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::complete;
use super::exit::{Exit, Failure, say, tell_failures};
use super::session::{ManifestArgs, Purpose, Session};
use crate::disk;
use crate::manifest::nearest;
use crate::report::fill_figures;

/// The form of a figure.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FigureFormat {
    /// Scalable, as text
    Svg,
    /// Pixels, two to the CSS pixel
    Png,
}

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run figure experiments/quickstart.toml
  sert-run figure experiments/quickstart.toml --figure funnel --format png")]
pub(crate) struct FigureArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The figure; may be given again; all of them by default
    #[arg(long = "figure", value_name = "NAME", add = complete::figures())]
    figures: Vec<String>,
    /// The folder to write NAME.svg or NAME.png to
    #[arg(long, value_name = "DIR", default_value = "figures")]
    out: PathBuf,
    /// The form
    #[arg(long, value_enum, default_value = "svg")]
    format: FigureFormat,
}

pub(crate) fn run(args: &FigureArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let declared = &session.manifest.figures;
    if declared.is_empty() {
        return Err(Failure::usage(
            "the manifest declares no figures\nhint: add a section `[figures.NAME]` with its `kind`",
        ));
    }
    for name in &args.figures {
        if !declared.iter().any(|figure| figure.name == *name) {
            let known: Vec<&str> = declared.iter().map(|figure| figure.name.as_str()).collect();
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("figures: {}", known.join(", ")),
            };
            return Err(Failure::usage(format!(
                "there is no figure `{name}`\nhint: {hint}"
            )));
        }
    }
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder `{}`", args.out.display()))?;
    session.with_source(|source| {
        let wanted = |name: &String| args.figures.is_empty() || args.figures.contains(name);
        let drawn = fill_figures(source, declared.iter().filter(|spec| wanted(&spec.name)));
        let mut files = Vec::new();
        for named in &drawn.figures {
            let (end, bytes) = match args.format {
                FigureFormat::Svg => ("svg", named.figure.svg().into_bytes()),
                FigureFormat::Png => ("png", named.figure.png()),
            };
            files.push((args.out.join(format!("{}.{end}", named.name)), bytes));
        }
        disk::write_all(&files)?;
        for (path, _) in &files {
            say(&path.display().to_string());
        }
        Ok(tell_failures(&drawn.failures))
    })
}
