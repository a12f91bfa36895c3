//! A program with its files in a folder, ready to run.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::error::ProgramError;
use super::params::ProgramParams;
use super::process::{Ran, run};
use crate::event::CancelToken;

/// The folder of the program and its files, and what is before the names of those that runs have for themselves.
const FILES: &str = "files";
const RUN: &str = "run-";

/// A program with its files in a folder of its own.
pub(crate) struct Program {
    folder: PathBuf,
    names: Vec<OsString>,
    params: ProgramParams,
}

impl Program {
    /// The program of `params`, whose file and further ones are `files`, copied to `folder`, so that what runs stays what it is.
    ///
    /// # Errors
    /// A file cannot be copied.
    pub(crate) fn new(
        params: &ProgramParams,
        files: &[PathBuf],
        folder: &Path,
    ) -> Result<Self, ProgramError> {
        let of = |path: &Path| {
            let path = path.to_owned();
            move |source| ProgramError::Folder { path, source }
        };
        let folder = std::path::absolute(folder).map_err(of(folder))?;
        let place = folder.join(FILES);
        std::fs::create_dir(&place).map_err(of(&place))?;
        let mut names = Vec::new();
        for file in files {
            let name = file.file_name().unwrap_or_default();
            std::fs::copy(file, place.join(name)).map_err(of(file))?;
            names.push(name.to_owned());
        }
        Ok(Self {
            folder,
            names,
            params: params.clone(),
        })
    }

    /// Where the copies lie, in the order of the files.
    pub(crate) fn copies(&self) -> impl Iterator<Item = PathBuf> {
        let files = self.folder.join(FILES);
        self.names.iter().map(move |name| files.join(name))
    }

    /// Runs it on `input`, with further `files` (name and content) beside its own; it may write `most` bytes.
    ///
    /// # Errors
    /// It cannot be started, or somebody asked to stop. How it ended is told by [`Ran`].
    pub(crate) fn run(
        &self,
        input: Vec<u8>,
        files: &[(&str, &[u8])],
        most: usize,
        cancel: &CancelToken,
    ) -> Result<Ran, ProgramError> {
        let folder = tempfile::Builder::new()
            .prefix(RUN)
            .tempdir_in(&self.folder)
            .and_then(|folder| {
                for (copy, name) in self.copies().zip(&self.names) {
                    link(&copy, &folder.path().join(name))?;
                }
                for (name, content) in files {
                    std::fs::write(folder.path().join(name), content)?;
                }
                Ok(folder)
            })
            .map_err(|source| ProgramError::Folder {
                path: self.folder.clone(),
                source,
            })?;
        let command = self.command(folder.path());
        let limit = Duration::from_secs(self.params.time_limit_s.into());
        run(command, &self.params, input, limit, most, cancel)
    }

    /// The command, with an environment that holds no secret: where programs are found, a folder, and what makes texts and
    /// orders the same everywhere.
    fn command(&self, folder: &Path) -> Command {
        let program = self.copies().next().unwrap_or_default();
        let mut command = match self.params.interpreter.split_first() {
            None => Command::new(program),
            Some((first, more)) => {
                let mut command = Command::new(first);
                command.args(more).arg(program);
                command
            }
        };
        command
            .args(&self.params.args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs([("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")])
            .envs([("PYTHONHASHSEED", "0"), ("PYTHONUNBUFFERED", "1")])
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Lets `there` be the file `copy`.
fn link(copy: &Path, there: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(copy, there);
    #[cfg(not(unix))]
    std::fs::copy(copy, there).map(|_| ())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
            }
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        }

        /// Runs a script of the shell, with what `change` makes of the usual settings.
        fn run(&self, script: &str, input: &str, change: impl Fn(&mut ProgramParams)) -> Ran {
            self.try_run(script, input, change, &CancelToken::default())
                .unwrap()
        }

        fn try_run(
            &self,
            script: &str,
            input: &str,
            change: impl Fn(&mut ProgramParams),
            cancel: &CancelToken,
        ) -> Result<Ran, ProgramError> {
            let mut params = ProgramParams {
                program: "script.sh".into(),
                interpreter: vec!["sh".into()],
                network: true,
                ..ProgramParams::default()
            };
            change(&mut params);
            let files = [
                self.file("script.sh", script),
                self.file("more.txt", "more"),
            ];
            let scratch = tempfile::tempdir_in(self.folder.path()).unwrap();
            let program = Program::new(&params, &files, scratch.path())?;
            program.run(input.into(), &[("q.jsonl", b"asked")], 1 << 20, cancel)
        }
    }

    fn text(ran: &Ran) -> &str {
        std::str::from_utf8(&ran.stdout).unwrap()
    }

    #[test]
    fn it_has_its_input_its_files_and_no_secret() {
        let bench = Bench::new();
        let ran = bench.run("cat; cat more.txt q.jsonl; echo \"$1\"", "in ", |params| {
            params.args = vec!["arg".into()];
        });
        assert_eq!((text(&ran), ran.failure()), ("in moreaskedarg\n", None));
        let ran = bench.run("env | cut -d= -f1 | sort | tr '\\n' ' '", "", |_| {});
        let allowed =
            "HOME LANG LC_ALL PATH PWD PYTHONHASHSEED PYTHONUNBUFFERED SHLVL TMPDIR _ OLDPWD";
        for name in text(&ran).split_whitespace() {
            assert!(allowed.split(' ').any(|it| it == name), "{name}");
        }
        // A file that is executed itself, and one that does not read what it is sent.
        let own = bench.file("own", "#!/bin/sh\nexec true\n");
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
        let scratch = tempfile::tempdir_in(bench.folder.path()).unwrap();
        let params = ProgramParams {
            program: "own".into(),
            network: true,
            ..ProgramParams::default()
        };
        let program = Program::new(&params, &[own], scratch.path()).unwrap();
        let long = vec![b'x'; 1 << 20];
        let ran = program.run(long, &[], 10, &CancelToken::default()).unwrap();
        assert_eq!(ran.failure(), None);
    }

    #[test]
    fn how_it_ended_is_told() {
        let bench = Bench::new();
        let told = |script: &str, change: &dyn Fn(&mut ProgramParams)| {
            bench.run(script, "", change).failure().unwrap()
        };
        assert_eq!(told("exit 3", &|_| {}), "it ended with exit code 3");
        assert_eq!(
            told("echo a >&2; echo 'no module' >&2; exit 1", &|_| {}),
            "it ended with exit code 1: no module"
        );
        assert_eq!(told("kill -SEGV $$", &|_| {}), "it was ended by signal 11");
        let slow = |params: &mut ProgramParams| params.time_limit_s = 1;
        assert_eq!(
            told("echo 1; sleep 600", &slow),
            "it wrote nothing for 1 s (`time_limit_s`)"
        );
        let endless = told("yes", &|_| {});
        assert_eq!(endless, "it wrote more than 1 MiB");
        let hungry = "x=$(head -c 200000000 /dev/zero | tr '\\0' a) && echo ${#x}";
        let small = |params: &mut ProgramParams| params.memory_limit_mib = 64;
        assert!(told(hungry, &small).starts_with("it "));
        assert_eq!(bench.run(hungry, "", |_| {}).failure(), None);
    }

    #[test]
    fn a_program_that_cannot_be_started_is_an_error() {
        let bench = Bench::new();
        let run = |interpreter: &str| {
            let change = |params: &mut ProgramParams| params.interpreter = vec![interpreter.into()];
            let ran = bench.try_run("", "", change, &CancelToken::default());
            ran.err().unwrap().to_string()
        };
        let told = run("no-such-interpreter");
        assert!(
            told.starts_with("`no-such-interpreter script.sh` cannot be run"),
            "{told}"
        );
        let folder = bench.folder.path().to_str().unwrap();
        assert!(run(folder).contains("hint:"));
    }

    /// Its children too, whether it is interrupted, too slow, or done and gone.
    #[test]
    fn it_is_ended_with_its_children() {
        let bench = Bench::new();
        let alive = |ran: &str| {
            let pid = ran.trim();
            // What is dead may wait for somebody to collect it.
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        let gone = |pid: &str| {
            let began = Instant::now();
            while alive(pid) && began.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(20));
            }
            !alive(pid)
        };
        let ran = bench.run("sleep 600 & echo $!", "", |_| {});
        assert!(ran.failure().is_none() && gone(text(&ran)), "{ran:?}");
        let slow = |params: &mut ProgramParams| params.time_limit_s = 1;
        let ran = bench.run("sleep 600 & echo $!; wait", "", slow);
        assert!(ran.failure().is_some() && gone(text(&ran)), "{ran:?}");

        let cancel = CancelToken::default();
        let place = bench.folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", place.display());
        let stop = cancel.clone();
        let there = place.clone();
        let stopper = std::thread::spawn(move || {
            let pid = || std::fs::read_to_string(&there).unwrap_or_default();
            while !pid().ends_with('\n') {
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.cancel();
        });
        let ran = bench.try_run(&script, "", |_| {}, &cancel);
        stopper.join().unwrap();
        assert!(matches!(ran, Err(ProgramError::Cancelled)), "{ran:?}");
        assert!(gone(&std::fs::read_to_string(place).unwrap()));
    }

    /// What left its group lives on, and holds up no run: not silent, not writing, and not when it is interrupted.
    #[test]
    fn what_leaves_its_group_is_not_waited_for() {
        let bench = Bench::new();
        if std::process::Command::new("setsid")
            .arg("true")
            .status()
            .is_err()
        {
            return; // no setsid on this machine
        }
        let within = |began: Instant, seconds| {
            let took = began.elapsed();
            assert!(took < Duration::from_secs(seconds), "{took:?}");
        };
        // The program goes on once the other has left.
        let leaves = |what: &str| {
            format!(
                "setsid sh -c 'touch left; {what}' 2>/dev/null & while [ ! -e left ]; do sleep 0.05; done"
            )
        };
        let silent = leaves("exec sleep 20");
        // It ends by itself once nobody reads: its next line is refused.
        let writes = leaves("while echo x; do sleep 0.1; done");
        let began = Instant::now();
        let told = bench.run(&writes, "", |_| {}).failure().unwrap();
        assert!(
            told.starts_with("it ended, and something that it started outside of its group"),
            "{told}"
        );
        within(began, 30);
        let began = Instant::now();
        let slow = |params: &mut ProgramParams| params.time_limit_s = 1;
        let ran = bench.run(&(silent.clone() + "; sleep 600"), "", slow);
        let told = ran.failure().unwrap();
        assert_eq!(told, "it wrote nothing for 1 s (`time_limit_s`)");
        within(began, 15);
        let began = Instant::now();
        let ran = bench.run(&(silent + "; echo 1"), "", |_| {});
        assert_eq!((text(&ran), ran.failure()), ("1\n", None));
        within(began, 15);

        let cancel = CancelToken::default();
        let stop = cancel.clone();
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            stop.cancel();
        });
        let ran = bench.try_run(&writes, "", |_| {}, &cancel);
        stopper.join().unwrap();
        assert!(matches!(ran, Err(ProgramError::Cancelled)), "{ran:?}");
    }

    #[test]
    fn it_has_no_network_unless_it_may() {
        let bench = Bench::new();
        let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
        let ours = format!("{}\n", ours.display());
        let cancel = CancelToken::default();
        let script = "readlink /proc/self/ns/net";
        assert_eq!(text(&bench.run(script, "", |_| {})), ours);
        let without = |params: &mut ProgramParams| params.network = false;
        match bench.try_run(script, "", without, &cancel) {
            Ok(ran) => {
                assert_eq!(ran.failure(), None);
                assert!(text(&ran).starts_with("net:") && text(&ran) != ours);
                // The same user, and nobody to reach: no interface that is up, so no route.
                let script = "id -u; tail -n +2 /proc/net/route | wc -l";
                let told = |change: &dyn Fn(&mut ProgramParams)| {
                    text(&bench.run(script, "", change)).to_owned()
                };
                let user = |told: &str| told.lines().next().map(str::to_owned);
                assert_eq!(user(&told(&without)), user(&told(&|_| {})));
                assert_eq!(told(&without).lines().nth(1).map(str::trim), Some("0"));
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("hint: set `network = true`"), "{told}");
            }
        }
    }
}
