//! Fetching from a loopback server that plays its part.

mod hub;
mod kept;
pub(crate) mod server;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;
use server::{Server, reply};

/// sha256 of `hello\n`, as `sha256sum` prints it.
const HELLO_SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const SECRET: &str = "hf_verysecret";

struct Bench {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
}

/// A fetcher that does not wait between tries; `server` may see the token.
fn bench(server: Option<&Server>, change: impl FnOnce(&mut FetchOptions)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut options = FetchOptions {
        cache_dir: dir.path().join("cache"),
        mirror: None,
        offline: false,
        hub_endpoint: server.map_or_else(|| HUB.to_owned(), |s| s.origin.clone()),
        cancel: CancelToken::default(),
    };
    change(&mut options);
    let authority = server.map_or("nowhere", Server::authority);
    let mut client = Client::new(Token::new(Some(SECRET), "http", authority));
    client.backoff = std::time::Duration::from_millis(1);
    Bench {
        dir,
        fetcher: Fetcher::with_client(options, client),
    }
}

fn quiet(_: Progress) {}

fn pinned(url: String) -> PinnedFile {
    PinnedFile {
        url: url.into(),
        sha256: Some(HELLO_SHA256.into()),
        size: None,
    }
}

#[test]
fn a_file_comes_once_and_is_then_kept() {
    let server = Server::start(|_, _| reply(200, "hello\n"));
    let bench = bench(None, |_| {});
    let file = pinned(server.url("/data/hello.txt"));
    let told = Mutex::new(Vec::new());
    let path = bench
        .fetcher
        .fetch(&file, &|p| {
            told.lock()
                .unwrap()
                .push((p.done, p.total, p.unit.into_owned()));
        })
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello\n");
    assert_eq!(*told.lock().unwrap(), [(6, 6, "bytes".to_owned())]);
    assert_eq!(bench.fetcher.fetch(&file, &quiet).unwrap(), path);
    assert_eq!(bench.fetcher.present(&file).unwrap(), Some(path.clone()));
    assert_eq!(server.seen().len(), 1);

    // Damage of the kept file is noticed, and mended.
    fs::write(&path, "hellO\n").unwrap();
    bench.fetcher.fetch(&file, &quiet).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello\n");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_server_error_is_tried_again_and_a_lasting_one_is_told() {
    let server = Server::start(|before, _| match before {
        0 => reply(500, ""),
        1 => reply(429, "").with("retry-after", "0"),
        _ => reply(200, "hello\n"),
    });
    let here = bench(None, |_| {});
    let path = here
        .fetcher
        .fetch(&pinned(server.url("/a/b")), &quiet)
        .unwrap();
    assert_eq!(fs::read(path).unwrap(), b"hello\n");
    assert_eq!(server.seen().len(), 3);

    let broken = Server::start(|_, _| reply(503, ""));
    let error = here
        .fetcher
        .fetch(&pinned(broken.url("/a/b")), &quiet)
        .unwrap_err();
    assert!(
        matches!(error, FetchError::Status { status: 503, .. }),
        "{error}"
    );
    assert_eq!(broken.seen().len(), 3);
}

#[test]
fn absence_and_refusal_are_told_at_once() {
    let server = Server::start(|_, request| match request.path.as_str() {
        "/absent" => reply(404, ""),
        "/gated" => reply(401, ""),
        _ => reply(403, ""),
    });
    let bench = bench(None, |_| {});
    let error = |path: &str| {
        let file = pinned(server.url(path));
        bench.fetcher.fetch(&file, &quiet).unwrap_err().to_string()
    };
    assert!(error("/absent").contains("/absent does not exist (404)"));
    for (path, status) in [("/gated", "(401)"), ("/forbidden", "(403)")] {
        let text = error(path);
        assert!(text.contains(status) && text.contains("HF_TOKEN"), "{text}");
        assert!(!text.contains(SECRET));
    }
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn wrong_bytes_are_kept_aside_and_not_taken() {
    let server = Server::start(|_, _| reply(200, "an error page"));
    let bench = bench(None, |_| {});
    let file = pinned(server.url("/a/hello.txt"));
    let error = bench.fetcher.fetch(&file, &quiet).unwrap_err();
    let FetchError::Checksum { expected, kept, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(expected, HELLO_SHA256);
    assert_eq!(fs::read_to_string(kept).unwrap(), "an error page");
    assert!(error.to_string().contains(&kept.display().to_string()));
    // Nothing is left that the next call could take for the file.
    assert!(bench.fetcher.fetch(&file, &quiet).is_err());
}

#[test]
fn a_broken_download_goes_on_where_it_was() {
    let server = Server::start(|before, request| {
        if before == 0 {
            let mut cut = reply(200, "hel").with("etag", "\"v1\"");
            cut.announced = Some(6);
            return cut;
        }
        assert_eq!(request.headers["range"], "bytes=3-");
        assert_eq!(request.headers["if-range"], "\"v1\"");
        reply(206, "lo\n").with("content-range", "bytes 3-5/6")
    });
    let bench = bench(None, |_| {});
    let path = bench
        .fetcher
        .fetch(&pinned(server.url("/a/b")), &quiet)
        .unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "hello\n");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_wrong_range_starts_over() {
    let server = Server::start(|before, request| match before {
        0 => {
            let mut cut = reply(200, "hel").with("etag", "\"v1\"");
            cut.announced = Some(6);
            cut
        }
        1 => reply(206, "ello\n").with("content-range", "bytes 1-5/6"),
        _ => {
            assert!(!request.headers.contains_key("range"));
            reply(200, "hello\n")
        }
    });
    let bench = bench(None, |_| {});
    // Unpinned: nothing but the range tells that the bytes would not fit.
    let file = PinnedFile::at(server.url("/a/b"));
    let path = bench.fetcher.fetch(&file, &quiet).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "hello\n");
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_body_that_always_breaks_off_is_an_error() {
    let server = Server::start(|_, _| {
        let mut cut = reply(200, "hel");
        cut.announced = Some(6);
        cut
    });
    let bench = bench(None, |_| {});
    let error = bench
        .fetcher
        .fetch(&pinned(server.url("/a/b")), &quiet)
        .unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Incomplete {
                received: 3,
                expected: Some(6),
                ..
            }
        ),
        "{error}"
    );
    // Without an entity tag nothing vouches for the part, so it was not resumed.
    let seen = server.seen();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|r| !r.headers.contains_key("range")));
}

#[test]
fn a_redirect_does_not_carry_the_token_away() {
    let store = Server::start(|_, _| reply(200, "hello\n"));
    let target = store.url("/blob");
    let hub = Server::start(move |_, _| reply(302, "").with("location", target.clone()));
    let bench = bench(Some(&hub), |_| {});
    bench
        .fetcher
        .fetch(&pinned(hub.url("/a/b")), &quiet)
        .unwrap();
    assert_eq!(
        hub.seen()[0].headers["authorization"],
        format!("Bearer {SECRET}")
    );
    assert!(!store.seen()[0].headers.contains_key("authorization"));
}

/// Each hop is looked at for itself: the way back to the hub has the token, the stops between have not. It is
/// in no message, and in no file.
#[test]
fn the_token_is_the_hubs_at_every_hop_and_is_written_nowhere() {
    let back: Arc<Mutex<String>> = Arc::default();
    let to = Arc::clone(&back);
    let store =
        Server::start(move |_, _| reply(307, "").with("location", to.lock().unwrap().clone()));
    let target = store.url("/blob");
    let hub = Server::start(move |_, request| match request.path.as_str() {
        "/a/b" => reply(302, "").with("location", target.clone()),
        "/back" => reply(200, "hello\n"),
        _ => reply(403, &format!("no: {}", request.headers["authorization"])),
    });
    *back.lock().unwrap() = hub.url("/back");
    let bench = bench(Some(&hub), |_| {});
    let fetched = bench.fetcher.fetch(&pinned(hub.url("/a/b")), &quiet);
    assert_eq!(fs::read_to_string(fetched.unwrap()).unwrap(), "hello\n");
    let sent = |server: &Server| -> Vec<bool> {
        let has = |seen: &server::Request| seen.headers.contains_key("authorization");
        server.seen().iter().map(has).collect()
    };
    assert_eq!((sent(&hub), sent(&store)), (vec![true, true], vec![false]));
    let refused = bench
        .fetcher
        .fetch(&pinned(hub.url("/private")), &quiet)
        .unwrap_err();
    for told in [
        refused.to_string(),
        format!("{refused:?}"),
        format!("{:?}", bench.fetcher),
    ] {
        assert!(!told.contains(SECRET), "{told}");
    }
    let mut open = vec![bench.dir.path().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                assert!(
                    !String::from_utf8_lossy(&bytes).contains(SECRET),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_hubs_own_checksum_is_used() {
    let wrong = "0".repeat(64);
    let server = Server::start(move |_, request| match request.path.as_str() {
        "/blob" => reply(200, "hello\n"),
        "/good" => reply(302, "")
            .with("location", "/blob")
            .with("x-linked-etag", format!("\"{HELLO_SHA256}\"")),
        _ => reply(302, "")
            .with("location", "/blob")
            .with("x-linked-etag", format!("\"{wrong}\"")),
    });
    let bench = bench(None, |_| {});
    bench
        .fetcher
        .fetch(&PinnedFile::at(server.url("/good")), &quiet)
        .unwrap();
    let error = bench
        .fetcher
        .fetch(&PinnedFile::at(server.url("/bad")), &quiet)
        .unwrap_err();
    assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
}

#[test]
fn offline_names_what_is_missing_and_how_to_provide_it() {
    let file = PinnedFile::at("https://example.org/data/x.json");
    let bare = bench(None, |o| o.offline = true);
    let text = bare.fetcher.fetch(&file, &quiet).unwrap_err().to_string();
    assert!(text.contains("https://example.org/data/x.json"), "{text}");
    assert!(
        text.contains("DIR/example.org/data/x.json") && text.contains("--mirror"),
        "{text}"
    );

    let mirror = tempfile::tempdir().unwrap();
    let mirrored = bench(None, |o| {
        o.offline = true;
        o.mirror = Some(mirror.path().to_owned());
    });
    let text = mirrored
        .fetcher
        .fetch(&file, &quiet)
        .unwrap_err()
        .to_string();
    let place = mirror.path().join("example.org/data/x.json");
    assert!(text.contains(&place.display().to_string()), "{text}");

    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, "hello\n").unwrap();
    assert_eq!(mirrored.fetcher.fetch(&file, &quiet).unwrap(), place);

    // A mirror's file is checked, and left where it is.
    let other = PinnedFile {
        sha256: Some("0".repeat(64).into()),
        ..file
    };
    let error = mirrored.fetcher.fetch(&other, &quiet).unwrap_err();
    assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
    assert!(place.is_file());
}

#[test]
fn no_connection_names_the_host() {
    // A port that was free a moment ago: nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let bench = bench(None, |_| {});
    let file = PinnedFile::at(format!("http://{free}/a"));
    let error = bench.fetcher.fetch(&file, &quiet).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot reach 127.0.0.1"),
        "{error}"
    );
}

#[test]
fn places_stay_inside() {
    for bad in [
        "ftp://a/b",
        "https://a",
        "https:///b",
        "https://a/../b",
        "https://user:pw@a/b",
        "https://a/b//c",
        "a/b",
    ] {
        assert!(relative_place(bad).is_err(), "{bad}");
    }
    assert_eq!(
        relative_place("https://a.org:8080/b/c?d=1").unwrap(),
        Path::new("a.org_8080/b/c")
    );
}

#[test]
fn a_download_can_be_stopped() {
    let server = Server::start(|_, _| reply(200, "hello\n"));
    let bench = bench(None, |_| {});
    bench.fetcher.options().cancel.cancel();
    let error = bench
        .fetcher
        .fetch(&pinned(server.url("/a/b")), &quiet)
        .unwrap_err();
    assert!(matches!(error, FetchError::Cancelled { .. }), "{error}");
}
