//! Slurm's reasons in words.

/// Why a job waits, as a person would say it; Slurm's word stays with it, to be looked up. `None` where it was not looked at
/// yet.
pub(super) fn waits(reason: &str) -> Option<String> {
    let words = match reason {
        "None" | "" => return None,
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
        _ => return Some(format!("Slurm says `{reason}`")),
    };
    Some(format!("{words} (Slurm: {reason})"))
}
