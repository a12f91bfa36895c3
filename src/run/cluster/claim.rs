//! Which run looks after a stage that several want: a claim, and a heartbeat of whoever has it.
//!
//! ```text
//! JOBS/KEY/claim-N.json          who looks after the stage: the highest N counts
//! JOBS/coordinators/ID.json      a run that submits, renewed while it lives
//! ```
//!
//! A claim is made by putting a name once; nothing is locked. A dead run's is taken over by the next number.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::job::{JobFolder, write, write_new};
use crate::disk;
use crate::key::Digest;
use crate::remote::Holder;

/// Time between two heartbeats, and the time without one after which a run counts as dead: as of leases. Ours.
const HEARTBEAT: Duration = Duration::from_mins(1);
const STALE_AFTER: Duration = Duration::from_mins(30);

/// What a claim says.
#[derive(Serialize, Deserialize)]
struct Claim {
    coordinator: String,
}

/// This run, as others see it.
pub(super) struct Coordinator {
    jobs: PathBuf,
    id: String,
    beaten: Instant,
}

impl Coordinator {
    pub(super) fn new(jobs: &Path) -> io::Result<Self> {
        let bytes: [u8; 16] = rand::random();
        let coordinator = Self {
            jobs: jobs.to_owned(),
            id: Digest::of(&bytes).to_string()[..24].to_owned(),
            beaten: Instant::now(),
        };
        coordinator.write()?;
        Ok(coordinator)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.jobs.join("coordinators").join(format!("{id}.json"))
    }

    fn write(&self) -> io::Result<()> {
        let text = serde_json::to_vec(&Holder::this())?;
        write(&self.file(&self.id), &text)
    }

    /// Says that this run lives, if that is due.
    pub(super) fn beat(&mut self) {
        if self.beaten.elapsed() >= HEARTBEAT {
            self.beaten = Instant::now();
            // What fails is tried again in a minute; others wait for half an hour.
            let _ = self.write();
        }
    }

    /// Claims the stage of this job; where somebody else has it, says who.
    pub(super) fn claim(&self, job: &JobFolder) -> io::Result<Result<(), String>> {
        loop {
            let highest = highest(job)?;
            if let Some(number) = highest {
                match self.holder(&claim_file(job, number)) {
                    Some(Held::Ours) => return Ok(Ok(())),
                    Some(Held::Theirs(who)) => return Ok(Err(who)),
                    None => {}
                }
            }
            let number = highest.map_or(1, |number| number + 1);
            let text = serde_json::to_vec(&Claim {
                coordinator: self.id.clone(),
            })?;
            if write_new(&claim_file(job, number), &text)? {
                for older in 1..number {
                    let _ = std::fs::remove_file(claim_file(job, older));
                }
                return Ok(Ok(()));
            }
        }
    }

    /// Who has a claim; `None` where that run is over.
    fn holder(&self, claim: &Path) -> Option<Held> {
        let claim: Claim = serde_json::from_slice(&disk::read_small(claim).ok()?).ok()?;
        if claim.coordinator == self.id {
            return Some(Held::Ours);
        }
        let file = self.file(&claim.coordinator);
        let holder = holder(&file)?;
        (!self.is_dead(&file)).then(|| Held::Theirs(holder.to_string()))
    }

    /// Whether the run that this file is of is over.
    fn is_dead(&self, file: &Path) -> bool {
        // Both times are the file server's.
        let age = || {
            let now = std::fs::metadata(self.file(&self.id))
                .ok()?
                .modified()
                .ok()?;
            now.duration_since(std::fs::metadata(file).ok()?.modified().ok()?)
                .ok()
        };
        let is_stale = age().is_some_and(|age| age > STALE_AFTER);
        is_stale || holder(file).is_none_or(|holder| holder.has_ended())
    }

    /// Lets go of a stage.
    pub(super) fn release(&self, job: &JobFolder) {
        if let Ok(Some(number)) = highest(job)
            && let Some(Held::Ours) = self.holder(&claim_file(job, number))
        {
            let _ = std::fs::remove_file(claim_file(job, number));
        }
    }

    /// Removes the heartbeats of runs that are over.
    pub(super) fn forget_the_dead(&self) {
        let folder = self.jobs.join("coordinators");
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if self.is_dead(&entry.path()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// This run is over.
    pub(super) fn close(&self) {
        let _ = std::fs::remove_file(self.file(&self.id));
    }
}

/// Which process a coordinator's file is of.
fn holder(file: &Path) -> Option<Holder> {
    serde_json::from_slice(&disk::read_small(file).ok()?).ok()
}

enum Held {
    Ours,
    Theirs(String),
}

fn claim_file(job: &JobFolder, number: u32) -> PathBuf {
    job.path().join(format!("claim-{number}.json"))
}

fn highest(job: &JobFolder) -> io::Result<Option<u32>> {
    std::fs::create_dir_all(job.path())?;
    let mut highest = None;
    for entry in std::fs::read_dir(job.path())? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            name.strip_prefix("claim-")?
                .strip_suffix(".json")?
                .parse()
                .ok()
        });
        highest = highest.max(number);
    }
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::StageKey;

    #[test]
    fn one_run_has_a_stage_until_it_lets_go_or_is_gone() {
        let jobs = tempfile::tempdir().unwrap();
        let [a, b] = [0, 1].map(|_| Coordinator::new(jobs.path()).unwrap());
        let job = JobFolder::of(jobs.path(), &StageKey(Digest::of(b"a")));
        assert_eq!(a.claim(&job).unwrap(), Ok(()));
        assert_eq!(a.claim(&job).unwrap(), Ok(()));
        assert!(b.claim(&job).unwrap().unwrap_err().starts_with("process "));
        b.release(&job);
        assert!(b.claim(&job).unwrap().is_err());
        a.release(&job);
        assert_eq!(b.claim(&job).unwrap(), Ok(()));
        // Killed: its file says a process that is not there.
        let mut dead = serde_json::to_value(Holder::this()).unwrap();
        dead["process"] = u32::MAX.into();
        std::fs::write(b.file(&b.id), dead.to_string()).unwrap();
        assert_eq!(a.claim(&job).unwrap(), Ok(()));
        assert_eq!(highest(&job).unwrap(), Some(2));
        assert!(!claim_file(&job, 1).exists());
        // On another machine, and silent.
        dead["host"] = "elsewhere".into();
        std::fs::write(a.file(&a.id), dead.to_string()).unwrap();
        let c = Coordinator::new(jobs.path()).unwrap();
        assert_eq!(
            c.claim(&job).unwrap(),
            Err(format!("process {} on elsewhere", u32::MAX))
        );
        let long_ago = std::time::SystemTime::now() - Duration::from_hours(1);
        let file = std::fs::File::options()
            .write(true)
            .open(a.file(&a.id))
            .unwrap();
        file.set_modified(long_ago).unwrap();
        assert_eq!(c.claim(&job).unwrap(), Ok(()));
        c.close();
        let d = Coordinator::new(jobs.path()).unwrap();
        assert_eq!(d.claim(&job).unwrap(), Ok(()));
    }

    #[test]
    fn of_many_at_once_one_has_it() {
        let jobs = tempfile::tempdir().unwrap();
        let job = JobFolder::of(jobs.path(), &StageKey(Digest::of(b"a")));
        let have: usize = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        let run = Coordinator::new(jobs.path()).unwrap();
                        usize::from(run.claim(&job).unwrap().is_ok())
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).sum()
        });
        assert_eq!(have, 1);
    }
}
