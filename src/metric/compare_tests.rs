use super::*;
use crate::metric::interval::share_over_seeds;
use crate::metric::{EvalParams, OverSeeds, evaluate, fixture};
use crate::text::{AnswerForm, EndReason, Hint, Prediction, Question};

/// One seed of an arm: its right answers by question, each with so many words before it.
fn evaluation(answers: &[(&str, bool, usize)]) -> Evaluation {
    let (questions, predictions): (Vec<_>, Vec<_>) = answers
        .iter()
        .map(|&(id, right, words)| {
            let question = Question {
                id: id.into(),
                question: "Is it?".into(),
                choices: vec![],
                form: AnswerForm::YesNo,
                answer: "yes".into(),
                rationale: None,
            };
            let answer = if right { "yes" } else { "no" };
            let prediction = Prediction {
                question_id: id.into(),
                draw: 0,
                prompt: String::new(),
                hint: Hint::None,
                output: format!("{}So the answer is {answer}.", "word ".repeat(words)),
                tokens: vec![],
                end: EndReason::EndOfText,
                end_token: None,
                log_prob: None,
                option_log_probs: vec![],
            };
            (question, prediction)
        })
        .unzip();
    evaluate(&questions, &predictions, &EvalParams::default()).unwrap()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

/// Seven questions: A alone is right on five, B on one; A writes two words more throughout.
fn arms() -> (Evaluation, Evaluation) {
    let ids = ["a", "b", "c", "d", "e", "f", "g"];
    let rows = |right: fn(usize) -> bool, words: usize| -> Vec<_> {
        let of = |(i, id): (usize, &&'static str)| (*id, right(i), words + i);
        ids.iter().enumerate().map(of).collect()
    };
    let mut b = rows(|i| i == 5 || i == 6, 1);
    b.reverse(); // pairs are by id, not by place
    (evaluation(&rows(|i| i < 5 || i == 6, 3)), evaluation(&b))
}

fn compared(metric: Metric, a: &[&Evaluation], b: &[&Evaluation]) -> Comparison {
    compare(metric, a, b).unwrap().unwrap()
}

#[test]
fn one_seed_each() {
    let (a, b) = arms();
    // No options were scored, and balanced accuracy is no figure of single questions.
    for metric in [Metric::ACC_OPTIONS, Metric::BALANCED_ACC] {
        assert_eq!(compare(metric, &[&a], &[&b]).unwrap(), None);
    }
    let acc = compared(Metric::ACC, &[&a], &[&b]);
    close(acc.difference.value, 4.0 / 7.0);
    close(acc.p, 14.0 / 64.0); // 1 of 6: 2 (1 + 6) / 64
    assert_eq!(acc.test, Test::ExactMcnemar);
    close(acc.mean_square, 6.0 / 7.0);
    assert_eq!(acc.difference.n, 7);
    assert_eq!(acc.difference.method, IntervalMethod::AgrestiMin);
    let bounds = acc.difference.interval.unwrap();
    assert!(bounds.low < acc.difference.value && acc.difference.value < bounds.high);
    // Two words more throughout, on seven questions: no ground for an interval, nor for a p below 2 / 2^7.
    let len = compared(Metric::LEN, &[&a], &[&b]);
    close(len.difference.value, 2.0);
    assert_eq!(len.difference.interval, None);
    close(len.p, 2.0 / 128.0);
    assert_eq!(len.test, Test::PairedBootstrap);
    let parsed = compared(Metric::PARSED, &[&a], &[&b]);
    close(parsed.p, 1.0); // all parsed on both sides
    assert_eq!(parsed.test, Test::ExactMcnemar);

    let turned = compared(Metric::ACC, &[&b], &[&a]);
    close(turned.difference.value, -4.0 / 7.0);
    assert_eq!(turned.p.to_bits(), acc.p.to_bits());
}

/// Fmt and Parsed are yes or no for each question, as accuracy is: four slips in 687 are no evidence.
#[test]
fn all_shares_are_tested_exactly() {
    let rows: Vec<(String, bool)> = (0..687).map(|i| (format!("q{i:03}"), true)).collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(id, right)| (id.as_str(), *right, 0))
        .collect();
    let whole = evaluation(&rows);
    let mut slipped = whole.clone();
    for outcome in &mut slipped.outcomes[..4] {
        outcome.parsed = None;
        outcome.format.legal_option = false;
    }
    for metric in [Metric::FMT, Metric::PARSED] {
        let found = compared(metric, &[&whole], &[&slipped]);
        assert_eq!(found.test, Test::ExactMcnemar);
        close(found.p, 0.125);
        let bounds = found.difference.interval.unwrap();
        assert!(bounds.low < 0.0 && bounds.high > 4.0 / 687.0, "{bounds:?}");
    }
    // Arms that differ on no question may yet differ on others.
    let none = compared(Metric::FMT, &[&whole], &[&whole])
        .difference
        .interval
        .unwrap();
    assert!(none.low < 0.0 && none.high > 0.0, "{none:?}");
}

/// A question of which one side is not known is no pair.
#[test]
fn only_what_is_known_is_paired() {
    let (a, b) = arms();
    let mut partly = a.clone();
    for outcome in &mut partly.outcomes[..3] {
        outcome.format.ended = None;
        outcome.rep = None;
    }
    assert_eq!(compared(Metric::FMT, &[&partly], &[&b]).difference.n, 4);
    assert_eq!(compared(Metric::REP, &[&partly], &[&b]).difference.n, 4);
    assert_eq!(compared(Metric::FMT, &[&partly, &a], &[&b]).difference.n, 7);
    for outcome in &mut partly.outcomes {
        outcome.format.ended = None;
    }
    assert_eq!(compare(Metric::FMT, &[&partly], &[&b]).unwrap(), None);
}

/// The confidence of a difference is that of its evaluations.
#[test]
fn settings_travel_with_the_evaluation() {
    let (a, b) = arms();
    let width = |metric, confidence: f64| {
        let mut a = a.clone();
        a.params.confidence = confidence;
        let mut b = b.clone();
        b.params.confidence = 0.5;
        let difference = compared(metric, &[&a], &[&b]).difference.interval.unwrap();
        let over = OverSeeds::of(metric, &[&a, &b]).unwrap().unwrap();
        let over = over.questions.interval.unwrap();
        (difference.high - difference.low, over.high - over.low)
    };
    for metric in [Metric::ACC, Metric::REP] {
        let (narrow, wide) = (width(metric, 0.5), width(metric, 0.95));
        assert!(narrow.0 < 0.6 * wide.0, "{metric:?} {narrow:?} {wide:?}");
        assert!(narrow.1 < 0.6 * wide.1, "{metric:?} {narrow:?} {wide:?}");
    }
}

/// statsmodels' weighted mean and variance.
#[test]
fn shares_apart_agree_with_statsmodels() {
    for case in fixture::load().shares_apart {
        let found = agresti_min(&case.differences, case.confidence);
        fixture::close(found.value, case.value);
        fixture::close(found.interval.unwrap().low, case.low);
        fixture::close(found.interval.unwrap().high, case.high);
    }
}

#[test]
fn several_seeds() {
    let (a, b) = arms();
    let found = compared(Metric::ACC, &[&a, &b], &[&b]);
    assert_eq!(found.test, Test::PairedBootstrap);
    // Of each question A's mean less B: half of the six that are apart.
    close(found.difference.value, 2.0 / 7.0);
    close(found.mean_square, 6.0 * 0.25 / 7.0);
    assert!(found.p > 0.01 && found.p < 0.5, "{found:?}");

    let over = OverSeeds::of(Metric::ACC, &[&a, &b]).unwrap().unwrap();
    close(over.questions.value, 4.0 / 7.0);
    close(over.sd.unwrap(), (4.0 / 7.0) / 2.0_f64.sqrt());
    assert_eq!((over.seeds, over.questions.n), (2, 7));
    let means = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0];
    assert_eq!(Some(over.questions), share_over_seeds(&means, 2, 0.95));
    // All questions have gold yes, so it is the accuracy.
    let balanced = OverSeeds::of(Metric::BALANCED_ACC, &[&a, &b])
        .unwrap()
        .unwrap();
    close(balanced.questions.value, 4.0 / 7.0);

    // All right in all seeds: a share of 100 % of seven questions is no certainty.
    let all = OverSeeds::of(Metric::PARSED, &[&a, &b]).unwrap().unwrap();
    assert_eq!(all.sd, Some(0.0));
    assert!(all.questions.interval.unwrap().low < 0.7);

    let one = OverSeeds::of(Metric::ACC, &[&a]).unwrap().unwrap();
    assert_eq!((one.sd, one.questions), (None, a.accuracy));
    assert_eq!(OverSeeds::of(Metric::ACC_OPTIONS, &[&a, &b]).unwrap(), None);
}

#[test]
fn other_questions_are_an_error() {
    let a = evaluation(&[("x", true, 1), ("y", true, 1), ("z", true, 1)]);
    let b = evaluation(&[
        ("y", true, 1),
        ("z", true, 1),
        ("w", true, 1),
        ("v", true, 1),
    ]);
    let error = compare(Metric::ACC, &[&a], &[&b]).unwrap_err();
    for words in [
        "3 questions, the other 4",
        "2 of them are the same",
        "`x`",
        "\nhint: ",
    ] {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    let error = OverSeeds::of(Metric::ACC, &[&b, &a]).unwrap_err();
    assert!(error.to_string().contains("`v`"), "{error}");
    let none = compare(Metric::ACC, &[], &[&b]).unwrap_err();
    assert!(matches!(none, MetricError::Empty { .. }), "{none}");
    // The same ids of another dataset.
    let mut elsewhere = a.clone();
    elsewhere.questions = crate::key::Digest::of(b"other words");
    let error = compare(Metric::ACC, &[&a], &[&elsewhere]).unwrap_err();
    assert_eq!(error, MetricError::OtherContent { questions: 3 });
    // Seeds of one arm that are asked other things: every question counts, and arms are paired within each seed.
    let [over, one] = [&[&a, &elsewhere][..], &[&a]]
        .map(|seeds| OverSeeds::of(Metric::ACC, seeds).unwrap().unwrap());
    assert_eq!((over.questions.n, one.questions.n), (6, 3));
    let values = [over, one].map(|found| found.questions.value.to_bits());
    assert_eq!(values[0], values[1]);
    let [wide, narrow] = [one, over].map(|over| {
        let interval = over.questions.interval.unwrap();
        interval.high - interval.low
    });
    assert!(narrow < wide, "{narrow} {wide}");
    let paired = compare(Metric::ACC, &[&a, &elsewhere], &[&elsewhere, &a]);
    let paired = paired.unwrap().unwrap();
    assert_eq!(
        (paired.difference.n, paired.difference.value.to_bits()),
        (6, 0)
    );
    let mut twice = a.clone();
    twice.outcomes.push(a.outcomes[0].clone());
    let error = compare(Metric::ACC, &[&twice], &[&a]).unwrap_err();
    assert!(error.to_string().contains("`x` twice"), "{error}");
}

/// A metric's figure is the mean of its questions' values.
#[test]
fn figures_are_means_over_questions() {
    let (a, _) = arms();
    for metric in Metric::all().filter(|metric| metric.beside().is_none()) {
        let values: Vec<f64> = a.outcomes.iter().filter_map(|o| metric.value(o)).collect();
        let Some(figure) = metric.of(&a) else {
            let unmeasured = [Metric::ACC_OPTIONS, Metric::BRIER].map(Metric::name);
            let of_scores = ["reasoning-written", "facts-true", "conclusion-valid"];
            let unmeasured = [&unmeasured[..], &["exclamations"], &of_scores].concat();
            assert!(unmeasured.contains(&metric.name()) && values.is_empty());
            continue;
        };
        close(
            figure.value,
            values.iter().sum::<f64>() / values.len() as f64,
        );
        assert!(!metric.is_share() || values.iter().all(|value| [0.0, 1.0].contains(value)));
    }
}
