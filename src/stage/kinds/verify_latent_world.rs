//! The verifier that knows a latent world: it reads the reasoning too, and scores each of its parts.

use super::finding::{Finding, record};
use super::verify_params::{Verifier, VerifyParams};
use crate::artifact::ArtifactKind;
use crate::dataset::latent_world::{Judge, Judged};
use crate::stage::{Carried, ParamError, Port, ScoreRange, StageError};
use crate::text::{Question, ReasoningPath, is_gold};

/// The text by which it knows the world.
pub(super) const WORLD: Port = Port::required(
    "world",
    ArtifactKind::Text,
    "Verifier `latent-world` only: the world's pretraining text (`data.text`), which states its facts.",
)
.optional();

/// A score that it adds, and where it stands.
struct Score {
    name: &'static str,
    holds: fn(&Judged) -> bool,
}

/// The scores beside whether the answer is right. Metrics of these names are their shares.
const SCORES: [Score; 3] = [
    Score {
        name: "reasoning_written",
        holds: |judged| judged.reasoning_written,
    },
    Score {
        name: "facts_true",
        holds: |judged| judged.facts_true,
    },
    Score {
        name: "conclusion_valid",
        holds: |judged| judged.conclusion_valid,
    },
];

/// What it finds of each path, each with its question.
///
/// # Errors
/// A text that states no fact of such a world, or a question of another data set.
pub(super) fn judge(
    world: &[String],
    paths: &[(&Question, &ReasoningPath)],
) -> Result<Vec<Judged>, StageError> {
    let judge = Judge::of_text(world).ok_or_else(|| {
        StageError::Invalid(
            "`world` states no fact of a latent world\nhint: it is the text of a data set `latent-world`, `world = \"data.text\"`"
                .to_owned(),
        )
    })?;
    let judged = |(question, path): &(&Question, &ReasoningPath)| {
        let reply = path.answer_text.as_deref();
        judge.judge(question, &path.text, reply).ok_or_else(|| {
            StageError::Invalid(format!(
                "the question `{}` is none of a latent world's: {}\nhint: `verifier = \"answer\"` checks the answers of any data set",
                question.id, question.question
            ))
        })
    };
    paths.iter().map(judged).collect()
}

/// Whether the answer of a path is right, as far as there is one.
pub(super) fn finding(question: &Question, judged: &Judged) -> Finding {
    judged
        .answer
        .as_deref()
        .map_or(Finding::NoAnswer, |answer| {
            Finding::of(is_gold(question, answer))
        })
}

/// Gives each path its further scores.
pub(super) fn note(paths: &mut [ReasoningPath], judged: &[Judged]) {
    for (path, judged) in paths.iter_mut().zip(judged) {
        for Score { name, holds } in SCORES {
            record(path, name, Some(f64::from(u8::from(holds(judged)))));
        }
    }
}

/// For a person, how many paths reason, and how.
pub(super) fn told(judged: &[Judged]) -> String {
    let [written, facts, valid] =
        SCORES.map(|score| judged.iter().filter(|each| (score.holds)(each)).count());
    format!(
        "of {} paths {written} reason, {facts} with true facts alone, {valid} to a conclusion that follows",
        judged.len()
    )
}

/// The same paths with its scores.
pub(super) fn carried(params: &VerifyParams, input: Carried) -> Carried {
    if params.verifier != Verifier::LatentWorld {
        return input;
    }
    SCORES.iter().fold(input, |carried, score| {
        carried.with(score.name, ScoreRange(0.0, 1.0))
    })
}

/// The world comes in where it is needed, and nowhere else.
pub(super) fn port_errors(params: &VerifyParams, fed: &[&str]) -> Vec<ParamError> {
    let wanted = params.verifier == Verifier::LatentWorld;
    let error = |message: &str, hint: &str| {
        vec![ParamError {
            field: WORLD.name.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        }]
    };
    match (wanted, fed.contains(&WORLD.name)) {
        (true, false) => error(
            "it is missing, and `verifier = \"latent-world\"` knows the facts by it",
            "for example `world = \"data.text\"`",
        ),
        (false, true) => error(
            "only `verifier = \"latent-world\"` reads a world",
            "set `verifier = \"latent-world\"`, or leave `world` out",
        ),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dataset::latent_world::{Laboratory, LatentWorldParams};
    use crate::metric::Metric;

    #[test]
    fn scores_have_metrics_of_their_names() {
        for score in SCORES {
            let name = score.name.replace('_', "-");
            assert!(Metric::named(&name).is_some_and(Metric::is_share), "{name}");
        }
    }

    #[test]
    fn paths_get_all_scores() {
        let Laboratory { test, text, .. } = Laboratory::of(&LatentWorldParams::default());
        let texts = test
            .iter()
            .map(|question| question.rationale.clone().unwrap());
        let mut paths: Vec<ReasoningPath> = (test.iter().zip(texts))
            .map(|(question, text)| {
                serde_json::from_value(json!({ "question_id": question.id, "text": text })).unwrap()
            })
            .collect();
        paths[1].text = " no".into();
        let asked: Vec<_> = test.iter().zip(&paths).collect();
        let judged = judge(&text, &asked).unwrap();
        assert_eq!(finding(&test[0], &judged[0]), Finding::Right);
        let (all, rest) = (test.len(), test.len() - 1);
        assert_eq!(
            told(&judged),
            format!(
                "of {all} paths {rest} reason, {rest} with true facts alone, {rest} to a conclusion that follows"
            )
        );
        note(&mut paths, &judged);
        let scores = |place: usize| SCORES.map(|score| paths[place].scores[score.name]);
        assert_eq!((scores(0), scores(1)), ([1.0; 3], [0.0; 3]));
    }

    #[test]
    fn what_is_no_world_is_told() {
        let refused = judge(&["Note: bees make honey.".into()], &[])
            .unwrap_err()
            .to_string();
        assert!(refused.contains("hint: it is the text of"), "{refused}");
        let Laboratory { test, text, .. } = Laboratory::of(&LatentWorldParams::default());
        let other = Question {
            question: "Do bees fly?".into(),
            ..test[0].clone()
        };
        let path = serde_json::from_value(json!({ "question_id": "q", "text": "" })).unwrap();
        let refused = judge(&text, &[(&other, &path)]).unwrap_err().to_string();
        assert!(refused.contains("Do bees fly?"), "{refused}");
        let params = |verifier| VerifyParams {
            verifier,
            ..VerifyParams::default()
        };
        for (verifier, fed, errors) in [
            (Verifier::LatentWorld, &["world"][..], 0),
            (Verifier::LatentWorld, &[], 1),
            (Verifier::Answer, &["world"], 1),
            (Verifier::Answer, &[], 0),
        ] {
            assert_eq!(port_errors(&params(verifier), fed).len(), errors, "{fed:?}");
        }
    }
}
