//! Mending segments: what a kill, a power cut or a lost index leaves is brought in order.
//!
//! A segment may be longer than the index knows (the records are taken in, half a record is cut
//! off) or shorter (its lost rows are forgotten). A segment that another process holds is left to it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::Doing;
use super::index::OnIndex;
use super::rows::{check_bucket, set_indexed};
use super::segment;
use super::{Store, StoreError, durable, lock_file};

impl Store {
    /// Brings the index and every segment that nobody holds to the same length.
    pub(super) fn recover_rows(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let known = segments(&inner.connection).on(&self.index_path)?;
        let mut found = BTreeSet::new();
        for folder in durable::list(&self.root.join("rows-v1"))? {
            let bucket = durable::name_of(&folder);
            if check_bucket(bucket).is_err() {
                continue;
            }
            for path in durable::list(&folder)? {
                let name = durable::name_of(&path);
                if Path::new(name).extension().is_none_or(|end| end != "seg") {
                    continue;
                }
                found.insert((bucket.to_owned(), name.to_owned()));
                let indexed = known
                    .iter()
                    .find(|at| at.bucket == bucket && at.name == name)
                    .map_or(0, |at| at.indexed_bytes);
                let file = lock_file(&path)?;
                let length = file.metadata().doing("read", &path)?.len();
                // A segment that is held is looked after by its holder.
                if length != indexed && file.try_lock().is_ok() {
                    self.recover_segment(&mut inner.connection, &file, bucket, &path)?;
                }
            }
        }
        for at in known {
            if !found.contains(&(at.bucket.clone(), at.name.clone())) {
                let lost = drop_segment(&mut inner.connection, at.id).on(&self.index_path)?;
                self.warn(format!(
                    "the segment {} of `{}` is gone; its {lost} rows are made again",
                    at.name, at.bucket
                ));
            }
        }
        Ok(())
    }

    /// Takes in the records past the indexed length and cuts off what is not whole. The caller
    /// holds the segment's lock. Gives the segment's number in the index and its length.
    pub(super) fn recover_segment(
        &self,
        connection: &mut Connection,
        mut file: &File,
        bucket: &str,
        path: &Path,
    ) -> Result<(i64, u64), StoreError> {
        let index = &self.index_path;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .on(index)?;
        let (id, indexed) = segment_id(&transaction, bucket, durable::name_of(path)).on(index)?;
        let mut length = file.metadata().doing("read", path)?.len();
        if length < indexed {
            // What is left may end within a record: cut there, so that the next append starts clean.
            let scan = segment::scan(file, bucket, 0, length).doing("read", path)?;
            file.set_len(scan.end).doing("shorten", path)?;
            length = scan.end;
            let lost = transaction
                .execute(
                    "DELETE FROM rows WHERE segment = ?1 AND offset + length > ?2",
                    params![id, length.cast_signed()],
                )
                .on(index)?;
            self.warn(format!(
                "{} is shorter than it was; {lost} rows are made again",
                path.display()
            ));
        } else if length > indexed {
            let scan = segment::scan(file, bucket, indexed, length).doing("read", path)?;
            for (key, span) in &scan.records {
                let entry = params![
                    bucket,
                    key.as_bytes(),
                    id,
                    span.offset.cast_signed(),
                    span.length.cast_signed()
                ];
                let new = transaction
                    .prepare_cached("INSERT OR IGNORE INTO rows VALUES (?1, ?2, ?3, ?4, ?5)")
                    .and_then(|mut insert| insert.execute(entry))
                    .on(index)?;
                if new == 0 {
                    // Another value of this key came first; mark this one, or a rebuilt index
                    // might choose it.
                    file.seek(SeekFrom::Start(span.offset))
                        .and_then(|_| file.write_all(&segment::DEAD))
                        .doing("write", path)?;
                }
            }
            if scan.damaged > 0 {
                self.warn(format!(
                    "{} has {} damaged stretches; the rows in them are made again",
                    path.display(),
                    scan.damaged
                ));
            }
            if scan.end < length {
                self.warn(format!(
                    "cut {} bytes of half-written rows off the end of {}",
                    length - scan.end,
                    path.display()
                ));
                file.set_len(scan.end).doing("shorten", path)?;
                length = scan.end;
            }
        }
        set_indexed(&transaction, id, length).on(index)?;
        transaction.commit().on(index)?;
        Ok((id, length))
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
