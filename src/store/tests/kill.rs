//! A process killed in the midst of its writes (SIGKILL: no destructor, no warning).

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const ROOT: &str = "SERT_RUN_TEST_STORE";
const ROWS_PER_BATCH: usize = 50;

fn batch(life: &str, number: usize) -> Vec<(Digest, Vec<u8>)> {
    (0..ROWS_PER_BATCH)
        .map(|n| {
            let name = format!("life {life}, batch {number}, row {n}");
            (Digest::of(name.as_bytes()), name.repeat(20).into_bytes())
        })
        .collect()
}

#[test]
#[ignore = "the part of the process that is killed, started by the test below"]
fn puts_until_it_is_killed() {
    let root = std::env::var_os(ROOT).expect("set by the parent");
    let life = std::env::var("LIFE").expect("set by the parent");
    let store = open(Path::new(&root));
    for number in 0.. {
        store.put_rows("paths", &batch(&life, number)).unwrap();
        let text = format!("{life} {number}");
        let object = store.put_object(text.as_bytes()).unwrap();
        let mut one = result(u32::try_from(number).unwrap(), &[("out", object)]);
        one.recipe.kind = life.clone();
        one.key = one.recipe.key();
        store.put_result(&one).unwrap();
        println!("done {number}");
    }
}

#[test]
fn what_a_killed_process_reported_is_there_and_the_rest_is_sound() {
    let root = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for life in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("store::tests::kill::puts_until_it_is_killed")
            .env(ROOT, root.path())
            .env("LIFE", life.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut done = 0;
        let mut killed = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((_, number)) = line.split_once("done ") else {
                continue;
            };
            done = number.parse().unwrap();
            if done >= life * 3 && !killed {
                killed = true;
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(killed);
        expected.extend((0..=done).flat_map(|number| batch(&life.to_string(), number)));

        let store = open(root.path());
        let found = store.rows("paths", &keys(&expected)).unwrap();
        assert_eq!(found.len(), expected.len());
        for ((_, value), found) in expected.iter().zip(found) {
            assert_eq!(found.as_ref(), Some(value));
        }
        let results = store.results().unwrap();
        assert!(results.len() * ROWS_PER_BATCH >= expected.len());
        for one in &results {
            assert_eq!(store.missing_outputs(one).unwrap(), []);
        }
        let report = store.verify(&mut |_, _| {}).unwrap();
        assert_eq!(report.damage, []);
        assert!(report.rows >= expected.len() as u64);
    }
}
