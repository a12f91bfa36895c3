//! Questions that are nearly the same: most of their pairs of neighbouring words are.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::{Question, plain_words};

/// The least share of two questions' pairs of words, those of both together, that both have (Jaccard's similarity; 0.8 is
/// what web corpora are deduplicated by, for example `RefinedWeb`, Penedo et al. 2023).
pub(super) const NEAR: f64 = 0.8;

/// A question that is nearly another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Near {
    /// Its place.
    pub(super) question: usize,
    /// The place of the other.
    pub(super) other: usize,
    /// Their similarity.
    pub(super) similarity: f64,
}

/// Of each of `questions` that is nearly one of `seen` the nearest, the first of several.
pub(super) fn near(questions: &[&Question], seen: &[&Question]) -> Vec<Near> {
    let mut numbers = BTreeMap::new();
    let mut numbered = |question: &&Question| pairs(question, &mut numbers);
    let mut questions: Vec<Vec<usize>> = questions.iter().map(&mut numbered).collect();
    let mut seen: Vec<Vec<usize>> = seen.iter().map(&mut numbered).collect();
    let mut counts = vec![0_usize; numbers.len()];
    for pair in questions.iter().chain(&seen).flatten() {
        counts[*pair] += 1;
    }
    for pairs in questions.iter_mut().chain(&mut seen) {
        pairs.sort_unstable_by_key(|pair| (counts[*pair], *pair));
    }
    // Two that are near share one of each one's rarest pairs, so others are not even compared (Bayardo et al. 2007).
    let mut by_pair: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, pairs) in seen.iter().enumerate() {
        for pair in rarest(pairs) {
            by_pair.entry(*pair).or_default().push(place);
        }
    }
    let mut found = Vec::new();
    for (question, pairs) in questions.iter().enumerate() {
        let others = rarest(pairs).iter().filter_map(|pair| by_pair.get(pair));
        let others: BTreeSet<usize> = others.flatten().copied().collect();
        let own: BTreeSet<usize> = pairs.iter().copied().collect();
        let mut nearest: Option<Near> = None;
        for other in others {
            let both = seen[other].iter().filter(|pair| own.contains(pair)).count();
            let similarity = both as f64 / (own.len() + seen[other].len() - both) as f64;
            if similarity >= NEAR && nearest.is_none_or(|nearest| similarity > nearest.similarity) {
                nearest = Some(Near {
                    question,
                    other,
                    similarity,
                });
            }
        }
        found.extend(nearest);
    }
    found
}

/// As many of `pairs`, which begin with the rarest, as two that are near must share one of.
fn rarest(pairs: &[usize]) -> &[usize] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of pairs"
    )]
    let shared = (pairs.len() as f64 * NEAR - 1e-9).ceil() as usize;
    &pairs[..(pairs.len() + 1 - shared).min(pairs.len())]
}

/// The pairs of neighbouring words of a question and of each of its choices, by number, each once; of a single word the
/// word.
fn pairs(question: &Question, numbers: &mut BTreeMap<(String, String), usize>) -> Vec<usize> {
    let mut found = BTreeSet::new();
    for text in std::iter::once(&question.question).chain(&question.choices) {
        let words = plain_words(text);
        let mut add = |first: &str, second: &str| {
            let next = numbers.len();
            let pair = (first.to_owned(), second.to_owned());
            found.insert(*numbers.entry(pair).or_insert(next));
        };
        if let [only] = words.as_slice() {
            add(only, "");
        }
        for pair in words.windows(2) {
            add(&pair[0], &pair[1]);
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    fn question(words: &str, choices: &[&str]) -> Question {
        Question {
            id: String::new(),
            question: words.into(),
            choices: choices.iter().map(|&text| text.into()).collect(),
            form: AnswerForm::Text,
            answer: String::new(),
            rationale: None,
        }
    }

    /// All pairs compared, one by one.
    fn plainly(questions: &[&Question], seen: &[&Question]) -> Vec<(usize, usize)> {
        let set = |question: &Question| -> BTreeSet<(String, String)> {
            let words = plain_words(&question.question);
            words
                .windows(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect()
        };
        let mut found = Vec::new();
        for (place, one) in questions.iter().enumerate() {
            let mut nearest = (0, NEAR - 1e-9);
            for (other, two) in seen.iter().enumerate() {
                let (one, two) = (set(one), set(two));
                let similarity =
                    one.intersection(&two).count() as f64 / one.union(&two).count() as f64;
                if similarity > nearest.1 {
                    nearest = (other, similarity);
                    found.retain(|(known, _)| *known != place);
                    found.push((place, other));
                }
            }
        }
        found
    }

    #[test]
    fn small_changes_are_near_and_other_names_in_short_questions_are_not() {
        let long = "A farmer has twelve hives with forty bees each and sells five hives at the market in spring; how many bees are left at the end of the day?";
        let seen = [
            question(long, &[]),
            question("Can a robin fly?", &[]),
            question("Which?", &["a hive", "sea"]),
        ];
        let asked = [
            question(&long.replace("market", "fair"), &[]),
            question("can a robin fly", &[]),
            question("Can a sparrow fly?", &[]),
            question("which", &["sea", "A hive!"]),
            question("Which?", &["the hive", "lake"]),
            question("", &[]),
        ];
        let near = near(&asked.each_ref(), &seen.each_ref());
        let places: Vec<_> = near
            .iter()
            .map(|near| (near.question, near.other))
            .collect();
        assert_eq!(places, [(0, 0), (1, 1), (3, 2)]);
        assert!(near[0].similarity > 0.8 && near[0].similarity < 1.0);
    }

    #[test]
    fn the_short_way_finds_what_comparing_all_does() {
        let word = |number: usize| ["bees", "owls", "fly", "swim", "over", "seas"][number % 6];
        let made = |seed: usize| {
            let words: Vec<&str> = (0..12)
                .map(|at| word((seed / 7 + at * at + usize::from(at == seed % 40)) * 5 / 3))
                .collect();
            question(&words.join(" "), &[])
        };
        let (asked, seen): (Vec<_>, Vec<_>) =
            ((0..60).map(made).collect(), (60..160).map(made).collect());
        let (asked, seen): (Vec<_>, Vec<_>) = (asked.iter().collect(), seen.iter().collect());
        let found: Vec<_> = near(&asked, &seen)
            .iter()
            .map(|near| (near.question, near.other))
            .collect();
        assert_eq!(found, plainly(&asked, &seen));
        assert!(!found.is_empty());
    }
}
