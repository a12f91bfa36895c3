//! Asking work to stop, and waiting for what cannot be asked.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time between two looks at whether to stop. Ours.
const LOOK: Duration = Duration::from_millis(50);

/// Asks work to stop at its next row or step. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag that clones share, for a signal's handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Sleeps so long, or until somebody asks to stop.
    pub fn sleep(&self, time: Duration) {
        let began = Instant::now();
        while let Some(left) = time.checked_sub(began.elapsed()) {
            if left.is_zero() || self.is_cancelled() {
                return;
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// The next item that comes; `Err` when none will come any more, `None` where nothing came for `patience` after
    /// somebody asked to stop.
    pub fn receive<T>(&self, items: &Receiver<T>, patience: Duration) -> Option<Result<T, Closed>> {
        let mut asked = None;
        loop {
            match items.recv_timeout(LOOK) {
                Ok(item) => return Some(Ok(item)),
                Err(RecvTimeoutError::Disconnected) => return Some(Err(Closed)),
                Err(RecvTimeoutError::Timeout) if self.is_cancelled() => {
                    let since: &mut Instant = asked.get_or_insert_with(Instant::now);
                    if since.elapsed() >= patience {
                        return None;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Does `work` that cannot be told to stop, for example reading from a server that says nothing, on a thread of
    /// its own; `None` where it is given up because it was not done `patience` after somebody asked to stop. What is
    /// given up goes on until the process ends.
    pub fn patiently<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = sync_channel(1);
        let thread = thread::spawn(move || drop(sender.send(work())));
        match self.receive(&receiver, patience)? {
            Ok(done) => Some(done),
            // It sends unless it panics.
            Err(Closed) => match thread.join() {
                Err(payload) => panic::resume_unwind(payload),
                Ok(()) => None,
            },
        }
    }
}

/// Nothing more will come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_given_up_once_somebody_asks_to_stop() {
        let token = CancelToken::default();
        assert_eq!(token.patiently(Duration::ZERO, || 1), Some(1));
        let other = token.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            other.cancel();
        });
        let began = Instant::now();
        assert_eq!(
            token.patiently(Duration::ZERO, || thread::sleep(Duration::from_mins(1))),
            None
        );
        token.sleep(Duration::from_mins(1));
        assert!(began.elapsed() < Duration::from_secs(30));
        // What is nearly there is waited for.
        let soon = || {
            thread::sleep(Duration::from_millis(100));
            2
        };
        assert_eq!(token.patiently(Duration::from_mins(1), soon), Some(2));
    }

    #[test]
    #[should_panic(expected = "as it was")]
    fn a_panic_comes_back_as_it_was() {
        CancelToken::default().patiently(Duration::ZERO, || panic!("as it was"));
    }
}
