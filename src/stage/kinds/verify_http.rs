//! The verifier that is a server of the user's: the JSON of a path to it, a score back.
//!
//! It is asked by the client that asks teachers and judges, so the same holds: several requests at a time, tries, waits and
//! permissions; a score is a row before it counts, and is never asked for again.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::replies::{self, Server};
use super::verify_asked::asked;
use super::verify_server::ServerParams;
use crate::stage::{Context, StageError, Work};
use crate::teacher::http::{Budget, Endpoint, Mode, Reply, Request, Scored};
use crate::text::{Question, ReasoningPath};

/// What the server finds of each path.
///
/// # Errors
/// Some scores could not be had; those that came are kept.
pub(super) fn find(
    params: &ServerParams,
    paths: &[(&Question, &ReasoningPath)],
    context: &Context<'_>,
) -> Result<Vec<Finding>, StageError> {
    let endpoint = params.endpoint();
    let server = Server {
        endpoint: &endpoint,
        mode: Mode::Online,
        budget: Budget::default(),
    };
    let requests = requests(&endpoint, paths);
    let replies = server.ask(context, |client| Ok(client.ask(&requests)?))?;
    replies.iter().map(finding).collect()
}

/// What is asked, path by path.
pub(super) fn requests(endpoint: &Endpoint, paths: &[(&Question, &ReasoningPath)]) -> Vec<Request> {
    let request = |(question, path): &(&Question, &ReasoningPath)| {
        Request::to_score(endpoint, asked(question, path))
    };
    paths.iter().map(request).collect()
}

/// The work of asking: what is still to be asked, where the `requests` are known; else `rows` of them.
pub(super) fn work(
    params: &ServerParams,
    requests: Option<&[Request]>,
    rows: u64,
    context: &Context<'_>,
) -> Work {
    let missing = requests.and_then(|requests| {
        let known = replies::known(context, requests)?;
        let missing = requests.iter().zip(known);
        let missing = missing.filter(|(_, reply)| reply.is_none());
        let keys: BTreeSet<_> = missing.map(|(request, _)| request.key).collect();
        Some(keys.len() as u64)
    });
    let asked = replies::requests(missing.unwrap_or(rows), 0, 0);
    replies::priced(&params.endpoint(), asked)
}

fn finding(reply: &Reply) -> Result<Finding, StageError> {
    let body = serde_json::from_str(&reply.content).map_err(|error| error.to_string());
    let scored = body.and_then(|body| Scored::read(&body)).map_err(|why| {
        // What is kept was read before it was kept.
        StageError::Invalid(format!("a score in the store cannot be read: {why}"))
    })?;
    Ok(match (scored.score, scored.reason) {
        (Some(1.0), _) => Finding::Right,
        (Some(0.0), _) => Finding::Wrong,
        (Some(score), _) => Finding::Between(score),
        (None, Some(reason)) => Finding::Unknown(format!("the server says: {reason}")),
        (None, None) => Finding::Unknown("the server does not say".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_a_finding() {
        let found = |raw: &str| {
            let row = serde_json::json!({ "verdict": "answered", "text": raw, "raw": raw });
            let reply = Reply::from_row(row.to_string().as_bytes()).unwrap();
            finding(&reply).unwrap()
        };
        let unknown = |why: &str| Finding::Unknown(why.to_owned());
        for (raw, finding) in [
            (r#"{"correct": 1}"#, Finding::Right),
            (r#"{"correct": false}"#, Finding::Wrong),
            (r#"{"score": 0.5}"#, Finding::Between(0.5)),
            (r#"{"correct": null}"#, unknown("the server does not say")),
            (
                r#"{"correct": null, "reason": "timeout"}"#,
                unknown("the server says: timeout"),
            ),
        ] {
            assert_eq!(found(raw), finding, "{raw}");
        }
    }
}
