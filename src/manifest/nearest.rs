//! Hints about names: the nearest one, or all there are.

pub use crate::input::nearest;

/// `did you mean X?` where something is near, else all there is.
pub(super) fn suggest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if candidates.is_empty() {
        return None;
    }
    Some(match nearest(name, candidates.iter().copied()) {
        Some(found) => format!("did you mean `{found}`?"),
        None => format!("{what}: {}", list(candidates)),
    })
}

/// `a`, `b`, `c`; after twelve, how many more.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    let mut shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > SHOWN {
        shown.push(format!("and {} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_told_what_there_is() {
        assert_eq!(
            suggest("zzzzzz", ["a", "b"], "known stages"),
            Some("known stages: `a`, `b`".to_owned())
        );
        assert_eq!(suggest("x", [], "known stages"), None);
    }
}
