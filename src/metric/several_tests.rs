use super::*;
use crate::key::Digest;
use crate::metric::{
    Estimate, EvalParams, Evaluation, IntervalMethod, Metric, MetricError, OverSeeds, Test,
    compare, evaluate, evaluate_scored, fixture,
};
use crate::text::{
    AnswerForm, EndReason, Hint, LogProbSummary, Prediction, Question, ReasoningPath,
};

fn question(id: &str, answer: &str) -> Question {
    Question {
        id: id.into(),
        question: "How many?".into(),
        choices: vec![],
        form: AnswerForm::Number,
        answer: answer.into(),
        rationale: None,
    }
}

/// Answers to a question, numbered; an empty one cannot be read. Each token of the i-th has the log-probability -i.
fn answers(id: &str, said: &[&str]) -> Vec<Prediction> {
    (0..)
        .zip(said)
        .map(|(draw, said)| Prediction {
            question_id: id.into(),
            draw,
            prompt: String::new(),
            hint: Hint::None,
            output: match *said {
                "" => "I do not know.".into(),
                said => format!("So the answer is {said}."),
            },
            tokens: vec![],
            end: EndReason::EndOfText,
            end_token: None,
            log_prob: Some(LogProbSummary {
                sum: -2.0 * f64::from(draw),
                count: 2,
                first: 0.0,
                min: 0.0,
            }),
            option_log_probs: vec![],
        })
        .collect()
}

fn measured(of: &[(&str, &str, &[&str])], params: &EvalParams) -> Evaluation {
    let questions: Vec<Question> = of.iter().map(|(id, gold, _)| question(id, gold)).collect();
    let predictions: Vec<Prediction> = (of.iter())
        .flat_map(|(id, _, said)| answers(id, said))
        .collect();
    evaluate(&questions, &predictions, params).unwrap()
}

fn figure(evaluation: &Evaluation, name: &str) -> Estimate {
    Metric::named(name).unwrap().of(evaluation).unwrap()
}

fn value(evaluation: &Evaluation, name: &str) -> f64 {
    figure(evaluation, name).value
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

/// The outcomes of one question.
fn outcomes(gold: &str, said: &[&str]) -> Vec<QuestionOutcome> {
    measured(&[("q", gold, said)], &EvalParams::default()).outcomes
}

#[test]
fn votes_by_hand() {
    for (said, right) in [
        (&["7", "7", "3"][..], 1.0),
        (&["3", "7", "3"], 0.0),
        // Of equals the first drawn.
        (&["7", "3"], 1.0),
        (&["3", "7"], 0.0),
        (&["3", "7", "7", "3"], 0.0),
        // What cannot be read does not vote.
        (&["", "", "7"], 1.0),
        (&["", ""], 0.0),
        (&["7"], 1.0),
    ] {
        close(majority(&outcomes("7", said)), right);
    }
}

#[test]
fn choices_by_hand() {
    let with = |said: &[&str], numbers: &[Option<f64>]| {
        let mut outcomes = outcomes("7", said);
        for (outcome, number) in outcomes.iter_mut().zip(numbers) {
            (outcome.score, outcome.weight) = (*number, *number);
        }
        outcomes
    };
    let (said, none) = (["3", "7", "7", ""], None);
    for (numbers, chosen, voted) in [
        // The greatest alone, and the greatest sum.
        (
            [Some(0.5), Some(0.3), Some(0.3), none],
            Some(0.0),
            Some(1.0),
        ),
        (
            [Some(0.7), Some(0.3), Some(0.3), none],
            Some(0.0),
            Some(0.0),
        ),
        ([Some(0.1), Some(0.2), none, none], Some(1.0), Some(1.0)),
        // Of equals the first; what cannot be read may be chosen, and does not vote.
        ([Some(0.6), Some(0.6), none, none], Some(0.0), Some(0.0)),
        (
            [Some(0.1), Some(0.2), Some(0.2), Some(0.9)],
            Some(0.0),
            Some(1.0),
        ),
        ([none, none, none, Some(0.9)], Some(0.0), Some(0.0)),
        ([none; 4], None, None),
    ] {
        let outcomes = with(&said, &numbers);
        assert_eq!(best(&outcomes), chosen, "{numbers:?}");
        assert_eq!(weighted(&outcomes), voted, "{numbers:?}");
    }
    // There is nothing to choose of one.
    let one = with(&["7"], &[none]);
    assert_eq!((best(&one), weighted(&one)), (Some(1.0), Some(1.0)));
}

/// Against the definition: the share of all sets of `k` answers that hold a right one.
#[test]
fn pass_at_k_is_the_share_of_sets() {
    for n in 1..=8_usize {
        for right in 0..=n {
            let said: Vec<&str> = (0..n).map(|i| if i < right { "7" } else { "3" }).collect();
            let outcomes = outcomes("7", &said);
            for k in 1..=n {
                let sets = (0..1_u32 << n).filter(|set| set.count_ones() as usize == k);
                let (mut all, mut hit) = (0, 0);
                for set in sets {
                    all += 1;
                    hit += u32::from((0..right).any(|i| (set >> i) & 1 == 1));
                }
                let found = pass(&outcomes, k).unwrap();
                close(found, f64::from(hit) / f64::from(all));
            }
            assert_eq!(pass(&outcomes, n + 1), None);
            assert_eq!(pass(&outcomes, 0), None);
        }
    }
}

#[test]
fn brier_by_hand() {
    // Shares 1/2 right, 1/4 one wrong answer, 1/4 unread.
    close(brier_of_votes(&outcomes("7", &["7", "3", "7", ""])), 0.375);
    close(brier_of_votes(&outcomes("7", &["7", "7"])), 0.0);
    close(brier_of_votes(&outcomes("7", &["3", "3"])), 2.0);
    close(brier_of_votes(&outcomes("7", &["3", "4"])), 1.5);
    // Of options: 0.75 on the gold one of two.
    let mut question = question("q", "yes");
    question.form = AnswerForm::YesNo;
    let mut answer = answers("q", &["yes"]);
    answer[0].option_log_probs = vec![0.75_f64.ln() - 3.0, 0.25_f64.ln() - 3.0];
    let calibrated = EvalParams {
        calibration: true,
        ..EvalParams::default()
    };
    let of =
        |params: &EvalParams| evaluate(std::slice::from_ref(&question), &answer, params).unwrap();
    close(of(&calibrated).brier.unwrap().value, 0.125);
    assert_eq!(of(&EvalParams::default()).brier, None);
}

/// Two questions of four answers each.
fn two() -> Evaluation {
    let of: [(&str, &str, &[&str]); 2] = [
        ("a", "7", &["7", "3", "7", ""]),
        ("b", "5", &["2", "2", "5", "2"]),
    ];
    measured(&of, &EvalParams::default())
}

#[test]
fn figures_of_several_answers() {
    let found = two();
    assert_eq!(
        (found.answers_each(), found.asked(), found.outcomes.len()),
        (4, 2, 8)
    );
    close(found.accuracy.value, 0.375); // 2 and 1 of 4
    close(value(&found, "avg@n"), 0.375);
    close(found.parsed.value, 0.875);
    close(value(&found, "maj@n"), 0.5);
    close(value(&found, "pass@1"), 0.375);
    close(value(&found, "pass@2"), f64::midpoint(5.0 / 6.0, 0.5));
    close(value(&found, "pass@3"), f64::midpoint(1.0, 0.75)); // not kept, and made of the outcomes
    close(value(&found, "pass@4"), 1.0);
    close(value(&found, "best@n"), 0.5); // the first has the greatest log-probability
    assert_eq!(Metric::named("margin-vote@n").unwrap().of(&found), None);
    assert_eq!(Metric::named("pass@5").unwrap().of(&found), None);
    // A question is a case, whatever its answers.
    for name in ["acc", "avg@n", "maj@n", "pass@2", "len", "parsed", "fmt"] {
        assert_eq!(figure(&found, name).n, 2, "{name}");
    }
    assert_eq!(found.accuracy.method, IntervalMethod::WilsonOverAnswers);
    assert_eq!(figure(&found, "maj@n").method, IntervalMethod::Wilson);
    let kept: Vec<&str> = found.figures.keys().map(String::as_str).collect();
    assert_eq!(
        kept,
        ["best@n", "brier@n", "maj@n", "pass@1", "pass@2", "pass@4"]
    );
    let shown: Vec<&str> = found
        .columns()
        .into_iter()
        .map(|(title, ..)| title)
        .collect();
    assert!(
        shown.contains(&"avg@n") && shown.contains(&"pass@4"),
        "{shown:?}"
    );
}

/// Eight answers that are all alike say no more of a question than one.
#[test]
fn intervals_are_over_questions() {
    let said = |right: bool| if right { ["7"; 8] } else { ["3"; 8] };
    let rows: Vec<(String, [&str; 8])> = (0..20).map(|i| (format!("q{i}"), said(i < 13))).collect();
    let of = |n: usize| {
        let of: Vec<(&str, &str, &[&str])> = rows
            .iter()
            .map(|(id, said)| (id.as_str(), "7", &said[..n]))
            .collect();
        measured(&of, &EvalParams::default())
    };
    let (one, eight) = (of(1), of(8));
    for name in ["acc", "parsed", "pass@1", "len"] {
        let (one, eight) = (figure(&one, name), figure(&eight, name));
        close(one.value, eight.value);
        let ends = |figure: &Estimate| figure.interval.map(|bounds| (bounds.low, bounds.high));
        match (ends(&one), ends(&eight)) {
            (Some(one), Some(eight)) => {
                fixture::close(one.0, eight.0);
                fixture::close(one.1, eight.1);
            }
            (one, eight) => assert_eq!(one, eight, "{name}"),
        }
    }
    // And of one answer nothing is shown that was not.
    let shown: Vec<&str> = one.columns().into_iter().map(|(title, ..)| title).collect();
    assert!(!shown.iter().any(|title| title.contains('@')), "{shown:?}");
    assert!(one.figures.is_empty());
    let outcome = serde_json::to_value(&one.outcomes[0]).unwrap();
    assert!(outcome.get("draw").is_none() && outcome.get("brier").is_none());
}

#[test]
fn tests_are_over_questions() {
    let arm = |right: usize| {
        let ids: Vec<String> = (0..12).map(|i| format!("q{i}")).collect();
        let said = |i: usize| {
            if i < right {
                ["7", "7", "3"]
            } else {
                ["3", "3", "7"]
            }
        };
        let said: Vec<[&str; 3]> = (0..12).map(said).collect();
        let of: Vec<(&str, &str, &[&str])> = (ids.iter().zip(&said))
            .map(|(id, said)| (id.as_str(), "7", &said[..]))
            .collect();
        measured(&of, &EvalParams::default())
    };
    let (a, b) = (arm(12), arm(2));
    let of = |name: &str| {
        compare(Metric::named(name).unwrap(), &[&a], &[&b])
            .unwrap()
            .unwrap()
    };
    // A vote is yes or no for each question, a mean of answers is not.
    let vote = of("maj@n");
    assert_eq!((vote.test, vote.difference.n), (Test::ExactMcnemar, 12));
    close(vote.p, 2.0 / 1024.0);
    for name in ["acc", "avg@n"] {
        let mean = of(name);
        assert_eq!(
            (mean.test, mean.difference.n),
            (Test::PairedBootstrap, 12),
            "{name}"
        );
        close(mean.difference.value, 10.0 / 36.0);
        close(mean.mean_square, 10.0 / 108.0);
    }
    let pass = of("pass@2");
    assert_eq!(pass.test, Test::PairedBootstrap);
    close(pass.difference.value, 10.0 / 36.0); // 1 against 2/3 of three pairs
    // Two seeds of three answers are six for each question.
    let over = OverSeeds::of(Metric::ACC, &[&a, &b]).unwrap().unwrap();
    close(over.questions.value, f64::midpoint(2.0 / 3.0, 7.0 / 18.0));
}

#[test]
fn answers_have_to_be_numbered_and_as_many() {
    let questions = [question("a", "7"), question("b", "7")];
    let all = [answers("a", &["7", "7"]), answers("b", &["7", "3"])].concat();
    let of = |predictions: &[Prediction], params: &EvalParams| {
        evaluate(&questions, predictions, params).map(|_| ())
    };
    let usual = EvalParams::default();
    assert_eq!(of(&all, &usual), Ok(()));
    let fewer = MetricError::Answers {
        question_id: "b".into(),
        found: 1,
        expected: 2,
    };
    assert_eq!(of(&all[..3], &usual), Err(fewer.clone()));
    let mut gap = all.clone();
    gap[3].draw = 4;
    let gap = of(&gap, &usual).unwrap_err();
    assert!(
        matches!(gap, MetricError::Answers { expected: 5, .. }),
        "{gap}"
    );
    let mut twice = all.clone();
    twice[3].draw = 0;
    let twice = of(&twice, &usual).unwrap_err();
    assert!(
        matches!(twice, MetricError::Coverage { repeated: 1, .. }),
        "{twice}"
    );
    let three = EvalParams {
        pass_k: vec![1, 3],
        ..EvalParams::default()
    };
    assert_eq!(
        of(&all, &three),
        Err(MetricError::TooFewAnswers { k: 3, n: 2 })
    );
}

#[test]
fn scores_come_with_the_paths() {
    let questions = [question("a", "7")];
    let predictions = answers("a", &["3", "7", "7"]);
    let paths: Vec<ReasoningPath> = (predictions.iter().zip([0.5, 0.3, 0.3]))
        .map(|(answer, margin)| ReasoningPath {
            question_id: answer.question_id.clone(),
            stream: Digest::default(),
            first_token: None,
            draw: answer.draw,
            hint: Hint::None,
            text: answer.output.clone(),
            tokens: vec![],
            log_prob: None,
            end: answer.end,
            end_token: None,
            answer_text: None,
            scores: [
                ("answer_margin".to_owned(), margin),
                ("judge".to_owned(), -margin),
            ]
            .into(),
            unparsed: std::collections::BTreeSet::new(),
        })
        .collect();
    let of = |scored: Option<&[ReasoningPath]>, best_by: &str| {
        let params = EvalParams {
            best_by: best_by.into(),
            ..EvalParams::default()
        };
        evaluate_scored(&questions, &predictions, scored, &params)
    };
    let found = of(Some(&paths), "judge").unwrap();
    close(value(&found, "margin-vote@n"), 1.0);
    close(value(&found, "best@n"), 1.0);
    close(value(&of(Some(&paths), "log_prob").unwrap(), "best@n"), 0.0);
    // A score that is a metric by itself: the share of the answers that have it.
    let reasoned = |found: &Evaluation| Metric::named("reasoning-written").unwrap().of(found);
    assert_eq!(reasoned(&found), None);
    let mut judged = paths.clone();
    for (path, score) in judged.iter_mut().zip([1.0, 0.0, 1.0]) {
        path.scores.insert("reasoning_written".to_owned(), score);
    }
    let found = of(Some(&judged), "judge").unwrap();
    close(value(&found, "reasoning-written"), 2.0 / 3.0);
    // What was asked for and could not be read is there, and nobody's.
    let mut unread = paths.clone();
    for path in &mut unread {
        path.scores.clear();
        path.unparsed.insert("judge".to_owned());
    }
    let found = of(Some(&unread), "judge").unwrap();
    assert_eq!(Metric::named("best@n").unwrap().of(&found), None);
    // A question out of whose answers nothing was read has no score to choose by: it is wrong, not left out.
    let both = [question("a", "7"), question("b", "7")];
    let mut answered = answers("a", &["3", "7", "7"]);
    answered.extend(answers("b", &["", "", ""]));
    let mut scored = paths.clone();
    for draw in 0..3 {
        let mut path = unread[0].clone();
        path.question_id = "b".to_owned();
        path.draw = draw;
        path.text = "I do not know.".to_owned();
        path.unparsed = ["answer_margin", "judge"].map(str::to_owned).into();
        scored.push(path);
    }
    let params = EvalParams {
        best_by: "judge".into(),
        ..EvalParams::default()
    };
    let found = evaluate_scored(&both, &answered, Some(&scored), &params).unwrap();
    for name in ["best@n", "margin-vote@n"] {
        let figure = figure(&found, name);
        assert_eq!((figure.value, figure.n), (0.5, 2), "{name}");
    }
    let error = of(Some(&paths), "kindness").unwrap_err().to_string();
    assert!(
        error.contains("`kindness`") && error.contains("`answer_margin`, `judge`, `log_prob`"),
        "{error}"
    );
    let error = of(Some(&paths[1..]), "judge").unwrap_err();
    assert!(
        matches!(
            error,
            MetricError::NotScored {
                missing: 1,
                draw: 0,
                ..
            }
        ),
        "{error}"
    );
}
