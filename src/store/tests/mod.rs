//! The store as its callers see it: sound, damaged, killed, shared.

mod care;
mod claims;
mod kill;
mod objects;
mod read_only;
mod remote;
mod results;
mod rows;
mod site;
mod strangers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, json};

use super::segment::{self, OVERHEAD_BYTES};
use super::*;
use crate::key::{Digest, Recipe};

fn open(root: &Path) -> Store {
    Store::open(root).unwrap()
}

fn row(n: usize) -> (Digest, Vec<u8>) {
    let text = format!("row {n}");
    (
        Digest::of(text.as_bytes()),
        text.repeat(n % 7 + 1).into_bytes(),
    )
}

fn keys(rows: &[(Digest, Vec<u8>)]) -> Vec<Digest> {
    rows.iter().map(|(key, _)| *key).collect()
}

fn result(n: u32, outputs: &[(&str, Digest)]) -> StageResult {
    let recipe = Recipe {
        kind: "filter".into(),
        version: n,
        params: Map::from_iter([("threshold".to_owned(), json!(0.1 + 0.2))]),
        inputs: BTreeMap::new(),
        files: BTreeMap::new(),
        seed: Some(u64::MAX),
        numerics: None,
    };
    StageResult {
        key: recipe.key(),
        stage: "keep".into(),
        recipe,
        outputs: outputs
            .iter()
            .map(|(port, digest)| ((*port).to_owned(), *digest))
            .collect(),
        provenance: json!({"host": "\"quoted\"\nline", "run": n}),
    }
}

fn only_segment(root: &Path, bucket: &str) -> PathBuf {
    let folder = root.join("rows-v1").join(bucket);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    folder.join("000000.seg")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    // A new file: an object is read-only.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Other bytes at `path`, and an index that takes them for those that it has a digest of: a disk that loses bits changes
/// neither size nor times.
fn rot(store: &Store, path: &Path, bytes: &[u8]) {
    let digest = Digest::of(&fs::read(path).unwrap());
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    let path = path.to_owned();
    store.file_digest(&path).unwrap();
    store
        .lock()
        .connection
        .execute(
            "UPDATE files SET digest = ?1 WHERE digest = ?2",
            (digest.as_bytes(), Digest::of(bytes).as_bytes()),
        )
        .unwrap();
}

fn delete_index(root: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(root.join(format!("index-v1.sqlite{end}")));
    }
}

fn age(path: &Path, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(then)
        .unwrap();
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt() {
    type Spoil = fn(&Path);
    let damage: [(&str, Spoil); 5] = [
        ("deleted", delete_index),
        ("garbage", |root| {
            delete_index(root);
            fs::write(root.join("index-v1.sqlite"), b"garbage ".repeat(2000)).unwrap();
        }),
        ("truncated", |root| {
            let path = root.join("index-v1.sqlite");
            let half = fs::metadata(&path).unwrap().len() / 2;
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(half)
                .unwrap();
        }),
        ("tables gone", |root| {
            let path = root.join("index-v1.sqlite");
            let connection = rusqlite::Connection::open(path).unwrap();
            connection
                .execute_batch("DROP TABLE results; DROP TABLE rows;")
                .unwrap();
        }),
        ("pages overwritten", |root| {
            let path = root.join("index-v1.sqlite");
            let mut bytes = fs::read(&path).unwrap();
            bytes[4096..].fill(0xa5);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (name, spoil) in damage {
        let root = tempfile::tempdir().unwrap();
        let rows: Vec<_> = (0..500).map(row).collect();
        let store = open(root.path());
        store.put_rows("paths", &rows).unwrap();
        let results = [result(3, &[]), result(1, &[]), result(2, &[])];
        for one in &results {
            store.put_result(one).unwrap();
        }
        drop(store);
        spoil(root.path());
        let store = open(root.path());
        let found = store.rows("paths", &keys(&rows)).unwrap();
        let lost = found.iter().filter(|row| row.is_none()).count();
        assert_eq!(lost, 0, "{name}");
        assert_eq!(store.results().unwrap(), results, "{name}");
        assert_eq!(
            store.take_warnings().len(),
            usize::from(name != "deleted"),
            "{name}"
        );
        drop(store);
        assert!(open(root.path()).take_warnings().is_empty(), "{name}");
    }
}

#[test]
fn damage_met_by_a_running_process_is_mended_by_the_next() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.put_rows("paths", &[row(1)]).unwrap();
    store
        .lock()
        .connection
        .execute_batch("DROP TABLE rows")
        .unwrap();
    let met = store.row("paths", &row(1).0);
    assert!(matches!(met, Err(StoreError::IndexDamaged(_))), "{met:?}");
    drop(store);
    assert_eq!(
        open(root.path()).row("paths", &row(1).0).unwrap(),
        Some(row(1).1)
    );
}

#[test]
fn what_cannot_be_a_store_is_refused_clearly() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(Store::open(&file), Err(StoreError::RootIsFile(_))));

    let store = open(&root.path().join("newer"));
    store
        .lock()
        .connection
        .pragma_update(None, "user_version", 99)
        .unwrap();
    drop(store);
    let refused = Store::open(&root.path().join("newer")).err().unwrap();
    assert!(matches!(refused, StoreError::NewerIndex { found: 99, .. }));
    assert!(refused.to_string().contains("\nhint: update"), "{refused}");
}

#[test]
fn two_stores_on_one_root_write_side_by_side() {
    let root = tempfile::tempdir().unwrap();
    let stores = [open(root.path()), open(root.path())];
    std::thread::scope(|scope| {
        for (s, store) in stores.iter().enumerate() {
            for thread in 0..2 {
                scope.spawn(move || {
                    for batch in 0..20 {
                        // Half of the keys are contested, each writer with its own value.
                        let rows: Vec<_> = (batch * 10..batch * 10 + 10)
                            .map(|n| {
                                let shared = n % 2 == 0;
                                let name = if shared {
                                    format!("{n}")
                                } else {
                                    format!("{s} {thread} {n}")
                                };
                                (
                                    Digest::of(name.as_bytes()),
                                    format!("{s} {thread}").into_bytes(),
                                )
                            })
                            .collect();
                        store.put_rows("paths", &rows).unwrap();
                        store
                            .put_object(format!("object {batch}").as_bytes())
                            .unwrap();
                        store
                            .put_result(&result(u32::try_from(batch).unwrap(), &[]))
                            .unwrap();
                    }
                });
            }
        }
    });
    let mut all: Vec<Digest> = (0..200)
        .step_by(2)
        .map(|n: usize| Digest::of(n.to_string().as_bytes()))
        .collect();
    for writer in ["0 0", "0 1", "1 0", "1 1"] {
        all.extend(
            (1..200)
                .step_by(2)
                .map(|n| Digest::of(format!("{writer} {n}").as_bytes())),
        );
    }
    let seen = stores[0].rows("paths", &all).unwrap();
    assert_eq!(seen.iter().flatten().count(), all.len());
    assert_eq!(stores[1].rows("paths", &all).unwrap(), seen);
    assert_eq!(stores[0].results().unwrap().len(), 20);
    assert_eq!(stores[0].stats().unwrap().objects, 20);
    assert!(stores.iter().all(|store| store.take_warnings().is_empty()));
    // A rebuilt index chooses the same values.
    drop(stores);
    delete_index(root.path());
    assert_eq!(open(root.path()).rows("paths", &all).unwrap(), seen);
}

/// A killed process runs no destructor.
#[test]
fn what_a_killed_process_put_is_there() {
    let root = tempfile::tempdir().unwrap();
    let killed = open(root.path());
    killed.put_rows("paths", &[row(1)]).unwrap();
    std::mem::forget(killed);
    let store = open(root.path());
    assert_eq!(store.row("paths", &row(1).0).unwrap(), Some(row(1).1));
    store.put_rows("paths", &[row(2)]).unwrap();
    assert_eq!(store.stats().unwrap().buckets["paths"].rows, 2);
}

#[test]
fn an_index_locked_by_another_process_is_told_and_nothing_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let (store, other) = (open(root.path()), open(root.path()));
    store.put_rows("paths", &[row(1)]).unwrap();
    let wait = Duration::ZERO;
    store.lock().connection.busy_timeout(wait).unwrap();
    let begin = |statement| other.lock().connection.execute_batch(statement).unwrap();
    begin("BEGIN IMMEDIATE");
    let refused = store.put_rows("paths", &[row(2)]).unwrap_err();
    assert!(matches!(refused, StoreError::Locked(_)), "{refused}");
    assert!(store.row("paths", &row(1).0).unwrap().is_some()); // reading goes on
    begin("ROLLBACK");
    assert_eq!(store.row("paths", &row(2).0).unwrap(), None);
    assert_eq!(store.put_rows("paths", &[row(2)]).unwrap(), 1);
}

#[test]
fn what_the_system_refuses_is_told_with_a_way_out() {
    use std::io::{Error, ErrorKind};
    let refuse = |kind: ErrorKind| {
        let refused: std::io::Result<()> = Err(Error::from(kind));
        refused.doing("write", Path::new("a/b")).unwrap_err()
    };
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let message = refuse(kind).to_string();
        assert!(message.starts_with("no space left on the disk: cannot write a/b\nhint: free"));
    }
    for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
        let message = refuse(kind).to_string();
        assert!(message.starts_with("cannot write a/b: "), "{message}");
        assert!(
            message.contains("\nhint: the store's folder must be"),
            "{message}"
        );
    }
    assert!(matches!(
        refuse(ErrorKind::InvalidData),
        StoreError::Io { .. }
    ));
}
