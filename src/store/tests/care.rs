//! Checking and removing.

use super::*;

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
    assert_eq!(
        (report.results_without_outputs, report.damage.len()),
        (0, 0)
    );
    assert!(last.0 == last.1 && last.0 > 3, "{last:?}");

    flip(&store.path_of(&objects[0]), 0);
    let segment = only_segment(root.path(), "paths");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[OVERHEAD_BYTES / 2] ^= 1; // in the first row's key
    fs::write(&segment, bytes).unwrap();
    flip(&store.result_path(&result(2, &[]).key), 300);
    let report = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((report.objects, report.rows, report.results), (2, 4, 1));
    assert_eq!(
        (report.results_without_outputs, report.damage.len()),
        (1, 3)
    );
    let again = store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((again.objects, again.rows, again.results), (2, 4, 1));
    assert_eq!(again.damage, []);
    assert_eq!(store.stats().unwrap().set_aside, 2);
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
    fs::write(root.path().join("tmp/.tmpOrphan"), b"half").unwrap();
    fs::create_dir_all(root.path().join("tmp/.tmpFolder/deeper")).unwrap();
    fs::write(root.path().join("tmp/.tmpFolder/deeper/weights"), b"half").unwrap();
    drop(store.lock_stage(&kept.key, &mut |_| {}).unwrap());
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
        debris: 2,
        ..GcReport::default()
    };
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
    assert_eq!(store.gc(act).unwrap(), GcReport::default());
    for folder in ["tmp", "locks"] {
        let left = fs::read_dir(root.path().join(folder)).unwrap().count();
        assert_eq!(left, 0, "{folder}");
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
}

#[test]
fn who_waits_for_a_stage_is_told_for_whom() {
    let root = tempfile::tempdir().unwrap();
    let (store, key) = (open(root.path()), result(1, &[]).key);
    let mut told = Vec::new();
    let held = store.lock_stage(&key, &mut |holder| told.push(holder.clone()));
    assert_eq!(told, [], "nobody is there");
    let waiting = std::thread::scope(|scope| {
        let (tell, hear) = std::sync::mpsc::channel();
        let store = &store;
        scope.spawn(move || {
            let claim = store.lock_stage(&key, &mut |holder| tell.send(holder.clone()).unwrap());
            claim.map(drop).unwrap();
        });
        let waiting = hear.recv_timeout(Duration::from_secs(60)).unwrap();
        drop(held);
        waiting
    });
    assert_eq!(waiting, Holder::ThisProcess);
}
