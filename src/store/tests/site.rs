//! A store that machines share on a network file system: each as it is there, with an index of its own.

use super::super::site::Site;
use super::*;

/// The store at `root/store` as a machine has it.
fn on(machine: &str, root: &Path) -> Store {
    let index = root.join(machine);
    fs::create_dir_all(&index).unwrap();
    let site = Site::shared(Some(index), machine);
    Store::open_at(&root.join("store"), site, &mut |_| {}).unwrap()
}

fn found(store: &Store, rows: &[(Digest, Vec<u8>)]) -> usize {
    let found = store.rows("paths", &keys(rows)).unwrap();
    for (found, (_, row)) in found.iter().zip(rows) {
        assert!(found.as_ref().is_none_or(|found| found == row));
    }
    found.into_iter().flatten().count()
}

#[test]
fn machines_share_files_and_neither_index_nor_segments() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let rows: Vec<_> = (0..20).map(row).collect();
    let [a, b] = ["n1", "n2"].map(|machine| on(machine, root));
    a.put_rows("paths", &rows[..12]).unwrap();
    b.put_rows("paths", &rows[8..]).unwrap();
    // A result is there for the other at once; rows, when it opens the store again.
    let output = a.put_object(b"output").unwrap();
    let made = result(1, &[("paths", output)]);
    assert!(a.put_result(&made).unwrap());
    assert_eq!(b.result(&made.key).unwrap().as_ref(), Some(&made));
    assert!(b.missing_outputs(&made).unwrap().is_empty());
    let segments: Vec<PathBuf> = {
        let entries = fs::read_dir(root.join("store/rows-v1/paths")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    assert_eq!(segments.len(), 2, "{segments:?}");

    // What a machine is writing at this moment is not for the other to cut off.
    let ours = a.site.segment(0);
    let ours = segments.iter().find(|path| path.ends_with(&ours)).unwrap();
    let whole = fs::metadata(ours).unwrap().len();
    File::options()
        .append(true)
        .open(ours)
        .unwrap()
        .write_all(b"half a record")
        .unwrap();
    drop(b);
    let b = on("n2", root);
    assert_eq!(found(&b, &rows), 20);
    assert_eq!(fs::metadata(ours).unwrap().len(), whole + 13);
    assert_eq!(b.take_warnings(), Vec::<String>::new());
    // It does so itself, when it comes back.
    drop(a);
    let a = on("n1", root);
    assert_eq!(
        (found(&a, &rows), fs::metadata(ours).unwrap().len()),
        (20, whole)
    );
    assert_eq!(a.take_warnings().len(), 1);
    let top: Vec<_> = fs::read_dir(root.join("store"))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert!(
        !top.iter()
            .any(|name| name.to_string_lossy().contains("sqlite")),
        "{top:?}"
    );
    assert!(root.join("n1").join(own::INDEX).exists());

    // Without any place of its own the index is in memory, and knows the same.
    let site = Site::shared(None, "n3");
    let c = Store::open_at(&root.join("store"), site, &mut |_| {}).unwrap();
    assert_eq!(found(&c, &rows), 20);
    let more: Vec<_> = (20..25).map(row).collect();
    c.put_rows("paths", &more).unwrap();
    drop(b);
    assert_eq!(found(&on("n2", root), &more), 5);
}
