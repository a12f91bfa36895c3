//! The equations that a text calculates.

use std::sync::LazyLock;

use regex::Regex;

/// A calculation and its result, or a chain of them (`2 + 3 + 4 = 5 + 4 = 9`).
static EQUATION: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"[-−]?[(\s$]*\d+(?:,\d{3})*(?:\.\d+)?[)%\s]*";
    let sign = r"(?:[-+*/×÷·−–x(]|\\times|\\cdot|\\div)\s*";
    let side = format!("{number}(?:{sign}{number})*");
    let pattern = format!(r"{side}(?:=\s*{side})+");
    Regex::new(&pattern).expect("the pattern is valid")
});

/// What makes a side a calculation: a sign behind a number.
static CALCULATES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\d)%][-+*/(]").expect("the pattern is valid"));

/// The equations of a text in order, in one spelling; none where it has none. Of a text with calculator marks
/// (`<<3*4=12>>`, GSM8K) those in the marks.
pub(super) fn equations(text: &str) -> Option<String> {
    let marked: Vec<&str> = text
        .split("<<")
        .skip(1)
        .filter_map(|part| Some(part.split_once(">>")?.0))
        .collect();
    let found: Vec<String> = if marked.is_empty() {
        let found = EQUATION.find_iter(text);
        found
            .map(|found| spelled(found.as_str()))
            .filter(|equation| CALCULATES.is_match(equation))
            .collect()
    } else {
        let marked = marked.into_iter().filter(|mark| mark.contains('='));
        marked.map(spelled).collect()
    };
    (!found.is_empty()).then(|| found.join("; "))
}

/// Without blanks, currency and grouping of thousands, with one sign for each operation.
fn spelled(equation: &str) -> String {
    let plain = equation
        .replace("\\times", "*")
        .replace("\\cdot", "*")
        .replace("\\div", "/");
    plain
        .chars()
        .filter(|c| !(c.is_whitespace() || matches!(c, '$' | ',')))
        .map(|c| match c {
            '×' | '·' | 'x' => '*',
            '÷' => '/',
            '−' | '–' => '-',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_read_in_any_spelling() {
        for (text, found) in [
            (
                "He has 3 * 4 = 12 apples. 12-5 = 7.",
                Some("3*4=12; 12-5=7"),
            ),
            (
                "He has 3×4=12 apples, and 12 − 5=7 left",
                Some("3*4=12; 12-5=7"),
            ),
            ("It costs $1,200 + $30 = $1,230, so", Some("1200+30=1230")),
            ("That is 3*4=<<3*4=12>>12 of them", Some("3*4=12")),
            ("(2 + 3) x 4 = 20", Some("(2+3)*4=20")),
            ("2(3 + 4) = 14", Some("2(3+4)=14")),
            (r"so $3 \times 4 = 12$ of them", Some("3*4=12")),
            ("2 + 3 + 4 = 5 + 4 = 9", Some("2+3+4=5+4=9")),
            ("In 2020 12 - 5 = 7 were left", Some("12-5=7")),
            ("20% * 50 = 10", Some("20%*50=10")),
            ("3 * -4 = -12", Some("3*-4=-12")),
            ("No numbers =  here", None),
            ("x = 5 is no calculation", None),
            ("It is 5 = 5", None),
            ("cout << x >> y", None),
            ("", None),
        ] {
            assert_eq!(equations(text).as_deref(), found, "{text}");
        }
    }
}
