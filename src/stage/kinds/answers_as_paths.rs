//! `answers-as-paths`: a student's answers as reasoning paths, so that what rates paths (`score`, a judge)
//! can rate the reasoning of trained students on the test split (paper, Figure 3).
//!
//! In: predictions. Out: a path for each, its text the whole raw output. Paths made from answers to test
//! questions may be scored and shown; the ports that train refuse them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::artifact::ArtifactKind;
use crate::key::{Digest, canonical_json};
use crate::stage::{
    Carried, Context, Estimate, Output, Outputs, Port, Sizes, StageError, StageKind, Work,
};
use crate::text::{Prediction, ReasoningPath};

/// `answers-as-paths` has no parameters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AnswersAsPathsParams {}

/// Takes a student's answers as paths, so that they can be scored.
pub(crate) struct AnswersAsPaths;

impl StageKind for AnswersAsPaths {
    type Params = AnswersAsPathsParams;

    const NAME: &'static str = "answers-as-paths";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Take answers as reasoning paths, to be scored.";
    const INPUTS: &'static [Port] = &[Port::required(
        "predictions",
        ArtifactKind::Predictions,
        "The answers.",
    )];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "A path for each answer, its text the whole output.",
    )];

    fn carried(_: &Self::Params, input: Carried) -> Carried {
        input
    }

    fn estimate(_: &Self::Params, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let paths = *inputs.get("predictions")?;
        Some((Work::default(), BTreeMap::from([("paths", paths)])))
    }

    fn run(_: &Self::Params, context: &Context<'_>) -> Result<Outputs, StageError> {
        let predictions: Vec<Prediction> = context.input("predictions")?;
        let paths: Vec<ReasoningPath> = predictions.into_iter().map(path).collect();
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// The path that an answer is. Its row is the answer's content: a prediction does not say who wrote it.
fn path(answer: Prediction) -> ReasoningPath {
    let mut identity = json!([
        "answer-path/1",
        answer.question_id,
        answer.prompt,
        answer.output
    ]);
    // Several answers to a question are several paths, though they say the same.
    if let (1.., Some(parts)) = (answer.draw, identity.as_array_mut()) {
        parts.push(answer.draw.into());
    }
    ReasoningPath {
        question_id: answer.question_id,
        stream: Digest::of(canonical_json(&identity).as_bytes()),
        first_token: None,
        draw: answer.draw,
        hint: answer.hint,
        text: answer.output,
        tokens: answer.tokens,
        log_prob: answer.log_prob,
        end: answer.end,
        end_token: answer.end_token,
        answer_text: None,
        scores: BTreeMap::new(),
        unparsed: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{EndReason, Hint};

    #[test]
    fn an_answer_stays_raw_and_is_known_by_its_content() {
        let answer = |output: &str| Prediction {
            question_id: "q".into(),
            draw: 0,
            prompt: "Question: Is it? Answer:".into(),
            hint: Hint::Answer,
            output: output.into(),
            tokens: vec![7, 8],
            end: EndReason::Length,
            end_token: None,
            log_prob: None,
            option_log_probs: vec![-1.0, -2.0],
        };
        let found = path(answer(" It is. So the answer is yes.\n"));
        assert_eq!(found.text, " It is. So the answer is yes.\n");
        assert_eq!(
            (found.question_id.as_str(), &found.tokens[..], found.end),
            ("q", &[7, 8][..], EndReason::Length)
        );
        assert_eq!(found.hint, Hint::Answer);
        assert_eq!(found.stream, path(answer(&found.text)).stream);
        assert_ne!(found.stream, path(answer(" no")).stream);
        let second = path(Prediction {
            draw: 1,
            ..answer(&found.text)
        });
        assert_eq!(second.draw, 1);
        assert_ne!(second.stream, found.stream);
    }
}
