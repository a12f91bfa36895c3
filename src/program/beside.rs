//! A program that goes on beside the run until nobody holds it: a server.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::process::{Running, exited};
#[cfg(unix)]
use super::unix;
use crate::event::CancelToken;

/// How long it may take to end when it is asked to, before it is ended (ours).
const TO_END: Duration = Duration::from_secs(5);
/// Longest time between two looks at whether it has ended (ours).
const LOOK: Duration = Duration::from_millis(20);
/// Bytes at the end of its log of which the last words are told (ours).
const LAST_WORDS: usize = 2000;
/// Lines of them (ours).
const LAST_LINES: usize = 6;

/// What a program of this kind finds of this one's environment: where things are and which cards it may use. Neither keys,
/// which a log might tell, nor settings that would change what it computes and are in no key.
const ENVIRONMENT: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "XDG_CACHE_HOME",
    "OMP_NUM_THREADS",
];

/// A running program whose output is a log; it is ended, with its children, when this is dropped.
pub(crate) struct Beside {
    running: Running,
    /// How it ended, once that is known: it is collected then, and its number may be another's.
    end: Option<String>,
}

impl Beside {
    /// Starts `words`, a program and its arguments, with `more` in its environment. What it writes is added to `log`.
    ///
    /// # Errors
    /// The log cannot be written, or the program cannot be started.
    pub(crate) fn start(words: &[String], more: &[(&str, String)], log: &Path) -> io::Result<Self> {
        let to = File::options().create(true).append(true).open(log)?;
        let (first, arguments) = words
            .split_first()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut command = Command::new(first);
        let known = ENVIRONMENT
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        command
            .args(arguments)
            .env_clear()
            .envs(known)
            .envs(more.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(to.try_clone()?)
            .stderr(to);
        #[cfg(unix)]
        unix::tie(&mut command);
        Ok(Self {
            running: Running(command.spawn()?),
            end: None,
        })
    }

    /// How it ended, in words; `None` while it goes on.
    pub(crate) fn ended(&mut self) -> Option<String> {
        if self.end.is_none() && self.running.has_ended() {
            let status = self.running.end();
            self.end = Some(status.map_or_else(|| "it ended".to_owned(), exited));
        }
        self.end.clone()
    }

    /// Waits until it ends by itself: whether it ended well, or how else; `None` where somebody asked to stop first.
    pub(crate) fn wait(mut self, cancel: &CancelToken) -> Option<Result<(), String>> {
        while !self.running.has_ended() {
            if cancel.is_cancelled() {
                return None;
            }
            thread::sleep(LOOK);
        }
        let status = self.running.end();
        let how = status.map_or_else(|| "it ended".to_owned(), exited);
        self.end = Some(how.clone());
        Some(if status.is_some_and(|status| status.success()) {
            Ok(())
        } else {
            Err(how)
        })
    }
}

/// The last lines of a log, as one.
pub(crate) fn last_words(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let last = &bytes[bytes.len().saturating_sub(LAST_WORDS)..];
    let text = String::from_utf8_lossy(last);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.end.is_some() {
            return;
        }
        if !self.running.has_ended() {
            #[cfg(unix)]
            unix::ask_group_to_end(self.running.0.id());
            let asked = Instant::now();
            while cfg!(unix) && !self.running.has_ended() && asked.elapsed() < TO_END {
                thread::sleep(LOOK);
            }
        }
        // Its children too, which may have outlived it.
        self.running.end();
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, Beside) {
        let folder = tempfile::tempdir().unwrap();
        let words = ["sh", "-c", text].map(str::to_owned);
        let log = folder.path().join("log");
        let started = Beside::start(&words, &[("MORE", "m".to_owned())], &log).unwrap();
        (folder, started)
    }

    fn until(what: impl Fn() -> bool) {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(20));
            thread::sleep(LOOK);
        }
    }

    #[test]
    fn it_ends_with_its_children_when_it_is_let_go() {
        let (folder, started) = script("trap '' TERM; sleep 600 & echo child $!; wait; sleep 600");
        let log = folder.path().join("log");
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        until(|| said().ends_with('\n'));
        let child = said().trim().replace("child ", "/proc/");
        assert!(Path::new(&child).exists());
        drop(started);
        let status = || std::fs::read_to_string(format!("{child}/status")).unwrap_or_default();
        // Gone, or nobody has yet collected that it ended.
        until(|| !Path::new(&child).exists() || status().contains("State:\tZ"));
    }

    #[test]
    fn how_it_ended_and_its_last_words_are_told() {
        let (folder, mut started) = script("echo one; echo two >&2; exit 3");
        let mut end = None;
        while end.is_none() {
            end = started.ended();
        }
        assert_eq!(end.as_deref(), Some("it ended with exit code 3"));
        assert_eq!(last_words(&folder.path().join("log")), "one | two");
        let (_folder, good) = script("test \"$MORE\" = m && test -z \"$CARGO_MANIFEST_DIR\"");
        assert_eq!(good.wait(&CancelToken::default()), Some(Ok(())));
        let (_folder, long) = script("sleep 600");
        let cancel = CancelToken::default();
        cancel.cancel();
        assert_eq!(long.wait(&cancel), None);
    }
}
