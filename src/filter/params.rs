//! What a filter stage's manifest entry says, and the list of the steps. The defaults are the paper's (III-A).
//!
//! A step is switched off by `enabled = false`, one boolean that an override or a sweep can name
//! (`stages.kept.length.enabled`); its thresholds then mean nothing. Where the manifest lists `steps`, these run, in
//! that order.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::listed::Listed;
use super::step::{Section, Step};
use super::{CorrectRule, Dedup, EndedRule, FilterError, LengthLimit, PassRateLimit, PatternRules};
use super::{PerplexityLimit, RepetitionLimit, ScoreLimit, Select};
use crate::text::Reading;

/// A kind of step.
pub struct StepKind {
    /// The name by which `steps` lists it.
    pub name: &'static str,
    /// The key of the section with its settings.
    pub section: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// The steps of the section, each with where its settings stand.
    pub(super) of_section: fn(&FilterParams) -> Placed,
    /// A step as the section says, but for these settings.
    pub(super) changed: fn(&FilterParams, &Map<String, Value>) -> Changed,
    /// The schema of its settings.
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Steps, each with where its settings stand.
pub(super) type Placed = Vec<(String, Box<dyn Step>)>;

/// A step that was read, or why it cannot be.
pub(super) type Changed = Result<Box<dyn Step>, serde_json::Error>;

/// Makes [`FilterParams`] and [`STEPS`] of the steps: what each does, its name, and its section with the settings.
macro_rules! steps {
    ($($(#[doc = $doc:literal])+ $(#[cfg($cfg:meta)])? $name:literal $section:ident: $settings:ty,)*) => {
        /// Parameters of a filter: the sections of its steps, in the order in which they run.
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct FilterParams {
            $(
                $(#[doc = $doc])+
                $(#[cfg($cfg)])?
                #[serde(skip_serializing_if = "Section::is_absent")]
                pub $section: $settings,
            )*
            /// Which steps run, in this order: by name, as their sections say, or as a table of the name, `step`, and
            /// what is other than in the section. A step may stand there more than once. By default all that are
            /// switched on, in the order above (the paper's).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub steps: Option<Vec<Listed>>,
            /// By which rule it is read what an answer opens with and what a path concludes (docs/answers.md). Default
            /// `standard` (ours).
            pub reading: Reading,
        }

        /// The kinds of steps, in the order in which they run by default.
        pub static STEPS: &[StepKind] = &[
            $(
                $(#[cfg($cfg)])?
                StepKind {
                    name: $name,
                    section: stringify!($section),
                    doc: concat!($($doc),+),
                    of_section: |params| boxed(params.$section.each(stringify!($section))),
                    changed: |params, changes| changed(&params.$section, changes),
                    schema: <<$settings as Section>::One as JsonSchema>::json_schema,
                },
            )*
        ];
    };
}

steps! {
    /// Before all others: drop texts that were cut.
    "ended" ended: EndedRule,
    /// Step 1: drop texts by their form.
    "pattern" pattern: PatternRules,
    /// Step 2: drop short texts.
    "length" length: LengthLimit,
    /// Step 3: drop texts that repeat themselves.
    "repetition" repetition: RepetitionLimit,
    /// Step 4: drop texts that the model finds too likely.
    "perplexity" perplexity: PerplexityLimit,
    /// Step 5: limits on what `score` and `judge` stages added, in order. Default none (the paper has
    /// none).
    "score" scores: Vec<ScoreLimit>,
    /// After them: drop paths whose answer a `verify` stage did not find right.
    "correct" correct: CorrectRule,
    /// Then: limits on the share of a question's paths that are right.
    "pass_rate" pass_rate: PassRateLimit,
    /// Then: keep one of the paths of a question that are the same.
    "dedup" dedup: Dedup,
    /// Step 6: what to keep of each question's survivors.
    "select" select: Select,
    /// Drop texts with a word: a step that only tests have.
    #[cfg(test)]
    "test-word" test_word: super::test_step::TestWord,
}

fn boxed<S: Step + 'static>(steps: Vec<(String, S)>) -> Placed {
    let boxed = |(place, step)| (place, Box::new(step) as Box<dyn Step>);
    steps.into_iter().map(boxed).collect()
}

fn changed<S: Section>(section: &S, changes: &Map<String, Value>) -> Changed {
    let mut settings = section.base();
    settings.extend(changes.clone());
    let one: S::One = serde_json::from_value(Value::Object(settings))?;
    Ok(Box::new(one))
}

impl FilterParams {
    /// Checks what a JSON schema cannot say: limits the right way round, `score` where it is needed, steps that there
    /// are.
    ///
    /// # Errors
    /// [`FilterError::Parameter`] names the first key at fault.
    pub fn check(&self) -> Result<(), FilterError> {
        for kind in STEPS {
            for (place, step) in (kind.of_section)(self) {
                step.check(&place)?;
            }
        }
        self.planned().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::SelectRule;

    #[test]
    fn an_empty_entry_is_the_papers_filter() {
        let params: FilterParams = toml::from_str("").unwrap();
        assert_eq!(params, FilterParams::default());
        let value = serde_json::to_value(&params).unwrap();
        assert_eq!(value["length"]["min_tokens"], 25);
        assert_eq!(value["repetition"]["max_rate"], 0.2);
        assert_eq!(value["perplexity"]["min_perplexity"], 5.0);
        assert_eq!(value["select"]["rule"], "lowest-rep");
        assert_eq!(value["ended"]["enabled"], false);
    }

    #[test]
    fn a_manifest_entry_reads_well() {
        let params: FilterParams = toml::from_str(
            r#"
            length.enabled = false
            perplexity = { min_perplexity = 3.5, max_perplexity = 50 }
            scores = [{ name = "coherence", min = 6 }]
            select = { rule = "highest-score", score = "coherence", keep = 2 }
            "#,
        )
        .unwrap();
        assert!(!params.length.enabled && params.pattern.enabled);
        assert_eq!(params.scores[0].min, Some(6.0));
        assert_eq!(params.select.rule, SelectRule::HighestScore);
        params.check().unwrap();
        assert!(toml::from_str::<FilterParams>("min_token = 3").is_err());
    }

    #[test]
    fn contradictions_name_their_key() {
        for (text, key) in [
            ("length.max_tokens = 24", "length.max_tokens"),
            (
                "perplexity.max_perplexity = 4.5",
                "perplexity.max_perplexity",
            ),
            ("repetition.max_rate = 1.5", "repetition.max_rate"),
            ("scores = [{ name = 'x' }]", "scores[0]"),
            (
                "scores = [{ name = 'x', min = 2, max = 1 }]",
                "scores[0].max",
            ),
            ("select.rule = 'highest-score'", "select.score"),
            ("select.keep = 0", "select.keep"),
            ("steps = ['pattern', 'lenght']", "steps[1]"),
            ("steps = [{ min_tokens = 3 }]", "steps[0]"),
            ("steps = [{ step = 'length', min_token = 3 }]", "steps[0]"),
            (
                "steps = [{ step = 'length', max_tokens = 3 }]",
                "steps[0].max_tokens",
            ),
            ("steps = [{ step = 'score', name = 'x' }]", "steps[0]"),
            (
                "steps = ['length']\nlength.enabled = false",
                "length.enabled",
            ),
            ("steps = ['length']\nended.enabled = true", "ended.enabled"),
            (
                "steps = ['length']\nscores = [{ name = 'x', min = 1 }]",
                "scores",
            ),
            ("steps = ['length']\ndedup.by = 'text'", "dedup"),
            ("steps = ['length']\npass_rate.min = 0.5", "pass_rate"),
            (
                "steps = ['length']\ncorrect.enabled = true",
                "correct.enabled",
            ),
            ("steps = ['dedup']", "dedup.by"),
            ("steps = [{ step = 'dedup', n = 2 }]", "steps[0].by"),
            ("steps = ['pass_rate']", "pass_rate"),
            ("pass_rate.min = 1.5", "pass_rate.min"),
            ("pass_rate = { min = 0.5, max = 0.4 }", "pass_rate.max"),
            ("dedup = { by = 'ngram', n = 0 }", "dedup.n"),
            ("select.rule = 'lowest-score'", "select.score"),
        ] {
            let params: FilterParams = toml::from_str(text).unwrap();
            let error = params.check().unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }

    /// The list says which steps run; a switch that agrees, or one that nobody touched, is no contradiction.
    #[test]
    fn a_list_stands_beside_sections() {
        for text in [
            "steps = []",
            "steps = ['ended', 'select']",
            "steps = ['ended']\nended.enabled = true",
            "steps = ['select']\nlength.enabled = false",
            "steps = ['score']\nscores = [{ name = 'x', min = 1 }]",
            "steps = [{ step = 'score', name = 'x', min = 1 }, 'score']",
            "steps = ['correct', { step = 'dedup', by = 'text' }, 'pass_rate']\npass_rate.min = 0.5",
            "steps = ['dedup']\ndedup.by = 'ngram'",
        ] {
            let params: FilterParams = toml::from_str(text).unwrap();
            params.check().unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        // Without a list nothing is written, so that keys stay.
        let value = serde_json::to_value(FilterParams::default()).unwrap();
        let keys: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let sections = ["ended", "pattern", "length", "repetition", "perplexity"];
        assert_eq!(keys, [&sections[..], &["select", "reading"]].concat());
        let list = "steps = ['length', { step = 'length', min_tokens = 5 }]";
        let params: FilterParams = toml::from_str(list).unwrap();
        let value = serde_json::to_value(&params).unwrap();
        let back: FilterParams = serde_json::from_value(value).unwrap();
        assert_eq!(back, params);
    }

    /// What is so by default says nothing by itself; written, it does.
    #[test]
    fn what_is_written_and_means_nothing_is_refused() {
        let told = |text: &str| {
            let written: Map<String, Value> = toml::from_str(text).unwrap();
            let params: FilterParams = toml::from_str(text).unwrap();
            params.check().unwrap_or_else(|e| panic!("{text}: {e}"));
            let refused = FilterParams::check_written(&written).err();
            refused.map(|error| error.to_string()).unwrap_or_default()
        };
        for (text, key) in [
            (
                "steps = ['correct']\ncorrect.enabled = false",
                "correct.enabled",
            ),
            ("steps = []\nlength.enabled = true", "length.enabled"),
            ("select = { rule = 'all', keep = 4 }", "select.keep"),
            ("dedup = { by = 'text', n = 4 }", "dedup.n"),
            (
                "dedup = { by = 'equations', max_overlap = 0.5 }",
                "dedup.max_overlap",
            ),
            (
                "steps = [{ step = 'select', rule = 'all', keep = 4 }]",
                "steps[0].keep",
            ),
            (
                "select.rule = 'all'\nsteps = [{ step = 'select', keep = 4 }]",
                "steps[0].keep",
            ),
        ] {
            assert!(
                told(text).contains(&format!("`{key}`")),
                "{text}: {}",
                told(text)
            );
        }
        for text in [
            "",
            "correct.enabled = false",
            "steps = ['correct']\ncorrect.enabled = true",
            "steps = ['select']\nlength.enabled = false",
            "select = { rule = 'all', keep = 1 }",
            "select = { rule = 'random', keep = 4 }",
            "dedup = { by = 'text', n = 3 }",
            "dedup = { by = 'ngram', n = 4, max_overlap = 0.5 }",
            "select.keep = 4\nsteps = [{ step = 'select', rule = 'all' }, 'select']",
            "scores = [{ name = 'x', min = 1 }]",
        ] {
            assert_eq!(told(text), "", "{text}");
        }
    }

    #[test]
    fn the_schema_carries_limits() {
        let schema = schemars::schema_for!(FilterParams).to_value();
        let rate = &schema["$defs"]["RepetitionLimit"]["properties"]["max_rate"];
        assert_eq!(rate["maximum"], 1.0);
        assert_eq!(rate["default"], 0.2);
        let max = &schema["$defs"]["PerplexityLimit"]["properties"]["max_perplexity"];
        assert_eq!(max["minimum"], 1.0);
    }
}
