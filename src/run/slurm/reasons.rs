//! Slurm's reasons in words.

/// Why a job waits, as a person would say it; Slurm's word stays with it, to be looked up.
pub(super) fn waits(reason: &str) -> String {
    let words = match reason {
        "None" | "" => return "not looked at yet".to_owned(),
        "Resources" => "the nodes that it needs are busy",
        "Priority" => "others are before it",
        "BeginTime" => "it may start in a moment: so it is after a job was queued again",
        "Dependency" => "another job has to end first",
        "JobArrayTaskLimit" => "as many of its array run as `array_limit` lets",
        "ReqNodeNotAvail" => "a node that it needs is down or reserved",
        "PartitionDown" | "PartitionInactive" => "its partition takes no jobs now",
        "PartitionTimeLimit" => "its `time` is more than the partition lets: it will never start",
        "PartitionNodeLimit" => "it asks for more than the partition has: it will never start",
        "JobHeldUser" => "somebody held it (`scontrol release` lets it go on)",
        "JobHeldAdmin" => "an administrator held it",
        "BadConstraints" => "no node fits its `constraint`: it will never start",
        "Licenses" => "no licence is free",
        "Reservation" => "its reservation has not begun",
        _ if reason.contains("DRAINED") || reason.contains("DOWN") => {
            "nodes that it could run on are down or drained"
        }
        _ if reason.starts_with("QOS") => "a limit of its QOS is reached",
        _ if reason.starts_with("Assoc") => "a limit of the account is reached",
        _ => return format!("Slurm says `{reason}`"),
    };
    format!("{words} (Slurm: {reason})")
}

/// How a job was lost, by the state in which it ended.
pub(super) fn lost(state: &str) -> &'static str {
    match state {
        "OUT_OF_MEMORY" => "it took more memory than it had asked for",
        "NODE_FAIL" => "its node failed",
        "TIMEOUT" => "its time was over before it had saved",
        "PREEMPTED" => "another job took its node",
        "BOOT_FAIL" => "its node did not start",
        _ => "it ended without a word",
    }
}
