//! Objects and digests of files.

use super::*;

#[test]
fn objects_round_trip_and_are_stored_once() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let digest = store.put_object(b"weights").unwrap();
    assert_eq!(digest, Digest::of(b"weights"));
    let file = root.path().join("outside");
    fs::write(&file, b"weights").unwrap();
    assert_eq!(store.put_file(&file).unwrap(), digest);
    assert_eq!(store.object(&digest).unwrap().unwrap(), b"weights");
    assert_eq!(
        fs::read(store.object_path(&digest).unwrap().unwrap()).unwrap(),
        b"weights"
    );
    assert_eq!(store.object(&Digest::of(b"other")).unwrap(), None);
    assert_eq!(store.stats().unwrap().objects, 1);
    assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_file_of_the_scratch_folder_is_moved() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let scratch = store.scratch().unwrap();
    let made = scratch.path().join("model");
    let digest = Digest::of(b"weights");
    for is_there in [false, true] {
        fs::write(&made, b"weights").unwrap();
        assert_eq!(store.has_object(&digest), is_there);
        assert_eq!(store.take_file(&made).unwrap(), digest);
        assert_eq!(store.object(&digest).unwrap().unwrap(), b"weights");
        // Where the object is there already the file stays, and goes with its folder.
        assert_eq!(made.exists(), is_there);
    }
    let path = store.object_path(&digest).unwrap().unwrap();
    let is_read_only = fs::metadata(path).unwrap().permissions().readonly();
    assert_eq!(is_read_only, cfg!(unix));
    drop(scratch);
    assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_damaged_object_is_a_miss_and_can_be_put_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let digest = store.put_object(b"weights").unwrap();
    let path = store.object_path(&digest).unwrap().unwrap();
    flip(&path, 3);
    assert_eq!(store.object(&digest).unwrap(), None);
    assert_eq!(store.take_warnings().len(), 1);
    assert!(!store.has_object(&digest));

    store.put_object(b"weights").unwrap();
    flip(&path, 0);
    assert_eq!(store.object_path(&digest).unwrap(), None);
    assert_eq!(store.take_warnings().len(), 1);

    // Put over damage that nobody noticed yet.
    store.put_object(b"weights").unwrap();
    flip(&path, 0);
    store.put_object(b"weights").unwrap();
    assert_eq!(store.object(&digest).unwrap().unwrap(), b"weights");
}

#[test]
fn materialise_writes_editable_copies_inside_the_folder_only() {
    let root = tempfile::tempdir().unwrap();
    let store = open(&root.path().join("store"));
    let digest = store.put_object(b"{}").unwrap();
    let out = root.path().join("out");
    let files = |name: &str| BTreeMap::from([(name.to_owned(), digest)]);
    store
        .materialise(&files("tokenizer/vocab.json"), &out)
        .unwrap();
    let copy = out.join("tokenizer/vocab.json");
    fs::write(&copy, b"edited").unwrap();
    assert_eq!(store.object(&digest).unwrap().unwrap(), b"{}");
    store
        .materialise(&files("tokenizer/vocab.json"), &out)
        .unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"{}");
    for name in ["../up", "/etc/x", "", "a/../../b"] {
        let refused = store.materialise(&files(name), &out);
        assert!(matches!(refused, Err(StoreError::BadName(_))), "{name}");
    }
    flip(&store.path_of(&digest), 0);
    let refused = store.materialise(&files("damaged"), &out);
    assert!(matches!(refused, Err(StoreError::MissingObject(_))));
    assert!(!out.join("damaged").exists() && !store.has_object(&digest));
    store.put_object(b"{}").unwrap();
    store.evict_object(&digest).unwrap();
    let refused = store.materialise(&files("x"), &out);
    assert!(matches!(refused, Err(StoreError::MissingObject(_))));
}

#[test]
fn what_is_lent_is_the_object_itself_and_the_rest_a_checked_copy() {
    let root = tempfile::tempdir().unwrap();
    let store = open(&root.path().join("store"));
    let digest = store.put_object(b"{}").unwrap();
    let out = root.path().join("out");
    let files = |name: &str| BTreeMap::from([(name.to_owned(), digest)]);
    let weights = |name: &str| name.ends_with("weights");
    for name in ["a/vocab.json", "weights"] {
        store.lend(&files(name), &out, weights).unwrap();
        assert_eq!(fs::read(out.join(name)).unwrap(), b"{}", "{name}");
        let is_link = fs::symlink_metadata(out.join(name)).unwrap().is_symlink();
        assert_eq!(is_link, cfg!(unix) && weights(name), "{name}");
    }
    // Its reader ends: the object stays.
    fs::remove_dir_all(&out).unwrap();
    assert_eq!(store.object(&digest).unwrap().unwrap(), b"{}");
    let refused = store.lend(&files("../up"), &out, weights);
    assert!(matches!(refused, Err(StoreError::BadName(_))));
    // What its reader checks is not read here, so that damage is the reader's to find.
    flip(&store.path_of(&digest), 0);
    store.lend(&files("weights"), &out, weights).unwrap();
    assert!(!store.recheck_object(&digest).unwrap());
    store.put_object(b"{}").unwrap();
    flip(&store.path_of(&digest), 0);
    let refused = store.lend(&files("damaged"), &out, weights);
    assert!(matches!(refused, Err(StoreError::MissingObject(_))));
    assert!(!out.join("damaged").exists() && !store.has_object(&digest));
}

#[test]
fn a_file_digest_is_remembered_and_notices_a_change() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let file = root.path().join("data.jsonl");
    fs::write(&file, b"one").unwrap();
    // Too fresh to be remembered, so a write within the clock's grain is noticed too.
    assert_eq!(store.file_digest(&file).unwrap(), Digest::of(b"one"));
    let remembered = || -> i64 {
        let count = "SELECT count(*) FROM files";
        store
            .lock()
            .connection
            .query_row(count, [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(remembered(), 0);
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, b"two").unwrap();
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert_eq!(store.file_digest(&file).unwrap(), Digest::of(b"two"));
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(store.file_digest(&file).unwrap(), Digest::of(b"two"));
    assert_eq!(remembered(), 1);
    assert_eq!(store.file_digest(&file).unwrap(), Digest::of(b"two"));
    fs::write(&file, b"six").unwrap();
    age(&file, 1000);
    assert_eq!(store.file_digest(&file).unwrap(), Digest::of(b"six"));
    assert!(store.file_digest(root.path()).is_err());
    assert!(store.file_digest(&root.path().join("absent")).is_err());
}

#[test]
fn a_failed_copy_leaves_no_temporary_file() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    assert!(store.put_file(root.path()).is_err()); // a folder opens, but cannot be read
    assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    let mut file = File::create(root.path().join("x")).unwrap();
    file.write_all(b"x").unwrap();
    assert!(store.put_file(&root.path().join("x")).is_ok());
}
