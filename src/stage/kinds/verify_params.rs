//! Parameters of `verify`.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verify_server::ServerParams;
use crate::input::nearest;
use crate::program::ProgramParams;
use crate::stage::ParamError;
use crate::text::Reading;

/// The name of the score unless the manifest says another.
const CORRECT: &str = "correct";
/// The group of a pattern that captures the answer.
pub(super) const ANSWER_GROUP: &str = "answer";
/// The name of the share that goes with it.
const PASS_RATE: &str = "pass_rate";

/// How an answer is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verifier {
    /// As `eval` reads it: the answer by `reading`, against the gold answer.
    #[default]
    Answer,
    /// As values: numbers, fractions, sets, tuples, LaTeX and expressions that are equal (docs/verifiers.md).
    Math,
    /// By `pattern`: a text that it matches is right; or, where it has a group `(?<answer>...)`, what that captured last is
    /// the answer.
    Regex,
    /// By what most of the question's paths conclude, whatever the gold answer: of equals what comes first.
    Majority,
    /// By the exact judge of data set `latent-world`, which reads the reasoning too (docs/verifiers.md).
    LatentWorld,
    /// By a program of yours, `exec`.
    Exec,
    /// By a server of yours, `http`.
    Http,
}

/// What a path without an answer is in `pass_rate`. It is never `correct = 0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unanswered {
    /// Not right.
    #[default]
    NotRight,
    /// No path of the question.
    LeftOut,
}

/// Parameters of `verify`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct VerifyParams {
    /// How an answer is checked. Default `answer`.
    pub verifier: Verifier,
    /// The name under which the score is kept, and by which `filter` asks for it. Default `correct`. The share of a question's
    /// paths that are right is kept as `pass_rate`, or as `NAME_pass_rate` where this is another name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What a path without an answer is in the share: `not-right`, or `left-out`. Its score is unparsed either way. Default
    /// `not-right` (ours): a question that is mostly not answered is no easy one.
    pub unanswered: Unanswered,
    /// Verifier `regex` only: the pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Verifier `exec` only: the program, which takes a line of JSON for each path and writes one (docs/verifiers.md).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ProgramParams>,
    /// Verifier `http` only: the server, which takes the JSON of a path and answers with its score (docs/verifiers.md).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<ServerParams>,
    /// By which rule answers are read (docs/answers.md). Default `standard` (ours).
    pub reading: Reading,
    /// Share of the verdicts that are turned round, right to wrong and wrong to right, 0 to 1: what a verifier that errs does
    /// to what comes after. Which ones follows from question and text, and those of a share are among those of a greater one.
    /// Default 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_noise: f64,
}

impl Default for VerifyParams {
    fn default() -> Self {
        Self {
            verifier: Verifier::Answer,
            name: CORRECT.to_owned(),
            unanswered: Unanswered::NotRight,
            pattern: None,
            exec: None,
            http: None,
            reading: Reading::default(),
            label_noise: 0.0,
        }
    }
}

impl VerifyParams {
    /// The name of the share.
    pub(super) fn pass_rate(&self) -> String {
        if self.name == CORRECT {
            return PASS_RATE.to_owned();
        }
        format!("{}_{PASS_RATE}", self.name)
    }

    /// What the schema cannot check.
    pub(super) fn param_errors(&self) -> Vec<ParamError> {
        let error = |field: &str, message: String, hint: &str| ParamError {
            field: field.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let mut errors = Vec::new();
        if self.name.trim().is_empty() {
            errors.push(error(
                "name",
                "it is empty".to_owned(),
                "the score's name, by which `filter` asks for it; without it `correct`",
            ));
        }
        match (&self.pattern, self.verifier) {
            (None, Verifier::Regex) => errors.push(error(
                "pattern",
                "it is missing, and `verifier = \"regex\"` checks by it".to_owned(),
                "for example `pattern = '(?i)answer is (?<answer>\\w+)'`",
            )),
            (Some(pattern), Verifier::Regex) => {
                errors.extend(pattern_error(pattern).map(|(message, hint)| ParamError {
                    field: "pattern".to_owned(),
                    message,
                    hint: Some(hint),
                }));
            }
            (Some(_), _) => errors.push(error(
                "pattern",
                "only `verifier = \"regex\"` checks by a pattern".to_owned(),
                "set `verifier = \"regex\"`, or leave `pattern` out",
            )),
            (None, _) => {}
        }
        match (&self.exec, self.verifier) {
            (None, Verifier::Exec) => errors.push(error(
                "exec",
                "it is missing, and `verifier = \"exec\"` runs it".to_owned(),
                "for example `exec = { program = \"check.py\", interpreter = [\"python3\"] }`",
            )),
            (Some(program), Verifier::Exec) => {
                errors.extend(
                    program
                        .param_errors("exec.")
                        .into_iter()
                        .map(|(field, message, hint)| error(&field, message, hint)),
                );
            }
            (Some(_), _) => errors.push(error(
                "exec",
                "only `verifier = \"exec\"` runs a program".to_owned(),
                "set `verifier = \"exec\"`, or leave `exec` out",
            )),
            (None, _) => {}
        }
        match (&self.http, self.verifier) {
            (None, Verifier::Http) => errors.push(error(
                "http",
                "it is missing, and `verifier = \"http\"` asks it".to_owned(),
                "for example `http = { url = \"http://127.0.0.1:8080/verify\" }`",
            )),
            (Some(server), Verifier::Http) => errors.extend(
                server
                    .field_errors()
                    .into_iter()
                    .map(|(field, message, hint)| error(&field, message, hint)),
            ),
            (Some(_), _) => errors.push(error(
                "http",
                "only `verifier = \"http\"` asks a server".to_owned(),
                "set `verifier = \"http\"`, or leave `http` out",
            )),
            (None, _) => {}
        }
        errors
    }
}

/// What is wrong with a pattern, and what to do. A group of another name than `answer` would be looked for by nobody, and the pattern
/// would ask whether it matches instead of what the answer is.
fn pattern_error(pattern: &str) -> Option<(String, String)> {
    let regex = match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => {
            return Some((
                format!("it is no regular expression: {error}"),
                "the syntax is that of https://docs.rs/regex".to_owned(),
            ));
        }
    };
    let other = regex
        .capture_names()
        .flatten()
        .find(|name| *name != ANSWER_GROUP)?;
    let hint = match nearest(other, [ANSWER_GROUP]) {
        Some(near) => format!("did you mean `(?<{near}>...)`?"),
        None => format!(
            "`(?<{ANSWER_GROUP}>...)` captures the answer; what only belongs together stands in `(?:...)`"
        ),
    };
    let message =
        format!("the group `{other}` means nothing: the one with a meaning is `{ANSWER_GROUP}`");
    Some((message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_where_they_are_used() {
        let told = |text: &str| {
            let params: VerifyParams = toml::from_str(text).unwrap();
            let errors = params.param_errors().into_iter();
            let told = errors.map(|each| format!("{}: {}", each.field, each.message));
            told.collect::<Vec<_>>().concat()
        };
        assert_eq!(told("verifier = 'regex'\npattern = '12'"), "");
        let answer = "verifier = 'regex'\npattern = 'is (?:(a)|(?<answer>b))'";
        assert_eq!(told(answer), "");
        let hint = |pattern| pattern_error(pattern).unwrap().1;
        assert_eq!(hint("(?<anwser>a)"), "did you mean `(?<answer>...)`?");
        assert!(hint("(?<unit>a)").starts_with("`(?<answer>...)` captures"));
        assert_eq!(told("verifier = 'exec'\nexec.program = 'check.py'"), "");
        assert_eq!(told("verifier = 'http'\nhttp.url = 'http://a/verify'"), "");
        for (text, said) in [
            ("verifier = 'regex'", "pattern: it is missing"),
            ("pattern = '12'", "pattern: only"),
            (
                "verifier = 'regex'\npattern = '('",
                "pattern: it is no regular",
            ),
            (
                "verifier = 'regex'\npattern = '(?<anwser>a)'",
                "pattern: the group `anwser` means nothing",
            ),
            (
                "verifier = 'regex'\npattern = '(?<answer>a)(?P<unit>b)'",
                "pattern: the group `unit`",
            ),
            ("name = ' '", "name: it is empty"),
            (
                "verifier = 'http'\nhttp = { url = 'http://a/', provider = ' ' }",
                "http.provider: it is empty",
            ),
            ("verifier = 'exec'", "exec: it is missing"),
            ("exec.program = 'a'", "exec: only"),
            ("verifier = 'http'", "http: it is missing"),
            ("http.url = 'http://a/'", "http: only"),
            (
                "verifier = 'http'\nhttp.url = 'a/verify'",
                "http.url: it is no address",
            ),
            (
                "verifier = 'http'\nhttp = { url = 'http://a/', limits = { read_timeout_s = 700 } }",
                "http.limits.read_timeout_s: 700 s",
            ),
            ("verifier = 'exec'\nexec = {}", "exec.program: no program"),
        ] {
            assert!(told(text).starts_with(said), "{text}: {}", told(text));
        }
    }

    #[test]
    fn names_of_scores_go_together() {
        let named = |name: &str| VerifyParams {
            name: name.to_owned(),
            ..VerifyParams::default()
        };
        assert_eq!(VerifyParams::default().pass_rate(), "pass_rate");
        assert_eq!(named("valued").pass_rate(), "valued_pass_rate");
    }
}
