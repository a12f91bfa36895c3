//! The clock of the times that are recorded.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// When something began.
pub(crate) struct Stopwatch {
    began: Instant,
    /// Seconds since 1970, UTC.
    pub(crate) began_unix_s: u64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            began_unix_s: unix_seconds(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Seconds since 1970, UTC.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
