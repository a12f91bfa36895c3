//! What the schema refuses, and how it is told.

use super::{VALID, load, mistakes, with};

/// Ten mistakes of ten sorts.
const TEN: &str = r#"title = 5
seed = -1
sede = 3

[data]
dataset = "strategyqs"

[student]

[stages.sample]
kind = "sample"
max_new_tokens = 2000

[stages.kept]
kind = "fliter"

[stages.sert]
kind = "finetune"
paths = "sampel"

[stages.answers]
kind = "predict"
model = "sample"

[stages.eval]
kind = "eval"

[tables.results]
rows = []
"#;

/// How they are told.
const TEN_TOLD: &str = r#"error: `title`: the integer 5 where a string is expected
 --> test.toml:1:9
  |
1 | title = 5
  |         ^

error: `seed`: the integer -1 is out of range: it must be at least 0
 --> test.toml:2:8
  |
2 | seed = -1
  |        ^^

error: unknown key `sede`
 --> test.toml:3:1
  |
3 | sede = 3
  | ^^^^
hint: `seed` is there already; remove one of them

error: `data.dataset`: the string "strategyqs" is not one of `strategyqa`, `commonsenseqa`
 --> test.toml:6:11
  |
6 | dataset = "strategyqs"
  |           ^^^^^^^^^^^^
hint: did you mean `strategyqa`?

error: `stages.sample.max_new_tokens`: the integer 2000 is out of range: it must be at least 1 and at most 1024
  --> test.toml:12:18
   |
12 | max_new_tokens = 2000
   |                  ^^^^

error: `stages.kept.kind`: unknown kind `fliter`
  --> test.toml:15:8
   |
15 | kind = "fliter"
   |        ^^^^^^^^
hint: did you mean `filter`?

error: `stages.sert.paths` refers to `sampel`, but there is no stage `sampel`
  --> test.toml:19:9
   |
19 | paths = "sampel"
   |         ^^^^^^^^
hint: did you mean `sample`?

error: `stages.answers.model` accepts model, but `sample` gives paths
  --> test.toml:23:9
   |
23 | model = "sample"
   |         ^^^^^^^^
hint: what gives model: `student`, `sert`

error: `stages.eval`: the key `predictions` is missing
  --> test.toml:25:1
   |
25 | [stages.eval]
   | ^^^^^^^^^^^^^
hint: `predictions` is: Input (predictions): an input

error: `tables.results.rows`: has 0 items, fewer than 1
  --> test.toml:29:8
   |
29 | rows = []
   |        ^^"#;

#[test]
fn ten_mistakes_are_told_at_once() {
    let errors = load(TEN, &[]).unwrap_err();
    assert_eq!(errors.render(false).trim_end(), TEN_TOLD);
}

#[test]
fn colour_is_given_when_asked_only() {
    let errors = load("title = 5", &[]).unwrap_err();
    assert!(errors.render(true).contains("\u{1b}["));
    assert!(!errors.render(false).contains("\u{1b}["));
}

#[test]
fn every_syntax_error_is_told() {
    assert_eq!(
        mistakes("a = \nb = 1\nb = 2\n[c\n", &[]),
        [
            "1:5 not valid TOML: string values must be quoted, expected literal string",
            "3:1 not valid TOML: duplicate key",
            "4:3 not valid TOML: unclosed table, expected `]`",
        ]
    );
}

#[test]
fn a_tagged_table_is_checked_against_its_branch() {
    let teacher = "teacher = { from = \"http\", url = \"http://localhost\" }";
    let told = |value: &str| mistakes(&with(teacher, value), &[]);
    assert_eq!(
        told("teacher = { from = \"http\", ulr = \"x\", timeout_s = 70000 }"),
        [
            "23:11 `stages.sample.teacher`: the key `url` is missing | `url` is: Where.",
            "23:28 unknown key `ulr` in `stages.sample.teacher` | did you mean `url`?",
            "23:51 `stages.sample.teacher.timeout_s`: the integer 70000 is out of range: it must be at least 0 and at most 65535",
        ]
    );
    assert_eq!(
        told("teacher = { from = \"http\", url = \"\" }"),
        ["23:34 `stages.sample.teacher.url`: it is empty"]
    );
    assert_eq!(
        told("teacher = { from = \"htpp\" }"),
        ["23:20 `stages.sample.teacher.from`: unknown from `htpp` | did you mean `http`?"]
    );
    assert_eq!(
        told("teacher = { url = \"x\" }"),
        [
            "23:11 `stages.sample.teacher`: the key `from` is missing | add `from`; accepted: `nobody`, `recorded`, `http`"
        ]
    );
    assert_eq!(told("teacher = \"http\"").len(), 1);
}

#[test]
fn numbers_keep_their_types_and_limits() {
    let told = |value: &str| {
        mistakes(
            &with("temperature = 1 #", &format!("temperature = {value} #")),
            &[],
        )
    };
    assert_eq!(told("0.5"), Vec::<String>::new());
    assert_eq!(
        told("2.5"),
        [
            "22:15 `stages.sample.temperature`: the number 2.5 is out of range: it must be at least 0.0 and at most 2.0"
        ]
    );
    assert_eq!(
        told("nan"),
        ["22:15 `stages.sample.temperature`: the number NaN is not a finite number"]
    );
    assert_eq!(
        told("2024-01-01"),
        [
            "22:15 `stages.sample.temperature`: the date or time 2024-01-01 where a number is expected"
        ]
    );
    assert_eq!(
        mistakes(&with("seed = 7", "seed = 7.0"), &[]),
        ["4:8 `seed`: the number 7.0 where an integer is expected"]
    );
    let seed = load(&with("seed = 7", "seed = 18446744073709551615"), &[])
        .unwrap()
        .seed;
    assert_eq!(seed, u64::MAX);
    assert_eq!(
        mistakes(&with("seed = 7", "seed = 18446744073709551616"), &[]),
        [
            "4:8 `seed`: the integer 18446744073709551616 is out of range: it must be at least 0 and at most 18446744073709551615"
        ]
    );
    assert_eq!(
        mistakes(&with("epochs = 20", "learning_rate = 0"), &[]),
        [
            "17:17 `defaults.finetune.learning_rate`: the integer 0 is out of range: it must be above 0.0"
        ]
    );
}

#[test]
fn a_mistake_in_defaults_is_told_once_and_there() {
    let two = format!("{VALID}[stages.again]\nkind = \"finetune\"\npaths = \"kept\"\n");
    assert_eq!(
        mistakes(&two.replace("epochs = 20", "epochs = 0\nepoch = 1"), &[]),
        [
            "17:10 `defaults.finetune.epochs`: the integer 0 is out of range: it must be at least 1",
            "18:1 unknown key `epoch` in `defaults.finetune` | `epochs` is there already; remove one of them",
        ]
    );
    assert_eq!(
        mistakes(
            &with("[defaults.finetune]\nepochs = 20", "[defaults.fintune]"),
            &[]
        ),
        ["16:11 unknown key `fintune` in `defaults` | did you mean `finetune`?"]
    );
}

#[test]
fn names_and_references_have_a_form() {
    let told = mistakes(
        &format!("{VALID}[stages.\"a.b\"]\nkind = \"student\"\n"),
        &[],
    );
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("`stages.\"a.b\"`: `a.b` does not have the form"),
        "{told:?}"
    );
    let told = mistakes(&with("paths = \"kept.paths\"", "paths = \"kept.\""), &[]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("`kept.` does not have the form"),
        "{told:?}"
    );
}

#[test]
fn a_kind_complains_about_its_own_fields() {
    assert_eq!(
        mistakes(
            &with("min_tokens = 25", "min_tokens = 25\nmax_tokens = 20"),
            &[]
        ),
        ["29:14 `stages.kept.length.min_tokens`: 25 is above `max_tokens`, 20 | lower it"]
    );
}

#[test]
fn a_stage_names_its_kind() {
    let told = mistakes(&with("kind = \"predict\"\n", ""), &[]);
    assert_eq!(
        told,
        [
            "35:1 `stages.answers`: the key `kind` is missing | add `kind`; accepted: `dataset`, `student`, `sample`, \
             `filter`, `finetune`, `predict`, `eval`"
        ]
    );
    assert_eq!(
        mistakes("[stage.a]\n[stages.b]\nkind = \"student\"", &[]),
        ["1:2 unknown key `stage` | did you mean `stages`?"]
    );
}
