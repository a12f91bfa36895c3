//! Panics as errors: what one stage or one library does must not end the others.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

/// A panic that was caught.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// What it says.
    pub message: String,
    /// File, line and column in the program's source, where they are known.
    pub place: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// What a scope says when one of its threads panicked: the thread said why.
const OF_A_THREAD: &str = "a scoped thread panicked";
/// How `CubeCL` names the threads that talk to a device; what fails there fails in the caller a moment later.
const DEVICE_THREAD: &str = "DSD-";

/// The latest panic of any thread.
static LATEST: Mutex<Option<Panic>> = Mutex::new(None);
/// Whether panics print nothing where they happen.
static QUIET: AtomicBool = AtomicBool::new(false);

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// From here on a panic is told by who catches it, and by nobody else: for a program all of whose work is guarded.
/// `RUST_BACKTRACE` asks for more.
pub(crate) fn tell_only_where_caught() {
    install();
    QUIET.store(
        std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0"),
        Ordering::SeqCst,
    );
}

/// Runs `work`; a panic in it, or in threads that it waits for, comes back as an error.
///
/// # Errors
/// It panicked.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    install();
    let before = GUARDED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    outcome.map_err(|payload| described(payload.as_ref()))
}

fn install() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            remember(info);
            let thread = thread::current();
            let of_device = thread
                .name()
                .is_some_and(|name| name.starts_with(DEVICE_THREAD));
            if QUIET.load(Ordering::SeqCst) || GUARDED.get() || of_device {
                tracing::debug!("caught: {info}");
            } else {
                usual(info);
            }
        }));
    });
}

fn remember(info: &PanicHookInfo<'_>) {
    let message = text(info.payload());
    if message != OF_A_THREAD {
        let place = info.location().map(ToString::to_string);
        *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Panic { message, place });
    }
}

fn described(payload: &(dyn Any + Send)) -> Panic {
    let message = text(payload);
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner).take();
    match latest {
        Some(latest) if message == latest.message || message == OF_A_THREAD => latest,
        _ => Panic {
            message,
            place: None,
        },
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place_from_whichever_thread() {
        let here = catch(|| -> () { panic!("no. {}", 1) }).unwrap_err();
        assert_eq!(here.message, "no. 1");
        assert!(here.place.is_some_and(|place| place.contains("guard.rs:")));

        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(2)
            .build()
            .unwrap();
        let work = || pool.install(|| -> () { panic!("of a pool") });
        assert_eq!(catch(work).unwrap_err().message, "of a pool");

        assert_eq!(catch(|| 3), Ok(3));
    }
}
