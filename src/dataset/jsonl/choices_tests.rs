//! Choices and answers in all their forms, and what is told of the rest.

use serde_json::Value;

use super::choices::{Choices, Given};
use crate::dataset::AnswerIs;
use crate::input::{InputError, JsonLines};

/// The texts of the choices and the letter of the answer, or what is told, without the place of the row.
fn read(choices: &str, answer: &str, wanted: AnswerIs) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    let line = format!(r#"{{"choices": {choices}, "answer": {answer}}}"#);
    std::fs::write(&path, &line).unwrap();
    let lines = JsonLines::open(&path).unwrap();
    let row = lines.rows().next().unwrap();
    let value = |text| serde_json::from_str::<Value>(text).unwrap();
    let raw = value(answer);
    let given = Given {
        key: "answer",
        raw: &raw.as_str().map_or_else(|| raw.to_string(), str::to_owned),
        is_number: raw.is_number(),
    };
    let read = || {
        let choices = Choices::read(&row, &value(choices), false)?.unwrap();
        let chosen = choices.chosen(&row, &given, wanted)?;
        Ok(choices.named(chosen.place))
    };
    read().map_err(|error: InputError| {
        assert_eq!(error.at.unwrap().0, 1);
        let hint = error.hint.map(|hint| format!(" | {hint}"));
        format!("{}{}", error.what, hint.unwrap_or_default())
    })
}

#[test]
fn choices_and_answers_are_read_in_all_their_forms() {
    let texts = r#"["hive", "sea"]"#;
    let numbered = r#"[{"label": "1", "text": "hive"}, {"label": "2", "text": "sea"}]"#;
    for (choices, answers) in [
        (
            texts,
            &[r#""B""#, r#""(b)""#, r#""b.""#, r#""sea""#, r#""Sea""#, "1"][..],
        ),
        (
            r#"[{"label": "A", "text": "hive"}, {"label": "B", "text": "sea"}]"#,
            &[r#""B""#, r#""sea""#, "1"],
        ),
        (
            r#"{"label": ["A", "B"], "text": ["hive", "sea"]}"#,
            &[r#""B""#, r#""sea""#],
        ),
        (r#"{"A": "hive", "B": "sea"}"#, &[r#""B""#, r#""sea""#]),
        (numbered, &[r#""2""#, "2", r#""sea""#]),
        (
            r#"{"label": [0, 1], "text": ["hive", "sea"]}"#,
            &[r#""1""#, "1"],
        ),
    ] {
        for answer in answers {
            let found = read(choices, answer, AnswerIs::Auto);
            assert_eq!(found.as_deref(), Ok("(B) sea"), "{choices} {answer}");
        }
    }
    for (choices, answer, found) in [
        ("[4, 5, 6]", "5", "(B) 5"),
        ("[4, 5, 6]", r#""5""#, "(B) 5"),
        ("[4, 5, 6]", "1", "(B) 5"),
        ("[0, 1, 2]", "1", "(B) 1"),
        ("[0.5, 1.5]", "1.5", "(B) 1.5"),
        (texts, r#""0""#, "(A) hive"),
        (texts, r#""2""#, "(B) sea"),
        (
            r#"["Z\u00fcrich", "Bern"]"#,
            r#""Zu\u0308rich""#,
            "(A) Z\u{fc}rich",
        ),
    ] {
        let read = read(choices, answer, AnswerIs::Auto);
        assert_eq!(read.as_deref(), Ok(found), "{choices} {answer}");
    }
}

#[test]
fn an_answer_with_two_readings_is_an_error_that_shows_both() {
    let texts = r#"["hive", "sea"]"#;
    for (choices, answer, told) in [
        (
            r#"["3", "2", "1", "0"]"#,
            "3",
            "the answer `3` can be read in 2 ways: as the text of a choice it is (A) 3; as an index, counted from 0 \
             it is (D) 0 | say which beside `dataset`: `answer_is = \"text\"` or `answer_is = \"index\"`",
        ),
        (
            texts,
            r#""1""#,
            "the answer `1` can be read in 2 ways: as an index, counted from 0 it is (B) sea; as a number, counted \
             from 1 it is (A) hive | say which beside `dataset`: `answer_is = \"index\"` or `answer_is = \"label\"`",
        ),
        (
            r#"["B", "A"]"#,
            r#""B""#,
            "the answer `B` can be read in 2 ways: as the text of a choice it is (A) B; as a label it is (B) A \
             | say which beside `dataset`: `answer_is = \"text\"` or `answer_is = \"label\"`",
        ),
    ] {
        let found = read(choices, answer, AnswerIs::Auto);
        assert_eq!(found, Err(told.to_owned()), "{choices} {answer}");
    }
    let digits = r#"["3", "2", "1", "0"]"#;
    for (choices, answer, wanted, found) in [
        (digits, "3", AnswerIs::Text, "(A) 3"),
        (digits, "3", AnswerIs::Index, "(D) 0"),
        (digits, "3", AnswerIs::Label, "(C) 1"),
        (texts, r#""1""#, AnswerIs::Label, "(A) hive"),
        (texts, r#""1""#, AnswerIs::Index, "(B) sea"),
        (r#"["B", "A"]"#, r#""B""#, AnswerIs::Text, "(A) B"),
        (r#"["B", "A"]"#, r#""B""#, AnswerIs::Label, "(B) A"),
    ] {
        let read = read(choices, answer, wanted);
        assert_eq!(read.as_deref(), Ok(found), "{choices} {answer} {wanted:?}");
    }
}

#[test]
fn what_is_wrong_with_choices_is_told() {
    let many: Vec<usize> = (0..27).collect();
    let many = format!("{many:?}");
    for (choices, told) in [
        (
            r#"["x", null]"#,
            "the choice (B) is null, neither text nor a number",
        ),
        (r#"["x", " "]"#, "the choice (B) is empty"),
        (
            r#"["x", "y", "x "]"#,
            "the choices (A) and (C) are both `x`",
        ),
        (
            r#"["x", ["y"]]"#,
            "the choice (B) is a list, neither text nor a number",
        ),
        (
            r#""x, y""#,
            "the choices are the text \"x, y\", where a list is expected",
        ),
        (
            r#"{"label": ["A"], "text": ["x", "y"]}"#,
            "the choices have 1 labels but 2 texts",
        ),
        (
            r#"[{"label": "A", "text": "x"}, "y"]"#,
            "the choice (B) is the text \"y\", without `label` and `text`",
        ),
        (
            r#"[{"label": "B", "text": "x"}, {"label": "A", "text": "y"}]"#,
            "the choices are labelled `B`, `A`",
        ),
        (
            r#"[{"label": "A", "text": "x"}, {"label": "A", "text": "y"}]"#,
            "the choices are labelled `A`, `A`",
        ),
        (&many, "27 choices, but only 26 have a label, A to Z"),
    ] {
        let found = read(choices, r#""x""#, AnswerIs::Auto).unwrap_err();
        assert!(found.starts_with(told), "{choices}: {found}");
    }
    let found = read(r#"["x", "y"]"#, r#""C""#, AnswerIs::Auto).unwrap_err();
    assert!(
        found.starts_with("the answer `C` is not among the choices: (A) x, (B) y | "),
        "{found}"
    );
}
