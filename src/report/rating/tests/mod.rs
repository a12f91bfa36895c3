mod reading;

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::metric::{Agreement, Resampling};
use crate::report::Width;
use crate::text::{AnswerForm, DropReason, EndReason, FilterDecision, FirstToken, Question};

/// Path `draw` of question `q`, with a judge's scores.
fn path(q: usize, draw: u32, text: &str) -> ReasoningPath {
    ReasoningPath {
        question_id: format!("q{q}"),
        stream: Digest::of(format!("{q} {draw}").as_bytes()),
        first_token: Some(FirstToken {
            id: 17,
            rank: 3,
            text: "branch-token".into(),
        }),
        draw,
        hint: crate::text::Hint::None,
        text: text.into(),
        tokens: vec![],
        log_prob: None,
        end: EndReason::EndOfText,
        end_token: None,
        answer_text: Some("teacher-answer".into()),
        scores: CRITERIA
            .iter()
            .map(|name| ((*name).to_owned(), 6.4 + f64::from(draw)))
            .collect(),
        unparsed: BTreeSet::new(),
    }
}

/// Three paths to each of four questions.
fn paths() -> Vec<ReasoningPath> {
    (0..4)
        .flat_map(|q| (0..3).map(move |draw| path(q, draw, &format!(" text {q} {draw}\nis long."))))
        .collect()
}

fn questions() -> Vec<Question> {
    (0..4)
        .map(|q| Question {
            id: format!("q{q}"),
            question: format!("Which is {q}?"),
            choices: vec!["one".into(), "two".into()],
            form: AnswerForm::Choice,
            answer: "B".into(),
            rationale: Some("gold-rationale".into()),
        })
        .collect()
}

fn some_items(seed: u64) -> BTreeMap<String, Item> {
    items(ArtifactKind::Paths, &paths().encode(), seed).unwrap()
}

const ALL: Choice = Choice {
    paths: 0,
    per_question: 0,
};

fn sheet(seed: u64, choice: Choice) -> String {
    let (bytes, count) = write_sheet(&some_items(seed), &questions(), choice).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(rows(&text).len(), count);
    text
}

/// The rows below the header.
fn rows(sheet: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(sheet.as_bytes());
    let record = |record: Result<csv::StringRecord, csv::Error>| {
        record.unwrap().iter().map(ToOwned::to_owned).collect()
    };
    reader.records().map(record).collect()
}

/// The sheet with `rate` of each row's place as its ratings, a comment after them.
fn filled(sheet: &str, rate: impl Fn(usize) -> [&'static str; 4]) -> String {
    let header =
        "item,question,path,coherence,relevance,logical_consistency,completeness,comment\n";
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (at, row) in rows(sheet).iter().enumerate() {
        let given = row[..3].iter().map(String::as_str).chain(rate(at));
        writer.write_record(given.chain(["'- so so"])).unwrap();
    }
    header.to_owned() + std::str::from_utf8(&writer.into_inner().unwrap()).unwrap()
}

fn read(text: &str, partial: bool) -> Result<Sheet, Vec<SheetError>> {
    Sheet::read("anna", Path::new("anna.csv"), text, &some_items(5), partial)
}

#[test]
fn a_sheet_is_blinded() {
    let sheet = sheet(5, ALL);
    let header = "item,question,path,coherence,relevance,logical_consistency,completeness,comment";
    assert_eq!(sheet.lines().next(), Some(&*format!("\u{feff}{header}")));
    for hidden in [
        "q0",
        "branch-token",
        "teacher-answer",
        "gold-rationale",
        "6.4",
        "end-of-text",
        ",B,",
        &Digest::of(b"0 0").short(),
    ] {
        assert!(!sheet.contains(hidden), "{hidden}: {sheet}");
    }
    let rows = rows(&sheet);
    assert_eq!(rows.len(), 12);
    let places: Vec<usize> = rows
        .iter()
        .map(|row| paths().iter().position(|path| path.text == row[2]).unwrap())
        .collect();
    assert!(!places.is_sorted(), "{places:?}");
    assert!(
        rows.iter()
            .all(|row| row[1].ends_with("(A) one, (B) two.") && row[3..].concat().is_empty())
    );
}

/// What a filter decided does not show, nor does it move anything.
#[test]
fn decisions_are_left_behind() {
    let decision = |path: ReasoningPath| {
        let decision = match path.draw {
            0 => FilterDecision::Kept,
            _ => FilterDecision::Dropped(DropReason {
                by: "length".into(),
                because: "short".into(),
            }),
        };
        FilteredPath { path, decision }
    };
    let filtered: Vec<FilteredPath> = paths().into_iter().map(decision).collect();
    let found = items(ArtifactKind::FilteredPaths, &filtered.encode(), 5).unwrap();
    assert_eq!(found, some_items(5));
    let none = items(ArtifactKind::Funnel, b"{}", 5).unwrap_err();
    assert!(matches!(none, RatingError::NoPaths { .. }), "{none}");
}

#[test]
fn which_paths_the_seed_decides() {
    assert_eq!(sheet(5, ALL), sheet(5, ALL));
    let texts =
        |sheet: &str| -> Vec<String> { rows(sheet).iter().map(|row| row[2].clone()).collect() };
    assert_ne!(texts(&sheet(5, ALL)), texts(&sheet(6, ALL)));
    let few = |paths, per_question| {
        sheet(
            5,
            Choice {
                paths,
                per_question,
            },
        )
    };
    assert!(few(7, 0).starts_with(&few(3, 0)));
    let one_each = few(0, 1);
    let questions: BTreeSet<String> = rows(&one_each).iter().map(|row| row[1].clone()).collect();
    assert_eq!((rows(&one_each).len(), questions.len()), (4, 4));
    assert_eq!(rows(&few(3, 1)).len(), 3);
    let error = write_sheet(&some_items(5), &questions_of_others(), ALL).unwrap_err();
    assert!(
        error.to_string().contains("not among the 1 questions"),
        "{error}"
    );
}

fn questions_of_others() -> Vec<Question> {
    let mut one = questions()[..1].to_vec();
    one[0].id = "other".into();
    one
}

#[test]
fn raters_and_judge_by_hand() {
    let blank = sheet(5, ALL);
    let of = |rater: &str, rate: fn(usize) -> [&'static str; 4]| Sheet {
        rater: rater.into(),
        ..read(&filled(&blank, rate), false).unwrap()
    };
    // Alike in the first criterion, one apart in the second, constant and equal in the third.
    let anna = of("anna", |at| {
        [["1", "2", "3", "4"], ["9", "8", "3", "7"]][at % 2]
    });
    let ben = of("ben", |at| {
        [["1", "3", "3", "7"], ["9", "9", "3", "4"]][at % 2]
    });
    let report = RatingReport::of(&some_items(5), &[anna, ben], &Resampling::default());
    assert_eq!((report.items, report.questions), (12, 4));
    assert_eq!(report.raters, ["anna", "ben"]);
    let between = |criterion: usize, pair: usize| {
        let found = &report.criteria[criterion].agreements[pair];
        assert_eq!(found.n, 12);
        found.agreement.unwrap()
    };
    let value = |agreement: Agreement| agreement.kappa.unwrap().value;
    assert!((value(between(0, 0)) - 1.0).abs() < 1e-12);
    // Half (2, 3), half (8, 9), always 1 apart; paired at random (1 + 49 + 25 + 1) / 4 = 19.
    assert!((value(between(1, 0)) - (1.0 - 1.0 / 19.0)).abs() < 1e-12);
    assert_eq!(between(1, 0).exact.value.to_bits(), 0.0_f64.to_bits());
    assert_eq!(between(2, 0).kappa, None);
    assert!((between(2, 0).exact.value - 1.0).abs() < 1e-12);
    assert!((value(between(3, 0)) + 1.0).abs() < 1e-12);
    // Then anna and the judge, ben and the judge: its 6.4, 7.4 and 8.4 are 6, 7 and 8.
    let names: Vec<(&str, &str)> = (report.criteria[0].agreements.iter())
        .map(|each| (each.a.as_str(), each.b.as_str()))
        .collect();
    let judge = "judge (recorded)";
    assert_eq!(names, [("anna", "ben"), ("anna", judge), ("ben", judge)]);
    let means: Vec<f64> = (report.criteria[0].means.iter())
        .map(|each| each.mean.unwrap().value)
        .collect();
    for (found, expected) in means.iter().zip([5.0, 5.0, 7.4]) {
        assert!((found - expected).abs() < 1e-12, "{found}");
    }
    let text = report.text(Width::FREE);
    for words in [
        "12 rated items of 4 questions",
        "anna and ben",
        "100.0",
        "rounded",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(report.ratings.len(), 24);
    assert!([2, 8].contains(&report.ratings[0].scores["relevance"]));
    assert_eq!(report.ratings[0].comment, "- so so");
}

#[test]
fn a_judge_on_another_scale_is_left_out() {
    let mut items = some_items(5);
    for item in items.values_mut() {
        item.path.scores.insert("relevance".into(), 64.0);
    }
    let sheet = read(&filled(&sheet(5, ALL), |_| ["1", "2", "3", "4"]), false).unwrap();
    let report = RatingReport::of(&items, std::slice::from_ref(&sheet), &Resampling::default());
    assert_eq!(report.criteria[1].judge_out_of_range, 12);
    assert!(report.criteria[1].agreements.is_empty());
    assert_eq!(report.criteria[0].agreements.len(), 1);
    assert!(
        report
            .text(Width::FREE)
            .contains("12 of the judge's scores of relevance")
    );
    for item in items.values_mut() {
        item.path.scores.clear();
    }
    let report = RatingReport::of(&items, &[sheet], &Resampling::default());
    assert!(report.text(Width::FREE).contains("no judge's scores"));
}
