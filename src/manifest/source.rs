//! Where a value came from: a file or a command-line argument, and a byte span in its text.
//!
//! In: paths. Out: texts that every later message can quote. Origins share their source by
//! reference count, so that a value keeps its origin through merging and a diagnostic needs
//! nothing else to be rendered.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::error::Diagnostic;
use super::nearest::nearest;
use crate::input::{decoded, looks_like_json};

/// A text that values come from.
#[derive(PartialEq, Eq, Debug)]
pub struct Source {
    /// The path as messages show it, or the argument, for example `--set #1`.
    pub name: String,
    /// All of it.
    pub text: String,
    /// Its place in the order in which messages are listed.
    pub rank: usize,
}

/// Bytes of a manifest at most (ours): some hundred thousand stages.
const MOST_BYTES: u64 = 64 << 20;

/// The rank of the first command-line argument: arguments are listed after every file.
pub(super) const ARGUMENTS: usize = 1 << 20;

impl Source {
    /// Whether it is a command-line argument.
    pub fn is_argument(&self) -> bool {
        self.rank >= ARGUMENTS
    }
}

/// A span of bytes in a source.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The text.
    pub source: Arc<Source>,
    /// Bytes in it; within the text and at character boundaries.
    pub span: Range<usize>,
}

impl Origin {
    /// A span of `source`, moved to character boundaries within the text.
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let text = &source.text;
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end).max(start);
        Self {
            source: Arc::clone(source),
            span: start..end,
        }
    }

    /// Line and column, both from 1, the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// What messages are sorted by.
    pub(super) fn order(&self) -> (usize, usize, usize) {
        (self.source.rank, self.span.start, self.span.end)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// Reads a TOML file. `asked_at` is where another file named it.
pub(super) fn read(
    path: &Path,
    rank: usize,
    asked_at: Option<&Origin>,
) -> Result<Arc<Source>, Box<Diagnostic>> {
    let complain = |message: String, hint: Option<String>| {
        Box::new(Diagnostic {
            origin: asked_at.cloned(),
            hint,
            ..Diagnostic::new(message)
        })
    };
    let name = path.display().to_string();
    if path.is_dir() {
        let hint = match toml_files(path).as_slice() {
            [] => None,
            [only] => Some(format!("did you mean `{}`?", path.join(only).display())),
            files => Some(format!("it holds {}", files.join(", "))),
        };
        return Err(complain(
            format!("`{name}` is a folder, not a manifest"),
            hint,
        ));
    }
    let bytes = read_at_most(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            complain(format!("there is no file `{name}`"), similar_file(path))
        } else {
            complain(format!("cannot read `{name}`: {error}"), None)
        }
    })?;
    let text = decoded(path, bytes).map_err(|error| {
        let place = error.at.map(|(line, column)| format!(":{line}:{column}"));
        let place = place.unwrap_or_default();
        complain(format!("`{name}`{place}: {}", error.what), error.hint)
    })?;
    if looks_like_json(&text) {
        return Err(complain(
            format!("`{name}` holds JSON, where a manifest in TOML is expected"),
            Some(format!(
                "a manifest names its data: `[data]` with `dataset = \"jsonl\"` and `path = \"{name}\"`"
            )),
        ));
    }
    Ok(Arc::new(Source { name, text, rank }))
}

/// All of a file, which may be a pipe: a program may write the manifest.
fn read_at_most(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        let message = format!("it has more than {MOST_BYTES} bytes, so it is no manifest");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(bytes)
}

fn similar_file(path: &Path) -> Option<String> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return None,
    };
    if !folder.is_dir() {
        return Some(format!(
            "the folder `{}` does not exist either",
            folder.display()
        ));
    }
    let files = toml_files(folder);
    let wanted = path.file_name()?.to_string_lossy();
    let found = nearest(&wanted, files.iter().map(String::as_str))?;
    Some(format!(
        "did you mean `{}`?",
        path.with_file_name(found).display()
    ))
}

/// The names of the TOML files in a folder, sorted.
fn toml_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    names.sort_unstable();
    names
}
