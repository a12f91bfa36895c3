//! What a person reads: tables of results, the plan, an artifact. Reads plan and store only.

mod artifact;
mod beside;
mod data;
mod device_seconds;
mod diff;
pub(crate) mod figure;
mod figure_data;
mod funnel;
mod interval;
mod json;
#[cfg(test)]
mod one_line_tests;
pub(crate) mod page;
mod plan;
mod plan_sweep;
pub(crate) mod rating;
mod source;
pub(crate) mod table;
mod used;
mod what_ran;
mod why;
mod width;

pub(crate) use artifact::artifact_text;
pub(crate) use artifact::bytes_text;
pub(crate) use beside::Beside;
pub(crate) use data::{DataReport, form_name};
pub(crate) use diff::{changed_answers, evaluations_side_by_side};
pub(crate) use figure_data::{NamedFigure, fill_figures};
pub(crate) use funnel::funnels;
pub(crate) use json::artifact_json;
pub(crate) use plan::{difference_text, plan_json, plan_text};
pub(crate) use source::{Missing, ReportError, Source};
pub(crate) use used::{used_at_end, used_text};
pub(crate) use what_ran::WhatRan;
pub(crate) use why::{CellName, why};
pub(crate) use width::Width;
