//! One run of a program, from its start to its end.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::ProgramError;
use super::params::ProgramParams;
#[cfg(unix)]
use super::unix;
use crate::event::CancelToken;

/// Longest time between two looks at whether it has ended or shall end (ours).
const LOOK: Duration = Duration::from_millis(20);
/// How long what it wrote is waited for once it has ended, where something else holds its output open (ours).
const LEFT_OPEN: Duration = Duration::from_secs(2);
/// How long that is waited for where what holds it open goes on writing (ours).
const STILL_WRITTEN: Duration = Duration::from_secs(5);
/// Bytes of what it says on its standard error that are kept, the last ones (ours).
const SAID: usize = 4096;
/// Letters of it that are told (ours).
const TOLD: usize = 160;
/// Parts of its output that wait to be taken (ours).
const WAITING: usize = 16;
/// Another thread that starts a program may hold the file open for writing for a moment: how often it is tried again (ours).
const BUSY_TRIES: usize = 50;

/// How a program ended.
#[derive(Debug)]
enum End {
    Exited(ExitStatus),
    TooSlow,
    TooMuch(usize),
    /// It has ended, and something that it started goes on writing.
    Outlived,
}

/// What a program wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// What it wrote.
    pub(crate) stdout: Vec<u8>,
    end: End,
    said: String,
    time_limit_s: u32,
}

impl Ran {
    /// Why it did not end well, for a person; none where it did.
    pub(crate) fn failure(&self) -> Option<String> {
        let how = match self.end {
            End::Exited(status) if status.success() => return None,
            End::Exited(status) => exited(status),
            End::TooSlow => format!(
                "it wrote nothing for {} s (`time_limit_s`)",
                self.time_limit_s
            ),
            End::Outlived => format!(
                "it ended, and something that it started outside of its group still wrote to its output {} s later",
                STILL_WRITTEN.as_secs()
            ),
            End::TooMuch(most) => format!("it wrote more than {} MiB", most.div_ceil(1 << 20)),
        };
        let last = self.said.lines().rev().map(str::trim);
        let last = last.into_iter().find(|line| !line.is_empty());
        Some(match last {
            Some(last) => format!("{how}: {}", last.chars().take(TOLD).collect::<String>()),
            None => how,
        })
    }
}

pub(super) fn exited(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("it was ended by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("it ended with exit code {code}"),
        None => "it did not end well".to_owned(),
    }
}

/// A running program, which ends with whoever holds this: with its children.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// Whether it has ended by itself. Its children may go on.
    pub(super) fn has_ended(&mut self) -> bool {
        #[cfg(unix)]
        return unix::has_ended(self.0.id());
        #[cfg(not(unix))]
        matches!(self.0.try_wait(), Ok(Some(_)))
    }

    /// Ends it and its children, and says how it ended.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        // Before it is collected: until then nobody else can have its number.
        #[cfg(unix)]
        unix::kill_group(self.0.id());
        #[cfg(not(unix))]
        let _ = self.0.kill();
        self.0.wait().ok()
    }
}

/// Runs `command` on `input`.
///
/// # Errors
/// It cannot be started, or somebody asked to stop.
pub(super) fn run(
    mut command: Command,
    params: &ProgramParams,
    input: Vec<u8>,
    limit: Duration,
    most: usize,
    cancel: &CancelToken,
) -> Result<Ran, ProgramError> {
    let mut child = start(&mut command, params)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut running = Running(child);
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) = pipes else {
        running.end();
        unreachable!("all three are pipes");
    };
    // A program need not read what it is sent.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let (sender, parts) = sync_channel(WAITING);
    thread::spawn(move || {
        let mut part = vec![0; 1 << 16];
        while let Ok(count @ 1..) = stdout.read(&mut part) {
            if sender.send(part[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let (said, all_said) = keep_last(stderr);
    let mut written: Vec<u8> = Vec::new();
    let mut last = Instant::now();
    let end = loop {
        match parts.recv_timeout(LOOK) {
            Ok(part) => {
                written.extend(part);
                last = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            // It closed its output and may go on.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK / 10),
        }
        if cancel.is_cancelled() {
            running.end();
            return Err(ProgramError::Cancelled);
        }
        if written.len() > most {
            break None;
        }
        if running.has_ended() {
            break running.end();
        }
        if last.elapsed() >= limit {
            break None;
        }
    };
    running.end();
    let rest = read_rest(&parts, &mut written, most, cancel)?;
    let end = match end {
        _ if written.len() > most => End::TooMuch(most),
        Some(_) if rest == Rest::Endless => End::Outlived,
        Some(status) => End::Exited(status),
        None => End::TooSlow,
    };
    // Its last words may still be on their way; who holds its error output open is not waited for for long.
    let _ = all_said.recv_timeout(LEFT_OPEN);
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let said: Vec<u8> = said.iter().copied().collect();
    Ok(Ran {
        stdout: written,
        end,
        said: String::from_utf8_lossy(&said).into_owned(),
        time_limit_s: params.time_limit_s,
    })
}

/// What there was to read behind a program's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// All that it wrote came.
    All,
    /// Something that left its group, and so was not ended with it, goes on writing.
    Endless,
}

/// Reads what a program wrote that has ended. What left its group may hold its output open for ever, silently or not.
///
/// # Errors
/// Somebody asked to stop.
fn read_rest(
    parts: &Receiver<Vec<u8>>,
    written: &mut Vec<u8>,
    most: usize,
    cancel: &CancelToken,
) -> Result<Rest, ProgramError> {
    let ended = Instant::now();
    let mut last = ended;
    while written.len() <= most && last.elapsed() < LEFT_OPEN {
        if cancel.is_cancelled() {
            return Err(ProgramError::Cancelled);
        }
        if ended.elapsed() >= STILL_WRITTEN {
            return Ok(Rest::Endless);
        }
        match parts.recv_timeout(LOOK) {
            Ok(part) => {
                written.extend(part);
                last = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(Rest::All)
}

/// The last bytes that come from `stream`, as they come; the other end is closed once all have.
fn keep_last(mut stream: impl Read + Send + 'static) -> (Arc<Mutex<VecDeque<u8>>>, Receiver<()>) {
    let last: Arc<Mutex<VecDeque<u8>>> = Arc::default();
    let kept = Arc::clone(&last);
    let (reading, all) = sync_channel(0);
    thread::spawn(move || {
        let _reading = reading;
        let mut part = [0; SAID];
        while let Ok(count @ 1..) = stream.read(&mut part) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&part[..count]);
            let over = kept.len().saturating_sub(SAID);
            kept.drain(..over);
        }
    });
    (last, all)
}

fn start(command: &mut Command, params: &ProgramParams) -> Result<Child, ProgramError> {
    #[cfg(unix)]
    unix::confine(command, params)?;
    #[cfg(not(unix))]
    if !params.network {
        return Err(ProgramError::Network {
            command: params.words(),
            why: "that takes Linux".to_owned(),
        });
    }
    let mut tries = 0;
    loop {
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                thread::sleep(LOOK);
            }
            Err(error) => return Err(not_started(params, error)),
        }
    }
}

fn not_started(params: &ProgramParams, source: std::io::Error) -> ProgramError {
    #[cfg(unix)]
    if let Some(why) = unix::no_network_of_its_own(&source) {
        let command = params.words();
        return ProgramError::Network { command, why };
    }
    let hint = match (source.kind(), params.interpreter.is_empty()) {
        (ErrorKind::NotFound, false) => "the first word of `interpreter` must be found by `PATH`",
        (ErrorKind::NotFound, true) => "what its first line, `#!`, names must be there",
        (_, true) => {
            "make the file executable (chmod +x) with a first line such as `#!/usr/bin/env python3`, or name an `interpreter`"
        }
        (_, false) => "the first word of `interpreter` must be a program",
    };
    ProgramError::NotStarted {
        command: params.words(),
        source,
        hint,
    }
}
