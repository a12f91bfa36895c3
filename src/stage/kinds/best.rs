//! `best`: the model of the best round, by the last decision; without decisions that of the last round. It is the model that
//! comes out of `[rounds.NAME]`.
//!
//! In: the models of the rounds that there were, and the decisions after them. Out: one of the models, as it is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactKind;
use crate::metric::Decision;
use crate::stage::{
    Context, Estimate, Output, Outputs, Port, Size, Sizes, StageError, StageKind, Work, of_list,
};

/// `best` has no parameters.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BestParams {}

/// The port of the models.
const MODELS: Port = Port::required(
    "models",
    ArtifactKind::Model,
    "The models to choose from, round by round.",
)
.many()
.partial();

/// The port of the decisions.
const DECISIONS: Port = Port::required(
    "decisions",
    ArtifactKind::Decision,
    "What was decided after each round; the last one says which was the best.",
)
.many()
.partial()
.optional();

/// Takes the best round's model.
pub(crate) struct Best;

impl StageKind for Best {
    type Params = BestParams;

    const NAME: &'static str = "best";
    const VERSION: u32 = 1;
    const DOC: &'static str =
        "Take the model of the best round; `[rounds.NAME]` is a stage of this kind too.";
    const INPUTS: &'static [Port] = &[MODELS, DECISIONS];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "model",
        ArtifactKind::Model,
        "The best round's model.",
    )];

    fn taught_with_examples(_: &BestParams, first: bool) -> bool {
        first
    }

    fn estimate(_: &BestParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let shape = of_list(inputs, MODELS.name).find_map(|(_, size)| size.model)?;
        let outputs = BTreeMap::from([("model", Size::of_model(shape))]);
        Some((Work::default(), outputs))
    }

    fn run(_: &BestParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let models = context.input_names(MODELS.name);
        let last = context.input_names(DECISIONS.name).pop();
        let round = match last {
            Some(name) => {
                let decision: Decision = context.input(&name)?;
                context.report.info(decision.text());
                decision.peak
            }
            None => models.len(),
        };
        let place = round.checked_sub(1);
        let chosen = place.and_then(|place| context.input_digest(models.get(place)?));
        let chosen = chosen.ok_or_else(|| {
            StageError::Invalid(format!(
                "round {round} is to be taken, and {} models came in\nhint: `models` and `decisions` go round by round",
                models.len()
            ))
        })?;
        Ok(Outputs::from([("model".to_owned(), chosen)]))
    }
}
