//! Two stores and one remote: what one makes the other has; what fails there is a miss here, or is pushed later.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::super::tier::{RemoteChoice, RemoteGcOptions};
use super::*;
use crate::key::StageKey;
use crate::remote::tests::bucket_of;
use crate::remote::tests::server::{FakeS3, Fault};
use crate::remote::{Bucket, RemoteUrl};

/// An object longer than what is pulled at a hit.
const LARGE: usize = 300 << 10;

struct Group {
    folder: tempfile::TempDir,
}

impl Group {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("remote")).unwrap();
        Self { folder }
    }

    fn choice(&self) -> RemoteChoice {
        RemoteChoice {
            url: RemoteUrl::Folder(self.remote("")),
            readonly: false,
        }
    }

    /// What lies at a place of the remote.
    fn remote(&self, name: &str) -> PathBuf {
        let root = self.folder.path().join("remote");
        if name.is_empty() {
            root
        } else {
            root.join(name)
        }
    }

    /// The store of one machine.
    fn store(&self, machine: &str) -> Store {
        let mut store = open(&self.folder.path().join(machine));
        store
            .attach(&self.choice(), &CancelToken::default())
            .unwrap();
        store
    }

    /// A result and its objects, made on one machine and pushed.
    fn made(&self, machine: &str, n: u32) -> (StageResult, Digest, Digest) {
        let store = self.store(machine);
        let made = run(&store, || make(&store, n));
        assert_eq!(store.take_warnings(), Vec::<String>::new());
        made
    }

    /// Writes other bytes in the place of something of the remote.
    fn spoil(&self, name: &str, with: &[u8]) {
        let path = self.remote(name);
        fs::remove_file(&path).unwrap();
        fs::write(path, with).unwrap();
    }

    fn count(&self, folder: &str) -> usize {
        let folder = self.remote(folder);
        let count = |path: PathBuf| fs::read_dir(path).map_or(0, Iterator::count);
        fs::read_dir(&folder).map_or(0, |entries| {
            entries
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { count(path) } else { 1 })
                .sum()
        })
    }
}

fn run<T>(store: &Store, work: impl FnOnce() -> T) -> T {
    store.while_pushing(Arc::new(|_: &str| {}), work)
}

fn large(n: u32) -> Vec<u8> {
    n.to_le_bytes().repeat(LARGE / 4)
}

/// A result with a model-like output: a list that names a large file.
fn make(store: &Store, n: u32) -> (StageResult, Digest, Digest) {
    let weights = store.put_object(&large(n)).unwrap();
    let list = json!({"files": {"weights": weights.to_string()}}).to_string();
    let list = store.put_object(list.as_bytes()).unwrap();
    let result = result(n, &[("model", list)]);
    store.put_result(&result).unwrap();
    (result, list, weights)
}

fn object_name(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("objects-v1/{}/{}", &hex[..2], &hex[2..])
}

fn result_name(result: &StageResult) -> String {
    let hex = result.key.to_string();
    format!("results-v1/{}/{hex}.json", &hex[..2])
}

fn is_hit(store: &Store, result: &StageResult) -> bool {
    let found = store.result(&result.key).unwrap();
    found.is_some_and(|found| store.missing_outputs(&found).unwrap().is_empty())
}

#[test]
fn what_one_machine_made_another_has_and_pulls_what_it_reads() {
    let group = Group::new();
    let (made, list, weights) = group.made("a", 1);
    assert_eq!(group.count("leases-v1"), 0);

    let b = group.store("b");
    run(&b, || {
        assert_eq!(b.result(&made.key).unwrap().unwrap(), made);
        assert!(is_hit(&b, &made));
        assert!(b.is_remote_hit(&made.key, &[list]));
        // A hit needs the list and not the weights.
        assert!(b.has_object(&list) && !b.has_object(&weights));
        assert_eq!(group.count("leases-v1"), 1);
        assert_eq!(b.object(&weights).unwrap().unwrap(), large(1));
        assert!(b.has_object(&weights));
    });
    // Without the remote it is all here.
    drop(b);
    fs::remove_dir_all(group.remote("")).unwrap();
    let b = open(&group.folder.path().join("b"));
    assert!(is_hit(&b, &made));
    assert!(b.verify(&mut |_, _| {}).unwrap().is_sound());
}

#[test]
fn weights_are_pulled_when_they_are_lent() {
    let group = Group::new();
    let (_, _, weights) = group.made("a", 1);
    let b = group.store("b");
    let folder = tempfile::tempdir().unwrap();
    let files = BTreeMap::from([("w".to_owned(), weights)]);
    b.lend(&files, folder.path(), |_| true).unwrap();
    assert_eq!(fs::read(folder.path().join("w")).unwrap(), large(1));
}

#[test]
fn damage_there_is_a_miss_here_and_is_mended_by_whoever_makes_it_again() {
    let group = Group::new();
    let (made, list, weights) = group.made("a", 1);
    let mut cut = large(1);
    cut.truncate(LARGE - 1);
    group.spoil(&object_name(&weights), &cut);
    let b = group.store("b");
    run(&b, || {
        // Its length alone tells nothing: it is found out when it is read.
        assert!(is_hit(&b, &made));
        assert_eq!(b.object(&weights).unwrap(), None);
        assert!(!is_hit(&b, &made));
        let warnings = b.take_warnings().join("\n");
        assert!(
            warnings.contains(&object_name(&weights)) && warnings.contains("damaged"),
            "{warnings}"
        );
        make(&b, 1);
    });
    assert_eq!(
        fs::read(group.remote(&object_name(&weights))).unwrap(),
        large(1)
    );

    // The same of a small object, and of a record.
    group.spoil(&object_name(&list), b"{}");
    group.spoil(&result_name(&made), b"{ no record");
    let c = group.store("c");
    run(&c, || {
        assert!(!is_hit(&c, &made));
        let warnings = c.take_warnings().join("\n");
        assert!(warnings.contains(&result_name(&made)), "{warnings}");
        make(&c, 1);
    });
    let d = group.store("d");
    // The list is as long as nobody's: it was replaced, for its length is another.
    assert!(is_hit(&d, &made), "{:?}", d.take_warnings());
}

#[test]
fn the_first_value_wins() {
    let group = Group::new();
    let (first, ..) = group.made("a", 1);
    let b = open(&group.folder.path().join("b"));
    let other = b.put_object(b"another card, another last bit").unwrap();
    let mut second = result(1, &[("model", other)]);
    assert_eq!(second.key, first.key);
    second.provenance = json!({"host": "b"});
    b.put_result(&second).unwrap();
    drop(b);
    let b = group.store("b");
    b.push_all(None, true, &mut |_, _| {}).unwrap();
    let c = group.store("c");
    assert_eq!(c.result(&first.key).unwrap().unwrap(), first);
}

#[test]
fn rows_of_others_count_while_a_run_goes_on() {
    let group = Group::new();
    let a = group.store("a");
    let rows: Vec<_> = (0..500).map(row).collect();
    // An interrupted run: rows, and no result.
    run(&a, || {
        a.put_rows("paths", &rows[..200]).unwrap();
        a.put_rows("scores", &rows[200..300]).unwrap();
        a.flush().unwrap();
    });
    let b = group.store("b");
    // To look at a plan pulls no rows.
    assert!(
        b.rows("paths", &keys(&rows))
            .unwrap()
            .iter()
            .all(Option::is_none)
    );
    run(&b, || {
        let found = b.rows("paths", &keys(&rows)).unwrap();
        assert_eq!(found.iter().flatten().count(), 200);
        assert_eq!(found[199].as_ref(), Some(&rows[199].1));
        assert_eq!(
            b.row("paths", &rows[250].0).unwrap(),
            None,
            "of another bucket"
        );
        b.put_rows("paths", &rows[200..260]).unwrap();
    });
    assert_eq!(group.count("rows-v1/paths"), 4, "two segments, two lists");
    // What came is here for good.
    drop(b);
    let b = open(&group.folder.path().join("b"));
    assert!(b.row("paths", &rows[0].0).unwrap().is_some());
    assert!(b.verify(&mut |_, _| {}).unwrap().is_sound());
}

/// Of many short segments others read one list, and those of the single ones only where it is damaged.
#[test]
fn a_merged_list_stands_for_those_of_many_segments() {
    let group = Group::new();
    let (a, b) = (group.store("a"), group.store("b"));
    let rows: Vec<_> = (0..128).map(row).collect();
    let folder = group.remote("rows-v1/paths");
    let files = |end: &str| -> Vec<PathBuf> {
        let files = fs::read_dir(&folder).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|found| found == end))
            .collect()
    };
    for (n, row) in rows.iter().enumerate() {
        let sealed = a.seal_now("paths", std::slice::from_ref(row));
        assert_eq!(files("lists").len(), 0, "{n} are too few");
        b.merge_lists(&sealed, false);
    }
    let (single, merged) = (files("keys"), files("lists"));
    assert_eq!((single.len(), merged.len()), (128, 1));
    let kept: Vec<Vec<u8>> = single.iter().map(|path| fs::read(path).unwrap()).collect();
    for path in &single {
        fs::write(path, "damaged").unwrap();
    }
    let finds = |machine: &str| {
        let store = group.store(machine);
        let found = run(&store, || store.rows("paths", &keys(&rows)).unwrap());
        assert!(found.iter().all(Option::is_some), "{machine}");
        store.take_warnings()
    };
    assert_eq!(finds("c"), Vec::<String>::new());
    for (path, bytes) in single.iter().zip(kept) {
        fs::write(path, bytes).unwrap();
    }
    fs::write(&merged[0], "damaged").unwrap();
    let warnings = finds("d");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("the lists that it stands for are read"),
        "{warnings:?}"
    );
    // At the end of a run what is left is merged, however little; and all of it can be collected.
    for row in &[row(1000), row(1001)] {
        b.merge_lists(&a.seal_now("paths", std::slice::from_ref(row)), false);
    }
    b.merge_lists(&BTreeMap::new(), true);
    b.merge_lists(&BTreeMap::new(), true);
    assert_eq!(files("lists").len(), 2);
    let collected = b.gc_remote(gc(&BTreeSet::new(), Duration::ZERO)).unwrap();
    assert_eq!(collected.segments, 130);
    assert_eq!(group.count("rows-v1/paths"), 0);
}

#[test]
fn of_a_damaged_segment_the_sound_rows_count() {
    let group = Group::new();
    let a = group.store("a");
    let rows: Vec<_> = (0..100).map(row).collect();
    run(&a, || a.put_rows("paths", &rows).unwrap());
    let folder = group.remote("rows-v1/paths");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "seg") {
            let middle = fs::read(&path).unwrap().len() / 2;
            flip(&path, middle);
        }
    }
    let b = group.store("b");
    run(&b, || {
        let found = b.rows("paths", &keys(&rows)).unwrap();
        let count = found.iter().flatten().count();
        assert!((95..100).contains(&count), "{count}");
        for (found, (_, row)) in found.iter().zip(&rows) {
            assert!(found.as_ref().is_none_or(|found| found == row));
        }
        assert!(b.take_warnings().join("\n").contains("damaged"));
    });
}

/// A server's store of one machine.
fn on_server(root: &Path, bucket: Arc<dyn Bucket>) -> Store {
    let mut store = open(root);
    let choice = RemoteChoice {
        url: "s3://lab/x".parse().unwrap(),
        readonly: false,
    };
    store.attach_bucket(bucket, &choice, &CancelToken::default());
    store
}

#[test]
fn objects_come_before_the_record_that_names_them() {
    let server = FakeS3::start(|_| Fault::None);
    let root = tempfile::tempdir().unwrap();
    let store = on_server(root.path(), bucket_of(&server, "x"));
    let (made, list, weights) = run(&store, || make(&store, 1));
    let seen = server.seen.lock().unwrap();
    let put = |name: String| {
        let name = format!("x/{name}");
        let is = |asked: &crate::remote::tests::server::Asked| {
            asked.name == name && (asked.method == "PUT" || asked.method == "POST")
        };
        seen.iter().rposition(is).unwrap()
    };
    let record = put(result_name(&made));
    assert!(put(object_name(&list)) < record && put(object_name(&weights)) < record);
    assert_eq!(seen[record].headers["if-none-match"], "*");
}

#[test]
fn a_remote_that_fails_every_fifth_request_loses_nothing() {
    let server = FakeS3::start(|asked| {
        let lot = blake3::hash(&asked.nth.to_le_bytes()).as_bytes()[0];
        match lot {
            0..26 => Fault::Status(503, "SlowDown"),
            26..52 => Fault::Truncate(100),
            _ => Fault::None,
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let a = on_server(&folder.path().join("a"), bucket_of(&server, "x"));
    let rows: Vec<_> = (0..50).map(row).collect();
    let made = run(&a, || {
        a.put_rows("paths", &rows).unwrap();
        (0..12).map(|n| make(&a, n)).collect::<Vec<_>>()
    });
    assert_eq!(a.take_warnings(), Vec::<String>::new());
    let b = on_server(&folder.path().join("b"), bucket_of(&server, "x"));
    run(&b, || {
        for (result, _, weights) in &made {
            assert!(is_hit(&b, result));
            assert!(b.object(weights).unwrap().is_some());
        }
        assert!(
            b.rows("paths", &keys(&rows))
                .unwrap()
                .iter()
                .all(Option::is_some)
        );
    });
    assert_eq!(b.take_warnings(), Vec::<String>::new());
}

#[test]
fn a_remote_that_is_down_fails_no_run_and_gets_its_part_later() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let server = FakeS3::start(move |_| {
        if is_down.load(Ordering::Relaxed) {
            Fault::Status(503, "ServiceUnavailable")
        } else {
            Fault::None
        }
    });
    let root = tempfile::tempdir().unwrap();
    let store = on_server(root.path(), bucket_of(&server, "x"));
    let rows: Vec<_> = (0..9).map(row).collect();
    let made = run(&store, || {
        assert!(!is_hit(&store, &result(7, &[])));
        store.put_rows("paths", &rows).unwrap();
        make(&store, 1).0
    });
    let warnings = store.take_warnings();
    let all = warnings.join("\n");
    assert!(
        all.contains("not pushed to s3://lab/x: 1 results, 9 rows") && all.contains("cache push"),
        "{all}"
    );
    assert!(all.contains("is left alone"), "{all}");
    assert!(
        warnings.len() <= 3,
        "said once, and what was not pushed: {all}"
    );
    // It was asked a few times, not for each of all things.
    assert!(server.seen.lock().unwrap().len() < 80);

    down.store(false, Ordering::Relaxed);
    let store = on_server(root.path(), bucket_of(&server, "x"));
    let report = store.push_all(None, true, &mut |_, _| {}).unwrap();
    assert_eq!(
        (report.results, report.rows, report.failed.len()),
        (1, 9, 0)
    );
    let again = store.push_all(None, true, &mut |_, _| {}).unwrap();
    assert_eq!((again.results, again.rows), (0, 0));
    let other = tempfile::tempdir().unwrap();
    let other = on_server(other.path(), bucket_of(&server, "x"));
    let pulled = other.pull_all(None, true, &mut |_, _| {}).unwrap();
    assert_eq!(
        (pulled.results, pulled.objects, pulled.rows, pulled.missing),
        (1, 2, 9, 0)
    );
    assert!(is_hit(&other, &made));
}

#[test]
fn a_bucket_without_conditions_is_said_once() {
    let server = FakeS3::start(|_| Fault::NoCondition);
    let root = tempfile::tempdir().unwrap();
    let store = on_server(root.path(), bucket_of(&server, "x"));
    run(&store, || {
        make(&store, 1);
        make(&store, 2)
    });
    let warnings = store.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("no conditional writes"),
        "{warnings:?}"
    );
    assert_eq!(store.remote_stats().unwrap().results, 2);
}

#[test]
fn a_remote_that_may_only_be_read_serves_and_takes_nothing() {
    let group = Group::new();
    let (made, ..) = group.made("a", 1);
    let mut b = open(&group.folder.path().join("b"));
    let readonly = RemoteChoice {
        readonly: true,
        ..group.choice()
    };
    b.attach(&readonly, &CancelToken::default()).unwrap();
    run(&b, || {
        assert!(is_hit(&b, &made));
        make(&b, 2);
    });
    assert_eq!(b.take_warnings(), Vec::<String>::new());
    assert_eq!(
        (group.count("results-v1"), group.count("leases-v1")),
        (1, 0)
    );
    let refused = b
        .push_all(None, true, &mut |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(refused.contains("may only be read"), "{refused}");

    // One that refuses is found out, and told once.
    let server = FakeS3::start(|asked| match asked.method.as_str() {
        "PUT" | "POST" | "DELETE" => Fault::Status(403, "AccessDenied"),
        _ => Fault::None,
    });
    let root = tempfile::tempdir().unwrap();
    let store = on_server(root.path(), bucket_of(&server, "x"));
    run(&store, || (make(&store, 1), make(&store, 2)));
    let warnings = store.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("may only be read"), "{warnings:?}");
}

#[test]
fn a_store_that_programs_work_in_is_read_and_not_written_to() {
    let group = Group::new();
    let theirs = open(&group.remote(""));
    let (made, ..) = make(&theirs, 1);
    let b = group.store("b");
    assert!(b.take_warnings().join("\n").contains("is itself a store"));
    run(&b, || {
        assert!(is_hit(&b, &made));
        make(&b, 2);
    });
    assert_eq!(theirs.stats().unwrap().results, 1);
}

fn gc(keep: &BTreeSet<StageKey>, grace: Duration) -> RemoteGcOptions<'_> {
    RemoteGcOptions {
        keep,
        rows: true,
        grace,
        dry_run: false,
    }
}

#[test]
fn what_is_old_and_what_nobody_names_is_collected() {
    let group = Group::new();
    let (kept, _, kept_weights) = group.made("a", 1);
    let (_, _, gone_weights) = group.made("a", 2);
    let a = group.store("a");
    run(&a, || a.put_rows("paths", &[row(1)]).unwrap());
    let keep = BTreeSet::from([kept.key]);
    // From a machine that has none of it.
    let c = group.store("c");
    let week = c
        .gc_remote(gc(&keep, Duration::from_hours(7 * 24)))
        .unwrap();
    assert_eq!((week.results, week.objects, week.segments), (0, 0, 0));
    let dry = RemoteGcOptions {
        dry_run: true,
        ..gc(&keep, Duration::ZERO)
    };
    let (dry, done) = (
        c.gc_remote(dry).unwrap(),
        c.gc_remote(gc(&keep, Duration::ZERO)).unwrap(),
    );
    assert_eq!(dry, done);
    assert_eq!((done.results, done.objects, done.segments), (1, 2, 1));
    assert!(group.remote(&object_name(&kept_weights)).exists());
    assert!(!group.remote(&object_name(&gone_weights)).exists());
    assert_eq!(
        (group.count("collecting-v1"), group.count("rows-v1/paths")),
        (0, 0)
    );
    assert!(is_hit(&group.store("d"), &kept));
}

#[test]
fn nothing_goes_while_something_that_is_kept_cannot_be_read() {
    let denied = Arc::new(Mutex::new(None::<String>));
    let name = Arc::clone(&denied);
    let server = FakeS3::start(move |asked| match &*name.lock().unwrap() {
        Some(denied) if asked.method == "GET" && asked.name.ends_with(denied) => {
            Fault::Status(403, "AccessDenied")
        }
        _ => Fault::None,
    });
    let root = tempfile::tempdir().unwrap();
    let store = on_server(root.path(), bucket_of(&server, "x"));
    let (kept, list, _) = run(&store, || make(&store, 1));
    let before = server.names();
    *denied.lock().unwrap() = Some(object_name(&list));
    // From a machine that has none of it: what the list names is needed, and it cannot know.
    let other = tempfile::tempdir().unwrap();
    let keep = BTreeSet::from([kept.key]);
    let collect = || {
        let other = on_server(other.path(), bucket_of(&server, "x"));
        other.gc_remote(gc(&keep, Duration::ZERO))
    };
    let refused = collect().unwrap_err().to_string();
    assert!(refused.contains("could not be read") && refused.contains(&object_name(&list)));
    assert_eq!(server.names(), before);
    *denied.lock().unwrap() = None;
    assert_eq!(collect().unwrap().objects, 0);
    assert_eq!(server.names(), before);
}

#[test]
fn what_a_run_in_flight_relies_on_stays_and_what_a_dead_one_did_goes() {
    let group = Group::new();
    let (made, _, weights) = group.made("a", 1);
    let (b, c) = (group.store("b"), group.store("c"));
    let nothing = BTreeSet::new();
    run(&b, || {
        assert!(is_hit(&b, &made) && !b.has_object(&weights));
        let report = c.gc_remote(gc(&nothing, Duration::ZERO)).unwrap();
        assert_eq!((report.in_flight, report.results), (1, 1));
        assert!(b.object(&weights).unwrap().is_some());
    });

    // A process of this machine that was killed, and one of another that was silent for too long.
    let this = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let names = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let (_, _, weights) = group.made("a", 2);
    let lease = |host: &str, process: u32| {
        json!({
            "host": host, "boot": this.trim(), "process": process, "processes": names.display().to_string(),
            "objects": [weights.to_string()],
        })
        .to_string()
    };
    let host = sysinfo::System::host_name().unwrap_or_default();
    let silent = group.remote("leases-v1/b.json");
    fs::create_dir_all(silent.parent().unwrap()).unwrap();
    fs::write(&silent, lease("elsewhere", 1)).unwrap();
    if cfg!(target_os = "linux") {
        fs::write(group.remote("leases-v1/a.json"), lease(&host, u32::MAX)).unwrap();
    }
    let report = c.gc_remote(gc(&nothing, Duration::ZERO)).unwrap();
    assert_eq!(report.in_flight, 1, "it may be alive");
    assert!(group.remote(&object_name(&weights)).exists());
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    File::options()
        .write(true)
        .open(&silent)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let report = c.gc_remote(gc(&nothing, Duration::ZERO)).unwrap();
    assert_eq!((report.in_flight, report.leases, report.objects), (0, 1, 1));
    assert_eq!(group.count("leases-v1"), 0);
}

#[test]
fn two_do_not_collect_at_once_and_a_run_waits_for_one_that_does() {
    let group = Group::new();
    let (made, _, weights) = group.made("a", 1);
    let mark = group.remote("collecting-v1/x.json");
    fs::create_dir_all(mark.parent().unwrap()).unwrap();
    fs::write(&mark, json!({"host": "node7", "process": 12}).to_string()).unwrap();
    let b = group.store("b");
    let refused = b
        .gc_remote(gc(&BTreeSet::new(), Duration::ZERO))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("process 12 on node7 is collecting"),
        "{refused}"
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            assert_eq!(group.count("results-v1"), 1, "the push waits");
            fs::remove_file(&mark).unwrap();
        });
        run(&b, || {
            // What it needs it takes at once, for it may go.
            assert!(is_hit(&b, &made) && b.has_object(&weights));
            make(&b, 2);
        });
    });
    assert_eq!(group.count("results-v1"), 2);
    assert_eq!(b.take_warnings(), Vec::<String>::new());
}

/// What a collector once asked for in vain, since a run had named it and not put it yet, is read once it is there.
#[test]
fn a_collector_reads_what_came_since_it_asked() {
    let group = Group::new();
    let (a, collector) = (group.store("a"), group.store("collector"));
    let (made, list, weights) = make(&a, 1);
    let lease = group.remote("leases-v1/a.json");
    fs::create_dir_all(lease.parent().unwrap()).unwrap();
    let objects = [list.to_string(), weights.to_string()];
    let text = json!({"host": "elsewhere", "process": 1, "objects": objects});
    fs::write(&lease, text.to_string()).unwrap();
    let kept = BTreeSet::from([made.key]);
    let report = collector.gc_remote(gc(&kept, Duration::ZERO)).unwrap();
    assert_eq!((report.in_flight, report.objects), (1, 0));
    a.push_all(None, true, &mut |_, _| {}).unwrap();
    fs::remove_file(&lease).unwrap();
    let report = collector.gc_remote(gc(&kept, Duration::ZERO)).unwrap();
    assert_eq!((report.in_flight, report.objects), (0, 0));
    for object in [list, weights] {
        assert!(group.remote(&object_name(&object)).exists());
    }
}

/// A collector that keeps little, again and again, against runs that push and runs that rely on what was pushed.
#[test]
fn nothing_that_a_run_needs_goes_while_somebody_collects() {
    const TIMES: u32 = 9;
    // On a machine with much else to do the three may not meet in so few turns: then there are more of them.
    const LONGEST: Duration = Duration::from_mins(2);
    let group = Group::new();
    let kept = BTreeSet::from([result(0, &[]).key]);
    let nothing = BTreeSet::new();
    let (over, hits, deleted) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicU64::new(0),
    );
    let met = || hits.load(Ordering::Relaxed) > 0 && deleted.load(Ordering::Relaxed) > 0;
    std::thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            let collector = group.store("collector");
            for turn in 0.. {
                let keep = if turn % 4 == 3 { &nothing } else { &kept };
                let collected = collector.gc_remote(gc(keep, Duration::ZERO)).unwrap();
                deleted.fetch_add(collected.objects, Ordering::Relaxed);
                if over.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(60));
            }
        });
        let reading = scope.spawn(|| {
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let store = group.store(&format!("r{n}"));
                run(&store, || {
                    let wanted = result(n % 3, &[]);
                    let Some(found) = store.result(&wanted.key).unwrap() else {
                        return;
                    };
                    if !store.missing_outputs(&found).unwrap().is_empty() {
                        return;
                    }
                    hits.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(100));
                    let weights = Digest::of(&large(n % 3));
                    let found = store.object(&weights).unwrap();
                    assert!(found.is_some(), "a hit's weights went");
                });
                assert_eq!(store.take_warnings(), Vec::<String>::new());
            }
        });
        let writing = scope.spawn(|| {
            let began = Instant::now();
            for n in 0.. {
                if n >= TIMES && (met() || began.elapsed() > LONGEST) {
                    break;
                }
                let store = group.store(&format!("w{n}"));
                // The same weights again and again: there, or just deleted.
                run(&store, || make(&store, n % 3));
                assert_eq!(store.take_warnings(), Vec::<String>::new());
            }
        });
        let written = writing.join();
        over.store(true, Ordering::Relaxed);
        written.unwrap();
        reading.join().unwrap();
        collecting.join().unwrap();
    });
    assert!(met(), "the three never met");
    // Whatever record is left is whole.
    let last = group.store("last");
    for n in 0..3 {
        if let Some(found) = last.result(&result(n, &[]).key).unwrap() {
            assert_eq!(last.missing_outputs(&found).unwrap(), []);
        }
    }
}
