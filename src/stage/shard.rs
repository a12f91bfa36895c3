//! A part of a stage's questions.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Part `index`, from 0, of `count`: the questions whose place leaves `index` when it is divided by `count`, so that long and
/// short ones are spread evenly however they are sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// All `count` parts.
    pub fn all(count: u32) -> impl Iterator<Item = Self> {
        (0..count).map(move |index| Self { index, count })
    }

    /// How many parts there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Which one it is, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Those of `items` that are about this part's questions, which count in the order in which they are first seen.
    pub(super) fn part<T>(self, items: Vec<T>, question: impl Fn(&T) -> &str) -> Vec<T> {
        let mut places: BTreeMap<String, u32> = BTreeMap::new();
        let mut is_ours = |item: &T| {
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
            let place = *places.entry(question(item).to_owned()).or_insert(next);
            place % self.count == self.index
        };
        let mut items = items;
        items.retain(|item| is_ours(item));
        items
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// What names no part.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no part of a whole\nhint: i/n is part i, from 0, of n: 0/8 to 7/8")]
pub struct NoShard(String);

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let parts = text.split_once('/');
        let parts =
            parts.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err(NoShard(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = NoShard;

    fn try_from(text: String) -> Result<Self, NoShard> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_whole_and_keep_a_question_together() {
        let paths: Vec<(usize, String)> = (0..50).map(|n| (n, format!("q{}", n % 7))).collect();
        for count in [1, 3, 7, 20] {
            let mut seen = Vec::new();
            let mut of_question: BTreeMap<String, u32> = BTreeMap::new();
            for shard in Shard::all(count) {
                for (n, question) in shard.part(paths.clone(), |path| path.1.as_str()) {
                    assert_eq!(
                        *of_question.entry(question).or_insert(shard.index()),
                        shard.index()
                    );
                    seen.push(n);
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..50).collect::<Vec<_>>(), "{count}");
        }
    }

    #[test]
    fn parts_are_read_as_they_are_written() {
        for shard in Shard::all(3) {
            assert_eq!(shard.to_string().parse(), Ok(shard));
        }
        for wrong in ["", "1", "3/3", "-1/2", "a/b", "0/0", "1/2/3"] {
            assert!(
                wrong
                    .parse::<Shard>()
                    .unwrap_err()
                    .to_string()
                    .contains("0/8 to 7/8"),
                "{wrong}"
            );
        }
    }
}
