//! `union`: the paths of several stages as one, each with a weight, and what is twice once. A list of stages where one
//! stage's paths are taken is short for it.
//!
//! In: paths. Out: those of the first stage, then those of the second, ... in their order. First what is twice goes,
//! then each stage's rows are there as often as its weight says.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::artifact::ArtifactKind;
use crate::key::{Digest, canonical_json};
use crate::stage::{
    Carried, Context, Estimate, Output, Outputs, ParamError, Port, Size, Sizes, StageError,
    StageKind, Work, of_list,
};
use crate::text::ReasoningPath;

/// When two paths of one question are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dedup {
    /// Never.
    None,
    /// Where they are the same draw, with the same text: a path that came by two ways.
    #[default]
    Row,
    /// Where their texts are the same but for blanks at both ends.
    Text,
}

/// Parameters of `union`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UnionParams {
    /// How often the paths of each stage are there, in the order of `paths`: 1 once, 2 twice each, so that a training sees
    /// them twice in an epoch; 0.5 half of them, drawn by the seed (the share that `dataset_mixer` of the alignment handbook
    /// means); 1.5 all once and half of them once more. Default 1 for each.
    #[schemars(inner(range(min = 0.0, max = 1000.0)))]
    pub weights: Vec<f64>,
    /// When two paths of one question are one; the first stays, and gets the scores that only the other has. Weights come
    /// after it. Default `row` (ours).
    pub dedup: Dedup,
}

/// The port of the paths.
const PATHS: Port =
    Port::required("paths", ArtifactKind::Paths, "The paths to put together.").many();

/// Puts the paths of several stages together.
pub(crate) struct Union;

impl StageKind for Union {
    type Params = UnionParams;

    const NAME: &'static str = "union";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Put the paths of several stages together; `paths = [\"a\", \"b\"]` elsewhere is short for it.";
    const INPUTS: &'static [Port] = &[PATHS];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "All of the paths.",
    )];
    const SEEDED: bool = true;

    fn check_ports(params: &UnionParams, fed: &[&str]) -> Vec<ParamError> {
        let stages = fed.iter().filter(|input| PATHS.takes(input)).count();
        let (message, hint) = if !params.weights.is_empty() && params.weights.len() != stages {
            (
                format!(
                    "there are {} weights for {stages} stages",
                    params.weights.len()
                ),
                "give each stage its weight, in the order of `paths`",
            )
        } else if !params.weights.is_empty() && params.weights.iter().all(|weight| *weight == 0.0) {
            (
                "with these weights nothing is left".to_owned(),
                "give a stage a weight above 0",
            )
        } else {
            return Vec::new();
        };
        vec![ParamError {
            field: "weights".to_owned(),
            message,
            hint: Some(hint.to_owned()),
        }]
    }

    fn carried(_: &UnionParams, input: Carried) -> Carried {
        input
    }

    fn estimate(params: &UnionParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let mut paths = Size::default();
        for (place, (_, size)) in of_list(inputs, PATHS.name).enumerate() {
            let times = |count: u64| {
                let (whole, part) = times_each(params.weights.get(place).copied());
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                (count.saturating_mul(whole) + share_of(count, part)) as u64
            };
            paths.rows += times(size.rows);
            paths.tokens += times(size.tokens);
        }
        Some((Work::default(), BTreeMap::from([("paths", paths)])))
    }

    fn run(params: &UnionParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let names = context.input_names(PATHS.name);
        let inputs = names.iter().map(|name| context.input(name));
        let inputs: Vec<Vec<ReasoningPath>> = inputs.collect::<Result<_, _>>()?;
        let all: usize = inputs.iter().map(Vec::len).sum();
        let once = deduplicated(inputs, params.dedup);
        let left: usize = once.iter().map(Vec::len).sum();
        let mut paths = Vec::new();
        for (place, of_stage) in once.into_iter().enumerate() {
            let weight = params.weights.get(place).copied();
            paths.extend(weighted(of_stage, weight, context.seed, place));
        }
        context.report.info(format!(
            "{} paths of {} stages: {all} came in, {} of them were there already",
            paths.len(),
            names.len(),
            all - left
        ));
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// The paths of each stage without those that came before.
fn deduplicated(inputs: Vec<Vec<ReasoningPath>>, dedup: Dedup) -> Vec<Vec<ReasoningPath>> {
    let mut kept: Vec<Vec<ReasoningPath>> = vec![Vec::new(); inputs.len()];
    let mut places: BTreeMap<Digest, (usize, usize)> = BTreeMap::new();
    for (stage, paths) in inputs.into_iter().enumerate() {
        for path in paths {
            let identity = match dedup {
                Dedup::None => None,
                Dedup::Row => Some(row(&path)),
                Dedup::Text => Some(digest(&json!([path.question_id, path.text.trim()]))),
            };
            let here = (stage, kept[stage].len());
            if let Some((stage, place)) =
                identity.and_then(|identity| places.get(&identity).copied())
            {
                add_scores(&mut kept[stage][place], path);
            } else {
                places.extend(identity.map(|identity| (identity, here)));
                kept[stage].push(path);
            }
        }
    }
    kept
}

/// What a path is: a draw and, since a stop rule may end one earlier, its text.
fn row(path: &ReasoningPath) -> Digest {
    digest(&json!([
        path.question_id,
        path.stream,
        path.draw,
        path.text
    ]))
}

fn digest(identity: &serde_json::Value) -> Digest {
    Digest::of(canonical_json(identity).as_bytes())
}

/// Gives `path` the scores that only `other`, which is the same, has.
fn add_scores(path: &mut ReasoningPath, other: ReasoningPath) {
    for (name, score) in other.scores {
        path.unparsed.remove(&name);
        path.scores.entry(name).or_insert(score);
    }
    let scores = &path.scores;
    let unparsed = other.unparsed.into_iter();
    path.unparsed
        .extend(unparsed.filter(|name| !scores.contains_key(name)));
}

/// `paths`, each as often as `weight` says, side by side. Those that are there once more are the ones whose digest of the
/// seed ranks first, so that a greater weight takes those of a smaller one and more.
fn weighted(
    paths: Vec<ReasoningPath>,
    weight: Option<f64>,
    seed: u64,
    stage: usize,
) -> Vec<ReasoningPath> {
    let (whole, part) = times_each(weight);
    let mut times = vec![whole; paths.len()];
    let rank = |(place, path): (usize, &ReasoningPath)| {
        (digest(&json!(["union/1", seed, stage, row(path)])), place)
    };
    let mut ranks: Vec<(Digest, usize)> = paths.iter().enumerate().map(rank).collect();
    ranks.sort_unstable();
    for &(_, place) in ranks.iter().take(share_of(paths.len(), part)) {
        times[place] += 1;
    }
    let repeated = |(path, times)| std::iter::repeat_n(path, times);
    paths.into_iter().zip(times).flat_map(repeated).collect()
}

/// A weight as how often each path is there, and which share of them once more.
fn times_each(weight: Option<f64>) -> (usize, f64) {
    let weight = weight.unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the schema has it from 0 to 1000"
    )]
    let whole = weight as usize;
    (whole, weight.fract())
}

/// `share` of `count`, rounded to whole.
fn share_of(count: usize, share: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `count`"
    )]
    let of = (count as f64 * share).round() as usize;
    of.min(count)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::text::{EndReason, Hint};

    fn path(question: &str, draw: u32, text: &str) -> ReasoningPath {
        ReasoningPath {
            question_id: question.into(),
            stream: Digest::of(format!("{question}/{draw}").as_bytes()),
            first_token: None,
            draw,
            hint: Hint::None,
            text: text.into(),
            tokens: Vec::new(),
            log_prob: None,
            end: EndReason::EndOfText,
            end_token: None,
            answer_text: None,
            scores: BTreeMap::new(),
            unparsed: BTreeSet::new(),
        }
    }

    fn named(paths: &[ReasoningPath]) -> Vec<String> {
        let name = |path: &ReasoningPath| format!("{}{}", path.question_id, path.draw);
        paths.iter().map(name).collect()
    }

    #[test]
    fn what_is_twice_is_there_once_with_the_scores_of_both() {
        let scored = |score: &str, unread: &str| ReasoningPath {
            scores: BTreeMap::from([(score.to_owned(), 1.0)]),
            unparsed: BTreeSet::from([unread.to_owned()]),
            ..path("a", 0, " x")
        };
        let inputs = vec![
            vec![
                scored("judge", "correct"),
                path("a", 1, " x "),
                path("b", 0, " x"),
            ],
            vec![
                scored("correct", "judge"),
                path("a", 2, "y"),
                path("a", 0, " x and more"),
            ],
        ];
        let found = |dedup| {
            let kept = deduplicated(inputs.clone(), dedup);
            (named(&kept[0]), named(&kept[1]), kept)
        };
        let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (first, second, _) = found(Dedup::None);
        assert_eq!(
            (first, second),
            (names(&["a0", "a1", "b0"]), names(&["a0", "a2", "a0"]))
        );
        // One draw that was stopped elsewhere has another text.
        let (first, second, kept) = found(Dedup::Row);
        assert_eq!(
            (first, second),
            (names(&["a0", "a1", "b0"]), names(&["a2", "a0"]))
        );
        let both: Vec<&str> = kept[0][0].scores.keys().map(String::as_str).collect();
        assert_eq!(
            (both, kept[0][0].unparsed.len()),
            (vec!["correct", "judge"], 0)
        );
        let (first, second, _) = found(Dedup::Text);
        assert_eq!(
            (first, second),
            (names(&["a0", "b0"]), names(&["a2", "a0"]))
        );
    }

    #[test]
    fn weights_are_shares_and_repetitions() {
        let paths: Vec<_> = (0..10).map(|draw| path("q", draw, "x")).collect();
        let of = |weight: f64| named(&weighted(paths.clone(), Some(weight), 3, 0));
        assert_eq!(named(&weighted(paths.clone(), None, 3, 0)), named(&paths));
        for (weight, count) in [
            (0.0, 0),
            (0.3, 3),
            (0.5, 5),
            (1.0, 10),
            (1.5, 15),
            (2.0, 20),
        ] {
            assert_eq!(of(weight).len(), count, "{weight}");
        }
        // In order, and a greater share holds the smaller.
        let (some, more) = (of(0.3), of(0.5));
        assert!(some.iter().all(|name| more.contains(name)) && some.is_sorted());
        let twice: Vec<String> = of(1.0)
            .iter()
            .flat_map(|name| [name.clone(), name.clone()])
            .collect();
        assert_eq!(of(2.0), twice);
        // Another seed, or another place, draws others.
        let drawn = |seed, stage| named(&weighted(paths.clone(), Some(0.5), seed, stage));
        let all = [
            drawn(0, 0),
            drawn(1, 0),
            drawn(2, 0),
            drawn(3, 1),
            drawn(3, 2),
        ];
        let all = BTreeSet::from(all);
        assert!(all.len() > 3, "{all:?}");
    }

    #[test]
    fn weights_go_with_the_stages() {
        let told = |weights: &[f64], stages: usize| {
            let fed: Vec<String> = (0..stages).map(|place| PATHS.input_name(place)).collect();
            let fed: Vec<&str> = fed.iter().map(String::as_str).collect();
            let params = UnionParams {
                weights: weights.to_vec(),
                ..UnionParams::default()
            };
            Union::check_ports(&params, &fed)
                .pop()
                .map(|error| error.message)
        };
        assert_eq!((told(&[], 3), told(&[1.0, 0.0], 2)), (None, None));
        assert_eq!(told(&[1.0], 2).unwrap(), "there are 1 weights for 2 stages");
        assert_eq!(
            told(&[0.0, 0.0], 2).unwrap(),
            "with these weights nothing is left"
        );
    }
}
