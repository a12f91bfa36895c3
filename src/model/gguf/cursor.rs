//! Reading a file's beginning piece by piece, where each length is checked against the bytes that are left before
//! anything is made of it.

use std::fmt::Debug;
use std::fs::File;
use std::io;

use super::error::Fault;
use crate::key::read_exact_at;

/// Bytes read at a time (ours).
const PIECE: u64 = 64 << 10;
/// Bytes of header, metadata and tensor infos at most (ours): the largest vocabularies with their merges take some 20 MB.
const MOST_HEAD: u64 = 256 << 20;
/// Bytes of one text at most (ours): chat templates have some 10 kB.
const MOST_TEXT: u64 = 16 << 20;

/// Bytes by offset: a file, or what reads one in a way of its own.
pub trait ReadAt: Debug + Send + Sync {
    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    /// There are not so many bytes, or they cannot be read.
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        read_exact_at(self, offset, into)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..));
        let from = rest.and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    Io(io::Error),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A place in a file.
pub(super) struct Cursor<'a> {
    source: &'a dyn ReadAt,
    /// The end of the file.
    length: u64,
    /// Of the byte that is read next.
    at: u64,
    piece: Vec<u8>,
    /// Of the piece's first byte.
    piece_at: u64,
    /// What is read, for messages.
    pub(super) place: String,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a dyn ReadAt, length: u64) -> Self {
        Self {
            source,
            length,
            at: 0,
            piece: Vec::new(),
            piece_at: 0,
            place: "header".to_owned(),
        }
    }

    /// Of the byte that is read next.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// Bytes that are left of what may be read.
    pub(super) fn left(&self) -> u64 {
        self.length.min(MOST_HEAD) - self.at
    }

    /// Where a message is about.
    pub(super) fn here(&self) -> String {
        format!("{} at byte {}", self.place, self.at)
    }

    /// Checks that `count` things of at least `least` bytes may follow.
    pub(super) fn check_count(&self, count: u64, least: u64, things: &str) -> Result<usize, Fault> {
        let most = self.left() / least;
        if count <= most {
            return Ok(usize::try_from(count).unwrap_or(usize::MAX));
        }
        let limit = if self.length > MOST_HEAD {
            format!("(header and metadata may have {} MiB)", MOST_HEAD >> 20)
        } else {
            format!("(the file has {} bytes)", self.length)
        };
        Err(Fault::damaged(
            self.here(),
            format!("{count} {things}"),
            format!("{most} at most {limit}"),
        ))
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.check_count(N as u64, 1, "bytes more")?;
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next `count` bytes, of which [`Cursor::check_count`] was asked.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Stop> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Stop> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text: its length in 64 bits, then UTF-8.
    pub(super) fn text(&mut self) -> Result<String, Stop> {
        let length = self.u64()?;
        let count = self.check_count(length, 1, "bytes of text")?;
        if length > MOST_TEXT {
            let found = format!("a text of {length} bytes");
            let most = format!("{MOST_TEXT} at most");
            return Err(Fault::damaged(self.here(), found, most).into());
        }
        let here = self.here();
        String::from_utf8(self.bytes(count)?).map_err(|error| {
            let bytes = error.as_bytes();
            let start = bytes[..bytes.len().min(16)].escape_ascii();
            Fault::damaged(here, format!("the text \"{start}\""), "UTF-8").into()
        })
    }

    fn fill(&mut self, mut into: &mut [u8]) -> Result<(), Stop> {
        while !into.is_empty() {
            let held = self.piece_at + self.piece.len() as u64;
            if self.at >= held {
                let room = PIECE.min(self.length - self.at);
                self.piece.resize(usize::try_from(room).unwrap_or(0), 0);
                self.source
                    .read_exact_at(self.at, &mut self.piece)
                    .map_err(Stop::Io)?;
                self.piece_at = self.at;
            }
            let from = usize::try_from(self.at - self.piece_at).unwrap_or(usize::MAX);
            let piece = &self.piece[from..];
            let count = piece.len().min(into.len());
            let part = into.split_off_mut(..count).expect("so many are left");
            part.copy_from_slice(&piece[..count]);
            self.at += count as u64;
        }
        Ok(())
    }
}
