//! When a checkpoint is worth its time.
//!
//! A kill costs what was done since the last one. Where epochs are short and a model is large, writing one after each would take
//! longer than what it saves. A job whose time is limited has one after each all the same: it may go on a few epochs at a time.

use std::time::{Duration, Instant};

/// How much longer than a checkpoint takes what it saves took, at least (ours).
const WORTH: u32 = 9;
/// Bytes of a checkpoint that is always written: it takes no time (ours).
const SMALL: u64 = 64 << 20;
/// What a kill may cost at most, the epoch under way left aside (ours).
const MOST: Duration = Duration::from_mins(10);
/// How fast one is written, in bytes a second, before one was (ours).
const BYTES_PER_S: f64 = 500e6;

/// When a training writes checkpoints. It changes no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checkpoints {
    /// After epochs that took so long that it is worth it.
    #[default]
    WorthIt,
    /// After each epoch.
    EachEpoch,
}

/// Tells when the next checkpoint is due.
pub(super) struct Pace {
    /// The last one's end, or the training's beginning.
    since: Instant,
    /// How long one takes; `None` where that does not count.
    takes: Option<Duration>,
}

impl Pace {
    /// Of a training that begins now, whose checkpoints have about so many bytes.
    pub(super) fn new(bytes: u64, checkpoints: Checkpoints) -> Self {
        let counts = bytes > SMALL && checkpoints == Checkpoints::WorthIt;
        Self {
            since: Instant::now(),
            takes: counts.then(|| Duration::from_secs_f64(bytes as f64 / BYTES_PER_S)),
        }
    }

    /// Whether one is worth it.
    pub(super) fn is_due(&self) -> bool {
        self.takes
            .is_none_or(|takes| self.since.elapsed() >= (WORTH * takes).min(MOST))
    }

    /// Writes one.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn written<E>(&mut self, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let begun = Instant::now();
        write()?;
        if self.takes.is_some() {
            self.takes = Some(begun.elapsed());
        }
        self.since = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_one_waits_until_it_is_worth_it() {
        assert!(
            Pace::new(1 << 20, Checkpoints::WorthIt).is_due(),
            "a small one"
        );
        assert!(
            Pace::new(1 << 30, Checkpoints::EachEpoch).is_due(),
            "a job's"
        );
        let mut pace = Pace::new(1 << 30, Checkpoints::WorthIt);
        assert!(!pace.is_due(), "seconds for what took none");
        pace.since = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        assert!(pace.is_due());
        // What it took is known from then on.
        pace.written(|| {
            std::thread::sleep(Duration::from_millis(5));
            Ok::<_, ()>(())
        })
        .unwrap();
        let takes = pace.takes.unwrap();
        assert!(takes >= Duration::from_millis(5) && takes < Duration::from_secs(2));
        assert!(!pace.is_due());
        let mut slow = Pace::new(1 << 50, Checkpoints::WorthIt);
        slow.since = Instant::now().checked_sub(MOST).unwrap();
        assert!(slow.is_due());
        assert!(pace.written(|| Err(())).is_err());
    }
}
