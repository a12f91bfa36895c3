//! Records of a row segment: how they are written, read back, and found after damage.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic: a live record, or one that lost to an earlier row of the same key |
//! | 4 | payload length, little endian |
//! | 32 | the row's key |
//! | 4 | check of length and key, so that the length can be trusted |
//! | n | payload |
//! | 16 | check of bucket, offset, length, key and payload |
//!
//! The check covers bucket and offset, so bytes that merely look like a record (a payload that
//! quotes one, a file copied elsewhere) are never taken for one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};

use crate::key::Digest;

const LIVE: [u8; 4] = *b"SRw1";
/// Overwrites the magic of a record whose key was stored before it.
pub(super) const DEAD: [u8; 4] = *b"SRx1";
/// Magic, length, key and their check.
const HEAD_BYTES: usize = 44;
/// The check that closes a record.
const CHECK_BYTES: usize = 16;
/// What a record takes beyond its payload.
pub(super) const OVERHEAD_BYTES: usize = HEAD_BYTES + CHECK_BYTES;

/// Where a record lies within its segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What a scan came across.
#[derive(Default, Debug)]
pub(super) struct Scan {
    /// Every sound live record, in order of offset.
    pub(super) records: Vec<(Digest, Span)>,
    /// Where the last sound record ends.
    pub(super) end: u64,
    /// Stretches before `end` that are not sound.
    pub(super) damaged: u64,
}

/// Appends a record to `out`, to be written at `offset`; its payload is shorter than 2^32.
pub(super) fn encode(out: &mut Vec<u8>, bucket: &str, offset: u64, key: &Digest, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("put_rows refuses longer rows");
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&LIVE);
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8..40].copy_from_slice(key.as_bytes());
    let check = blake3::hash(&head[4..40]);
    head[40..].copy_from_slice(&check.as_bytes()[..4]);
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&record_check(bucket, offset, &head, payload));
}

/// The payload of the record at `span`, or `None` where there is no sound record of `key`.
///
/// # Errors
/// Whatever reading fails with, but for a file that is too short.
pub(super) fn read(
    file: &File,
    bucket: &str,
    key: &Digest,
    span: Span,
) -> io::Result<Option<Vec<u8>>> {
    // The length comes from the index, which may be wrong: never allocate beyond the file.
    let fits = span
        .offset
        .checked_add(span.length)
        .is_some_and(|end| file.metadata().is_ok_and(|meta| end <= meta.len()));
    let Some(mut bytes) = fits
        .then(|| usize::try_from(span.length).ok())
        .flatten()
        .map(|n| vec![0; n])
    else {
        return Ok(None);
    };
    let mut reader = file;
    reader.seek(SeekFrom::Start(span.offset))?;
    match reader.read_exact(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let sound = head[..4] == LIVE
        && parse_head(head) == Some((*key, rest.len().saturating_sub(CHECK_BYTES)))
        && rest.split_last_chunk().is_some_and(|(payload, check)| {
            record_check(bucket, span.offset, head, payload) == *check
        });
    if !sound {
        return Ok(None);
    }
    bytes.truncate(bytes.len() - CHECK_BYTES);
    bytes.drain(..HEAD_BYTES);
    Ok(Some(bytes))
}

/// Finds every sound record in `from..to`, going on after damage.
///
/// # Errors
/// Whatever reading fails with.
pub(super) fn scan(file: &File, bucket: &str, from: u64, to: u64) -> io::Result<Scan> {
    let mut reader = Cursor::new(file, from, to)?;
    let mut scan = Scan {
        end: from,
        ..Scan::default()
    };
    let (mut at, mut broken, mut payload) = (from, false, Vec::new());
    while at < to {
        if let Some((head, length)) = reader.record(bucket, at, &mut payload)? {
            if head[..4] == LIVE {
                let key = parse_head(&head).expect("checked by `record`").0;
                scan.records.push((key, Span { offset: at, length }));
            }
            // Only where a sound record follows: at the end it is what a kill left, which is no damage.
            scan.damaged += u64::from(broken);
            broken = false;
            at += length;
            scan.end = at;
        } else {
            broken = true;
            at = reader.next_magic(at + 1)?;
        }
    }
    Ok(scan)
}

/// A buffered reader that knows where it is, so that reading on costs no seek.
struct Cursor<'f> {
    reader: BufReader<&'f File>,
    at: u64,
    end: u64,
}

impl<'f> Cursor<'f> {
    fn new(mut file: &'f File, from: u64, end: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(from))?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, file),
            at: from,
            end,
        })
    }

    fn go_to(&mut self, at: u64) -> io::Result<()> {
        self.reader
            .seek_relative(at.cast_signed() - self.at.cast_signed())?;
        self.at = at;
        Ok(())
    }

    /// Fills `bytes` from `at`; false where the segment ends before.
    fn fill(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<bool> {
        if at + bytes.len() as u64 > self.end {
            return Ok(false);
        }
        self.go_to(at)?;
        match self.reader.read_exact(bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        self.at += bytes.len() as u64;
        Ok(true)
    }

    /// The head and the whole length of a sound record at `at`.
    fn record(
        &mut self,
        bucket: &str,
        at: u64,
        payload: &mut Vec<u8>,
    ) -> io::Result<Option<([u8; HEAD_BYTES], u64)>> {
        let mut head = [0; HEAD_BYTES];
        if !self.fill(at, &mut head)? {
            return Ok(None);
        }
        let Some((_, payload_bytes)) = parse_head(&head) else {
            return Ok(None);
        };
        let length = (payload_bytes + OVERHEAD_BYTES) as u64;
        // Before there is room made for it: a damaged length may say gigabytes.
        if at + length > self.end {
            return Ok(None);
        }
        payload.resize(payload_bytes + CHECK_BYTES, 0);
        if !self.fill(at + HEAD_BYTES as u64, payload)? {
            return Ok(None);
        }
        let sound = payload
            .split_last_chunk()
            .is_some_and(|(payload, check)| record_check(bucket, at, &head, payload) == *check);
        Ok(sound.then_some((head, length)))
    }

    /// The first place from `at` on where a record may start, or the end.
    fn next_magic(&mut self, mut at: u64) -> io::Result<u64> {
        while at < self.end {
            self.go_to(at)?;
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            if let Some(skip) = buffer.iter().position(|&byte| byte == LIVE[0]) {
                at += skip as u64;
                let mut magic = [0; 4];
                if !self.fill(at, &mut magic)? {
                    break;
                }
                if magic == LIVE || magic == DEAD {
                    return Ok(at);
                }
                at += 1;
            } else {
                at += buffer.len() as u64;
            }
        }
        Ok(self.end)
    }
}

/// Key and payload length, where the head is sound.
fn parse_head(head: &[u8; HEAD_BYTES]) -> Option<(Digest, usize)> {
    let magic_known = head[..4] == LIVE || head[..4] == DEAD;
    if !magic_known || blake3::hash(&head[4..40]).as_bytes()[..4] != head[40..] {
        return None;
    }
    let (length, rest) = head[4..].split_first_chunk()?;
    let key = rest.first_chunk()?;
    Some((
        Digest::from_bytes(*key),
        usize::try_from(u32::from_le_bytes(*length)).ok()?,
    ))
}

fn record_check(
    bucket: &str,
    offset: u64,
    head: &[u8; HEAD_BYTES],
    payload: &[u8],
) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bucket.as_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(&head[4..]); // without the magic, which may turn to `DEAD`
    hasher.update(payload);
    *hasher
        .finalize()
        .as_bytes()
        .first_chunk()
        .expect("a digest has 32 bytes")
}
