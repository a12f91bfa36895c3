//! The report: one page that opens from a disk and asks nobody for anything.
//!
//! In: a manifest's artifacts as far as they are in the store. Out: HTML with its style, its script, its
//! figures and its data inside, and the figures once more as files. The same store gives the same bytes.
//!
//! What a model wrote is hostile text: the template escapes every value, the script writes text only, and the
//! page's policy allows no other script and no request.

mod embed;
mod layout;
mod path_rows;
mod paths;
mod pictures;
mod stages;

use askama::Template;

use super::device_seconds::{RowSeconds, of_rows};
use super::figure::Numbers;
use super::funnel::{FilterGroup, filter_groups};
use super::rating::RatingReport;
use super::table::{Format, build_all};
use super::{NamedFigure, ReportError, Source, WhatRan, Width};
use crate::plan::Resolved;
use crate::text::escaped;
use paths::PathBook;
use pictures::Pictures;
use stages::Stages;

/// So many paths fit on a page that still opens quickly (ours).
pub(crate) const DEFAULT_PATHS: usize = 50_000;

const STYLE: &str = include_str!("../../../templates/report.css");
const SCRIPT: &str = include_str!("../../../templates/report.js");

/// The page and its figures.
pub(crate) struct Page {
    /// The document.
    pub html: String,
    /// Figures that it has, to be written beside it, to `figures/NAME.svg` and `.png`.
    pub figures: Vec<NamedFigure>,
    /// Why declared tables and figures are not on it.
    pub failures: Vec<String>,
}

/// Writes the page, with at most about `paths` rows of paths in it and as many answers; 0 for all. `ratings` is how
/// raters agree, where they have rated paths by hand.
///
/// # Errors
/// When an artifact cannot be read.
pub(crate) fn page(
    source: &Source<'_>,
    resolved: &[Resolved],
    paths: usize,
    ratings: Option<&RatingReport>,
) -> Result<Page, ReportError> {
    let built = build_all(source, &source.manifest.tables);
    let keys = resolved
        .iter()
        .filter_map(|each| Some((each.node, each.key?)));
    let keys = keys.collect();
    let tables = built.tables.iter().map(|table| {
        Ok(Tabled {
            html: table.render(Format::Html, Width::FREE),
            seconds: of_rows(source, table, &keys)?,
        })
    });
    let tables = tables.collect::<Result<_, ReportError>>()?;
    let pictures = Pictures::read(source)?;
    let book = PathBook::read(source, paths)?;
    let ran = WhatRan::behind(source, source.plan.order().iter().copied())?;
    let manifest = source.manifest;
    // Which folders a machine has is nobody's business.
    let whole_path = manifest.path.display().to_string();
    let file = manifest.path.file_name().unwrap_or_default();
    let file = escaped(&file.to_string_lossy());
    let told = |why: &String| escaped(&why.replace(&whole_path, &file));
    let view = View {
        title: match manifest.title.as_str() {
            "" => "Report",
            title => title,
        },
        description: &manifest.description,
        ran: escaped(&ran.text()),
        caution: ran.caution().as_deref().map(escaped),
        file: file.clone(),
        version: env!("CARGO_PKG_VERSION"),
        policy: embed::policy(SCRIPT, STYLE),
        style: STYLE,
        script: SCRIPT,
        tables,
        unmade: built.failures.iter().map(told).collect(),
        filters: filter_groups(source, source.plan.order())?,
        funnels: pictures.funnels.iter().map(Shown::of).collect(),
        figures: pictures.others.iter().map(Shown::of).collect(),
        missing: pictures.missing.iter().map(told).collect(),
        ratings: ratings.map(|ratings| ratings.text(Width::FREE)),
        stages: Stages::read(source, resolved)?,
        paths: (!book.is_empty()).then(|| embed::json(&book)),
        left_out: &book.left_out,
    };
    let html = view.render().expect("a string takes all that is written");
    let Pictures {
        mut funnels,
        others,
        missing,
    } = pictures;
    funnels.extend(others);
    Ok(Page {
        html,
        figures: funnels,
        failures: [built.failures, missing].concat(),
    })
}

/// Askama escapes every value that is not marked as safe: those are ours.
#[derive(Template)]
#[template(path = "report.html")]
struct View<'v> {
    title: &'v str,
    description: &'v str,
    ran: String,
    /// That the command line changed what the title and the description are of.
    caution: Option<String>,
    file: String,
    version: &'static str,
    policy: String,
    style: &'static str,
    script: &'static str,
    tables: Vec<Tabled>,
    /// Why declared tables are not there.
    unmade: Vec<String>,
    filters: Vec<FilterGroup>,
    funnels: Vec<Shown>,
    figures: Vec<Shown>,
    /// Why declared figures are not there.
    missing: Vec<String>,
    ratings: Option<String>,
    stages: Stages,
    /// JSON that may stand in a script element.
    paths: Option<String>,
    left_out: &'v [String],
}

/// A table on the page.
struct Tabled {
    /// A table element with its notes.
    html: String,
    /// How long devices worked for each row; empty where nothing ran.
    seconds: Vec<RowSeconds>,
}

/// A figure on the page.
struct Shown {
    name: String,
    title: String,
    /// An SVG element.
    svg: String,
    numbers: Numbers,
}

impl Shown {
    fn of(named: &NamedFigure) -> Self {
        Self {
            name: named.name.clone(),
            title: escaped(named.figure.title()),
            svg: named.figure.svg(),
            numbers: named.figure.numbers(),
        }
    }
}
