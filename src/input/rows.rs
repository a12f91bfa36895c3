//! Files of JSON lines: one JSON object a line.
//!
//! An array of objects, rows that are lists, CSV and the like are told as such, with what to do; they are not read,
//! so that what a line number means is the same everywhere.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::text::line_column;
use super::words::{noun, sentence};
use super::{InputError, read_text};

/// Characters of a line that a message shows.
const SHOWN: usize = 40;
/// Writes a CSV file as JSON lines.
const FROM_CSV: &str = "import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(open(sys.argv[1], encoding=\"utf-8-sig\"))]";

/// A file of JSON lines.
pub(crate) struct JsonLines {
    path: PathBuf,
    text: String,
}

/// One row: an object, and its place.
#[derive(Clone, Copy)]
pub(crate) struct JsonLine<'f> {
    path: &'f Path,
    /// From 1.
    pub number: usize,
    text: &'f str,
}

impl JsonLines {
    /// Reads a file. A byte order mark, CRLF and blank lines are no part of it.
    ///
    /// # Errors
    /// It cannot be read, is no text, has no row, or has something else than one JSON object a line.
    pub(crate) fn open(path: &Path) -> Result<Self, InputError> {
        let lines = Self::of(path, read_text(path)?)?;
        if lines.rows().next().is_none() {
            let empty = InputError::of_file(path, "the file has no row");
            return Err(empty.hint("one JSON object a line is expected"));
        }
        Ok(lines)
    }

    /// The same of a text that is no file's, such as a program's output, called `path` in messages; it may have no row.
    ///
    /// # Errors
    /// It has something else than one JSON object a line.
    pub(crate) fn of(path: &Path, text: String) -> Result<Self, InputError> {
        let lines = Self {
            path: path.to_owned(),
            text,
        };
        if let Some(row) = lines.rows().find(|row| !row.begins_object()) {
            return Err(lines.no_object(&row));
        }
        Ok(lines)
    }

    /// The rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = JsonLine<'_>> {
        // Files of old Macs end lines with a carriage return alone.
        let end = if self.text.contains('\n') { '\n' } else { '\r' };
        self.text
            .split(end)
            .zip(1..)
            // Files that were put together may each have had a byte order mark.
            .map(|(text, number)| (text.trim_start_matches('\u{feff}'), number))
            .filter(|(text, _)| !text.trim().is_empty())
            .map(|(text, number)| JsonLine {
                path: &self.path,
                number,
                text: text.trim_end(),
            })
    }

    /// What `row` is that is no object.
    fn no_object(&self, row: &JsonLine<'_>) -> InputError {
        let path = self.path.display();
        let first = self.rows().next().filter(JsonLine::begins_object);
        let of_several = first.filter(JsonLine::goes_on);
        if let Some(first) = of_several {
            return first
                .no_object("a JSON object over several lines")
                .hint(format!(
                    "write each on one line: jq -c . {path} > rows.jsonl"
                ));
        }
        let shown: String = row.text.trim().chars().take(SHOWN).collect();
        let is_json = serde_json::from_str::<IgnoredAny>(row.text).is_ok();
        match shown.chars().next() {
            Some('[') if first.is_none() && row.begins_array() => {
                row.no_object("a JSON array of rows").hint(format!(
                    "write its objects one a line: jq -c '.[]' {path} > rows.jsonl"
                ))
            }
            Some('[') => row
                .no_object(&format!("the row is a list, `{shown}`"))
                .hint("name each value: {\"question\": ..., \"answer\": ...}"),
            _ if is_json => row.no_object(&format!("the row is `{shown}`")),
            Some('<') => row
                .no_object(&format!("`{shown}` is HTML or XML"))
                .hint("where it is a page about the file, fetch the file itself (on GitHub: Raw)"),
            _ if first.is_none() && shown.contains([',', '\t', ';']) => row
                .no_object(&format!("`{shown}` looks like CSV"))
                .hint(format!(
                    "convert it: python3 -c '{FROM_CSV}' {path} > rows.jsonl"
                )),
            _ => row.no_object(&format!("`{shown}` is not JSON")),
        }
    }
}

impl JsonLine<'_> {
    /// The row as a `T`.
    ///
    /// # Errors
    /// It is not JSON, or not a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, InputError> {
        serde_json::from_str(self.text).map_err(|error| self.refused(&error, 0..0))
    }

    /// The row as a `T` whose `key` is text, where the row may have a number instead: the number as it is written.
    ///
    /// # Errors
    /// It is not JSON, or not a `T`, or what `key` names is neither text nor a number.
    pub(crate) fn read_with_id<T: DeserializeOwned>(&self, key: &str) -> Result<T, InputError> {
        let id = self.id(key)?;
        let Some((id, place)) = id.zip(self.place(key)) else {
            return self.read();
        };
        let id = Value::from(id).to_string();
        let text = [&self.text[..place.start], &id, &self.text[place.end..]].concat();
        let added = place.start + id.len()..place.end;
        serde_json::from_str(&text).map_err(|error| self.refused(&error, added))
    }

    /// The id under `key`: text, or a number as it is written; none where there is none.
    ///
    /// # Errors
    /// It is something else, or empty.
    pub(crate) fn id(&self, key: &str) -> Result<Option<String>, InputError> {
        let written = self.place(key).map(|place| &self.text[place]);
        match written.and_then(|text| serde_json::from_str(text).ok()) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(id)) if !id.trim().is_empty() => Ok(Some(id)),
            Some(Value::String(_)) => Err(self.wrong_at(key, format!("`{key}` is empty"))),
            Some(Value::Number(number)) => Ok(Some(self.number(key, &number))),
            Some(other) => {
                let what = format!("`{key}` is {}, neither text nor a number", noun(&other));
                Err(self.wrong_at(key, what))
            }
        }
    }

    /// The number under `key` as text: an integer with all the digits that are written, however many.
    pub(crate) fn number(&self, key: &str, number: &serde_json::Number) -> String {
        let written = self.place(key).map(|place| &self.text[place]);
        match written {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') => {
                digits.to_owned()
            }
            _ => number.to_string(),
        }
    }

    /// Something wrong with the row as a whole.
    pub(crate) fn wrong(&self, what: impl Into<String>) -> InputError {
        let blank = self.text.len() - self.text.trim_start().len();
        self.at(blank, what)
    }

    /// Something wrong with what stands under `key`, or with the row where that is absent.
    pub(crate) fn wrong_at(&self, key: &str, what: impl Into<String>) -> InputError {
        match self.place(key) {
            Some(place) => self.at(place.start, what),
            None => self.wrong(what),
        }
    }

    /// `line:column` of what stands under `key`.
    pub(crate) fn place_of(&self, key: &str) -> String {
        let (line, column) = self.wrong_at(key, "").at.unwrap_or((self.number, 1));
        format!("{line}:{column}")
    }

    /// The one of `keys` that the row has; the first where it has none.
    pub(crate) fn which<'k>(&self, keys: &[&'k str]) -> &'k str {
        let has = |key: &&&str| self.place(key).is_some();
        keys.iter().find(has).unwrap_or(&keys[0])
    }

    /// The keys of the row, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.fields().map(|(key, _)| key).collect()
    }

    fn at(&self, byte: usize, what: impl Into<String>) -> InputError {
        let (_, column) = line_column(self.text, byte);
        InputError::at(self.path, self.number, column, what)
    }

    fn begins_object(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }

    /// Whether the value that begins in this line ends in another.
    fn goes_on(&self) -> bool {
        serde_json::from_str::<IgnoredAny>(self.text).is_err_and(|error| error.is_eof())
    }

    fn no_object(&self, what: &str) -> InputError {
        self.wrong(format!("{what}, where one JSON object a line is expected"))
    }

    /// Whether the file, whose first row it is, is one array of objects, or begins as one.
    fn begins_array(&self) -> bool {
        let after = self.text.trim_start().get(1..).unwrap_or_default();
        let next = after.trim_start().chars().next();
        next.is_none_or(|next| next == '{' || next == ']')
    }

    /// What the parser says, in our words. `added` is what was put into the text: from the end of what is there now
    /// to the end of what was there before.
    fn refused(&self, error: &serde_json::Error, added: Range<usize>) -> InputError {
        let mut byte = error.column().saturating_sub(1);
        if byte >= added.start {
            byte = byte - added.start + added.end;
        }
        // Of an object or a list the parser names the place before it.
        let rest = self.text.get(byte..).unwrap_or_default();
        byte += rest.len() - rest.trim_start().len();
        self.at(byte, sentence(error))
    }

    /// Where in the line the value of `key` stands.
    fn place(&self, key: &str) -> Option<Range<usize>> {
        let found = self.fields().find(|(name, _)| name == key);
        found.map(|(_, place)| place)
    }

    /// The fields of the object with the places of their values, as far as it is one.
    fn fields(&self) -> impl Iterator<Item = (String, Range<usize>)> {
        let mut at = self.text.find('{').map_or(self.text.len(), |at| at + 1);
        std::iter::from_fn(move || {
            let (key, value) = field(self.text, at)?;
            at = value.end;
            Some((key, value))
        })
    }
}

/// The next field of an object from `at` on: its key, and the place of its value.
fn field(text: &str, at: usize) -> Option<(String, Range<usize>)> {
    let after = |at: usize, between: &[char]| {
        let rest = &text[at..];
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || between.contains(&c));
        text.len() - rest.len()
    };
    let at = after(at, &[',']);
    let mut keys = serde_json::Deserializer::from_str(&text[at..]).into_iter::<String>();
    let key = keys.next()?.ok()?;
    let start = after(at + keys.byte_offset(), &[':']);
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some((key, start..start + values.byte_offset()))
}

/// One value for each line, each with its line number.
///
/// # Errors
/// As of [`JsonLines::open`], or a line is not such a value.
pub(crate) fn read_json_lines<T: DeserializeOwned>(
    path: &Path,
) -> Result<Vec<(usize, T)>, InputError> {
    let lines = JsonLines::open(path)?;
    lines
        .rows()
        .map(|row| Ok((row.number, row.read()?)))
        .collect()
}

/// The file as one JSON value.
///
/// # Errors
/// It is not such a value.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, InputError> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| {
        let line = text.split('\n').nth(error.line().saturating_sub(1));
        let (_, column) = line_column(line.unwrap_or_default(), error.column().saturating_sub(1));
        InputError::at(path, error.line(), column, sentence(&error))
    })
}

/// Whether a text that should be something else is JSON, or JSON lines.
pub(crate) fn looks_like_json(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or_default().trim();
    first.starts_with('{') || first.starts_with("[{") || first == "["
}
