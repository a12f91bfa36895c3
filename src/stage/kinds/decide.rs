//! `decide`: whether there is to be another round, by the figures of the rounds so far. `[rounds.NAME]` with `stop` has one
//! after each round.
//!
//! In: evaluations on validation questions, one for each round. Out: the decision. Stages of the next round wait for it,
//! but it is no part of their recipes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactKind;
use crate::metric::{Better, Decision, Evaluation, Metric};
use crate::stage::{
    Context, Estimate, Output, Outputs, Port, Size, Sizes, StageError, StageKind, Work,
};

/// Parameters of `decide`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DecideParams {
    /// The figure that is looked at. Default `acc`.
    pub metric: Metric,
    /// Which of two figures is the better one. Default `higher`.
    pub better: Better,
    /// How many rounds in a row may be no better than the best before. Default 1 (ours).
    #[schemars(range(min = 1, max = 1000))]
    pub patience: usize,
}

impl Default for DecideParams {
    fn default() -> Self {
        Self {
            metric: Metric::ACC,
            better: Better::default(),
            patience: 1,
        }
    }
}

/// The port of the figures.
const EVALUATIONS: Port = Port::required(
    "evaluations",
    ArtifactKind::Evaluation,
    "What was measured after each round so far, on validation questions.",
)
.trains()
.many();

/// Decides whether there is another round.
pub(crate) struct Decide;

impl StageKind for Decide {
    type Params = DecideParams;

    const NAME: &'static str = "decide";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Decide by the figures so far whether there is another round; `stop` of `[rounds.NAME]` is short for it.";
    const INPUTS: &'static [Port] = &[EVALUATIONS];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "decision",
        ArtifactKind::Decision,
        "Whether there is to be another round, and which was the best so far.",
    )];

    fn estimate(_: &DecideParams, _: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        Some((
            Work::default(),
            BTreeMap::from([("decision", Size::default())]),
        ))
    }

    fn run(params: &DecideParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let metric = params.metric;
        let mut figures = Vec::new();
        for name in context.input_names(EVALUATIONS.name) {
            let evaluation: Evaluation = context.input(&name)?;
            let figure = metric.of(&evaluation).ok_or_else(|| {
                StageError::Invalid(format!(
                    "the evaluation of round {} has no figure `{}`\nhint: take a metric that `eval` measures of these answers, for example `acc`",
                    figures.len() + 1,
                    metric.name()
                ))
            })?;
            figures.push(figure.value);
        }
        let decision = Decision::on(metric, figures, params.better, params.patience)
            .ok_or_else(|| StageError::Invalid("no evaluation came in".to_owned()))?;
        let next = if decision.go_on {
            "another round"
        } else {
            "no more rounds"
        };
        context.report.info(format!("{}: {next}", decision.text()));
        let kept = context.keep(&decision)?;
        Ok(Outputs::from([("decision".to_owned(), kept)]))
    }
}
