//! A sheet that a rater filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::cell::{neutralised, restored};
use super::{CRITERIA, HIGHEST, Item, SheetError};

/// What a rater said of one path.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rating {
    /// 0 to 10 for each of [`CRITERIA`], in their order; `None` where not given yet.
    pub scores: [Option<u8>; CRITERIA.len()],
    /// What else was said; may be empty.
    pub comment: String,
}

/// A filled-in sheet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sheet {
    /// The rater's name.
    pub rater: String,
    /// The ratings by item.
    pub ratings: BTreeMap<String, Rating>,
}

impl Sheet {
    /// Reads the text of `file`, with commas, semicolons or tabs between its cells, as spreadsheets
    /// save it. Columns go by their names, and may stand in another order. `partial` takes blank
    /// ratings as not given yet.
    ///
    /// # Errors
    /// Every error: columns missing, items that are not among `items` or come twice, ratings
    /// out of range or missing, and paths that stand beside another path's id (as when a spreadsheet
    /// sorts one column alone).
    pub(crate) fn read(
        rater: &str,
        file: &Path,
        text: &str,
        items: &BTreeMap<String, Item>,
        partial: bool,
    ) -> Result<Self, Vec<SheetError>> {
        let sheet_error = |line: u64, what: String| SheetError {
            file: file.to_owned(),
            line: Some(line),
            what,
        };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(text))
            // Excel leaves off a row's last cells where they are empty.
            .flexible(true)
            .from_reader(text.as_bytes());
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(vec![sheet_error(1, error.to_string())]),
        };
        let columns = Columns::of(&header)
            .map_err(|missing| vec![sheet_error(1, format!("no column {}", missing.join(", ")))])?;

        let texts: BTreeSet<String> = items.values().map(|item| bare(&item.path.text)).collect();
        let mut ratings = BTreeMap::new();
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        let mut errors = Vec::new();
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    errors.push(sheet_error(line, error.to_string()));
                    continue;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let id = cell(&record, columns.item);
            let Some(item) = items.get(id) else {
                let what = format!("item `{id}` is not among the {} of this stage", items.len());
                errors.push(sheet_error(line, what));
                continue;
            };
            if let Some(first) = lines.insert(id.to_owned(), line) {
                let what = format!("item `{id}` again; it is on line {first} already");
                errors.push(sheet_error(line, what));
                continue;
            }
            if let Some(path) = columns.path {
                let found = bare(restored(cell(&record, path)));
                // A text that an editor altered is let pass; another item's beside this id tells of shifted ratings.
                if found != bare(&item.path.text) && texts.contains(&found) {
                    let what = format!(
                        "the path beside item `{id}` is another item's; sort whole rows, not one column"
                    );
                    errors.push(sheet_error(line, what));
                }
            }
            let mut rating = Rating::default();
            let mut missing = Vec::new();
            for ((name, column), score) in CRITERIA
                .iter()
                .zip(columns.criteria)
                .zip(&mut rating.scores)
            {
                match given(cell(&record, column)) {
                    Ok(None) => missing.push(format!("`{name}`")),
                    Ok(found) => *score = found,
                    Err(found) => errors.push(sheet_error(
                        line,
                        format!(
                            "`{name}` is `{found}`, expected a whole number from 0 to {HIGHEST}"
                        ),
                    )),
                }
            }
            if !(missing.is_empty() || partial) {
                let what = format!("item `{id}` has no {}", missing.join(", "));
                errors.push(sheet_error(line, what));
            }
            if let Some(comment) = columns.comment {
                restored(cell(&record, comment)).clone_into(&mut rating.comment);
            }
            ratings.insert(id.to_owned(), rating);
        }
        if ratings.is_empty() && errors.is_empty() {
            errors.push(sheet_error(1, "no items".into()));
        }
        if errors.is_empty() {
            Ok(Self {
                rater: rater.to_owned(),
                ratings,
            })
        } else {
            Err(errors)
        }
    }
}

/// Where the columns are.
struct Columns {
    item: usize,
    path: Option<usize>,
    criteria: [usize; CRITERIA.len()],
    comment: Option<usize>,
}

impl Columns {
    /// Finds them; else the names of those that are missing.
    fn of(header: &csv::StringRecord) -> Result<Self, Vec<String>> {
        let find = |name: &str| {
            header
                .iter()
                .position(|cell| cell.trim().eq_ignore_ascii_case(name))
        };
        let missing: Vec<String> = ["item"]
            .into_iter()
            .chain(CRITERIA)
            .filter(|name| find(name).is_none())
            .map(|name| format!("`{name}`"))
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let there = |name: &str| find(name).expect("checked above");
        Ok(Self {
            item: there("item"),
            path: find("path"),
            criteria: CRITERIA.map(there),
            comment: find("comment"),
        })
    }
}

/// A row's cell; one that the row is too short for is empty.
fn cell(record: &csv::StringRecord, column: usize) -> &str {
    record.get(column).unwrap_or("").trim()
}

/// The rating in a cell; the cell where it is none.
fn given(cell: &str) -> Result<Option<u8>, &str> {
    if cell.is_empty() {
        return Ok(None);
    }
    match cell.parse() {
        Ok(rating) if rating <= HIGHEST => Ok(Some(rating)),
        _ => Err(cell),
    }
}

/// What stands between the cells of a sheet: whatever its first line, blank ones aside, has most of.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    // Spreadsheets write `;` where the comma parts decimals. `max_by_key` takes the last of equals: the comma.
    let rivals = [b'\t', b';', b','];
    rivals.into_iter().max_by_key(count).unwrap_or(b',')
}

/// A text as far as spreadsheets leave it alone: without white space, control characters written out.
fn bare(text: &str) -> String {
    let shown = neutralised(text);
    restored(&shown).split_whitespace().collect()
}
