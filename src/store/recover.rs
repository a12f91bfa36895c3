//! Mending segments: what a kill, a power cut or a lost index leaves is brought in order.
//!
//! A segment may be longer than the index knows (the records are taken in, half a record is cut
//! off) or shorter (its lost rows are forgotten). A segment that another process holds is left to it. Of a store that may
//! only be read, the segments stay as they are and only the index, which then lies in memory, is filled.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::Doing;
use super::index::OnIndex;
use super::own::Survey;
use super::rows::set_indexed;
use super::segment::{self, Span};
use super::{Store, StoreError, claims, own};
use crate::beneath;
use crate::key::Digest;

/// What a record in a segment is to the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecordState {
    /// It was not known, and is now.
    New,
    /// The index knows it.
    Known,
    /// Another value of its key came before it.
    Late,
}

impl Store {
    /// Brings the index and every segment that nobody holds to the same length.
    pub(super) fn recover_rows(&self, files: &Survey) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let known = segments(&inner.connection).on(&self.index_path)?;
        let mut found = BTreeSet::new();
        for (bucket, path) in &files.segments {
            let name = own::name_of(path);
            found.insert((bucket.clone(), name.to_owned()));
            let indexed = known
                .iter()
                .find(|at| at.bucket == *bucket && at.name == name)
                .map_or(0, |at| at.indexed_bytes);
            let length = fs::symlink_metadata(path).doing("read", path)?.len();
            // Damage within is found when a row is read, or by `verify`: opening reads only what is new.
            if length == indexed {
                continue;
            }
            // Another machine's may be written to at this moment: it is read, and mended by that machine.
            let mends = self.read_only().is_none() && self.site.owns(name);
            let file = if mends {
                beneath::open_or_create(&self.root, path)
            } else {
                beneath::open(&self.root, path)
            };
            let file = file.doing("open", path)?;
            // A segment that is held is looked after by its holder.
            if !mends || claims::try_lock(&file).is_ok() {
                self.recover_segment(&mut inner.connection, &file, bucket, path, mends)?;
            }
        }
        for at in known {
            if !found.contains(&(at.bucket.clone(), at.name.clone())) {
                let lost = drop_segment(&mut inner.connection, at.id).on(&self.index_path)?;
                let path = self.bucket_dir(&at.bucket).join(&at.name);
                self.tell_damage(
                    &path,
                    format!("the segment is gone; its {lost} rows are made again"),
                );
            }
        }
        Ok(())
    }

    /// Takes in the records past the indexed length and, where it `mends`, cuts off what is not whole. The caller
    /// then holds the segment's lock. Gives the segment's number in the index and its length.
    pub(super) fn recover_segment(
        &self,
        connection: &mut Connection,
        file: &File,
        bucket: &str,
        path: &Path,
        mends: bool,
    ) -> Result<(i64, u64), StoreError> {
        let index = &self.index_path;
        let cut = |length: u64| {
            if mends {
                file.set_len(length).doing("shorten", path)
            } else {
                Ok(())
            }
        };
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .on(index)?;
        let (id, indexed) = segment_id(&transaction, bucket, own::name_of(path)).on(index)?;
        let mut length = file.metadata().doing("read", path)?.len();
        if length < indexed {
            // What is left may end within a record: cut there, so that the next append starts clean.
            let scan = segment::scan(file, bucket, 0, length).doing("read", path)?;
            cut(scan.end)?;
            length = scan.end;
            let lost = transaction
                .execute(
                    "DELETE FROM rows WHERE segment = ?1 AND offset + length > ?2",
                    params![id, length.cast_signed()],
                )
                .on(index)?;
            self.tell_damage(
                path,
                format!("it is shorter than it was; {lost} rows are made again"),
            );
        } else if length > indexed {
            let scan = segment::scan(file, bucket, indexed, length).doing("read", path)?;
            for (key, span) in &scan.records {
                let record = self.take_in(&transaction, bucket, id, key, *span)?;
                // Or a rebuilt index might choose it.
                if record == RecordState::Late && mends {
                    self.mark_late(file, path, *span)?;
                }
            }
            if scan.damaged > 0 {
                let count = scan.damaged;
                self.tell_damage(
                    path,
                    format!("{count} damaged stretches; the rows in them are made again"),
                );
            }
            if scan.end < length && mends {
                self.warn(format!(
                    "cut {} bytes of half-written rows off the end of {}",
                    length - scan.end,
                    path.display()
                ));
                cut(scan.end)?;
            }
            length = scan.end;
        }
        set_indexed(&transaction, id, length).on(index)?;
        transaction.commit().on(index)?;
        Ok((id, length))
    }

    /// Makes sure that the index knows the sound record of `key` at `span` of the segment `id`, unless it knows a sound
    /// value of that key elsewhere.
    pub(super) fn take_in(
        &self,
        connection: &Connection,
        bucket: &str,
        id: i64,
        key: &Digest,
        span: Span,
    ) -> Result<RecordState, StoreError> {
        let index = &self.index_path;
        let entry = params![
            bucket,
            key.as_bytes(),
            id,
            span.offset.cast_signed(),
            span.length.cast_signed()
        ];
        let new = connection
            .prepare_cached("INSERT OR IGNORE INTO rows VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| insert.execute(entry))
            .on(index)?;
        if new > 0 {
            return Ok(RecordState::New);
        }
        let (segment, other, name): (i64, Span, Option<String>) = connection
            .prepare_cached(
                "SELECT segment, offset, length, name FROM rows LEFT JOIN segments ON id = segment
                 WHERE rows.bucket = ?1 AND key = ?2",
            )
            .and_then(|mut find| {
                find.query_row(params![bucket, key.as_bytes()], |row| {
                    let span = Span {
                        offset: row.get::<_, i64>(1)?.cast_unsigned(),
                        length: row.get::<_, i64>(2)?.cast_unsigned(),
                    };
                    Ok((row.get(0)?, span, row.get(3)?))
                })
            })
            .on(index)?;
        if segment == id && other == span {
            return Ok(RecordState::Known);
        }
        let is_sound = |name: String| {
            let path = self.bucket_dir(bucket).join(name);
            let file = beneath::open(&self.root, &path);
            let read = file.and_then(|file| segment::read(&file, bucket, key, other));
            read.is_ok_and(|row| row.is_some())
        };
        if name.is_some_and(is_sound) {
            return Ok(RecordState::Late);
        }
        connection
            .prepare_cached("INSERT OR REPLACE INTO rows VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| insert.execute(entry))
            .on(index)?;
        Ok(RecordState::New)
    }

    /// Marks a record whose key has another value, in a segment whose lock the caller holds.
    pub(super) fn mark_late(
        &self,
        mut file: &File,
        path: &Path,
        span: Span,
    ) -> Result<(), StoreError> {
        if self.read_only().is_some() {
            return Ok(());
        }
        file.seek(SeekFrom::Start(span.offset))
            .and_then(|_| file.write_all(&segment::DEAD))
            .doing("write", path)
    }
}

/// A segment as the index knows it.
pub(super) struct IndexedSegment {
    pub(super) id: i64,
    pub(super) bucket: String,
    pub(super) name: String,
    pub(super) indexed_bytes: u64,
}

/// Every segment that the index knows.
pub(super) fn segments(connection: &Connection) -> rusqlite::Result<Vec<IndexedSegment>> {
    connection
        .prepare("SELECT id, bucket, name, indexed_bytes FROM segments ORDER BY bucket, name")?
        .query_map([], |row| {
            Ok(IndexedSegment {
                id: row.get(0)?,
                bucket: row.get(1)?,
                name: row.get(2)?,
                indexed_bytes: row.get::<_, i64>(3)?.cast_unsigned(),
            })
        })?
        .collect()
}

/// Forgets a segment and its rows; says how many those were.
pub(super) fn drop_segment(connection: &mut Connection, id: i64) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = transaction.execute("DELETE FROM rows WHERE segment = ?1", [id])?;
    transaction.execute("DELETE FROM segments WHERE id = ?1", [id])?;
    transaction.commit()?;
    Ok(rows)
}

fn segment_id(connection: &Connection, bucket: &str, name: &str) -> rusqlite::Result<(i64, u64)> {
    connection.execute(
        "INSERT OR IGNORE INTO segments (bucket, name, indexed_bytes) VALUES (?1, ?2, 0)",
        [bucket, name],
    )?;
    connection.query_row(
        "SELECT id, indexed_bytes FROM segments WHERE bucket = ?1 AND name = ?2",
        [bucket, name],
        |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())),
    )
}
