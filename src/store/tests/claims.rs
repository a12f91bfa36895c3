//! Claims on rows and stages, within a process and between processes (two stores are two processes to a file lock).

use super::*;

/// Two keys that share a lock: their digests begin alike.
fn neighbours() -> [Digest; 2] {
    [1, 2].map(|last| {
        let mut bytes = [7; 32];
        bytes[31] = last;
        Digest::from_bytes(bytes)
    })
}

#[test]
fn a_row_is_claimed_once() {
    let root = tempfile::tempdir().unwrap();
    let (store, other) = (open(root.path()), open(root.path()));
    let [one, two] = neighbours();
    let claim = store.claim_row("paths", &one).unwrap().unwrap();
    assert!(store.claim_row("paths", &one).unwrap().is_none());
    assert!(other.claim_row("paths", &one).unwrap().is_none());
    assert!(other.claim_row("answers", &one).unwrap().is_some());
    // A neighbour is free to us; to others the lock is taken.
    let second = store.claim_row("paths", &two).unwrap().unwrap();
    assert!(other.claim_row("paths", &two).unwrap().is_none());
    drop(claim);
    assert!(other.claim_row("paths", &one).unwrap().is_none());
    assert!(store.claim_row("paths", &one).unwrap().is_some());
    drop(second);
    let theirs = other.claim_row("paths", &one).unwrap().unwrap();
    assert!(store.claim_row("paths", &two).unwrap().is_none());
    drop(theirs);
    assert!(store.claim_row("paths", &two).unwrap().is_some());
}

#[test]
fn who_waits_is_told_for_whom() {
    let root = tempfile::tempdir().unwrap();
    let (store, other) = (open(root.path()), open(root.path()));
    let ours = "another worker of this run";
    let [row, _] = neighbours();
    let claim = store.claim_row("paths", &row).unwrap();
    assert_eq!(other.row_holder("paths", &row), ours);
    let mut locks = fs::read_dir(root.path().join("locks")).unwrap();
    let lock = locks.next().unwrap().unwrap().path();
    let signed = fs::read_to_string(&lock).unwrap();
    assert!(
        signed.starts_with(&format!("process {} on ", std::process::id())),
        "{signed}"
    );
    // A process of the same number on another machine is somebody else.
    let elsewhere = format!("{}-elsewhere", signed.trim_end());
    fs::write(&lock, &elsewhere).unwrap();
    assert_eq!(other.row_holder("paths", &row), elsewhere);
    fs::write(&lock, "").unwrap();
    assert_eq!(other.row_holder("paths", &row), "another process");
    drop(claim);
    let key = result(1, &[]).key;
    let held = store
        .lock_stage(&key, &mut |_| unreachable!(), &CancelToken::default())
        .unwrap();
    std::thread::scope(|scope| {
        let (said, hears) = std::sync::mpsc::channel();
        let other = &other;
        scope.spawn(move || {
            let mut hear = |holder: &str| said.send(holder.to_owned()).unwrap();
            other
                .lock_stage(&key, &mut hear, &CancelToken::default())
                .unwrap();
        });
        let holder = hears.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(holder, ours);
        drop(held);
    });
}
