//! A file's text.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::format::{HEAD, not_text};
use super::{InputError, missing};
use crate::disk;

/// The whole file as text, without a byte order mark.
///
/// # Errors
/// It cannot be read, or is no text in UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String, InputError> {
    let unreadable = |error: std::io::Error| {
        if error.kind() == ErrorKind::NotFound {
            let found = missing(path, &[]);
            return InputError {
                hint: found.hint,
                ..InputError::of_file(path, found.what)
            };
        }
        InputError::of_file(
            path,
            format!("cannot be read: {error}{}", disk::advice(&error)),
        )
    };
    if path.is_dir() {
        return Err(
            InputError::of_file(path, "a folder, where a file is expected")
                .hint("name one of its files"),
        );
    }
    let mut file = disk::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // Its beginning first: what is no text may be large.
    let head = (&mut file).take(HEAD as u64);
    head.take(HEAD as u64)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if not_text(&bytes).is_none() {
        file.read_to_end(&mut bytes).map_err(unreadable)?;
    }
    decoded(path, bytes)
}

/// The bytes of the file `path` as text, without a byte order mark.
///
/// # Errors
/// They are no text in UTF-8.
pub(crate) fn decoded(path: &Path, bytes: Vec<u8>) -> Result<String, InputError> {
    if let Some((what, hint)) = not_text(&bytes[..bytes.len().min(HEAD)]) {
        let what = format!("{what}, where text in UTF-8 is expected");
        let hint = hint.replace("FILE", &path.display().to_string());
        return Err(InputError::of_file(path, what).hint(hint));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let valid = &bytes[..error.utf8_error().valid_up_to()];
        let text = std::str::from_utf8(valid).unwrap_or_default();
        let (line, column) = line_column(text, text.len());
        let byte = bytes[valid.len()];
        InputError::at(path, line, column, format!("the byte 0x{byte:02X} is not UTF-8")).hint(
            "save the file as UTF-8, or, where Windows wrote it: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW",
        )
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Line and column of a byte of `text`, both from 1, the column in characters.
pub(super) fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.jsonl");
        let told = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let text = read_text(&path).unwrap_err().to_string();
            text.replace(&path.display().to_string(), "d.jsonl")
        };
        assert_eq!(
            told(b"\x1f\x8b\x08\0\0\0\0\0"),
            "d.jsonl: compressed by gzip, where text in UTF-8 is expected\nhint: unpack it: gunzip d.jsonl"
        );
        assert!(told(b"\xff\xfe{\0}\0").starts_with("d.jsonl: text in UTF-16, where"));
        assert!(
            told("1\n\u{e4} caf\u{e9}"[..].as_bytes().split_last().unwrap().1)
                .starts_with("d.jsonl:2:6: the byte 0xC3 is not UTF-8\nhint: ")
        );
        std::fs::write(&path, "\u{feff}\u{feff}a").unwrap();
        // One mark is a mark; a second one is text.
        assert_eq!(read_text(&path).unwrap(), "\u{feff}a");
        let told = read_text(folder.path()).unwrap_err().to_string();
        assert!(told.contains("a folder, where a file"), "{told}");
        let told = read_text(&folder.path().join("d.json"))
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("no such file")
                && told.contains("did you mean `")
                && told.ends_with("d.jsonl`?"),
            "{told}"
        );
    }
}
