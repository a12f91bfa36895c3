//! A manifest and the chain of manifests that it extends, merged into one tree.
//!
//! In: a path. Out: a tree in which the nearest file wins, key by key, without the stages that a file drops of those below
//! it; or every syntax error of the first file that has any.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builtin::{BUILTIN, BUILTINS, Builtin, builtin};
use super::drop;
use super::error::Diagnostic;
use super::nearest::nearest;
use super::source::{Origin, SourceText};
use super::tree::{Node, Table, Tree, parse};
use crate::input::{decoded, looks_like_json};
use crate::stage::Stage;

/// Bytes of a manifest at most (ours): some hundred thousand stages.
const MOST_BYTES: u64 = 64 << 20;

/// Reads the manifest at `path` and what it extends. Also what went with stages that it drops, to be told.
pub(super) fn load(path: &Path, kinds: &[&'static dyn Stage]) -> Loaded {
    let source = read(path, 0, None).map_err(|error| vec![*error])?;
    merged(path, &source, kinds)
}

/// The tree, and what is to be told of it; or what is wrong.
pub(super) type Loaded = Result<(Node, Vec<String>), Vec<Diagnostic>>;

/// Merges `source`, the text of the manifest at `path`, with what it extends.
pub(super) fn merged(
    path: &Path,
    source: &Arc<SourceText>,
    kinds: &[&'static dyn Stage],
) -> Loaded {
    let mut layers: Vec<Node> = Vec::new();
    let mut errors = Vec::new();
    let mut place = Place::File(path.to_owned());
    let mut seen = vec![place.identity()];
    let mut next = Some(Arc::clone(source));
    while let Some(source) = next.take() {
        let mut layer = match parse(&source) {
            Ok(layer) => layer,
            Err(found) => {
                errors.extend(found);
                break;
            }
        };
        let extends = layer
            .as_table_mut()
            .and_then(|table| table.remove("extends"));
        layers.push(layer);
        let Some(extends) = extends.map(|entry| entry.value) else {
            break;
        };
        let Tree::String(base) = &extends.value else {
            errors.push(Diagnostic::at(
                &extends.origin,
                "`extends` must be a string, the path of a manifest relative to this file, or `builtin:NAME`",
            ));
            break;
        };
        place = match place.extended(base, &extends.origin) {
            Ok(place) => place,
            Err(error) => {
                errors.push(*error);
                break;
            }
        };
        let id = place.identity();
        if seen.contains(&id) {
            let message = format!(
                "`extends` leads in a circle: `{}` is already part of this manifest",
                place.name()
            );
            errors.push(Diagnostic::at(&extends.origin, message));
            break;
        }
        seen.push(id);
        match place.read(layers.len(), &extends.origin) {
            Ok(source) => next = Some(source),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut layers = layers.into_iter().rev();
    // What the first one drops it would have to inherit.
    let mut tree = Node {
        value: Tree::Table(Table::default()),
        origin: Origin::new(source, 0..0),
    };
    let mut notes = Vec::new();
    while let Some(mut layer) = layers.next() {
        let note = drop::apply(&mut tree, &mut layer, kinds, &mut errors);
        // What a base does without is what that base is.
        if layers.len() == 0 {
            notes.extend(note);
        }
        tree.merge(layer);
    }
    if errors.is_empty() {
        Ok((tree, notes))
    } else {
        Err(errors)
    }
}

/// Where a manifest is.
enum Place {
    /// In a file.
    File(PathBuf),
    /// In the program.
    Builtin(&'static Builtin),
}

impl Place {
    /// What `base`, written in this manifest at `origin`, names.
    fn extended(&self, base: &str, origin: &Origin) -> Result<Self, Box<Diagnostic>> {
        let named = base.strip_prefix(BUILTIN);
        let name = match (named, self) {
            (Some(name), _) => name,
            (None, Self::File(path)) => {
                return Ok(Self::File(
                    path.parent().unwrap_or(Path::new("")).join(base),
                ));
            }
            (None, Self::Builtin(_)) => base.trim_end_matches(".toml"),
        };
        builtin(name).map(Self::Builtin).ok_or_else(|| {
            let names = || BUILTINS.iter().map(|builtin| builtin.name);
            let all: Vec<String> = names().map(|name| format!("`{BUILTIN}{name}`")).collect();
            let message = format!(
                "there is no `{BUILTIN}{name}`; there are {}",
                all.join(", ")
            );
            let hint = nearest(name, names());
            let hint = hint.map(|found| format!("did you mean `{BUILTIN}{found}`?"));
            Box::new(Diagnostic::at(origin, message).hint(hint))
        })
    }

    /// The same for every way to write the path of one file.
    fn identity(&self) -> PathBuf {
        match self {
            Self::File(path) => path.canonicalize().unwrap_or_else(|_| path.clone()),
            Self::Builtin(_) => self.name().into(),
        }
    }

    /// As messages show it.
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Builtin(builtin) => format!("{BUILTIN}{}", builtin.name),
        }
    }

    /// Its text. `asked_at` is where another manifest named it.
    fn read(&self, rank: usize, asked_at: &Origin) -> Result<Arc<SourceText>, Box<Diagnostic>> {
        match self {
            Self::File(path) => read(path, rank, Some(asked_at)),
            Self::Builtin(builtin) => Ok(Arc::new(SourceText {
                name: self.name(),
                text: builtin.text.to_owned(),
                rank,
            })),
        }
    }
}

/// Reads a TOML file. `asked_at` is where another file named it.
fn read(
    path: &Path,
    rank: usize,
    asked_at: Option<&Origin>,
) -> Result<Arc<SourceText>, Box<Diagnostic>> {
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
            let hint = similar_builtin(path).filter(|_| asked_at.is_some());
            complain(
                format!("there is no file `{name}`"),
                hint.or_else(|| similar_file(path)),
            )
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
    Ok(Arc::new(SourceText { name, text, rank }))
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

/// A copy of a manifest of ours may stand where its base is not.
fn similar_builtin(path: &Path) -> Option<String> {
    let builtin = builtin(path.file_stem()?.to_str()?)?;
    let name = builtin.name;
    Some(format!(
        "`extends = \"{BUILTIN}{name}\"` is part of the program: {}",
        builtin.doc
    ))
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
