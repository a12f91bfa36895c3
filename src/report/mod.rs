//! What a person reads: tables of results, the plan, an artifact. Reads plan and store only.

mod artifact;
mod diff;
pub mod figure;
mod figure_data;
mod funnel;
mod interval;
mod json;
pub mod page;
mod plan;
mod plan_sweep;
pub mod rating;
mod source;
pub mod table;
mod used;
mod what_ran;
mod why;

pub use artifact::artifact_text;
pub(crate) use artifact::bytes_text;
pub use diff::{changed_answers, evaluations_side_by_side};
pub use figure_data::{FilledFigures, NamedFigure, fill_figures};
pub use funnel::funnels;
pub use json::artifact_json;
pub use plan::{difference_text, plan_json, plan_text};
pub use source::{ReportError, Source};
pub use used::used_text;
pub use what_ran::WhatRan;
pub use why::{CellName, CellProvenance, MeasuredBy, StageBehind, why};

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table in the house style: readable without colour, in a log file too.
fn new_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}
