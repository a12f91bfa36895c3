//! Files that people bring, through the whole program: what is read alike by all readers, and what is refused before
//! anything runs, at its place in the manifest.

use std::path::Path;

use crate::harness::{Bench, Run, TINY};

const TRAIN: &str = "{\"id\":\"a\",\"question\":\"Do bees fly?\",\"answer\":\"yes\"}\n";
const TEST: &str = "{\"id\":\"b\",\"question\":\"Do stones fly?\",\"answer\":\"no\"}\n";

/// A file for each reader, and the stage that reads it.
const MANIFEST: &str = r#"
[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"

[stages.predictions]
kind = "import-predictions"
path = "predictions.jsonl"

[stages.paths]
kind = "import-paths"
path = "paths.jsonl"

[stages.recording]
kind = "teach"
recording = "jsonl"
path = "recording.jsonl"
"#;

/// File, stage, a row.
const READERS: [(&str, &str, &str); 4] = [
    (
        "train.jsonl",
        "data",
        r#"{"id":"a","question":"Do bees fly?","answer":"yes"}"#,
    ),
    (
        "predictions.jsonl",
        "predictions",
        r#"{"question_id":"b","prompt":"","output":" No."}"#,
    ),
    (
        "paths.jsonl",
        "paths",
        r#"{"question_id":"a","text":" They have wings."}"#,
    ),
    (
        "recording.jsonl",
        "recording",
        r#"{"id":"a","rationale":" They have wings."}"#,
    ),
];

fn bench() -> Bench {
    let bench = Bench::new(MANIFEST);
    bench.write("test.jsonl", TEST);
    for (file, _, row) in READERS {
        bench.write(file, format!("{row}\n"));
    }
    bench
}

fn says(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, Some(code), "{}\n{}", run.stdout, run.stderr);
    for word in words {
        assert!(
            run.stderr.contains(word),
            "`{word}` is not said:\n{}",
            run.stderr
        );
    }
}

/// No stage has a result.
fn nothing_ran(bench: &Bench) {
    let results = std::fs::read_dir(bench.path("cache/results-v1"));
    let count = results.map_or(0, Iterator::count);
    assert_eq!(count, 0, "nothing may run");
}

/// One line reader: what one of them takes, all take, and what is no text is told alike.
#[test]
fn every_reader_reads_alike() {
    let bench = bench();
    let array = |row: &str| format!("[{row}]").into_bytes();
    let utf16 = |row: &str| {
        let units = std::iter::once(0xFEFF).chain(row.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    for (file, stage, row) in READERS {
        bench.write(file, format!("\u{feff}\r\n{row}\r\n \r\n"));
        bench.run(&["m.toml", "--stage", stage]).ok();
        let place = format!("{file}:1:1: ");
        let named = format!("{file}: ");
        for (bytes, words) in [
            (
                array(row),
                [place.as_str(), "a JSON array of rows", "jq -c"],
            ),
            (
                b"[\"a\", 1]\n".to_vec(),
                [&place, "the row is a list", "one JSON object a line"],
            ),
            (
                b"id,question\na,b\n".to_vec(),
                [&place, "looks like CSV", "DictReader"],
            ),
            (
                b"\x1f\x8b\x08\0".to_vec(),
                [&named, "compressed by gzip", "gunzip"],
            ),
            (b"PK\x03\x04".to_vec(), [&named, "a zip archive", "unpack"]),
            (b"PAR1".to_vec(), [&named, "a Parquet file", "to_json"]),
            (utf16(row), [&named, "text in UTF-16", "iconv"]),
            (
                Vec::new(),
                [&named, "the file has no row", "one JSON object a line"],
            ),
        ] {
            bench.write(file, bytes);
            says(&bench.run(&["m.toml", "--stage", stage]), 1, &words);
        }
        let wrong = format!("{row}\n\n{}\n", row.replacen("\":\"", "\":[],\"x\":\"", 1));
        bench.write(file, wrong);
        says(
            &bench.run(&["m.toml", "--stage", stage]),
            1,
            &[&format!("{file}:3:")],
        );
        bench.write(file, format!("{row}\n"));
    }
}

/// Ids that are numbers, of any length, join as they are written.
#[test]
fn ids_are_numbers_or_text_for_all_readers() {
    let bench = bench();
    let number = "123456789012345678901";
    for (quoted, bare) in [
        (format!("\"{number}\""), number.to_owned()),
        (number.to_owned(), format!("\"{number}\"")),
    ] {
        bench.write("train.jsonl", TRAIN.replace("\"a\"", &quoted));
        for (file, stage, row) in &READERS[2..] {
            bench.write(file, row.replace("\"a\"", &bare));
            bench.run(&["m.toml", "--stage", stage]).ok();
        }
    }
    bench.write("paths.jsonl", READERS[2].2.replace("\"a\"", "7"));
    says(
        &bench.run(&["m.toml", "--stage", "paths"]),
        1,
        &[
            "paths.jsonl:1:16: 1 of 1 rows belong to none of the 1 questions, first `7`",
            "123456789012345678901",
        ],
    );
}

#[test]
fn a_file_that_is_not_there_is_told_at_its_place() {
    let bench = bench();
    let folder = bench.folder.path().canonicalize().unwrap();
    let folder = folder.display().to_string();
    for (file, stage, field) in [
        ("train.jsonl", "data", "data.train_path"),
        (
            "predictions.jsonl",
            "predictions",
            "stages.predictions.path",
        ),
        ("paths.jsonl", "paths", "stages.paths.path"),
        ("recording.jsonl", "recording", "stages.recording.path"),
    ] {
        let near = format!("x{file}");
        std::fs::rename(bench.path(file), bench.path(&near)).unwrap();
        let line = MANIFEST
            .lines()
            .position(|line| line.contains(file))
            .unwrap()
            + 1;
        let words = [
            format!(
                "`{field}`: there is no such file or folder: `{file}`, looked for in `{folder}`"
            ),
            format!("m.toml:{line}:"),
            format!("did you mean `{near}`?"),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        says(&bench.run(&["plan", "m.toml"]), 2, &words);
        says(&bench.run(&["m.toml"]), 2, &words);
        nothing_ran(&bench);
        // What is not asked for may be missing.
        if stage != "data" {
            bench.run(&["plan", "m.toml", "--stage", "data"]).ok();
        }
        std::fs::rename(bench.path(&near), bench.path(file)).unwrap();
    }
    bench.run(&["plan", "m.toml"]).ok();
    std::fs::create_dir(bench.path("folder")).unwrap();
    let folder = bench.run(&["plan", "m.toml", "--set", "stages.paths.path=folder"]);
    says(
        &folder,
        2,
        &["--set #1", "`folder` is a folder, where a file is expected"],
    );
}

#[test]
fn a_plan_tells_of_rows_that_cannot_be_read() {
    let bench = bench();
    bench.write("train.jsonl", format!("{TRAIN}{{\"question\": \"q\"}}\n"));
    let plan = bench.run(&["plan", "m.toml"]);
    says(
        &plan,
        2,
        &[
            "`data.train_path`: ",
            "train.jsonl:2:1: the row has no answer",
            "m.toml:4:14",
        ],
    );
    for (change, words) in [
        (
            "[data]\npath = \"train.jsonl\"",
            [
                "dataset `strategyqa` has files of its own",
                "dataset = \"file\"",
            ],
        ),
        (
            "[data]\ndataset = \"jsonl\"",
            ["dataset `jsonl` needs a file", "train_path"],
        ),
        (
            "[data]\ndataset = \"microworld\"\nmicroworld = { entities = 3 }",
            ["at least 8 and at most", "microworld.entities"],
        ),
        (
            "[data]\n[stages.teacher]\nkind = \"teach\"\nrecording = \"jsonl\"",
            ["recording `jsonl` needs a file", "give a path"],
        ),
        (
            "[data]\n[stages.teacher]\nkind = \"predict-recorded\"\npath = \"train.jsonl\"",
            ["has files of its own", "leave `path` out"],
        ),
    ] {
        let more = "\n[stages.none]\nkind = \"import-paths\"\npath = \"paths.jsonl\"\n";
        bench.write("x.toml", format!("{change}{more}"));
        says(&bench.run(&["plan", "x.toml", "--offline"]), 2, &words);
    }
}

#[test]
fn questions_in_both_splits_are_a_warning() {
    let bench = bench();
    bench.write(
        "test.jsonl",
        TEST.replace("Do stones fly?", "DO  BEES FLY?"),
    );
    let run = bench
        .run(&["m.toml", "--stage", "data", "--progress", "json"])
        .ok();
    let warned = run.events().any(|event| {
        event["level"] == "warning"
            && event["message"] == "1 of 1 test questions are training questions too: b = a"
    });
    assert!(warned, "{}", run.stderr);
}

/// A student that cannot be one is refused by `plan` and before a run.
#[test]
fn a_student_that_cannot_be_one() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let bench = bench();
    bench.write(
        "m.toml",
        format!("{MANIFEST}\n[student]\nmodel = \"./student\"\n"),
    );
    let restore = || {
        for entry in std::fs::read_dir(&fixture).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            bench.write(
                &format!("student/{}", name.to_string_lossy()),
                std::fs::read(entry.path()).unwrap(),
            );
        }
    };
    let place = ["`student.model`: ", "m.toml:"];
    // A plan refuses it; in a run it is its stage's failure, and the other stages run.
    let refused = |words: &[&str]| {
        let plan = bench.run(&["plan", "m.toml"]);
        says(&plan, 2, words);
        says(&plan, 2, &place);
        says(&bench.run(&["m.toml"]), 1, words);
        restore();
    };
    bench.write("students/config.json", "");
    let missing = [
        "no such file or folder: `./student`",
        "did you mean `./students`?",
    ];
    for arguments in [&["plan", "m.toml"][..], &["m.toml"]] {
        let run = bench.run(arguments);
        says(&run, 2, &missing);
        says(&run, 2, &place);
    }
    nothing_ran(&bench);
    restore();
    bench.run(&["plan", "m.toml"]).ok();
    let config = std::fs::read_to_string(bench.path("student/config.json")).unwrap();
    assert!(config.contains("\"gpt2\""));
    bench.write(
        "student/config.json",
        config.replace("\"gpt2\"", "\"bloom\""),
    );
    refused(&["`model_type` is \"bloom\""]);
    for name in ["config.json", "model.safetensors"] {
        std::fs::remove_file(bench.path(&format!("student/{name}"))).unwrap();
        refused(&[name]);
    }
    bench.write("student/model.safetensors", "cut");
    refused(&["model.safetensors"]);
    // A folder by a name that could be of the hub, which cannot be reached.
    std::fs::create_dir_all(bench.path("models/gpt2-mine")).unwrap();
    bench.write(
        "m.toml",
        format!("{MANIFEST}\n[student]\nmodel = \"models/gpt2-mien\"\n"),
    );
    let plan = bench.run(&["plan", "m.toml", "--offline"]);
    says(
        &plan,
        2,
        &[
            "no such file or folder: `models/gpt2-mien`",
            "did you mean `models/gpt2-mine`?",
        ],
    );
}

/// What would fail after the paths are drawn is refused before.
#[test]
fn filters_on_what_no_path_has() {
    let kept = "kind = \"filter\"\npaths = \"sampled\"\n";
    let scored =
        "\n[stages.rated]\nkind = \"score\"\nmeasure = \"gold-probability\"\npaths = \"sampled\"\n";
    let with = |change: &str, more: &str| {
        assert_eq!(TINY.matches(kept).count(), 1);
        TINY.replace(kept, &format!("kind = \"filter\"\n{change}\n")) + more
    };
    for (change, more, words) in [
        (
            "paths = \"sampled\"\nscores = [{ name = \"judge\", min = 6 }]",
            "",
            [
                "`stages.kept.scores[0].name`: no stage before it makes the score `judge`",
                "`score` or `judge` stage",
            ],
        ),
        (
            "paths = \"rated\"\nscores = [{ name = \"gold_probabilty\", min = 6 }]",
            scored,
            [
                "makes the score `gold_probabilty`",
                "did you mean `gold_probability`?",
            ],
        ),
        (
            "paths = \"rated\"\nscores = [{ name = \"gold_probability\", min = 60 }]",
            scored,
            [
                "`stages.kept.scores[0].min`: 60 is outside the score",
                "which goes from 0 to 10",
            ],
        ),
        (
            "paths = \"sampled\"\nselect = { rule = \"highest-score\", score = \"judge\" }",
            "",
            [
                "`stages.kept.select.score`: no stage before it",
                "makes the score `judge`",
            ],
        ),
        (
            "paths = \"teacher\"",
            "",
            [
                "`stages.kept.length`: this counts student tokens",
                "`stages.kept.perplexity`: this needs log-prob",
            ],
        ),
        (
            "paths = \"other\"",
            "\n[stages.other]\nkind = \"shuffle\"\npaths = \"sampled\"\n",
            [
                "`stages.kept.perplexity`: this needs log-prob",
                "only paths that a student wrote",
            ],
        ),
        (
            "paths = \"sampled\"",
            "\n[figures.f]\nkind = \"criteria\"\nscores = [\"judge\"]\nseries = [{ label = \"x\", paths = \"sampled\" }]\n",
            [
                "the figure `f`: no stage before it makes the score `judge`",
                "m.toml:",
            ],
        ),
    ] {
        let bench = Bench::new(&with(change, more));
        says(&bench.run(&["plan", "m.toml"]), 2, &words);
        says(&bench.run(&["m.toml"]), 2, &words);
    }
    // Rows that were made elsewhere may have any score.
    let brought = "\n[stages.brought]\nkind = \"import-paths\"\npath = \"paths.jsonl\"\n";
    let bench = Bench::new(&with(
        "paths = \"brought\"\nscores = [{ name = \"kindness\", min = 60 }]",
        brought,
    ));
    bench.write("paths.jsonl", "{\"question_id\": \"a\", \"text\": \"b\"}\n");
    bench.run(&["plan", "m.toml", "--stage", "kept"]).ok();
    let bench = Bench::new(&with(
        "paths = \"rated\"\nscores = [{ name = \"gold_probability\", min = 6 }]",
        scored,
    ));
    bench.run(&["plan", "m.toml", "--stage", "kept"]).ok();
}

#[test]
fn rows_given_as_the_manifest_are_one_mistake() {
    let bench = Bench::new(&TRAIN.repeat(2000));
    let run = bench.run(&["m.toml"]);
    says(
        &run,
        2,
        &[
            "`m.toml` holds JSON, where a manifest in TOML is expected",
            "dataset = \"jsonl\"",
        ],
    );
    assert_eq!(run.stderr.matches("error").count(), 1, "{}", run.stderr);
}
