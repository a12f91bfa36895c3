//! Data sets in the forms that people have them, through the whole program: what is shown, what is in keys, what is refused
//! before anything runs.

use std::path::Path;

use crate::harness::Bench;

/// A made-up data set in a published layout.
fn layout(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layouts");
    std::fs::read(folder.join(name)).unwrap()
}

fn manifest(path: &str, more: &str) -> String {
    format!(
        "[data]\ndataset = \"file\"\npath = \"{path}\"\n{more}\n[stages.none]\nkind = \"import-paths\"\npath = \"paths.jsonl\"\n"
    )
}

#[test]
fn a_data_set_is_shown_as_it_is_understood() {
    let bench = Bench::new(&manifest("a.parquet", "calculator = \"drop\""));
    bench.write("a.parquet", layout("gsm8k.parquet"));
    let shown = bench.run(&["data", "m.toml", "--rows", "2"]).ok();
    for line in [
        "2 of data",
        "split        questions  rationales  duplicates           answers",
        "train               14          14           0            number",
        "test                 6           6           0            number",
        "train       14 different answers",
        "note        the layout is GSM8K: columns =",
    ] {
        let found = shown.stdout.lines().any(|shown| shown.starts_with(line));
        assert!(found, "{line}\n{}", shown.stdout);
    }
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        shown.stdout
    );
    assert!(!shown.stdout.contains("<<"), "{}", shown.stdout);
    let json = bench.run(&["data", "m.toml", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json[0]["splits"][0]["questions"], 14);
    assert_eq!(json[0]["rows"].as_array().unwrap().len(), 5);
}

#[test]
fn the_form_of_a_file_counts_and_its_name_does_not() {
    let bench = Bench::new(&manifest("a.parquet", ""));
    bench.write("a.parquet", layout("commonsenseqa.parquet"));
    let run = bench
        .run(&["m.toml", "--stage", "data", "--progress", "json"])
        .ok();
    assert!(
        run.stderr.contains("the layout is CommonsenseQA"),
        "{}",
        run.stderr
    );
    bench.write("b.parquet", layout("commonsenseqa.parquet"));
    bench.write("m.toml", manifest("b.parquet", ""));
    let again = bench
        .run(&["m.toml", "--stage", "data", "--progress", "json"])
        .ok();
    assert_eq!(again.ran(), <[String; 0]>::default(), "{}", again.stderr);

    // The same bytes, as another form.
    let rows = "question\tanswer\nIs 1, or 2?\tyes\nIs 2?\tno\n";
    for (file, code) in [("c.tsv", 0), ("c.csv", 1)] {
        bench.write(file, rows);
        bench.write("m.toml", manifest(file, ""));
        let run = bench.run(&["m.toml", "--stage", "data"]);
        assert_eq!(run.code, Some(code), "{file}: {}", run.stderr);
    }
}

#[test]
fn what_is_wrong_with_a_mapping_is_told_by_the_plan_at_its_place() {
    let columns = "columns = { question = \"question_stm\", answer = \"answerKey\" }";
    let bench = Bench::new(&manifest("a.parquet", columns));
    bench.write("a.parquet", layout("openbookqa.parquet"));
    let plan = bench.run(&["plan", "m.toml"]);
    assert_eq!(plan.code, Some(2), "{}", plan.stderr);
    for words in [
        "a.parquet: there is no column `question_stm`, which `columns.question` names",
        "did you mean `question_stem`?",
        "m.toml:3:",
    ] {
        assert!(plan.stderr.contains(words), "{words}\n{}", plan.stderr);
    }
    for (data, words) in [
        (
            "[data]\ncolumns = { question = \"q\", answer = { column = \"a\", is = \"labl\" } }",
            "labl",
        ),
        (
            "[data]\ndataset = \"gsm8k\"\nid = \"openai/gsm8k\"",
            "`data.id`: it is of no use to dataset `gsm8k`, but to `hub`",
        ),
        ("[data]\ndataset = \"hub\"", "`data.id`: missing"),
    ] {
        bench.write(
            "m.toml",
            format!("{data}\n[stages.none]\nkind = \"import-paths\"\npath = \"paths.jsonl\"\n"),
        );
        let plan = bench.run(&["plan", "m.toml", "--offline"]);
        assert_eq!(plan.code, Some(2), "{}", plan.stderr);
        assert!(plan.stderr.contains(words), "{words}\n{}", plan.stderr);
    }
}
