//! Which files of a data set on the hub are which split.
//!
//! A data set says so itself, in the header of its card; where it does not, folders and names do: `main/train-00000-of-00001.parquet`,
//! `default/train/0000.parquet`, `train.jsonl`. Nothing is taken that only looks alike.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::input::{TableForm, nearest};

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
            (None, all) => all.iter().find(|config| config.default),
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
            (None, _) if configs.contains("default") => Some("default"),
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
        // The number of the part, and of how many.
        let shard = stem.rsplit_once("-of-").filter(|(_, of)| is_number(of));
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
fn fits(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        return (0..=path.len()).any(|at| path.get(at..).is_some_and(|tail| fits(rest, tail)));
    }
    let mut rest = pattern.chars();
    match rest.next() {
        None => path.is_empty(),
        Some('*') => {
            let end = path.find('/').unwrap_or(path.len());
            (0..=end).any(|at| path.get(at..).is_some_and(|tail| fits(rest.as_str(), tail)))
        }
        Some(c) => {
            let mut of_path = path.chars();
            let same = of_path
                .next()
                .is_some_and(|found| c == found || c == '?' && found != '/');
            same && fits(rest.as_str(), of_path.as_str())
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
