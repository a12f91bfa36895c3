//! A store that may be read and not written to.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;
use crate::needs::{Need, skip};

const ROOT: &str = "SERT_RUN_TEST_READ_ONLY";

/// A store with one of each.
fn fill(root: &Path) -> StageResult {
    let store = open(root);
    let object = store.put_object(b"made").unwrap();
    let one = result(1, &[("out", object)]);
    store.put_result(&one).unwrap();
    store.put_rows("paths", &[row(1), row(2)]).unwrap();
    one
}

/// What may be read of the store at `root`, by somebody who may not write.
fn read_all(root: &Path) {
    let store = Store::open(root).unwrap();
    assert!(store.read_only().is_some());
    let one = &store.results().unwrap()[0];
    assert_eq!(store.missing_outputs(one).unwrap(), []);
    assert_eq!(store.object(&one.outputs["out"]).unwrap().unwrap(), b"made");
    assert_eq!(store.row("paths", &row(2).0).unwrap(), Some(row(2).1));
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(store.file_digest(file.path()).unwrap(), Digest::of(b""));
    assert_eq!(store.stats().unwrap().buckets["paths"].rows, 2);
    let report = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((report.objects, report.rows, report.results), (1, 2, 1));
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(store.collect_leftovers().unwrap(), []);
    store.flush().unwrap();
    let refused = [
        store.put_object(b"new").map(drop),
        store.put_rows("paths", &[row(3)]).map(drop),
        store.put_result(&result(2, &[])).map(drop),
        store
            .lock_stage(&one.key, &mut |_| {}, &CancelToken::default())
            .map(drop),
        store.claim_row("paths", &row(3).0).map(drop),
        store.work_dir(&one.key).map(drop),
        store.scratch().map(drop),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        assert!(error.to_string().contains("\nhint: "), "{error}");
    }
}

#[test]
#[ignore = "the part of somebody who may not write, started by the test below"]
fn reads_what_it_may_not_write() {
    read_all(Path::new(
        &std::env::var_os(ROOT).expect("set by the parent"),
    ));
}

#[test]
fn a_store_that_may_only_be_read_is_read() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 4] = [
        ("closed", |_| {}),
        ("without its index", delete_index),
        ("with a log that nobody may take in", |root| {
            // As a kill leaves it: all that was written lies in the log.
            let log = open(root);
            log.lock()
                .connection
                .execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE results SET stage = 'x'")
                .unwrap();
            let wal = fs::read(root.join("index-v1.sqlite-wal")).unwrap();
            drop(log);
            fs::write(root.join("index-v1.sqlite-wal"), wal).unwrap();
        }),
        ("with half an index", |root| {
            let index = File::options()
                .write(true)
                .open(root.join("index-v1.sqlite"));
            index.unwrap().set_len(5000).unwrap();
        }),
    ];
    for (name, spoil) in cases {
        let root = tempfile::tempdir().unwrap();
        fill(root.path());
        spoil(root.path());
        let everything = || {
            let mut open = vec![root.path().to_owned()];
            let mut found = BTreeMap::new();
            while let Some(path) = open.pop() {
                if path.is_dir() {
                    open.extend(
                        fs::read_dir(&path)
                            .unwrap()
                            .map(|entry| entry.unwrap().path()),
                    );
                } else {
                    found.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
            found
        };
        let before = everything();
        let modes = |writes: bool| {
            let mut open = vec![root.path().to_owned()];
            while let Some(path) = open.pop() {
                let is_dir = path.is_dir();
                let mode = match (is_dir, writes) {
                    (true, true) => 0o755,
                    (true, false) => 0o555,
                    (false, _) => 0o444,
                };
                if is_dir {
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
                    open.extend(
                        fs::read_dir(&path)
                            .unwrap()
                            .map(|entry| entry.unwrap().path()),
                    );
                }
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
        };
        modes(false);
        // Root may write whatever the rights are, so the reader is somebody else.
        let is_root = fs::File::create(root.path().join("probe")).is_ok();
        if is_root {
            fs::remove_file(root.path().join("probe")).unwrap();
            let program = std::env::current_exe().unwrap();
            let copy = tempfile::Builder::new().tempdir().unwrap();
            fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let program_copy = copy.path().join("tests");
            fs::copy(program, &program_copy).unwrap();
            let child = Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(program_copy)
                .args(["--ignored", "--exact", "--nocapture"])
                .arg("store::tests::read_only::reads_what_it_may_not_write")
                .env(ROOT, root.path())
                .output();
            match child {
                Ok(child) => {
                    let text = String::from_utf8_lossy(&child.stdout);
                    let error = String::from_utf8_lossy(&child.stderr);
                    assert!(child.status.success(), "{name}: {text}{error}");
                    assert!(text.contains("1 passed"), "{name}: {text}");
                }
                Err(error) => skip(Need::Setpriv, &format!("setpriv: {error}")),
            }
        } else {
            read_all(root.path());
        }
        modes(true);
        assert_eq!(everything(), before, "{name}");
    }
}
