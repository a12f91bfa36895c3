//! Which column of a table holds what: recognised, guessed or said, and each told as what it is.

use std::fmt::Write as _;
use std::path::Path;

use crate::cli::exit::Failure;
use crate::dataset::{AnswerColumn, ChoiceColumns, ChoiceLists, Columns, Guess, Look};
use crate::input::nearest;
use crate::text::printable;

/// The fields of `columns`.
pub(super) const FIELDS: [&str; 6] = [
    "question",
    "answer",
    "choices",
    "context",
    "rationale",
    "id",
];
/// Letters of a line of comments (ours).
const WIDTH: usize = 80;

/// Which column holds what.
pub(super) struct Mapping {
    /// How many rows the table has.
    pub(super) rows: usize,
    /// The columns.
    pub(super) columns: Columns,
    layout: Option<&'static str>,
    /// The fields that are guesses, and why.
    pub(super) guesses: Vec<(&'static str, Guess)>,
    /// Fields that the person said.
    said: Vec<&'static str>,
    /// The table's columns, with what is in each.
    pub(super) all: Vec<(String, &'static str)>,
}

impl Mapping {
    /// What `look` found.
    pub(super) fn of(look: Look) -> Self {
        Self {
            rows: look.rows,
            columns: look.columns,
            layout: look.layout,
            guesses: look.guesses,
            said: Vec::new(),
            all: look.all,
        }
    }

    /// Takes `FIELD=COLUMN` of the command line.
    pub(super) fn say(&mut self, text: &str, path: &Path) -> Result<(), Failure> {
        let example = "for example --column question=prompt, or --column choices=A,B,C,D";
        let Some((field, column)) = text.split_once('=') else {
            return Err(Failure::usage(format!(
                "--column takes FIELD=COLUMN, and `{text}` is none\nhint: {example}"
            )));
        };
        let Some(field) = FIELDS.into_iter().find(|known| *known == field) else {
            let hint = nearest(field, FIELDS).map_or(example.to_owned(), |found| {
                format!("did you mean `{found}`?")
            });
            return Err(Failure::usage(format!(
                "--column: there is no field `{field}`; there are {}\nhint: {hint}",
                FIELDS.join(", ")
            )));
        };
        self.set(field, column, path)
    }

    /// Puts a field in a column that the person named.
    pub(super) fn set(
        &mut self,
        field: &'static str,
        column: &str,
        path: &Path,
    ) -> Result<(), Failure> {
        // A column may have a comma in its name; a list has one for each choice.
        let is_one = self.has(column) || field != "choices";
        let named: Vec<&str> = if is_one {
            vec![column]
        } else {
            column.split(',').collect()
        };
        if let Some(stranger) = named.iter().find(|name| !self.has(name)) {
            let names = self.all.iter().map(|(name, _)| name.as_str());
            let hint = nearest(stranger, names.clone()).map_or_else(
                || format!("it has {}", names.collect::<Vec<_>>().join(", ")),
                |found| format!("did you mean `{found}`?"),
            );
            return Err(Failure::usage(format!(
                "{} has no column `{stranger}`\nhint: {hint}",
                path.display()
            )));
        }
        let columns = &mut self.columns;
        let text = column.to_owned();
        match field {
            "question" => columns.question = text,
            "answer" => {
                columns.answer = AnswerColumn {
                    column: text,
                    is: None,
                    after: None,
                }
            }
            "choices" if is_one => {
                columns.choices = Some(ChoiceColumns::Lists(ChoiceLists { text, label: None }));
            }
            "choices" => {
                let each = named.iter().map(|name| (*name).to_owned()).collect();
                columns.choices = Some(ChoiceColumns::Each(each));
            }
            "context" => columns.context = Some(text),
            "rationale" => columns.rationale = Some(text),
            _ => columns.id = Some(text),
        }
        self.guesses.retain(|(guessed, _)| *guessed != field);
        if !self.said.contains(&field) {
            self.said.push(field);
        }
        Ok(())
    }

    fn has(&self, column: &str) -> bool {
        self.all.iter().any(|(name, _)| name == column)
    }

    /// The columns, where the manifest has to say them.
    pub(super) fn declared(&self) -> Option<&Columns> {
        let recognised = self.layout.is_some() && self.said.is_empty();
        (!recognised).then_some(&self.columns)
    }

    /// What the section `[data]` says of them.
    pub(super) fn text(&self) -> String {
        let Some(columns) = self.declared() else {
            let layout = self.layout.unwrap_or_default();
            return format!(
                "# Which column holds what is known by the layout, {layout}:\n# columns = {}\n",
                columns_line(&self.columns)
            );
        };
        let mut text = String::new();
        let listed: Vec<String> = self
            .all
            .iter()
            .map(|(name, holds)| format!("`{}` ({holds})", printable(name)))
            .collect();
        let about = match self.guesses.len() {
            0 => "Which column holds what".to_owned(),
            _ => "Which column holds what: the layout is no known one, so look at what is marked as a guess".to_owned(),
        };
        text += &comment(&format!("{about}. The table has {}.", listed.join(", ")));
        text += "[data.columns]\n";
        for (field, written) in columns.fields() {
            let why = match self.guess(field) {
                Some(guess) => format!("a guess: {}", why(guess)),
                None if self.said.contains(&field) => "as was said".to_owned(),
                None => format!("as in the layout {}", self.layout.unwrap_or_default()),
            };
            let _ = writeln!(text, "{field} = {written} # {why}");
        }
        text
    }

    fn guess(&self, field: &str) -> Option<Guess> {
        let mut guesses = self.guesses.iter();
        Some(guesses.find(|(guessed, _)| *guessed == field)?.1)
    }

    /// What was recognised and how, for the person.
    pub(super) fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(layout) = self.layout {
            told.push(format!(
                "recognised by its columns: the layout is {layout}: {}",
                columns_line(&self.columns)
            ));
        } else {
            told.push("its layout is no known one".to_owned());
        }
        for (field, written) in self.columns.fields() {
            if let Some(guess) = self.guess(field) {
                told.push(format!("  a guess: {field} = {written}: {}", why(guess)));
            }
        }
        if !self.guesses.is_empty() {
            told.push("  another one: --column FIELD=COLUMN, or in the manifest".to_owned());
        }
        told
    }
}

/// The columns on one line, in a comment or for a person.
fn columns_line(columns: &Columns) -> String {
    printable(&columns.written())
}

fn why(guess: Guess) -> &'static str {
    match guess {
        Guess::Named => "a column of this name often holds it",
        Guess::Alike => "its name has a word for it",
        Guess::First => "no name says it; the first column that can hold it",
    }
}

/// How to say which column holds what, after a mapping by which rows cannot be read.
pub(super) fn hint(columns: &Columns) -> String {
    let shown: Vec<String> = columns
        .fields()
        .into_iter()
        .map(|(field, is)| format!("{field} = {is}"))
        .collect();
    format!(
        "hint: read with {}; say it with --column FIELD=COLUMN, of the fields {}",
        shown.join(", "),
        FIELDS.join(", ")
    )
}

/// A comment in lines.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line != "#" {
            lines += &line;
            lines.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}
