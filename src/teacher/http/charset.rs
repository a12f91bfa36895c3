//! The text that a body's bytes are.

use encoding_rs::{Encoding, UTF_8};

/// A body that is no text: why, and what can be shown of it.
#[derive(Debug)]
pub(super) struct NoText {
    pub(super) reason: String,
    pub(super) shown: String,
}

/// The text of a body, by its byte order mark, else by the `charset` of its content type, else UTF-8, which
/// JSON always is (RFC 8259, 8.1). Many servers call UTF-8 by the name of another charset of single bytes; what
/// can be UTF-8 then is.
///
/// # Errors
/// It cannot be read without spoiling a letter.
pub(super) fn text(bytes: Vec<u8>, content_type: &str) -> Result<String, NoText> {
    let declared = charset(content_type);
    let label = declared.as_deref().unwrap_or("utf-8");
    let known = Encoding::for_label_no_replacement(label.as_bytes());
    let (encoding, mark) = match Encoding::for_bom(&bytes) {
        Some((encoding, length)) => (encoding, length),
        None => (known.unwrap_or(UTF_8), 0),
    };
    let misnamed = mark == 0 && (encoding.is_single_byte() || known.is_none());
    let bytes = if encoding == UTF_8 || misnamed {
        match String::from_utf8(bytes) {
            Ok(text) => return Ok(text.trim_start_matches('\u{feff}').to_owned()),
            Err(error) => error.into_bytes(),
        }
    } else {
        bytes
    };
    let decoded = encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..]);
    if let Some(text) = decoded.filter(|_| encoding != UTF_8) {
        return Ok(text.into_owned());
    }
    let reason = match (&declared, known) {
        (Some(label), None) => format!("its charset, `{label}`, is not known"),
        (Some(label), _) => format!("it is not in the charset that it names, `{label}`"),
        (None, _) => "it is not UTF-8, and names no other charset".to_owned(),
    };
    Err(NoText {
        reason,
        shown: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// The parameter `charset` of a content type (RFC 9110, 8.3.1).
fn charset(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1);
    let mut named = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    let value = value.trim().trim_matches(['"', '\'']).to_lowercase();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_right_or_the_body_is_refused() {
        let utf16: Vec<u8> = "wïngs".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for (bytes, content_type, expected) in [
            (
                "wïngs".as_bytes().to_vec(),
                "application/json",
                Some("wïngs"),
            ),
            (
                "wïngs".as_bytes().to_vec(),
                "application/json; charset=utf-8",
                Some("wïngs"),
            ),
            (
                "wïngs".as_bytes().to_vec(),
                "application/json; charset=us-ascii",
                Some("wïngs"),
            ),
            (
                "wïngs".as_bytes().to_vec(),
                "text/plain; charset=ISO-8859-1",
                Some("wïngs"),
            ),
            (
                "wïngs".as_bytes().to_vec(),
                "a/b; charset=x-strange",
                Some("wïngs"),
            ),
            (
                marked(b"\xef\xbb\xbf", "wïngs".as_bytes()),
                "",
                Some("wïngs"),
            ),
            (
                b"w\xefngs".to_vec(),
                "application/json; charset=iso-8859-1",
                Some("wïngs"),
            ),
            (
                b"w\xefngs".to_vec(),
                "application/json; q=1; Charset=\"Latin1\"",
                Some("wïngs"),
            ),
            (b"\x95\x5c".to_vec(), "a/b; charset=Shift_JIS", Some("表")),
            (b"\xd6\xd0".to_vec(), "a/b; charset=gb2312", Some("中")),
            (utf16.clone(), "a/b; charset=utf-16le", Some("wïngs")),
            (marked(b"\xff\xfe", &utf16), "a/b", Some("wïngs")),
            (b"w\xefngs".to_vec(), "application/json", None),
            (
                b"w\xefngs".to_vec(),
                "application/json; charset=utf-8",
                None,
            ),
            (
                b"w\xefngs".to_vec(),
                "application/json; charset=x-strange",
                None,
            ),
            (b"\xd6".to_vec(), "a/b; charset=gb2312", None),
            (b"\x1f\x8b\x08\xff".to_vec(), "", None),
        ] {
            let found = text(bytes.clone(), content_type);
            assert_eq!(found.as_deref().ok(), expected, "{bytes:?} {content_type}");
        }
        let refused = text(b"w\xefngs".to_vec(), "a/b; charset=x-strange").unwrap_err();
        assert!(refused.reason.contains("x-strange") && refused.shown.starts_with('w'));
    }
}
