//! Words of a closed list, parted by blanks.

/// Whether `word` is one of `list`.
pub(super) fn is_listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|each| each == word)
}

/// Whether every word of `text` is one of `list`, in any case.
pub(super) fn are_listed(list: &str, text: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .all(|word| is_listed(list, &word.to_lowercase()))
}
