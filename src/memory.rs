//! Whether there is memory for something, asked before it is taken: an allocation that fails ends the process, and one
//! that the system only promised may end others.

use std::sync::OnceLock;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// So much is taken without asking (ours).
const SMALL: u64 = 64 << 20;

/// There is not so much memory.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{what} takes {:.1} GB of memory, and {}\nhint: {hint}",
    *bytes as f64 / 1e9,
    match total { Some(total) => format!("there are {:.1} GB in all", *total as f64 / 1e9), None => "the system gives no more (`ulimit -v`)".to_owned() }
)]
pub struct Shortage {
    /// What it would be for, for example `reading the weights`.
    pub what: &'static str,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Bytes that this machine has, where that is why.
    pub total: Option<u64>,
    /// What to do.
    pub hint: &'static str,
}

/// Whether `bytes` may be taken at once for `what`. An answer for now, not a promise.
///
/// # Errors
/// The machine has not as much, or the process may not take it.
pub(crate) fn room_for(what: &'static str, hint: &'static str, bytes: u64) -> Result<(), Shortage> {
    if bytes <= SMALL {
        return Ok(());
    }
    let short = |total| {
        Err(Shortage {
            what,
            bytes,
            total,
            hint,
        })
    };
    let total = total();
    if bytes > total {
        return short(Some(total));
    }
    // What may be reserved is not touched, so this costs next to nothing.
    let mut probe: Vec<u8> = Vec::new();
    let reserved = usize::try_from(bytes).is_ok_and(|bytes| probe.try_reserve_exact(bytes).is_ok());
    if reserved { Ok(()) } else { short(None) }
}

/// Bytes of memory and swap that the machine, or the container, has; the largest number where that is not known.
pub(crate) fn total() -> u64 {
    static TOTAL: OnceLock<u64> = OnceLock::new();
    *TOTAL.get_or_init(|| {
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
        let system = System::new_with_specifics(memory);
        let whole = system.total_memory().saturating_add(system.total_swap());
        let container = system.cgroup_limits().map(|limits| limits.total_memory);
        // Zero is what is told where it is not known.
        let known = [Some(whole), container].into_iter().flatten();
        known.filter(|bytes| *bytes > 0).min().unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused_in_words() {
        room_for("a little", "", 1 << 20).unwrap();
        room_for("a little more", "", 100 << 20).unwrap();
        let short = room_for("all there is", "take less", u64::MAX).unwrap_err();
        let text = short.to_string();
        assert!(
            text.starts_with("all there is takes 18446744073.7 GB of memory, and there are "),
            "{text}"
        );
        assert!(text.ends_with("GB in all\nhint: take less"), "{text}");
    }
}
