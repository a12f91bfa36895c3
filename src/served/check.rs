//! What is found out of a server before it draws anything that is kept.
//!
//! Its version; whether it tells token ids with log-probabilities; whether these are before temperature and top-k; whether a
//! given text is read as a drawn one is; and, against our own engine, whether it has the student's weights.

use serde_json::Value;

use super::asking::Question;
use super::form::{Ask, Drawn, Reading};
use super::{Served, ServedError};
use crate::model::{Dtype, ScoreJob};
use crate::teacher::http::EndpointErrorKind;

/// Most probable tokens that are compared (ours).
const COMPARED: usize = 5;
/// How far log-probabilities of one server may lie apart that are to be the same (ours): 16-bit numbers and other work
/// beside move them by less, a temperature or a top-k by more.
const SAME: f64 = 0.15;

/// How often a token is drawn to find one that is a whole letter (ours).
const DRAWS: u32 = 8;

/// The most probable tokens after a text, with their log-probabilities.
type FirstTokens = Vec<(u32, f64)>;

impl Served<'_> {
    /// Finds out whether the server can be used. `text` is any text in the student's tokens.
    ///
    /// # Errors
    /// It cannot, and the error says why and what could.
    pub(crate) fn check(&self, text: &[u32]) -> Result<(), ServedError> {
        self.check_version()?;
        let plain = self.probe(text, 1.0, 0)?;
        let shaped = self.probe(text, 4.0, 2)?;
        // Rounding may have put another one into the last place.
        let last = shaped.iter().map(|(_, log_prob)| *log_prob);
        let last = last.fold(f64::INFINITY, f64::min);
        for (token, log_prob) in &plain {
            let other = shaped.iter().find(|(other, _)| other == token);
            let (_, nearest) = other.copied().unwrap_or((*token, last));
            let apart = (nearest - log_prob).abs() > SAME;
            if apart {
                let other = other.map_or("none".to_owned(), |(_, other)| format!("{other:.2}"));
                return Err(ServedError::Tempered {
                    at: self.at().to_owned(),
                    title: self.form.title,
                    what: format!(
                        "the token {token} has {log_prob:.2} at temperature 1, and {other} at temperature 4 with top-k 2"
                    ),
                    hint: self.form.raw_hint,
                });
            }
        }
        self.check_reading(text, &plain)
    }

    /// How far the server's log-probabilities of `text`'s own tokens lie from these, which our engine gives from its second
    /// token on; at most `limit` of [`rounding`].
    ///
    /// # Errors
    /// They are those of other weights.
    pub(crate) fn check_weights(
        &self,
        text: &[u32],
        ours: &[f64],
        limit: f64,
    ) -> Result<f64, ServedError> {
        let job = ScoreJob {
            prompt: text[..1].to_vec(),
            continuations: vec![text[1..].to_vec()],
        };
        let mut theirs = Vec::new();
        self.score(&[job], &mut |_, scores| theirs = scores.concat())?;
        let apart = differ(ours, &theirs);
        if apart <= limit {
            return Ok(apart);
        }
        Err(ServedError::OtherWeights {
            at: self.at().to_owned(),
            what: format!(
                "log-probabilities of {} tokens lie {apart:.2} apart from those of our own engine on average, and at most {limit} is rounding in its number format",
                ours.len()
            ),
        })
    }

    fn check_version(&self) -> Result<(), ServedError> {
        let (paths, place) = self.form.version;
        let title = self.form.title;
        let other = |found: String, hint: String| ServedError::Other {
            at: self.at().to_owned(),
            found,
            title,
            wanted: self.version.clone(),
            hint,
        };
        let said = match self.look(paths) {
            // Another server has nothing there.
            Err(ServedError::Asked(error))
                if matches!(*error.kind, EndpointErrorKind::NoSuchPath { .. }) =>
            {
                Value::Null
            }
            said => said?,
        };
        let version = said.pointer(place).and_then(Value::as_str);
        let Some(version) = version else {
            let hint = "set `server.name` to the server that it is: vllm, sglang or llama.cpp";
            let found = format!("what is there does not tell its version at `{}`", paths[0]);
            return Err(other(found, hint.to_owned()));
        };
        let goes_on = |rest: &str| rest.is_empty() || rest.starts_with(['-', '+']);
        if version.strip_prefix(&*self.version).is_some_and(goes_on) {
            return Ok(());
        }
        // llama.cpp adds the commit to its build's number.
        let short = version.split('-').next().unwrap_or(version);
        let hint = format!(
            "set `server.version = \"{short}\"` if that is the one to use; what another version drew stays apart"
        );
        Err(other(
            format!("the server there is {title} {version}"),
            hint,
        ))
    }

    /// The most probable tokens after `text`, where a token is drawn with these settings.
    fn probe(
        &self,
        text: &[u32],
        temperature: f64,
        top_k: u32,
    ) -> Result<FirstTokens, ServedError> {
        let mut drawn = self.draw_one(text, (temperature, top_k), 1)?;
        // A server that reads token by token says nothing of one that ends within a character: then another is drawn.
        let by_token = matches!(self.form.reading, Reading::ByToken { .. });
        for seed in 2..=DRAWS {
            if !(by_token && drawn.best.is_empty()) {
                break;
            }
            drawn = self.draw_one(text, (temperature, top_k), seed)?;
        }
        let best = self.best(&drawn, COMPARED)?;
        Ok(best
            .iter()
            .map(|each| (each.token, each.log_prob))
            .collect())
    }

    /// Draws one token after `text`.
    fn draw_one(
        &self,
        text: &[u32],
        (temperature, top_k): (f64, u32),
        seed: u32,
    ) -> Result<Drawn, ServedError> {
        let body = (self.form.ask)(&Ask {
            model: self.model.as_deref(),
            prompt: text,
            max_tokens: 1,
            temperature,
            top_k,
            top_p: 1.0,
            seed,
            ends: &self.student.ends,
            best: COMPARED,
        });
        let question = Question {
            body,
            prompt: text.len(),
            most: 1,
        };
        let mut found: Option<Drawn> = None;
        self.ask(vec![question], &mut |_, body| {
            found = Some((self.form.read)(body).map_err(|what| self.lacks(what))?);
            Ok(())
        })?;
        let drawn = found.filter(|drawn| !drawn.tokens.is_empty());
        drawn.ok_or_else(|| self.lacks("no token was drawn where one was asked for".to_owned()))
    }

    /// Whether a given token is read as it is told where it may be drawn.
    fn check_reading(&self, text: &[u32], best: &FirstTokens) -> Result<(), ServedError> {
        let job = ScoreJob {
            prompt: text.to_vec(),
            continuations: best.iter().map(|(token, _)| vec![*token]).collect(),
        };
        let mut read = Vec::new();
        self.score(&[job], &mut |_, scores| read = scores.concat())?;
        for ((token, drawn), read) in best.iter().zip(read) {
            if (drawn - read).abs() > SAME {
                return Err(self.lacks(format!(
                    "the token {token} has the log-probability {drawn:.2} where it may be drawn and {read:.2} where it is read"
                )));
            }
        }
        Ok(())
    }
}

/// How far, on average, log-probabilities of two engines may lie apart on the same weights, in the number format that a stage
/// declares for its server, or on weights in 8 bits or fewer, with which llama.cpp multiplies 8-bit activations (ours). What was seen stands in
/// docs/servers.md.
pub(crate) fn rounding(dtype: Dtype, quantized: bool) -> f64 {
    match dtype {
        _ if quantized => 0.15,
        Dtype::F32 | Dtype::Tf32 => 0.02,
        Dtype::F16 => 0.04,
        Dtype::Bf16 | Dtype::Int8 => 0.15,
    }
}

/// How far two lists of log-probabilities lie apart, on average.
fn differ(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() || ours.is_empty() {
        return f64::INFINITY;
    }
    let sum: f64 = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).sum();
    sum / ours.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each limit lies above what was seen, and of f32 below what a little training makes (0.07).
    #[test]
    fn a_limit_lies_above_rounding() {
        let seen = [
            (Dtype::F32, false, 0.002),
            (Dtype::F16, false, 0.014),
            (Dtype::Bf16, false, 0.07),
            (Dtype::F32, true, 0.082),
        ];
        for (dtype, quantized, apart) in seen {
            assert!(
                rounding(dtype, quantized) > 1.5 * apart,
                "{dtype} {quantized}"
            );
        }
        assert!(rounding(Dtype::F32, false) < 0.05 && rounding(Dtype::F16, false) < 0.05);
    }
}
