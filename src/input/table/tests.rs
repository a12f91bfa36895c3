//! Every form of a file of rows, and what is told of those that are none.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::*;

/// A folder for a file, and how its messages are told without it.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The rows of a file with these bytes, or what is told.
    fn read(&self, name: &str, bytes: &[u8]) -> Result<Vec<Value>, String> {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        match read_table(&path) {
            Ok(table) => Ok(table
                .rows
                .into_iter()
                .map(|row| row.values.into())
                .collect()),
            Err(error) => Err(error.to_string().replace(&path.display().to_string(), name)),
        }
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn one_table_is_read_alike_from_every_form() {
    let bench = Bench::new();
    let lines = b"{\"q\": \"a, b\", \"n\": \"1\"}\n\n{\"q\": \"c\\nd\", \"n\": \"2\"}\n";
    let rows = vec![
        json!({"q": "a, b", "n": "1"}),
        json!({"q": "c\nd", "n": "2"}),
    ];
    let read = |name: &str, bytes: &[u8]| bench.read(name, bytes);
    for name in ["d.jsonl", "d.NDJSON", "d.json"] {
        assert_eq!(read(name, lines).as_ref(), Ok(&rows), "{name}");
    }
    assert_eq!(read("d.jsonl.gz", &gzip(lines)).as_ref(), Ok(&rows));
    assert_eq!(read("d.jsonl.zst", &zstd(lines)).as_ref(), Ok(&rows));
    // Files that were put together have several members or frames.
    let (first, second) = lines.split_at(24);
    let joined = |pack: fn(&[u8]) -> Vec<u8>| [pack(first), pack(second)].concat();
    assert_eq!(read("d.jsonl.gz", &joined(gzip)).as_ref(), Ok(&rows));
    assert_eq!(read("d.jsonl.zst", &joined(zstd)).as_ref(), Ok(&rows));
    // A frame to be skipped.
    let skipped = [b"\x50\x2a\x4d\x18\x02\0\0\0xx", &zstd(lines)[..]].concat();
    assert_eq!(read("d.jsonl.zst", &skipped).as_ref(), Ok(&rows));
    let array = serde_json::to_string_pretty(&rows).unwrap();
    for name in ["d.json", "d.jsonl"] {
        assert_eq!(read(name, array.as_bytes()).as_ref(), Ok(&rows), "{name}");
    }
    let csv = "\u{feff}q,n\r\n\"a, b\",1\r\n\r\n\"c\nd\",2\r\n";
    assert_eq!(read("d.csv", csv.as_bytes()).as_ref(), Ok(&rows));
    assert_eq!(read("d.csv.gz", &gzip(csv.as_bytes())).as_ref(), Ok(&rows));
    let tsv = "q\tn\na, b\t1\n\"c\nd\"\t2";
    assert_eq!(read("d.tsv", tsv.as_bytes()).as_ref(), Ok(&rows));
}

#[test]
fn what_is_no_such_file_is_told_with_its_place() {
    let bench = Bench::new();
    let told = |name: &str, bytes: &[u8]| bench.read(name, bytes).unwrap_err();
    let arc = layout("arc");
    for (name, bytes, what) in [
        (
            "d.csv",
            &b"q,n\na,1\nb,2,3\n"[..],
            "d.csv: row 2 (line 3): 3 fields, where the header has 2: `q`, `n`",
        ),
        (
            "d.csv",
            b"q,n\n\"a\nb\",1\n\nc\n",
            "d.csv: row 2 (line 5): 1 fields, where the header has 2",
        ),
        (
            "d.csv",
            b"q,n,q\n",
            "d.csv: the header names `q` twice, in the columns 1 and 3",
        ),
        (
            "d.csv",
            b"q;n\na;1\n",
            "d.csv: the header has one name, `q;n`, with a semicolon in it\nhint: save it with commas",
        ),
        (
            "d.csv",
            b"q\tn\na\t1\n",
            "with a tab in it\nhint: name it `*.tsv`",
        ),
        ("d.csv", b"", "d.csv: the file is empty"),
        ("d.csv", b"q,n\n", "d.csv: the file has no row"),
        (
            "d.csv",
            b"{\"q\": 1}\n",
            "d.csv: its name says CSV, but it is JSON\nhint: name it `*.jsonl`",
        ),
        (
            "d.csv",
            &arc,
            "d.csv: its name says CSV, but it is a Parquet file\nhint: name it `*.parquet`",
        ),
        (
            "d.jsonl",
            b"q,n\na,1\n",
            "d.jsonl: its name says JSON, but it is rows between commas\nhint: name it `*.csv`",
        ),
        (
            "d.jsonl",
            b"\x1f\x8b\x08\0",
            "d.jsonl: its name says JSON, but it is packed by gzip\nhint: name it `*.gz`",
        ),
        ("d.jsonl", b"{\"q\": 1}\n{\"q\": \n", "d.jsonl:2:"),
        ("d.jsonl", b"", "d.jsonl: the file has no row"),
        (
            "d.json",
            b"[{\"q\": 1},\n {\"q\": }]",
            "d.json:2:8: not JSON",
        ),
        (
            "d.json",
            b"[{\"q\": 1}, 2]",
            "d.json: row 2: the number 2, where an object is expected",
        ),
        ("d.json", b"[]", "d.json: the file has no row"),
        (
            "d.csv.gz",
            b"q,n\n",
            "d.csv.gz: its name says that it is packed by gzip, but it cannot be unpacked",
        ),
        (
            "d.csv.zst",
            b"q,n\n",
            "d.csv.zst: its name says that it is packed by zstd, but it cannot be unpacked",
        ),
        (
            "d.parquet",
            b"{\"q\": 1}\n",
            "d.parquet: its name says Parquet, but it is JSON\nhint: name it `*.jsonl`",
        ),
        (
            "d.parquet",
            b"PAR1",
            "d.parquet: it cannot be read as Parquet",
        ),
        (
            "d.parquet",
            b"x",
            "d.parquet: its name says Parquet, but it does not begin as Parquet does",
        ),
        (
            "d.txt",
            b"q",
            "d.txt: its name ends in `.txt`; expected .jsonl,",
        ),
        (
            "d.parquet.gz",
            b"q",
            "d.parquet.gz: its name ends in `.gz`; expected .jsonl,",
        ),
        (
            "d",
            b"q",
            "d: its name has no ending that says what it is; expected",
        ),
    ] {
        let found = told(name, bytes);
        assert!(found.contains(what), "{name}: {found}\n  expected: {what}");
    }
    let missing = read_table(&bench.0.path().join("e.csv"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("no such file") && missing.contains("did you mean"),
        "{missing}"
    );
}

#[test]
fn damaged_files_are_errors_wherever_the_damage_is() {
    let bench = Bench::new();
    for name in ["arc", "commonsenseqa", "math"] {
        let whole = layout(name);
        let rows = bench.read("d.parquet", &whole).unwrap();
        assert_eq!(rows.len(), 20);
        for at in (0..whole.len()).step_by(7) {
            let cut = bench.read("d.parquet", &whole[..at]);
            assert!(cut.is_err(), "{name} cut at {at}");
            let mut flipped = whole.clone();
            flipped[at] ^= 0xff;
            // Text may be changed without notice, as no checksum is written; nothing may end the program.
            if let Err(told) = bench.read("d.parquet", &flipped) {
                assert!(told.starts_with("d.parquet: it"), "{name} at {at}: {told}");
            }
        }
    }
    let packed = zstd(&b"{\"q\": 1}\n".repeat(500));
    for at in 0..packed.len() {
        assert!(
            bench.read("d.jsonl.zst", &packed[..at]).is_err(),
            "cut at {at}"
        );
    }
}

/// The bytes of a made-up file in a published layout.
fn layout(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layouts");
    std::fs::read(folder.join(format!("{name}.parquet"))).unwrap()
}
