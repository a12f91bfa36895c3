//! What may name a model on the Hub: its names become parts of paths and addresses.

/// Whether a text is a part of a path that means nothing else.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Whether these may be an id and a revision on the Hub.
pub(super) fn is_hub_name(id: &str, revision: &str) -> bool {
    let parts: Vec<&str> = id.split('/').collect();
    parts.len() <= 2 && parts.iter().all(|part| is_plain(part)) && revision.split('/').all(is_plain)
}
