//! What no single key shows: references, circles, and the way of test data.

use super::{VALID, load, mistakes, with};

#[test]
fn references_are_checked() {
    let told = |reference: &str| {
        mistakes(
            &with(
                "paths = \"kept.paths\"",
                &format!("paths = \"{reference}\""),
            ),
            &[],
        )
    };
    assert_eq!(
        told("kpet"),
        [
            "33:9 `stages.sert.paths` refers to `kpet`, but there is no stage `kpet` | did you mean `kept`?"
        ]
    );
    assert_eq!(
        told("kept.pahts"),
        [
            "33:9 `stages.sert.paths` refers to `kept.pahts`, but `kept` has no such output | did you mean `paths`?"
        ]
    );
    assert_eq!(
        told("kept.verdicts"),
        [
            "33:9 `stages.sert.paths` accepts paths, but `kept.verdicts` gives verdicts | what gives paths: `sample`, `kept`"
        ]
    );
}

#[test]
fn a_default_that_is_not_there_is_told_with_what_to_add() {
    let told = mistakes(&with("[student]\nmodel = \"gpt2\"", ""), &[]);
    let hint = "which is its default | add `[student]`, or set `model` to another stage";
    let refers = "refers to `student`, but there is no stage `student`";
    assert_eq!(
        told,
        [format!("18:9 `stages.sample.model` {refers}, {hint}")]
    );
}

#[test]
fn one_stage_is_declared_once() {
    assert_eq!(
        mistakes(
            &format!("{VALID}[stages.data]\nkind = \"dataset\"\ndataset = \"strategyqa\"\n"),
            &[]
        ),
        ["46:9 `[data]` and `[stages.data]` are the same stage | keep one of them"]
    );
}

#[test]
fn a_manifest_has_stages() {
    let hint = "declare one, for example `[stages.sample]` with its `kind`";
    for text in ["", "title = \"x\"", "[stages]"] {
        assert_eq!(
            mistakes(text, &[]),
            [format!("1:1 the manifest has no stages | {hint}")]
        );
    }
    assert_eq!(mistakes("[data]\ndataset = \"strategyqa\"", &[]), [""; 0]);
}

#[test]
fn a_circle_is_shown_whole() {
    let text = "
[stages.a]
kind = \"filter\"
paths = \"c\"
[stages.b]
kind = \"filter\"
paths = \"a\"
[stages.c]
kind = \"filter\"
paths = \"b\"
[stages.d]
kind = \"filter\"
paths = \"c\"
[stages.e]
kind = \"filter\"
paths = \"e\"
";
    assert_eq!(
        mistakes(text, &[]),
        [
            "4:9 stages wait for each other: a -> b -> c -> a | a stage can only read what is made before it",
            "16:9 stages wait for each other: e -> e | a stage can only read what is made before it",
        ]
    );
    let shown = load(text, &[]).unwrap_err().to_string();
    for word in ["`a` reads `c`", "`b` reads `a`", "`c` reads `b`"] {
        assert!(shown.contains(word), "{shown}");
    }
}

#[test]
fn test_data_never_shapes_a_model() {
    assert_eq!(
        mistakes(
            &with(
                "paths = \"kept.paths\"",
                "paths = \"kept.paths\"\nextra = \"data.test\""
            ),
            &[]
        ),
        [
            "34:9 `stages.sert.extra` takes test data `data.test`, but what comes in there shapes the result \
             | use `data.train`; test data may only be measured"
        ]
    );
    // Nor among all questions.
    assert_eq!(
        mistakes(
            &with(
                "paths = \"kept.paths\"",
                "paths = \"kept.paths\"\nextra = \"data.all\""
            ),
            &[]
        ),
        [
            "34:9 `stages.sert.extra` takes test data `data.all`, but what comes in there shapes the result \
             | use `data.train`; test data may only be measured"
        ]
    );
    // Nor over other stages.
    assert_eq!(
        mistakes(
            &with("seed = 3", "seed = 3\nquestions = \"data.test\""),
            &[]
        ),
        [
            "34:9 `stages.sert.paths` takes `kept`, which is made from test data, but what comes in there shapes the \
             result | test data may only be measured; take training data at the start of this way"
        ]
    );
}

#[test]
fn test_data_is_measured_for_declared_tables_only() {
    let table = "[tables.results]\ncaption = \"Results\"\nrows = [{ label = \"SERT\", eval = \"eval-sert\" }]\n";
    assert_eq!(
        mistakes(&with(table, ""), &[]),
        [
            "39:9 `stages.eval-sert` measures test data, but test is read by declared tables only \
             | add it to a table: `rows = [{ label = \"...\", eval = \"eval-sert\" }]`"
        ]
    );
    let all = with(table, "").replace(
        "model = \"sert\"",
        "model = \"sert\"\nquestions = \"data.all\"",
    );
    assert_eq!(mistakes(&all, &[]).len(), 1);
    let train = with(table, "").replace(
        "model = \"sert\"",
        "model = \"sert\"\nquestions = \"data.train\"",
    );
    assert_eq!(mistakes(&train, &[]), Vec::<String>::new());
}

#[test]
fn rows_name_evaluations() {
    let told = |name: &str| {
        let row = format!("eval = \"eval-sert\" }}, {{ label = \"x\", eval = \"{name}\" }}");
        mistakes(&with("eval = \"eval-sert\" }", &row), &[])
    };
    assert_eq!(told("eval-sert.evaluation"), Vec::<String>::new());
    assert_eq!(
        told("eval-ser"),
        [
            "45:71 a row of the table `results` refers to `eval-ser`, but there is no stage `eval-ser` \
             | did you mean `eval-sert`?"
        ]
    );
    assert_eq!(
        told("sert"),
        [
            "45:71 a row of the table `results` accepts evaluation, but `sert` gives model \
             | what gives evaluation: `eval-sert.evaluation`"
        ]
    );
}
