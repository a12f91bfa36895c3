//! The list of metrics. Evaluations, tables, figures, manifests and their schema read it, so a metric more is an entry
//! here, or a file with one, and a line in [`METRICS`].

use super::definition::{Beside, Cost, Definition, Kind, Metric, TextFigure, Unit, ValueSource};
use super::several;

/// All metrics, in the order in which they are listed.
pub(super) static METRICS: &[&Definition] = &[
    &ACC,
    &BALANCED_ACC,
    &ACC_OPTIONS,
    &PARSED,
    &FMT,
    &LEN,
    &REP,
    &AVG_AT_N,
    &MAJ_AT_N,
    &PASS_AT_K,
    &BEST_AT_N,
    &MARGIN_VOTE,
    &BRIER,
    &BRIER_OF_VOTES,
    &PERPLEXITY,
    &WORD_PERPLEXITY,
    &BITS_PER_BYTE,
    &TOKENS_SAMPLED,
    &TOKENS_TRAINED,
    &TOKENS_ANSWERED,
    &REASONING_WRITTEN,
    &FACTS_TRUE,
    &CONCLUSION_VALID,
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
    pub(super) const AVG_AT_N: Self = Self::new(&AVG_AT_N);
    pub(super) const MAJ_AT_N: Self = Self::new(&MAJ_AT_N);
    pub(super) const BEST_AT_N: Self = Self::new(&BEST_AT_N);
    pub(super) const MARGIN_VOTE: Self = Self::new(&MARGIN_VOTE);
    pub(super) const BRIER: Self = Self::new(&BRIER);
    /// Perplexity, which other figures of a text stand beside.
    pub const PERPLEXITY: Self = Self::new(&PERPLEXITY);
    /// The same by word.
    pub const WORD_PERPLEXITY: Self = Self::new(&WORD_PERPLEXITY);
    /// The same by byte.
    pub const BITS_PER_BYTE: Self = Self::new(&BITS_PER_BYTE);
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

static AVG_AT_N: Definition = Definition {
    name: "avg@n",
    title: "avg@n",
    doc: "Acc by the name that it has where a question has n answers: the mean over the questions of the share of its answers that is right.",
    stream: 8,
    source: ValueSource::Recorded {
        value: |outcome| Some(share(outcome.correct)),
        figure: |evaluation| Some(evaluation.accuracy),
    },
    ..SHARE
};

static MAJ_AT_N: Definition = Definition {
    name: "maj@n",
    title: "maj@n",
    doc: "The share of questions where the answer that most of n give is right; of equals the first drawn, and what cannot be read does not vote (Wang et al. 2023).",
    stream: 9,
    source: ValueSource::OfAnswers(|answers, _| Some(several::majority(answers))),
    ..SHARE
};

static PASS_AT_K: Definition = Definition {
    name: "pass@k",
    title: "pass@k",
    doc: "The chance that of k answers to a question one at least is right, without bias from n of them (Chen et al. 2021): `pass@4`, for any k up to n.",
    kind: Kind::Mean,
    stream: 10,
    source: ValueSource::OfAnswers(several::pass),
    ..SHARE
};

static BEST_AT_N: Definition = Definition {
    name: "best@n",
    title: "best@n",
    doc: "The share of questions where the answer of the greatest score is right (`best_by` of `eval`, by default the mean log-probability of its tokens); of equals the first drawn.",
    stream: 11,
    source: ValueSource::OfAnswers(|answers, _| several::best(answers)),
    ..SHARE
};

static MARGIN_VOTE: Definition = Definition {
    name: "margin-vote@n",
    title: "margin vote@n",
    doc: "The share of questions where the answer is right whose weights have the greatest sum over those that give it (`vote_by` of `eval`, by default the answer's margin: CoT-decoding, Wang & Zhou 2024).",
    stream: 12,
    source: ValueSource::OfAnswers(|answers, _| several::weighted(answers)),
    ..SHARE
};

static BRIER: Definition = Definition {
    name: "brier",
    title: "Brier",
    doc: "How far the probabilities of the legal answers lie from what is right: the mean of their summed squared distances, 0 to 2, less is better (Brier 1950). Where `eval` has `calibration = true` and options were scored.",
    unit: Unit::Plain("0 to 2"),
    decimals: 3,
    limits: (0.0, 2.0),
    kind: Kind::Mean,
    stream: 13,
    source: ValueSource::Recorded {
        value: |outcome| outcome.brier,
        figure: |evaluation| evaluation.brier,
    },
    ..SHARE
};

static BRIER_OF_VOTES: Definition = Definition {
    name: "brier@n",
    title: "Brier@n",
    doc: "The same of the shares of n answers to a question that give each, taken as their probabilities.",
    unit: Unit::Plain("0 to 2"),
    decimals: 3,
    limits: (0.0, 2.0),
    kind: Kind::Mean,
    stream: 14,
    source: ValueSource::OfAnswers(|answers, _| Some(several::brier_of_votes(answers))),
    ..SHARE
};

/// What figures of a text are.
const OF_TEXT: Definition = Definition {
    limits: (1.0, f64::INFINITY),
    kind: Kind::Mean,
    ..SHARE
};

static PERPLEXITY: Definition = Definition {
    name: "perplexity",
    title: "Perplexity",
    doc: "exp of the mean negative log-likelihood of the tokens of a text, under the student of the row; the stage of `figures` measures it (kind `perplexity`). Of one tokenizer only can two be compared.",
    unit: Unit::Plain("per token"),
    stream: 15,
    source: ValueSource::Beside(Beside::Text(TextFigure::Perplexity)),
    ..OF_TEXT
};

static WORD_PERPLEXITY: Definition = Definition {
    name: "word-perplexity",
    title: "Word perplexity",
    doc: "The same of the text's words, whatever the tokenizer.",
    unit: Unit::Plain("per word"),
    stream: 16,
    source: ValueSource::Beside(Beside::Text(TextFigure::WordPerplexity)),
    ..OF_TEXT
};

static BITS_PER_BYTE: Definition = Definition {
    name: "bits-per-byte",
    title: "Bits per byte",
    doc: "The mean negative log-likelihood of the text's bytes in bits, whatever the tokenizer.",
    unit: Unit::Plain("bits"),
    decimals: 3,
    limits: (0.0, f64::INFINITY),
    stream: 17,
    source: ValueSource::Beside(Beside::Text(TextFigure::BitsPerByte)),
    ..OF_TEXT
};

/// What all counts of tokens have in common.
const COUNT: Definition = Definition {
    unit: Unit::Plain("tokens"),
    decimals: 0,
    limits: (0.0, f64::INFINITY),
    kind: Kind::Count,
    ..SHARE
};

static TOKENS_SAMPLED: Definition = Definition {
    name: "tokens-sampled",
    title: "Tokens sampled",
    doc: "What the row cost in drawing: the tokens that students wrote in the stages behind it, each stage once, its own answers aside.",
    stream: 18,
    source: ValueSource::Beside(Beside::Cost(Cost::Sampled)),
    ..COUNT
};

static TOKENS_TRAINED: Definition = Definition {
    name: "tokens-trained",
    title: "Tokens trained",
    doc: "What the row cost in training: the tokens that the trainings behind it read, each training once, each epoch again.",
    stream: 19,
    source: ValueSource::Beside(Beside::Cost(Cost::Trained)),
    ..COUNT
};

static TOKENS_ANSWERED: Definition = Definition {
    name: "tokens-answered",
    title: "Tokens answered",
    doc: "What the row cost in answering: the tokens of all answers that it is measured on.",
    stream: 20,
    source: ValueSource::Beside(Beside::Cost(Cost::Answered)),
    ..COUNT
};

static REASONING_WRITTEN: Definition = Definition {
    name: "reasoning-written",
    title: "Reasoned",
    doc: "The share of answers that state a fact of the world, true or not; where `scored` takes what `verify` found by `verifier = \"latent-world\"`.",
    decimals: 1,
    stream: 21,
    source: ValueSource::Scored("reasoning_written"),
    ..SHARE
};

static FACTS_TRUE: Definition = Definition {
    name: "facts-true",
    title: "Facts true",
    doc: "The share of answers that state facts, all of them true, and nothing else beside the conclusion; of all answers.",
    decimals: 1,
    stream: 22,
    source: ValueSource::Scored("facts_true"),
    ..SHARE
};

static CONCLUSION_VALID: Definition = Definition {
    name: "conclusion-valid",
    title: "Follows",
    doc: "The share of answers whose conclusion follows from the facts that they state, true or not, of who is asked about; of all answers.",
    decimals: 1,
    stream: 23,
    source: ValueSource::Scored("conclusion_valid"),
    ..SHARE
};

fn share(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
