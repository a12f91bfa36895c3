//! What a file is that is no text, by its first bytes.

/// How many bytes tell.
pub(super) const HEAD: usize = 64;

/// The first bytes of files that are mistaken for text, what such a file is, and what to do with it.
const KNOWN: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "compressed by gzip", "unpack it: gunzip FILE"),
    (
        b"PK\x03\x04",
        "a zip archive, as .zip, .xlsx and .npz are",
        "unpack it; of a spreadsheet, save the sheet as `CSV UTF-8`",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "compressed by zstd",
        "unpack it: zstd -d FILE",
    ),
    (b"BZh", "compressed by bzip2", "unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ\0", "compressed by xz", "unpack it: xz -d FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (
        b"PAR1",
        "a Parquet file",
        "convert it, for example with Python's datasets: load_dataset(\"parquet\", data_files=FILE)[\"train\"].to_json(\"rows.jsonl\")",
    ),
    (
        b"ARROW1",
        "an Arrow file",
        "convert it, for example with Python's datasets: Dataset.from_file(FILE).to_json(\"rows.jsonl\")",
    ),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        "write its rows as text",
    ),
    (b"%PDF", "a PDF document", "take its text out"),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Office document, as .xls is",
        "save the sheet as `CSV UTF-8`",
    ),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS, not the file itself",
        "fetch the file: git lfs pull",
    ),
    // After these, since a mark of UTF-32 begins as one of UTF-16 does.
    (b"\xff\xfe\0\0", "text in UTF-32", CONVERT),
    (b"\0\0\xfe\xff", "text in UTF-32", CONVERT),
    (b"\xff\xfe", "text in UTF-16", CONVERT),
    (b"\xfe\xff", "text in UTF-16", CONVERT),
];

const CONVERT: &str = "save it as UTF-8, or: iconv -f UTF-16 -t UTF-8 FILE > NEW";

/// What a file with these first bytes is, and what to do with it; none where it may be text in UTF-8.
pub(super) fn not_text(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let known = KNOWN.iter().find(|(magic, ..)| head.starts_with(magic));
    if let Some((_, what, hint)) = known {
        return Some((what, hint));
    }
    // Latin letters in UTF-16 without a mark: every other byte is zero.
    match head {
        [first, second, ..] if (*first == 0) != (*second == 0) => Some(("text in UTF-16", CONVERT)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_known_by_its_first_bytes() {
        for (head, what) in [
            (&b"\x1f\x8b\x08\0"[..], Some("compressed by gzip")),
            (
                b"PK\x03\x04",
                Some("a zip archive, as .zip, .xlsx and .npz are"),
            ),
            (b"PAR1\x15\0", Some("a Parquet file")),
            (b"\xff\xfe{\0", Some("text in UTF-16")),
            (b"\xfe\xff\0{", Some("text in UTF-16")),
            (b"\xff\xfe\0\0{\0\0\0", Some("text in UTF-32")),
            (b"{\0\"\0", Some("text in UTF-16")),
            (b"\0{\0\"", Some("text in UTF-16")),
            (
                b"version https://git-lfs.github.com/spec/v1",
                Some("a pointer of Git LFS, not the file itself"),
            ),
            (b"\xef\xbb\xbf{}", None),
            (b"{}", None),
            (b"", None),
            (b"x", None),
        ] {
            assert_eq!(not_text(head).map(|(what, _)| what), what, "{head:?}");
        }
    }
}
