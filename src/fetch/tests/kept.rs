//! Downloads that are kept: silent damage, and what somebody else put where they are.

use super::*;

/// Other bytes, the same size and time: a disk that loses bits.
fn rot(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, "hellO\n").unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn a_download_that_changed_silently_is_noticed_when_it_is_read() {
    let server = Server::start(|_, _| reply(200, "hello\n"));
    let bench = bench(None, |_| {});
    let fetcher = &bench.fetcher;
    let with_pin = pinned(server.url("/pinned.txt"));
    for file in [with_pin, PinnedFile::at(server.url("/data.txt"))] {
        let path = fetcher.fetch(&file, &quiet).unwrap();
        assert!(fetcher.is_sound(&path).unwrap());
        rot(&path);
        // Its size and time still vouch for it, which is enough to tell that nothing is to be fetched.
        assert_eq!(fetcher.present(&file).unwrap(), Some(path.clone()));
        assert!(!fetcher.is_sound(&path).unwrap());
        assert_eq!(fetcher.present(&file).unwrap(), None);
        fetcher.fetch(&file, &quiet).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "hello\n");
        rot(&path);
        for mends in [false, true] {
            let report = fetcher.verify_downloads(mends).unwrap();
            assert_eq!(report.damaged, std::slice::from_ref(&path));
            assert_eq!(path.exists(), !mends);
        }
        let report = fetcher.verify_downloads(true).unwrap();
        assert_eq!(report.damaged, [] as [PathBuf; 0]);
        fetcher.fetch(&file, &quiet).unwrap();
    }
    assert_eq!(fetcher.verify_downloads(true).unwrap().sound, 2);
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    assert!(fetcher.is_sound(elsewhere.path()).unwrap()); // nothing is known of it
}

#[cfg(unix)]
#[test]
fn no_link_in_the_cache_is_followed() {
    let server = Server::start(|_, _| reply(200, "hello\n").with("etag", "\"1\""));
    let host = server.authority().replace(':', "_");
    let model = HubModel {
        id: "own/net",
        revision: "main",
        weights: false,
    };
    let places = [
        "downloads".to_owned(),
        format!("downloads/{host}"),
        format!("downloads/{host}/data"),
        format!("downloads/{host}/data/x.txt"),
        format!("downloads/{host}/data/x.txt.lock"),
        format!("downloads/{host}/data/x.txt.part"),
        format!("downloads/{host}/data/x.txt.part.etag"),
        format!("downloads/{host}/data/x.txt.meta.json"),
        format!("downloads/{host}/data/x.txt.meta.json.part"),
        "hub".to_owned(),
        "hub/own".to_owned(),
        "hub/own/net/main".to_owned(),
        "hub/.aside".to_owned(),
    ];
    for (place, to) in places
        .iter()
        .flat_map(|place| ["", "victim", "new"].map(|to| (place, to)))
    {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("victim"), "precious").unwrap();
        let bench = bench(Some(&server), |_| {});
        let link = bench.fetcher.options().cache_dir.join(place);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside.path().join(to), &link).unwrap();
        let file = PinnedFile::at(server.url("/data/x.txt"));
        let fetched = bench.fetcher.fetch(&file, &quiet);
        let assembled = bench.fetcher.hub_folder(&model, &quiet);
        let failed = [fetched.is_err(), assembled.is_err()];
        assert!(failed.contains(&true), "{place} -> {to:?}");
        let _ = bench.fetcher.verify_downloads(true);
        let left: Vec<_> = fs::read_dir(outside.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{place} -> {to:?}: {left:?}");
        let victim = fs::read_to_string(outside.path().join("victim")).unwrap();
        assert_eq!(victim, "precious", "{place} -> {to:?}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}

/// A cache that is moved as a whole still holds its models.
#[cfg(unix)]
#[test]
fn models_are_linked_within_the_cache() {
    let server = Server::start(|_, _| reply(200, "{}"));
    let bench = bench(Some(&server), |_| {});
    let model = HubModel {
        id: "own/net",
        revision: "refs/1",
        weights: false,
    };
    let folder = bench.fetcher.hub_folder(&model, &quiet).unwrap();
    let cache = &bench.fetcher.options().cache_dir;
    let inside = folder.strip_prefix(cache).unwrap().join("config.json");
    let moved = cache.with_file_name("moved");
    fs::rename(cache, &moved).unwrap();
    assert_eq!(fs::read_to_string(moved.join(inside)).unwrap(), "{}");
}

/// A stranger's file in a model's folder would be taken for the model's; it is neither taken nor deleted.
#[cfg(unix)]
#[test]
fn a_file_of_others_in_a_models_folder_is_refused() {
    let server = Server::start(|_, _| reply(200, "{}"));
    let bench = bench(Some(&server), |_| {});
    let model = HubModel {
        id: "own/net",
        revision: "main",
        weights: false,
    };
    let folder = bench.fetcher.hub_folder(&model, &quiet).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let refused = bench.fetcher.hub_folder(&model, &quiet).unwrap_err();
    assert!(
        refused.to_string().contains("notes.txt is a file"),
        "{refused}"
    );
    assert!(folder.join("notes.txt").exists());
}
