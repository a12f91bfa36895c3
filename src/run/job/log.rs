//! The events of a job, as lines that another machine reads while they are written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::clock::unix_seconds;
use crate::event::{Observer, RunEvent};

/// The version of lines.
const VERSION: u32 = 1;
/// Progress is written at most this often (ours): many jobs write to one file system, and people read it.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// So much of a log is read at a time (ours).
const PIECE_BYTES: u64 = 1 << 20;

/// An event, with when it was.
#[derive(Serialize, Deserialize)]
struct Line<E> {
    v: u32,
    unix_s: u64,
    #[serde(flatten)]
    event: E,
}

/// Writes events to a file.
pub(crate) struct EventLog(Mutex<(File, BTreeMap<String, Instant>)>);

impl EventLog {
    /// Goes on with the file at `path`: a job that Slurm queues again has one log.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Mutex::new((file, BTreeMap::new()))))
    }
}

impl Observer for EventLog {
    fn event(&self, event: &RunEvent) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, told) = &mut *inner;
        if let RunEvent::Progress { stage, progress } = event {
            let now = Instant::now();
            let is_last = progress.done >= progress.total;
            let is_due = told
                .get(stage)
                .is_none_or(|last| now.duration_since(*last) >= PROGRESS_EVERY);
            if !is_due && !is_last {
                return;
            }
            told.insert(stage.clone(), now);
        }
        let line = Line {
            v: VERSION,
            unix_s: unix_seconds(),
            event,
        };
        let line = serde_json::to_string(&line).expect("events hold only text and finite numbers");
        // Of a full disk the stage's own files tell; nobody computes with events.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// Reads what a log has more than before.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    read: u64,
}

impl EventReader {
    /// The events that were written since the last call. Lines of other versions, and what is no event, are left out.
    pub(crate) fn news(&mut self, path: &Path) -> Vec<RunEvent> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.take(PIECE_BYTES).read_to_end(&mut bytes)
        });
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        let (Ok(_), Some(whole)) = (read, whole) else {
            return Vec::new();
        };
        self.read += whole as u64 + 1;
        bytes[..whole]
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Line<RunEvent>>(line).ok())
            .filter(|line| line.v == VERSION)
            .map(|line| line.event)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Level, Progress, StageOutcome};

    #[test]
    fn events_are_read_as_they_were_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut reader = EventReader::default();
        assert_eq!(reader.news(&path), []);
        let log = EventLog::open(&path).unwrap();
        let stage = || "sampled".to_owned();
        let progress = |done| RunEvent::Progress {
            stage: stage(),
            progress: Progress {
                done,
                total: 9,
                unit: "paths".into(),
                ..Progress::default()
            },
        };
        let told = [
            RunEvent::StageStarted {
                stage: stage(),
                kind: "sample".into(),
            },
            progress(1),
        ];
        for event in &told {
            log.event(event);
        }
        assert_eq!(reader.news(&path), told);
        let finished = RunEvent::StageFinished {
            stage: stage(),
            outcome: StageOutcome::Failed,
            error: Some("why".into()),
            elapsed: Duration::from_millis(1500),
        };
        let note = RunEvent::Note {
            stage: stage(),
            level: Level::Warning,
            message: "two\nlines".into(),
        };
        // Not so soon after the first, but for the last of all.
        for event in [progress(2), note.clone(), progress(9), finished.clone()] {
            log.event(&event);
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"no event\n{\"v\":2,\"unix_s\":1,\"event\":\"new\"}\n{\"v\":1,\"un")
            .unwrap();
        assert_eq!(reader.news(&path), [note, progress(9), finished]);
        assert_eq!(reader.news(&path), []);
    }
}
