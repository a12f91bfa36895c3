use super::*;
use crate::text::{EndReason, Hint, Reading, teacher_fixture};

fn question(id: &str, answer: &str) -> Question {
    Question {
        id: id.into(),
        question: "Do bees live in the sea?".into(),
        choices: vec![],
        form: AnswerForm::YesNo,
        answer: answer.into(),
        rationale: None,
    }
}

fn prediction(id: &str, output: &str) -> Prediction {
    Prediction {
        question_id: id.into(),
        draw: 0,
        prompt: String::new(),
        hint: Hint::None,
        output: output.into(),
        tokens: vec![],
        end: EndReason::EndOfText,
        end_token: None,
        log_prob: None,
        option_log_probs: vec![],
    }
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

fn papers() -> EvalParams {
    EvalParams {
        reading: Reading::Paper,
        ..EvalParams::default()
    }
}

#[test]
fn columns_by_hand() {
    let questions = [
        question("a", "no"),
        question("b", "no"),
        question("c", "yes"),
        question("d", "yes"),
    ];
    let mut cut = prediction("d", "yes yes");
    cut.end = EndReason::Length;
    let predictions = [
        cut,
        prediction("a", " Bees fly. So the answer is no."),
        prediction("b", "Bees fly. So the answer is blue."),
        prediction("c", "no.\nQuestion: Is tin red?"),
    ];
    // What is no legal answer does not count as one; the paper's reading counts its sentence.
    let row = evaluate(&questions, &predictions, &EvalParams::default()).unwrap();
    close(row.format.answered_once.unwrap().value, 0.5);
    let row = evaluate(&questions, &predictions, &papers()).unwrap();
    close(row.accuracy.value, 0.5); // a and d
    close(row.parsed.value, 0.75); // not b
    let value = |figure: Option<Estimate>| figure.unwrap().value;
    close(value(row.format.aligned), 0.25); // a alone
    close(value(row.format.answered_once), 0.75); // d says yes twice
    close(value(row.format.legal_option), 0.75);
    close(value(row.format.ended), 0.75);
    close(value(row.format.not_asked_again), 0.75);
    close(value(row.format.rep_below_limit), 1.0);
    close(row.len.value, (7.0 + 7.0 + 5.0 + 2.0) / 4.0);
    close(value(row.rep), 0.5 / 4.0); // d's "yes yes"
    assert_eq!(row.accuracy_options, None);
    let names: Vec<_> = row.columns().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names[..4], ["Acc", "Balanced Acc", "Parsed", "Fmt"]);
    assert_eq!(names.len(), 11);
    assert_eq!((row.ambiguous, row.unparsed(), row.ends()), (0, 1, (4, 1)));
    // One of two no and one of two yes is right.
    close(value(row.balanced_accuracy), 0.5);
    let counts = |of: &BTreeMap<String, usize>| (of["yes"], of["no"]);
    let answered = row.answered.as_ref().unwrap();
    assert_eq!(
        (counts(&answered.gold), counts(&answered.given)),
        ((2, 2), (1, 2))
    );
    let ids: Vec<_> = row
        .outcomes
        .iter()
        .map(|o| o.question_id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    assert_eq!(row.outcomes[2].parsed.as_deref(), Some("no"));
    // What is kept can be read back, to the bit.
    let text = serde_json::to_string(&row).unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), row);
}

#[test]
fn severe_repetition_fails_the_format() {
    let output = format!("{}So the answer is no.", "bees fly ".repeat(10));
    let params = EvalParams {
        max_rep: 0.7,
        ..EvalParams::default()
    };
    // 25 words, 7 of them different: Rep 0.72.
    let row = evaluate(&[question("a", "no")], &[prediction("a", &output)], &params).unwrap();
    close(row.outcomes[0].rep.unwrap(), 0.72);
    assert!(!row.outcomes[0].format.rep_below_limit);
    assert!(row.outcomes[0].correct && row.outcomes[0].format.aligned() == Some(false));
    // What it was measured with is in it.
    close(row.params.max_rep, 0.7);
}

/// How an output ended, or what an empty one repeats, may not be known: that is neither yes nor no, and not 0.
#[test]
fn unknown_is_not_zero() {
    let questions: Vec<Question> = ["a", "b", "c"].map(|id| question(id, "yes")).into();
    let with_end = |ends: [EndReason; 3]| {
        let mut predictions = [
            prediction("a", "yes"),
            prediction("b", "no"),
            prediction("c", ""),
        ];
        for (prediction, end) in predictions.iter_mut().zip(ends) {
            prediction.end = end;
        }
        evaluate(&questions, &predictions, &EvalParams::default()).unwrap()
    };
    let row = with_end([EndReason::Unknown; 3]);
    assert_eq!((row.format.aligned, row.format.ended), (None, None));
    assert_eq!(row.format.answered_once.unwrap().n, 3);
    assert_eq!(row.ends(), (0, 0));
    let (len, rep) = (row.len, row.rep.unwrap());
    assert_eq!((len.n, rep.n), (3, 2));
    close(len.value, 2.0 / 3.0);
    assert_eq!(row.outcomes[2].rep, None);

    // Of those that say how they ended: one of two is aligned, and one was cut.
    let row = with_end([EndReason::EndOfText, EndReason::Length, EndReason::Unknown]);
    let fmt = row.format.aligned.unwrap();
    assert_eq!((fmt.n, row.ends()), (2, (2, 1)));
    close(fmt.value, 0.5);
    close(row.format.ended.unwrap().value, 0.5);

    let empty = [question("a", "no")];
    let row = evaluate(&empty, &[prediction("a", " ")], &EvalParams::default()).unwrap();
    assert_eq!(row.rep, None);
    // A free answer is one of no list.
    let mut free = question("a", "Paris");
    free.form = AnswerForm::Text;
    let row = evaluate(&[free], &[prediction("a", "Paris")], &EvalParams::default()).unwrap();
    assert_eq!((row.balanced_accuracy, row.answered), (None, None));
}

/// One question is no ground for an interval of a length; of a share it is one for a wide one.
#[test]
fn one_question() {
    let row = evaluate(
        &[question("a", "yes")],
        &[prediction("a", "yes")],
        &EvalParams::default(),
    );
    let row = row.unwrap();
    assert_eq!(row.len.interval, None);
    for (name, _, figure) in row.columns() {
        let wide = figure
            .interval
            .is_none_or(|bounds| bounds.high - bounds.low > 0.5);
        assert!(wide, "{name}: {figure:?}");
        assert_eq!(figure.interval.is_none(), name == "Len");
    }
}

/// What identifies questions and answers is their content: not the order, not the settings.
#[test]
fn identities() {
    let questions = [question("a", "no"), question("b", "yes")];
    let predictions = [prediction("a", "no"), prediction("b", "no")];
    let params = EvalParams::default();
    let row = evaluate(&questions, &predictions, &params).unwrap();
    let turned = [questions[1].clone(), questions[0].clone()];
    let other = evaluate(&turned, &predictions, &params).unwrap();
    assert_eq!(
        (row.questions, row.answers),
        (other.questions, other.answers)
    );
    let seeded = EvalParams {
        seed: 9,
        confidence: 0.5,
        ..params.clone()
    };
    let other = evaluate(&questions, &predictions, &seeded).unwrap();
    assert_eq!((other.seed, other.resampling().seed), (9, 9));
    assert_eq!(other.identity(), row.identity());
    let words = [prediction("a", "No"), prediction("b", "no")];
    let other = evaluate(&questions, &words, &params).unwrap();
    assert_ne!(other.identity(), row.identity());
    let mut changed = questions.clone();
    changed[0].question = "Do bees live in a hive?".into();
    let other = evaluate(&changed, &predictions, &params).unwrap();
    assert_ne!(other.questions, row.questions);
}

#[test]
fn likeliest_options() {
    let mut choice = question("c", "C");
    choice.form = AnswerForm::Choice;
    choice.choices = vec!["x".into(), "y".into(), "z".into()];
    let questions = [question("a", "no"), question("b", "no"), choice];
    let mut predictions = [
        prediction("a", ""),
        prediction("b", ""),
        prediction("c", ""),
    ];
    predictions[0].option_log_probs = vec![-3.0, -2.0]; // no
    predictions[1].option_log_probs = vec![-2.0, -2.0]; // equal: yes, the first
    predictions[2].option_log_probs = vec![-9.0, -8.0, -1.0];
    let params = EvalParams::default();
    let row = evaluate(&questions, &predictions, &params).unwrap();
    close(row.accuracy_options.unwrap().value, 2.0 / 3.0);
    assert_eq!(row.outcomes[1].option_correct, Some(false));
    close(row.accuracy.value, 0.0);
    predictions[1].option_log_probs.clear();
    let error = evaluate(&questions, &predictions, &params).unwrap_err();
    assert!(error.to_string().contains("`b` has 0 option"), "{error}");
}

#[test]
fn predictions_have_to_cover_the_questions() {
    let questions = [question("a", "no"), question("b", "no")];
    let predictions = [
        prediction("a", ""),
        prediction("a", ""),
        prediction("x", ""),
    ];
    let params = EvalParams::default();
    assert_eq!(
        evaluate(&questions, &predictions, &params).unwrap_err(),
        MetricError::Coverage {
            predictions: 3,
            questions: 2,
            missing: 1,
            unknown: 1,
            repeated: 1,
            first: "a".into(),
        }
    );
    let none = evaluate(&[], &[], &params).unwrap_err();
    assert_eq!(none.to_string(), "eval: no questions given");
}

/// The paper's GPT-3.5 row as predictions: 368 of 687 (53.57; the printed 53.45 is over all 2,290),
/// Len 76.7715, Rep 0.3646.
#[test]
fn the_teachers_row_comes_out_of_predictions() {
    let Some(rows) = teacher_fixture::rows() else {
        return;
    };
    let (questions, predictions): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .filter(|row| row.test)
        .map(|row| {
            let mut prediction = prediction(&row.question.id, &row.output());
            prediction.end = EndReason::Unknown;
            (row.question, prediction)
        })
        .unzip();
    let row = evaluate(&questions, &predictions, &papers()).unwrap();
    close(row.accuracy.value, 368.0 / 687.0);
    close(row.accuracy.interval.unwrap().low, 0.498_273_877_599_572_2);
    assert!((row.len.value - 76.7715).abs() < 5e-5, "{:?}", row.len);
    let rep = row.rep.unwrap();
    assert!((rep.value - 0.3646).abs() < 5e-5 && rep.n == 687, "{rep:?}");
    assert_eq!(row.outcomes.len(), 687);
}
