//! `sert-run report X.toml --out DIR`: one page with all that there is to see, and its figures as files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::exit::{Exit, Failure, say};
use super::session::{ManifestArgs, Purpose, Session};
use crate::event::Silent;
use crate::plan::resolve;
use crate::report::page::{DEFAULT_PATHS, page};

#[derive(Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The folder to write to; `index.html` and `figures/` in it are replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Paths on the page, and answers, at most about this many of each, whole questions; 0 for all
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PATHS)]
    paths: usize,
}

pub(crate) fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let nodes = session.plan.order();
    let resolved = resolve(&session.plan, nodes, &session.environment(&Silent))?;
    let page = session.with_source(|source| Ok(page(source, &resolved, args.paths)?))?;
    let figures = args.out.join("figures");
    std::fs::create_dir_all(&figures)
        .with_context(|| format!("cannot make the folder `{}`", figures.display()))?;
    for each in &page.figures {
        let file = |end: &str| figures.join(format!("{}.{end}", each.name));
        write(&file("svg"), each.figure.svg().as_bytes())?;
        write(&file("png"), &each.figure.png())?;
    }
    let index = args.out.join("index.html");
    write(&index, page.html.as_bytes())?;
    say(&format!(
        "wrote {} and {} figures",
        index.display(),
        page.figures.len()
    ));
    Ok(Exit::Done)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
