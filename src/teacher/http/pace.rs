//! When the next request may go: concurrency that adapts, a rate cap, pauses, a circuit breaker.
//!
//! In: what was sent when, and how it went. Out: whether to send now, when to look again, or that the
//! server is down. It holds no clock: every call says what time it is.
//!
//! **Concurrency** is additive increase, multiplicative decrease, as in TCP: one more after each
//! window of as many successes as may be in flight; half after a 429 or a timeout, once for all that
//! were sent before the last cut; seven tenths after a window whose mean latency is more than three
//! times that of the best window. **The breaker** opens after five failures in a row: then one request
//! at a time probes, with growing waits, until one succeeds or `give_up_after_s` is over.

use std::time::{Duration, Instant};

use super::Limits;
use super::limits::seconds;

/// Requests in flight at the start, at most. Ours.
const START: f64 = 4.0;
/// A window this many times as slow as the best one means a queue. Ours.
const SLOW: f64 = 3.0;
/// What is left of the concurrency after a 429 or a timeout, as in TCP.
const CUT: f64 = 0.5;
/// What is left of it after a slow window. Ours.
const SLOW_CUT: f64 = 0.7;
/// The best window's latency is forgotten by so much a window, so that longer replies become usual.
const FORGET: f64 = 1.02;
/// Failures in a row that open the breaker. Ours.
const OPENS: u32 = 5;
/// A server that only says 429 is alive: it is waited for so many times as long. Ours.
const PATIENCE: u32 = 10;

/// Whether to send now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Send.
    Send,
    /// Look again then, or when a request in flight is over.
    Wait(Option<Instant>),
}

/// How the server took the requests so far.
#[derive(Debug)]
pub(super) struct Pace {
    most: f64,
    limit: f64,
    cut_at: Option<Instant>,
    window: (u32, Duration),
    best: Option<f64>,
    per_request: Duration,
    token_s: f64,
    slot: Option<Instant>,
    paused_until: Option<Instant>,
    streak: Option<Streak>,
    give_up_after: Duration,
    backoff: Backoff,
}

/// Failures since the last success.
#[derive(Clone, Copy, Debug)]
struct Streak {
    began: Instant,
    failures: u32,
    /// Whether there was another failure than 429.
    down: bool,
    probe_at: Instant,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        let most = f64::from(limits.concurrency.max(1));
        let per_minute = |rate: Option<f64>| rate.map_or(0.0, |rate| 60.0 / rate);
        Self {
            most,
            limit: START.min(most),
            cut_at: None,
            window: (0, Duration::ZERO),
            best: None,
            per_request: seconds(per_minute(limits.requests_per_minute)),
            token_s: per_minute(limits.tokens_per_minute),
            slot: None,
            paused_until: None,
            streak: None,
            give_up_after: seconds(limits.give_up_after_s),
            backoff: Backoff::new(limits),
        }
    }

    /// Requests that may be in flight.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to 512"
    )]
    pub(super) fn limit(&self) -> usize {
        if self.is_open() {
            1
        } else {
            self.limit as usize
        }
    }

    /// Whether the breaker is open: only a probe goes out.
    pub(super) fn is_open(&self) -> bool {
        self.streak.is_some_and(|streak| streak.failures >= OPENS)
    }

    /// For how long nothing but failures came, where that is too long.
    pub(super) fn down(&self, now: Instant, in_flight: usize) -> Option<Duration> {
        // A probe that is still out may yet come back.
        let streak = self.streak.filter(|_| self.is_open() && in_flight == 0)?;
        let patience = if streak.down { 1 } else { PATIENCE };
        let waited = now.saturating_duration_since(streak.began);
        (waited >= self.give_up_after.saturating_mul(patience)).then_some(waited)
    }

    /// Whether a request may go now.
    pub(super) fn next(&self, now: Instant, in_flight: usize) -> Next {
        if in_flight >= self.limit() {
            return Next::Wait(None);
        }
        let probe = self
            .streak
            .filter(|_| self.is_open())
            .map(|streak| streak.probe_at);
        let earliest = [self.paused_until, self.slot, probe]
            .into_iter()
            .flatten()
            .max();
        match earliest {
            Some(at) if at > now => Next::Wait(Some(at)),
            _ => Next::Send,
        }
    }

    /// A request of at most `tokens` goes out.
    pub(super) fn sent(&mut self, now: Instant, tokens: u64) {
        let room = self.room(tokens);
        if room > Duration::ZERO {
            // Time that went by unused is not saved up for a burst.
            let from = self.slot.map_or(now, |slot| slot.max(now));
            self.slot = Some(from + room);
        }
    }

    /// That request did not go out after all.
    pub(super) fn held_back(&mut self, tokens: u64) {
        let room = self.room(tokens);
        self.slot = self.slot.and_then(|slot| slot.checked_sub(room));
    }

    /// The time that a request takes of the rate cap.
    fn room(&self, tokens: u64) -> Duration {
        self.per_request.max(seconds(self.token_s * tokens as f64))
    }

    /// The server answered `latency` after it was asked.
    pub(super) fn answered(&mut self, latency: Duration) {
        self.streak = None;
        self.window.0 += 1;
        self.window.1 += latency;
        if f64::from(self.window.0) < self.limit.floor() {
            return;
        }
        let mean = self.window.1.as_secs_f64() / f64::from(self.window.0);
        self.window = (0, Duration::ZERO);
        let best = self.best.map_or(mean, |best| best * FORGET).min(mean);
        self.best = Some(best);
        self.limit = if mean > SLOW * best {
            (self.limit * SLOW_CUT).max(1.0)
        } else {
            (self.limit + 1.0).min(self.most)
        };
    }

    /// The server said that it has too much to do, to a request sent at `sent`.
    pub(super) fn overloaded(&mut self, now: Instant, sent: Instant, wait: Option<Duration>) {
        self.cut(now, sent);
        if let Some(wait) = wait {
            let until = now + wait;
            self.paused_until = Some(self.paused_until.map_or(until, |at| at.max(until)));
        }
        self.failure(now, false);
    }

    /// A request sent at `sent` failed; `late` where the server was too slow.
    pub(super) fn failed(&mut self, now: Instant, sent: Instant, late: bool) {
        if late {
            self.cut(now, sent);
        }
        self.failure(now, true);
    }

    /// How long a request waits after it failed `failures` times.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        self.backoff.wait(failures)
    }

    fn cut(&mut self, now: Instant, sent: Instant) {
        if self.cut_at.is_none_or(|cut| sent >= cut) {
            self.limit = (self.limit * CUT).max(1.0);
            self.cut_at = Some(now);
            self.window = (0, Duration::ZERO);
        }
    }

    fn failure(&mut self, now: Instant, down: bool) {
        let streak = self.streak.get_or_insert(Streak {
            began: now,
            failures: 0,
            down: false,
            probe_at: now,
        });
        streak.failures = streak.failures.saturating_add(1);
        streak.down |= down;
        // The breaker's probes back off like one request's tries.
        streak.probe_at = now + self.backoff.wait(streak.failures.saturating_sub(OPENS - 1));
    }
}

/// Exponential backoff with full jitter: a wait drawn from 0 to a bound that doubles (Brooker,
/// "Exponential Backoff and Jitter"). The draw decides when, never what, so it needs no seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first_s: f64,
    most_s: f64,
}

impl Backoff {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            first_s: limits.backoff_s,
            most_s: limits.max_backoff_s,
        }
    }

    /// The longest wait after `failures` failures, in seconds.
    fn bound(self, failures: u32) -> f64 {
        let doublings = failures.saturating_sub(1).min(30);
        (self.first_s * f64::from(1_u32 << doublings)).min(self.most_s)
    }

    pub(super) fn wait(self, failures: u32) -> Duration {
        seconds(self.bound(failures) * rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(change: impl FnOnce(&mut Limits)) -> Pace {
        let mut limits = Limits::default();
        change(&mut limits);
        Pace::new(&limits)
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn concurrency_rises_by_one_a_window_and_halves_once_for_a_burst() {
        let t0 = Instant::now();
        let mut pace = pace(|limits| limits.concurrency = 8);
        assert_eq!(pace.limit(), 4);
        for _ in 0..4 {
            pace.answered(ms(10));
        }
        assert_eq!(pace.limit(), 5);
        for _ in 0..100 {
            pace.answered(ms(10));
        }
        assert_eq!(pace.limit(), 8, "never above what was declared");
        // Four 429 of one burst are one sign.
        for _ in 0..4 {
            pace.overloaded(t0 + ms(5), t0, None);
        }
        assert_eq!(pace.limit(), 4);
        pace.overloaded(t0 + ms(9), t0 + ms(6), None);
        pace.answered(ms(10)); // ends the streak of failures
        assert_eq!(pace.limit(), 2);
    }

    #[test]
    fn a_slow_window_cuts_and_longer_replies_become_usual() {
        let mut pace = pace(|limits| limits.concurrency = 8);
        for _ in 0..60 {
            pace.answered(ms(10));
        }
        let cut = (0..16).find_map(|_| {
            pace.answered(ms(40));
            Some(pace.limit()).filter(|limit| *limit < 8)
        });
        assert_eq!(cut, Some(5), "seven tenths of eight");
        // 2 % a window: after a hundred windows 40 ms are no longer slow.
        for _ in 0..1000 {
            pace.answered(ms(40));
        }
        assert_eq!(pace.limit(), 8);
    }

    #[test]
    fn the_rate_cap_spaces_requests_by_number_and_by_tokens() {
        let t0 = Instant::now();
        let mut pace = pace(|limits| {
            limits.requests_per_minute = Some(600.0);
            limits.tokens_per_minute = Some(60_000.0);
        });
        assert_eq!(pace.next(t0, 0), Next::Send);
        pace.sent(t0, 10);
        assert_eq!(pace.next(t0, 1), Next::Wait(Some(t0 + ms(100))));
        assert_eq!(pace.next(t0 + ms(100), 1), Next::Send);
        pace.sent(t0 + ms(100), 500); // 500 tokens take half a second of 60,000 a minute
        assert_eq!(pace.next(t0 + ms(200), 1), Next::Wait(Some(t0 + ms(600))));
    }

    #[test]
    fn a_wait_that_the_server_asks_for_holds_everybody() {
        let t0 = Instant::now();
        let mut pace = pace(|_| {});
        pace.overloaded(t0, t0, Some(ms(700)));
        pace.overloaded(t0, t0, Some(ms(300)));
        assert_eq!(pace.next(t0 + ms(699), 0), Next::Wait(Some(t0 + ms(700))));
        assert_eq!(pace.next(t0 + ms(700), 0), Next::Send);
    }

    #[test]
    fn the_breaker_probes_one_by_one_and_gives_up() {
        let t0 = Instant::now();
        let mut pace = pace(|limits| {
            limits.backoff_s = 0.0;
            limits.give_up_after_s = 2.0;
        });
        for _ in 0..4 {
            pace.failed(t0, t0, false);
        }
        assert!(!pace.is_open());
        pace.failed(t0 + ms(100), t0, false);
        assert!(pace.is_open());
        assert_eq!(
            pace.next(t0 + ms(200), 1),
            Next::Wait(None),
            "one probe at a time"
        );
        assert_eq!(pace.next(t0 + ms(200), 0), Next::Send);
        assert_eq!(pace.down(t0 + ms(1999), 0), None);
        assert_eq!(pace.down(t0 + ms(2000), 0), Some(ms(2000)));
        assert_eq!(pace.down(t0 + ms(2000), 1), None, "the probe is still out");
        pace.answered(ms(10));
        assert!(!pace.is_open());
        assert_eq!(pace.down(t0 + ms(9000), 0), None);
    }

    #[test]
    fn a_server_that_only_says_429_is_alive() {
        let t0 = Instant::now();
        let mut pace = pace(|limits| {
            limits.backoff_s = 0.0;
            limits.give_up_after_s = 2.0;
        });
        for _ in 0..5 {
            pace.overloaded(t0, t0, None);
        }
        assert_eq!(pace.down(t0 + ms(19_999), 0), None);
        assert_eq!(pace.down(t0 + ms(20_000), 0), Some(ms(20_000)));
    }

    #[test]
    fn backoff_doubles_to_its_bound_and_is_drawn_from_all_of_it() {
        let backoff = Backoff {
            first_s: 0.5,
            most_s: 3.0,
        };
        let bounds: Vec<f64> = (1..6).map(|failures| backoff.bound(failures)).collect();
        assert_eq!(bounds, [0.5, 1.0, 2.0, 3.0, 3.0]);
        assert!((backoff.bound(u32::MAX) - 3.0).abs() < 1e-12);
        let waits: Vec<f64> = (0..400).map(|_| backoff.wait(2).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (0.0..1.0).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 0.2) && waits.iter().any(|wait| *wait > 0.8));
    }
}
