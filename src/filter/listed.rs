//! The steps as a manifest lists them, and all of a filter in the order in which they run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::params::{STEPS, StepKind};
use super::step::{Missing, Needed, Step, refuse};
use super::{FilterError, FilterParams};

/// The key that names a step in a table of its settings.
const STEP: &str = "step";
/// The key of a section that switches its step on or off.
const ENABLED: &str = "enabled";

/// A step as `steps` lists it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Listed {
    /// As its section says.
    Named(String),
    /// The name, `step`, and what is other than in its section.
    Changed(Map<String, Value>),
}

/// A step in its place.
pub(super) struct Planned {
    /// As the funnel and drop reasons call it: `length`, `score coherence`, and the second of a name `length 2`.
    pub(super) name: String,
    /// Where its settings stand.
    pub(super) place: String,
    pub(super) step: Box<dyn Step>,
    /// Whether the manifest lists the steps.
    listed: bool,
}

impl FilterParams {
    /// The steps in the order in which they run.
    pub(super) fn planned(&self) -> Result<Vec<Planned>, FilterError> {
        let mut planned = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut add = |kind: &StepKind, place: String, step: Box<dyn Step>| {
            let name = match step.about() {
                Some(about) => format!("{} {about}", kind.name),
                None => kind.name.to_owned(),
            };
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            planned.push(Planned {
                name: match times {
                    1 => name,
                    times => format!("{name} {times}"),
                },
                place,
                step,
                listed: self.steps.is_some(),
            });
        };
        let Some(list) = &self.steps else {
            for kind in STEPS {
                for (place, step) in (kind.of_section)(self) {
                    if step.enabled() {
                        add(kind, place, step);
                    }
                }
            }
            return Ok(planned);
        };
        self.check_switches(list)?;
        for (i, listed) in list.iter().enumerate() {
            let place = format!("steps[{i}]");
            let kind = listed.kind(&place)?;
            match listed {
                Listed::Named(_) => {
                    for (place, step) in (kind.of_section)(self) {
                        step.check_listed(&place)?;
                        add(kind, place, step);
                    }
                }
                Listed::Changed(settings) => {
                    let mut settings = settings.clone();
                    settings.shift_remove(STEP);
                    let step = (kind.changed)(self, &settings).or_else(|error| {
                        refuse(&place, "", &Value::Object(settings), error.to_string())
                    })?;
                    step.check(&place)?;
                    step.check_listed(&place)?;
                    add(kind, place, step);
                }
            }
        }
        Ok(planned)
    }

    /// Refuses a list and switches that say two things.
    fn check_switches(&self, list: &[Listed]) -> Result<(), FilterError> {
        let usual = Self::default();
        for kind in STEPS {
            let StepKind {
                name,
                section,
                of_section,
                ..
            } = kind;
            let is_listed = list.iter().any(|listed| listed.name() == Some(*name));
            let on = |params: &Self| {
                let steps = of_section(params);
                let first = steps.first()?;
                first.1.has_switch().then(|| first.1.enabled())
            };
            let is_set = of_section(self).iter().any(|(_, step)| step.enabled());
            let is_named = list.contains(&Listed::Named((*name).to_owned()));
            match (on(self), on(&usual)) {
                (Some(now), Some(usual)) if now != usual && now != is_listed => {
                    return contradicts(kind, now);
                }
                // Limits on scores have their places in the list; others are what a table there starts from.
                (Some(_), None) if is_named => {}
                (None, None) if is_listed || !is_set => {}
                (_, None) => {
                    let found = format!("settings, but `{name}` is not in `steps`");
                    return refuse(section, "", &found, format!("none, or `{name}` in `steps`"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks what only the manifest's own words tell, of parameters that fit and that [`FilterParams::check`] found nothing
    /// wrong with: a switch that is written as it is by default and against `steps`, and a setting that means nothing.
    ///
    /// # Errors
    /// [`FilterError::Parameter`] names the first key at fault.
    pub fn check_written(written: &Map<String, Value>) -> Result<(), FilterError> {
        let Ok(params) = serde_json::from_value::<Self>(Value::Object(written.clone())) else {
            return Ok(()); // told by whoever reads them
        };
        for kind in STEPS {
            let Some(section) = written.get(kind.section).and_then(Value::as_object) else {
                continue;
            };
            if let (Some(list), Some(now)) =
                (&params.steps, section.get(ENABLED).and_then(Value::as_bool))
            {
                let is_listed = list.iter().any(|listed| listed.name() == Some(kind.name));
                if now != is_listed {
                    return contradicts(kind, now);
                }
            }
            for (place, step) in (kind.of_section)(&params) {
                check_idle(step.as_ref(), section, &place)?;
            }
        }
        for (i, listed) in params.steps.iter().flatten().enumerate() {
            let Listed::Changed(settings) = listed else {
                continue;
            };
            let place = format!("steps[{i}]");
            let mut settings = settings.clone();
            settings.shift_remove(STEP);
            if let Ok(step) = (listed.kind(&place)?.changed)(&params, &settings) {
                check_idle(step.as_ref(), &settings, &place)?;
            }
        }
        Ok(())
    }

    /// What the steps need of paths, with the key that asks for it.
    ///
    /// # Errors
    /// As [`FilterParams::check`].
    pub fn needs(&self) -> Result<Vec<(String, Needed)>, FilterError> {
        let mut needs = Vec::new();
        for Planned { place, step, .. } in self.planned()? {
            let of_step = step.needs().into_iter();
            needs.extend(of_step.map(|(key, needed)| match key {
                "" => (place.clone(), needed),
                key => (format!("{place}.{key}"), needed),
            }));
        }
        Ok(needs)
    }
}

impl Planned {
    /// The error of a path that lacks what the step needs.
    pub(super) fn lacks(&self, missing: Missing) -> FilterError {
        let Missing {
            needed,
            question_id,
            scores,
        } = missing;
        let (step, place) = (self.name.clone(), &self.place);
        let instead = match self.step.without() {
            Some(setting) => format!("set `{place}.{setting}"),
            None if self.listed => format!("take `{step}` out of `steps`"),
            None => format!("set `{place}.{ENABLED} = false`"),
        };
        match needed {
            Needed::Tokens => FilterError::NoTokens {
                step,
                question_id,
                instead,
            },
            Needed::LogProbs => FilterError::NoLogProb {
                step,
                question_id,
                instead,
            },
            Needed::Score(name) | Needed::Bound(name, _) => FilterError::NoScore {
                name,
                question_id,
                found: match scores.as_slice() {
                    [] => "none".into(),
                    scores => scores.join(", "),
                },
            },
        }
    }
}

impl Listed {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Changed(settings) => settings.get(STEP)?.as_str(),
        }
    }

    fn kind(&self, place: &str) -> Result<&'static StepKind, FilterError> {
        let name = self.name().unwrap_or_default();
        let kind = STEPS.iter().find(|kind| kind.name == name);
        kind.ok_or_else(|| FilterError::Parameter {
            key: place.to_owned(),
            found: format!("`{name}`"),
            accepted: names().join(", "),
        })
    }
}

/// The error of a switch that says otherwise than `steps`.
fn contradicts(kind: &StepKind, now: bool) -> Result<(), FilterError> {
    let said = if now { "is not" } else { "is" };
    let found = format!("{now}, but `{}` {said} in `steps`", kind.name);
    let accepted = format!("{}, or none: `steps` says which steps run", !now);
    refuse(kind.section, ENABLED, &found, accepted)
}

/// Refuses a key of `written` that means nothing for `step`.
fn check_idle(
    step: &dyn Step,
    written: &Map<String, Value>,
    place: &str,
) -> Result<(), FilterError> {
    match step.idle(written) {
        Some((key, accepted)) => refuse(place, key, &written[key], accepted),
        None => Ok(()),
    }
}

fn names() -> Vec<&'static str> {
    STEPS.iter().map(|kind| kind.name).collect()
}

impl JsonSchema for Listed {
    fn schema_name() -> Cow<'static, str> {
        "FilterStep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut table = |kind: &StepKind| {
            let settings = (kind.schema)(generator).to_value();
            let mut properties = Map::new();
            properties.insert(
                STEP.to_owned(),
                json!({ "type": "string", "const": kind.name, "description": kind.doc.trim() }),
            );
            for (key, value) in settings["properties"].as_object().into_iter().flatten() {
                let mut value = value.clone();
                if let Value::Object(keywords) = &mut value {
                    keywords.shift_remove("default"); // the section's value
                }
                properties.insert(key.clone(), value);
            }
            properties.shift_remove(ENABLED);
            let mut required = vec![json!(STEP)];
            required.extend(
                settings["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
            json!({
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            })
        };
        let tables: Vec<Value> = STEPS.iter().map(&mut table).collect();
        json_schema!({
            "anyOf": [{ "type": "string", "enum": names() }, { "type": "object", "oneOf": tables }],
            "description": "A step: its name, or a table of its name and what is other than in its section.",
        })
    }
}
