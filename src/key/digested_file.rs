//! A file whose bytes are digested as they are read, in any order and by several threads at once.
//!
//! Blake3 is a tree over the bytes, so a block's part of it can be taken whenever that block is read, and the digest of
//! the whole made of the parts: nothing is read twice to be digested, and what is digested is what the reader got.

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use rayon::prelude::*;

use super::Digest;

/// Bytes that are read and digested at a time: they stay in the cache in between. A power of two, as a subtree is.
const BLOCK: usize = 16 * 1024;

/// A file whose blocks are digested as they are read, in any order.
#[derive(Debug)]
pub struct DigestedFile {
    file: File,
    length: u64,
    /// Each block's part of the digest, once it was read.
    parts: Vec<OnceLock<[u8; 32]>>,
}

impl DigestedFile {
    /// The most bytes that are best read at once.
    pub const BLOCK: usize = BLOCK;

    /// Nothing of `file` is read yet.
    ///
    /// # Errors
    /// Its length cannot be told.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let blocks = usize::try_from(length.div_ceil(BLOCK as u64)).map_err(io::Error::other)?;
        let mut parts = Vec::new();
        parts.resize_with(blocks, OnceLock::new);
        Ok(Self {
            file,
            length,
            parts,
        })
    }

    /// Its length when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes from `offset` on, at most `wanted`, are best read at once: up to where a block of
    /// [`DigestedFile::BLOCK`] bytes ends.
    pub fn stretch(offset: u64, wanted: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a remainder of a small number"
        )]
        let into = (offset % BLOCK as u64) as usize;
        wanted.min(BLOCK - into)
    }

    /// Fills `into` with the bytes from `offset` on. The blocks that they lie in are read whole.
    ///
    /// # Errors
    /// The file cannot be read, ends before, or holds other bytes than when a block of it was read before.
    pub fn read_exact_at(&self, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
        let mut room = [0; BLOCK];
        while !into.is_empty() {
            let count = Self::stretch(offset, into.len());
            let index = usize::try_from(offset / BLOCK as u64).map_err(io::Error::other)?;
            let block = self.block(index, &mut room)?;
            let start = BLOCK - Self::stretch(offset, BLOCK);
            let bytes = block
                .get(start..start + count)
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            into[..count].copy_from_slice(bytes);
            into = &mut into[count..];
            offset += count as u64;
        }
        Ok(())
    }

    /// The digest of the whole file: of the bytes as they were read, and of those that nobody read, which are read here
    /// by all threads of the caller's pool.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn digest(&self) -> io::Result<Digest> {
        let unread = self.parts.par_iter().enumerate();
        unread
            .filter(|(_, part)| part.get().is_none())
            .try_for_each(|(index, _)| self.block(index, &mut [0; BLOCK]).map(drop))?;
        Ok(match self.parts.len() {
            0 => Digest::of(b""),
            1 => Digest::from_bytes(*self.part(0)),
            _ => {
                let left = left_subtree_len(self.length);
                let (left, right) = (self.tree(0, left), self.tree(left, self.length - left));
                Digest::from_bytes(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
            }
        })
    }

    /// Reads a block, and takes its part of the digest.
    fn block<'r>(&self, index: usize, room: &'r mut [u8; BLOCK]) -> io::Result<&'r [u8]> {
        let part = self.parts.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
        let offset = (index * BLOCK) as u64;
        let length = usize::try_from((self.length - offset).min(BLOCK as u64));
        let block = &mut room[..length.map_err(io::Error::other)?];
        read_exact_at(&self.file, offset, block)?;
        let found = if self.parts.len() == 1 {
            *blake3::hash(block).as_bytes() // a tree of one block is its own root
        } else {
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(offset).update(block);
            hasher.finalize_non_root()
        };
        if *part.get_or_init(|| found) != found {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it changed while it was read",
            ));
        }
        Ok(block)
    }

    fn part(&self, index: usize) -> &[u8; 32] {
        self.parts[index].get().expect("every block was read")
    }

    /// The chaining value of the subtree over `length` bytes from `start` on.
    fn tree(&self, start: u64, length: u64) -> ChainingValue {
        if length <= BLOCK as u64 {
            let index = usize::try_from(start / BLOCK as u64).expect("there is such a part");
            return *self.part(index);
        }
        let left = left_subtree_len(length);
        let (left, right) = (
            self.tree(start, left),
            self.tree(start + left, length - left),
        );
        merge_subtrees_non_root(&left, &right, Mode::Hash)
    }
}

/// Reads at a place without moving any cursor, so that threads can share the file.
///
/// # Errors
/// Whatever reading fails with, or the file ends before.
#[cfg(unix)]
pub fn read_exact_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Reads at a place, so that threads can share the file.
///
/// # Errors
/// Whatever reading fails with, or the file ends before.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut offset: u64, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn bytes(count: usize) -> Vec<u8> {
        (0..251_u8).cycle().step_by(31).take(count).collect()
    }

    #[test]
    fn the_digest_is_the_files_however_it_was_read() {
        let sizes = [0, 1, 1024, BLOCK - 1, BLOCK, BLOCK + 1];
        let larger = [2, 3, 4, 5, 8, 17].map(|blocks| blocks * BLOCK);
        for count in sizes
            .into_iter()
            .chain(larger)
            .chain(larger.map(|n| n + 777))
        {
            let all = bytes(count);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&all).unwrap();
            for (first, step) in [(0, 1), (3, 5000), (BLOCK, 70_001)] {
                let digested = DigestedFile::new(file.try_clone().unwrap()).unwrap();
                // Some stretches, last to first, some of them over blocks and some twice.
                for start in (first..count).step_by(step.max(count / 7 + 1)).rev() {
                    let mut found = vec![0; (count - start).min(3 * BLOCK / 2)];
                    digested.read_exact_at(start as u64, &mut found).unwrap();
                    assert_eq!(found, all[start..start + found.len()]);
                }
                assert_eq!(digested.digest().unwrap(), Digest::of(&all), "{count}");
            }
            let digested = DigestedFile::new(file).unwrap();
            let beyond = digested.read_exact_at(count as u64, &mut [0]).unwrap_err();
            assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn bytes_that_change_under_the_reader_are_noticed() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes(3 * BLOCK)).unwrap();
        let digested = DigestedFile::new(file.reopen().unwrap()).unwrap();
        let mut room = [0; 100];
        digested.read_exact_at(50, &mut room).unwrap();
        let mut changed = bytes(3 * BLOCK);
        changed[10] ^= 1;
        std::fs::write(file.path(), &changed).unwrap();
        let seen = digested.read_exact_at(200, &mut room).unwrap_err();
        assert_eq!(seen.to_string(), "it changed while it was read");
        // What was read is what is digested, not what is there now.
        assert_eq!(digested.digest().unwrap(), Digest::of(&bytes(3 * BLOCK)));
    }

    /// What it costs that weights as large as GPT-2 small's are digested as they are read.
    #[test]
    #[ignore = "a measurement: cargo test --release --lib digesting_costs -- --ignored --nocapture"]
    fn digesting_costs() {
        const PIECE: usize = 128 * 1024;
        let mut file = tempfile::tempfile().unwrap();
        for _ in 0..3798 {
            file.write_all(&bytes(PIECE)).unwrap();
        }
        let length = 3798 * PIECE;
        let time = |read: &(dyn Fn(u64, &mut [u8]) -> io::Result<()> + Sync)| {
            let start = std::time::Instant::now();
            let pieces = (0..length).into_par_iter().step_by(PIECE);
            pieces.for_each_init(
                || vec![0; 16 * 1024],
                |room, piece| {
                    for at in (0..PIECE).step_by(room.len()) {
                        read((8 + piece + at) as u64, room).unwrap_or_default(); // not aligned, as behind a header
                    }
                },
            );
            start.elapsed().as_secs_f64()
        };
        for _ in 0..3 {
            let plain = time(&|at, room| read_exact_at(&file, at, room));
            let digested = DigestedFile::new(file.try_clone().unwrap()).unwrap();
            let aligned = time(&|at, room| digested.read_exact_at(at - 8, room));
            digested.digest().unwrap();
            println!(
                "{:.0} MB: read {plain:.3} s, read and digested {aligned:.3} s",
                length as f64 / 1e6
            );
        }
    }
}
