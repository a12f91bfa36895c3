use std::path::Path;
use std::time::{Duration, Instant};

use super::{LONGEST, Match, check, equal, extract};

/// Two answers, where they stand, and what they are.
struct Pair {
    line: usize,
    gold: String,
    given: String,
    label: Match,
}

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn label(name: &str) -> Option<Match> {
    Some(match name {
        "equal" => Match::Equal,
        "different" => Match::Different,
        "unsure" => Match::Unsure,
        _ => return None,
    })
}

/// The labelled pairs.
fn pairs() -> Vec<Pair> {
    let text = text("tests/fixtures/math-pairs.tsv");
    let rows = (1..)
        .zip(text.lines())
        .filter(|(_, row)| !row.starts_with('#'));
    rows.map(|(line, row)| {
        let cells: Vec<&str> = row.split('\t').collect();
        let [gold, given, name] = cells[..] else {
            panic!("line {line} has {} cells", cells.len());
        };
        let label = label(name).unwrap_or_else(|| panic!("line {line}: `{name}` is no label"));
        Pair {
            line,
            gold: gold.to_owned(),
            given: given.to_owned(),
            label,
        }
    })
    .collect()
}

/// What comes out otherwise than it is labelled, each of them unsure: a list, so that a change of any is seen.
const OTHERWISE: [(&str, &str); 10] = [
    (r"\sin^2 x + \cos^2 x", "1"),
    (r"\frac{d}{dx}", r"\frac{1}{x}"),
    ("3!!", "720"),
    (r"\frac{1}{2} \ln 3", r"\ln \sqrt{3}"),
    (r"\sum_{i=1}^{3} i", "6"),
    (r"e^{i\pi}", "-1"),
    (r"e^{\ln 2}", "2"),
    (r"e^{\pi\sqrt{163}}", "262537412640768744"),
    ("x^2=4", r"x=\pm 2"),
    (r"(-\infty,\infty)", r"\mathbb{R}"),
];

/// As many pairs are labelled equal, different and unsure, and as many of each come out so.
const LABELLED: [usize; 3] = [409, 264, 110];
const FOUND: [usize; 3] = [402, 261, 110];

#[test]
fn the_labelled_pairs() {
    let pairs = pairs();
    let kinds = [Match::Equal, Match::Different, Match::Unsure];
    let verdicts: Vec<Match> = pairs
        .iter()
        .map(|pair| equal(&pair.gold, &pair.given))
        .collect();
    let all = || pairs.iter().zip(&verdicts);
    let labelled = kinds.map(|kind| pairs.iter().filter(|pair| pair.label == kind).count());
    let right = kinds.map(|kind| {
        all()
            .filter(|(pair, found)| pair.label == kind && **found == kind)
            .count()
    });
    let said = kinds.map(|kind| verdicts.iter().filter(|found| **found == kind).count());
    for (place, kind) in kinds.iter().enumerate() {
        println!(
            "{kind:?}: {} labelled, {} said, {} of them right: precision {:.4}, recall {:.4}",
            labelled[place],
            said[place],
            right[place],
            right[place] as f64 / said[place] as f64,
            right[place] as f64 / labelled[place] as f64,
        );
    }
    let mut otherwise = Vec::new();
    for (pair, found) in all().filter(|(pair, found)| pair.label != **found) {
        println!(
            "line {}: {:?} for {:?}: {} | {}",
            pair.line, found, pair.label, pair.gold, pair.given
        );
        otherwise.push((pair.gold.as_str(), pair.given.as_str()));
    }
    assert_eq!(otherwise, OTHERWISE);
    assert_eq!(said[0], right[0], "what is said to be equal is");
    assert_eq!(said[1], right[1], "what is said to be different is");
    assert_eq!((labelled, right), (LABELLED, FOUND));
}

#[test]
fn which_comes_first_makes_no_difference_and_everything_is_itself() {
    for Pair {
        line, gold, given, ..
    } in pairs()
    {
        assert_eq!(equal(&gold, &given), equal(&given, &gold), "line {line}");
        for text in [&gold, &given] {
            assert_ne!(equal(text, text), Match::Different, "line {line}");
        }
    }
}

#[test]
fn the_rules_are_what_the_documentation_says() {
    let text = text("docs/verifiers.md");
    let mut rows = 0;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [gold, given, name, _] = cells[..] else {
            continue;
        };
        if let Some(label) = label(name) {
            let [gold, given] = [gold, given].map(|cell| cell.trim_matches('`'));
            assert_eq!(equal(gold, given), label, "{line}");
            rows += 1;
        }
    }
    assert!(rows > 40, "{rows} rows");
    // The figures are those of the test above.
    for (label, count) in ["equal", "different", "unsure"].iter().zip(LABELLED) {
        assert!(
            text.contains(&format!("| {label} | {count} |")),
            "{label}: {count}"
        );
    }
}

#[test]
fn the_declared_answer_is_found() {
    for (output, answer) in [
        ("9 + 9 = 18\n#### 18", Some("18")),
        ("#### Step 2: add\nSo the answer is 18.", Some("18")),
        (
            r"The area is $\boxed{\frac{\sqrt{3}}{2}}$.",
            Some(r"\frac{\sqrt{3}}{2}"),
        ),
        (r"So \boxed{2} or \boxed{3}.", Some("2, 3")),
        (r"So \boxed{2}. Thus \boxed{3}.", Some("3")),
        (r"So the answer is $x = 5$.", Some("$x = 5$")),
        (r"**Final Answer:** $\frac{1}{2}$", Some(r"$\frac{1}{2}$")),
        (
            r"Final Answer: The final answer is $\boxed{(1,2)}$. I hope it is correct.",
            Some("(1,2)"),
        ),
        (r"<think>\boxed{3}</think> The answer is 4.", Some("4")),
        (
            r"The answer is: \[ \frac{1}{2} \]",
            Some(r"\[ \frac{1}{2} \]"),
        ),
        (r"\boxed{5}. So the answer is 5.0.", Some("5")),
        (r"<answer>\{1,2\}</answer>", Some(r"\{1,2\}")),
        ("Answer: 18\nExplanation: 9 + 9", Some("18")),
        ("The answer is:\n- $2$", Some("$2$")),
        ("The answer is:\n\n- 2", Some("\u{2022} 2")),
        ("The answer is:\n- 2\n- 3", Some("2, 3")),
        ("The answer is:\n- Paris", Some("Paris")),
        ("The answer is:\n-2", Some("-2")),
        ("The answer is: - 2", Some("- 2")),
        (r"\boxed{x^{2}+\{1\}}", Some(r"x^{2}+\{1\}")),
        ("The answer is **-3**.", Some("-3")),
        (r"\boxed{18", None),
        (r"\boxed{}", None),
        (r"\boxed{5}. So the answer is 6.", None),
        ("If the answer is 5, then no.", None),
        ("I add them and get 5.", None),
        ("", None),
    ] {
        assert_eq!(extract(output).as_deref(), answer, "{output}");
    }
    assert_eq!(check("0.5", r"So \boxed{\dfrac12}"), Match::Equal);
    assert_eq!(check("0.5", r"So \boxed{2}"), Match::Different);
    assert_eq!(check("0.5", "I do not know."), Match::Unsure);
    // The dash of a list or a minus: nobody knows.
    for gold in ["2", "-2"] {
        assert_eq!(check(gold, "The answer is:\n- 2"), Match::Unsure);
    }
}

#[test]
fn no_text_makes_it_slow_or_wrong() {
    let long = |part: &str| part.repeat(LONGEST / part.len());
    let mut texts: Vec<String> = [
        "{",
        "(",
        "((x+1)^9)^9",
        "\\frac",
        "\\frac{1}{",
        "\\sqrt{",
        "|",
        "½",
        "9",
        "9,",
        "1, ",
        "2^",
        "±1",
        "\\pm 1+",
        "a+b+",
        "$",
        "\\text{",
        "x and ",
        "5 cm ",
        "\\begin{pmatrix}",
        "-",
        "!",
        "e5",
        "\\{1,",
        "10 000 ",
        "in*",
        "\u{221a}",
        "\\log_2 8+",
    ]
    .map(long)
    .into();
    texts.extend(
        [
            "(x+y+z+w+1)^{60}",
            "\\sqrt{99999999999999999999999999999999999999}",
            "9^{9^{9^9}}",
            "60!!!!",
            "\\binom{100000}{50000}",
            "\\binom{4000000000}{2000000000}",
            "100000!",
            "1e999999999",
            "2^{999999999}",
            "0.\\overline{1}^{999999999}",
            "(1+\\sqrt{2}+\\sqrt{3}+\\sqrt{5}+\\sqrt{7})^{64}",
            "\\frac{1}{x+\\frac{1}{x+\\frac{1}{x+\\frac{1}{x+1}}}}^{60}",
        ]
        .map(str::to_owned),
    );
    texts.push("y".repeat(LONGEST + 1));
    texts.push(format!("5 {}in", "in*".repeat(600)));
    for text in &texts {
        let start = Instant::now();
        let itself = equal(text, text);
        let other = equal(text, &format!("1+{text}"));
        // Milliseconds, but for machines that are busy and builds that are not optimised.
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?} for {text}",
            start.elapsed()
        );
        assert_ne!(itself, Match::Different, "{text}");
        assert_ne!(other, Match::Equal, "{text}");
    }
}
