//! The list of metrics. Evaluations, tables, figures, manifests and their schema read it, so a metric more is an entry
//! here, or a file with one, and a line in [`METRICS`].

use super::definition::{Definition, Kind, Metric, Unit, ValueSource};

/// All metrics, in the order in which they are listed.
pub(super) static METRICS: &[&Definition] = &[
    &ACC,
    &BALANCED_ACC,
    &ACC_OPTIONS,
    &PARSED,
    &FMT,
    &LEN,
    &REP,
    #[cfg(test)]
    &super::test_metric::EXCLAMATIONS,
];

/// Those that something beside the list names.
impl Metric {
    /// Accuracy, which baselines have too.
    pub const ACC: Self = Self::new(&ACC);
    /// Balanced accuracy, which stands beside what was answered.
    pub const BALANCED_ACC: Self = Self::new(&BALANCED_ACC);
    /// The format, which has parts and a limit of its own.
    pub const FMT: Self = Self::new(&FMT);
    pub(super) const ACC_OPTIONS: Self = Self::new(&ACC_OPTIONS);
    pub(super) const PARSED: Self = Self::new(&PARSED);
    pub(super) const LEN: Self = Self::new(&LEN);
    pub(super) const REP: Self = Self::new(&REP);
}

/// What most of them are.
const SHARE: Definition = Definition {
    name: "",
    title: "",
    doc: "",
    unit: Unit::Percent,
    decimals: 2,
    limits: (0.0, 1.0),
    kind: Kind::Share,
    stream: 0,
    source: ValueSource::Recorded {
        value: |_| None,
        figure: |_| None,
    },
    known: None,
    usual: false,
};

static ACC: Definition = Definition {
    name: "acc",
    title: "Acc",
    doc: "The share of answers that equal the gold one; an unparsed answer is wrong.",
    stream: 3,
    source: ValueSource::Recorded {
        value: |outcome| Some(share(outcome.correct)),
        figure: |evaluation| Some(evaluation.accuracy),
    },
    usual: true,
    ..SHARE
};

static BALANCED_ACC: Definition = Definition {
    name: "balanced-acc",
    title: "Balanced Acc",
    doc: "The mean over the gold answers of that share, which no constant answer raises; of questions whose legal answers are listed.",
    kind: Kind::Balanced,
    stream: 7,
    source: ValueSource::Recorded {
        value: |outcome| Some(share(outcome.correct)),
        figure: |evaluation| evaluation.balanced_accuracy,
    },
    ..SHARE
};

static ACC_OPTIONS: Definition = Definition {
    name: "acc-options",
    title: "Acc (options)",
    doc: "The share of questions whose gold option has the greatest log-likelihood.",
    stream: 4,
    source: ValueSource::Recorded {
        value: |outcome| outcome.option_correct.map(share),
        figure: |evaluation| evaluation.accuracy_options,
    },
    usual: true,
    ..SHARE
};

static PARSED: Definition = Definition {
    name: "parsed",
    title: "Parsed",
    doc: "The share of outputs out of which one legal answer was read.",
    decimals: 1,
    stream: 6,
    source: ValueSource::Recorded {
        value: |outcome| Some(share(outcome.parsed.is_some())),
        figure: |evaluation| Some(evaluation.parsed),
    },
    ..SHARE
};

static FMT: Definition = Definition {
    name: "fmt",
    title: "Fmt",
    doc: "The share of outputs that pass all format checks.",
    unit: Unit::Plain("0 to 1"),
    stream: 5,
    source: ValueSource::Recorded {
        value: |outcome| outcome.format.aligned().map(share),
        figure: |evaluation| evaluation.format.aligned,
    },
    usual: true,
    ..SHARE
};

static LEN: Definition = Definition {
    name: "len",
    title: "Len",
    doc: "Mean words per output.",
    unit: Unit::Plain("words"),
    limits: (0.0, f64::INFINITY),
    kind: Kind::Mean,
    stream: 1,
    source: ValueSource::Recorded {
        value: |outcome| Some(outcome.len as f64),
        figure: |evaluation| Some(evaluation.len),
    },
    usual: true,
    ..SHARE
};

static REP: Definition = Definition {
    name: "rep",
    title: "Rep",
    doc: "Mean word-level repetition of an output, 0 to 1.",
    unit: Unit::Plain("0 to 1"),
    kind: Kind::Mean,
    stream: 2,
    source: ValueSource::Recorded {
        value: |outcome| outcome.rep,
        figure: |evaluation| evaluation.rep,
    },
    known: Some("have a word"),
    usual: true,
    ..SHARE
};

fn share(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
