//! Outside text in a spreadsheet's cell.

use crate::text::escaped;

/// What a spreadsheet takes for the beginning of a formula, in full width too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// `text` as a cell that no spreadsheet computes: control characters written out, and an apostrophe
/// before what would be a formula (or has such an apostrophe already, so that [`restored`] undoes it).
pub(super) fn neutralised(text: &str) -> String {
    let text = escaped(text);
    let first = text.trim_start().chars().next();
    if first.is_some_and(|c| c == '\'' || FORMULA.contains(&c)) {
        format!("'{text}")
    } else {
        text
    }
}

/// The text of a cell that [`neutralised`] wrote, its control characters still written out.
pub(super) fn restored(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if neutralised(text) == cell => text,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text_and_come_back() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            (" =cmd|'/c calc'!A1", "' =cmd|'/c calc'!A1"),
            ("+1", "'+1"),
            ("- no", "'- no"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("'tis", "''tis"),
            ("\n=1", "'\n=1"),
            ("plain = 1", "plain = 1"),
            ("", ""),
        ] {
            assert_eq!(neutralised(text), cell);
            assert_eq!(restored(cell), text);
        }
        assert_eq!(neutralised("\t=1\u{1b}[31m"), r"\t=1\u{1b}[31m");
        // A rater's own apostrophe stays.
        assert_eq!(restored("'good'"), "'good'");
    }
}
