//! Rows: round trips, half-written tails, flipped bytes, a full disk.

use super::*;

#[test]
fn twenty_thousand_rows_round_trip() {
    let root = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..20_000).map(row).collect();
    let started = std::time::Instant::now();
    let store = open(root.path());
    for part in rows.chunks(5000) {
        assert_eq!(store.put_rows("paths", part).unwrap(), 5000);
    }
    store.flush().unwrap();
    let put = started.elapsed();
    let found = store.rows("paths", &keys(&rows)).unwrap();
    let all = started.elapsed();
    eprintln!("put {put:?}, put and got {all:?}");
    assert_eq!(found.len(), rows.len());
    for ((_, value), found) in rows.iter().zip(found) {
        assert_eq!(found.as_ref(), Some(value));
    }
    // Far above what it takes (0.1 s), far below one transaction or one sync for each row.
    assert!(all < Duration::from_secs(10), "{all:?}");
    let segments = fs::read_dir(root.path().join("rows-v1/paths")).unwrap();
    assert_eq!(segments.count(), 4); // each part fills one
    assert_eq!(store.put_rows("paths", &rows).unwrap(), 0);
    assert_eq!(store.row("branches", &rows[0].0).unwrap(), None);
    assert_eq!(store.stats().unwrap().buckets["paths"].rows, 20_000);
}

#[test]
fn the_first_value_of_a_row_wins() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let key = Digest::of(b"request");
    let both = [(key, b"first".to_vec()), (key, b"second".to_vec())];
    assert_eq!(store.put_rows("replies", &both).unwrap(), 1);
    assert_eq!(store.put_rows("replies", &both[1..]).unwrap(), 0);
    assert_eq!(store.row("replies", &key).unwrap().unwrap(), b"first");
    assert!(matches!(
        store.put_rows("../up", &both),
        Err(StoreError::BadBucket(_))
    ));
}

/// A kill at any byte of an append, with the index behind or ahead, loses that record at most.
#[test]
fn a_tail_cut_at_any_byte_is_mended() {
    let rows: Vec<_> = (0..3).map(row).collect();
    let last = rows[2].1.len() + OVERHEAD_BYTES;
    for lose_index in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path());
        store.put_rows("paths", &rows).unwrap();
        drop(store);
        let segment = only_segment(root.path(), "paths");
        let whole = fs::read(&segment).unwrap();
        for cut in 1..=last {
            if lose_index {
                delete_index(root.path());
            }
            fs::write(&segment, &whole[..whole.len() - cut]).unwrap();
            let store = open(root.path());
            let found = store.rows("paths", &keys(&rows)).unwrap();
            assert_eq!(found[0].as_ref(), Some(&rows[0].1), "cut {cut}");
            assert_eq!(found[1].as_ref(), Some(&rows[1].1), "cut {cut}");
            assert_eq!(found[2], None, "cut {cut}");
            // The next append starts clean.
            assert_eq!(store.put_rows("paths", &rows).unwrap(), 1, "cut {cut}");
            drop(store);
            assert_eq!(fs::read(&segment).unwrap(), whole, "cut {cut}");
        }
    }
}

/// The process died between the append and the commit.
#[test]
fn a_whole_tail_that_was_not_indexed_is_taken_in() {
    let root = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..3).map(row).collect();
    let store = open(root.path());
    store.put_rows("paths", &rows[..1]).unwrap();
    drop(store);
    let segment = only_segment(root.path(), "paths");
    let mut bytes = fs::read(&segment).unwrap();
    for (key, value) in &rows[1..] {
        let at = bytes.len() as u64;
        segment::encode(&mut bytes, "paths", at, key, value);
    }
    let sound = bytes.len();
    bytes.extend_from_slice(b"SRw1 half a record");
    fs::write(&segment, &bytes).unwrap();
    let store = open(root.path());
    assert_eq!(store.take_warnings().len(), 1);
    let found = store.rows("paths", &keys(&rows)).unwrap();
    let values: Vec<_> = rows.iter().map(|(_, value)| Some(value.clone())).collect();
    assert_eq!(found, values);
    assert_eq!(fs::metadata(&segment).unwrap().len(), sound as u64);
}

/// As above, but another process made the row again before anyone looked at the tail: the value
/// in use stays in use, after a rebuild too, where the dead one comes first in the scan.
#[test]
fn a_late_tail_does_not_win_over_the_value_in_use() {
    let root = tempfile::tempdir().unwrap();
    let dead = open(root.path());
    dead.put_rows("replies", &[row(0)]).unwrap();
    let live = open(root.path());
    let key = Digest::of(b"request");
    live.put_rows("replies", &[(key, b"in use".to_vec())])
        .unwrap();
    drop(dead);
    let segment = root.path().join("rows-v1/replies/000000.seg");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.len() as u64;
    segment::encode(&mut bytes, "replies", at, &key, b"too late");
    fs::write(&segment, &bytes).unwrap();
    drop(live);
    for _ in 0..2 {
        let store = open(root.path());
        assert_eq!(store.row("replies", &key).unwrap().unwrap(), b"in use");
        assert!(store.row("replies", &row(0).0).unwrap().is_some());
        drop(store);
        delete_index(root.path());
    }
}

#[test]
fn a_flipped_byte_anywhere_in_a_row_is_a_miss() {
    let root = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..3).map(row).collect();
    let store = open(root.path());
    store.put_rows("paths", &rows).unwrap();
    drop(store);
    let segment = only_segment(root.path(), "paths");
    let whole = fs::read(&segment).unwrap();
    let first = rows[0].1.len() + OVERHEAD_BYTES;
    for at in first..first + rows[1].1.len() + OVERHEAD_BYTES {
        for lose_index in [false, true] {
            let copy = tempfile::tempdir().unwrap();
            fs::create_dir_all(copy.path().join("rows-v1/paths")).unwrap();
            if !lose_index {
                fs::copy(
                    root.path().join("index-v1.sqlite"),
                    copy.path().join("index-v1.sqlite"),
                )
                .unwrap();
            }
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(copy.path().join("rows-v1/paths/000000.seg"), bytes).unwrap();
            let store = open(copy.path());
            let found = store.rows("paths", &keys(&rows)).unwrap();
            assert_eq!(found[0].as_ref(), Some(&rows[0].1), "byte {at}");
            assert_eq!(found[1], None, "byte {at}");
            assert_eq!(found[2].as_ref(), Some(&rows[2].1), "byte {at}");
            assert_eq!(store.take_warnings().len(), 1, "byte {at}");
            assert_eq!(store.put_rows("paths", &rows).unwrap(), 1, "byte {at}");
            assert_eq!(
                store.row("paths", &rows[1].0).unwrap().as_ref(),
                Some(&rows[1].1)
            );
        }
    }
}

/// Bytes of a record inside a payload are not a record, even when a scan looks there.
#[test]
fn a_payload_that_quotes_a_record_is_not_taken_for_one() {
    let root = tempfile::tempdir().unwrap();
    let quoted = Digest::of(b"quoted");
    let mut payload = Vec::new();
    segment::encode(&mut payload, "paths", 0, &quoted, b"forged");
    let store = open(root.path());
    store
        .put_rows("paths", &[(Digest::of(b"outer"), payload), row(1)])
        .unwrap();
    drop(store);
    flip(&only_segment(root.path(), "paths"), 0);
    delete_index(root.path());
    let store = open(root.path());
    assert_eq!(store.row("paths", &quoted).unwrap(), None);
    assert_eq!(store.row("paths", &row(1).0).unwrap(), Some(row(1).1));
}

/// `/dev/full` takes no byte: a full disk that needs no mount.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_leaves_the_store_sound() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.put_rows("paths", &[row(1)]).unwrap();
    store.put_rows("replies", &[row(1)]).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    store.lock().writers.get_mut("replies").unwrap().file = full;
    let refused = store.put_rows("replies", &[row(2)]).unwrap_err();
    assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused}");
    assert!(refused.to_string().contains("\nhint: "));
    assert_eq!(store.row("replies", &row(2).0).unwrap(), None);
    assert!(store.row("paths", &row(1).0).unwrap().is_some());
    // The next one has room.
    assert_eq!(store.put_rows("replies", &[row(2)]).unwrap(), 1);
    assert_eq!(store.row("replies", &row(2).0).unwrap(), Some(row(2).1));
}
