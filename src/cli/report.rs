//! `sert-run report X.toml --out DIR`: one page with all that there is to see, and its figures as files.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::complete;
use super::exit::{Exit, Failure, say, tell_failures};
use super::rate::agreement;
use super::session::{ManifestArgs, Purpose, Session};
use crate::disk;
use crate::event::Silent;
use crate::plan::resolve;
use crate::report::page::{DEFAULT_PATHS, page};

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run report experiments/quickstart.toml --out report
  sert-run report experiments/quickstart.toml --out report --paths 0")]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The folder to write to; `index.html` and `figures/` in it are replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Paths on the page, and answers, at most about this many of each, whole questions; 0 for all
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PATHS)]
    paths: usize,
    /// Show how raters agree: a filled-in sheet of `sert-run rate`; may be given again
    #[arg(long = "sheet", value_name = "FILE", requires = "rated")]
    sheets: Vec<PathBuf>,
    /// The stage that the sheets are of
    #[arg(long, value_name = "STAGE", requires = "sheets", add = complete::outputs())]
    rated: Option<String>,
    /// The seed that the sheets were written with
    #[arg(long, value_name = "S", default_value_t = 0)]
    sheet_seed: u64,
}

pub(crate) fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let nodes = session.plan.order();
    let resolved = resolve(
        &session.plan,
        nodes,
        &session.environment(&session.options, &Silent),
    )?;
    let ratings = match &args.rated {
        Some(stage) => Some(agreement(
            &session,
            stage,
            args.sheet_seed,
            &args.sheets,
            false,
        )?),
        None => None,
    };
    let page =
        session.with_source(|source| Ok(page(source, &resolved, args.paths, ratings.as_ref())?))?;
    let figures = args.out.join("figures");
    std::fs::create_dir_all(&figures)
        .with_context(|| format!("cannot make the folder `{}`", figures.display()))?;
    let mut files = Vec::new();
    for each in &page.figures {
        let file = |end: &str| figures.join(format!("{}.{end}", each.name));
        files.push((file("svg"), each.figure.svg().into_bytes()));
        files.push((file("png"), each.figure.png()));
    }
    // The page last: what it shows is there by then.
    let index = args.out.join("index.html");
    files.push((index.clone(), page.html.into_bytes()));
    disk::write_all(&files)?;
    say(&format!(
        "wrote {} and {} figures",
        index.display(),
        page.figures.len()
    ));
    Ok(tell_failures(&page.failures))
}
