//! Checking and removing.

use super::*;
use crate::event::CancelToken;
use crate::store::gc::GcReport;

#[test]
fn verify_counts_and_takes_damage_out_of_use() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let rows: Vec<_> = (0..5).map(row).collect();
    store.put_rows("paths", &rows).unwrap();
    let objects = [b"a", b"b", b"c"].map(|bytes| store.put_object(bytes).unwrap());
    store
        .put_result(&result(1, &[("out", objects[0])]))
        .unwrap();
    store
        .put_result(&result(2, &[("out", objects[1])]))
        .unwrap();
    let mut last = (0, 0);
    let report = store
        .verify(&mut |done, total| last = (done, total))
        .unwrap();
    assert_eq!((report.objects, report.rows, report.results), (3, 5, 2));
    assert!(report.is_sound());
    assert!(last.0 == last.1 && last.0 > 3, "{last:?}");

    flip(&store.path_of(&objects[0]), 0);
    let segment = only_segment(root.path(), "paths");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[OVERHEAD_BYTES / 2] ^= 1; // in the first row's key
    fs::write(&segment, bytes).unwrap();
    flip(&store.result_path(&result(2, &[]).key), 300);
    let report = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((report.objects, report.rows, report.results), (2, 4, 0));
    assert_eq!((report.losses.len(), report.damage.len()), (1, 3));
    assert_eq!(report.losses[0].why, "its `out` is gone");
    let again = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((again.objects, again.rows, again.results), (2, 4, 0));
    assert!(again.is_sound(), "{again:?}");
    assert_eq!(store.stats().unwrap().set_aside, 3);
}

#[test]
fn gc_keeps_what_is_named_and_removes_the_rest() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let weights = store.put_object(b"weights").unwrap();
    let model = json!({"files": {"w": weights}, "format": 1});
    let model = store.put_object(model.to_string().as_bytes()).unwrap();
    let paths = store
        .put_object(b"{\"not\": \"a list of files\"}\n{}")
        .unwrap();
    let (kept, dropped) = (
        result(1, &[("model", model)]),
        result(2, &[("paths", paths)]),
    );
    store.put_result(&kept).unwrap();
    store.put_result(&dropped).unwrap();
    store.put_rows("paths", &[row(1), row(2)]).unwrap();
    store.work_dir(&kept.key).unwrap();
    let unfinished = store.work_dir(&result(3, &[]).key).unwrap();
    for ours in [
        "sert-run-a1B2c3",
        "sert-run-Folder/deeper/x",
        ".tmpABCDEF/model.safetensors",
    ] {
        write(root.path(), &format!("tmp/{ours}"), b"half");
    }
    let theirs = [
        "tmp/thesis/chapter1.tex",
        "tmp/.tmpABC123",
        "tmp/.tmpFolder/deeper/weights",
        "tmp/sert-run-notes.txt",
        "locks/key",
        "locks/paths-9999",
        "objects-v1/ab/README",
        "results-v1/notes",
        "rows-v1/paths/notes.seg",
        "rows-v1/Photos/x.jpg",
        "work/mine/x",
        "data.csv",
    ];
    for theirs in theirs {
        write(root.path(), theirs, b"only copy");
    }
    drop(
        store
            .lock_stage(&kept.key, &mut |_| {}, &CancelToken::default())
            .unwrap(),
    );
    let keep = BTreeSet::from([kept.key]);
    let options = GcOptions {
        keep: &keep,
        rows: false,
        unfinished: false,
        dry_run: true,
    };
    let expected = GcReport {
        results: 1,
        objects: 1,
        object_bytes: 29,
        work_dirs: 1,
        leftovers: 3,
        leftover_bytes: 12,
        strangers: store.stats().unwrap().strangers,
        ..GcReport::default()
    };
    assert_eq!(expected.strangers.len(), theirs.len(), "{expected:#?}");
    assert_eq!(store.gc(options).unwrap(), expected);
    assert!(store.has_object(&paths));

    let other = open(root.path());
    let act = GcOptions {
        dry_run: false,
        ..options
    };
    assert!(matches!(store.gc(act), Err(StoreError::InUse(_))));
    drop(other);
    assert_eq!(store.gc(act).unwrap(), expected);
    let nothing = GcReport {
        strangers: expected.strangers,
        ..GcReport::default()
    };
    assert_eq!(store.gc(act).unwrap(), nothing);
    for (folder, left) in [("tmp", 4), ("locks", 2)] {
        let found = fs::read_dir(root.path().join(folder)).unwrap().count();
        assert_eq!(found, left, "{folder}");
    }
    assert!(store.missing_outputs(&kept).unwrap().is_empty());
    assert_eq!(store.results().unwrap().len(), 1);
    assert!(!store.has_object(&paths) && unfinished.is_dir());
    assert!(store.row("paths", &row(1).0).unwrap().is_some());

    let all = GcOptions {
        rows: true,
        unfinished: true,
        ..act
    };
    let report = store.gc(all).unwrap();
    assert_eq!((report.rows, report.work_dirs), (2, 1));
    assert_eq!(store.row("paths", &row(1).0).unwrap(), None);
    assert_eq!(store.put_rows("paths", &[row(1)]).unwrap(), 1);
    assert_eq!(store.row("paths", &row(1).0).unwrap(), Some(row(1).1));
    for theirs in theirs {
        let found = fs::read(root.path().join(theirs)).unwrap();
        assert_eq!(found, b"only copy", "{theirs}");
    }
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_a_kill_leaves_is_collected_when_nobody_is_at_work() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let scratch = store.scratch().unwrap();
    fs::write(scratch.path().join("model.safetensors"), b"half").unwrap();
    let left = scratch.keep(); // as a kill does
    let work = store.work_dir(&result(1, &[]).key).unwrap();
    fs::write(work.join(".tmpQWERTZ"), b"half a checkpoint").unwrap();
    fs::write(work.join("current.ckpt"), b"a checkpoint").unwrap();
    let stats = store.stats().unwrap();
    let bytes: u64 = stats.leftovers.iter().map(|each| each.bytes).sum();
    assert_eq!((stats.leftovers.len(), bytes), (2, 21));
    let other = open(root.path());
    assert_eq!(store.collect_leftovers().unwrap(), []);
    assert!(left.is_dir());
    drop(other);
    assert_eq!(store.collect_leftovers().unwrap().len(), 2);
    assert!(!left.exists() && work.join("current.ckpt").exists());
    assert_eq!(store.stats().unwrap().leftovers, []);
    // It goes on as before.
    store.put_object(b"a").unwrap();
    assert!(matches!(
        open(root.path()).gc(GcOptions {
            keep: &BTreeSet::new(),
            rows: false,
            unfinished: false,
            dry_run: true,
        }),
        Err(StoreError::InUse(_))
    ));
}

/// What the index lost, by hand or by a fault, is found where it is.
#[test]
fn verify_takes_in_again_what_the_index_lost() {
    let statements = [
        "DELETE FROM rows",
        "DELETE FROM rows WHERE offset > 0",
        "DELETE FROM segments",
        "UPDATE segments SET indexed_bytes = 0",
        "UPDATE rows SET segment = segment + 100",
        "DELETE FROM results",
    ];
    for statement in statements {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path());
        let rows: Vec<_> = (0..9).map(row).collect();
        store.put_rows("paths", &rows).unwrap();
        store.put_result(&result(1, &[])).unwrap();
        store.lock().connection.execute_batch(statement).unwrap();
        drop(store);
        let store = open(root.path());
        let report = store.verify(&mut |_, _| {}).unwrap();
        assert_eq!((report.rows, report.results), (9, 1), "{statement}");
        let was_told = statement.contains(" rows") || statement.contains("rows ");
        assert_eq!(report.is_sound(), !was_told, "{statement}");
        let found = store.rows("paths", &keys(&rows)).unwrap();
        assert!(found.iter().all(Option::is_some), "{statement}");
        assert!(store.verify(&mut |_, _| {}).unwrap().is_sound());
        assert_eq!(store.results().unwrap().len(), 1, "{statement}");
        // No record was taken for one too many.
        drop(store);
        delete_index(root.path());
        let found = open(root.path()).rows("paths", &keys(&rows)).unwrap();
        assert!(found.iter().all(Option::is_some), "{statement}");
    }
}

#[test]
fn verify_tells_what_opening_mended() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let rows: Vec<_> = (0..9).map(row).collect();
    store.put_rows("paths", &rows).unwrap();
    drop(store);
    let segment = only_segment(root.path(), "paths");
    let half = fs::metadata(&segment).unwrap().len() / 2;
    let file = File::options().write(true).open(&segment).unwrap();
    file.set_len(half).unwrap();
    let store = open(root.path());
    let report = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(report.damage[0].what.contains("rows are made again"));
    assert!(store.verify(&mut |_, _| {}).unwrap().is_sound());
    drop(store);
    fs::remove_file(&segment).unwrap();
    let report = open(root.path()).verify(&mut |_, _| {}).unwrap();
    assert!(report.damage[0].what.contains("gone"), "{report:?}");
}

/// A result that was made from bytes that nobody checked may be wrong once these turn out to be damaged; one whose
/// inputs were checked as they were read is right whatever becomes of them.
#[test]
fn what_was_made_from_damage_does_not_count() {
    for (checked, left) in [(false, 1), (true, 2)] {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path());
        let weights = store.put_object(b"weights").unwrap();
        let list = json!({"files": {"model.safetensors": weights}});
        let model = store.put_object(list.to_string().as_bytes()).unwrap();
        let made = store.put_object(b"made with it").unwrap();
        let with = |n, input: Digest| {
            let mut one = result(n, &[("out", made)]);
            one.recipe.inputs.insert("model".into(), input);
            one.key = one.recipe.key();
            if checked {
                one.provenance[INPUTS_CHECKED] = json!(true);
            }
            store.put_result(&one).unwrap();
            one
        };
        let (from_it, beside) = (with(1, model), with(2, made));
        flip(&store.path_of(&weights), 0);
        let report = store.verify(&mut |_, _| {}).unwrap();
        assert_eq!(report.results, left);
        let is_lost = |one: &StageResult| store.result(&one.key).unwrap().is_none();
        assert_eq!((is_lost(&from_it), is_lost(&beside)), (!checked, false));
        assert_eq!(report.losses.len(), usize::from(!checked));
    }
}

/// Damage that shows neither in a file's size nor in its times.
#[test]
fn verify_reads_what_is_remembered_of_outside_files() {
    let root = tempfile::tempdir().unwrap();
    let store = open(&root.path().join("store"));
    let file = root.path().join("data.jsonl");
    fs::write(&file, b"one").unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    store.file_digest(&file).unwrap();
    assert_eq!(store.verify(&mut |_, _| {}).unwrap().files, 1);
    rot(&store, &file, b"two");
    assert_eq!(store.file_digest(&file).unwrap(), Digest::of(b"one")); // as a hit may be told
    assert!(!store.is_still(&file, &Digest::of(b"one")).unwrap());
    rot(&store, &file, b"six");
    let report = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((report.files, report.damage.len()), (0, 1));
    assert_eq!(store.file_digest(&file).unwrap(), Digest::of(b"six"));
}
