//! Replies of a server, as rows: what `teach` and `judge` share.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::key::Digest;
use crate::stage::{Context, ParamError, StageError, Work, product};
use crate::store::Store;
use crate::teacher::http::{
    BoxError, Budget, Claim, Client, ClientEvent, ClientProgress, Endpoint, EndpointUsage, Mode,
    Reply, ReplyKind, ReplyStore, Request, Tokens,
};

/// The bucket of replies.
const BUCKET: &str = "replies";
/// Bytes that a reply takes in the store, roughly, and for each of its tokens (ours).
const ROW_BYTES: u64 = 800;
const ROW_BYTES_PER_TOKEN: u64 = 10;

/// A server as a stage's parameters name it.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) mode: Mode,
    pub(crate) budget: Budget,
}

impl Server<'_> {
    /// Lets `work` ask the server, and records what that took.
    pub(crate) fn ask<T>(
        &self,
        context: &Context<'_>,
        work: impl FnOnce(&Client<'_>) -> Result<T, StageError>,
    ) -> Result<T, StageError> {
        let on_event = |news| match news {
            ClientEvent::Info(message) => context.report.info(message),
            ClientEvent::Warning(message) => context.report.warn(message),
            ClientEvent::Progress(progress) => context.progress(
                "replies",
                progress.done,
                progress.wanted,
                progress.spent.tokens().completion,
                detail(&progress),
            ),
        };
        let folder = context.work_dir()?;
        let client = Client::new(
            self.endpoint,
            self.mode,
            self.budget,
            &folder,
            context.store,
            context.cancel,
            &context.options.permissions,
            context.fetcher.options().offline,
            &on_event,
        )?;
        let made = work(&client);
        let usage = client.usage();
        let made = made.inspect_err(|_| tell_spent(context, &usage))?;
        tell_other_models(context, &usage);
        context.record_use("endpoint", json!(usage));
        Ok(made)
    }
}

/// What is wrong with how a stage names its server.
pub(crate) fn param_errors(endpoint: &Endpoint, budget: Option<&Budget>) -> Vec<ParamError> {
    let mut param_errors: Vec<ParamError> = endpoint
        .field_errors()
        .into_iter()
        .map(|(field, message, hint)| ParamError {
            field: format!("endpoint.{field}"),
            message,
            hint: Some(hint.to_owned()),
        })
        .collect();
    if budget.is_some_and(|budget| budget.usd.is_some()) && endpoint.price.is_none() {
        param_errors.push(ParamError {
            field: "budget.usd".to_owned(),
            message: "dollars cannot be counted without prices".to_owned(),
            hint: Some(
                "add `endpoint.price = { prompt_usd_per_million = .., completion_usd_per_million = .. }`"
                    .to_owned(),
            ),
        });
    }
    param_errors
}

/// Takes out of a stage's parameters what says how its server is asked.
pub(crate) fn retain_key_fields(params: &mut Map<String, Value>) {
    params.remove("mode");
    params.remove("budget");
    if let Some(Value::Object(endpoint)) = params.get_mut("endpoint") {
        Endpoint::retain_key_fields(endpoint);
    }
}

/// The replies to `requests` that are kept already, for estimates.
pub(crate) fn known(context: &Context<'_>, requests: &[Request]) -> Option<Vec<Option<Reply>>> {
    let keys: Vec<Digest> = requests.iter().map(|request| request.key).collect();
    context.store.find(&keys).ok()
}

/// `work`, which is requests to `endpoint`, with what it costs and what it adds to the store.
pub(crate) fn priced(endpoint: &Endpoint, work: Work) -> Work {
    let tokens = Tokens {
        prompt: work.prompt_tokens,
        completion: work.reply_tokens,
    };
    Work {
        usd: endpoint.price.map(|price| price.usd(tokens)),
        disk_bytes: product(&[work.requests, ROW_BYTES])
            .saturating_add(product(&[work.reply_tokens, ROW_BYTES_PER_TOKEN])),
        ..work
    }
}

/// `count` requests of so many tokens each.
pub(crate) fn requests(count: u64, prompt_tokens: u64, reply_tokens: u64) -> Work {
    Work {
        requests: count,
        prompt_tokens: product(&[count, prompt_tokens]),
        reply_tokens: product(&[count, reply_tokens]),
        ..Work::default()
    }
}

/// What came instead of what is of use, for a note: `3 refused (content filter 2, empty 1)`.
pub(crate) fn refused_text(replies: &[Reply], is_of_use: impl Fn(&Reply) -> bool) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for reply in replies.iter().filter(|reply| !is_of_use(reply)) {
        *counts.entry(reply.kind.name()).or_insert(0_usize) += 1;
    }
    if counts.is_empty() {
        return "none refused".to_owned();
    }
    let each: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    format!(
        "{} refused ({})",
        counts.values().sum::<usize>(),
        each.join(", ")
    )
}

/// Tells of replies that say nothing, and what to do about it. `default` is the stage's own bound on a
/// reply's length.
pub(crate) fn tell_silent(
    context: &Context<'_>,
    endpoint: &Endpoint,
    default: u32,
    replies: &[Reply],
) {
    let count = |is: &dyn Fn(&Reply) -> bool| replies.iter().filter(|reply| is(reply)).count();
    let silent = |reply: &Reply| matches!(reply.kind, ReplyKind::ThoughtOnly | ReplyKind::Empty);
    let cut = count(&|reply| silent(reply) && reply.is_cut());
    let thought = |reply: &Reply| reply.kind == ReplyKind::ThoughtOnly && !reply.is_cut();
    let (field, most) = endpoint.length_bound(default);
    let now = most.map_or_else(String::new, |most| format!(", now {most}"));
    let told = [
        (
            cut,
            format!(
                "were cut by length before the model said anything: it was still thinking\nhint: raise max_tokens (`{field}`{now}); another bound asks for every reply anew"
            ),
        ),
        (
            count(&thought),
            "hold reasoning and no answer\nhint: the server takes all of the text for reasoning; look at its reasoning parser".to_owned(),
        ),
        (
            count(&|reply| silent(reply) && reply.calls_tools()),
            "call tools, which nobody offered, and say nothing\nhint: look for tools in the server's settings or its chat template".to_owned(),
        ),
    ];
    for (count, words) in told.iter().filter(|(count, _)| *count > 0) {
        let all = replies.len();
        context
            .report
            .warn(format!("{count} of {all} replies {words}"));
    }
}

impl ReplyStore for Store {
    fn find(&self, keys: &[Digest]) -> Result<Vec<Option<Reply>>, BoxError> {
        let decode = |row: Option<Vec<u8>>| row.map(|row| Reply::from_row(&row)).transpose();
        let rows = self.rows(BUCKET, keys)?;
        Ok(rows.into_iter().map(decode).collect::<Result<_, _>>()?)
    }

    fn keep(&self, replies: &[(Digest, Reply)]) -> Result<(), BoxError> {
        let rows: Vec<(Digest, Vec<u8>)> = (replies.iter())
            .map(|(key, reply)| (*key, reply.to_row()))
            .collect();
        self.put_rows(BUCKET, &rows)?;
        // A reply counts once a power cut cannot take it away.
        Ok(self.flush()?)
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>, BoxError> {
        let claimed = self.claim_row(BUCKET, key)?;
        Ok(claimed.map(|claim| Box::new(claim) as Claim))
    }
}

fn detail(progress: &ClientProgress) -> String {
    let spent = progress.spent;
    let mut text = format!("{} in flight", progress.in_flight);
    let again = spent
        .requests
        .saturating_sub(spent.replies_of_its_own + progress.in_flight as u64);
    if again > 0 {
        let _ = write!(text, ", {again} failed and sent again");
    }
    if let Some(usd) = progress.usd {
        let _ = write!(text, ", ${usd:.2}");
    }
    text
}

/// What a stage that stops has spent so far: its result, which would say so, is not there yet.
fn tell_spent(context: &Context<'_>, usage: &EndpointUsage) {
    let tokens = usage.spent.tokens();
    let mut text = format!(
        "spent so far: {} requests, {} tokens of prompts and {} of replies",
        usage.spent.requests, tokens.prompt, tokens.completion
    );
    if let Some(usd) = usage.usd {
        let _ = write!(text, ", ${usd:.4}");
    }
    context.report.info(text);
}

/// Some servers answer with whatever model they have, whichever was asked for.
fn tell_other_models(context: &Context<'_>, usage: &EndpointUsage) {
    let others: Vec<&str> = usage
        .served_by
        .iter()
        .map(String::as_str)
        .filter(|served| !served.contains(&usage.model) && !usage.model.contains(served))
        .collect();
    if !others.is_empty() {
        context.report.warn(format!(
            "`{}` was asked for, but the server says that it answered with {}",
            usage.model,
            others.join(", ")
        ));
    }
}
