//! How much a text repeats itself, counted in tokens (the filter) and in words (the metrics).

use std::collections::BTreeSet;

/// rep-n: `1 - |unique n-grams| / |n-grams|` of token ids; 0 where there are fewer than `n` tokens
/// (or `n` is 0), since nothing is there to repeat.
pub fn rep_n(tokens: &[u32], n: usize) -> f64 {
    if n == 0 || tokens.len() < n {
        return 0.0;
    }
    let unique: BTreeSet<&[u32]> = tokens.windows(n).collect();
    1.0 - unique.len() as f64 / (tokens.len() - n + 1) as f64
}

/// The metrics' Len: white-space separated words.
pub fn word_count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The metrics' Rep: `1 - unique/total` of white-space separated words, case-sensitive,
/// punctuation attached; `None` where there is no word that could be one again. Reproduces the paper's 0.36 for the
/// teacher.
pub fn word_rep(text: &str) -> Option<f64> {
    let total = word_count(text);
    let unique: BTreeSet<&str> = text.split_whitespace().collect();
    (total > 0).then(|| 1.0 - unique.len() as f64 / total as f64)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "quarters and halves are exact")]
mod tests {
    use super::*;

    #[test]
    fn rep_2_counts_bigrams() {
        // 1 2 1 2 1: bigrams 12 21 12 21, two of four unique.
        assert_eq!(rep_n(&[1, 2, 1, 2, 1], 2), 0.5);
        assert_eq!(rep_n(&[1, 2, 3, 4], 2), 0.0);
        assert_eq!(rep_n(&[7, 7, 7, 7], 1), 0.75);
    }

    #[test]
    fn too_short_repeats_nothing() {
        assert_eq!(rep_n(&[], 2), 0.0);
        assert_eq!(rep_n(&[5], 2), 0.0);
        assert_eq!(rep_n(&[5, 5], 0), 0.0);
    }

    #[test]
    fn words_keep_case_and_punctuation() {
        // a, A and a. differ; one of four words comes twice.
        assert_eq!(word_rep("a A\na. a"), Some(0.25));
        assert_eq!(word_count(" one\n\ntwo  three "), 3);
        assert_eq!(word_rep("  "), None);
    }
}
