use super::*;
use crate::metric::Metric::{Acc, Fmt, Len, Parsed, Rep};
use crate::metric::{EvalParams, OverSeeds, bootstrap_mean, evaluate};
use crate::text::{AnswerForm, EndReason, Prediction, Question};

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
                prompt: String::new(),
                output: format!("{}So the answer is {answer}.", "word ".repeat(words)),
                tokens: vec![],
                end: EndReason::EndOfText,
                end_token: None,
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

#[test]
fn one_seed_each() {
    let (a, b) = arms();
    let found = compare(&[&a], &[&b], &Resampling::default()).unwrap();
    let metrics: Vec<Metric> = found.iter().map(|each| each.metric).collect();
    // No options were scored.
    assert_eq!(metrics, [Acc, Fmt, Len, Rep, Parsed]);
    let acc = found[0];
    close(acc.difference.value, 4.0 / 7.0);
    close(acc.p, 14.0 / 64.0); // 1 of 6: 2 (1 + 6) / 64
    assert_eq!(acc.test, Test::ExactMcnemar);
    close(acc.mean_square, 6.0 / 7.0);
    assert_eq!(acc.difference.n, 7);
    assert!(
        acc.difference.low < acc.difference.value && acc.difference.value < acc.difference.high
    );
    let len = found[2];
    close(len.difference.value, 2.0);
    close(len.difference.low, 2.0);
    close(len.p, 2.0 / 10_001.0);
    assert_eq!(len.test, Test::PairedBootstrap);
    close(found[4].p, 1.0); // all parsed on both sides

    let turned = compare_on(Acc, &[&b], &[&a], &Resampling::default());
    let turned = turned.unwrap().unwrap();
    close(turned.difference.value, -4.0 / 7.0);
    assert_eq!(turned.p.to_bits(), acc.p.to_bits());
}

#[test]
fn several_seeds() {
    let (a, b) = arms();
    let found = compare_on(Metric::Acc, &[&a, &b], &[&b], &Resampling::default());
    let found = found.unwrap().unwrap();
    assert_eq!(found.test, Test::PairedBootstrap);
    // Of each question A's mean less B: half of the six that are apart.
    close(found.difference.value, 2.0 / 7.0);
    close(found.mean_square, 6.0 * 0.25 / 7.0);
    assert!(found.p > 0.01 && found.p < 0.5, "{found:?}");

    let over = OverSeeds::of(Metric::Acc, &[&a, &b], &Resampling::default());
    let over = over.unwrap().unwrap();
    close(over.mean, 4.0 / 7.0);
    close(over.sd.unwrap(), (4.0 / 7.0) / 2.0_f64.sqrt());
    assert_eq!((over.seeds, over.questions.n), (2, 7));
    let means = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0];
    let by_question = bootstrap_mean(&means, &Resampling::default(), Metric::Acc.stream());
    assert_eq!(over.questions, by_question);

    let one = OverSeeds::of(Metric::Acc, &[&a], &Resampling::default());
    let one = one.unwrap().unwrap();
    assert_eq!((one.sd, one.questions), (None, a.accuracy));
    let unscored = OverSeeds::of(Metric::AccOptions, &[&a, &b], &Resampling::default());
    assert_eq!(unscored.unwrap(), None);
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
    let error = compare(&[&a], &[&b], &Resampling::default()).unwrap_err();
    for words in [
        "3 questions, the other 4",
        "2 of them are the same",
        "`x`",
        "\nhint: ",
    ] {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    let error = OverSeeds::of(Metric::Acc, &[&b, &a], &Resampling::default()).unwrap_err();
    assert!(error.to_string().contains("`v`"), "{error}");
    let none = compare(&[], &[&b], &Resampling::default()).unwrap_err();
    assert!(matches!(none, MetricError::Empty { .. }), "{none}");
    let mut twice = a.clone();
    twice.outcomes.push(a.outcomes[0].clone());
    let error = compare(&[&twice], &[&a], &Resampling::default()).unwrap_err();
    assert!(error.to_string().contains("`x` twice"), "{error}");
}

/// A metric's figure is the mean of its questions' values.
#[test]
fn figures_are_means_over_questions() {
    let (a, _) = arms();
    for metric in Metric::ALL {
        let (Some(figure), Some(values)) = (metric.of(&a), metric.per_question(&a)) else {
            assert_eq!(metric, Metric::AccOptions);
            continue;
        };
        let mean = values.iter().map(|(_, value)| value).sum::<f64>() / values.len() as f64;
        close(figure.value, mean);
        assert!(!metric.is_share() || values.iter().all(|(_, value)| [0.0, 1.0].contains(value)));
    }
}
