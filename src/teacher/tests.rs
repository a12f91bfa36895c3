//! Recordings against the reference copies, and against questions that they are not about.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::dataset::reference;
use crate::text::{AnswerForm, EndReason};

fn params(recording: &str) -> TeachParams {
    TeachParams {
        recording: RecordingName::find(recording).unwrap(),
        ..TeachParams::default()
    }
}

fn loaded(params: &TeachParams, questions: &[Question]) -> Option<Result<Recorded, TeacherError>> {
    let fetcher = reference::fetcher()?;
    let from = DataSource {
        fetcher: &fetcher,
        progress: &|_| {},
    };
    Some(load(params, questions, &from))
}

#[test]
fn davincis_completions_are_the_reference_ones() {
    let Some(splits) = reference::splits("strategyqa") else {
        return;
    };
    let reference: BTreeMap<String, serde_json::Value> =
        reference::rows("data/teacher/strategyqa.text-davinci-002.ho2023.jsonl")
            .into_iter()
            .map(|row| (row["id"].as_str().unwrap().to_owned(), row))
            .collect();
    let teach = params("strategyqa-text-davinci-002");
    let mut cut = 0;
    for questions in [&splits.train, &splits.test] {
        let recorded = loaded(&teach, questions).unwrap().unwrap();
        assert_eq!(recorded.joined, questions.len());
        assert_eq!(recorded.paths.len(), questions.len());
        assert_eq!(recorded.in_recording, 2290);
        assert_eq!(
            recorded.teacher,
            "text-davinci-002, zero-shot CoT, Ho et al. 2023"
        );
        for (path, question) in recorded.paths.iter().zip(questions) {
            let row = &reference[&path.question_id];
            assert_eq!(path.question_id, question.id);
            assert_eq!(path.text, row["rationale_raw"]);
            assert_eq!(
                path.answer_text.as_deref().map(str::trim),
                row["answer_text"].as_str()
            );
            assert_eq!(
                path.end == EndReason::Length,
                row["finish_reason"] == "length"
            );
            cut += usize::from(path.end == EndReason::Length);
        }
    }
    // Paths that ended by length, counted in the published file.
    assert_eq!(cut, 647);
}

#[test]
fn palms_rationales_are_the_reference_ones() {
    let Some(splits) = reference::splits("commonsenseqa") else {
        return;
    };
    let reference = reference::rows("data/teacher/commonsenseqa.palm-540b.train.jsonl");
    let teach = params("commonsenseqa-palm-540b");
    let recorded = loaded(&teach, &splits.train).unwrap().unwrap();
    assert_eq!(
        (recorded.joined, recorded.in_recording, recorded.paths.len()),
        (9741, 9741, 9741)
    );
    assert_eq!((splits.train.len(), reference.len()), (9741, 9741));
    let mut right = 0;
    for ((path, question), row) in recorded.paths.iter().zip(&splits.train).zip(&reference) {
        assert_eq!(row["id"], path.question_id.as_str());
        assert_eq!(row["rationale"], path.text.as_str());
        let answer = path.answer_text.as_deref().unwrap();
        let label = answer
            .split_once('(')
            .map(|(_, rest)| rest[..1].to_uppercase());
        right += usize::from(label.as_deref() == Some(question.answer.as_str()));
    }
    assert_eq!(right, 7472);

    // The recording has no test questions: an error, not an empty teacher.
    let error = loaded(&teach, &splits.test)
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(error.contains("only 0 of 1221 questions"), "{error}");
    assert!(
        error.contains("1afa02df02c908a558b4036e80242fac"),
        "{error}"
    );
}

#[test]
fn a_recording_of_another_dataset_is_refused() {
    let Some(splits) = reference::splits("commonsenseqa") else {
        return;
    };
    let teach = params("strategyqa-text-davinci-002");
    let error = loaded(&teach, &splits.test)
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("only 0 of 1221 questions") && error.contains("has 2290"),
        "{error}"
    );
    assert!(error.contains("sample 0"), "{error}");
}

fn question(id: &str, words: &str) -> Question {
    Question {
        id: id.into(),
        question: words.into(),
        choices: Vec::new(),
        form: AnswerForm::YesNo,
        answer: "yes".into(),
        rationale: None,
    }
}

/// Loads a user's own file with `text`, called `name`.
fn own(
    recording: &str,
    name: &str,
    text: &str,
    questions: &[Question],
) -> Result<Recorded, TeacherError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    let teach = params(recording);
    (teach.recording.kind().load)(&teach, &[path], questions)
}

#[test]
fn completions_join_by_index_and_words() {
    let completion = |index: u64, draw: u64, words: &str| {
        serde_json::json!({
            "sample_index": index, "completion_index": draw, "question": words,
            "reasoning_completion": format!(" because {draw}"),
            "reasoning_finish_reason": "length", "completion": " yes."
        })
    };
    let file = serde_json::json!({
        "metadata": {"base_model": "some-model"},
        "data": {
            "7": [completion(7, 1, "Is it so? "), completion(7, 0, "Is it so? ")],
            "8": [completion(8, 0, "Is it so?")],
        }
    })
    .to_string();
    let twins = [
        question("strategyqa-0008", "Is it so?"),
        question("strategyqa-0007", "Is it so?"),
    ];
    let recorded = own("completions", "c.json", &file, &twins).unwrap();
    let found: Vec<_> = recorded
        .paths
        .iter()
        .map(|path| {
            (
                path.question_id.as_str(),
                path.draw,
                path.text.as_str(),
                path.end,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("strategyqa-0008", 0, " because 0", EndReason::Length),
            ("strategyqa-0007", 0, " because 0", EndReason::Length),
            ("strategyqa-0007", 1, " because 1", EndReason::Length),
        ]
    );
    assert_eq!(
        (recorded.teacher.as_str(), recorded.in_recording),
        ("some-model", 2)
    );

    // Another dataset's questions join by their words, where their ids hold no index.
    let recorded = own(
        "completions",
        "c.json",
        &file,
        &[question("x", "Is it so?")],
    )
    .unwrap();
    assert_eq!((recorded.joined, recorded.in_recording), (1, 2));

    // An index whose question is another one: the numbering is not this dataset's.
    let odd = [
        question("strategyqa-0007", "Is it so?"),
        question("strategyqa-0008", "Is it?"),
    ];
    let error = own("completions", "c.json", &file, &odd)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("sample 8 is `Is it so?`, but question strategyqa-0008 is `Is it?`"),
        "{error}"
    );
}

#[test]
fn plain_rows_join_by_id() {
    let questions = [
        question("a", "A?"),
        question("b", "B?"),
        question("c", "C?"),
    ];
    let rows = "{\"id\": \"c\", \"rationale\": \" x\"}\n{\"id\": \"a\", \"rationale\": \"y\", \"answer_text\": \"no\"}\n";
    let recorded = own("jsonl", "mine.jsonl", rows, &questions).unwrap();
    let ids: Vec<&str> = recorded
        .paths
        .iter()
        .map(|path| path.question_id.as_str())
        .collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!(recorded.paths[0].answer_text.as_deref(), Some("no"));
    assert_ne!(recorded.paths[0].stream, recorded.paths[1].stream);
    assert_eq!(
        recorded.summary(),
        "2 of 3 questions are in the recording, which has 2 (mine.jsonl)"
    );
    let error = own(
        "jsonl",
        "mine.jsonl",
        "{\"id\": \"z\", \"rationale\": \"y\"}",
        &questions,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("the questions are a, b, c, ..., the recording has z, ..."),
        "{error}"
    );
    let error = own(
        "jsonl",
        "mine.jsonl",
        "{\"id\": \"a\", \"rationale\": \" \"}",
        &questions,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("mine.jsonl:1:26: the rationale is empty"),
        "{error}"
    );
}

#[test]
fn the_solver_teaches_its_own_world_only() {
    let mut solved = question("microworld-train-0000", "Q?");
    solved.rationale = Some("We know.".into());
    let teach = params("microworld-solver");
    let run = |questions: &[Question]| (teach.recording.kind().load)(&teach, &[], questions);
    assert_eq!(run(&[solved.clone()]).unwrap().paths[0].text, "We know.");
    solved.id = "gsm8k-train-0000".into();
    assert!(
        run(&[solved])
            .unwrap_err()
            .to_string()
            .contains("hint: microworld-solver goes with")
    );
}

#[test]
fn a_path_is_wanted_or_refused() {
    let mut teach = params("jsonl");
    assert!(files(&teach).is_err());
    teach.path = Some("https://example.org/t.jsonl".into());
    assert!(matches!(files(&teach).unwrap()[..], [DataFile::Pinned(_)]));
    teach.recording = RecordingName::default();
    assert!(files(&teach).is_err());
}

#[test]
fn the_schema_lists_every_recording() {
    let schema = serde_json::to_string(&schemars::schema_for!(TeachParams)).unwrap();
    assert!(RECORDINGS.iter().all(|kind| schema.contains(kind.doc)));
    assert!(toml::from_str::<TeachParams>("recording = \"palm\"").is_err());
}
