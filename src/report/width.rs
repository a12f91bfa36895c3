//! How wide what a person reads may be: tables and paragraphs that fit a terminal.

use comfy_table::{ContentArrangement, Table, presets};

/// Fewer columns than this hold no table (ours): what is narrower is laid out for so many.
const LEAST: u16 = 20;

/// The columns that a text may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Width(Option<u16>);

impl Width {
    /// As many as the text has: for files and for other programs.
    pub(crate) const FREE: Self = Self(None);

    /// So many.
    pub(crate) fn of(columns: u16) -> Self {
        Self(Some(columns.max(LEAST)))
    }

    /// How many, where there is a limit.
    pub(super) fn columns(self) -> Option<usize> {
        self.0.map(usize::from)
    }

    /// An empty table in the house style, readable without colour, in a log file too: what is too wide for it is wrapped in its cell.
    pub(super) fn table(self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        self.limit(&mut table);
        table
    }

    /// Wraps cells of `table` where it is too wide.
    pub(crate) fn limit(self, table: &mut Table) {
        match self.0 {
            Some(columns) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(columns),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
    }

    /// `name` in a column of so many letters, and `text` beside it in lines that fit, each with its end.
    pub(crate) fn beside(self, name: &str, column: usize, text: &str) -> String {
        let lines = match self.columns() {
            Some(columns) => folded(text, columns.saturating_sub(column + 1).max(1)),
            None => vec![text.to_owned()],
        };
        let mut out = String::new();
        for (line, name) in lines
            .iter()
            .zip(std::iter::once(name).chain(std::iter::repeat("")))
        {
            out += format!("{name:<column$} {line}").trim_end();
            out.push('\n');
        }
        out
    }

    /// A line of text as lines that fit, each with its end.
    pub(super) fn paragraph(self, line: &str) -> String {
        let text = match self.columns() {
            Some(columns) => folded(line, columns).join("\n"),
            None => line.to_owned(),
        };
        text + "\n"
    }
}

/// `line` in pieces of at most `room` letters, at its blanks where it has some.
pub(super) fn folded(line: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut length = 0;
    for word in line.split(' ') {
        let letters: Vec<char> = word.chars().collect();
        for (number, part) in letters.chunks(room).enumerate() {
            let blank = usize::from(number == 0 && length > 0);
            if length + blank + part.len() > room {
                pieces.push(String::new());
                length = 0;
            } else if blank == 1 {
                pieces.last_mut().expect("there is one").push(' ');
                length += 1;
            }
            pieces.last_mut().expect("there is one").extend(part);
            length += part.len();
        }
    }
    pieces
}
