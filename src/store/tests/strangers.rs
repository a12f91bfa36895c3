//! What is in a store's folder and not the store's: links, folders, pipes, files of others.

#![cfg(unix)]

use std::os::unix::fs::symlink;

use super::*;

/// A folder with a victim, and a link to it under each of a store's names.
struct Outside {
    folder: tempfile::TempDir,
}

impl Outside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("victim"), b"precious").unwrap();
        Self { folder }
    }

    fn link(&self, root: &Path, name: &str, to: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(self.folder.path().join(to), path).unwrap();
    }

    fn assert_untouched(&self, what: &str) {
        let mut names: Vec<_> = fs::read_dir(self.folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{what}: {names:?}");
        let victim = names.pop().unwrap().unwrap().path();
        assert_eq!(fs::read(victim).unwrap(), b"precious", "{what}");
    }
}

/// All that a store does, whatever comes of it.
fn use_all(root: &Path) -> Result<(), StoreError> {
    let store = Store::open(root)?;
    let _ = store.put_rows("paths", &[row(1), row(2)]);
    let object = store.put_object(b"kept")?;
    let one = result(1, &[("out", object)]);
    let _ = store.put_result(&one);
    let _ = store.lock_stage(&one.key, &mut |_| {}, &CancelToken::default());
    let _ = store.claim_row("paths", &row(1).0);
    if let Ok(work) = store.work_dir(&one.key) {
        let _ = fs::write(work.join("current.ckpt"), b"checkpoint");
    }
    let _ = store.drop_work_dir(&one.key);
    let _ = store.scratch();
    let _ = store.verify(&mut |_, _| {});
    let _ = store.collect_leftovers();
    let keep = BTreeSet::new();
    let _ = store.gc(GcOptions {
        keep: &keep,
        rows: true,
        unfinished: true,
        dry_run: false,
    });
    Ok(())
}

#[test]
fn no_link_in_a_store_is_followed_and_rebuild_sets_aside_what_is_in_the_way() {
    let object = Digest::of(b"kept").to_string();
    let key = result(1, &[]).key.to_string();
    let lock = format!("locks/{key}");
    let names = [
        "objects-v1".to_owned(),
        format!("objects-v1/{}", &object[..2]),
        format!("objects-v1/{}/{}", &object[..2], &object[2..]),
        "results-v1".to_owned(),
        format!("results-v1/{}/{key}.json", &key[..2]),
        "rows-v1".to_owned(),
        "rows-v1/paths".to_owned(),
        "rows-v1/paths/000000.seg".to_owned(),
        "work".to_owned(),
        format!("work/{key}"),
        format!("work/{key}/current.ckpt"),
        "tmp".to_owned(),
        "locks".to_owned(),
        lock,
        "locks/paths-0000".to_owned(),
        "open.lock".to_owned(),
        "in-use.lock".to_owned(),
        "index-v1.sqlite".to_owned(),
        "index-v1.sqlite-wal".to_owned(),
        "index-v1.sqlite-shm".to_owned(),
        "index-v1.sqlite.rebuild".to_owned(),
        "CACHEDIR.TAG".to_owned(),
    ];
    // To a folder, to a file, and to nothing, where following would make one.
    for (to, name) in ["", "victim", "new"]
        .iter()
        .flat_map(|to| names.iter().map(move |name| (to, name)))
    {
        let what = format!("{name} -> {to:?}");
        let (root, outside) = (tempfile::tempdir().unwrap(), Outside::new());
        outside.link(root.path(), name, to);
        let used = use_all(root.path());
        outside.assert_untouched(&what);
        if let Err(error) = used {
            assert!(
                matches!(error, StoreError::InTheWay { .. }),
                "{what}: {error}"
            );
            assert!(error.to_string().contains("cache rebuild"), "{error}");
        }
        assert!(
            fs::symlink_metadata(root.path().join(name)).is_ok(),
            "{what}"
        );
        let (_, report) = Store::rebuild(root.path()).unwrap();
        assert_eq!(report.set_aside.len(), 1, "{what}: {report:?}");
        let moved = &report.set_aside[0].1;
        assert!(fs::symlink_metadata(moved).unwrap().is_symlink(), "{what}");
        use_all(root.path()).unwrap();
        outside.assert_untouched(&what);
        assert!(fs::symlink_metadata(moved).is_ok(), "{what}");
    }
}

#[test]
fn pipes_folders_and_files_of_others_are_told_and_left() {
    let root = tempfile::tempdir().unwrap();
    use_all(root.path()).unwrap();
    let store = open(root.path());
    let digest = Digest::of(b"object");
    let folder = store.path_of(&digest);
    fs::create_dir_all(folder.join("inside")).unwrap();
    let pipe = root.path().join("rows-v1/paths/000001.seg");
    fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    assert_eq!(store.object(&digest).unwrap(), None);
    assert!(!store.has_object(&digest));
    let refused = store.put_object(b"object").unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::InTheWay {
                what: "a folder",
                ..
            }
        ),
        "{refused}"
    );
    drop(store);
    // The pipe does not keep anybody waiting.
    let store = open(root.path());
    let report = store.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let mut strangers: Vec<_> = report.strangers.iter().map(|each| each.what).collect();
    strangers.sort_unstable();
    assert_eq!(strangers, ["a device, a pipe or a socket", "a folder"]);
    assert!(report.strangers.iter().all(|each| each.in_the_way));
    assert!(folder.join("inside").is_dir() && pipe.exists());
}

#[test]
fn rebuild_takes_back_what_was_set_aside_and_is_sound() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let object = store.put_object(b"weights").unwrap();
    let one = result(1, &[("out", object)]);
    store.put_result(&one).unwrap();
    store.put_rows("paths", &[row(1), row(2)]).unwrap();
    // A disk that is not mounted today.
    let away = root.path().join("elsewhere");
    fs::rename(store.path_of(&object), &away).unwrap();
    let report = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!(report.losses.len(), 1);
    assert_eq!(store.result(&one.key).unwrap(), None);
    fs::rename(&away, store.path_of(&object)).unwrap();
    assert!(matches!(
        Store::rebuild(root.path()),
        Err(StoreError::InUse(_))
    ));
    drop(store);
    let (store, report) = Store::rebuild(root.path()).unwrap();
    assert_eq!((report.taken_back, report.rows, report.results), (1, 2, 1));
    assert_eq!(store.results().unwrap(), [one]);
    assert!(store.verify(&mut |_, _| {}).unwrap().is_sound());
}
