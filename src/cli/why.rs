//! `sert-run why X.toml CELL`: what stands behind a figure.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;

use super::data;
use super::exit::{Exit, Failure};
use super::session::{ManifestArgs, Purpose, Session};
use super::table::chosen;
use crate::event::Silent;
use crate::key::StageKey;
use crate::manifest::nearest;
use crate::metric::Metric;
use crate::plan::{NodeId, resolve};
use crate::report::table::{ResultTable, build};
use crate::report::{CellName, why};

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run why experiments/quickstart.toml SERT:acc
  sert-run why experiments/quickstart.toml results:SERT+RD:acc --questions")]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The cell, as [TABLE:]ROW:[COLUMNS:]FIGURE, for example `results:SERT+RD:acc`
    cell: String,
    /// List every question, not only the first ten
    #[arg(long)]
    questions: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Questions listed without `--questions`.
const SHOWN: usize = 10;

pub(crate) fn run(args: &WhyArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let nodes = session.plan.order();
    let keys: BTreeMap<NodeId, StageKey> = resolve(
        &session.plan,
        nodes,
        &session.environment(&session.options, &Silent),
    )?
    .into_iter()
    .filter_map(|each| Some((each.node, each.key?)))
    .collect();
    let found = session.with_source(|source| {
        let tables = chosen(&session, &[])?;
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let named = titled(&args.cell, &names).and_then(|(name, rest)| {
            let spec = tables.iter().find(|table| table.name == name)?;
            Some((*spec, rest))
        });
        // A manifest's only table need not be named.
        let only = || (tables.len() == 1).then(|| (tables[0], args.cell.as_str()));
        let (spec, rest) = named.or_else(only).ok_or_else(|| {
            Failure::usage(format!(
                "`{}` does not begin with a table's name\nhint: tables: {}",
                args.cell,
                names.join(", ")
            ))
        })?;
        let table = build(source, spec)?;
        let name = cell_name(&table, rest)?;
        Ok(why(source, &table, &name, &|node| {
            keys.get(&node).copied()
        })?)
    })?;
    if args.json {
        data::print_json(&found)?;
    } else {
        let questions = if args.questions { usize::MAX } else { SHOWN };
        write!(anstream::stdout().lock(), "{}", found.text(questions))?;
    }
    Ok(Exit::Done)
}

/// `ROW:FIGURE` or `ROW:COLUMNS:FIGURE`, as the table prints them.
fn cell_name(table: &ResultTable, cell: &str) -> Result<CellName, Failure> {
    let rows: Vec<&str> = table.rows.iter().map(|row| row.title.as_str()).collect();
    let groups: Vec<&str> = table.groups.iter().map(String::as_str).collect();
    let parted = titled(cell, &rows)
        .or_else(|| cell.split_once(':'))
        .and_then(|(row, rest)| {
            let (group, metric) = match titled(rest, &groups) {
                Some((group, metric)) => (Some(group), metric),
                None => match rest.split_once(':') {
                    Some((group, metric)) => (Some(group), metric),
                    None => (None, rest),
                },
            };
            (!metric.contains(':')).then_some((row.trim(), group.map(str::trim), metric.trim()))
        });
    let (row, group, metric) = parted.ok_or_else(|| {
        Failure::usage(
            "a cell is [TABLE:]ROW:[COLUMNS:]FIGURE\nhint: for example `results:SERT+RD:acc`",
        )
    })?;
    let group = match (group, groups.as_slice()) {
        (None, [only]) => *only,
        (None, several) => {
            return Err(Failure::usage(format!(
                "the table `{}` has several groups of columns\nhint: put one between the row and the figure: {}",
                table.name,
                several.join(", ")
            )));
        }
        (Some(group), _) => one_of("group of columns", group, &groups)?,
    };
    let metrics: Vec<&str> = table.metrics.iter().map(|metric| metric.name()).collect();
    let metric = one_of("figure", &metric.to_lowercase(), &metrics)?;
    Ok(CellName {
        row: one_of("row", row, &rows)?.to_owned(),
        group: group.to_owned(),
        metric: Metric::named(metric).expect("it is one of the table's"),
    })
}

/// The longest of `titles` that `cell` begins with before a colon, and what stands behind that: a title may have colons of its
/// own.
fn titled<'c>(cell: &'c str, titles: &[&str]) -> Option<(&'c str, &'c str)> {
    let colons = cell.match_indices(':').map(|(at, _)| at);
    let mut parted = colons.map(|at| (cell[..at].trim(), &cell[at + 1..]));
    parted.rfind(|(title, _)| titles.contains(title))
}

fn one_of<'n>(what: &str, name: &str, known: &[&'n str]) -> Result<&'n str, Failure> {
    known
        .iter()
        .copied()
        .find(|each| *each == name)
        .ok_or_else(|| {
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", known.join(", ")),
            };
            Failure::usage(format!("the table has no {what} `{name}`\nhint: {hint}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_may_have_colons() {
        let titles = ["SERT", "SERT: all", "SERT: all: twice"];
        for (cell, found) in [
            ("SERT:acc", Some(("SERT", "acc"))),
            ("SERT : acc", Some(("SERT", " acc"))),
            ("SERT: all:acc", Some(("SERT: all", "acc"))),
            ("SERT: all: twice:acc", Some(("SERT: all: twice", "acc"))),
            ("RD:acc", None),
            ("SERT", None),
        ] {
            assert_eq!(titled(cell, &titles), found, "{cell}");
        }
    }
}
