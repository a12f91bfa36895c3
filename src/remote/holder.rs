//! Who holds something that machines share.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process, so that it can be told from all others and found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Holder {
    /// Its machine's name.
    host: String,
    /// Which start of that machine.
    boot: String,
    /// Its number.
    process: u32,
    /// Among which processes that number is its own: containers have their own.
    processes: String,
}

impl Holder {
    /// This process.
    pub(crate) fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let boot = match read("/proc/sys/kernel/random/boot_id").trim() {
            "" => sysinfo::System::boot_time().to_string(),
            boot => boot.to_owned(),
        };
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            host: sysinfo::System::host_name().unwrap_or_default(),
            boot,
            process: std::process::id(),
            processes: namespace.display().to_string(),
        }
    }

    /// Whether it is certain that it has ended: it ran here, and does not any more.
    pub(crate) fn has_ended(&self) -> bool {
        let here = Self::this();
        let same = Self {
            process: here.process,
            ..self.clone()
        } == here;
        let proc = Path::new("/proc");
        same && !here.processes.is_empty() && !proc.join(self.process.to_string()).exists()
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.process, self.host)
    }
}
