use super::*;
use crate::text::{AnswerForm, imitative_complete};

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
        assert!(direct_response(&q, text), "{text}");
    }
    for text in [
        "",
        " Bees fly.",
        "No, because they drown.",
        "No. Bees build hives of wax in hollow trees and under roofs.",
        "Nobody knows",
    ] {
        assert!(!direct_response(&q, text), "{text}");
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
        assert!(direct_response(&q, text), "{text}");
    }
    assert!(!direct_response(&q, "hives"));
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
    let mut judged: [Vec<(bool, bool)>; 3] = Default::default();
    for row in &rows {
        let choices: Vec<&str> = row.choices.iter().map(String::as_str).collect();
        let q = ask(&row.question, &choices);
        let (text, labels) = (row.text.as_str(), &row.labels);
        let found = [
            (labels.imitative, imitative_complete(text)),
            (labels.direct, direct_response(&q, text)),
            (labels.options, repetitive_options(&q, text)),
        ];
        for (rule, (label, says)) in found.into_iter().enumerate() {
            judged[rule].push((label, says));
            if label != says {
                eprintln!("rule {rule}: label {label}, rule {says}: {text:?}");
            }
        }
    }
    let docs = std::fs::read_to_string(root.join("docs/filters.md")).unwrap();
    let mut untold = Vec::new();
    for (name, pairs) in ["imitative", "direct response", "repetitive options"]
        .iter()
        .zip(&judged)
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
    assert!(
        untold.is_empty(),
        "docs/filters.md should say:\n{}",
        untold.join("\n")
    );
}

/// Teachers' rationales are reasoning, so whatever a rule finds there is a false alarm; the counts
/// are those that `docs/filters.md` states.
#[test]
fn false_alarms_on_published_rationales() {
    use crate::text::teacher_fixture;
    let (Some(ho), Some(palm)) = (teacher_fixture::rows(), teacher_fixture::palm_rows()) else {
        return;
    };
    let count = |rows: &[(&Question, &str)]| {
        let found = |rule: fn(&Question, &str) -> bool| {
            rows.iter().filter(|(q, text)| rule(q, text)).count()
        };
        [
            found(|_, text| imitative_complete(text)),
            found(direct_response),
            found(repetitive_options),
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
    assert_eq!(count(&ho), [0, 1, 0]);
    assert_eq!(count(&palm), [0, 0, 19]);
}
