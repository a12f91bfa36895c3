//! Rows as people write them, and how those that cannot be read are told.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::dataset::AnswerFormParam;
use crate::text::Question;

/// The questions of a file with this text, or what is told of it.
fn rows(text: &str, params: &DataParams) -> Result<Vec<Question>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    fs::write(&path, text).unwrap();
    match questions(&path, "row", params) {
        Ok(part) => Ok(part.questions),
        Err(error) => Err(error
            .to_string()
            .replace(&path.display().to_string(), "d.jsonl")),
    }
}

fn with_form(answer_form: AnswerFormParam) -> DataParams {
    DataParams {
        answer_form,
        ..DataParams::default()
    }
}

fn answers(text: &str) -> Vec<(AnswerForm, String)> {
    let rows = rows(text, &DataParams::default()).unwrap();
    rows.into_iter().map(|q| (q.form, q.answer)).collect()
}

#[test]
fn forms_are_read_from_the_rows() {
    assert_eq!(
        answers(
            "{\"question\": \"q\", \"answer\": true}\n{\"question\": \"q\", \"answer\": \"No\"}"
        ),
        [
            (AnswerForm::YesNo, "yes".into()),
            (AnswerForm::YesNo, "no".into())
        ]
    );
    assert_eq!(
        answers(
            "{\"question\": \"q\", \"answer\": \"1,234.5\"}\n{\"question\": \"q\", \"answer\": -7}\n\
             {\"question\": \"q\", \"answer\": 123456789012345678901}"
        ),
        [
            (AnswerForm::Number, "1234.5".into()),
            (AnswerForm::Number, "-7".into()),
            (AnswerForm::Number, "123456789012345678901".into())
        ]
    );
    let rows = |answers: &[&str]| -> String {
        let row = |answer: &&str| format!("{{\"question\": \"q\", \"answer\": {answer}}}\n");
        answers.iter().map(row).collect()
    };
    let numbers = [
        ("\"$18\"", "18"),
        ("\"50%\"", "50"),
        ("\".5\"", "0.5"),
        ("\"+3\"", "3"),
        ("\"1e3\"", "1000"),
        ("2.50", "2.5"),
        ("1e20", "100000000000000000000"),
    ];
    assert_eq!(
        answers(&rows(&numbers.map(|(raw, _)| raw))),
        numbers.map(|(_, read)| (AnswerForm::Number, read.to_owned()))
    );
    let texts = ["Seven", "2024-05-01", "5 apples", "C++"];
    assert_eq!(
        answers(&rows(
            &texts
                .map(|text| format!("\"{text}\""))
                .each_ref()
                .map(String::as_str)
        )),
        texts.map(|text| (AnswerForm::Text, text.to_owned()))
    );
    let choice =
        |answer| format!("{{\"question\": \"q\", \"choices\": [\"hive\", \"sea\"], {answer}}}\n");
    let each = [
        r#""answer": "B""#,
        r#""answer": "(b)""#,
        r#""answer": "sea""#,
        r#""answer": "SEA""#,
        r#""answerKey": "B""#,
        r#""answer": null, "answerKey": "B""#,
        r#""answer": "sea", "answerKey": "B""#,
        r#""answer": "Water is there.\n#### B""#,
    ];
    assert_eq!(
        answers(&each.map(choice).concat()),
        [const { AnswerForm::Choice }; 8].map(|form| (form, "B".to_owned()))
    );
    let truth = "{\"question\": \"q\", \"choices\": [true, false], \"answer\": false}\n";
    assert_eq!(answers(truth), [(AnswerForm::Choice, "B".into())]);
    let words = "{\"question\": \"q\", \"options\": [\"no\", \"yes\"], \"answer\": true}\n";
    assert_eq!(answers(words), [(AnswerForm::Choice, "B".into())]);
}

#[test]
fn a_solution_before_its_answer_is_parted_where_that_is_said() {
    let row = r#"{"question": "q", "answer": "Half of 2.\n#### 1"}"#;
    let told = rows(row, &DataParams::default()).unwrap_err();
    assert_eq!(
        told,
        "d.jsonl:1:29: the answer can be read in 2 ways: as a number, it is `1` after `####`, with a solution \
         before it; as free text, it is all of `Half of 2. #### 1`\n\
         hint: say which beside `dataset`: `answer_form = \"number\"` or `answer_form = \"text\"`"
    );
    let read = |form| {
        let rows = rows(row, &with_form(form)).unwrap();
        (rows[0].answer.clone(), rows[0].rationale.clone())
    };
    assert_eq!(
        read(AnswerFormParam::Number),
        ("1".into(), Some("Half of 2.".into()))
    );
    assert_eq!(
        read(AnswerFormParam::Text),
        ("Half of 2.\n#### 1".into(), None)
    );
    // A heading is no answer.
    let heading = r#"{"question": "q", "answer": "As follows.\n#### Part one"}"#;
    assert_eq!(answers(heading)[0].0, AnswerForm::Text);
    let own = r#"{"question": "q", "answer": "x #### 1", "rationale": "y"}"#;
    let own = rows(own, &with_form(AnswerFormParam::Number)).unwrap();
    assert_eq!(own[0].rationale.as_deref(), Some("y"));
}

#[test]
fn what_is_wrong_names_the_place() {
    let good = r#"{"id": 1, "question": "q", "answer": "yes"}"#;
    for (text, told) in [
        (
            format!("{good}\n\n{{\"question\": \"q\"}}"),
            "d.jsonl:3:1: the row has no answer",
        ),
        (
            format!("{good}\n{{\"question\": \"q\", \"answer\": \" \"}}"),
            "d.jsonl:2:29: the row has no answer",
        ),
        (
            format!("{good}\n{{\"question\": \"q\", \"answer\": 3}}"),
            "d.jsonl:2:29: the answer is a number, but yes or no in line 1\nhint: set `answer_form`",
        ),
        (
            format!("{good}\n{good}"),
            "d.jsonl:2:8: the id `1` is used twice, first at 1:8",
        ),
        (
            format!("{good}\n{}", good.replace('1', "\"1\"")),
            "d.jsonl:2:8: the id `1` is used twice, first at 1:8",
        ),
        (
            r#"{"question": "q", "choices": ["x", "y"], "answer": "C"}"#.into(),
            "d.jsonl:1:52: the answer `C` is not among the choices: (A) x, (B) y",
        ),
        (
            r#"{"question": "q", "choices": ["x", "y"], "answer": "A", "answerKey": "B"}"#.into(),
            "d.jsonl:1:52: the answer is (A), but `answerKey` is (B)",
        ),
        (
            r#"{"question": "q", "choices": ["x", null], "answer": "A"}"#.into(),
            "d.jsonl:1:30: the choice (B) is null",
        ),
        (
            r#"{"question": "q", "options": ["x", null], "answer": "A"}"#.into(),
            "d.jsonl:1:30: the choice (B) is null",
        ),
        (
            r#"{"prompt": "p", "answer": "C"}"#.into(),
            "d.jsonl:1:1: the row has no question\nhint: every row needs `question` and `answer`; this one has `prompt`, `answer`",
        ),
        (
            r#"{"question": {"stem": "s"}, "answer": "C"}"#.into(),
            "d.jsonl:1:14: the question is an object, where text is expected",
        ),
        (
            r#"{"question": "q", "answer": ["C"]}"#.into(),
            "d.jsonl:1:29: the answer is a list, neither text nor",
        ),
        (
            r#"{"question": "q", "answer": "..."}"#.into(),
            "d.jsonl:1:29: of the answer `...` nothing is left to compare",
        ),
        (
            r#"["q", null, "C"]"#.into(),
            "d.jsonl:1:1: the row is a list, ",
        ),
    ] {
        let found = rows(&text, &DataParams::default()).unwrap_err();
        assert!(found.starts_with(told), "{text}: {found}");
    }
    let choice = with_form(AnswerFormParam::Choice);
    let told = rows(good, &choice).unwrap_err();
    assert!(
        told.starts_with("d.jsonl:1:1: the row has no choices"),
        "{told}"
    );
}

#[test]
fn a_declared_form_decides() {
    let text =
        "{\"question\": \"q\", \"answer\": \"42\"}\n{\"question\": \"q\", \"answer\": \"many\"}";
    let found = rows(text, &with_form(AnswerFormParam::Text)).unwrap();
    assert!(found.iter().all(|q| q.form == AnswerForm::Text));
    let error = rows(text, &with_form(AnswerFormParam::Number)).unwrap_err();
    assert!(
        error.contains(":2:29: the answer `many` is not a number"),
        "{error}"
    );
}

#[test]
fn numbers_mean_the_same_throughout_a_file() {
    let row = |choices: &str, answer: usize| {
        format!("{{\"question\": \"q\", \"choices\": {choices}, \"answer\": {answer}}}\n")
    };
    let (words, digits) = (r#"["a", "b", "c", "d"]"#, "[7, 8, 9, 10]");
    let mixed = row(words, 1) + &row(digits, 8);
    let told = rows(&mixed, &DataParams::default()).unwrap_err();
    assert_eq!(
        told,
        "d.jsonl:2:55: the answer `8` is the text of a choice, but in line 1 it is an index, counted from 0\n\
         hint: say which is meant beside `dataset`: `answer_is = \"text\"`, \"label\" or \"index\""
    );
    assert_eq!(answers(&(row(digits, 1) + &row(words, 3))).len(), 2);
    // Either way is the same choice.
    assert_eq!(
        answers(&(row("[0, 1, 2]", 1) + &row(digits, 8) + &row("[0, 1]", 1))).len(),
        3
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    let warned = |answers: &[usize]| {
        let text: String = answers.iter().map(|answer| row(words, *answer)).collect();
        fs::write(&path, text).unwrap();
        questions(&path, "row", &DataParams::default())
            .unwrap()
            .warnings
            .pop()
    };
    let twenty: Vec<usize> = (0..20).map(|at| 1 + at % 3).collect();
    assert!(warned(&twenty).unwrap().contains("none of 20 is 0"));
    assert_eq!(warned(&twenty[1..]), None);
    assert_eq!(warned(&[&twenty[..], &[0]].concat()), None);
}

#[test]
fn files_that_are_numbered_alike_have_ids_by_split() {
    let folder = tempfile::tempdir().unwrap();
    let load = |train: &[&str], test: &[&str]| {
        let write = |name: &str, ids: &[&str]| {
            let path = folder.path().join(name);
            let row =
                |id: &&str| format!("{{\"id\": {id}, \"question\": \"q\", \"answer\": \"yes\"}}\n");
            fs::write(&path, ids.iter().map(row).collect::<String>()).unwrap();
            PartPath {
                role: String::new(),
                path,
            }
        };
        let paths = [write("train.jsonl", train), write("test.jsonl", test)];
        let splits = load(&DataParams::default(), &paths).unwrap();
        let ids =
            |part: &[Question]| -> Vec<String> { part.iter().map(|q| q.id.clone()).collect() };
        (ids(&splits.train), ids(&splits.test), splits.notes)
    };
    let (train, test, notes) = load(&["0", "1"], &["0"]);
    assert_eq!(
        (train, test),
        (
            vec!["train-0".into(), "train-1".into()],
            vec!["test-0".into()]
        )
    );
    assert_eq!(
        notes,
        ["both files have a question `0`, so the ids are by split: `train-0`, `test-0`"]
    );
    let (train, test, notes) = load(&["0", "\"a\""], &["2"]);
    assert_eq!(
        (train, test),
        (vec!["0".into(), "a".into()], vec!["2".to_owned()])
    );
    assert!(notes.is_empty());
    // Rows without ids are named by split already.
    let (train, test, _) = load(&["null"], &["null"]);
    assert_eq!(
        (train, test),
        (vec!["train-0000".into()], vec!["test-0000".to_owned()])
    );
}

#[test]
fn one_file_or_two() {
    let with = |path: Option<&str>, train: Option<&str>, test: Option<&str>| {
        own_files::named(&DataParams {
            path: path.map(PathBuf::from),
            train_path: train.map(PathBuf::from),
            test_path: test.map(PathBuf::from),
            ..DataParams::default()
        })
    };
    assert_eq!(with(Some("a"), None, None).unwrap().all().len(), 1);
    assert_eq!(with(None, Some("a"), Some("b")).unwrap().all().len(), 2);
    for (path, train, test) in [
        (None, None, None),
        (Some("a"), Some("b"), None),
        (None, Some("b"), None),
        (None, None, Some("b")),
    ] {
        assert!(with(path, train, test).is_err());
    }
}
