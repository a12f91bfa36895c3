//! A file or folder that is not where somebody said.

use std::path::{Component, Path, PathBuf};

use super::nearest;

/// Names that are listed where none is near.
const LISTED: usize = 5;

/// What to say of a file or folder that is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Missing {
    /// That it is not there, and where it was looked for.
    pub what: String,
    /// The nearest name there, or what there is.
    pub hint: Option<String>,
}

/// What to say of `path`, as it was written, which was looked for in `folders` (none for an absolute path, or
/// one that starts where the program does).
pub(crate) fn missing(path: &Path, folders: &[&Path]) -> Missing {
    let here = [Path::new("")];
    let folders = if folders.is_empty() || path.is_absolute() {
        &here[..]
    } else {
        folders
    };
    let mut places: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let whole = folder.join(path);
        let place = absolute(whole.parent().unwrap_or(&whole));
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let named: Vec<String> = places
        .iter()
        .map(|place| {
            let gone = if place.is_dir() {
                ""
            } else {
                ", which does not exist either"
            };
            format!("`{}`{gone}", place.display())
        })
        .collect();
    Missing {
        what: format!(
            "there is no such file or folder: `{}`, looked for in {}",
            path.display(),
            named.join(" and in ")
        ),
        hint: hint(path, &places),
    }
}

/// The nearest name in the first folder that has one, or what the first that is there has.
fn hint(path: &Path, places: &[PathBuf]) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy();
    for place in places {
        let names = names(place);
        if let Some(found) = nearest(&wanted, names.iter().map(String::as_str)) {
            let found = path.with_file_name(found);
            return Some(format!("did you mean `{}`?", found.display()));
        }
    }
    let ending = path.extension();
    let mut alike: Vec<String> = places
        .iter()
        .flat_map(|place| names(place))
        .filter(|name| Path::new(name).extension() == ending)
        .map(|name| format!("`{}`", path.with_file_name(name).display()))
        .collect();
    let more = alike.len().saturating_sub(LISTED);
    alike.truncate(LISTED);
    if more > 0 {
        alike.push(format!("and {more} more"));
    }
    (!alike.is_empty()).then(|| format!("there is {}", alike.join(", ")))
}

/// The names in a folder, sorted; hidden ones are left out.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort_unstable();
    names
}

/// The whole path, without `.` and `..` where these can be taken out by its words alone.
fn absolute(folder: &Path) -> PathBuf {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    if let Ok(found) = folder.canonicalize() {
        return found;
    }
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut plain = PathBuf::new();
    for part in whole.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_with_its_folder_and_the_nearest_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["train.jsonl", "other.jsonl", "notes.md", ".hidden.jsonl"] {
            std::fs::write(root.join(name), "").unwrap();
        }
        std::fs::create_dir(root.join("sub")).unwrap();
        let place = root.display();
        let sub = root.join("sub");
        let told = |path: &str| missing(Path::new(path), &[&root, &sub]);
        let found = told("Train.json");
        assert_eq!(
            found.what,
            format!(
                "there is no such file or folder: `Train.json`, looked for in `{place}` and in `{place}/sub`"
            )
        );
        assert_eq!(found.hint.as_deref(), Some("did you mean `train.jsonl`?"));
        assert_eq!(
            told("zzzzzz.jsonl").hint.as_deref(),
            Some("there is `other.jsonl`, `train.jsonl`")
        );
        assert_eq!(told("zzzzzz.csv").hint, None);
        // A folder that is not there, by a path with dots in it.
        let found = missing(Path::new("sub/../suub/x/d.jsonl"), &[&root]);
        assert!(
            found
                .what
                .ends_with(&format!("`{place}/suub/x`, which does not exist either")),
            "{}",
            found.what
        );
        // A path from the root is looked for there alone.
        let whole = root.join("trian.jsonl");
        let found = missing(&whole, &[&sub]);
        assert!(found.what.ends_with(&format!("looked for in `{place}`")));
        assert_eq!(
            found.hint,
            Some(format!("did you mean `{place}/train.jsonl`?"))
        );
    }
}
