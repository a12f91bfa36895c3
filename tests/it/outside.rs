//! The outside world does its worst: signals, servers and disks that fall silent or fill up, pipes where files should
//! be, files written by halves.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::harness::{Bench, Run, TINY};
use crate::needs::{Need, skip};

/// Longest time that an interrupted run may take to end, on a machine that has much else to do.
const SOON: Duration = Duration::from_secs(30);

/// Longest time without a word, before a test gives up.
const PATIENCE: Duration = Duration::from_mins(2);

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// The program, started by a shell that has said `first`.
fn by_shell(bench: &Bench, first: &str, arguments: &[&str]) -> Command {
    let program = bench.command(arguments);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{first}; exec \"$0\" \"$@\"")])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(bench.folder.path())
        .stdin(Stdio::null());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command
}

/// A run of `m.toml` with its events.
struct Running {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in told.map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self {
            child,
            lines,
            said: String::new(),
        }
    }

    /// Reads on until a line holds all of `words`.
    fn wait_for(&mut self, words: &[&str]) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said += &line;
            self.said.push('\n');
            if words.iter().all(|word| line.contains(word)) {
                return;
            }
        }
        panic!("it never said {words:?}:\n{}", self.said);
    }

    /// Reads to the end; the exit code, and how long that took.
    fn end(mut self) -> (Option<i32>, Duration, String) {
        let began = Instant::now();
        for line in &self.lines {
            self.said += &line;
            self.said.push('\n');
        }
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), None, "{}", self.said);
        (status.code(), began.elapsed(), self.said)
    }

    /// It was asked to stop: it does so soon, as an interrupted run does.
    fn ends_as_interrupted(self) {
        let (code, took, said) = self.end();
        assert_eq!(code, Some(130), "{said}");
        assert!(took < SOON, "{took:?}: {said}");
    }
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let bench = Bench::new(TINY);
    let arguments = ["m.toml", "--progress", "json", "--stage", "student"];
    let mut run = Running::start(by_shell(&bench, "trap '' HUP INT", &arguments));
    run.wait_for(&["\"progress\"", "\"student\"", "steps"]);
    signal("HUP", run.child.id());
    signal("INT", run.child.id());
    let (code, _, said) = run.end();
    assert_eq!(code, Some(0), "{said}");

    // What is not ignored still stops it in good order.
    let bench = Bench::new(TINY);
    let mut run = Running::start(by_shell(&bench, "trap '' HUP", &arguments));
    run.wait_for(&["\"progress\"", "\"student\"", "steps"]);
    signal("TERM", run.child.id());
    run.ends_as_interrupted();
}

#[test]
fn a_wait_for_another_process_ends_at_one_signal() {
    let bench = Bench::new(TINY);
    let arguments = ["m.toml", "--progress", "json", "--stage", "student"];
    let mut first = Running::start(bench.command(&arguments));
    first.wait_for(&["\"stage-started\"", "\"student\""]);
    signal("STOP", first.child.id());
    let mut second = Running::start(bench.command(&arguments));
    second.wait_for(&["is at this stage's work"]);
    signal("TERM", second.child.id());
    second.ends_as_interrupted();
    first.child.kill().unwrap();
    first.child.wait().unwrap();
}

/// A server that takes a request, answers with `begin`, and says no more.
fn silent(begin: &'static [u8]) -> (u16, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(begin);
            open.push(stream);
            if asked.send(()).is_err() {
                return;
            }
        }
    });
    (port, told)
}

#[test]
fn a_silent_server_is_left_at_one_signal() {
    let (port, asked) = silent(b"");
    let bench = Bench::new(&format!(
        "{TINY}\n[stages.asked]\nkind = \"teach\"\nsource = \"http\"\n\
         endpoint = {{ base_url = \"http://127.0.0.1:{port}/v1\", model = \"m\", max_tokens = 8 }}\n"
    ));
    let arguments = ["m.toml", "--progress", "json", "--stage", "asked"];
    let run = Running::start(bench.command(&arguments));
    asked.recv_timeout(SOON).unwrap();
    signal("TERM", run.child.id());
    run.ends_as_interrupted();
}

#[test]
fn a_stalled_download_is_left_at_one_signal() {
    for begin in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"model",
    ] {
        let (port, asked) = silent(begin);
        let bench = Bench::new(
            "[data]\ndataset = \"microworld\"\n[student]\nmodel = \"somebody/something\"\n\
             [stages.sampled]\nkind = \"sample\"\n",
        );
        let mut command = bench.command(&["m.toml", "--progress", "json", "--stage", "student"]);
        command.env("HF_ENDPOINT", format!("http://127.0.0.1:{port}"));
        command.env_remove("HF_HUB_OFFLINE");
        let run = Running::start(command);
        asked.recv_timeout(SOON).unwrap();
        signal("INT", run.child.id());
        run.ends_as_interrupted();
    }
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn pipes_are_refused_where_files_are_read_twice_and_taken_as_manifests() {
    let bench = Bench::new(
        "[data]\ndataset = \"microworld\"\n\
         [stages.asked]\nkind = \"dataset\"\ndataset = \"jsonl\"\npath = \"questions.jsonl\"\n\
         [stages.own]\nkind = \"import-paths\"\npath = \"paths.jsonl\"\nquestions = \"data.train\"\n\
         [student]\nmodel = \"./student\"\n[stages.sampled]\nkind = \"sample\"\n",
    );
    std::fs::create_dir(bench.path("student")).unwrap();
    for name in ["questions.jsonl", "paths.jsonl", "student/config.json"] {
        pipe(&bench.path(name));
    }
    // What the manifest names itself is a mistake of it; what is in a folder is the stage's failure.
    for (stage, code, place) in [
        ("asked", 2, "`stages.asked.path`"),
        ("own", 2, "`stages.own.path`"),
        ("student", 1, "stage `student`"),
    ] {
        let run = bench.run(&["m.toml", "--stage", stage]);
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        let says = "it is a pipe or a device, not a file";
        let named = run.stderr.contains(place);
        assert!(
            named && run.stderr.contains(says),
            "{stage}: {}",
            run.stderr
        );
    }
    let plan = bench.run(&["plan", "m.toml"]);
    assert!(
        plan.stderr.contains("it is a pipe"),
        "{}\n{}",
        plan.stdout,
        plan.stderr
    );

    let written = bench.path("written");
    pipe(&written);
    let writer = std::thread::spawn(move || std::fs::write(written, TINY).unwrap());
    let plan = bench.run(&["plan", "written", "--stage", "data"]).ok();
    writer.join().unwrap();
    assert!(
        plan.stdout.contains("microworld") || plan.stdout.contains("dataset"),
        "{}",
        plan.stdout
    );

    let endless = bench.run(&["plan", "/dev/zero"]);
    assert_eq!(endless.code, Some(2));
    assert!(
        endless.stderr.contains("so it is no manifest"),
        "{}",
        endless.stderr
    );
}

/// Paths of a recorded teacher in some hundred kilobytes.
const ROWS: &str = "[data]\ndataset = \"microworld\"\n\
    microworld = { entities = 384, train_questions = 3000, pretrain_questions = 0, fact_repeats = 1 }\n\
    [stages.teacher]\nkind = \"teach\"\nrecording = \"microworld-solver\"\n";

/// Entries of the bench's folder that are not there from the start.
fn others(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| name != "cache" && name != "m.toml")
        .collect();
    names.sort();
    names
}

#[test]
fn files_that_get_too_long_are_failures_in_words() {
    // Of 512 bytes, or of 1024 where the shell is bash.
    let bench = Bench::new(ROWS);
    bench.run_manifest(&[]).ok();
    let limited = |arguments: &[&str]| {
        let output = by_shell(&bench, "ulimit -f 256", arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), None);
        Run::of(&output)
    };
    let export = ["export", "m.toml", "teacher", "rows.jsonl"];
    let cut = limited(&export);
    assert_eq!(cut.code, Some(1), "{}", cut.stderr);
    for word in ["cannot write `rows.jsonl`", "hint: ", "ulimit -f"] {
        assert!(cut.stderr.contains(word), "{}", cut.stderr);
    }
    assert!(others(&bench).is_empty(), "{:?}", others(&bench));
    bench.run(&export).ok();
    let whole = std::fs::read(bench.path("rows.jsonl")).unwrap();
    assert!(whole.len() > 256 * 1024);
    assert_eq!(others(&bench), ["rows.jsonl"]);

    // A stage that cannot keep what it made: what others made is kept.
    bench.write("m.toml", ROWS.replace("3000", "2999"));
    let cut = limited(&["m.toml"]);
    assert_eq!(cut.code, Some(1), "{}", cut.stderr);
    assert!(cut.stderr.contains("ulimit -f"), "{}", cut.stderr);
    bench.run(&["m.toml"]).ok();
    bench.run(&["cache", "verify"]).ok();
}

#[test]
fn a_killed_export_is_begun_again() {
    let bench = Bench::new(ROWS);
    bench.run_manifest(&[]).ok();
    // What one that was killed leaves.
    bench.write(".sert-run-abc123.part", "{\"question");
    bench
        .run(&["export", "m.toml", "teacher", "rows.jsonl"])
        .ok();
    assert_eq!(others(&bench), ["rows.jsonl"]);
    let again = bench.run(&["export", "m.toml", "teacher", "rows.jsonl"]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
    // Into what is open already, as it is.
    let printed = bench
        .run(&["export", "m.toml", "teacher", "/dev/stdout"])
        .ok();
    let whole = std::fs::read_to_string(bench.path("rows.jsonl")).unwrap();
    assert_eq!(printed.stdout, whole);
}

#[test]
fn tables_figures_and_reports_replace_what_is_there_only_whole() {
    let bench = Bench::new(TINY);
    bench.run_manifest(&[]).ok();
    let table = |to: &str| bench.run(&["table", "m.toml", "--out", to, "--format", "csv"]);
    table("t.csv").ok();
    let whole = std::fs::read_to_string(bench.path("t.csv")).unwrap();
    assert_eq!(table("/dev/stdout").ok().stdout, whole);
    std::os::unix::fs::symlink("t.csv", bench.path("link")).unwrap();
    bench.write("t.csv", "older");
    table("link").ok();
    assert_eq!(std::fs::read_to_string(bench.path("t.csv")).unwrap(), whole);
    assert!(bench.path("link").symlink_metadata().unwrap().is_symlink());
    if Path::new("/dev/full").exists() {
        let full = table("/dev/full");
        assert_eq!(full.code, Some(1));
        assert!(
            full.stderr.contains("hint: free some space"),
            "{}",
            full.stderr
        );
    }
    // A page of which a part does not fit leaves the old one.
    bench.write("report/index.html", "older");
    bench.write("report/figures/note.txt", "somebody's");
    let arguments = ["report", "m.toml", "--out", "report"];
    let cut = Run::of(
        &by_shell(&bench, "ulimit -f 40", &arguments)
            .output()
            .unwrap(),
    );
    if cut.code == Some(1) {
        assert!(cut.stderr.contains("ulimit -f"), "{}", cut.stderr);
        assert_eq!(
            std::fs::read(bench.path("report/index.html")).unwrap(),
            b"older"
        );
    }
    bench.run(&arguments).ok();
    assert!(
        std::fs::read(bench.path("report/index.html"))
            .unwrap()
            .len()
            > 10_000
    );
    assert!(bench.path("report/figures/note.txt").exists());
    let left = std::fs::read_dir(bench.path("report")).unwrap().count();
    assert_eq!(left, 2);
}

#[test]
fn a_dumb_terminal_is_told_everything_in_plain_lines() {
    let bench = Bench::new(TINY);
    let program = bench
        .command(&[])
        .get_program()
        .to_string_lossy()
        .into_owned();
    let arguments = "m.toml --stage teacher --stage data";
    let script = Command::new("script")
        .args(["-qec", &format!("{program} {arguments}"), "/dev/null"])
        .current_dir(bench.folder.path())
        .env("TERM", "dumb")
        .env_remove("SERT_CACHE")
        .env_remove("SERT_REMOTE")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = script else {
        skip(Need::Terminal, "there is no `script` here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if said.is_empty() && !output.status.success() {
        skip(Need::Terminal, "this `script` takes other options");
        return;
    }
    assert!(said.contains("ran in"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}
