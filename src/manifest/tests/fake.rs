//! A small registry of stage kinds, so that these tests do not move with the real ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::artifact::ArtifactKind;
use crate::stage::{
    Carried, Context, Output, Outputs, ParamError, Port, Split, Stage, StageError, StageKind, Typed,
};

pub(super) static KINDS: &[&dyn Stage] = &[
    &Typed::<Dataset>::new(),
    &Typed::<Student>::new(),
    &Typed::<Sample>::new(),
    &Typed::<Filter>::new(),
    &Typed::<Finetune>::new(),
    &Typed::<Predict>::new(),
    &Typed::<Eval>::new(),
];

const fn output(name: &'static str, kind: ArtifactKind) -> Output {
    Output::new(name, kind, "an output")
}

const fn port(name: &'static str, accepts: ArtifactKind, default: Option<&'static str>) -> Port {
    let port = Port::required(name, accepts, "an input");
    Port { default, ..port }
}

/// Declares a kind that never runs.
macro_rules! kind {
    ($type:ident, $params:ty, $name:literal, $inputs:expr, $outputs:expr $(, $check:expr)?) => {
        struct $type;
        impl StageKind for $type {
            type Params = $params;
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            const DOC: &'static str = concat!("A fake ", $name);
            const INPUTS: &'static [Port] = $inputs;
            const OUTPUTS: &'static [Output] = $outputs;
            $(fn check(params: &$params) -> Vec<ParamError> { $check(params) })?
            fn run(_: &$params, _: &Context<'_>) -> Result<Outputs, StageError> {
                Ok(Outputs::new())
            }
        }
    };
}

/// Which questions.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DatasetParams {
    /// Its name.
    dataset: Name,
    /// At most so many questions.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Name {
    /// Yes or no.
    Strategyqa,
    /// One of five.
    Commonsenseqa,
}

kind!(
    Dataset,
    DatasetParams,
    "dataset",
    &[],
    &[
        output("train", ArtifactKind::Questions),
        output("test", ArtifactKind::Questions).of(Split::Test),
        output("all", ArtifactKind::Questions).of(Split::All)
    ]
);

/// Which model.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct StudentParams {
    /// A folder or a name on the Hub.
    model: String,
}

kind!(
    Student,
    StudentParams,
    "student",
    &[],
    &[output("model", ArtifactKind::Model)]
);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SampleParams {
    /// Tokens per path, 1 to 1024; 128 by default.
    #[schemars(range(min = 1, max = 1024))]
    max_new_tokens: usize,
    /// Above 0; 1 by default.
    #[schemars(range(min = 0.0, max = 2.0))]
    temperature: f64,
    /// Who writes the paths.
    teacher: Teacher,
}

impl Default for SampleParams {
    fn default() -> Self {
        Self {
            max_new_tokens: 128,
            temperature: 1.0,
            teacher: Teacher::Nobody,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
enum Teacher {
    /// The student.
    Nobody,
    /// A file.
    Recorded {
        /// Where.
        file: String,
    },
    /// A service.
    Http {
        /// Where.
        #[schemars(length(min = 1))]
        url: String,
        /// How long to wait, in seconds.
        #[serde(default)]
        timeout_s: u16,
    },
}

kind!(
    Sample,
    SampleParams,
    "sample",
    &[
        port("model", ArtifactKind::Model, Some("student")),
        port("questions", ArtifactKind::Questions, Some("data.train")),
    ],
    &[
        output("paths", ArtifactKind::Paths),
        output("funnel", ArtifactKind::Funnel)
    ]
);

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FilterParams {
    /// The length filter.
    length: Option<Length>,
    /// Drop whatever matches.
    patterns: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Length {
    /// Shortest path kept, in tokens.
    min_tokens: usize,
    /// Longest path kept, in tokens.
    max_tokens: usize,
}

impl Default for Length {
    fn default() -> Self {
        Self {
            min_tokens: 0,
            max_tokens: 1000,
        }
    }
}

fn check_filter(params: &FilterParams) -> Vec<ParamError> {
    let crossed = params
        .length
        .as_ref()
        .filter(|length| length.min_tokens > length.max_tokens);
    crossed
        .map(|length| ParamError {
            field: "length.min_tokens".to_owned(),
            message: format!(
                "{} is above `max_tokens`, {}",
                length.min_tokens, length.max_tokens
            ),
            hint: Some("lower it".to_owned()),
        })
        .into_iter()
        .collect()
}

kind!(
    Filter,
    FilterParams,
    "filter",
    &[port("paths", ArtifactKind::Paths, None)],
    &[
        output("paths", ArtifactKind::Paths),
        output("verdicts", ArtifactKind::FilteredPaths)
    ],
    check_filter
);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FinetuneParams {
    /// How often every path is seen.
    #[schemars(range(min = 1))]
    epochs: u32,
    /// The step size.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    learning_rate: f64,
}

impl Default for FinetuneParams {
    fn default() -> Self {
        Self {
            epochs: 3,
            learning_rate: 1e-4,
        }
    }
}

kind!(
    Finetune,
    FinetuneParams,
    "finetune",
    &[
        port("model", ArtifactKind::Model, Some("student")),
        Port {
            trains: true,
            ..port("paths", ArtifactKind::Paths, None)
        },
        Port {
            trains: true,
            optional: true,
            ..port("extra", ArtifactKind::Questions, None)
        },
    ],
    &[
        output("model", ArtifactKind::Model),
        output("losses", ArtifactKind::Losses)
    ]
);

kind!(
    Predict, Map<String, serde_json::Value>, "predict",
    &[
        port("model", ArtifactKind::Model, Some("student")),
        port("questions", ArtifactKind::Questions, Some("data.test")),
    ],
    &[output("predictions", ArtifactKind::Predictions)]
);

kind!(
    Eval, Map<String, serde_json::Value>, "eval",
    &[port("predictions", ArtifactKind::Predictions, None)],
    &[output("funnel", ArtifactKind::Funnel), output("evaluation", ArtifactKind::Evaluation)]
);

// What puts paths together, writes them by a hint, and takes them for answers.

/// What its paths carry, and what of an input goes on.
macro_rules! carrying {
    ($type:ident, $name:literal, $inputs:expr, $outputs:expr, $carried:expr) => {
        struct $type;
        impl StageKind for $type {
            type Params = Map<String, serde_json::Value>;
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            const DOC: &'static str = concat!("A fake ", $name);
            const INPUTS: &'static [Port] = $inputs;
            const OUTPUTS: &'static [Output] = $outputs;
            fn carried(_: &Self::Params, input: Carried) -> Carried {
                $carried(input)
            }
            fn run(_: &Self::Params, _: &Context<'_>) -> Result<Outputs, StageError> {
                Ok(Outputs::new())
            }
        }
    };
}

carrying!(
    Union,
    "union",
    &[port("paths", ArtifactKind::Paths, None).many()],
    &[output("paths", ArtifactKind::Paths)],
    |input| input
);

carrying!(
    Hinted,
    "hinted",
    &[port(
        "questions",
        ArtifactKind::Questions,
        Some("data.train")
    )],
    &[output("paths", ArtifactKind::Paths)],
    |_| Carried {
        hinted: true,
        ..Carried::default()
    }
);

carrying!(
    Taken,
    "paths-as-answers",
    &[port("paths", ArtifactKind::Paths, None)],
    &[output("predictions", ArtifactKind::Predictions)],
    |input| input
);

carrying!(
    Screen,
    "screen",
    &[
        port("paths", ArtifactKind::Paths, None),
        port("against", ArtifactKind::Questions, Some("data.test")).screens(),
    ],
    &[output("paths", ArtifactKind::Paths)],
    |input| input
);

/// [`KINDS`] and these.
pub(super) static MORE_KINDS: &[&dyn Stage] = &[
    &Typed::<Dataset>::new(),
    &Typed::<Student>::new(),
    &Typed::<Sample>::new(),
    &Typed::<Filter>::new(),
    &Typed::<Finetune>::new(),
    &Typed::<Predict>::new(),
    &Typed::<Eval>::new(),
    &Typed::<Union>::new(),
    &Typed::<Hinted>::new(),
    &Typed::<Taken>::new(),
    &Typed::<Screen>::new(),
];
