use std::path::Path;

use super::*;
use crate::text::{word_count, word_rep};

const BOTH: [Reading; 2] = [Reading::Standard, Reading::Paper];

fn question(form: AnswerForm, choices: &[&str], answer: &str) -> Question {
    Question {
        id: "q-1".into(),
        question: "Where do bees live?".into(),
        choices: choices.iter().map(|&c| c.into()).collect(),
        form,
        answer: answer.into(),
        rationale: None,
    }
}

/// A row of a table in `docs/answers.md`: its line, the section and options it stands under, its cells.
struct Row {
    line: usize,
    section: String,
    options: Vec<String>,
    cells: Vec<String>,
}

/// The rows of every table in `docs/answers.md` whose cells are cases.
fn documented() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/answers.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut section, mut options) = (String::new(), Vec::new());
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(title) = text.strip_prefix("## ") {
            (section, options) = (title.to_owned(), Vec::new());
        } else if let Some(list) = text.strip_prefix("Options: ") {
            options = list.split(", ").map(cell).collect();
        } else if let Some(cells) = text.strip_prefix("| ").and_then(|t| t.strip_suffix(" |"))
            && !section.is_empty()
            && cells.contains('`')
        {
            rows.push(Row {
                line,
                section: section.clone(),
                options: options.clone(),
                cells: cells.split(" | ").map(cell).collect(),
            });
        }
    }
    rows
}

/// A cell as it is meant: without its backquotes, `⏎` and `{U+202F}` as what they stand for.
fn cell(text: &str) -> String {
    let quotes = if text.starts_with("``") { "``" } else { "`" };
    let inside = text
        .strip_prefix(quotes)
        .and_then(|t| t.strip_suffix(quotes));
    let mut text = inside.unwrap_or(text.trim()).replace('⏎', "\n");
    while let Some(at) = text.find("{U+") {
        let code = u32::from_str_radix(&text[at + 3..at + 7], 16).unwrap();
        text.replace_range(at..at + 8, &char::from_u32(code).unwrap().to_string());
    }
    text
}

/// What was read, as the tables write it.
fn written(parsed: Parsed) -> String {
    match parsed {
        Parsed::Answer(answer) => answer,
        Parsed::Unparsed => "—".to_owned(),
        Parsed::Ambiguous => "ambiguous".to_owned(),
    }
}

fn form(name: &str) -> AnswerForm {
    serde_json::from_value(name.into()).unwrap()
}

/// What the program makes of a row: its last cells.
fn made(row: &Row) -> Vec<String> {
    let cells: Vec<&str> = row.cells.iter().map(String::as_str).collect();
    let options: Vec<&str> = row.options.iter().map(String::as_str).collect();
    let read = |form, gold| {
        let question = question(form, &options, gold);
        BOTH.map(|reading| written(parse_answer(&question, cells[0], reading)))
    };
    let one = |of_both: [String; 2]| {
        assert_eq!(of_both[0], of_both[1], "line {}: both readings", row.line);
        vec![of_both[0].clone()]
    };
    match (row.section.as_str(), &cells[..]) {
        ("Yes or no", _) => read(AnswerForm::YesNo, "yes").to_vec(),
        ("Choice", _) => read(AnswerForm::Choice, "A").to_vec(),
        ("Number", _) => one(read(AnswerForm::Number, "1")),
        ("Free text", _) => one(read(AnswerForm::Text, "paris")),
        ("Right or wrong", [gold, output, _]) => {
            let question = question(AnswerForm::Text, &[], gold);
            let answer = parse_answer(&question, output, Reading::Standard).answer();
            let right = answer.is_some_and(|answer| is_gold(&question, &answer));
            vec![if right { "right" } else { "wrong" }.to_owned()]
        }
        ("Gold answers", [name, raw, _]) => {
            vec![gold(form(name), raw).unwrap_or_else(|| "—".to_owned())]
        }
        ("Answers counted", [name, output, ..]) => {
            let form = form(name);
            let choices = ["shop", "hive", "sea", "meadow", "desert"];
            let choices = &choices[..if form == AnswerForm::Choice { 5 } else { 0 }];
            let question = question(form, choices, "A");
            BOTH.map(|reading| answers_given(&question, output, reading).to_string())
                .to_vec()
        }
        ("Reasoning without its answer", [path, ..]) => BOTH
            .map(|reading| reasoning_part(path, reading).to_owned())
            .to_vec(),
        (section, _) => panic!("line {}: no rule for `{section}`", row.line),
    }
}

/// The tables in `docs/answers.md` are what the program does.
#[test]
fn answers_are_read_as_documented() {
    let rows = documented();
    assert!(rows.len() > 300, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let made = made(row);
        let told = &row.cells[row.cells.len() - made.len()..];
        if made != told {
            wrong.push(format!("line {}: {:?} is {made:?}", row.line, row.cells));
        }
    }
    assert!(wrong.is_empty(), "docs/answers.md:\n{}", wrong.join("\n"));
}

/// The published text-davinci-002 completions (Ho et al. 2023) behind the paper's GPT-3.5 row:
/// 1,224 of 2,290 right (the printed 53.45), 403 without an answer; on the 687 test questions 368
/// right, Len 76.7715, Rep 0.3646.
#[test]
fn the_teachers_row_is_reproduced() {
    let Some(rows) = crate::text::teacher_fixture::rows() else {
        return;
    };
    assert_eq!(rows.len(), 2290);
    let (mut right, mut unparsed, mut right_test) = (0, 0, 0);
    let (mut words, mut rep, mut tests) = (0, 0.0, 0);
    for row in &rows {
        // The answer part alone, and the whole output, read the same.
        let alone = parse_reply(&row.question, &row.answer_text, Reading::Paper);
        let whole = parse_answer(&row.question, &row.output(), Reading::Paper);
        assert_eq!(alone, whole, "{row:?}");
        unparsed += usize::from(alone == Parsed::Unparsed);
        let correct = alone.answer().is_some_and(|a| is_gold(&row.question, &a));
        right += usize::from(correct);
        if row.test {
            tests += 1;
            right_test += usize::from(correct);
            words += word_count(&row.output());
            rep += word_rep(&row.output()).unwrap();
        }
    }
    assert_eq!((right, unparsed, tests, right_test), (1224, 403, 687, 368));
    let len = f64::from(u32::try_from(words).unwrap()) / 687.0;
    assert!((len - 76.7715).abs() < 5e-5, "{len}");
    assert!((rep / 687.0 - 0.3646).abs() < 5e-5, "{}", rep / 687.0);
}

/// The same completions by the standard reading: what is denied, left open or undecided is not guessed at.
#[test]
fn the_teachers_row_by_the_standard_reading() {
    let Some(rows) = crate::text::teacher_fixture::rows() else {
        return;
    };
    let (mut right, mut without, mut right_test) = (0, 0, 0);
    for row in &rows {
        let alone = parse_reply(&row.question, &row.answer_text, Reading::Standard);
        let answer = alone.answer();
        without += usize::from(answer.is_none());
        let correct = answer.is_some_and(|a| is_gold(&row.question, &a));
        right += usize::from(correct);
        right_test += usize::from(correct && row.test);
    }
    assert_eq!((right, without, right_test), (1225, 411, 367));
}

/// PaLM-540B's answers to 9,741 `CommonsenseQA` train questions (Hsieh et al. 2023), after their
/// rationales. The paper's reading reads what was read when they were published, but for two answers of the
/// kind `(b) or (d)`, of which the first was taken; 7,472 are right either way. The standard one does not choose where
/// several options are named (`(b) refrigerator or (d) fridge`).
#[test]
fn published_choice_answers_are_read_alike() {
    let Some(rows) = crate::text::teacher_fixture::palm_rows() else {
        return;
    };
    assert_eq!(rows.len(), 9741);
    let mut counts = [(0, 0), (0, 0)];
    for row in &rows {
        let output = format!("{} So the answer is {}.", row.rationale, row.answer_text);
        let found = BOTH.map(|reading| parse_answer(&row.question, &output, reading));
        for (found, (right, ambiguous)) in found.iter().zip(&mut counts) {
            *ambiguous += usize::from(*found == Parsed::Ambiguous);
            let answer = found.clone().answer();
            *right += usize::from(answer.is_some_and(|a| is_gold(&row.question, &a)));
        }
        let [standard, paper] = found;
        if paper != Parsed::Ambiguous {
            assert_eq!(paper.clone().answer(), row.pred, "{output}");
        }
        assert!(
            standard == paper || standard == Parsed::Ambiguous,
            "{output}"
        );
    }
    assert_eq!(counts, [(7333, 286), (7472, 2)]);
}

/// `GSM8K`'s own solutions: all of them are read right, with a sentence behind them too; and without their mark nearly
/// all, for the answer is the last number as a rule only.
#[test]
fn the_solutions_of_gsm8k_are_read_right() {
    let path = crate::needs::shared(
        "mirror/raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test.jsonl",
    );
    let Some(path) = path else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let (mut rows, mut bare, mut wrong) = (0, 0, 0);
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let solution = row["answer"].as_str().unwrap();
        let (steps, answer) = solution.rsplit_once("####").unwrap();
        let answer = gold(AnswerForm::Number, answer).unwrap();
        let question = question(AnswerForm::Number, &[], &answer);
        let right = Parsed::Answer(answer);
        for behind in [
            "",
            " ",
            "\nI hope this helps, all 100% of it!",
            " So 2 of 3 agree.",
        ] {
            let output = format!("{solution}{behind}");
            let found = parse_answer(&question, &output, Reading::Standard);
            assert_eq!(found, right, "{output}");
        }
        rows += 1;
        match parse_answer(&question, steps, Reading::Standard) {
            found if found == right => bare += 1,
            Parsed::Answer(_) => wrong += 1,
            _ => {}
        }
    }
    assert_eq!((rows, bare, wrong), (1319, 1301, 8));
}

/// What is read is counted: an output with an answer gives at least one.
#[test]
fn an_answer_that_is_read_is_counted() {
    for row in documented() {
        let form = match row.section.as_str() {
            "Yes or no" => AnswerForm::YesNo,
            "Choice" => AnswerForm::Choice,
            "Number" => AnswerForm::Number,
            "Free text" => AnswerForm::Text,
            _ => continue,
        };
        let options: Vec<&str> = row.options.iter().map(String::as_str).collect();
        let question = question(form, &options, "x");
        for reading in BOTH {
            let output = &row.cells[0];
            if let Parsed::Answer(answer) = parse_answer(&question, output, reading) {
                let given = answers_given(&question, output, reading);
                assert!(given > 0, "line {}: {output:?} is {answer}", row.line);
            }
        }
    }
}

#[test]
fn conclusions_are_stricter_than_answers() {
    let yes_no = question(AnswerForm::YesNo, &[], "yes");
    let choice = question(AnswerForm::Choice, &["bank", "store", "sea", "mall"], "C");
    let number = question(AnswerForm::Number, &[], "18");
    for (question, text, standard, paper) in [
        (&yes_no, "There is no sea here.", None, None),
        (&yes_no, " No, bees fly.", Some("no"), Some("no")),
        (&yes_no, "**No**, bees fly.", Some("no"), None),
        (
            &yes_no,
            "There is no sea. So the answer is yes.",
            Some("yes"),
            Some("yes"),
        ),
        (&choice, "(D) is near", Some("D"), Some("D")),
        (&choice, "Near a mall", None, None),
        (&choice, "(D) is not near", None, Some("D")),
        (&number, "9 + 9 = 18", None, None),
        (&number, "9 + 9 = 18\n#### 18", Some("18"), Some("18")),
    ] {
        let found = BOTH.map(|reading| conclusion(question, text, reading));
        assert_eq!(
            found.each_ref().map(Option::as_deref),
            [standard, paper],
            "{text}"
        );
    }
}

/// A teacher's reply stands behind `Therefore, the answer is`.
#[test]
fn a_reply_is_read_as_what_its_mark_leads_to() {
    let choice = question(AnswerForm::Choice, &["bank", "store", "sea", "mall"], "C");
    let number = question(AnswerForm::Number, &[], "18");
    let yes_no = question(AnswerForm::YesNo, &[], "yes");
    for (question, reply, want) in [
        (&yes_no, " yes.", Some("yes")),
        (&yes_no, "**Yes**, they do.", Some("yes")),
        (&yes_no, " that there is no sea.", None),
        (
            &yes_no,
            "Let's see. It flies. So the answer is no.",
            Some("no"),
        ),
        (&number, " 18 dollars for 9 eggs.", Some("18")),
        (&choice, " a mall, which is near the bank.", Some("D")),
    ] {
        let found = parse_reply(question, reply, Reading::Standard).answer();
        assert_eq!(found.as_deref(), want, "{reply}");
        let whole = format!("It flies.\nTherefore, the answer is{reply}");
        let found = parse_answer(question, &whole, Reading::Standard).answer();
        assert_eq!(found.as_deref(), want, "{whole}");
    }
}

/// Whatever is written is read without a panic, and a long output in no more than its length's time.
#[test]
fn no_text_breaks_the_reader() {
    use rand::{RngExt, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let rows = documented();
    let cells: Vec<&String> = rows.iter().flat_map(|row| &row.cells).collect();
    let pieces = [
        "\\boxed{",
        "}",
        "<answer>",
        "</answer>",
        "####",
        "**",
        "*",
        "{",
        "^",
        "$",
        "\\frac",
        "\u{e000}",
        "\u{e001}",
        "\u{2460}",
        "\u{bd}",
        "1",
        ",",
        ".",
        " ",
        "\n",
        "e",
        "-",
        "/",
        "=",
        "(",
        ")",
        "yes",
        "no",
        "A",
        "The answer is",
        "\u{307}",
        "\u{130}",
        "\u{df}",
        "Answer:",
        "\u{660}",
        "one",
        "hundred",
        "<think>",
        "'",
        "\"",
    ];
    let forms = [
        question(AnswerForm::YesNo, &[], "yes"),
        question(
            AnswerForm::Choice,
            &["stra\u{df}e", "\u{8702}", "1/2", "C", "a b"],
            "A",
        ),
        question(AnswerForm::Number, &[], "1"),
        question(AnswerForm::Text, &[], "x"),
    ];
    let read = |text: &str| {
        for question in &forms {
            for reading in BOTH {
                let _ = parse_answer(question, text, reading);
                let _ = parse_reply(question, text, reading);
                let _ = answers_given(question, text, reading);
                let _ = conclusion(question, text, reading);
                let _ = reasoning_part(text, reading);
            }
            let _ = gold(question.form, text);
        }
    };
    for _ in 0..1500 {
        let mut text = String::new();
        for _ in 0..random.random_range(1..9) {
            if random.random_range(0..3) == 0 {
                text.push_str(cells[random.random_range(0..cells.len())]);
            } else {
                text.push_str(pieces[random.random_range(0..pieces.len())]);
            }
        }
        read(&text);
    }
    for piece in pieces
        .iter()
        .chain(&["hive (B) ", "The answer is yes. ", "1 or ", "Mr. "])
    {
        read(&piece.repeat(20_000 / piece.len()));
    }
}
