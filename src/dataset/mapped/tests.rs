//! The nine published layouts, mappings by hand, and what is told of tables that cannot be read.
//!
//! The files in tests/fixtures/layouts are made up, in the published columns and types (`make_layouts.py` there); those of
//! `CommonsenseQA` and GSM8K are read from the original files too, where they are at hand.

use std::path::{Path, PathBuf};

use super::*;
use crate::dataset::{DataSource, Splits, load, reference};
use crate::event::CancelToken;
use crate::fetch::{FetchOptions, Fetcher};
use crate::needs::shared;
use crate::text::{AnswerForm, Question};

/// What a manifest with this in its `[data]` reads, with notes and warnings, or what is told.
fn read(data: &str) -> Result<Splits, String> {
    let params: DataParams = toml::from_str(data).map_err(|error| error.to_string())?;
    let fetcher = Fetcher::new(FetchOptions {
        cache_dir: "no-cache".into(),
        mirror: None,
        offline: true,
        hub_endpoint: String::new(),
        cancel: CancelToken::default(),
    });
    let from = DataSource {
        fetcher: &fetcher,
        progress: &|_| {},
    };
    load(&params, &from).map_err(|error| error.to_string())
}

/// All rows of a file, as training questions.
fn rows_of(path: &Path, more: &str) -> Result<Splits, String> {
    read(&format!(
        "dataset = \"file\"\npath = {path:?}\ntest_fraction = 0\n{more}"
    ))
}

fn layout(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layouts");
    folder.join(format!("{name}.parquet"))
}

fn question(i: usize) -> String {
    format!("Where would {i} bees sleep?")
}

fn places(i: usize, n: usize) -> Vec<String> {
    (0..n).map(|k| format!("place {i}-{k}")).collect()
}

fn letter(place: usize) -> String {
    ["A", "B", "C", "D", "E"][place].to_owned()
}

/// Row `i` of a layout, as the script made it.
type Made = fn(usize) -> Question;

fn made(id: String, question: String, form: AnswerForm, answer: String) -> Question {
    Question {
        id,
        question,
        choices: Vec::new(),
        form,
        answer,
        rationale: None,
    }
}

fn with_choices(id: String, question: String, i: usize, n: usize) -> Question {
    Question {
        choices: places(i, n),
        ..made(id, question, AnswerForm::Choice, letter(i % n))
    }
}

fn row(i: usize) -> String {
    format!("row-{i:04}")
}

/// File, the layout that is recognised, the rows.
const MADE: &[(&str, &str, Made)] = &[
    ("arc", "ARC", |i| {
        with_choices(format!("Bees_{i}"), question(i), i, 3 + i % 3)
    }),
    ("openbookqa", "OpenBookQA", |i| {
        with_choices(format!("7-{i}"), format!("{i} bees sleep in"), i, 4)
    }),
    ("commonsenseqa", "CommonsenseQA", |i| {
        with_choices(format!("{i:032x}"), question(i), i, 5)
    }),
    ("boolq", "BoolQ", |i| {
        let asked = format!("Bees -- {i} of them were seen. They slept.\n\ndo {i} bees sleep");
        let answer = if i % 2 == 0 { "yes" } else { "no" };
        made(row(i), asked, AnswerForm::YesNo, answer.to_owned())
    }),
    ("mmlu", "MMLU", |i| with_choices(row(i), question(i), i, 4)),
    ("gsm8k", "GSM8K", |i| {
        let n = 1000 + i;
        let legs = n * 6;
        Question {
            rationale: Some(format!("Each has 6.\n{n}*6 = <<{n}*6={legs}>>{legs} legs.")),
            ..made(
                row(i),
                format!("{n} bees have six legs each. How many legs?"),
                AnswerForm::Number,
                legs.to_string(),
            )
        }
    }),
    ("math", "MATH", |i| {
        let n = i + 1;
        Question {
            rationale: Some(format!(
                "It is $\\boxed{{\\frac{{{n}}}{{7}}}}$, as {n} sevenths are."
            )),
            ..made(
                row(i),
                format!("What is ${n}/7$?"),
                AnswerForm::Text,
                format!("\\frac{{{n}}}{{7}}"),
            )
        }
    }),
    ("math_500", "MATH (with answers)", |i| {
        let n = i + 1;
        Question {
            rationale: Some(format!("It is $\\boxed{{\\frac{{{n}}}{{7}}}}$.")),
            ..made(
                row(i),
                format!("What is ${n}/7$?"),
                AnswerForm::Text,
                format!("\\frac{{{n}}}{{7}}"),
            )
        }
    }),
    ("prompt_completion", "prompt and completion (TRL)", |i| {
        made(
            row(i),
            format!("{i} bees are"),
            AnswerForm::Text,
            format!("{i} bees"),
        )
    }),
    (
        "prompt_completion_chat",
        "prompt and completion (TRL, conversational)",
        |i| {
            made(
                row(i),
                question(i),
                AnswerForm::Text,
                format!("In hive {i}."),
            )
        },
    ),
    ("messages", "chat messages", |i| {
        made(
            row(i),
            question(i),
            AnswerForm::Text,
            format!("In hive {i}."),
        )
    }),
];

#[test]
fn published_layouts_are_recognised_and_read_row_by_row() {
    for (file, name, made) in MADE {
        let splits = rows_of(&layout(file), "").unwrap_or_else(|told| panic!("{file}: {told}"));
        let expected: Vec<Question> = (0..20).map(made).collect();
        assert_eq!(splits.train, expected, "{file}");
        let said = format!("the layout is {name}: columns = {{ question = ");
        assert!(
            splits.notes[0].starts_with(&said),
            "{file}: {:?}",
            splits.notes
        );
        // What is said can be written down, and reads the same.
        let columns = splits.notes[0].split_once(": ").unwrap().1;
        let again = rows_of(&layout(file), columns).unwrap();
        assert_eq!(again.train, expected, "{file}: {columns}");
        assert_eq!(again.notes, <[String; 0]>::default(), "{file}");
    }
    let told = rows_of(&layout("messages"), "").unwrap().notes.join("\n");
    assert!(told.contains("`messages.system`"), "{told}");
}

#[test]
fn calculator_marks_go_where_that_is_declared() {
    let splits = rows_of(&layout("gsm8k"), "calculator = \"drop\"").unwrap();
    assert_eq!(
        splits.train[0].rationale.as_deref(),
        Some("Each has 6.\n1000*6 = 6000 legs.")
    );
}

/// The original files of both splits of a data set are read as its own loader reads them, but for blanks around texts.
fn reads_the_originals(dataset: &str, files: [PathBuf; 2], layout: &str) -> Vec<String> {
    let params = DataParams::default();
    let mut reader = Reader::new(&params);
    let theirs = reference::splits(dataset).unwrap();
    let mut warnings = Vec::new();
    let bare = |text: &str| text.trim().to_owned();
    let read = |q: &Question| {
        let choices: Vec<String> = q.choices.iter().map(|text| bare(text)).collect();
        let rationale = q.rationale.as_deref().map(bare);
        (
            bare(&q.question),
            choices,
            q.form,
            q.answer.clone(),
            rationale,
        )
    };
    for (file, theirs) in files.into_iter().zip([theirs.train, theirs.test]) {
        let ours = reader.questions("row", &[file]).unwrap();
        assert_eq!(ours.questions.len(), theirs.len());
        for (ours, theirs) in ours.questions.iter().zip(&theirs) {
            assert_eq!(read(ours), read(theirs));
        }
        warnings.extend(ours.warnings);
    }
    assert!(reader.notes[0].contains(layout), "{:?}", reader.notes);
    warnings
}

#[test]
fn original_files_are_read_as_their_own_loaders_read_them() {
    let Some(mirror) = shared("mirror/raw.githubusercontent.com") else {
        return;
    };
    let folder = mirror.join("kojima-takeshi188/zero_shot_cot/5ef330fcdeec0cd26aee27943504f91f8ec1c33c/dataset/CommonsenseQA");
    let files = ["train_rand_split.jsonl", "dev_rand_split.jsonl"].map(|name| folder.join(name));
    let layout = "CommonsenseQA (its authors' files)";
    let warnings = reads_the_originals("commonsenseqa", files, layout);
    // The published questions have such choices.
    let alike = "questions have two choices with the same text";
    assert!(
        warnings.iter().any(|warning| warning.contains(alike)),
        "{warnings:?}"
    );

    let folder = mirror.join(
        "openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data",
    );
    let files = ["train.jsonl", "test.jsonl"].map(|name| folder.join(name));
    reads_the_originals("gsm8k", files, "GSM8K");
}

/// What is told of a file with this text.
fn told(name: &str, text: &str, more: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    match rows_of(&path, more) {
        Ok(splits) => panic!("read: {:?}", splits.train),
        Err(told) => told.replace(&path.display().to_string(), name),
    }
}

/// The questions of a file with this text.
fn found(name: &str, text: &str, more: &str) -> Splits {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    rows_of(&path, more).unwrap()
}

#[test]
fn a_mapping_by_hand_takes_nested_columns_lists_and_columns_for_each_choice() {
    let nested = r#"{"q": {"stem": "Which?"}, "options": [{"text": "hive", "key": "A"}, {"text": "sea", "key": "B"}], "gold": "B", "why": "Water."}"#;
    let columns = r#"columns = { question = "q.stem", choices = { text = "options.text", label = "options.key" }, answer = { column = "gold", is = "label" }, rationale = "why" }"#;
    let read = &found("d.jsonl", nested, columns).train[0];
    assert_eq!(
        (read.question.as_str(), read.answer.as_str()),
        ("Which?", "B")
    );
    assert_eq!(
        (read.choices.join(" "), read.rationale.as_deref()),
        ("hive sea".into(), Some("Water."))
    );

    let csv = "q,A,B,C,gold\nWhich?,hive,sea,,1\nWho?,bee,owl,ant,2\n";
    let columns = |is: &str| {
        format!(
            "columns = {{ question = \"q\", choices = [\"A\", \"B\", \"C\"], answer = {{ column = \"gold\", is = \"{is}\" }} }}"
        )
    };
    let answers = |is: &str| -> Vec<String> {
        let read = found("d.csv", csv, &columns(is)).train;
        read.into_iter().map(|q| q.answer).collect()
    };
    assert_eq!(
        (answers("index"), answers("number")),
        (vec!["B".into(), "C".into()], vec!["A".into(), "B".into()])
    );
    // A list in a cell, as JSON; a number as text and with a point.
    let tsv = "q\tchoices\tgold\nWhich?\t[\"hive\", \"sea\"]\tsea\n";
    let columns = r#"columns = { question = "q", choices = "choices", answer = { column = "gold", is = "text" } }"#;
    assert_eq!(found("d.tsv", tsv, columns).train[0].answer, "B");
    let gaps = r#"[{"q": "Which?", "choices": ["hive", "sea"], "gold": 1.0}]"#;
    let columns = r#"columns = { question = "q", choices = "choices", answer = { column = "gold", is = "index" } }"#;
    assert_eq!(found("d.json", gaps, columns).train[0].answer, "B");
    let number = "q,a\nHow many?,Two and two.#### 4\n";
    let columns =
        r#"columns = { question = "q", answer = { column = "a", is = "number", after = '####' } }"#;
    let read = &found("d.csv", number, columns).train[0];
    assert_eq!(
        (read.answer.as_str(), read.rationale.as_deref()),
        ("4", Some("Two and two."))
    );
}

#[test]
fn what_cannot_be_read_is_told_with_file_row_column_and_a_hint() {
    let unknown = told("d.csv", "stem,key,why\nq,1,w\n", "");
    assert_eq!(
        unknown,
        "d.csv: its layout is not a known one, and `columns` does not say which column holds what; it has `stem` (text), \
         `key` (text), `why` (text)\nhint: say so beside `dataset`, for example: columns = { question = \"stem\", answer = \"key\" }"
    );
    let columns = |answer: &str| {
        format!("columns = {{ question = \"q\", choices = \"c\", answer = {answer} }}")
    };
    let label = columns(r#"{ column = "a", is = "label" }"#);
    let index = columns(r#"{ column = "a", is = "index" }"#);
    let row = |a: &str| format!("{{\"q\": \"x\", \"c\": [\"hive\", \"sea\"], \"a\": {a}}}\n");
    let after =
        r#"columns = { question = "q", answer = { column = "a", is = "number", after = '####' } }"#;
    for (name, text, more, what) in [
        (
            "d.jsonl",
            row("\"A\"") + &row("\"F\""),
            &label[..],
            "d.jsonl: row 2 (line 2), `a`: the answer `F` is not among the choices: (A) hive, (B) sea\nhint: ",
        ),
        (
            "d.jsonl",
            row("7"),
            &index,
            "d.jsonl: row 1 (line 1), `a`: the answer `7` is not among the choices",
        ),
        (
            "d.jsonl",
            row("-1"),
            &index,
            "`a`: the answer `-1` is not among the choices",
        ),
        (
            "d.jsonl",
            row("\"one\""),
            &index,
            "`a`: the answer is the text \"one\", where an index, counted from 0, is expected",
        ),
        (
            "d.jsonl",
            row("\"\""),
            &label,
            "d.jsonl: row 1 (line 1), `a`: the answer is missing\nhint: leave such rows out by `bad_rows = \"drop\"`",
        ),
        (
            "d.jsonl",
            row("null"),
            &label,
            "row 1 (line 1), `a`: the answer is missing",
        ),
        (
            "d.jsonl",
            row("1").replace("[\"hive\", \"sea\"]", "null"),
            &index,
            "row 1 (line 1), `c`: the choices are missing",
        ),
        (
            "d.jsonl",
            row("1").replace("\"x\"", "\" \""),
            &index,
            "row 1 (line 1), `q`: the question is missing",
        ),
        (
            "d.jsonl",
            row("1").replace("\"x\"", "[1]"),
            &index,
            "`q`: the question is a list, where text is expected",
        ),
        ("d.jsonl", row("\"1\""), &columns("\"a\""), "can be read in"),
        (
            "d.jsonl",
            row("123456789012345678901"),
            &index,
            "has more digits than a number is read with\nhint: write it as text",
        ),
        (
            "d.csv",
            "q,a\nx,y\n".into(),
            after,
            "row 1 (line 2), `a`: the answer has no `####`",
        ),
        (
            "d.csv",
            "q,a\nx,y####\n".into(),
            after,
            "row 1 (line 2), `a`: nothing stands behind `####`",
        ),
        (
            "d.csv",
            "q,a\nx,y#### z\n".into(),
            after,
            "row 1 (line 2), `a`: the answer `z` is not a number",
        ),
        (
            "d.csv",
            "q,c,a\nx,hive or sea,1\n".into(),
            &index,
            "`c`: the choices are a text, where a list is expected\nhint: in CSV",
        ),
    ] {
        let told = told(name, &text, more);
        assert!(told.contains(what), "{told}\n  expected: {what}");
    }
    let slip = told(
        "d.csv",
        "question_stem,answerKey\nx,y\n",
        r#"columns = { question = "question_stm", answer = "answerKey" }"#,
    );
    assert!(
        slip.ends_with("hint: did you mean `question_stem`?"),
        "{slip}"
    );
    let last = told(
        "d.jsonl",
        r#"{"q": {"stem": "x"}, "a": "y"}"#,
        r#"columns = { question = "stem", answer = "a" }"#,
    );
    assert!(last.ends_with("hint: did you mean `q.stem`?"), "{last}");
    let turns = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#;
    let turns = told("d.jsonl", turns, "");
    assert!(
        turns.contains("a conversation with 2 messages of `user`"),
        "{turns}"
    );
}

#[test]
fn rows_that_are_no_questions_are_left_out_where_that_is_asked_for() {
    let rows = "question,answer\nx,1\ny,\nz,3\n,4\n";
    let splits = found("d.csv", rows, "bad_rows = \"drop\"");
    // Rows keep their numbers, whatever is left out.
    let ids: Vec<&str> = splits.train.iter().map(|q| q.id.as_str()).collect();
    assert_eq!(ids, ["row-0000", "row-0002"]);
    assert!(splits.warnings[0].starts_with(
        "2 of 4 rows are no questions and are left out: row 2 (line 3), `answer`: the answer is missing; row 4 (line 5)"
    ), "{:?}", splits.warnings);
    let none = told("d.csv", "question,answer\nx,\n", "bad_rows = \"drop\"");
    assert!(
        none.contains("the answer is missing") || none.contains("no column"),
        "{none}"
    );
}

#[test]
fn parameters_of_other_datasets_are_refused() {
    for (data, what) in [
        (
            "dataset = \"gsm8k\"\nid = \"openai/gsm8k\"",
            "id: it is of no use to dataset `gsm8k`, but to `hub`",
        ),
        (
            "dataset = \"jsonl\"\npath = \"d.jsonl\"\ncolumns = { question = \"q\", answer = \"a\" }",
            "columns: it is of no use to dataset `jsonl`, but to `file` and `hub`",
        ),
        ("dataset = \"hub\"", "id: missing"),
        (
            "dataset = \"hub\"\nid = \"a/b/c\"",
            "`a/b/c at main` is not a data set",
        ),
        ("dataset = \"file\"", "path: dataset `file` needs a file"),
        (
            "dataset = \"file\"\npath = \"a\"\nvalidation_path = \"b\"",
            "given together with `validation_path`",
        ),
        (
            "columns = { question = \"q\", answer = { colum = \"a\" } }",
            "unknown field `colum`",
        ),
        (
            "columns = { question = \"q\", answer = 1 }",
            "expected a column's name, or a table with `column`",
        ),
    ] {
        let told = read(data).unwrap_err();
        assert!(told.contains(what), "{told}\n  expected: {what}");
    }
}
