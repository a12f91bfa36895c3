//! Commands of a queue, and what is made of what they say.

use std::io::Write;
use std::process::{Command, Stdio};

use super::queue::QueueError;

/// Parts of messages by which a queue's commands say what is no refusal.
pub(super) struct Says {
    /// No more may be submitted for now.
    pub(super) full: &'static [&'static str],
    /// What they ask is not there.
    pub(super) away: &'static [&'static str],
}

/// Jobs named in one call of a command that ends them.
const CANCELLED_TOGETHER: usize = 500;

/// Ends jobs by `one`, which is given some of them at a time; `command` is how a person does it, and what stands between jobs
/// there.
///
/// # Errors
/// As of `one`, with what a person can do.
pub(super) fn cancel(
    ids: &[&str],
    (command, between): (&str, &str),
    one: impl Fn(&[&str]) -> Result<String, QueueError>,
) -> Result<(), QueueError> {
    for some in ids.chunks(CANCELLED_TOGETHER) {
        one(some).map_err(|error| {
            let ids = some.join(between);
            QueueError::Refused(format!("{error}\nhint: `{command} {ids}` ends them"))
        })?;
    }
    Ok(())
}

/// What a command prints; it is given `input`.
pub(super) fn output(
    says: &Says,
    command: &str,
    arguments: &[&str],
    input: &str,
) -> Result<String, QueueError> {
    let refused =
        |why: std::io::Error| QueueError::Refused(format!("cannot run `{command}`: {why}"));
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(refused)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read it says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(refused)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Some say it where others answer.
    let said = if said.trim().is_empty() { text } else { said };
    let said = format!("`{command}`: {}", said.trim());
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    Err(if has(says.away) {
        QueueError::Away(said)
    } else if has(says.full) {
        QueueError::Full(said)
    } else {
        QueueError::Refused(said)
    })
}
