//! A table as JSON: all that it says.

use super::ResultTable;

pub(super) fn render(table: &ResultTable) -> String {
    let json = serde_json::to_string_pretty(table).expect("a table holds text and finite numbers");
    json + "\n"
}
