//! `launch`: a server that the run starts on its student, waits for, and stops, whatever becomes of the run.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fault_server::{Asked, FaultServer};
use crate::harness::{Bench, Run};
use crate::needs;
use crate::served_student::{Form, Served, folder, manifest};

/// A program in the server's place: says what it was started with, and goes on.
fn bench(form: Form, launch: &str, script: &str) -> (Bench, PathBuf) {
    let bench = Bench::new("");
    let program = bench.path("server");
    bench.write(
        "server",
        format!("#!/bin/sh\necho $$ > pid.txt\n{script}\n")
            .replace("pid.txt", &bench.path("pid.txt").display().to_string()),
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let server = format!(
        "launch = \"{launch}\", version = \"VERSION\", start_timeout_s = 60, program = \"{}\", args = [\"--more\", \"m\"]",
        program.display()
    );
    bench.write("m.toml", manifest(form, &server));
    let pid = bench.path("pid.txt");
    (bench, pid)
}

fn until<T>(what: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The process that a script said it is, as `/proc` has it.
fn process(pid: &Path) -> PathBuf {
    let text = until(|| {
        fs::read_to_string(pid)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    Path::new("/proc").join(text.trim())
}

/// Whether it is gone, or nobody has yet collected that it ended.
fn is_over(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    !process.exists() || status.contains("State:\tZ")
}

fn start(bench: &Bench) -> std::process::Child {
    let stages = [
        "m.toml",
        "--progress",
        "none",
        "--stage",
        "served",
        "--allow-programs",
    ];
    let mut command = bench.command(&stages);
    command.stderr(Stdio::piped()).stdout(Stdio::null());
    command.spawn().unwrap()
}

/// The logs that the store keeps.
fn logs(bench: &Bench) -> Vec<String> {
    let each = fs::read_dir(bench.path("cache/logs")).into_iter().flatten();
    each.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}

/// It is started on a port that is free, on the student's files; asked as any other; and gone when the stage is done.
#[cfg(target_os = "linux")]
#[test]
fn a_server_is_started_on_its_student_and_stopped() {
    let script = r#"echo started "$@"
while [ "$1" != --port ]; do case "$2" in */*) ls "$2"; esac; shift; done
echo "$2" > port.txt.new; mv port.txt.new port.txt
sleep 600 & echo $! > child.txt; wait"#;
    let (bench, pid) = bench(Form::Vllm, "vllm", "");
    let text = format!(
        "#!/bin/sh\ncd {}\necho $$ > pid.txt\n{script}\n",
        bench.folder.path().display()
    );
    bench.write("server", text);
    let child = start(&bench);
    let port = until(|| fs::read_to_string(bench.path("port.txt")).ok());
    let student = Served::load(&folder());
    let act = move |asked: &Asked| student.act(Form::Vllm, asked);
    let server = FaultServer::on("127.0.0.1", port.trim().parse().unwrap(), act);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(server.asked() > 18);
    assert!(is_over(&process(&pid)), "it goes on");
    until(|| is_over(&process(&bench.path("child.txt"))).then_some(()));
    let logs = logs(&bench);
    assert_eq!(logs.len(), 1);
    for told in [
        "started serve ",
        "--host 127.0.0.1 --port ",
        "--dtype float32",
        "--max-model-len 160",
        "--logprobs-mode raw_logprobs",
        "--more m",
        "model.safetensors",
    ] {
        assert!(logs[0].contains(told), "{told}\n{}", logs[0]);
    }
    // Its log is the store's own.
    bench.run(&["cache", "verify"]).ok();
}

#[test]
fn a_server_that_does_not_come_up_is_told_with_its_log() {
    let (bench, _) = bench(
        Form::Vllm,
        "vllm",
        "echo 'CUDA error: no such card' >&2; exit 3",
    );
    let run = Run::of(&start(&bench).wait_with_output().unwrap());
    assert_eq!(run.code, Some(1));
    for told in [
        "did not come up: it ended with exit code 3",
        "its log is",
        "cache/logs/",
        "CUDA error: no such card",
    ] {
        assert!(run.stderr.contains(told), "{told}\n{}", run.stderr);
    }
    assert_eq!(logs(&bench), ["CUDA error: no such card\n"]);
    let gone = Bench::new(&manifest(
        Form::Vllm,
        "launch = \"vllm\", version = \"VERSION\", program = \"/nowhere/vllm\"",
    ));
    let run = Run::of(&start(&gone).wait_with_output().unwrap());
    assert!(
        run.stderr.contains("`/nowhere/vllm` cannot be started"),
        "{}",
        run.stderr
    );
    let plain = Bench::new(&manifest(
        Form::LlamaCpp,
        "launch = \"llama-server\", version = \"VERSION\"",
    ));
    let run = Run::of(&start(&plain).wait_with_output().unwrap());
    for told in ["llama-server reads GGUF files", "converter"] {
        assert!(run.stderr.contains(told), "{told}\n{}", run.stderr);
    }
}

/// While it is waited for, and by a kill that nothing can catch.
#[cfg(target_os = "linux")]
#[test]
fn it_ends_with_a_run_that_is_interrupted_or_killed() {
    for (signal, code) in [("-INT", Some(130)), ("-KILL", None)] {
        let (bench, pid) = bench(Form::Vllm, "vllm", "exec sleep 600");
        let child = start(&bench);
        let process = process(&pid);
        assert!(process.exists());
        let run = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &run])
            .status();
        assert!(sent.unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(
            ended.status.code(),
            code,
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        until(|| is_over(&process).then_some(()));
    }
}

/// The real thing, where `SERT_LLAMA_SERVER` names it and `SERT_GGUF` a student: greedily it writes what our engine does.
#[test]
fn a_real_llama_server_gives_what_our_own_engine_gives() {
    let Some((program, student)) = needs::llama_server() else {
        return;
    };
    let version = std::process::Command::new(&program)
        .arg("--version")
        .output()
        .unwrap();
    let said = [version.stderr, version.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    // `version: 0.6.0-dev (build 11434, commit ...)`; older ones have the number in place of the version.
    let number = said
        .split("(build ")
        .nth(1)
        .or(said.split("version: ").nth(1));
    let number = number.and_then(|rest| rest.split([',', ' ']).next());
    let number = number.unwrap_or_else(|| panic!("{said}"));
    let server = format!(
        "launch = \"llama-server\", version = \"b{number}\", program = \"{}\", args = [\"--ctx-size\", \"8192\"]",
        program.display()
    );
    let text = manifest(Form::LlamaCpp, &server).replace(
        &folder().display().to_string(),
        &student.display().to_string(),
    );
    let bench = Bench::new(&text);
    bench
        .run_manifest(&["--allow-programs", "--stage", "served", "--stage", "own"])
        .ok();
    let rows = |stage: &str| -> Vec<serde_json::Value> {
        let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
        shown
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (own, served) = (rows("own"), rows("served"));
    assert_eq!(own.len(), served.len());
    let same = own
        .iter()
        .zip(&served)
        .filter(|(own, served)| own["tokens"] == served["tokens"]);
    let first = own
        .iter()
        .zip(&served)
        .filter(|(own, served)| own["first_token"] == served["first_token"]);
    assert_eq!(first.count(), own.len());
    assert!(same.count() * 10 >= own.len() * 9);
    for (own, served) in own.iter().zip(&served) {
        let of = |row: &serde_json::Value| row["log_prob"]["first"].as_f64().unwrap();
        assert!((of(own) - of(served)).abs() < 0.01, "{own} {served}");
    }
}
