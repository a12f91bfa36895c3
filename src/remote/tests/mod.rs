//! A bucket of a server that fails, and a folder: both keep the same promises.

pub(crate) mod server;

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::credentials::{Credentials, Settings};
use super::*;
use server::{Asked, FakeS3, Fault};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/SECRET";

/// A bucket of `server`, below `prefix`, with little patience for silence.
pub(crate) fn bucket_of(server: &FakeS3, prefix: &str) -> Arc<dyn Bucket> {
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, Some("TOKENEXAMPLE"));
    let settings = Settings::given(&server.origin, Some(credentials));
    let patience = Patience {
        wait: Duration::from_millis(2),
        silence: Duration::from_millis(800),
        ..Patience::default()
    };
    Arc::new(S3::new("lab", prefix, settings, patience, CancelToken::default()).unwrap())
}

fn pulled(bucket: &dyn Bucket, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match bucket.pull(name, u64::MAX, &mut bytes).unwrap() {
        Pulled::Whole => Some(bytes),
        Pulled::Absent => None,
        Pulled::TooLong(_) => panic!("nothing is too long"),
    }
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Bytes that are not all the same.
fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|i| u8::try_from(i * i % 251).unwrap())
        .collect()
}

/// What every bucket keeps to.
fn keeps_its_promises(bucket: &dyn Bucket) {
    assert_eq!(bucket.list("").unwrap(), []);
    assert_eq!(pulled(bucket, "a/one"), None);
    assert_eq!(bucket.head("a/one").unwrap(), None);
    let before = bucket.now().unwrap() - Duration::from_secs(5);

    assert_eq!(
        bucket.put("a/one", b"first", Existing::Stays).unwrap(),
        Put::New
    );
    assert_eq!(
        bucket.put("a/one", b"second", Existing::Stays).unwrap(),
        Put::Present
    );
    assert_eq!(pulled(bucket, "a/one").unwrap(), b"first");
    bucket.put("a/one", b"third", Existing::IsReplaced).unwrap();
    assert_eq!(pulled(bucket, "a/one").unwrap(), b"third");
    assert!(bucket.puts_once("a/one", b"third").unwrap());

    // Longer than a part, and no multiple of one.
    let long = bytes(150_000);
    for expected in [Put::New, Put::Present] {
        let put = bucket.put_file("a/long", &file_of(&long), 150_000, Existing::Stays);
        assert_eq!(put.unwrap(), expected);
    }
    assert_eq!(pulled(bucket, "a/long").unwrap(), long);
    let entry = bucket.head("a/long").unwrap().unwrap();
    assert_eq!(entry.bytes, 150_000);
    let now = bucket.now().unwrap();
    assert!(entry.modified > before && entry.modified < now + Duration::from_secs(5));
    let mut out = Vec::new();
    let too_long = bucket.pull("a/long", 1000, &mut out).unwrap();
    assert_eq!((too_long, out.len()), (Pulled::TooLong(150_000), 0));

    for n in 0..7 {
        let name = format!("b/{n}");
        bucket.put(&name, &[n], Existing::Stays).unwrap();
    }
    let names = |prefix| -> Vec<String> {
        let mut names: Vec<_> = bucket
            .list(prefix)
            .unwrap()
            .into_iter()
            .map(|e| e.name)
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("a/"), ["a/long", "a/one"]);
    assert_eq!(names("b/").len(), 7);
    assert_eq!(names("b/3"), ["b/3"]);
    bucket.remove("b/3").unwrap();
    bucket.remove("b/3").unwrap();
    assert_eq!(names("b/").len(), 6);

    // Of many who put one name, one is the first.
    let new = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..8_u8 {
            let new = &new;
            scope.spawn(move || {
                if bucket.put("c", &[n], Existing::Stays).unwrap() == Put::New {
                    new.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(new.into_inner(), 1);
}

#[test]
fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    keeps_its_promises(&Folder::open(folder.path()).unwrap());
    // Nothing is left of what was on the way.
    assert_eq!(
        std::fs::read_dir(folder.path().join("tmp"))
            .unwrap()
            .count(),
        0
    );
    let gone = Folder::open(Path::new("/not/mounted"))
        .err()
        .unwrap()
        .to_string();
    assert!(
        gone.contains("there is no folder /not/mounted") && gone.contains("hint:"),
        "{gone}"
    );
}

#[test]
fn a_server_keeps_its_promises() {
    let server = FakeS3::start(|_| Fault::None);
    keeps_its_promises(&*bucket_of(&server, "team/x"));
    assert!(
        server
            .names()
            .iter()
            .all(|name| name.starts_with("team/x/"))
    );
    for asked in server.seen.lock().unwrap().iter() {
        assert!(
            asked.headers["authorization"].starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        );
        assert_eq!(asked.headers["x-amz-security-token"], "TOKENEXAMPLE");
        assert!(!format!("{asked:?}").contains(SECRET));
    }
}

/// A number from 0 to 99 for each request.
fn lot(asked: &Asked) -> usize {
    let hash = blake3::hash(&asked.nth.to_le_bytes());
    usize::from(hash.as_bytes()[0]) * 100 / 256
}

#[test]
fn a_fifth_of_all_requests_may_fail() {
    let server = FakeS3::start(|asked| match lot(asked) {
        0..5 => Fault::Status(503, "SlowDown"),
        5..10 => Fault::Status(500, "InternalError"),
        10..15 => Fault::Status(429, ""),
        15..20 => Fault::Truncate(10),
        _ => Fault::None,
    });
    for prefix in ["a", "b", "c", "d"] {
        keeps_its_promises(&*bucket_of(&server, prefix));
    }
    let seen = server.seen.lock().unwrap();
    let failed = seen.iter().filter(|asked| lot(asked) < 20).count();
    assert!(failed * 10 > seen.len(), "{failed} of {}", seen.len());
}

#[test]
fn a_body_goes_on_where_it_broke_off() {
    let long = bytes(200_000);
    let server = FakeS3::start(|asked| match asked.method.as_str() {
        "GET" => Fault::Truncate(30_000),
        _ => Fault::None,
    });
    let bucket = bucket_of(&server, "");
    bucket
        .put_file("long", &file_of(&long), 200_000, Existing::Stays)
        .unwrap();
    assert_eq!(pulled(&*bucket, "long").unwrap(), long);
    let seen = server.seen.lock().unwrap();
    let ranges: Vec<_> = seen
        .iter()
        .filter_map(|asked| asked.headers.get("range"))
        .collect();
    assert!(
        ranges.len() >= 6 && ranges.iter().all(|range| **range != "bytes=0-"),
        "{ranges:?}"
    );
}

#[test]
fn slow_is_waited_for_and_silent_is_not() {
    // Longer in all than a silence may be.
    let server = FakeS3::start(|asked| match (asked.method.as_str(), asked.name.as_str()) {
        ("GET", "slow") => Fault::Slow(Duration::from_millis(300)),
        ("GET", "silent") => Fault::Hang(Duration::from_secs(20)),
        _ => Fault::None,
    });
    let bucket = bucket_of(&server, "");
    let body = bytes(50_000);
    for name in ["slow", "silent"] {
        bucket.put(name, &body, Existing::Stays).unwrap();
    }
    assert_eq!(pulled(&*bucket, "slow").unwrap(), body);
    let silent = bucket
        .pull("silent", u64::MAX, &mut Vec::new())
        .unwrap_err();
    assert!(silent.is_of_all(), "{silent}");
    assert!(silent.to_string().contains("s3://lab/silent"), "{silent}");
}

#[test]
fn a_server_without_conditions_is_found_out() {
    for fault in [Fault::NoCondition, Fault::Status(501, "NotImplemented")] {
        let server = FakeS3::start(move |asked| match asked.headers.get("if-none-match") {
            Some(_) => fault,
            None => Fault::None,
        });
        let bucket = bucket_of(&server, "");
        bucket.put("own", b"mine", Existing::IsReplaced).unwrap();
        assert!(!bucket.puts_once("own", b"mine").unwrap());
        assert_eq!(
            bucket.put("x", b"first", Existing::Stays).unwrap(),
            Put::New
        );
        assert_eq!(
            bucket.put("x", b"second", Existing::Stays).unwrap(),
            Put::Present
        );
        assert_eq!(pulled(&*bucket, "x").unwrap(), b"first");
    }
}

#[test]
fn a_refusal_says_what_and_why_and_no_secret() {
    for (status, code, hint) in [
        (403, "AccessDenied", "s3:GetObject"),
        (403, "SignatureDoesNotMatch", "credentials"),
        (404, "NoSuchBucket", "AWS_ENDPOINT_URL"),
        (301, "PermanentRedirect", "AWS_REGION"),
    ] {
        let server = FakeS3::start(move |_| Fault::Status(status, code));
        let error = bucket_of(&server, "p")
            .put("x", b"", Existing::IsReplaced)
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("s3://lab/p/x") && text.contains(code) && text.contains(hint),
            "{text}"
        );
        for secret in [SECRET, "TOKENEXAMPLE", "AKIDEXAMPLE", "Signature="] {
            assert!(!format!("{text}{error:?}").contains(secret), "{text}");
        }
        assert_eq!(server.seen.lock().unwrap().len(), 1, "asked once: {text}");
    }
    let server = FakeS3::start(|_| Fault::Status(403, "AccessDenied"));
    let bucket = S3::new(
        "lab",
        "",
        Settings::given(&server.origin, None),
        Patience::default(),
        CancelToken::default(),
    )
    .unwrap();
    let text = bucket
        .put("x", b"", Existing::Stays)
        .unwrap_err()
        .to_string();
    assert!(text.contains("no credentials were found"), "{text}");
    assert!(
        !server.seen.lock().unwrap()[0]
            .headers
            .contains_key("authorization")
    );
}

#[test]
fn a_list_that_cannot_be_true_is_refused_or_read_as_far_as_it_is_ours() {
    let list = |text: &'static str| {
        let server = FakeS3::start(move |_| Fault::Says(text));
        let listed = bucket_of(&server, "x").list("rows-v1/");
        let asked = server.seen.lock().unwrap().len();
        (listed, asked)
    };
    let (circle, asked) = list(
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken></ListBucketResult>",
    );
    let circle = circle.unwrap_err().to_string();
    assert!(
        circle.contains("round in circles") && asked == 2,
        "{circle}"
    );
    // More, but not where; a time that no calendar has.
    for unread in [
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>x/rows-v1/a</Key><Size>1</Size><LastModified>2013-05-24T99999999999999999:00:01.1e999Z</LastModified></Contents></ListBucketResult>",
    ] {
        let error = list(unread).0.unwrap_err().to_string();
        assert!(error.contains("its list cannot be read"), "{error}");
    }
    // Names that were not asked for, one of them shorter than what was.
    let (foreign, _) = list(
        "<ListBucketResult><Contents><Key>x/r</Key><Size>1</Size><LastModified>2013-05-24T00:00:01Z</LastModified></Contents><Contents><Key>y/rows-v1/b</Key><Size>1</Size><LastModified>2013-05-24T00:00:01Z</LastModified></Contents><Contents><Key>x/rows-v1/c</Key><Size>1</Size><LastModified>2013-05-24T00:00:01Z</LastModified></Contents></ListBucketResult>",
    );
    let names: Vec<String> = foreign.unwrap().into_iter().map(|each| each.name).collect();
    assert_eq!(names, ["rows-v1/c"]);
}

#[test]
fn whoever_asks_to_stop_is_heard_while_a_server_says_nothing() {
    let server = FakeS3::start(|_| Fault::Hang(Duration::from_mins(1)));
    let cancel = CancelToken::default();
    let settings = Settings::given(&server.origin, None);
    let bucket = S3::new("lab", "", settings, Patience::default(), cancel.clone()).unwrap();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancel.cancel();
    });
    let began = std::time::Instant::now();
    let stopped = bucket.head("x").unwrap_err();
    assert!(matches!(stopped, RemoteError::Cancelled), "{stopped}");
    assert!(began.elapsed() < Duration::from_secs(30));
}
