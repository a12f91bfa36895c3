//! `kill -9` in the middle of sampling and of training, then the same command again: the same
//! table bytes as an undisturbed run. And Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{Bench, Run, TINY};

/// Starts the manifest and kills it at the `nth` event of progress of `stage`. How many paths it sampled.
fn kill_at(bench: &Bench, stage: &str, nth: usize) -> usize {
    let mut child = bench
        .command(&["m.toml", "--progress", "json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let of_stage = format!("\"stage\":\"{stage}\"");
    let (mut seen, mut sampled) = (0, 0);
    for line in lines.map_while(Result::ok) {
        sampled +=
            usize::from(line.contains("\"progress\"") && line.contains("\"stage\":\"sampled\""));
        if line.contains("\"progress\"") && line.contains(&of_stage) {
            seen += 1;
            if seen == nth {
                break;
            }
        }
    }
    assert_eq!(
        seen, nth,
        "the run was over before it could be killed in `{stage}`"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    sampled
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let undisturbed = Bench::new(TINY).run_manifest(&[]).ok();
    let bench = Bench::new(TINY);
    kill_at(&bench, "student", 8);
    kill_at(&bench, "sampled", 200);
    let drawn_again = kill_at(&bench, "sert", 4);
    assert!(
        drawn_again <= 288 - 128,
        "{drawn_again} of 288 paths were drawn again"
    );
    kill_at(&bench, "answers", 3);
    let resumed = bench.run_manifest(&[]).ok();
    assert_eq!(resumed.stdout, undisturbed.stdout);
    bench.run(&["cache", "verify"]).ok();
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_is_done_and_says_how_to_go_on() {
    let bench = Bench::new(TINY);
    let child = bench
        .command(&["m.toml"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Plain progress says little; the folder of the first training's checkpoints says enough.
    let work = bench.path("cache/work");
    for _ in 0..600 {
        if std::fs::read_dir(&work).is_ok_and(|mut entries| entries.next().is_some()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{}\n{}", run.stdout, run.stderr);
    assert!(
        run.stderr
            .contains("student                interrupted after"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("goes on where this one stopped"),
        "{}",
        run.stderr
    );
}
