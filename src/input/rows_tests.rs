//! What is read as rows, and how the rest is told.

use std::fs;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

/// The rows of a file with these bytes as (line, JSON), or what is told of it.
fn read(bytes: impl AsRef<[u8]>) -> Result<Vec<(usize, Value)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    fs::write(&path, bytes).unwrap();
    read_json_lines(&path).map_err(|error| {
        let text = error.to_string();
        text.replace(&path.display().to_string(), "d.jsonl")
    })
}

#[test]
fn marks_line_ends_and_blank_lines_are_no_part_of_rows() {
    let (a, b) = (r#"{"a": 1}"#, r#"{"b": "x"}"#);
    let rows = [(1, json!({"a": 1})), (3, json!({"b": "x"}))];
    for text in [
        format!("{a}\n\n{b}\n"),
        format!("\u{feff}{a}\r\n\r\n{b}\r\n"),
        format!("\u{feff}{a}\n \t\n\u{feff} {b} "),
        format!("{a}\r\r{b}\r"),
    ] {
        assert_eq!(read(&text).unwrap(), rows, "{text:?}");
    }
}

#[test]
fn what_is_no_row_is_told_with_its_place() {
    for (text, told) in [
        ("", "d.jsonl: the file has no row\nhint: "),
        ("\n \n", "d.jsonl: the file has no row"),
        (
            "[{\"a\": 1}]",
            "d.jsonl:1:1: a JSON array of rows, where one JSON object a line is expected\n\
             hint: write its objects one a line: jq -c '.[]' d.jsonl",
        ),
        ("\n [\n  {\"a\": 1}\n]", "d.jsonl:2:2: a JSON array of rows"),
        ("[]", "d.jsonl:1:1: a JSON array of rows"),
        (
            "{\"a\": 1}\n[\"a\", 1]",
            "d.jsonl:2:1: the row is a list, `[\"a\", 1]`, where one JSON object a line is expected",
        ),
        ("[\"a\", 1]", "d.jsonl:1:1: the row is a list"),
        ("{}\n\n 3", "d.jsonl:3:2: the row is `3`"),
        (
            "id,question\na,b",
            "d.jsonl:1:1: `id,question` looks like CSV, where one JSON object a line is expected\nhint: convert it: ",
        ),
        (
            "<!DOCTYPE html>",
            "d.jsonl:1:1: `<!DOCTYPE html>` is HTML or XML",
        ),
        ("hello", "d.jsonl:1:1: `hello` is not JSON"),
        (
            "{}\n{\"\u{e9}\": }",
            "d.jsonl:2:7: not JSON: a value is expected here",
        ),
        (
            "{}\n{\"a\": 1",
            "d.jsonl:2:7: not JSON: it ends before it is complete",
        ),
        (
            "{\n \"a\": 1\n}",
            "d.jsonl:1:1: a JSON object over several lines, where one JSON object a line is expected\n\
             hint: write each on one line: jq -c . d.jsonl",
        ),
        (
            "{} {}",
            "d.jsonl:1:4: something follows the end of the value",
        ),
    ] {
        let found = read(text).expect_err(text);
        assert!(found.starts_with(told), "{text:?}: {found}");
    }
}

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    #[expect(dead_code, reason = "it is only read")]
    #[serde(default)]
    count: u32,
}

#[test]
fn what_a_field_is_not_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    for (line, column, what) in [
        (r#"{"count": 1}"#, 12, "the row has no `id`"),
        (r#"{"id": {}}"#, 8, "an object where text is expected"),
        (r#"{"id": []}"#, 8, "a list where text is expected"),
        (r#"{"id": null}"#, 11, "null where text is expected"),
        (
            r#"{"id": 1.5}"#,
            10,
            "the number 1.5 where text is expected",
        ),
        (
            r#"{"id": "", "count": "x"}"#,
            23,
            "the text \"x\" where a whole number is expected",
        ),
        (
            r#"{"id": "", "count": true}"#,
            24,
            "true where a whole number is expected",
        ),
        (
            r#"{"id": "", "count": -1}"#,
            22,
            "the number -1 where a whole number is expected",
        ),
    ] {
        fs::write(&path, line).unwrap();
        let error = read_json_lines::<Row>(&path).expect_err(line);
        assert_eq!(
            (error.at, error.what.as_str()),
            (Some((1, column)), what),
            "{line}"
        );
    }
}

#[test]
fn ids_are_text_or_numbers_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    let id = |line: &str| -> Result<String, InputError> {
        fs::write(&path, line).unwrap();
        let lines = JsonLines::open(&path)?;
        let row = lines.rows().next().unwrap();
        Ok(row.read_with_id::<Row>("id")?.id)
    };
    for (line, found) in [
        (r#"{"id": "a"}"#, "a"),
        (r#"{"id": "1"}"#, "1"),
        (r#"{"id": 1}"#, "1"),
        (
            r#"{ "count" : 3 , "id" : 123456789012345678901 }"#,
            "123456789012345678901",
        ),
        (
            r#"{"id": -123456789012345678902, "x": {"id": 3}}"#,
            "-123456789012345678902",
        ),
        (r#"{"x": ["}", "\"", {"id": 3}], "id": 0.10}"#, "0.1"),
        (r#"{"\u0069d": 7}"#, "7"),
    ] {
        assert_eq!(id(line).unwrap(), found, "{line}");
    }
    for (line, column, what) in [
        (
            r#"{"id": [1]}"#,
            8,
            "`id` is a list, neither text nor a number",
        ),
        (
            r#"{"id": true}"#,
            8,
            "`id` is true, neither text nor a number",
        ),
        (r#"{"id": " "}"#, 8, "`id` is empty"),
        (r#"{"x": 1}"#, 8, "the row has no `id`"),
        (
            r#"{"id": 12, "count": "ééé"}"#,
            25,
            "the text \"ééé\" where a whole number is expected",
        ),
    ] {
        let error = id(line).unwrap_err();
        assert_eq!(
            (error.at, error.what.as_str()),
            (Some((1, column)), what),
            "{line}"
        );
    }
}

#[test]
fn json_is_known_where_something_else_is_expected() {
    for text in ["{\"a\": 1}\n{}", "\n[{\"a\": 1}]", "[\n  {", "{\n"] {
        assert!(looks_like_json(text), "{text}");
    }
    for text in ["[data]\n", "[[x]]", "[\"odd key\"]", "a = {}", "", "# {"] {
        assert!(!looks_like_json(text), "{text}");
    }
}
