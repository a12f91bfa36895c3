//! Arrays of jobs: which element does what, as a file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::job::{Part, write};
use crate::disk;
use crate::key::{Digest, StageKey};

/// How the names of our arrays begin.
pub(super) const NAME: &str = "sert-run-";

/// What one element of an array does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Element {
    pub(crate) key: StageKey,
    pub(crate) part: Part,
}

/// The elements of an array in their order. Its name is made from them: whoever finds it in the queue finds them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Array(pub(super) Vec<Element>);

impl Array {
    fn text(&self) -> String {
        let mut text = String::new();
        for Element { key, part } in &self.0 {
            let shard = part
                .shard
                .map_or_else(|| "-".to_owned(), |shard| shard.to_string());
            let _ = writeln!(text, "{key} {shard} {} {part}", part.attempt);
        }
        text
    }

    pub(super) fn name(&self) -> String {
        let digest = Digest::of(self.text().as_bytes()).to_string();
        format!("{NAME}{}", &digest[..24])
    }

    /// Where the list of an array lies.
    pub(super) fn path(jobs: &Path, name: &str) -> PathBuf {
        jobs.join("arrays").join(format!("{name}.txt"))
    }

    pub(super) fn save(&self, jobs: &Path) -> std::io::Result<()> {
        write(&Self::path(jobs, &self.name()), self.text().as_bytes())
    }

    /// The elements of all arrays whose lists are no older than `age`.
    pub(super) fn recent(jobs: &Path, age: Duration) -> BTreeSet<Element> {
        let mut recent = BTreeSet::new();
        for entry in std::fs::read_dir(jobs.join("arrays"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|since| since > age));
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".txt"));
            if let (Some(name), false) = (name, is_old) {
                let array = Self::load(jobs, name);
                recent.extend(array.into_iter().flat_map(|array| array.0));
            }
        }
        recent
    }

    /// The array of this name; `None` where its list is not here: it is another run's.
    pub(super) fn load(jobs: &Path, name: &str) -> Option<Self> {
        let bytes = disk::read(&Self::path(jobs, name)).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let elements: Option<Vec<Element>> = text.lines().map(element).collect();
        let array = Self(elements?);
        (array.name() == name).then_some(array)
    }
}

fn element(line: &str) -> Option<Element> {
    let mut words = line.split(' ');
    let key = StageKey(words.next()?.parse().ok()?);
    let shard = match words.next()? {
        "-" => None,
        shard => Some(shard.parse().ok()?),
    };
    let attempt = words.next()?.parse().ok()?;
    Some(Element {
        key,
        part: Part { shard, attempt },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Shard;

    #[test]
    fn an_array_is_found_by_its_name() {
        let jobs = tempfile::tempdir().unwrap();
        let key = StageKey(Digest::of(b"a"));
        let part = |shard, attempt| Part { shard, attempt };
        let mut elements = vec![Element {
            key,
            part: part(None, 2),
        }];
        elements.extend(Shard::all(3).map(|shard| Element {
            key,
            part: part(Some(shard), 1),
        }));
        let array = Array(elements);
        array.save(jobs.path()).unwrap();
        assert_eq!(Array::load(jobs.path(), &array.name()), Some(array.clone()));
        assert_eq!(Array::load(jobs.path(), "sert-run-x"), None);
        std::fs::write(Array::path(jobs.path(), &array.name()), "other").unwrap();
        assert_eq!(Array::load(jobs.path(), &array.name()), None);
    }
}
