use super::*;
use crate::filter::{Conclusions, Needed, ScoreLimit, Select, SelectRule, conclusions};
use crate::key::Digest;
use crate::text::{AnswerForm, EndReason, LogProbSummary, Reading, imitative_complete};

fn question(id: &str) -> Question {
    Question {
        id: id.into(),
        question: "Do bees live in the sea?".into(),
        choices: vec![],
        form: AnswerForm::YesNo,
        answer: "no".into(),
        rationale: None,
    }
}

const REASONING: &str = "Bees build their hives of wax in hollow trees and under roofs.";

/// A path of 30 tokens with `repeats` repeated bigrams (of 29) and perplexity 8.
fn path(question_id: &str, draw: u32, repeats: u32) -> ReasoningPath {
    // `repeats + 1` equal tokens in a row make `repeats` bigrams, all one.
    let tokens: Vec<u32> = (0..30)
        .map(|i| if i <= repeats + 1 { 0 } else { i })
        .collect();
    ReasoningPath {
        question_id: question_id.into(),
        stream: Digest::of(format!("{question_id} {draw}").as_bytes()),
        first_token: None,
        draw,
        hint: crate::text::Hint::None,
        text: REASONING.into(),
        tokens,
        log_prob: Some(LogProbSummary {
            sum: -31.0 * 8f64.ln(),
            count: 31,
            first: -1.0,
            min: -3.0,
        }),
        end: EndReason::EndOfText,
        end_token: None,
        answer_text: None,
        scores: BTreeMap::new(),
        unparsed: std::collections::BTreeSet::new(),
    }
}

fn decisions(filtered: &Filtered) -> Vec<String> {
    filtered
        .paths
        .iter()
        .map(|each| match &each.decision {
            FilterDecision::Kept => "kept".into(),
            FilterDecision::Dropped(DropReason { by, because }) => format!("{by}: {because}"),
        })
        .collect()
}

#[test]
fn ended_drops_what_was_cut_and_only_where_it_is_switched_on() {
    let mut paths: Vec<ReasoningPath> = (0..4).map(|draw| path("q", draw, 0)).collect();
    let ends = [
        EndReason::Length,
        EndReason::EndOfText,
        EndReason::Unknown,
        EndReason::Imitative,
    ];
    for (path, end) in paths.iter_mut().zip(ends) {
        path.end = end;
    }
    let mut params = FilterParams {
        select: Select {
            rule: SelectRule::All,
            ..Select::default()
        },
        ..FilterParams::default()
    };
    let off = filter(paths.clone(), &[question("q")], &params, 1).unwrap();
    assert_eq!(decisions(&off), ["kept"; 4]);
    assert!(off.funnel.steps.iter().all(|step| step.name != "ended"));
    params.ended.enabled = true;
    let on = filter(paths, &[question("q")], &params, 1).unwrap();
    assert_eq!(
        decisions(&on),
        [
            "ended: it ended by length, not by itself",
            "kept",
            "kept",
            "kept"
        ]
    );
    let first = &on.funnel.steps[0];
    assert_eq!((first.name.as_str(), first.dropped), ("ended", 1));
}

#[test]
fn each_step_says_what_it_saw() {
    let mut paths: Vec<ReasoningPath> = (0..7).map(|draw| path("q", draw, 0)).collect();
    paths[0].text = " No\nQuestion: Is tin red? Answer: No".into();
    paths[1].text = " No".into();
    paths[2].tokens.truncate(24);
    paths[3] = path("q", 3, 6); // 6 of 29 bigrams: 0.207
    paths[4].log_prob = Some(LogProbSummary {
        sum: -31.0 * 4f64.ln(),
        count: 31,
        first: -1.0,
        min: -3.0,
    });
    paths[5] = path("q", 5, 2);
    let filtered = filter(paths, &[question("q")], &FilterParams::default(), 1).unwrap();
    assert_eq!(
        decisions(&filtered),
        [
            "pattern: imitative: it asks a question again, `Question: ... Answer:`",
            "pattern: direct response: an answer without reasoning",
            "length: 24 tokens, at least 25 wanted",
            "repetition: rep-2 0.207, at most 0.2 wanted",
            "perplexity: perplexity 4.000, at least 5 wanted",
            "select: rep-2 0.069 comes 2 of 2, lowest first; 1 kept per question",
            "kept",
        ]
    );
    let text = serde_json::to_string(&filtered).unwrap();
    assert_eq!(serde_json::from_str::<Filtered>(&text).unwrap(), filtered);
    let funnel = &filtered.funnel;
    assert_eq!(
        funnel.rows(),
        [
            ("sampled".to_owned(), 0, 7, 1),
            ("pattern".to_owned(), 2, 5, 1),
            ("length".to_owned(), 1, 4, 1),
            ("repetition".to_owned(), 1, 3, 1),
            ("perplexity".to_owned(), 1, 2, 1),
            ("select".to_owned(), 1, 1, 1),
        ]
    );
    assert_eq!(funnel.steps[0].by_rule["imitative"], 1);
    assert_eq!((funnel.kept, funnel.questions_kept), (1, 1));
    assert!(funnel.adds_up());
    let mut wrong = funnel.clone();
    wrong.steps[2].dropped = 2;
    assert!(!wrong.adds_up());
}

/// A list decides which steps run, in which order, and one more than once with other limits.
#[test]
fn listed_steps_run_in_their_order() {
    let mut paths: Vec<ReasoningPath> = (0..5).map(|draw| path("q", draw, 0)).collect();
    paths[0].text = " No".into();
    paths[1].tokens.truncate(24);
    paths[2].tokens.truncate(3);
    paths[3] = path("q", 3, 6);
    let run = |steps: &str| {
        let params: FilterParams = toml::from_str(steps).unwrap();
        filter(paths.clone(), &[question("q")], &params, 1)
    };
    let names = |filtered: &Filtered| -> Vec<(String, usize)> {
        let steps = filtered.funnel.steps.iter();
        steps
            .map(|step| (step.name.clone(), step.dropped))
            .collect()
    };
    let default = run("").unwrap();
    let listed = "steps = ['pattern', 'length', 'repetition', 'perplexity', 'score', 'select']";
    assert_eq!(run(listed).unwrap(), default);
    let twice = "steps = [{ step = 'length', min_tokens = 4 }, 'select', 'length', 'pattern']";
    let twice = run(&format!("{twice}\nselect.keep = 4\nlength.min_tokens = 30")).unwrap();
    let counted = [
        ("length", 1),
        ("select", 0),
        ("length 2", 1),
        ("pattern", 1),
    ];
    assert_eq!(
        names(&twice),
        counted.map(|(name, dropped)| (name.to_owned(), dropped))
    );
    assert_eq!(
        decisions(&twice),
        [
            "pattern: direct response: an answer without reasoning",
            "length 2: 24 tokens, at least 30 wanted",
            "length: 3 tokens, at least 4 wanted",
            "kept",
            "kept",
        ]
    );
    assert_eq!(run("steps = []").unwrap().funnel.kept, 5);

    // What is asked of paths, by the key that asks; and how to do without it.
    let params = "steps = ['select', { step = 'perplexity', min_perplexity = 2 }, { step = 'score', name = 's', min = 1 }]";
    let needs = toml::from_str::<FilterParams>(params)
        .unwrap()
        .needs()
        .unwrap();
    let of = |place: &str, needed| (place.to_owned(), needed);
    assert_eq!(
        needs,
        [
            of("select", Needed::Tokens),
            of("steps[1]", Needed::LogProbs),
            of("steps[2].name", Needed::Score("s".into())),
            of("steps[2].min", Needed::Bound("s".into(), 1.0)),
        ]
    );
    for path in &mut paths {
        path.log_prob = None;
    }
    let params: FilterParams = toml::from_str("steps = ['perplexity']").unwrap();
    let error = filter(paths, &[question("q")], &params, 1).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("take `perplexity` out of `steps`"),
        "{error}"
    );
}

#[test]
fn limits_are_inclusive_as_the_paper_words_them() {
    // 25 tokens are not "shorter than 25"; a rep at its limit is not "above" it, and a perplexity at
    // its limit not "lower".
    let mut edge = path("q", 0, 0);
    edge.tokens = (0..25).collect();
    edge.tokens[..7].fill(99); // 6 equal bigrams of 24: 5 repeats
    let mut params = FilterParams::default();
    params.repetition.max_rate = 1.0 - 19.0 / 24.0;
    params.perplexity.min_perplexity = edge.log_prob.unwrap().perplexity().unwrap();
    let kept = filter(vec![edge], &[question("q")], &params, 0).unwrap();
    assert_eq!(decisions(&kept), ["kept"]);
}

#[test]
fn ties_do_not_depend_on_draw_order() {
    let paths: Vec<ReasoningPath> = (0..25).map(|draw| path("q", draw, 0)).collect();
    let mut turned = paths.clone();
    turned.reverse();
    let questions = [question("q")];
    let kept = |paths: &[ReasoningPath], seed, params: &FilterParams| -> Vec<u32> {
        let filtered = filter(paths.to_vec(), &questions, params, seed).unwrap();
        filtered.kept().map(|path| path.draw).collect()
    };
    let params = FilterParams::default();
    assert_eq!(kept(&paths, 7, &params), kept(&turned, 7, &params));
    // The choice of one path stays when others go: it is a rank, not a draw.
    let chosen = kept(&paths, 7, &params)[0];
    let fewer: Vec<_> = paths
        .iter()
        .filter(|p| p.draw == chosen || p.draw % 2 == 0)
        .cloned()
        .collect();
    assert_eq!(kept(&fewer, 7, &params), [chosen]);
    let by_seed: std::collections::BTreeSet<u32> =
        (0..20).map(|seed| kept(&paths, seed, &params)[0]).collect();
    assert!(by_seed.len() > 5, "{by_seed:?}");
    let mut random = params.clone();
    random.select.rule = SelectRule::Random;
    assert_eq!(kept(&paths, 7, &random), [chosen]);
}

#[test]
fn scores_and_ranks() {
    let mut paths: Vec<ReasoningPath> = (0..4).map(|draw| path("q", draw, 0)).collect();
    for (path, score) in paths.iter_mut().zip([2.0, 7.0, 9.0, 8.0]) {
        path.scores.insert("coherence".into(), score);
    }
    let mut params = FilterParams {
        scores: vec![ScoreLimit {
            name: "coherence".into(),
            min: Some(5.0),
            max: Some(8.5),
        }],
        ..FilterParams::default()
    };
    params.select.rule = SelectRule::HighestScore;
    params.select.score = Some("coherence".into());
    let questions = [question("q")];
    let filtered = filter(paths.clone(), &questions, &params, 0).unwrap();
    assert_eq!(
        decisions(&filtered),
        [
            "score coherence: coherence 2, 5 to 8.5 wanted",
            "select: score 7 comes 2 of 2, highest first; 1 kept per question",
            "score coherence: coherence 9, 5 to 8.5 wanted",
            "kept",
        ]
    );
    params.select.rule = SelectRule::All;
    assert_eq!(
        filter(paths.clone(), &questions, &params, 0)
            .unwrap()
            .funnel
            .kept,
        2
    );
    paths[1].scores.clear();
    let error = filter(paths, &questions, &params, 0).unwrap_err();
    assert!(
        error.to_string().contains("score `coherence` is missing"),
        "{error}"
    );
}

/// A comparison with what is no number is false, so each limit has to ask.
#[test]
fn what_is_no_number_passes_no_limit() {
    let questions = [question("q")];
    let kept = |path: ReasoningPath, params: &FilterParams| {
        filter(vec![path], &questions, params, 0)
            .unwrap()
            .funnel
            .kept
    };
    let mut params = FilterParams::default();
    assert_eq!(kept(path("q", 0, 0), &params), 1);
    let mut unlikely = path("q", 0, 0);
    unlikely.log_prob.as_mut().unwrap().sum = f64::NAN;
    assert_eq!(kept(unlikely.clone(), &params), 0);
    params.perplexity.min_perplexity = 0.0;
    assert_eq!(kept(unlikely, &params), 0);
    for (min, max) in [(Some(5.0), None), (None, Some(8.0)), (Some(5.0), Some(8.0))] {
        params.scores = vec![ScoreLimit {
            name: "judge".into(),
            min,
            max,
        }];
        for (score, passes) in [(6.0, 1), (f64::NAN, 0)] {
            let mut scored = path("q", 0, 0);
            scored.scores.insert("judge".into(), score);
            assert_eq!(
                kept(scored, &params),
                passes,
                "{score} in {min:?} to {max:?}"
            );
        }
    }
}

/// An unparsed score is dropped by a rule of its own, and chosen by no ranking; it is no crash.
#[test]
fn an_unparsed_score_is_dropped_as_such() {
    let mut paths: Vec<ReasoningPath> = (0..4).map(|draw| path("q", draw, 0)).collect();
    for (path, score) in paths.iter_mut().zip([2.0, 7.0, 9.0]) {
        path.scores.insert("judge".into(), score);
    }
    paths[3].unparsed.insert("judge".into());
    let mut params = FilterParams {
        scores: vec![ScoreLimit {
            name: "judge".into(),
            min: Some(5.0),
            max: None,
        }],
        ..FilterParams::default()
    };
    params.select.rule = SelectRule::All;
    let questions = [question("q")];
    let funnel = |paths: &[ReasoningPath], params: &FilterParams| {
        filter(paths.to_vec(), &questions, params, 0).unwrap()
    };
    let filtered = funnel(&paths, &params);
    assert_eq!(
        decisions(&filtered)[3],
        "score judge: judge is unparsed: the stage that was asked for it found none"
    );
    let step = filtered
        .funnel
        .steps
        .iter()
        .find(|step| step.name == "score judge")
        .unwrap();
    let rules = BTreeMap::from([("out-of-range".to_owned(), 1), ("unparsed".to_owned(), 1)]);
    assert_eq!((step.dropped, &step.by_rule), (2, &rules));
    // Where nothing is unparsed the step has one rule, as it always had.
    let step = |paths: &[ReasoningPath]| funnel(paths, &params).funnel.steps[4].by_rule.clone();
    assert!(step(&paths[..3]).is_empty());

    params.scores.clear();
    params.select.rule = SelectRule::HighestScore;
    params.select.score = Some("judge".into());
    let filtered = funnel(&paths, &params);
    let kept: Vec<u32> = filtered.kept().map(|path| path.draw).collect();
    assert_eq!(kept, [2]);
    // Nobody is chosen rather than somebody unknown.
    assert_eq!(funnel(&paths[3..], &params).funnel.kept, 0);
}

#[test]
fn what_a_step_needs_and_lacks_is_said() {
    let questions = [question("q")];
    let mut teacher = path("q", 0, 0);
    teacher.tokens.clear();
    teacher.log_prob = None;
    let mut params = FilterParams::default();
    let run = |params: &FilterParams| filter(vec![teacher.clone()], &questions, params, 0);
    let error = run(&params).unwrap_err().to_string();
    assert!(
        error.contains("step `length` counts student tokens"),
        "{error}"
    );
    params.length.enabled = false;
    params.repetition.enabled = false;
    let error = run(&params).unwrap_err().to_string();
    assert!(
        error.contains("step `perplexity` needs log-prob"),
        "{error}"
    );
    params.perplexity.enabled = false;
    assert!(
        run(&params)
            .unwrap_err()
            .to_string()
            .contains("step `select`")
    );
    params.select.rule = SelectRule::Random;
    assert_eq!(run(&params).unwrap().funnel.kept, 1);

    // A model that drew end-of-text at once wrote nothing: short, not untokenised.
    let mut empty = path("q", 0, 0);
    (empty.text, empty.tokens) = (String::new(), vec![]);
    let filtered = filter(vec![empty], &questions, &FilterParams::default(), 0).unwrap();
    assert_eq!(
        decisions(&filtered),
        ["length: 0 tokens, at least 25 wanted"]
    );

    let stray = filter(vec![path("x", 0, 0)], &questions, &params, 0).unwrap_err();
    assert!(stray.to_string().contains("question `x`"), "{stray}");
    let twice = filter(vec![], &[question("q"), question("q")], &params, 0).unwrap_err();
    assert!(twice.to_string().contains("stands twice"), "{twice}");
}

/// What the hints say to set is there to be set, and setting it, one after the other, leads to a filter that runs.
#[test]
fn hints_name_what_can_be_set() {
    let mut teacher = path("q", 0, 0);
    teacher.tokens.clear();
    teacher.log_prob = None;
    for rule in [SelectRule::LowestRep, SelectRule::HighestPerplexity] {
        let mut params = FilterParams::default();
        params.select.rule = rule;
        let mut json = serde_json::to_value(params).unwrap();
        let mut done = Vec::new();
        loop {
            let params: FilterParams = serde_json::from_value(json.clone()).unwrap();
            let Err(error) = filter(vec![teacher.clone()], &[question("q")], &params, 0) else {
                break;
            };
            let error = error.to_string();
            let (_, hint) = error.split_once("; set `").unwrap();
            let (key, value) = hint.split_once('`').unwrap().0.split_once(" = ").unwrap();
            assert!(
                !done.contains(&key.to_owned()),
                "`{key}` did not help: {error}"
            );
            let field = json.pointer_mut(&format!("/{}", key.replace('.', "/")));
            *field.unwrap() = serde_json::from_str(value).unwrap();
            done.push(key.to_owned());
        }
        assert_eq!(done.last().map(String::as_str), Some("select.rule"));
    }
}

/// The engine stops a path where the imitative pattern completes; had it gone on, the filter would
/// have dropped it all the same.
#[test]
fn early_stop_changes_no_kept_set() {
    let long = "Bees fly. Question: Is tin red? Answer: No. It is grey. Question: Is";
    let stop = (0..=long.len())
        .find(|&end| imitative_complete(&long[..end]))
        .unwrap();
    let kept = |text: &str| {
        let mut one = path("q", 0, 0);
        one.text = text.into();
        let paths = vec![one, path("q", 1, 3)];
        let filtered = filter(paths, &[question("q")], &FilterParams::default(), 0).unwrap();
        filtered.kept().cloned().collect::<Vec<_>>()
    };
    assert!(stop < long.len());
    assert_eq!(kept(&long[..stop]), kept(long));
    assert_eq!(kept(long)[0].draw, 1);
}

#[test]
fn kept_paths_that_contradict_gold_are_counted() {
    let text = |text: &str| {
        let mut one = path("q", 0, 0);
        one.text = text.into();
        one
    };
    let mut teacher = text("Bees fly over the sea.");
    teacher.answer_text = Some(" yes.".into());
    let paths = [
        text("Bees drown. So the answer is no."),
        text("Yes, bees fly."),
        text("There is no hive."),
        teacher,
    ];
    assert_eq!(
        conclusions(&paths, &[question("q")], Reading::Standard).unwrap(),
        Conclusions {
            agree: 1,
            contradict: 2,
            none: 1
        }
    );
}

/// What `verify` found decides, each reason by its name; a path that was never checked is an error.
#[test]
fn right_answers_pass_rates_and_copies() {
    let mut paths: Vec<ReasoningPath> = (0..6).map(|draw| path("q", draw, 0)).collect();
    for (path, text) in paths.iter_mut().zip([
        "3 * 4 = 12, so 12.",
        "Three fours: 3 x 4 = 12.",
        "3 + 4 = 7, so 7.",
        "Twelve, I say.",
        "Twelve,  i say.",
        "Seven times nothing.",
    ]) {
        path.text = text.into();
        path.scores.insert("pass_rate".into(), 0.75);
        path.scores.insert("correct".into(), 1.0);
    }
    paths[2].scores.insert("correct".into(), 0.0);
    paths[5].scores.remove("correct");
    paths[5].unparsed.insert("correct".into());
    let run = |paths: &[ReasoningPath], text: &str| {
        let params: FilterParams = toml::from_str(text).unwrap();
        filter(paths.to_vec(), &[question("q")], &params, 1)
    };
    let kept = |filtered: &Filtered| -> Vec<u32> { filtered.kept().map(|it| it.draw).collect() };
    let right = run(&paths, "steps = ['correct']").unwrap();
    let told = decisions(&right);
    assert_eq!(told[2], "correct: correct 0, 1 wanted");
    let unparsed = "correct: correct is unparsed: there was no answer that could be checked";
    assert_eq!(told[5], unparsed);
    assert_eq!(kept(&right), [0, 1, 3, 4]);
    let rules = BTreeMap::from([("wrong".to_owned(), 1), ("unparsed".to_owned(), 1)]);
    assert_eq!(right.funnel.steps[0].by_rule, rules);

    let easy = run(&paths, "steps = ['pass_rate']\npass_rate.max = 0.5").unwrap();
    assert_eq!(
        decisions(&easy)[0],
        "pass_rate: pass_rate 0.750, at most 0.5 wanted"
    );
    assert_eq!(easy.funnel.steps[0].by_rule["too-easy"], 6);
    let hard = run(&paths, "steps = [{ step = 'pass_rate', min = 0.8 }]").unwrap();
    assert_eq!(hard.funnel.steps[0].by_rule["too-hard"], 6);
    let between = "steps = ['pass_rate']\npass_rate = { min = 0.75, max = 0.75 }";
    assert_eq!(run(&paths, between).unwrap().funnel.kept, 6);
    paths[1].scores.remove("pass_rate");
    paths[1].unparsed.insert("pass_rate".into());
    let unknown = run(&paths, between).unwrap();
    assert_eq!(unknown.funnel.steps[0].by_rule["unparsed"], 1);

    let mut turned = paths.clone();
    turned.reverse();
    for (by, left) in [("text", 5), ("equations", 4), ("ngram", 5)] {
        let step = format!("steps = ['dedup']\ndedup.by = '{by}'");
        let found = run(&paths, &step).unwrap();
        assert_eq!(found.funnel.kept, left, "{by}: {found:?}");
        // Whichever comes first.
        let mut again = kept(&run(&turned, &step).unwrap());
        again.reverse();
        assert_eq!(again, kept(&found), "{by}");
    }
    let same = run(&paths, "steps = [{ step = 'dedup', by = 'equations' }]").unwrap();
    let dropped = |text: &str| decisions(&same).iter().any(|each| each == text);
    assert!(dropped("dedup: it calculates as draw 0") || dropped("dedup: it calculates as draw 1"));
    // Other questions' paths are no copies.
    let mut two = paths[3..5].to_vec();
    two[1].question_id = "p".into();
    let params: FilterParams = toml::from_str("steps = ['dedup']\ndedup.by = 'text'").unwrap();
    let both = filter(two, &[question("q"), question("p")], &params, 1).unwrap();
    assert_eq!(both.funnel.kept, 2);

    let unchecked = run(&[path("q", 0, 0)], "steps = ['correct']");
    assert!(matches!(unchecked, Err(FilterError::NoScore { .. })));
}

/// Each rule of `select` ranks by what it says, and says so of those that it leaves out.
#[test]
fn each_rule_of_select_ranks() {
    let mut paths: Vec<ReasoningPath> = (0..3).map(|draw| path("q", draw, 0)).collect();
    for (path, (tokens, perplexity, score)) in
        (paths.iter_mut()).zip([(30, 8f64, 0.5), (28, 9.0, 0.9), (29, 7.0, 0.1)])
    {
        path.tokens.truncate(tokens);
        path.log_prob = path.log_prob.map(|known| LogProbSummary {
            sum: -31.0 * perplexity.ln(),
            ..known
        });
        path.scores.insert("s".into(), score);
    }
    for (rule, best, last) in [
        (
            "shortest",
            1,
            "select: 30 tokens come 3 of 3, lowest first; 1 kept per question",
        ),
        (
            "longest",
            0,
            "select: 28 tokens come 3 of 3, highest first; 1 kept per question",
        ),
        (
            "highest-perplexity",
            1,
            "select: perplexity 7.000 comes 3 of 3, highest first; 1 kept per question",
        ),
        (
            "lowest-perplexity",
            2,
            "select: perplexity 9.000 comes 3 of 3, lowest first; 1 kept per question",
        ),
        (
            "highest-score",
            1,
            "select: score 0.1 comes 3 of 3, highest first; 1 kept per question",
        ),
        (
            "lowest-score",
            2,
            "select: score 0.9 comes 3 of 3, lowest first; 1 kept per question",
        ),
    ] {
        let text = format!("steps = ['select']\nselect = {{ rule = '{rule}', score = 's' }}");
        let params: FilterParams = toml::from_str(&text).unwrap();
        let filtered = filter(paths.clone(), &[question("q")], &params, 1).unwrap();
        let kept: Vec<u32> = filtered.kept().map(|path| path.draw).collect();
        assert_eq!(kept, [best], "{rule}");
        assert!(
            decisions(&filtered).iter().any(|each| each == last),
            "{rule}: {filtered:?}"
        );
    }
}
