//! Signs of units, in which the case of a letter may count: `MW` is no `mW`, `Gb` no `GB`.

/// Prefixes of units in the metric system, in lower case.
const PREFIXES: &str = "yzeptgmkhdcnfau\u{3bc}\u{b5}";
/// Prefixes of which the capital is another one.
const CAPITALS: &str = "yzpm";
/// Signs and short names of units behind a prefix, in lower case.
const SIGNS: [&str; 39] = [
    "m", "g", "s", "l", "w", "j", "n", "v", "a", "k", "b", "t", "c", "f", "h", "hz", "pa", "ev",
    "wh", "ah", "mol", "cd", "bar", "ohm", "cal", "bps", "rad", "rem", "sec", "watt", "gray", "sv",
    "bq", "lx", "lm", "wb", "var", "va", "gy",
];

/// `word` in lower case but for letters that would be another unit in the other case.
pub(in crate::verify::math) fn cased(word: &str) -> String {
    let mut chars = word.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let (rest, lower) = (chars.as_str(), word.to_lowercase());
    if rest.is_empty() {
        return word.to_owned();
    }
    let prefix = first.to_lowercase().next().unwrap_or(first);
    let behind = rest.to_lowercase();
    let one = behind.strip_suffix('s').filter(|one| !one.is_empty());
    let is_sign = |text: &str| SIGNS.contains(&text);
    // `6 PM` is a time of day.
    let time = matches!(lower.as_str(), "am" | "pm");
    if time || !PREFIXES.contains(prefix) || !(is_sign(&behind) || one.is_some_and(is_sign)) {
        return lower;
    }
    let kept = if CAPITALS.contains(prefix) {
        first
    } else {
        prefix
    };
    let single = one.unwrap_or(&behind).chars().count() == 1;
    let mut found = kept.to_string();
    found.push_str(if single { rest } else { &behind });
    found
}

#[cfg(test)]
mod tests {
    use super::cased;

    #[test]
    fn case_stays_where_it_counts() {
        for (word, kept) in [
            ("MW", "MW"),
            ("mW", "mW"),
            ("MWs", "MWs"),
            ("GB", "gB"),
            ("Gb", "gb"),
            ("KWH", "kwh"),
            ("kWh", "kwh"),
            ("MHz", "Mhz"),
            ("mbar", "mbar"),
            ("Mbar", "Mbar"),
            ("A", "A"),
            ("Apples", "apples"),
            ("Mice", "mice"),
            ("Marbles", "marbles"),
            ("PEN", "pen"),
            ("PM", "pm"),
            ("", ""),
        ] {
            assert_eq!(cased(word), kept, "{word}");
        }
    }
}
