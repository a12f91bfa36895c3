//! Which files of a data set on the hub are which split.
//!
//! A data set says so itself, in the header of its card; where it does not, folders and names do: `main/train-00000-of-00001.parquet`,
//! `default/train/0000.parquet`, `train.jsonl`. Nothing is taken that only looks alike.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::input::{TableForm, nearest};

/// The configuration that is taken where several are there and none is named.
const DEFAULT: &str = "default";

/// What the hub says of a data set at a revision.
#[derive(Deserialize)]
pub(super) struct Listing {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData")]
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Sibling {
    #[serde(rename = "rfilename")]
    name: String,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Card {
    #[serde(default)]
    configs: Vec<Config>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "config_name")]
    name: String,
    #[serde(default)]
    data_files: Value,
    #[serde(default)]
    default: bool,
}

/// A file of a split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SplitFile<'l> {
    /// Its path in the data set.
    pub(super) name: &'l str,
    /// Its SHA-256, where the hub says it.
    pub(super) sha256: Option<&'l str>,
}

/// Why a split has no files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refused {
    /// What is wrong, with its hint.
    pub(super) reason: String,
    /// Whether `config` decides; else the split's name does.
    pub(super) of_config: bool,
}

/// What a split is made of, as far as the data set says it: a name and patterns of files.
type Declared = Vec<(String, Vec<String>)>;

impl Listing {
    /// The commit.
    pub(super) fn commit(&self) -> Option<&str> {
        let is_hex = |text: &&str| {
            text.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        self.sha
            .as_deref()
            .filter(|sha| sha.len() == 40)
            .filter(is_hex)
    }

    /// The files of `split`, in the order of their names. A split with a `/`, a `*` or an ending in its name is a pattern.
    pub(super) fn files(
        &self,
        config: Option<&str>,
        split: &str,
    ) -> Result<Vec<SplitFile<'_>>, Refused> {
        let is_pattern = split.contains(['/', '*', '.']);
        if is_pattern {
            return self.matching(&[split.to_owned()], split);
        }
        let splits = match self.declared(config)? {
            Some(declared) => declared,
            None => self.by_name(config)?,
        };
        if let Some((_, patterns)) = splits.iter().find(|(name, _)| name == split) {
            return self.matching(patterns, split);
        }
        let names: Vec<&str> = splits.iter().map(|(name, _)| name.as_str()).collect();
        let hint = match nearest(split, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "say which to take: splits = { train = \"train\", test = \"validation\" }"
                .to_owned(),
        };
        Err(Refused {
            reason: format!(
                "there is no split `{split}`; there is {}\nhint: {hint}",
                quoted(&names)
            ),
            of_config: false,
        })
    }

    /// The files that one of `patterns` fits: Parquet alone, where there is some.
    fn matching(&self, patterns: &[String], split: &str) -> Result<Vec<SplitFile<'_>>, Refused> {
        let fits = |name: &str| patterns.iter().any(|pattern| fits(pattern, name));
        let mut found: Vec<&Sibling> = self.tables().filter(|file| fits(&file.name)).collect();
        if found.iter().any(|file| has_ending(&file.name, "parquet")) {
            found.retain(|file| has_ending(&file.name, "parquet"));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        if found.is_empty() {
            return Err(Refused {
                reason: format!(
                    "no file of the split `{split}` is there as Parquet, JSON, CSV or TSV\nhint: {}",
                    self.elsewhere()
                ),
                of_config: false,
            });
        }
        Ok(found
            .into_iter()
            .map(|file| SplitFile {
                name: &file.name,
                sha256: file.lfs.as_ref().and_then(|lfs| lfs.sha256.as_deref()),
            })
            .collect())
    }

    /// The splits that the card declares; none where it declares none.
    fn declared(&self, config: Option<&str>) -> Result<Option<Declared>, Refused> {
        let configs = self.card.as_ref().map_or(&[][..], |card| &card.configs);
        let configs: Vec<&Config> = configs.iter().filter(|c| !c.data_files.is_null()).collect();
        if configs.is_empty() {
            return Ok(None);
        }
        let chosen = match (config, &configs[..]) {
            (Some(name), all) => all.iter().find(|config| config.name == name),
            (None, [only]) => Some(only),
            // As the hub's own library: the one that is marked, or the one of that name.
            (None, all) => (all.iter().find(|config| config.default))
                .or_else(|| all.iter().find(|config| config.name == DEFAULT)),
        };
        let Some(chosen) = chosen else {
            let names: Vec<&str> = configs.iter().map(|config| config.name.as_str()).collect();
            return Err(no_config(config, &names));
        };
        Ok(Some(patterns(&chosen.data_files)))
    }

    /// The splits that folders and names say.
    fn by_name(&self, config: Option<&str>) -> Result<Declared, Refused> {
        let mut configs = BTreeSet::new();
        let mut all: Vec<(Option<&str>, &str, &str)> = Vec::new();
        for file in self.tables() {
            let (folder, split) = place(&file.name);
            configs.extend(folder);
            all.push((folder, split, &file.name));
        }
        if all.is_empty() {
            return Err(Refused {
                reason: format!(
                    "the data set has no file as Parquet, JSON, CSV or TSV at this revision\nhint: {}",
                    self.elsewhere()
                ),
                of_config: false,
            });
        }
        let names: Vec<&str> = configs.iter().copied().collect();
        let chosen = match (config, &names[..]) {
            (Some(name), _) if configs.contains(name) => Some(name),
            (Some(_), _) => return Err(no_config(config, &names)),
            (None, []) => None,
            (None, [only]) => Some(*only),
            (None, _) if configs.contains(DEFAULT) => Some(DEFAULT),
            (None, _) => return Err(no_config(None, &names)),
        };
        let mut splits: Declared = Vec::new();
        for (_, split, file) in all.into_iter().filter(|(folder, ..)| *folder == chosen) {
            match splits.iter_mut().find(|(name, _)| name == split) {
                Some((_, files)) => files.push(file.to_owned()),
                None => splits.push((split.to_owned(), vec![file.to_owned()])),
            }
        }
        Ok(splits)
    }

    fn tables(&self) -> impl Iterator<Item = &Sibling> {
        self.siblings.iter().filter(|file| {
            let name = file.name.rsplit('/').next().unwrap_or_default();
            let of_hub = ["dataset_infos.json", "dataset_info.json", "state.json"];
            !name.starts_with('.')
                && !of_hub.contains(&name)
                && TableForm::of(file.name.as_ref()).is_ok()
        })
    }

    /// Where Parquet may be had all the same.
    fn elsewhere(&self) -> String {
        if self
            .siblings
            .iter()
            .any(|file| has_ending(&file.name, "py"))
        {
            "it is made by a program, which is not run; the hub's own Parquet of it may be at revision = \"refs/convert/parquet\"".to_owned()
        } else {
            "name its files: splits = { train = \"data/train-*.parquet\" }".to_owned()
        }
    }
}

fn has_ending(name: &str, ending: &str) -> bool {
    let found = Path::new(name).extension();
    found.is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// Folder and split of a file, by its path: `main/train-00000-of-00001.parquet`, `data/test.csv`, `default/train/0000.parquet`.
fn place(path: &str) -> (Option<&str>, &str) {
    let mut folders: Vec<&str> = path.split('/').collect();
    let name = folders.pop().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let split = if is_number(stem) {
        folders.pop().unwrap_or(stem)
    } else {
        // The number of the part, and of how many; an older name ends in what tells it from others of its content, by 16 digits.
        let is_digest =
            |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let named = stem.rsplit_once('-');
        let named = named.filter(|(head, last)| is_digest(last) && head.contains("-of-"));
        let numbered = named.map_or(stem, |(head, _)| head);
        let shard = numbered.rsplit_once("-of-").filter(|(_, of)| is_number(of));
        let shard = shard
            .and_then(|(head, _)| head.rsplit_once('-'))
            .filter(|(_, part)| is_number(part));
        shard.map_or(stem, |(split, _)| split)
    };
    let folder = folders.pop().filter(|folder| *folder != "data");
    (folder, split)
}

/// What the card's `data_files` says: patterns for each split; without splits all of it is to train on.
fn patterns(data_files: &Value) -> Declared {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(items) => items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    };
    match data_files {
        Value::Array(items) if items.iter().any(Value::is_object) => items
            .iter()
            .filter_map(|item| {
                let split = item.get("split")?.as_str()?.to_owned();
                Some((split, texts(item.get("path")?)))
            })
            .collect(),
        Value::Object(splits) => splits
            .iter()
            .map(|(name, path)| (name.clone(), texts(path)))
            .collect(),
        other => vec![("train".to_owned(), texts(other))],
    }
}

/// Whether a path is of a pattern: `*` stands for what has no `/`, `**` for anything, `?` for one character.
///
/// All places in the pattern to which the path so far may have come are kept at once, so the time is the product of both lengths,
/// whatever a card's author writes.
fn fits(pattern: &str, path: &str) -> bool {
    let pattern = parts(pattern);
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_empty(&pattern, &mut reached);
    for found in path.chars() {
        let mut next = vec![false; reached.len()];
        for (place, part) in pattern.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match part {
                Part::Any => next[place] = true,
                Part::Within if found != '/' => next[place] = true,
                Part::One if found != '/' => next[place + 1] = true,
                Part::Exactly(c) if *c == found => next[place + 1] = true,
                Part::Within | Part::One | Part::Exactly(_) => {}
            }
        }
        skip_empty(&pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// A part of a pattern.
enum Part {
    /// `**`: anything, or nothing.
    Any,
    /// `*`: anything without a `/`, or nothing.
    Within,
    /// `?`
    One,
    Exactly(char),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    loop {
        if let Some(behind) = rest.strip_prefix("**") {
            parts.push(Part::Any);
            // `**/x` is also `x`.
            rest = behind.strip_prefix('/').unwrap_or(behind);
            continue;
        }
        let mut letters = rest.chars();
        match letters.next() {
            None => return parts,
            Some('*') => parts.push(Part::Within),
            Some('?') => parts.push(Part::One),
            Some(c) => parts.push(Part::Exactly(c)),
        }
        rest = letters.as_str();
    }
}

/// Goes on behind what may stand for nothing.
fn skip_empty(pattern: &[Part], reached: &mut [bool]) {
    for (place, part) in pattern.iter().enumerate() {
        if reached[place] && matches!(part, Part::Any | Part::Within) {
            reached[place + 1] = true;
        }
    }
}

fn no_config(wanted: Option<&str>, names: &[&str]) -> Refused {
    let reason = match wanted {
        None => format!(
            "missing: the data set has several; there is {}",
            quoted(names)
        ),
        Some(wanted) => {
            let hint = nearest(wanted, names.iter().copied());
            let hint = hint.map(|near| format!("\nhint: did you mean `{near}`?"));
            format!(
                "there is no configuration `{wanted}`; there is {}{}",
                quoted(names),
                hint.unwrap_or_default()
            )
        }
    };
    Refused {
        reason,
        of_config: true,
    }
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() {
        return "none".to_owned();
    }
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_matched_in_a_time_that_is_bounded() {
        for (pattern, path, is_of_it) in [
            ("data/train-*", "data/train-00000.parquet", true),
            ("data/*", "data/more/train.csv", false),
            ("*.csv", "train.csv", true),
            ("*.csv", "data/train.csv", false),
            ("**/*.csv", "data/more/train.csv", true),
            ("**/*.csv", "train.csv", true),
            ("data/**", "data/more/train.csv", true),
            ("**", "a/b", true),
            ("tr?in.csv", "train.csv", true),
            ("a?b", "a/b", false),
            ("a*b*c", "abxbc", true),
            ("a*b", "abc", false),
            ("", "", true),
            ("*", "", true),
            ("b?r", "b\u{e4}r", true),
        ] {
            assert_eq!(fits(pattern, path), is_of_it, "{pattern} {path}");
        }
        let stars = "*a".repeat(400) + "*b";
        assert!(!fits(&stars, &"a".repeat(4000)));
        assert!(!fits(&stars.replace('*', "**"), &"a".repeat(4000)));
        assert!(fits(&stars, &("a".repeat(4000) + "b")));
    }

    #[test]
    fn names_say_folder_and_split() {
        for (path, said) in [
            (
                "data/train-00000-of-00001-a09b74b3ef9c3b56.parquet",
                (None, "train"),
            ),
            ("data/train-00000-of-00001.parquet", (None, "train")),
            ("main/test-00001-of-00002.parquet", (Some("main"), "test")),
            ("default/train/0000.parquet", (Some("default"), "train")),
            (
                "train-a09b74b3ef9c3b56.csv",
                (None, "train-a09b74b3ef9c3b56"),
            ),
        ] {
            assert_eq!(place(path), said, "{path}");
        }
    }

    #[test]
    fn of_several_configurations_the_one_called_default_is_the_default() {
        let listing = |marked: bool| -> Listing {
            let config = |name: &str, default: bool| {
                serde_json::json!({
                    "config_name": name, "default": default,
                    "data_files": [{ "split": "train", "path": format!("{name}/*") }],
                })
            };
            serde_json::from_value(serde_json::json!({
                "siblings": [{ "rfilename": "default/a.csv" }, { "rfilename": "other/a.csv" }],
                "cardData": { "configs": [config("other", marked), config("default", false)] },
            }))
            .unwrap()
        };
        let taken = |listing: &Listing| listing.files(None, "train").unwrap()[0].name.to_owned();
        assert_eq!(taken(&listing(false)), "default/a.csv");
        assert_eq!(taken(&listing(true)), "other/a.csv");
    }
}
