//! `shuffle`: gives each question the paths of another, a control (ours). If training on shuffled paths helps
//! as much as on a question's own, it is the form of the paths that teaches, not their reasoning.
//!
//! In: paths, after any filter: a filter decides about paths with their own questions. Out: the same texts,
//! none with its own question.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::artifact::ArtifactKind;
use crate::key::{Digest, canonical_json};
use crate::stage::{
    Carried, Context, Estimate, Output, Outputs, Port, Sizes, StageError, StageKind, Work,
};
use crate::text::ReasoningPath;

/// `shuffle` has no parameters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ShuffleParams {}

/// Gives each question the paths of another, as a control.
pub(crate) struct Shuffle;

impl StageKind for Shuffle {
    type Params = ShuffleParams;

    const NAME: &'static str = "shuffle";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Give each question another's paths, as a control.";
    const INPUTS: &'static [Port] = &[Port::required(
        "paths",
        ArtifactKind::Paths,
        "The paths to shuffle between their questions, for example kept ones.",
    )];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "The same texts, each with another question than its own; without what was measured given its own.",
    )];
    const SEEDED: bool = true;

    fn carried(_: &ShuffleParams, input: Carried) -> Carried {
        Carried {
            tokens: input.tokens || input.anything,
            ..Carried::default()
        }
    }

    fn estimate(_: &ShuffleParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let paths = *inputs.get("paths")?;
        Some((Work::default(), BTreeMap::from([("paths", paths)])))
    }

    fn run(_: &ShuffleParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let paths = shuffled(context.input("paths")?, context.seed)?;
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// The paths with their questions exchanged, in the order in which the questions came.
///
/// # Errors
/// Fewer than two questions have paths.
fn shuffled(paths: Vec<ReasoningPath>, seed: u64) -> Result<Vec<ReasoningPath>, StageError> {
    let mut questions: Vec<String> = Vec::new();
    let mut of_question: BTreeMap<String, Vec<ReasoningPath>> = BTreeMap::new();
    for path in paths {
        let own = of_question.entry(path.question_id.clone()).or_default();
        if own.is_empty() {
            questions.push(path.question_id.clone());
        }
        own.push(path);
    }
    if questions.len() < 2 {
        return Err(StageError::Invalid(format!(
            "paths are exchanged between questions, but only {} has any: at least 2 need paths\nhint: did the filter keep paths of too few questions?",
            questions.len()
        )));
    }
    let givers = circle(questions.len(), seed);
    let mut shuffled = Vec::new();
    for (taker, giver) in questions.iter().zip(givers) {
        let given = of_question.remove(&questions[giver]).unwrap_or_default();
        shuffled.extend(given.into_iter().map(|path| moved(path, taker)));
    }
    Ok(shuffled)
}

/// The path as one for the question `taker`. Its first token's rank, its log-probabilities and its scores were
/// measured given its own question, so they go.
fn moved(path: ReasoningPath, taker: &str) -> ReasoningPath {
    let identity = json!(["shuffled/1", path.stream, taker]);
    ReasoningPath {
        question_id: taker.to_owned(),
        stream: Digest::of(canonical_json(&identity).as_bytes()),
        first_token: None,
        log_prob: None,
        scores: BTreeMap::new(),
        ..path
    }
}

/// One random circle through all of `count` places: where each place takes from, never itself
/// (Sattolo 1986).
fn circle(count: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut from: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // Of 2^64 draws, a multiply-shift favours none by more than count / 2^64.
        let place = (u128::from(rng.next_u64()) * last as u128) >> 64;
        from.swap(
            last,
            usize::try_from(place).expect("it is less than `last`"),
        );
    }
    from
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::text::{EndReason, FirstToken, LogProbSummary};

    fn path(question: usize, draw: u32) -> ReasoningPath {
        ReasoningPath {
            question_id: format!("q-{question}"),
            stream: Digest::of(format!("{question}/{draw}").as_bytes()),
            first_token: Some(FirstToken {
                id: 1,
                rank: 0,
                text: " It".into(),
            }),
            draw,
            hint: crate::text::Hint::None,
            text: format!("text {question}/{draw}"),
            tokens: vec![1, 2],
            log_prob: Some(LogProbSummary {
                sum: -1.0,
                count: 2,
                first: -0.5,
                min: -0.5,
            }),
            end: EndReason::EndOfText,
            end_token: None,
            answer_text: None,
            scores: BTreeMap::from([("judge".to_owned(), 3.0)]),
            unparsed: BTreeSet::new(),
        }
    }

    #[test]
    fn no_text_stays_with_its_question_and_none_is_lost() {
        for questions in 2..20 {
            for seed in 0..20 {
                // Two paths for every third question.
                let paths: Vec<_> = (0..questions)
                    .flat_map(|q| {
                        (0..if q % 3 == 0 { 2 } else { 1 }).map(move |draw| path(q, draw))
                    })
                    .collect();
                let found = shuffled(paths.clone(), seed).unwrap();
                assert_eq!(found, shuffled(paths.clone(), seed).unwrap());
                let mut texts: Vec<_> = found.iter().map(|each| &each.text).collect();
                let mut wanted: Vec<_> = paths.iter().map(|each| &each.text).collect();
                texts.sort();
                wanted.sort();
                assert_eq!(texts, wanted);
                let mut takers: Vec<_> = found.iter().map(|each| &each.question_id).collect();
                takers.dedup();
                assert_eq!(takers.len(), questions);
                for each in &found {
                    let own = each.text.split(['/', ' ']).nth(1).unwrap();
                    assert_ne!(each.question_id, format!("q-{own}"));
                    assert!(each.log_prob.is_none() && each.scores.is_empty());
                    assert_eq!(each.tokens, [1, 2]);
                }
            }
        }
        let paths: Vec<_> = (0..20).map(|q| path(q, 0)).collect();
        assert_ne!(
            shuffled(paths.clone(), 1).unwrap(),
            shuffled(paths, 2).unwrap()
        );
    }

    #[test]
    fn one_question_alone_has_nobody_to_exchange_with() {
        for paths in [vec![], vec![path(0, 0), path(0, 1)]] {
            let error = shuffled(paths, 0).unwrap_err().to_string();
            assert!(error.contains("at least 2 need paths"), "{error}");
        }
    }
}
