//! What a metric is, and the metrics by the names that manifests use.

use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::answered::balanced;
use super::by_question::{answers_each, by_question};
use super::interval::{Estimate, share_over_answers, wilson};
use super::mean::{Ends, bootstrap_mean};
use super::metrics::METRICS;
use super::{EvalParams, Evaluation, QuestionOutcome};
use crate::text::{Prediction, Question};

/// What a metric is.
pub(super) struct Definition {
    /// The name that manifests use.
    pub(super) name: &'static str,
    /// A column's title, without its unit.
    pub(super) title: &'static str,
    /// What it is, for the schema.
    pub(super) doc: &'static str,
    /// What its figures are written in, as in the paper's Table II.
    pub(super) unit: Unit,
    /// Decimals of a figure in its unit: those of the paper's Table II, so that figures can be set beside it; intervals
    /// say how many of them count.
    pub(super) decimals: usize,
    /// The least and the greatest value that a question can have.
    pub(super) limits: (f64, f64),
    /// What its figure is over the questions, which decides its interval and its test.
    pub(super) kind: Kind,
    /// Its stream of the bootstrap's generator; a new metric takes a new number.
    pub(super) stream: u64,
    /// How it is measured.
    pub(super) source: ValueSource,
    /// What is said of the answers of which it is known, where it may not be known of some: `have a word`.
    pub(super) known: Option<&'static str>,
    /// Whether a table whose manifest names no metrics has a column of it.
    pub(super) usual: bool,
}

/// Where a metric's values come from.
pub(super) enum ValueSource {
    /// From what an evaluation records of every answer; its figure has a field of its own.
    Recorded {
        value: fn(&QuestionOutcome) -> Option<f64>,
        figure: fn(&Evaluation) -> Option<Estimate>,
    },
    /// Measured on each answer, where it can be, and kept by the metric's name. Evaluations are made anew where there
    /// is a new one; where one comes to mean something else, raise the version of `eval`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "all of today's are read from what is recorded")
    )]
    Measured(MeasureFn),
    /// The score of this name that the paths of `scored` carry, kept by the metric's name. No evaluation without such
    /// paths has it, so one more makes none anew.
    Scored(&'static str),
    /// Not from answers, but from what stands behind or beside them; no evaluation has it.
    Beside(Beside),
    /// From all answers to a question together, of which there may be several: a vote, a choice, a chance. The number is
    /// the metric's own `k`, 0 where it has none.
    OfAnswers(OfAnswersFn),
}

/// What a column shows that no evaluation tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beside {
    /// How likely a student finds a text; a stage of its own measures it.
    Text(TextFigure),
    /// What the row cost.
    Cost(Cost),
}

/// A figure of a text under a student.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextFigure {
    /// `exp` of the mean negative log-likelihood of a token.
    Perplexity,
    /// The same of a word.
    WordPerplexity,
    /// The mean of a byte, in bits.
    BitsPerByte,
}

/// What is counted of the stages behind a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cost {
    /// Tokens that students drew before the row's own answers.
    Sampled,
    /// Tokens of the row's own answers.
    Answered,
    /// Tokens that trainings read.
    Trained,
}

/// The value of an answer to a question; `None` where it has none.
pub(crate) type MeasureFn = fn(&Question, &Prediction) -> Option<f64>;

/// The value of a question, from its answers in the order in which they were drawn, at least one; `None` where it has
/// none.
pub(super) type OfAnswersFn = fn(&[QuestionOutcome], usize) -> Option<f64>;

/// The most answers to a question, and so the greatest `k`.
pub const MOST_ANSWERS: u32 = 1000;

/// What precedes `k` in the name of a metric that has one.
pub(super) const OF_K: &str = "pass@";

/// The names of the metric that has a `k`, by `k`.
static NAMES_OF_K: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..=MOST_ANSWERS).map(|k| format!("{OF_K}{k}")).collect());

/// What a figure is over the questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A share of them: Wilson's interval; McNemar's exact test.
    Share,
    /// The mean over the gold answers of the share of each one's questions; of questions whose legal answers are listed.
    /// No figure of single questions, so it has no test.
    Balanced,
    /// A mean: the bootstrap, and the paired one as its test.
    Mean,
    /// A count, which is known without sampling.
    Count,
}

/// What a metric's figures are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Per cent: the value times 100.
    Percent,
    /// As the value is; what of, or from where to where.
    Plain(&'static str),
}

impl Unit {
    /// What a value is multiplied with before it is written.
    pub fn scale(self) -> f64 {
        match self {
            Self::Percent => 100.0,
            Self::Plain(_) => 1.0,
        }
    }

    /// What stands in parentheses behind a title: `%`, `words`, `0 to 1`.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Plain(of) => of,
        }
    }
}

/// A column of a table: one figure of an [`Evaluation`].
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub struct Metric {
    definition: &'static Definition,
    /// Of how many answers it tells, where its name says so (`pass@4`); 0 where it does not.
    k: u32,
}

impl Metric {
    pub(super) const fn new(definition: &'static Definition) -> Self {
        Self { definition, k: 0 }
    }

    /// All of them, in order; of one that has a `k` that of 1.
    pub fn all() -> impl Iterator<Item = Self> {
        METRICS.iter().map(|definition| Self {
            definition,
            k: u32::from(definition.name.starts_with(OF_K)),
        })
    }

    /// The same metric of another `k`, where it has one.
    #[must_use]
    pub fn of_k(self, k: u32) -> Self {
        Self {
            k: if self.k == 0 { 0 } else { k },
            ..self
        }
    }

    /// Of how many answers to a question it tells, where its name says so.
    pub fn k(self) -> Option<u32> {
        (self.k > 0).then_some(self.k)
    }

    /// Those of a table whose manifest names none.
    pub fn usual() -> impl Iterator<Item = Self> {
        Self::all().filter(|metric| metric.definition.usual)
    }

    /// The metric of a name.
    pub fn named(name: &str) -> Option<Self> {
        let listed = Self::all().find(|metric| metric.name() == name);
        listed.or_else(|| {
            let k = name.strip_prefix(OF_K)?.parse().ok()?;
            let metric = Self::all().find(|metric| metric.k > 0)?.of_k(k);
            // Written as it is, or two names would be one metric.
            ((1..=MOST_ANSWERS).contains(&k) && metric.name() == name).then_some(metric)
        })
    }

    /// The name that manifests use.
    pub fn name(self) -> &'static str {
        match self.k {
            0 => self.definition.name,
            k => &NAMES_OF_K[k as usize],
        }
    }

    /// A column's title, without its unit.
    pub fn title(self) -> &'static str {
        match self.k {
            0 => self.definition.title,
            _ => self.name(),
        }
    }

    /// What its figures are written in, as in the paper's Table II.
    pub fn unit(self) -> Unit {
        self.definition.unit
    }

    /// Decimals of a figure in its unit; intervals say how many of them count.
    pub fn decimals(self) -> usize {
        self.definition.decimals
    }

    /// The least and the greatest figure that there can be, in its unit.
    pub fn limits(self) -> (f64, f64) {
        let ((low, high), scale) = (self.definition.limits, self.unit().scale());
        (low * scale, high * scale)
    }

    /// What is said of the answers of which it is known, where it may not be known of some.
    pub fn known(self) -> Option<&'static str> {
        self.definition.known
    }

    /// Its title with its unit: `Acc (%)`, `Len (words)`.
    pub fn labelled(self) -> String {
        format!("{} ({})", self.title(), self.unit().sign())
    }

    /// Whether two arms are tested on it, question by question.
    pub fn is_tested(self) -> bool {
        !matches!(self.kind(), Kind::Balanced | Kind::Count)
    }

    /// What it shows, where no evaluation tells it.
    pub fn beside(self) -> Option<Beside> {
        match self.definition.source {
            ValueSource::Beside(beside) => Some(beside),
            _ => None,
        }
    }

    /// The figure of a text that it shows, if it shows one.
    pub fn of_text(self) -> Option<TextFigure> {
        match self.beside() {
            Some(Beside::Text(figure)) => Some(figure),
            _ => None,
        }
    }

    /// Whether each question counts 0 or 1, so that the figure is a share.
    pub fn is_share(self) -> bool {
        self.kind() == Kind::Share
    }

    /// The figure; `None` where it was not measured.
    pub fn of(self, evaluation: &Evaluation) -> Option<Estimate> {
        let kept = || evaluation.figures.get(self.name()).copied();
        match &self.definition.source {
            ValueSource::Recorded { figure, .. } => figure(evaluation),
            ValueSource::Measured(_) | ValueSource::Scored(_) => kept(),
            // Whatever `k` is asked for, and where there is one answer to a question: it follows from the outcomes.
            ValueSource::OfAnswers(_) => {
                kept().or_else(|| self.over(&evaluation.outcomes, &evaluation.seeded()))
            }
            ValueSource::Beside(_) => None,
        }
    }

    /// What one answer counts; `None` where it is not known. Where [the figure is a share](Metric::is_share), 1 or 0.
    pub fn value(self, outcome: &QuestionOutcome) -> Option<f64> {
        match &self.definition.source {
            ValueSource::Recorded { value, .. } => value(outcome),
            ValueSource::Measured(_) | ValueSource::Scored(_) => {
                outcome.values.get(self.name()).copied()
            }
            ValueSource::OfAnswers(value) => value(std::slice::from_ref(outcome), self.k as usize),
            ValueSource::Beside(_) => None,
        }
    }

    /// Each question's answers, with what it counts by them: the sum of what is known, and of how many; `None` where it is of none.
    ///
    /// A question out of whose answers nothing was read has no score to choose by and is wrong, where other questions have: else
    /// a student that answers little would be measured on what it answers alone.
    pub(super) fn values_by_question(
        self,
        outcomes: &[QuestionOutcome],
    ) -> impl Iterator<Item = (&[QuestionOutcome], Option<(f64, usize)>)> {
        let by_score = [Self::BEST_AT_N, Self::MARGIN_VOTE].contains(&self);
        let is_scored =
            by_score && by_question(outcomes).any(|answers| self.value_of_all(answers).is_some());
        by_question(outcomes).map(move |answers| {
            let unread = || answers.iter().all(|answer| answer.parsed.is_none());
            let value = self.value_of_all(answers);
            let wrong = || (is_scored && unread()).then_some((0.0, 1));
            (answers, value.or_else(wrong))
        })
    }

    fn value_of_all(self, answers: &[QuestionOutcome]) -> Option<(f64, usize)> {
        if let ValueSource::OfAnswers(value) = &self.definition.source {
            return value(answers, self.k as usize).map(|value| (value, 1));
        }
        let known = answers.iter().filter_map(|answer| self.value(answer));
        let (sum, count) = known.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
        (count > 0).then_some((sum, count))
    }

    /// Whether it tells something of several answers to a question that other metrics do not tell of one.
    pub(super) fn is_of_several(self) -> bool {
        self.is_of_answers() || self == Self::AVG_AT_N
    }

    /// Whether it is the share of right answers, given or chosen among several, which a constant answer and a guess have
    /// too: of answers that are all the same, or all guesses, whatever chooses takes one of them.
    pub fn is_accuracy(self) -> bool {
        [
            Self::ACC,
            Self::AVG_AT_N,
            Self::MAJ_AT_N,
            Self::BEST_AT_N,
            Self::MARGIN_VOTE,
        ]
        .contains(&self)
    }

    /// Whether it takes all answers to a question together.
    pub fn is_of_answers(self) -> bool {
        matches!(self.definition.source, ValueSource::OfAnswers(_))
    }

    /// Those that are measured on answers, with how they are.
    pub(crate) fn measured() -> impl Iterator<Item = (Self, MeasureFn)> {
        Self::all().filter_map(|metric| match &metric.definition.source {
            ValueSource::Measured(measure) => Some((metric, *measure)),
            _ => None,
        })
    }

    /// Those that are scores of the paths of `scored`, with the scores' names.
    pub(super) fn scored() -> impl Iterator<Item = (Self, &'static str)> {
        Self::all().filter_map(|metric| match &metric.definition.source {
            ValueSource::Scored(name) => Some((metric, *name)),
            _ => None,
        })
    }

    /// The figure of so many answers, one or several to each question; `None` where none of their values is known.
    /// Questions are the cases: of several answers to one, the mean counts.
    pub(super) fn over(
        self,
        outcomes: &[QuestionOutcome],
        params: &EvalParams,
    ) -> Option<Estimate> {
        let (golds, means): (Vec<&str>, Vec<f64>) = self
            .values_by_question(outcomes)
            .filter_map(|(answers, value)| {
                let (sum, known) = value?;
                Some((answers[0].gold.as_str(), sum / known as f64))
            })
            .unzip();
        let each = self.values_each(outcomes);
        match self.kind() {
            Kind::Share => share_of_questions(&means, each, params.confidence),
            Kind::Balanced => balanced(golds.into_iter().zip(means), each, params.confidence),
            Kind::Mean | Kind::Count => {
                bootstrap_mean(&means, self.ends(), &params.resampling(), self.stream())
            }
        }
    }

    /// How many values a question has.
    pub(super) fn values_each(self, outcomes: &[QuestionOutcome]) -> usize {
        if self.is_of_answers() {
            1
        } else {
            answers_each(outcomes)
        }
    }

    /// What its figure is over the questions.
    pub(super) fn kind(self) -> Kind {
        self.definition.kind
    }

    /// The ends between which each question's value lies, where there are any.
    pub(super) fn ends(self) -> Ends {
        let (low, high) = self.definition.limits;
        (low.is_finite() && high.is_finite()).then_some((low, high))
    }

    /// Its stream of the bootstrap's generator.
    pub(super) fn stream(self) -> u64 {
        self.definition.stream
    }

    fn place(self) -> (Option<usize>, u32) {
        let name = self.definition.name;
        (METRICS.iter().position(|each| each.name == name), self.k)
    }

    /// A column's title, with `k` for any.
    pub(super) fn listed_title(self) -> &'static str {
        self.definition.title
    }

    /// What it is, for the schema.
    pub(super) fn doc(self) -> &'static str {
        self.definition.doc
    }
}

/// A share over questions of which each has `each` values, from each one's share of them.
pub(super) fn share_of_questions(shares: &[f64], each: usize, confidence: f64) -> Option<Estimate> {
    if each > 1 {
        return share_over_answers(shares, each, confidence);
    }
    let hits = shares.iter().filter(|share| **share > 0.5).count();
    wilson(hits, shares.len(), confidence)
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Metric {}

impl Ord for Metric {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for Metric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Metric> for &'static str {
    fn from(metric: Metric) -> Self {
        metric.name()
    }
}

impl TryFrom<String> for Metric {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name).ok_or_else(|| format!("there is no metric `{name}`"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_of_serde_and_streams_differ() {
        for metric in Metric::all() {
            let name = serde_json::to_value(metric).unwrap();
            assert_eq!(name, metric.name());
            assert_eq!(serde_json::from_value::<Metric>(name).unwrap(), metric);
        }
        let streams: BTreeSet<u64> = Metric::all().map(Metric::stream).collect();
        assert_eq!(streams.len(), METRICS.len());
        let unknown = serde_json::from_str::<Metric>("\"bleu\"").unwrap_err();
        assert!(unknown.to_string().contains("no metric `bleu`"));
    }

    /// Any `k` is a metric, in one way of writing it.
    #[test]
    fn a_k_is_part_of_the_name() {
        let of = |name: &str| Metric::named(name);
        let four = of("pass@4").unwrap();
        assert_eq!(
            (four.name(), four.title(), four.k()),
            ("pass@4", "pass@4", Some(4))
        );
        assert!(four != of("pass@5").unwrap() && four < of("pass@5").unwrap());
        assert_eq!(of("pass@1000").unwrap().k(), Some(1000));
        let pattern = regex::Regex::new(&Metric::pattern_of_k()).unwrap();
        for wrong in [
            "pass@0",
            "pass@04",
            "pass@+4",
            "pass@1001",
            "pass@",
            "pass@k",
            "acc@4",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
            assert!(!pattern.is_match(wrong), "{wrong}");
        }
        assert!(pattern.is_match("pass@4") && pattern.is_match("pass@1000"));
        assert_eq!(Metric::ACC.of_k(3), Metric::ACC);
    }
}
