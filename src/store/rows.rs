//! Rows: many small values by key, in append-only segments.
//!
//! A writer holds a file lock on its segment, so each process (and each [`Store`] in it) has
//! segments of its own, and a segment nobody holds may be mended. Records go to the segment
//! before their index entries are committed: what a kill leaves is a tail that the index does not
//! know, and the next process takes it in or cuts it off.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::key::Digest;

use super::error::Doing;
use super::index::OnIndex;
use super::segment::{self, Span};
use super::{Inner, Store, StoreError, claims, durable, own};
use crate::beneath::{self, Foreign};

/// A writer leaves a segment that has grown beyond this; ours. Tests fill several.
const SEGMENT_BYTES: u64 = if cfg!(test) { 256 << 10 } else { 256 << 20 };
/// Encoded records are handed to the system in pieces of about this size; ours.
const WRITE_BYTES: usize = 8 << 20;

/// The end of a segment that this process holds.
pub(super) struct Writer {
    pub(super) file: File,
    path: PathBuf,
    segment: i64,
    length: u64,
}

/// Where the index says that a row lies.
struct RowLocation {
    segment: i64,
    span: Span,
}

impl Store {
    /// The row of `key` in `bucket`, if there is one and it is sound.
    ///
    /// # Errors
    /// The index or a segment cannot be read.
    pub fn row(&self, bucket: &str, key: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let mut rows = self.rows(bucket, std::slice::from_ref(key))?;
        Ok(rows.pop().flatten())
    }

    /// The rows of many keys at once, in the keys' order. A damaged row is `None`, with a
    /// warning, and can be put again. In a run, what is not here is looked for at the remote.
    ///
    /// # Errors
    /// The index or a segment cannot be read.
    pub fn rows(&self, bucket: &str, keys: &[Digest]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut rows = self.rows_here(bucket, keys)?;
        let lacking: Vec<usize> = (0..keys.len()).filter(|&i| rows[i].is_none()).collect();
        let lacking_keys: Vec<Digest> = lacking.iter().map(|&i| keys[i]).collect();
        if !lacking.is_empty() && self.pull_rows(bucket, &lacking_keys)? {
            let pulled = self.rows_here(bucket, &lacking_keys)?;
            for (i, row) in lacking.into_iter().zip(pulled) {
                rows[i] = row;
            }
        }
        Ok(rows)
    }

    /// The same of this store alone.
    pub(super) fn rows_here(
        &self,
        bucket: &str,
        keys: &[Digest],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        own::check_bucket(bucket)?;
        let mut inner = self.lock();
        let places = locate(&inner.connection, bucket, keys).on(&self.index_path)?;
        let mut order: Vec<usize> = (0..keys.len()).filter(|&i| places[i].is_some()).collect();
        // Keys are digests, so their order would read all over the disk.
        order.sort_unstable_by_key(|&i| places[i].as_ref().map(|at| (at.segment, at.span)));

        let mut rows = vec![None; keys.len()];
        let mut damaged = Vec::new();
        for i in order {
            let Some(place) = &places[i] else { continue };
            let file = self.reader(&mut inner, bucket, place.segment)?;
            // A sector that cannot be read is damage like any other.
            rows[i] = file.and_then(|file| {
                segment::read(file, bucket, &keys[i], place.span)
                    .ok()
                    .flatten()
            });
            if rows[i].is_none() {
                damaged.push((keys[i], place));
            }
        }
        if let Some((first, _)) = damaged.first() {
            self.warn(format!(
                "{} damaged or lost rows in `{bucket}` are made again (the first is {})",
                damaged.len(),
                first.short()
            ));
            if self.read_only().is_none() {
                forget(&inner.connection, bucket, &damaged).on(&self.index_path)?;
            }
        }
        Ok(rows)
    }

    /// Appends the rows whose keys are new, in one transaction; says how many those were. After a
    /// kill of the process they are there; after a power cut only once [`Store::flush`] returned.
    ///
    /// # Errors
    /// The disk is full, the index is locked, or a row has 2^32 bytes or more. No row is kept then.
    pub fn put_rows(&self, bucket: &str, rows: &[(Digest, Vec<u8>)]) -> Result<usize, StoreError> {
        let added = self.keep_rows(bucket, rows)?;
        if added > 0 {
            self.note_rows(bucket, rows);
        }
        Ok(added)
    }

    /// The same, and nothing is pushed to the remote.
    pub(super) fn keep_rows(
        &self,
        bucket: &str,
        rows: &[(Digest, Vec<u8>)],
    ) -> Result<usize, StoreError> {
        own::check_bucket(bucket)?;
        if let Some((key, row)) = rows
            .iter()
            .find(|(_, row)| u32::try_from(row.len()).is_err())
        {
            return Err(StoreError::RowTooLong {
                key: *key,
                bytes: row.len(),
            });
        }
        if rows.is_empty() {
            return Ok(0);
        }
        self.may_write()?;
        let mut inner = self.lock();
        // Taken out until all went well: after an error its next holder has to find out where the segment ends.
        let mut writer = match inner.writers.remove(bucket) {
            Some(writer) if writer.length < SEGMENT_BYTES => writer,
            full => {
                if let Some(writer) = full {
                    // A later `flush` reaches only the segments that are written to then.
                    writer.file.sync_data().doing("sync", &writer.path)?;
                }
                self.acquire(&mut inner.connection, bucket)?
            }
        };
        let before = writer.length;
        match self.append(&mut inner.connection, &mut writer, bucket, rows) {
            Ok(added) => {
                inner.writers.insert(bucket.to_owned(), writer);
                Ok(added)
            }
            Err(error) => {
                // Whatever is left of them is a tail that the next holder of the segment mends.
                let _ = writer.file.set_len(before);
                Err(error)
            }
        }
    }

    /// Waits until all rows put so far are on the disk: one wait for many (group commit).
    ///
    /// # Errors
    /// The disk refuses.
    pub fn flush(&self) -> Result<(), StoreError> {
        for writer in self.lock().writers.values() {
            writer.file.sync_data().doing("sync", &writer.path)?;
        }
        Ok(())
    }

    fn append(
        &self,
        connection: &mut Connection,
        writer: &mut Writer,
        bucket: &str,
        rows: &[(Digest, Vec<u8>)],
    ) -> Result<usize, StoreError> {
        // Immediate: from the look-up to the commit no other process can put the same keys.
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .on(&self.index_path)?;
        let mut added = 0;
        let mut buffer = Vec::new();
        // Mending the segment may have left the handle elsewhere.
        writer
            .file
            .seek(SeekFrom::Start(writer.length))
            .doing("write", &writer.path)?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT OR IGNORE INTO rows VALUES (?1, ?2, ?3, ?4, ?5)")
                .on(&self.index_path)?;
            for (key, row) in rows {
                let length = (row.len() + segment::OVERHEAD_BYTES) as u64;
                let entry = params![
                    bucket,
                    key.as_bytes(),
                    writer.segment,
                    writer.length.cast_signed(),
                    length.cast_signed()
                ];
                if insert.execute(entry).on(&self.index_path)? == 0 {
                    continue;
                }
                added += 1;
                segment::encode(&mut buffer, bucket, writer.length, key, row);
                writer.length += length;
                if buffer.len() >= WRITE_BYTES {
                    writer
                        .file
                        .write_all(&buffer)
                        .doing("write", &writer.path)?;
                    buffer.clear();
                }
            }
        }
        writer
            .file
            .write_all(&buffer)
            .doing("write", &writer.path)?;
        set_indexed(&transaction, writer.segment, writer.length).on(&self.index_path)?;
        transaction.commit().on(&self.index_path)?;
        Ok(added)
    }

    /// Takes the first segment of `bucket` that no other process holds and that has room.
    fn acquire(&self, connection: &mut Connection, bucket: &str) -> Result<Writer, StoreError> {
        let folder = self.bucket_dir(bucket);
        durable::create_dir(&self.root, &folder)?;
        for number in 0_u32.. {
            let name = self.site.segment(number);
            let path = folder.join(&name);
            let file = match beneath::open_or_create(&self.root, &path) {
                // Whoever put it there, it is not ours to write to.
                Err(error) if Foreign::of(&error).is_some() => continue,
                Err(error) if error.kind() == ErrorKind::PermissionDenied && path.exists() => {
                    continue;
                }
                opened => opened.doing("open", &path)?,
            };
            match claims::try_lock(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error).doing("lock", &path),
            }
            let (segment, length) = self.recover_segment(connection, &file, bucket, &path, true)?;
            if length == 0 {
                // Or a power cut could lose the file's name after `flush` has synced its bytes.
                durable::sync_dir(&folder)?;
            }
            if length < SEGMENT_BYTES {
                return Ok(Writer {
                    file,
                    path,
                    segment,
                    length,
                });
            }
        }
        unreachable!("a folder holds fewer than 2^32 segments")
    }

    /// The open file of a segment, or `None` where it is gone.
    fn reader<'i>(
        &self,
        inner: &'i mut Inner,
        bucket: &str,
        segment: i64,
    ) -> Result<Option<&'i File>, StoreError> {
        if !inner.readers.contains_key(&segment) {
            let name: Option<String> = inner
                .connection
                .query_row(
                    "SELECT name FROM segments WHERE id = ?1",
                    [segment],
                    |row| row.get(0),
                )
                .optional()
                .on(&self.index_path)?;
            let Some(name) = name else { return Ok(None) };
            let path = self.bucket_dir(bucket).join(name);
            match beneath::open(&self.root, &path) {
                Ok(file) => inner.readers.insert(segment, file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) if Foreign::of(&error).is_some() => return Ok(None),
                Err(error) => return Err(error).doing("open", &path),
            };
        }
        Ok(inner.readers.get(&segment))
    }

    pub(super) fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.root.join("rows-v1").join(bucket)
    }
}

pub(super) fn set_indexed(
    connection: &Connection,
    segment: i64,
    length: u64,
) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE segments SET indexed_bytes = ?2 WHERE id = ?1",
        params![segment, length.cast_signed()],
    )
}

fn locate(
    connection: &Connection,
    bucket: &str,
    keys: &[Digest],
) -> rusqlite::Result<Vec<Option<RowLocation>>> {
    // One transaction, or SQLite would take and release its lock for each key.
    let transaction = connection.unchecked_transaction()?;
    let places = {
        let mut find = transaction.prepare_cached(
            "SELECT segment, offset, length FROM rows WHERE bucket = ?1 AND key = ?2",
        )?;
        keys.iter()
            .map(|key| {
                find.query_row(params![bucket, key.as_bytes()], |row| {
                    Ok(RowLocation {
                        segment: row.get(0)?,
                        span: Span {
                            offset: row.get::<_, i64>(1)?.cast_unsigned(),
                            length: row.get::<_, i64>(2)?.cast_unsigned(),
                        },
                    })
                })
                .optional()
            })
            .collect()
    };
    transaction.finish()?;
    places
}

/// Drops index entries, unless another process put the row again meanwhile.
fn forget(
    connection: &Connection,
    bucket: &str,
    damaged: &[(Digest, &RowLocation)],
) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for (key, place) in damaged {
        transaction.execute(
            "DELETE FROM rows WHERE bucket = ?1 AND key = ?2 AND segment = ?3 AND offset = ?4",
            params![
                bucket,
                key.as_bytes(),
                place.segment,
                place.span.offset.cast_signed()
            ],
        )?;
    }
    transaction.commit()
}
