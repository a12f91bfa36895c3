use super::*;
use crate::text::imitative_complete;

const BOTH: [Reading; 2] = [Reading::Paper, Reading::Standard];

fn ask(question: &str, choices: &[&str]) -> Question {
    Question {
        id: "q-1".into(),
        question: question.into(),
        choices: choices.iter().map(|&c| c.into()).collect(),
        form: if choices.is_empty() {
            AnswerForm::YesNo
        } else {
            AnswerForm::Choice
        },
        answer: "yes".into(),
        rationale: None,
    }
}

#[test]
fn direct_responses() {
    let q = ask("Do bees live in the sea?", &[]);
    for text in [
        " No",
        " No. No. No.",
        "No, bees do not live in the sea.",
        "\nThe answer is no.",
        "So the answer is: \"No\", I think.",
    ] {
        for reading in BOTH {
            assert!(direct_response(&q, text, reading), "{text}");
        }
    }
    for text in [
        "",
        " Bees fly.",
        "No, because they drown.",
        "No. Bees build hives of wax in hollow trees and under roofs.",
        "Nobody knows",
    ] {
        for reading in BOTH {
            assert!(!direct_response(&q, text, reading), "{text}");
        }
    }
    let q = ask("Where do bees live?", &["hive", "open sea"]);
    for text in [
        " (A)",
        " A. hive",
        " a hive.",
        "The answer is (B).",
        "\"(b)\"",
        "Open sea",
        "Answer: (B) open sea",
    ] {
        for reading in BOTH {
            assert!(direct_response(&q, text, reading), "{text}");
        }
    }
    assert!(!direct_response(&q, "hives", Reading::Standard));
}

#[test]
fn direct_responses_of_chat_models() {
    let yes_no = ask("Do bees live in the sea?", &[]);
    let choice = ask("Where do bees live?", &["hive", "open sea"]);
    let number = Question {
        form: AnswerForm::Number,
        ..ask("How many legs has a bee?", &[])
    };
    for (q, text, direct) in [
        (&yes_no, "**No**", true),
        (&yes_no, "\\boxed{no}", true),
        (&yes_no, "<answer>No</answer>", true),
        (&yes_no, "**Final Answer:** No, bees do not.", true),
        (&yes_no, "**No**, because they drown.", false),
        (&choice, "$\\boxed{\\text{(B)}}$", true),
        (&choice, "The correct option is **open sea**.", true),
        (&number, " 6", true),
        (&number, "#### 6", true),
        (&number, "The answer is six legs.", true),
        (&number, "2 * 3 = 6", false),
        (&number, "2 legs a pair, so 3 pairs have 6", false),
    ] {
        assert_eq!(
            direct_response(q, text, Reading::Standard),
            direct,
            "{text}"
        );
    }
}

#[test]
fn options_listed_again() {
    let q = ask("Where do bees live?", &["hive", "open sea", "sea", "mall"]);
    for text in [
        "(A) hive, (B) open sea, (C) sea, (D) mall.",
        "A. hive B. open sea C. sea",
        "(A) (A) (A)",
        "mall, sea or hive.",
    ] {
        assert!(repetitive_options(&q, text), "{text}");
    }
    for text in [
        "(A) hive and (B) open sea",
        "open sea, mall",
        "A mall is no place for a bee, the sea is salty and cold, so it must be the hive.",
        "(A) is where bees store honey and raise their young, (B) is too salty for any insect at all, (C) likewise",
    ] {
        assert!(!repetitive_options(&q, text), "{text}");
    }
}

#[derive(serde::Deserialize)]
struct Labelled {
    question: String,
    choices: Vec<String>,
    text: String,
    labels: Labels,
}

#[derive(serde::Deserialize)]
struct Labels {
    imitative: bool,
    direct: bool,
    options: bool,
}

/// The table in `docs/filters.md` is what the rules do on the labelled paths, to the digit.
#[test]
fn documented_precision_and_recall_are_true() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(root.join("tests/fixtures/labelled_paths.jsonl")).unwrap();
    let rows: Vec<Labelled> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 100);
    let docs = std::fs::read_to_string(root.join("docs/filters.md")).unwrap();
    for reading in BOTH {
        let untold = untold(&rows, reading, &docs);
        assert!(
            untold.is_empty(),
            "docs/filters.md should say, {}:\n{}",
            reading.name(),
            untold.join("\n")
        );
    }
}

/// The rows that `docs` lacks.
fn untold(rows: &[Labelled], reading: Reading, docs: &str) -> Vec<String> {
    let mut results: [Vec<(bool, bool)>; 3] = Default::default();
    for row in rows {
        let choices: Vec<&str> = row.choices.iter().map(String::as_str).collect();
        let q = ask(&row.question, &choices);
        let (text, labels) = (row.text.as_str(), &row.labels);
        let found = [
            (labels.imitative, imitative_complete(text)),
            (labels.direct, direct_response(&q, text, reading)),
            (labels.options, repetitive_options(&q, text)),
        ];
        for (rule, (label, says)) in found.into_iter().enumerate() {
            results[rule].push((label, says));
            if label != says {
                eprintln!("rule {rule}: label {label}, rule {says}: {text:?}");
            }
        }
    }
    let mut untold = Vec::new();
    for (name, pairs) in ["imitative", "direct response", "repetitive options"]
        .iter()
        .zip(&results)
    {
        let count = |want| pairs.iter().filter(|&&pair| pair == want).count();
        let (hit, missed, wrong) = (
            count((true, true)),
            count((true, false)),
            count((false, true)),
        );
        let share = |n: usize, of: usize| n as f64 / of as f64;
        let row = format!(
            "| {name} | {} | {hit} | {wrong} | {missed} | {:.3} | {:.3} |",
            hit + missed,
            share(hit, hit + wrong),
            share(hit, hit + missed),
        );
        if !docs.contains(&row) {
            untold.push(row);
        }
    }
    untold
}

/// Teachers' rationales are reasoning, so whatever a rule finds there is a false alarm; the counts
/// are those that `docs/filters.md` states.
#[test]
fn false_alarms_on_published_rationales() {
    use crate::text::teacher_fixture;
    let (Some(ho), Some(palm)) = (teacher_fixture::rows(), teacher_fixture::palm_rows()) else {
        return;
    };
    let count = |rows: &[(&Question, &str)], reading: Reading| {
        let found = |rule: &dyn Fn(&Question, &str) -> bool| {
            rows.iter().filter(|(q, text)| rule(q, text)).count()
        };
        [
            found(&|_, text| imitative_complete(text)),
            found(&|q, text| direct_response(q, text, reading)),
            found(&repetitive_options),
        ]
    };
    let ho: Vec<_> = ho
        .iter()
        .map(|r| (&r.question, r.reasoning.as_str()))
        .collect();
    let palm: Vec<_> = palm
        .iter()
        .map(|r| (&r.question, r.rationale.as_str()))
        .collect();
    for reading in BOTH {
        assert_eq!(count(&ho, reading), [0, 1, 0]);
        assert_eq!(count(&palm, reading), [0, 0, 19]);
    }
}
