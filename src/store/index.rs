//! The index, in `SQLite`: where each row lies, in which order results came, digests of files seen.
//!
//! It holds nothing that the stored files do not, so a damaged index is set aside and made
//! again. Migrations only ever grow at the end (as in cargo's `util/sqlite.rs`); the number of
//! those applied is its `user_version`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi::SQLITE_ERROR;
use rusqlite::{Connection, Error, ErrorCode, TransactionBehavior};

use super::{StoreError, durable};

/// How long a writer waits for another process; ours.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Append only: an index in someone's folder has the first few already.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE segments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        bucket TEXT NOT NULL,
        name TEXT NOT NULL,
        indexed_bytes INTEGER NOT NULL,
        UNIQUE (bucket, name)
    );
    CREATE TABLE rows (
        bucket TEXT NOT NULL,
        key BLOB NOT NULL,
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        length INTEGER NOT NULL,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
    CREATE TABLE results (
        sequence INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        stage TEXT NOT NULL,
        kind TEXT NOT NULL
    );
    CREATE TABLE files (
        path BLOB PRIMARY KEY,
        stamp BLOB NOT NULL,
        digest BLOB NOT NULL
    ) WITHOUT ROWID;
",
    "
    CREATE INDEX results_of_stages ON results (stage, kind, sequence);
",
];

/// Opens or makes the index at `path`. The flag says that it starts empty because the one that
/// was there is damaged.
pub(super) fn open(path: &Path) -> Result<(Connection, bool), StoreError> {
    let marker = damage_marker(path);
    let opened = if marker.exists() {
        Err(StoreError::IndexDamaged(path.to_owned()))
    } else {
        connect(path)
    };
    match opened {
        Err(StoreError::IndexDamaged(_)) => {
            durable::quarantine(path)?;
            for suffix in ["-wal", "-shm"] {
                durable::remove_file(&with_suffix(path, suffix))?;
            }
            durable::remove_file(&marker)?;
            Ok((connect(path)?, true))
        }
        opened => Ok((opened?, false)),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path).on(path)?;
    connection.busy_timeout(BUSY_TIMEOUT).on(path)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .on(path)?;
    // A power cut may lose the last commits, never the index's shape; recovery reads them again
    // from the segments. So no commit waits for the disk.
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .on(path)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .on(path)?;
    let found: i64 = transaction
        .query_row("SELECT user_version FROM pragma_user_version", [], |row| {
            row.get(0)
        })
        .on(path)?;
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    if found > known {
        return Err(StoreError::NewerIndex {
            path: path.to_owned(),
            found,
            known,
        });
    }
    let applied = usize::try_from(found).unwrap_or(0);
    for migration in &MIGRATIONS[applied..] {
        transaction.execute_batch(migration).on(path)?;
    }
    transaction
        .pragma_update(None, "user_version", known)
        .on(path)?;
    transaction.commit().on(path)
}

/// Its presence says that a run found the index damaged, so that the next one rebuilds it.
fn damage_marker(path: &Path) -> PathBuf {
    with_suffix(path, ".rebuild")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Says of a failed query on which index it was made.
pub(super) trait OnIndex<T> {
    /// Names the index at `path`; damage is also noted on disk for the next run.
    fn on(self, path: &Path) -> Result<T, StoreError>;
}

impl<T> OnIndex<T> for rusqlite::Result<T> {
    fn on(self, path: &Path) -> Result<T, StoreError> {
        self.map_err(|error| describe(error, path))
    }
}

fn describe(error: Error, path: &Path) -> StoreError {
    let path = path.to_owned();
    let damaged = match &error {
        Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::SqlInputError { .. } => true,
        // The plain error on our fixed statements means that a table or a column is gone.
        Error::SqliteFailure(failure, _) if failure.extended_code == SQLITE_ERROR => true,
        other => matches!(
            other.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    };
    if damaged {
        // Without the marker the next run meets the damage again and reports it again.
        let _ = fs::write(damage_marker(&path), b"");
        return StoreError::IndexDamaged(path);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked(path),
        Some(ErrorCode::DiskFull) => StoreError::DiskFull {
            action: "write",
            path,
        },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::NotAllowed {
                action: "write",
                path,
                source: std::io::Error::other(error),
            }
        }
        _ => StoreError::Index {
            path,
            source: error,
        },
    }
}
