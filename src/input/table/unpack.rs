//! The bytes of a file, unpacked.

use std::io::{self, Read};
use std::path::Path;

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use super::form::{Packed, TableForm};
use crate::disk;
use crate::guard;
use crate::input::{InputError, missing};

/// Bytes that a packed file may have unpacked (ours): one that has more is packed with ill intent, or is to be unpacked by hand.
const MOST: u64 = 8 << 30;

/// All bytes of the file, unpacked as its name says it is packed.
pub(super) fn bytes(path: &Path, form: TableForm) -> Result<Vec<u8>, InputError> {
    let bytes = disk::read(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
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
    })?;
    let (unpacked, by) = match form.packed() {
        Packed::Plain => return Ok(bytes),
        Packed::Gzip => (gunzip(&bytes), "gzip"),
        Packed::Zstd => (unzstd(&bytes, MOST), "zstd"),
    };
    unpacked.map_err(|error| {
        let what =
            format!("its name says that it is packed by {by}, but it cannot be unpacked: {error}");
        InputError::of_file(path, what)
            .hint("fetch it again; or, if it is not packed, name it without the ending")
    })
}

fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    // A file that was put together of several has several members.
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(MOST + 1);
    reader.read_to_end(&mut unpacked)?;
    within(unpacked, MOST)
}

/// The frames of `packed`, one after the other.
///
/// # Errors
/// They are damaged, or have more than `most` bytes.
pub(super) fn unzstd(packed: &[u8], most: u64) -> io::Result<Vec<u8>> {
    // A damaged frame is an error; should the decoder stumble over one all the same, that is no reason to end.
    guard::catch(|| frames(packed, most))
        .unwrap_or_else(|panic| Err(io::Error::other(panic.message)))
}

fn frames(mut packed: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    while !packed.is_empty() {
        let mut decoder = match StreamingDecoder::new(&mut packed) {
            Ok(decoder) => decoder,
            // Its header is read already; what it has is not for us.
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = usize::try_from(length).map_err(io::Error::other)?;
                packed = packed.get(length..).ok_or(io::ErrorKind::UnexpectedEof)?;
                continue;
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        let room = (most + 1).saturating_sub(unpacked.len() as u64);
        (&mut decoder).take(room).read_to_end(&mut unpacked)?;
        unpacked = within(unpacked, most)?;
        let (told, found) = (
            decoder.decoder.get_checksum_from_data(),
            decoder.decoder.get_calculated_checksum(),
        );
        if told.is_some_and(|told| found.is_some_and(|found| found != told)) {
            return Err(io::Error::other("its checksum does not fit"));
        }
    }
    Ok(unpacked)
}

fn within(unpacked: Vec<u8>, most: u64) -> io::Result<Vec<u8>> {
    if unpacked.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(unpacked)
}
