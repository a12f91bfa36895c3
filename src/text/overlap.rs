//! Which n-grams of words a text shares with others: how contamination of test data is looked for (Brown et al. 2020,
//! appendix C).
//!
//! Words are what letters and digits join, in the form of [`fold`]: case, Unicode form and punctuation do not count. A
//! text of fewer than n words is one gram as a whole, and so shared only with a text that is the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fold;

/// A word that no indexed text has.
const UNKNOWN: u32 = u32::MAX;

/// The words of `text`, without case, Unicode form and punctuation.
pub fn plain_words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The n-grams of some texts.
pub struct NgramIndex {
    n: usize,
    words: BTreeMap<String, u32>,
    /// Each gram with the first two texts that have it: one may be the text's own.
    grams: BTreeMap<Box<[u32]>, [Option<usize>; 2]>,
}

/// What a text shares with an index.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shared {
    /// N-grams of the text.
    pub grams: usize,
    /// Those of them that stand in an indexed text.
    pub shared: usize,
    /// Where the first of them stands, and its words.
    pub first: Option<(usize, String)>,
}

impl Shared {
    /// The share of the text's n-grams that stand in an indexed text, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.shared as f64 / self.grams.max(1) as f64
    }
}

/// A text that shares n-grams with others.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OverlapRow {
    /// The question that it is, or was written for.
    pub question_id: String,
    /// Its place among the rows, from 0.
    pub row: usize,
    /// The share of its n-grams that stand in the others.
    pub share: f64,
    /// How many do.
    pub shared: usize,
    /// The question where the first of them stands.
    pub with: String,
    /// Its words.
    pub words: String,
}

impl NgramIndex {
    /// The n-grams of `texts`, which are known by their places.
    pub fn new<'t>(n: usize, texts: impl Iterator<Item = &'t str>) -> Self {
        let mut index = Self {
            n: n.max(1),
            words: BTreeMap::new(),
            grams: BTreeMap::new(),
        };
        for (place, text) in texts.enumerate() {
            let mut ids = Vec::new();
            for word in plain_words(text) {
                let next = u32::try_from(index.words.len()).unwrap_or(UNKNOWN);
                ids.push(*index.words.entry(word).or_insert(next));
            }
            for gram in grams(&ids, index.n) {
                let places = index.grams.entry(gram.into()).or_default();
                if places[0].is_none() {
                    places[0] = Some(place);
                } else if places[1].is_none() && places[0] != Some(place) {
                    places[1] = Some(place);
                }
            }
        }
        index
    }

    /// What `text` shares with the indexed texts but for that at the place `own`.
    pub fn shared(&self, text: &str, own: Option<usize>) -> Shared {
        let words = plain_words(text);
        let id = |word: &String| self.words.get(word).copied().unwrap_or(UNKNOWN);
        let ids: Vec<u32> = words.iter().map(id).collect();
        let mut found = Shared::default();
        for (start, gram) in grams(&ids, self.n).enumerate() {
            found.grams += 1;
            let places = self.grams.get(gram).into_iter().flatten().flatten();
            let Some(place) = places.copied().find(|place| Some(*place) != own) else {
                continue;
            };
            found.shared += 1;
            let told = || (place, words[start..start + gram.len()].join(" "));
            found.first.get_or_insert_with(told);
        }
        found
    }
}

/// The n-grams of `words`; of fewer than `n` the whole, of none nothing.
fn grams(words: &[u32], n: usize) -> impl Iterator<Item = &[u32]> {
    words.windows(n.min(words.len()).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_and_punctuation() {
        assert_eq!(
            plain_words(" Do  BEES—fly? (12.5)"),
            ["do", "bees", "fly", "12", "5"]
        );
        assert_eq!(plain_words("\u{ff24}o, ?!"), ["do"]);
    }

    #[test]
    fn shared_grams_are_counted_and_shown() {
        let texts = [
            "Can a bee fly over the sea in winter?",
            "Why?",
            "A bee can fly, said the owl.",
        ];
        let index = NgramIndex::new(4, texts.iter().copied());
        let of = |text: &str| index.shared(text, None);
        assert_eq!(
            of("He asked: can a BEE fly over it?"),
            Shared {
                grams: 5,
                shared: 2,
                first: Some((0, "can a bee fly".into()))
            }
        );
        assert!((of("can a bee fly over it").share() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(of("can a bee swim").shared, 0);
        // Short texts only as a whole.
        assert_eq!(of("why").first, Some((1, "why".into())));
        assert_eq!(
            (of("why not").shared, of("that is why it flies").shared),
            (0, 0)
        );
        assert_eq!((of("").grams, of("").share()), (0, 0.0));
    }

    #[test]
    fn a_texts_own_grams_are_not_shared() {
        let texts = [
            "bees live in hives",
            "owls live in trees",
            "bees live in hives too",
        ];
        let index = NgramIndex::new(3, texts.iter().copied());
        let with = |own| index.shared(texts[0], own).first.map(|(place, _)| place);
        assert_eq!(
            (with(None), with(Some(0)), with(Some(2))),
            (Some(0), Some(2), Some(0))
        );
        assert_eq!(index.shared(texts[1], Some(1)).shared, 0);
    }
}
