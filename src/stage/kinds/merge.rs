//! `merge`: a weighted mean of models of one architecture, value by value (model soups, Wortsman et al. 2022), as where
//! a self-trained model is put together with the one that it comes from.
//!
//! In: models. Out: a model folder, with the files of the first one. The mean is taken in f32, model by model in their
//! order, so it is the same bits on every machine.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactKind;
use crate::stage::{
    Context, Estimate, Output, Outputs, ParamError, Port, Size, Sizes, StageError, StageKind, Work,
    of_list,
};

/// Parameters of `merge`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MergeParams {
    /// How much each model counts, in the order of `models`; their sum is what they are shares of. Default: all alike.
    #[schemars(inner(range(min = 0.0, max = 1e6)))]
    pub weights: Vec<f64>,
}

/// The port of the models.
const MODELS: Port = Port::required(
    "models",
    ArtifactKind::Model,
    "The models to put together, of one architecture and one tokenizer; the first one's prompt is the result's.",
)
.many();

/// Takes the mean of models.
pub(crate) struct Merge;

impl StageKind for Merge {
    type Params = MergeParams;

    const NAME: &'static str = "merge";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Take a weighted mean of models of one architecture.";
    const INPUTS: &'static [Port] = &[MODELS];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "model",
        ArtifactKind::Model,
        "The mean, as a folder in Hub format.",
    )];

    fn taught_with_examples(_: &MergeParams, first: bool) -> bool {
        first
    }

    fn check_ports(params: &MergeParams, fed: &[&str]) -> Vec<ParamError> {
        let models = fed.iter().filter(|input| MODELS.takes(input)).count();
        let weights = &params.weights;
        let (field, message, hint) = if models < 2 {
            (
                "models",
                "a mean is of at least two models".to_owned(),
                "name another, as in `models = [\"student\", \"sert\"]`",
            )
        } else if !weights.is_empty() && weights.len() != models {
            (
                "weights",
                format!("there are {} weights for {models} models", weights.len()),
                "give each model its weight, in the order of `models`",
            )
        } else if !weights.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
            (
                "weights",
                "with these weights no model counts".to_owned(),
                "give a model a weight above 0",
            )
        } else {
            return Vec::new();
        };
        vec![ParamError {
            field: field.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        }]
    }

    fn estimate(_: &MergeParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let shape = of_list(inputs, MODELS.name).find_map(|(_, size)| size.model)?;
        // The mean so far, and the model that comes to it.
        let work = Work {
            memory_bytes: shape.parameters.saturating_mul(8),
            disk_bytes: shape.parameters.saturating_mul(4),
            ..Work::default()
        };
        Some((work, BTreeMap::from([("model", Size::of_model(shape))])))
    }

    fn run(params: &MergeParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let names = context.input_names(MODELS.name);
        let (first, rest) = names
            .split_first()
            .ok_or_else(|| StageError::Invalid("no model came in".to_owned()))?;
        let weight = |place: usize| params.weights.get(place).copied().unwrap_or(1.0);
        let (folder, student) = context.student(first)?;
        let shell = student.without_weights();
        let (mut mean, mut sum) = (student.weights, weight(0));
        for (name, place) in rest.iter().zip(1..) {
            let (other_folder, other) = context.student(name)?;
            if let Some([what, here, there]) = shell.difference(&other) {
                return Err(StageError::Invalid(format!(
                    "`{first}` and `{name}` cannot be merged: {what} is {here} in one and {there} in the other\nhint: merge models that were trained from one student"
                )));
            }
            let asked = |folder: &crate::artifact::ModelFolder| {
                (folder.prompt.clone(), folder.choice_answer)
            };
            if asked(&folder) != asked(&other_folder) {
                context.report.warn(format!(
                    "`{name}` was trained to answer another form of prompt than `{first}`, whose form the mean is asked in"
                ));
            }
            let own = weight(place);
            if sum == 0.0 {
                mean = other.weights;
            } else if own > 0.0 {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a share, in the weights' format"
                )]
                let share = (own / (sum + own)) as f32;
                mean.move_towards(&other.weights, share);
            }
            sum += own;
            context.progress("models", place + 1, names.len(), 0, String::new());
        }
        let merged = shell.with(mean);
        let model = context.keep_student(&merged, folder.prompt.clone(), folder.choice_answer)?;
        Ok(Outputs::from([("model".to_owned(), model)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_go_with_the_models() {
        let told = |weights: &[f64], models: usize| {
            let fed: Vec<String> = (0..models).map(|place| MODELS.input_name(place)).collect();
            let fed: Vec<&str> = fed.iter().map(String::as_str).collect();
            let params = MergeParams {
                weights: weights.to_vec(),
            };
            let told = Merge::check_ports(&params, &fed).pop();
            told.map(|error| format!("{}: {}", error.field, error.message))
        };
        assert_eq!((told(&[], 2), told(&[0.0, 1.0], 2)), (None, None));
        assert_eq!(
            told(&[], 1).unwrap(),
            "models: a mean is of at least two models"
        );
        assert_eq!(
            told(&[1.0], 3).unwrap(),
            "weights: there are 1 weights for 3 models"
        );
        assert_eq!(
            told(&[0.0, 0.0], 2).unwrap(),
            "weights: with these weights no model counts"
        );
    }
}
