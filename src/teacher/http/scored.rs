//! A score in a server's own words: `{"correct": 1}`, `{"score": 0.5}`, `{"correct": null, "reason": "..."}`.

use serde_json::Value;

use crate::text::cut;

/// What a server says of one text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Scored {
    /// 1 is right, 0 is wrong; between them lies what is neither. None where it does not know.
    pub score: Option<f64>,
    /// Why, where it says so.
    pub reason: Option<String>,
}

impl Scored {
    /// Letters of a reason that are read. Ours.
    pub(crate) const REASON_LETTERS: usize = 500;

    /// The score in a body. Where `correct` and `score` both stand, `correct` counts.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(body: &Value) -> Result<Self, String> {
        let score = match (body.get("correct"), body.get("score")) {
            (Some(correct), _) => match correct {
                Value::Null => None,
                Value::Bool(is_right) => Some(f64::from(u8::from(*is_right))),
                other => match other.as_f64() {
                    Some(1.0) => Some(1.0),
                    Some(0.0) => Some(0.0),
                    _ => return Err("`correct` is neither 1, 0 nor null".to_owned()),
                },
            },
            (None, Some(Value::Null)) => None,
            (None, Some(score)) => match score.as_f64() {
                Some(value) if (0.0..=1.0).contains(&value) => Some(value),
                _ => return Err("`score` is no number from 0 to 1".to_owned()),
            },
            (None, None) => return Err("the answer has neither `correct` nor `score`".to_owned()),
        };
        let reason = body.get("reason").and_then(Value::as_str);
        Ok(Self {
            score,
            reason: reason.map(|reason| cut(reason.to_owned(), Self::REASON_LETTERS)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scores_are_read_and_never_guessed() {
        let read = |body: Value| Scored::read(&body).map(|scored| scored.score);
        for (body, score) in [
            (json!({ "correct": 1 }), Some(1.0)),
            (json!({ "correct": 0.0, "score": 0.9 }), Some(0.0)),
            (json!({ "correct": true }), Some(1.0)),
            (json!({ "correct": null }), None),
            (json!({ "score": 0.25 }), Some(0.25)),
            (json!({ "score": null }), None),
        ] {
            assert_eq!(read(body.clone()), Ok(score), "{body}");
        }
        for body in [
            json!({}),
            json!([1]),
            json!(1),
            json!({ "correct": 0.5 }),
            json!({ "correct": "yes" }),
            json!({ "score": 1.01 }),
            json!({ "score": -0.1 }),
            json!({ "score": "1" }),
        ] {
            assert!(read(body.clone()).is_err(), "{body}");
        }
        let told = Scored::read(&json!({ "correct": null, "reason": "two answers" }));
        assert_eq!(told.unwrap().reason.as_deref(), Some("two answers"));
        let long = "x".repeat(501);
        let told = Scored::read(&json!({ "correct": null, "reason": long })).unwrap();
        assert_eq!(told.reason, Some("x".repeat(500) + "..."));
    }
}
