//! A model behind a server as judge: it writes its scores, and they are read.

use std::collections::BTreeSet;

use super::judge_params::{JudgeParams, Rating};
use super::replies::{self, Server};
use crate::stage::{Context, StageError, Work};
use crate::teacher::http::{Endpoint, Reply, Request, Turn};
use crate::teacher::judge::read_scores;

/// Most tokens of a judge's reply: four lines and a sentence, with room for more talk (ours).
const REPLY_TOKENS: u32 = 256;

/// The rating of each prompt. Over several replies a score is the mean of those that can be read.
pub(super) fn ratings(
    params: &JudgeParams,
    endpoint: &Endpoint,
    prompts: &[String],
    context: &Context<'_>,
) -> Result<Vec<Rating>, StageError> {
    let server = Server {
        endpoint,
        mode: params.mode,
        budget: params.budget.unwrap_or_default(),
    };
    let requests = requests(endpoint, prompts);
    let replies = server.ask(context, |client| Ok(client.ask(&requests)?))?;
    replies::tell_silent(context, endpoint, REPLY_TOKENS, &replies);
    let rating = |replies: &[Reply]| {
        let read: Vec<Rating> = replies
            .iter()
            .map(|reply| read_scores(reply.answer().unwrap_or_default(), &params.criteria))
            .collect();
        let mean = |criterion: usize| {
            let scores: Vec<f64> = read.iter().filter_map(|rating| rating[criterion]).collect();
            let sum: f64 = scores.iter().sum();
            (!scores.is_empty()).then(|| sum / scores.len() as f64)
        };
        (0..params.criteria.len()).map(mean).collect()
    };
    Ok(replies.chunks(endpoint.n as usize).map(rating).collect())
}

/// The work of judging: what is still to be asked, where the `prompts` are known; else `rows` prompts of
/// so many tokens.
pub(super) fn work(
    endpoint: &Endpoint,
    prompts: Option<&[String]>,
    rows: u64,
    prompt_tokens: u64,
    context: &Context<'_>,
) -> Work {
    let exact = prompts.and_then(|prompts| missing(endpoint, prompts, context));
    let work = exact.unwrap_or_else(|| {
        let most = endpoint.longest_reply(REPLY_TOKENS);
        replies::requests(rows * u64::from(endpoint.n), prompt_tokens, most)
    });
    replies::priced(endpoint, work)
}

/// The requests whose replies are not kept yet.
fn missing(endpoint: &Endpoint, prompts: &[String], context: &Context<'_>) -> Option<Work> {
    let requests = requests(endpoint, prompts);
    let known = replies::known(context, &requests)?;
    let mut seen = BTreeSet::new();
    let missing = requests
        .iter()
        .zip(known)
        .filter(|(request, reply)| reply.is_none() && seen.insert(request.key));
    Some(missing.fold(Work::default(), |work, (request, _)| {
        let tokens = request.tokens;
        work.and(replies::requests(1, tokens.prompt, tokens.completion))
    }))
}

/// `n` requests for each prompt.
fn requests(endpoint: &Endpoint, prompts: &[String]) -> Vec<Request> {
    prompts
        .iter()
        .flat_map(|prompt| {
            let turns = [Turn::Asked(prompt.clone())];
            (0..endpoint.n).map(move |draw| Request::new(endpoint, &turns, draw, REPLY_TOKENS))
        })
        .collect()
}
