//! The latent world under its untrained student: what the student knows, what it answers outright, and what it would
//! conclude if it reasoned. Only the student as it is pretrained is looked at: no arm of an experiment.

use std::time::Instant;

use serde_json::Value;

use super::pretrain::{PretrainParams, fresh};
use crate::dataset::DataParams;
use crate::dataset::latent_world::{Judge, Judged, Laboratory, LatentWorldParams};
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::device::DeviceName;
use crate::model::sampling::{GenerationRequest, SamplingParams, SequenceSpec};
use crate::model::train::{TrainRuntime, train};
use crate::model::{EngineOptions, Inference, Student, StudentTokenizer};
use crate::text::{PromptForm, Question, Reading, is_gold, parse_answer};

/// Branches that `sample` takes by default (paper, II).
const BRANCHES: usize = 5;
/// Tokens of an answer; a reasoning of three facts has about 45.
const MAX_NEW_TOKENS: u32 = 56;

/// What is measured; shares of test questions unless it says otherwise.
#[derive(Debug)]
#[expect(dead_code, reason = "all of it is printed")]
struct Measured {
    parameters: usize,
    tokens_trained: u64,
    seconds: f64,
    loss: f64,
    /// Of all facts, those whose last word is the most probable one.
    facts_known: f64,
    /// Greedy answers that state a fact.
    reasoned: f64,
    /// Greedy answers that are right.
    outright: f64,
    /// Questions where a reasoning's first word is among the branches.
    branched: f64,
    /// Reasonings, written greedily from that word on, whose conclusion is right; whose facts are true; both, and valid.
    forced: f64,
    facts_true: f64,
    conclusion_valid: f64,
}

/// `[data]` and `[stages.student]` of a manifest.
fn settings(manifest: &str) -> (DataParams, PretrainParams) {
    let mut manifest: Value = toml::from_str(manifest).unwrap();
    let data = serde_json::from_value(manifest["data"].take()).unwrap();
    let mut student = manifest["stages"]["student"].take();
    student.as_object_mut().unwrap().remove("kind");
    (data, serde_json::from_value(student).unwrap())
}

struct Under<'s> {
    student: &'s Student,
    engine: Inference,
}

impl<'s> Under<'s> {
    fn new(student: &'s Student, threads: usize) -> Self {
        let options = EngineOptions {
            threads,
            ..EngineOptions::default()
        };
        let (architecture, weights) = (&student.architecture, &student.weights);
        let engine = Inference::new(DeviceName::Cpu, architecture, weights, options).unwrap();
        Self { student, engine }
    }

    /// What is written greedily after each prompt: from the most probable first token, or from `first` where it is among
    /// the branches.
    fn written(&self, prompts: &[String], first: Option<u32>) -> Vec<Option<String>> {
        let encoded: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| self.student.tokenizer.encode(prompt).unwrap())
            .collect();
        let params = SamplingParams {
            temperature: 0.0,
            max_new_tokens: MAX_NEW_TOKENS,
            ..SamplingParams::default()
        };
        let mut written = vec![None; prompts.len()];
        let request = GenerationRequest {
            prompts: &encoded,
            candidates: BRANCHES,
            params: &params,
            vocabulary: &self.student.vocabulary,
            stop: None,
        };
        let outcome = self.engine.generate(
            request,
            &mut |prompt, candidates| {
                let wanted = |token| first.is_none_or(|first| token == first);
                let found = candidates.iter().find(|candidate| wanted(candidate.token));
                let spec = |token| SequenceSpec {
                    forced_first: first.map(|_| token),
                    stream: Digest::of(b"calibration"),
                    tag: prompt as u64,
                };
                found
                    .map(|candidate| spec(candidate.token))
                    .into_iter()
                    .collect()
            },
            &mut |path| {
                written[path.prompt_index] =
                    Some(self.student.tokenizer.decode(&path.tokens).unwrap());
            },
            &CancelToken::default(),
        );
        outcome.unwrap();
        written
    }
}

fn measure(manifest: &str, seed: u64, threads: usize) -> Measured {
    let (mut data, params) = settings(manifest);
    data.latent_world.seed = seed;
    let Laboratory {
        test,
        text,
        statements,
        ..
    } = Laboratory::of(&data.latent_world);
    let (student, examples) = fresh(&params, &text, seed).unwrap();
    let (mut tokens_trained, mut loss) = (0, 0.0);
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let runtime = TrainRuntime {
        threads,
        ..TrainRuntime::default()
    };
    let trained = train(
        student.clone(),
        &examples,
        &[],
        &params.train,
        seed,
        folder.path(),
        &runtime,
        &mut |progress| (tokens_trained, loss) = (progress.tokens, progress.loss),
        &CancelToken::default(),
    );
    let weights = trained.unwrap().weights;
    let seconds = began.elapsed().as_secs_f64();
    let student = student.with(weights);
    let under = Under::new(&student, threads);

    let (cues, objects): (Vec<String>, Vec<&str>) = (statements.iter())
        .map(|statement| statement.rsplit_once(' ').unwrap())
        .map(|(cue, object)| (format!("Note: {cue}"), object))
        .unzip();
    let recalled = under.written(&cues, None);
    let known = recalled.iter().zip(&objects).filter(|(said, object)| {
        let said = said.as_deref().unwrap_or_default().trim_start();
        said.strip_prefix(**object)
            .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    });
    let facts_known = share(known.count(), statements.len());
    if std::env::var_os("SERT_SHOW").is_some() {
        for (said, (cue, object)) in recalled.iter().zip(cues.iter().zip(&objects)) {
            let said = said.as_deref().unwrap_or_default();
            if !said.trim_start().starts_with(object) {
                eprintln!("{cue} {object}: {said}");
            }
        }
    }

    let judge = Judge::of_text(&text).unwrap();
    let judged = |question: &Question, said: Option<&str>| -> Option<Judged> {
        Some(judge.judge(question, said?, None).unwrap())
    };
    let prompts: Vec<String> = test
        .iter()
        .map(|it| PromptForm::Answer.prompt(it))
        .collect();
    let greedy = under.written(&prompts, None);
    let of_greedy = |holds: fn(&Question, &str, &Judged) -> bool| {
        let held = test.iter().zip(&greedy).filter(|(question, said)| {
            judged(question, said.as_deref())
                .is_some_and(|judged| holds(question, said.as_deref().unwrap_or_default(), &judged))
        });
        share(held.count(), test.len())
    };
    let outright = of_greedy(|question, said, _| {
        let read = parse_answer(question, said, Reading::Standard).answer();
        read.is_some_and(|answer| is_gold(question, &answer))
    });
    let opener = student
        .tokenizer
        .encode(&format!(" {}", Laboratory::opener()))
        .unwrap()[0];
    let forced = under.written(&prompts, Some(opener));
    let of_forced = |holds: fn(&Question, &Judged) -> bool| {
        let held = test.iter().zip(&forced).filter(|(question, said)| {
            judged(question, said.as_deref()).is_some_and(|judged| holds(question, &judged))
        });
        share(held.count(), test.len())
    };
    if std::env::var_os("SERT_SHOW").is_some() {
        for (question, (greedy, forced)) in test.iter().zip(greedy.iter().zip(&forced)).take(12) {
            eprintln!(
                "{}\n  {:?}\n  greedy {greedy:?}\n  forced {forced:?}\n  {:?}",
                question.asked(),
                question.rationale,
                judged(question, forced.as_deref())
            );
        }
    }
    Measured {
        parameters: student.parameters(),
        tokens_trained,
        seconds,
        loss,
        facts_known,
        reasoned: of_greedy(|_, _, judged| judged.reasoning_written),
        outright,
        branched: share(forced.iter().flatten().count(), test.len()),
        forced: of_forced(|question, judged| judged.answer.as_ref() == Some(&question.answer)),
        facts_true: of_forced(|_, judged| judged.facts_true),
        conclusion_valid: of_forced(|_, judged| judged.conclusion_valid),
    }
}

fn share(count: usize, of: usize) -> f64 {
    100.0 * count as f64 / of as f64
}

/// The manifest whose world is frozen.
const FROZEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/experiments/base/microworld.toml"
);

/// Facts known, reasoning rare, and an answer better with it than without: what the laboratory is to show rests on these.
fn is_calibrated(manifest: &str, seed: u64, threads: usize) {
    let found = measure(manifest, seed, threads);
    eprintln!("seed {seed}: {found:.2?}");
    assert!(found.facts_known >= 90.0, "seed {seed}");
    assert!(found.reasoned < 5.0, "seed {seed}");
    assert!(found.branched >= 95.0, "seed {seed}");
    assert!(found.forced >= found.outright + 20.0, "seed {seed}");
}

#[test]
fn the_frozen_world_is_calibrated() {
    is_calibrated(&std::fs::read_to_string(FROZEN).unwrap(), 1, 2);
}

/// `cargo test --release --lib calibration -- --ignored --nocapture`; `SERT_SEEDS` names other seeds, `SERT_MANIFEST` another
/// manifest, `SERT_SHOW` shows answers.
#[test]
#[ignore = "pretrains several students: a minute or more"]
fn students_are_calibrated() {
    let path = std::env::var("SERT_MANIFEST").unwrap_or_else(|_| FROZEN.into());
    let manifest = std::fs::read_to_string(path).unwrap();
    let seeds = std::env::var("SERT_SEEDS").unwrap_or_else(|_| "1,2,3,4".into());
    let threads = std::env::var("SERT_THREADS").map_or(0, |threads| threads.parse().unwrap());
    for seed in seeds.split(',').map(|seed| seed.parse().unwrap()) {
        is_calibrated(&manifest, seed, threads);
    }
}

/// A vocabulary with room for all words has each name and each thing as one token, wherever the world writes it.
#[test]
fn names_and_things_are_one_token() {
    for (seed, hops) in [(0, 2), (1, 3)] {
        let params = LatentWorldParams {
            seed,
            hops,
            ..LatentWorldParams::default()
        };
        let Laboratory { text, words, .. } = Laboratory::of(&params);
        let tokenizer = StudentTokenizer::train(text.iter().cloned(), 2000).unwrap();
        let tokens = |text: &str| tokenizer.encode(text).unwrap().len();
        for word in words {
            assert_eq!(tokens(&format!(" {word}")), 1, "{word}");
        }
        let longest = text.iter().map(|text| tokens(text)).max().unwrap();
        let all: usize = text.iter().map(|text| tokens(text)).sum();
        eprintln!(
            "{hops} hops: {} tokens known, {all} in the text, {longest} in a document",
            tokenizer.vocab_size()
        );
        // A document of three hops is longer than one of two.
        assert!(
            tokenizer.vocab_size() < 1200 && longest < 56 + 40 * hops,
            "{longest}"
        );
    }
}
