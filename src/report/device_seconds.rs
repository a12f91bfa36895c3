//! How long devices worked for something: from what is recorded beside results, so never in bytes that are compared.
//!
//! A stage counts once, with the seconds of its last run; where that went on after a kill, what was before is not in it.

use std::collections::{BTreeMap, BTreeSet};

use super::table::ResultTable;
use super::{ReportError, Source};
use crate::key::StageKey;
use crate::plan::NodeId;

/// Seconds by device, as `--device` names it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct DeviceSeconds(BTreeMap<String, f64>);

impl DeviceSeconds {
    /// Counts a stage that ran; where nothing is recorded of it, it adds nothing.
    pub(crate) fn add(&mut self, provenance: &serde_json::Value) {
        let seconds = provenance
            .get("elapsed_s")
            .and_then(serde_json::Value::as_f64);
        let device = provenance.get("device").and_then(serde_json::Value::as_str);
        if let (Some(seconds), Some(device)) = (seconds, device) {
            *self.0.entry(device.to_owned()).or_default() += seconds;
        }
    }

    /// `812.4 s on cpu`, or of several devices `812.4 s on cpu, 35.0 s on cuda:0`; `None` where nothing is known.
    pub(crate) fn text(&self) -> Option<String> {
        let each = self.0.iter();
        let each: Vec<String> = each
            .map(|(device, seconds)| format!("{seconds:.1} s on {device}"))
            .collect();
        (!each.is_empty()).then(|| each.join(", "))
    }
}

/// The rows of a table, and how long devices worked for each.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct RowSeconds {
    /// The row's title.
    pub row: String,
    /// All that stands behind its figures.
    pub all: String,
    /// Of it, what no other row of the table rests on.
    pub own: String,
}

/// Of each row of `table`; empty where nothing of it ran.
///
/// # Errors
/// When a result cannot be read.
pub(crate) fn of_rows(
    source: &Source<'_>,
    table: &ResultTable,
    keys: &BTreeMap<NodeId, StageKey>,
) -> Result<Vec<RowSeconds>, ReportError> {
    let behind: Vec<BTreeSet<NodeId>> = table
        .rows
        .iter()
        .map(|row| {
            let cells = row.groups.iter().flat_map(|group| &group.cells);
            let stages = cells
                .filter_map(|cell| cell.figure())
                .flat_map(|figure| &figure.evaluations);
            let nodes = stages.filter_map(|stage| source.plan.find(stage).ok());
            source.behind(nodes)
        })
        .collect();
    let mut rows_of: BTreeMap<NodeId, usize> = BTreeMap::new();
    for &node in behind.iter().flatten() {
        *rows_of.entry(node).or_default() += 1;
    }
    let mut found = Vec::new();
    for (row, nodes) in table.rows.iter().zip(&behind) {
        let (mut all, mut own) = (DeviceSeconds::default(), DeviceSeconds::default());
        for node in nodes {
            let Some(key) = keys.get(node) else { continue };
            let Some(result) = source.store.result(key)? else {
                continue;
            };
            all.add(&result.provenance);
            if rows_of[node] == 1 {
                own.add(&result.provenance);
            }
        }
        if let Some(all) = all.text() {
            found.push(RowSeconds {
                row: row.title.clone(),
                all,
                own: own.text().unwrap_or_else(|| "-".to_owned()),
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seconds_are_added_by_device() {
        let mut seconds = DeviceSeconds::default();
        assert_eq!(seconds.text(), None);
        seconds.add(&json!({}));
        assert_eq!(seconds.text(), None);
        seconds.add(&json!({ "device": "cuda:0", "elapsed_s": 30.25 }));
        seconds.add(&json!({ "device": "cpu", "elapsed_s": 2.0 }));
        seconds.add(&json!({ "device": "cuda:0", "elapsed_s": 4.75 }));
        assert_eq!(seconds.text().unwrap(), "2.0 s on cpu, 35.0 s on cuda:0");
    }
}
