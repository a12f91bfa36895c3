//! The choice among a question's survivors.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::judge::{Fault, path_perplexity, score, tokens};
use super::{FilterError, FilterParams, SelectRule};
use crate::key::Digest;
use crate::text::{ReasoningPath, rep_n};

/// The survivors (places in `paths`) that are not chosen, each with its reason. A path whose score is
/// unparsed cannot be ranked by it and is never chosen.
pub(super) fn losers(
    left: &[usize],
    paths: &[ReasoningPath],
    params: &FilterParams,
    seed: u64,
) -> Result<BTreeMap<usize, Fault>, FilterError> {
    let mut losers = BTreeMap::new();
    if params.select.rule == SelectRule::All {
        return Ok(losers);
    }
    let mut groups: BTreeMap<&str, Vec<(f64, Digest, usize)>> = BTreeMap::new();
    for &i in left {
        let path = &paths[i];
        let Some(value) = measure(path, params)? else {
            let name = params.select.score.as_deref().unwrap_or_default();
            losers.insert(i, Fault::unparsed(name));
            continue;
        };
        let entry = (value, tie(seed, path), i);
        groups.entry(&path.question_id).or_default().push(entry);
    }
    // Beside `unparsed`, what the others lost by needs a name too.
    let rule = (!losers.is_empty()).then_some("lower-score");
    for group in groups.values_mut() {
        group.sort_by(|a, b| by_rank(a, b, params.select.rule));
        let among = group.len();
        let keep = params.select.keep;
        for (rank, (value, _, i)) in group.iter().enumerate().skip(keep as usize) {
            let place = format!("{} of {among}", rank + 1);
            let because = match params.select.rule {
                SelectRule::LowestRep => {
                    format!(
                        "rep-{} {value:.3} comes {place}, lowest first",
                        params.repetition.n
                    )
                }
                SelectRule::HighestPerplexity => {
                    format!("perplexity {value:.3} comes {place}, highest first")
                }
                SelectRule::HighestScore => format!("score {value} comes {place}, highest first"),
                SelectRule::Random | SelectRule::All => format!("drawn {place}"),
            };
            let because = format!("{because}; {keep} kept per question");
            losers.insert(*i, Fault { rule, because });
        }
    }
    Ok(losers)
}

fn measure(path: &ReasoningPath, params: &FilterParams) -> Result<Option<f64>, FilterError> {
    Ok(Some(match (params.select.rule, &params.select.score) {
        (SelectRule::LowestRep, _) => rep_n(tokens("select", path)?, params.repetition.n as usize),
        (SelectRule::HighestPerplexity, _) => path_perplexity("select", path)?,
        (SelectRule::HighestScore, Some(name)) => return score(path, name),
        _ => 0.0,
    }))
}

/// Best first. A value that is no number comes last, whatever the rule.
fn by_rank(a: &(f64, Digest, usize), b: &(f64, Digest, usize), rule: SelectRule) -> Ordering {
    let values = match rule {
        SelectRule::HighestPerplexity | SelectRule::HighestScore => b.0.total_cmp(&a.0),
        _ => a.0.total_cmp(&b.0),
    };
    a.0.is_nan()
        .cmp(&b.0.is_nan())
        .then(values)
        .then(a.1.cmp(&b.1))
        .then(a.2.cmp(&b.2))
}

/// What decides between equals: blake3 of the seed and the row, so that neither the order of draws
/// nor other paths matter (ours; the paper is silent).
fn tie(seed: u64, path: &ReasoningPath) -> Digest {
    let mut bytes = seed.to_le_bytes().to_vec();
    bytes.extend_from_slice(path.row.as_bytes());
    Digest::of(&bytes)
}
