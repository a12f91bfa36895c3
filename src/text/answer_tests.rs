use super::*;
use crate::text::{word_count, word_rep};

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

fn yes_no() -> Question {
    question(AnswerForm::YesNo, &[], "yes")
}

fn where_() -> Question {
    let choices = ["bank", "store", "department store", "mall", "new york"];
    question(AnswerForm::Choice, &choices, "C")
}

fn answer(text: &str) -> Parsed {
    Parsed::Answer(text.into())
}

#[test]
fn yes_no_is_the_first_such_word_of_the_answer_part() {
    for (output, want) in [
        (" Yes", answer("yes")),
        (" \"No.\"", answer("no")),
        (
            "Bees have no sea. So the answer is probably yes.",
            answer("yes"),
        ),
        ("x\nTherefore, the answer is no - not yes", answer("no")),
        (
            "So the answer is no. But wait. Thus the answer is yes.",
            answer("yes"),
        ),
        ("The answer is yesterday", Parsed::Unparsed),
        ("no;", Parsed::Unparsed),
        ("", Parsed::Unparsed),
        (
            "Yes.\nQuestion: Is tin red? Answer: So the answer is no.",
            answer("yes"),
        ),
        (
            "\nQuestion: Is tin red? Answer: So the answer is no.",
            Parsed::Unparsed,
        ),
    ] {
        assert_eq!(parse_answer(&yes_no(), output), want, "{output}");
    }
}

#[test]
fn choice_rules_in_order() {
    for (output, want) in [
        (" (B)", answer("B")),
        (" B", answer("B")),
        (" d.", answer("D")),
        (" E. new york", answer("E")),
        (" A bank", answer("A")),
        (" A bank is open, as is the mall", answer("A")),
        (" A place with a mall", answer("D")),
        ("The answer is (b) because the bank is shut", answer("B")),
        ("So the answer is department store.", answer("C")),
        ("So the answer is the Store.", answer("B")),
        ("I choose D.", answer("D")),
        ("(A) or (B)", Parsed::Ambiguous),
        ("A, C", Parsed::Ambiguous),
        ("the bank or the mall", Parsed::Ambiguous),
        ("(F)", Parsed::Unparsed),
        ("E.g. a river in the U.S.A.", Parsed::Unparsed),
        ("(A) bank, (B) store. So the answer is (C).", answer("C")),
    ] {
        assert_eq!(parse_answer(&where_(), output), want, "{output}");
    }
}

#[test]
fn numbers_are_canonical() {
    let q = question(AnswerForm::Number, &[], "1,200");
    for (output, want) in [
        ("16-3=13, then 9*2 = 18.00", answer("18")),
        ("So the answer is $1,200.50 for 3 eggs.", answer("1200.5")),
        ("So the answer is -007.", answer("-7")),
        ("about 0.0", answer("0")),
        ("none", Parsed::Unparsed),
    ] {
        assert_eq!(parse_answer(&q, output), want, "{output}");
    }
    assert!(is_gold(&q, "1200"));
    assert!(!is_gold(&q, "12"));
}

#[test]
fn text_is_normalised() {
    let q = question(AnswerForm::Text, &[], "A Hive");
    let parsed = parse_answer(&q, "Well. So the answer is \"a  hive\". They like it.");
    assert_eq!(parsed, answer("a hive"));
    assert!(is_gold(&q, "a hive"));
    assert_eq!(parse_answer(&q, " ..."), Parsed::Unparsed);
}

#[test]
fn conclusions_are_stricter_than_answers() {
    let q = yes_no();
    assert_eq!(conclusion(&q, "There is no sea here."), None);
    assert_eq!(conclusion(&q, " No, bees fly."), Some("no".into()));
    assert_eq!(
        conclusion(&q, "There is no sea. So the answer is yes."),
        Some("yes".into())
    );
    assert_eq!(conclusion(&where_(), "(D) is near"), Some("D".into()));
    assert_eq!(conclusion(&where_(), "Near a mall"), None);
}

#[test]
fn reasoning_stops_before_its_answer_sentence() {
    for (text, want) in [
        (" Bees fly. So the answer is yes. Or no.", "Bees fly."),
        ("Bees fly,\nso the answer is yes", "Bees fly"),
        ("Bees fly.\nTherefore, the answer is no", "Bees fly."),
        ("The correct answer is: no", ""),
        ("Bees fly. So I think that the answer is yes", "Bees fly."),
        (" Bees fly. ", "Bees fly."),
    ] {
        assert_eq!(reasoning_part(text), want);
    }
}

#[test]
fn answers_are_counted() {
    assert_eq!(answers_given(&yes_no(), " Yes"), 1);
    assert_eq!(answers_given(&yes_no(), "no no yes"), 3);
    assert_eq!(answers_given(&yes_no(), "no. So the answer is yes."), 1);
    assert_eq!(answers_given(&yes_no(), "Bees fly."), 0);
    assert_eq!(answers_given(&where_(), " (B) store"), 1);
    assert_eq!(answers_given(&where_(), "(A) bank (B) store"), 2);
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
        let alone = parse_answer(&row.question, &row.answer_text);
        assert_eq!(alone, parse_answer(&row.question, &row.output()), "{row:?}");
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

/// PaLM-540B's answers to 9,741 `CommonsenseQA` train questions (Hsieh et al. 2023), after their
/// rationales: what was read when they were published is read here too, but for two answers of the
/// kind `(b) or (d)`, of which the first was taken; 7,472 are right either way.
#[test]
fn published_choice_answers_are_read_alike() {
    let Some(rows) = crate::text::teacher_fixture::palm_rows() else {
        return;
    };
    assert_eq!(rows.len(), 9741);
    let (mut right, mut ambiguous) = (0, 0);
    for row in &rows {
        let output = format!("{} So the answer is {}.", row.rationale, row.answer_text);
        let found = parse_answer(&row.question, &output);
        if found == Parsed::Ambiguous {
            ambiguous += 1;
            continue;
        }
        let found = found.answer();
        assert_eq!(found, row.pred, "{output}");
        right += usize::from(found.is_some_and(|a| is_gold(&row.question, &a)));
    }
    assert_eq!((right, ambiguous), (7472, 2));
}
