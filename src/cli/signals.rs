//! Signals: the first one asks a run to stop, the next one ends it at once. What was ignored when the program was
//! started stays ignored: `nohup` ignores hang-ups, and scripts Ctrl-C for their background jobs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::event::CancelToken;

/// Asks the run to stop at the first Ctrl-C (or `SIGTERM`, or hang-up), tells so by `tell`, and ends the program at
/// the second.
pub(super) fn stop_run(cancel: &CancelToken, tell: impl Fn() + Send + 'static) {
    #[cfg(unix)]
    unix::stop_run(cancel, tell);
    #[cfg(not(unix))]
    {
        let cancel = cancel.clone();
        let handler = move || {
            if cancel.is_cancelled() {
                std::process::exit(i32::from(super::exit::INTERRUPTED));
            }
            // First, so that a second Ctrl-C counts even where the message has to wait for a lock.
            cancel.cancel();
            tell();
        };
        // Fails only when a handler is set twice; then the first one serves.
        let _ = ctrlc::set_handler(handler);
    }
}

/// Asks a job to stop at `SIGTERM` and the like, however often it comes: a cluster sends it to the job and to its script, which
/// passes it on, and kills what does not end.
pub(super) fn stop_job(cancel: &CancelToken) {
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let _ = signal_hook::flag::register(signal, cancel.flag());
    }
    #[cfg(not(unix))]
    stop_run(cancel, || ());
}

/// Asks the run to stop at `SIGUSR1`, by which a cluster warns that a job's time is nearly over; `warned` says that it was so.
pub(super) fn warn_run(cancel: &CancelToken, warned: &Arc<AtomicBool>) {
    #[cfg(unix)]
    for flag in [warned.clone(), cancel.flag()] {
        // In this order: whoever sees that it is to stop sees why.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGUSR1, flag);
    }
    #[cfg(not(unix))]
    let _ = (cancel, warned);
}

/// Makes a write beyond the limit on the size of files (`ulimit -f`) an error, as on a full disk; and an end that
/// nobody can turn into an error, as where the system gives no more memory, a failure: why was told then.
pub(super) fn take_limits_as_failures() {
    #[cfg(unix)]
    unix::take_limits_as_failures();
}

#[cfg(unix)]
mod unix {
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    use super::super::exit::{FAILED, INTERRUPTED};
    use crate::event::CancelToken;

    pub(super) fn stop_run(cancel: &CancelToken, tell: impl Fn() + Send + 'static) {
        let ignored = ignored();
        let signals = [SIGINT, SIGTERM, SIGHUP];
        let caught: Vec<i32> = signals.into_iter().filter(|each| !ignored(*each)).collect();
        // Each fails only for signals that cannot be caught.
        for &signal in &caught {
            // In this order: the second signal finds the flag that the first one set, and ends the program within
            // the handler, whatever the threads wait for.
            let _ = flag::register_conditional_shutdown(signal, INTERRUPTED.into(), cancel.flag());
            let _ = flag::register(signal, cancel.flag());
        }
        if let Ok(mut signals) = Signals::new(caught) {
            thread::spawn(move || {
                if signals.forever().next().is_some() {
                    tell();
                }
            });
        }
    }

    pub(super) fn take_limits_as_failures() {
        // Caught and then forgotten: the write itself fails and says why.
        let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
        let always = Arc::new(AtomicBool::new(true));
        let _ = flag::register_conditional_shutdown(SIGABRT, FAILED.into(), always);
    }

    /// Which signals are ignored; to be asked before any is caught.
    fn ignored() -> impl Fn(i32) -> bool {
        let mask = proc_mask();
        move |signal| match mask {
            Some(mask) => mask >> (signal - 1) & 1 == 1,
            None => is_survived(signal),
        }
    }

    /// Linux tells.
    fn proc_mask() -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    }

    /// Elsewhere: what is ignored is ignored by children too, so one that sends the signal to itself survives it.
    fn is_survived(signal: i32) -> bool {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} $$")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        sent.is_ok_and(|status| status.success())
    }

    #[cfg(test)]
    mod tests {
        use signal_hook::consts::{SIGPIPE, SIGUSR2};

        use super::*;

        #[test]
        fn both_ways_tell_the_same_of_what_is_ignored() {
            // Rust ignores SIGPIPE from the start, and children get it back, so only the system can tell of it.
            if let Some(mask) = proc_mask() {
                assert_eq!(mask >> (SIGPIPE - 1) & 1, 1);
                for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR2] {
                    assert_eq!(ignored()(signal), is_survived(signal), "{signal}");
                }
            }
            let under_nohup = |command: &str| {
                let command = format!("trap '' HUP; exec sh -c '{command}'");
                Command::new("sh")
                    .args(["-c", &command])
                    .status()
                    .unwrap()
                    .success()
            };
            assert!(under_nohup("kill -1 $$"));
            assert!(!under_nohup("kill -12 $$"));
        }
    }
}
