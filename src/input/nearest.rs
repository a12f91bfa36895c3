//! The nearest valid name, for `hint: did you mean ...?`.

/// A longer name is nobody's slip (ours), and comparing two takes the product of their lengths.
const LONGEST: usize = 200;

/// The candidate most like `name`, if one is near enough to be a slip of the finger: at most a
/// third of its letters differ (at least one, ours), or one begins with the other.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |text: &str| text.chars().count();
    if letters(name) > LONGEST {
        return None;
    }
    let folded = name.to_lowercase().replace('_', "-");
    candidates
        .into_iter()
        .filter(|candidate| letters(candidate) <= LONGEST)
        .filter_map(|candidate| {
            let other = candidate.to_lowercase().replace('_', "-");
            let distance = strsim::damerau_levenshtein(&folded, &other);
            let allowed = (letters(name).max(letters(candidate)) / 3).max(1);
            let prefix = letters(&folded) >= 3 && other.starts_with(&folded)
                || letters(&other) >= 3 && folded.starts_with(&other);
            (distance <= allowed || prefix).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let names = ["min_tokens", "max_tokens", "seed"];
        assert_eq!(nearest("min_token", names), Some("min_tokens"));
        assert_eq!(nearest("min-tokens", names), Some("min_tokens"));
        assert_eq!(nearest("Seed", names), Some("seed"));
        assert_eq!(nearest("esed", names), Some("seed"));
        assert_eq!(nearest("temperature", names), None);
        assert_eq!(nearest("", names), None);
    }
}
