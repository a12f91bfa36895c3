//! What is written plans, as it is and with every field that it shows taken into use.

use std::io::{BufReader, Empty, Sink, empty, sink};
use std::path::Path;

use clap::ValueEnum;
use tempfile::TempDir;

use super::{InitArgs, Person, Template, write};
use crate::cli::exit::Failure;
use crate::manifest::{self, Changes, Manifest};
use crate::plan::Plan;
use crate::stage::KINDS;

const NOBODY: Option<Person<BufReader<Empty>, Sink>> = None;

fn args(template: Template, folder: &Path, more: &[&str]) -> InitArgs {
    let out = folder.join("m.toml").display().to_string();
    let mut words = vec!["init", "--template", template.name(), "-o", &out];
    words.extend(more);
    parsed(&words)
}

fn parsed(words: &[&str]) -> InitArgs {
    use clap::{Args, FromArgMatches};
    let command = InitArgs::augment_args(clap::Command::new("init"));
    InitArgs::from_arg_matches(&command.get_matches_from(words)).unwrap()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn rows(head: &str, row: &str) -> String {
    let rows: Vec<String> = (0..10)
        .map(|i| {
            row.replace('#', &i.to_string())
                .replace('?', if i % 2 == 0 { "yes" } else { "no" })
        })
        .collect();
    format!("{head}\n{}\n", rows.join("\n"))
}

fn planned(path: &Path, profile: Option<&str>) -> Manifest {
    let changes = Changes {
        profile,
        ..Changes::default()
    };
    let text = std::fs::read_to_string(path).unwrap();
    let manifest = manifest::load(path, &changes, KINDS)
        .unwrap_or_else(|errors| panic!("{}\n{text}", errors.render(false)));
    Plan::new(&manifest).unwrap_or_else(|error| panic!("{error}\n{text}"));
    manifest
}

/// Takes the mark away before each field that is shown with its default.
fn in_use(text: &str) -> String {
    let field = regex::Regex::new(r"^# ([a-z_]+ = )").unwrap();
    let lines = text
        .lines()
        .map(|line| field.replace(line, "$1").into_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The message with its hint.
fn told(failure: Failure) -> String {
    match failure {
        Failure::Other { error, .. } => crate::cli::exit::whole(&error),
        Failure::Manifest(errors) => errors.render(false),
    }
}

#[test]
fn every_template_plans_with_every_data() {
    let known = rows("question,answer", "Is # even?,?");
    let solved = rows("question,rationale,answer", "Is # even?,Look at it.,?");
    let unknown = rows("stem,verdict,src", "Is # even?,?,web");
    let folder = folder(&[
        ("known.csv", &known),
        ("solved.csv", &solved),
        ("unknown.csv", &unknown),
    ]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (known, solved, unknown) = (at("known.csv"), at("solved.csv"), at("unknown.csv"));
    let column = ["--column", "answer=verdict"];
    for template in Template::value_variants() {
        for (data, arms) in [
            (vec![], true),
            (vec!["--data", "gsm8k"], true),
            (vec!["--data", "strategyqa"], true),
            (vec!["--data", "commonsenseqa"], true),
            (vec!["--data", &known, "--student", "gpt2"], false),
            (vec!["--data", &known, "--test", &known], false),
            (vec!["--data", &solved], true),
            ([&["--data", unknown.as_str()][..], &column].concat(), false),
        ] {
            let more = [data, vec!["--force"]].concat();
            let args = args(*template, folder.path(), &more);
            let said = write(&args, NOBODY).unwrap_or_else(|failure| panic!("{}", told(failure)));
            assert!(
                said.last().unwrap().contains("next:\n  sert-run data "),
                "{said:?}"
            );
            let path = folder.path().join("m.toml");
            let manifest = planned(&path, None);
            planned(&path, Some("small"));
            if matches!(template, Template::Sert | Template::Sweep) {
                let rd = manifest
                    .stages
                    .iter()
                    .any(|stage| stage.name.base() == "rd");
                assert_eq!(rd, arms, "{more:?}");
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let wide = text.lines().find(|line| line.chars().count() > 80);
            assert_eq!(
                wide.filter(|line| !line.contains(".csv") && !line.starts_with("# columns")),
                None
            );
            let all = in_use(&text);
            assert!(all.matches("\n# ").count() < text.matches("\n# ").count());
            std::fs::write(&path, all).unwrap();
            planned(&path, None);
        }
    }
}

#[test]
fn rejection_sampling_is_that_of_the_experiments() {
    let folder = folder(&[]);
    write(
        &args(Template::Rft, folder.path(), &["--data", "strategyqa"]),
        NOBODY,
    )
    .ok()
    .unwrap();
    let ours = planned(&folder.path().join("m.toml"), None);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let published = planned(&root.join("experiments/methods/rft.toml"), None);
    for stage in &published.stages {
        let own = ours.stage(stage.name.as_str()).unwrap();
        assert_eq!(
            (&own.params, &own.inputs),
            (&stage.params, &stage.inputs),
            "{}",
            stage.name
        );
    }
    assert_eq!(ours.stages.len(), published.stages.len());
}

#[test]
fn what_was_recognised_and_what_is_a_guess_is_told_and_written() {
    let known = rows("question,answer", "Is # even?,?");
    let unknown = rows("the_query,y,note", "Is # even?,?,x");
    let folder = folder(&[("known.csv", &known), ("unknown.csv", &unknown)]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let read = || std::fs::read_to_string(folder.path().join("m.toml")).unwrap();
    let said = write(
        &args(Template::Data, folder.path(), &["--data", &at("known.csv")]),
        NOBODY,
    );
    let said = said.ok().unwrap().join("\n");
    assert!(
        said.contains("10 rows; 7 questions to train on, 3 to measure on; answers: yes or no"),
        "{said}"
    );
    assert!(
        said.contains("recognised by its columns: the layout is this program's own"),
        "{said}"
    );
    let text = read();
    assert!(
        text.contains("\npath = \"known.csv\" # 10 rows\n"),
        "{text}"
    );
    assert!(
        text.contains("\n# columns = { question = \"question\", answer = \"answer\" }\n"),
        "{text}"
    );
    let unknown = args(
        Template::Data,
        folder.path(),
        &["--force", "--data", &at("unknown.csv")],
    );
    let said = write(&unknown, NOBODY).ok().unwrap().join("\n");
    for part in [
        "its layout is no known one",
        "a guess: question = \"the_query\": its name has a word for it",
        "a guess: answer = \"y\": no name says it; the first column that can hold it",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let text = read();
    assert!(text.contains("[data.columns]\nquestion = \"the_query\" # a guess: its name has a word for it\nanswer = \"y\" # a guess: no name says it"), "{text}");
    assert!(text.contains("`note` (text)"), "{text}");
}

#[test]
fn who_is_there_is_asked_for_what_is_missing() {
    let unknown = rows("the_query,note,y", "Is # even?,x,?");
    let folder = folder(&[("unknown.csv", &unknown)]);
    let path = folder.path().join("unknown.csv").display().to_string();
    let person = |answers: &str| {
        Some(Person {
            from: BufReader::new(std::io::Cursor::new(answers.to_owned().into_bytes())),
            to: sink(),
        })
    };
    let without = args(Template::Data, folder.path(), &["--force"]);
    // The data, its two guesses, the student.
    write(&without, person(&format!("{path}\n\ny\ngpt2\n")))
        .ok()
        .unwrap();
    let text = std::fs::read_to_string(folder.path().join("m.toml")).unwrap();
    assert!(text.contains("answer = \"y\" # as was said\n"), "{text}");
    assert!(text.contains("model = \"gpt2\""), "{text}");
    // Whoever answers nothing has what is written without a person.
    write(&without, person("")).ok().unwrap();
    let silent = std::fs::read_to_string(folder.path().join("m.toml")).unwrap();
    write(&without, NOBODY).ok().unwrap();
    assert_eq!(
        silent,
        std::fs::read_to_string(folder.path().join("m.toml")).unwrap()
    );
    assert!(silent.contains("# No data set was named"), "{silent}");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let unknown = rows("the_query,note,y", "Is # even?,x,?");
    let folder = folder(&[("unknown.csv", &unknown), ("there.toml", "mine")]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let refused = |more: &[&str]| {
        let failure = write(&args(Template::Sert, folder.path(), more), NOBODY)
            .err()
            .unwrap();
        assert!(!folder.path().join("m.toml").exists());
        told(failure)
    };
    let csv = at("unknown.csv");
    for (more, wanted) in [
        (
            vec!["--data", "strategyqq"],
            "did you mean the data set `strategyqa`?",
        ),
        (
            vec!["--data", "gsm8k", "--column", "answer=y"],
            "splits and columns of its own",
        ),
        (
            vec!["--data", &csv, "--column", "answr=y"],
            "did you mean `answer`?",
        ),
        (vec!["--data", &csv, "--column", "answer"], "FIELD=COLUMN"),
        (
            vec!["--data", &csv, "--column", "answer=verdict"],
            "has no column `verdict`\nhint: it has the_query, note, y",
        ),
        (
            vec![
                "--data",
                &csv,
                "--column",
                "answer=note",
                "--column",
                "choices=y,the_query",
            ],
            "say it with --column FIELD=COLUMN",
        ),
        (vec!["--student", "./nothing"], "docs/students.md"),
    ] {
        let said = refused(&more);
        assert!(said.contains(wanted), "{more:?}: {said}");
    }
    let there = at("there.toml");
    let mut args = args(Template::Sert, folder.path(), &[]);
    args.out = Some(there.clone().into());
    assert!(told(write(&args, NOBODY).err().unwrap()).contains("--force"));
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    args.force = true;
    write(&args, NOBODY).ok().unwrap();
    planned(Path::new(&there), None);
}

/// Names of columns and files are anybody's; none ends a comment or a text.
#[test]
fn no_name_gets_out_of_its_place() {
    let row = serde_json::json!({"que\nstion \"]\u{a0}": "Is it?", "answer\\": "yes", "x\n[stages.x]\nkind=\"sample\"": 1});
    let text = format!(
        "{row}\n{}\n",
        row.to_string().replace("Is it?", "Is it not?")
    );
    let name = "a \"b\"\n[c].jsonl";
    let folder = folder(&[(name, &text.repeat(3))]);
    let path = folder.path().join(name).display().to_string();
    let columns = [
        "--column",
        "question=que\nstion \"]\u{a0}",
        "--column",
        "answer=answer\\",
    ];
    let more = [&["--data", path.as_str()][..], &columns].concat();
    write(&args(Template::Data, folder.path(), &more), NOBODY)
        .unwrap_or_else(|f| panic!("{}", told(f)));
    let manifest = planned(&folder.path().join("m.toml"), None);
    assert!(manifest.stage("x").is_none());
    let empty = write(
        &args(Template::Data, folder.path(), &["--force"]),
        Some(Person {
            from: BufReader::new(empty()),
            to: sink(),
        }),
    );
    assert!(empty.is_ok());
}
