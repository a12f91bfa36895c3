//! Data sets from a server on the loopback that has the Hub's routes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{DataParams, DataSource, Splits, load};
use crate::event::CancelToken;
use crate::fetch::tests::server::{Server, reply, reply_bytes};
use crate::fetch::{FetchOptions, Fetcher};

const COMMIT: &str = "740312add88f781978c0658806c59bc2815b9866";
const OTHER: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the Hub says of a data set with these files.
fn listing(commit: &str, names: &[&str], card: &Value) -> Value {
    let files: Vec<Value> = names
        .iter()
        .map(|name| json!({"rfilename": name}))
        .collect();
    json!({"id": "own/bees", "sha": commit, "siblings": files, "cardData": card})
}

/// A server that has one data set, `own/bees`; every file of it is the layout that its name ends in.
fn hub(listing: Value) -> Server {
    Server::start(move |_, request| {
        let path = request.path.as_str();
        if let Some(revision) = path.strip_prefix("/api/datasets/own/bees/revision/") {
            let known = ["main", COMMIT, "refs%2Fconvert%2Fparquet"];
            let revision = revision.split('?').next().unwrap_or_default();
            return if known.contains(&revision) {
                reply(200, &listing.to_string())
            } else {
                reply(404, "")
            };
        }
        let Some((_, file)) = path.split_once(&format!("/resolve/{COMMIT}/")) else {
            return reply(404, "");
        };
        assert!(path.starts_with("/datasets/own/bees/resolve/"), "{path}");
        let layout = if file.contains("gsm8k") || file.contains("main") {
            "gsm8k"
        } else {
            "mmlu"
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layouts");
        reply_bytes(
            200,
            std::fs::read(folder.join(format!("{layout}.parquet"))).unwrap(),
        )
    })
}

struct Bench {
    dir: tempfile::TempDir,
    server: Server,
}

impl Bench {
    fn new(listing: Value) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            server: hub(listing),
        }
    }

    fn read(&self, more: &str, offline: bool) -> Result<Splits, String> {
        let data = format!("dataset = \"hub\"\nid = \"own/bees\"\n{more}");
        let params: DataParams = toml::from_str(&data).unwrap();
        let fetcher = Fetcher::new(FetchOptions {
            cache_dir: self.dir.path().to_owned(),
            mirror: None,
            offline,
            hub_endpoint: self.server.origin.clone(),
            cancel: CancelToken::default(),
        });
        let from = DataSource {
            fetcher: &fetcher,
            progress: &|_| {},
        };
        load(&params, &from).map_err(|error| error.to_string())
    }
}

const GSM8K: &[&str] = &[
    ".gitattributes",
    "README.md",
    "main/train-00000-of-00002.parquet",
    "main/train-00001-of-00002.parquet",
    "main/test-00000-of-00001.parquet",
    "socratic/train-00000-of-00001.parquet",
    "socratic/test-00000-of-00001.parquet",
];

#[test]
fn a_data_set_comes_by_its_commit_and_is_then_kept() {
    let card = json!({"configs": [
        {"config_name": "main", "data_files": [
            {"split": "train", "path": "main/train-*"}, {"split": "test", "path": "main/test-*"}]},
        {"config_name": "socratic", "data_files": [
            {"split": "train", "path": "socratic/train-*"}, {"split": "test", "path": "socratic/test-*"}]}]});
    let bench = Bench::new(listing(COMMIT, GSM8K, &card));
    let pinned = format!("config = \"main\"\nrevision = \"{COMMIT}\"");
    // The two parts of the training split are one file twice here: 40 rows of 20 questions.
    let splits = bench.read(&pinned, false).unwrap();
    assert_eq!(
        (
            splits.train.len(),
            splits.validation.len(),
            splits.test.len()
        ),
        (40, 0, 20)
    );
    assert_eq!(splits.train[39].id, "train-0039");
    assert_eq!(splits.test[0].answer, "6000");
    assert!(
        splits.notes[0].starts_with("the layout is GSM8K"),
        "{:?}",
        splits.notes
    );
    let asked = bench.server.seen().len();
    assert_eq!(asked, 4, "the listing and three files");
    assert_eq!(bench.read(&pinned, true).unwrap(), splits);
    assert_eq!(bench.server.seen().len(), asked);

    // A branch is resolved, told, and the files are those of its commit.
    let of_branch = bench.read("config = \"main\"", false).unwrap();
    assert!(
        of_branch.notes[0].contains(&format!(
            "the revision `main` of `own/bees` is the commit {COMMIT}"
        )),
        "{:?}",
        of_branch.notes
    );
    assert_eq!(of_branch.train, splits.train);
    assert_eq!(bench.server.seen().len(), asked + 1);

    for (more, what) in [
        (
            "",
            "config: missing: the data set has several; there is `main`, `socratic`",
        ),
        (
            "config = \"mian\"",
            "config: there is no configuration `mian`; there is `main`, `socratic`\nhint: did you mean `main`?",
        ),
        (
            "config = \"main\"\nsplits = { test = \"dev\" }",
            "splits.test: there is no split `dev`; there is `train`, `test`",
        ),
        (
            "config = \"main\"\nsplits = { test = \"main/none-*.parquet\" }",
            "splits.test: no file of the split",
        ),
        (
            "config = \"main\"\nrevision = \"v9\"",
            "/api/datasets/own/bees/revision/v9?blobs=true does not exist (404)",
        ),
    ] {
        let told = bench.read(more, false).unwrap_err();
        assert!(told.contains(what), "{told}\n  expected: {what}");
    }
}

#[test]
fn where_the_card_says_nothing_folders_and_names_do() {
    for (names, more) in [
        (
            &[
                "data/train-00000-of-00001.parquet",
                "data/test-00000-of-00001.parquet",
            ][..],
            "",
        ),
        (&["train.parquet", "test.parquet", "train.csv"], ""),
        (
            &[
                "all/train-00000-of-00001.parquet",
                "all/test-00000-of-00001.parquet",
                "bees/test-00000-of-00001.parquet",
            ],
            "config = \"all\"",
        ),
        (
            &["default/train/0000.parquet", "default/test/0000.parquet"],
            "revision = \"refs/convert/parquet\"",
        ),
        (
            &["x/a b.parquet", "x/b.parquet"],
            "splits = { train = \"x/a*.parquet\", test = \"x/b.parquet\" }",
        ),
    ] {
        let bench = Bench::new(listing(COMMIT, names, &Value::Null));
        let splits = bench
            .read(more, false)
            .unwrap_or_else(|told| panic!("{names:?}: {told}"));
        assert_eq!(
            (splits.train.len(), splits.test.len()),
            (20, 20),
            "{names:?}"
        );
        assert!(
            splits.notes.iter().any(|note| note.contains("MMLU")),
            "{:?}",
            splits.notes
        );
        // Numbers mean the same ids in both files, so the ids are by split already.
        assert_eq!(splits.train[0].id, "train-0000");
    }
    let by_script = Bench::new(listing(COMMIT, &["bees.py", "README.md"], &Value::Null));
    let told = by_script.read("", false).unwrap_err();
    assert!(told.contains("refs/convert/parquet"), "{told}");
    let branch = Bench::new(listing(
        OTHER,
        &["train.parquet", "test.parquet"],
        &Value::Null,
    ));
    let told = branch.read("", false).unwrap_err();
    assert!(
        told.contains(&format!("/resolve/{OTHER}/train.parquet does not exist")),
        "{told}"
    );
    let nowhere = Bench::new(json!({"siblings": []}))
        .read("", false)
        .unwrap_err();
    assert!(nowhere.contains("does not say which commit"), "{nowhere}");
}

/// A network that asks for a login answers everything with a page, and with success.
#[test]
fn a_page_in_the_place_of_a_listing_is_not_kept() {
    let names = ["train.parquet", "test.parquet"];
    let listing = listing(COMMIT, &names, &Value::Null).to_string();
    let logged_in = Arc::new(AtomicBool::new(false));
    let is_in = Arc::clone(&logged_in);
    let layouts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layouts");
    let server = Server::start(move |_, request| {
        if !is_in.load(Ordering::SeqCst) {
            reply(200, "<!DOCTYPE html><title>Log in</title>")
        } else if request.path.starts_with("/api/") {
            reply(200, &listing)
        } else {
            reply_bytes(200, std::fs::read(layouts.join("mmlu.parquet")).unwrap())
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench { dir, server };
    for asked in [1, 2] {
        let told = bench.read("", false).unwrap_err();
        for words in [
            "main.bad:1:1: ",
            "what the hub says of the data set is expected",
            "hint: look at the file: a proxy",
        ] {
            assert!(told.contains(words), "{told}\n  expected: {words}");
        }
        assert_eq!(bench.server.seen().len(), asked);
    }
    logged_in.store(true, Ordering::SeqCst);
    assert_eq!(bench.read("", false).unwrap().train.len(), 20);
}
