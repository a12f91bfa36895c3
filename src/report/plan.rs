//! The plan as text and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use indicatif::{HumanBytes, HumanDuration};
use serde_json::{Value, json};

use super::Width;
use super::plan_sweep::sweep_text;
use crate::key::Difference;
use crate::manifest::Sweep;
use crate::memory;
use crate::plan::{Estimates, MissReason, NodeState, Plan, PlannedProgram, Resolved, Server};
use crate::stage::Work;
use crate::text::printable;

/// What a run would do at each node, and what it would take.
pub(crate) fn plan_text(
    sweep: &Sweep,
    plan: &Plan,
    resolved: &[Resolved],
    estimates: &Estimates,
    servers: &[Server],
    programs: &[PlannedProgram],
    width: Width,
) -> String {
    let mut text = if sweep.is_sweep() {
        sweep_text(sweep, plan, resolved, width)
    } else {
        stages_text(plan, resolved, estimates, width)
    };
    text += &totals_text(plan, resolved, estimates);
    for server in servers {
        text += &server_text(server);
    }
    for program in programs {
        text += &program_text(program);
    }
    text
}

/// Which program a run would start, for whom.
fn program_text(program: &PlannedProgram) -> String {
    let network = if program.network {
        ", with the network"
    } else {
        ""
    };
    format!(
        "runs `{}`{network}: {}; `run` wants --allow-programs\n",
        printable(&program.command),
        printable(&program.stages.join(", "))
    )
}

/// Whom a run would ask, with which key, and whether it may.
fn server_text(server: &Server) -> String {
    let mut text = format!("asks {}", printable(&server.base_url));
    if let Some(variable) = &server.variable {
        let _ = write!(text, " with the key in {variable}");
    }
    let _ = write!(text, ": {}", printable(&server.stages.join(", ")));
    if let Some(permission) = &server.lacking {
        let _ = write!(
            text,
            "; not allowed yet: `run` asks you, or wants --allow-endpoint {permission}"
        );
    }
    text + "\n"
}

/// Every stage, a line each.
fn stages_text(plan: &Plan, resolved: &[Resolved], estimates: &Estimates, width: Width) -> String {
    let mut table = width.table();
    table.set_header([
        "stage",
        "kind",
        "state",
        "why",
        "work at most",
        "time about",
    ]);
    for each in resolved {
        let node = plan.node(each.node);
        let work = estimates.stages.get(&each.node);
        let seconds = work
            .and_then(|work| estimates.seconds(work))
            .filter(|&s| s > 0.0);
        table.add_row([
            node.all_names(),
            node.kind.name().to_owned(),
            state_name(&each.state).to_owned(),
            match each.state {
                // Whole sentences, with paths and hints: they stand below the table.
                NodeState::Unfetched(_) => "needs an outside file".to_owned(),
                _ => printable(&why(plan, each)),
            },
            work.map_or_else(String::new, work_text),
            seconds.map_or_else(String::new, duration),
        ]);
    }
    format!("{table}\n")
}

/// Which files are missing, how much there is to do, and what it takes.
fn totals_text(plan: &Plan, resolved: &[Resolved], estimates: &Estimates) -> String {
    let mut text = String::new();
    for each in resolved {
        if let NodeState::Unfetched(message) = &each.state {
            let _ = writeln!(
                text,
                "{}: {}",
                plan.node(each.node).name(),
                printable(message)
            );
        }
    }
    let hits = resolved
        .iter()
        .filter(|each| matches!(each.state, NodeState::Hit(_)))
        .count();
    let open = resolved.iter().filter(|each| each.state.is_open()).count();
    let not_needed = match resolved.len() - hits - open {
        0 => String::new(),
        stages => format!("{stages} not needed, "),
    };
    let _ = writeln!(
        text,
        "{} stages: {hits} hit, {not_needed}{open} to run or unknown",
        resolved.len()
    );
    if open == 0 {
        return text;
    }
    let total = &estimates.total;
    if let (Some(speed), Some(seconds)) = (estimates.calibration, estimates.seconds(total)) {
        let _ = writeln!(
            text,
            "estimate: at most {} on this machine ({:.1} GFLOP/s sampling, {:.1} training, measured just now), {} of memory, {} of disk",
            duration(seconds),
            speed.inference_flop_per_s / 1e9,
            speed.training_flop_per_s / 1e9,
            HumanBytes(total.memory_bytes),
            HumanBytes(total.disk_bytes),
        );
        let there = memory::total();
        if total.memory_bytes > there {
            let _ = writeln!(
                text,
                "that is more memory than this machine has ({}): `dtype` of `sample` and `predict`, `lora` and `batch_size` of trainings take less, or another device",
                HumanBytes(there),
            );
        }
    }
    if total.requests > 0 {
        let _ = writeln!(
            text,
            "to be asked of servers, less what is kept already: {}",
            asked(total).join(", ")
        );
    }
    let unknown = unknown(plan, estimates);
    if !unknown.is_empty() {
        let _ = writeln!(
            text,
            "not in the estimate, for their inputs are not here yet: {}",
            unknown.join(", ")
        );
    }
    text
}

/// The stages of which nothing can be estimated, by their names in the manifest.
fn unknown<'p>(plan: &'p Plan, estimates: &Estimates) -> Vec<&'p str> {
    let mut seen = BTreeSet::new();
    let bases = estimates.unknown.iter().map(|id| plan.node(*id).base());
    bases.filter(|base| seen.insert(*base)).collect()
}

/// The same as JSON.
pub(crate) fn plan_json(
    plan: &Plan,
    resolved: &[Resolved],
    estimates: &Estimates,
    servers: &[Server],
    programs: &[PlannedProgram],
) -> Value {
    let stages: Vec<Value> = resolved
        .iter()
        .map(|each| {
            let node = plan.node(each.node);
            let work = estimates.stages.get(&each.node);
            json!({
                "stages": node.names,
                "kind": node.kind.name(),
                "key": each.key,
                "state": state_name(&each.state),
                "why": why(plan, each),
                "work": work,
                "seconds": work.and_then(|work| estimates.seconds(work)),
            })
        })
        .collect();
    let servers: Vec<Value> = servers
        .iter()
        .map(|server| {
            json!({
                "base_url": server.base_url,
                "variable": server.variable,
                "stages": server.stages,
                "allowed": server.lacking.is_none(),
            })
        })
        .collect();
    let programs: Vec<Value> = programs
        .iter()
        .map(|program| {
            json!({
                "command": program.command,
                "network": program.network,
                "stages": program.stages,
            })
        })
        .collect();
    json!({
        "stages": stages,
        "servers": servers,
        "programs": programs,
        "total": estimates.total,
        "seconds": estimates.seconds(&estimates.total),
        "not_estimated": unknown(plan, estimates),
        "calibration": estimates.calibration,
    })
}

pub(super) fn state_name(state: &NodeState) -> &'static str {
    match state {
        NodeState::Hit(_) => "hit",
        NodeState::Miss(_) => "miss",
        NodeState::DependsOn(_) => "depends",
        NodeState::Unfetched(_) => "unknown",
        NodeState::NotNeeded(_) => "not needed",
    }
}

/// Why a stage is in its state, and where it was found.
fn why(plan: &Plan, each: &Resolved) -> String {
    if each.remote {
        return "hit (remote)".to_owned();
    }
    reason(plan, &each.state)
}

pub(super) fn reason(plan: &Plan, state: &NodeState) -> String {
    match state {
        NodeState::Hit(_) => String::new(),
        NodeState::Miss(MissReason::New) => "never ran".to_owned(),
        NodeState::Miss(MissReason::OutputsGone(outputs)) => {
            format!("gone from the store: {}", outputs.join(", "))
        }
        NodeState::Miss(MissReason::Changed(differences)) => differences
            .iter()
            .map(difference_text)
            .collect::<Vec<_>>()
            .join("\n"),
        NodeState::DependsOn(nodes) => {
            let names: Vec<&str> = nodes.iter().map(|id| plan.node(*id).name()).collect();
            format!("on {}", names.join(", "))
        }
        NodeState::Unfetched(message) => message.clone(),
        NodeState::NotNeeded(decision) => format!("{} stopped", plan.node(*decision).name()),
    }
}

/// One changed field: `params.top_k: 10 -> 5`.
pub(crate) fn difference_text(change: &Difference) -> String {
    let short = |value: &Option<String>| match value {
        None => "absent".to_owned(),
        // A digest: enough of it to tell two apart.
        Some(text) if text.len() == 66 && text.starts_with('"') => text[1..13].to_owned(),
        Some(text) => text.clone(),
    };
    format!(
        "{}: {} -> {}",
        change.field,
        short(&change.from),
        short(&change.to)
    )
}

fn work_text(work: &Work) -> String {
    let parts = [
        (work.generated_tokens, "generated"),
        (work.read_tokens, "read"),
        (work.trained_tokens, "trained"),
    ];
    let mut lines: Vec<String> = parts
        .iter()
        .filter(|(tokens, _)| *tokens > 0)
        .map(|(tokens, what)| format!("{} tokens {what}", thousands(*tokens)))
        .collect();
    lines.extend(asked(work));
    lines.join("\n")
}

/// What is asked of servers: requests, tokens, and dollars where there are prices.
fn asked(work: &Work) -> Vec<String> {
    if work.requests == 0 {
        return Vec::new();
    }
    let mut parts = vec![
        format!("{} requests", work.requests),
        format!("{} tokens of prompts", thousands(work.prompt_tokens)),
        format!("{} tokens of replies", thousands(work.reply_tokens)),
    ];
    parts.extend(work.usd.map(|usd| format!("${usd:.2}")));
    parts
}

fn thousands(tokens: u64) -> String {
    match tokens {
        0..=9_999 => tokens.to_string(),
        10_000..=9_999_999 => format!("{:.0}k", tokens as f64 / 1e3),
        _ => format!("{:.1}M", tokens as f64 / 1e6),
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        format!("{:.0} s", seconds.max(1.0))
    } else {
        HumanDuration(std::time::Duration::from_secs_f64(seconds)).to_string()
    }
}
