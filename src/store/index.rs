//! The index, in `SQLite`: where each row lies, in which order results came, digests of files seen.
//!
//! It holds nothing that the stored files do not, so a damaged index is set aside and made
//! again. Migrations only ever grow at the end (as in cargo's `util/sqlite.rs`); the number of
//! those applied is its `user_version`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi::SQLITE_ERROR;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::Doing;
use super::{StoreError, durable};
use crate::beneath;

/// What the names of the index and of the files beside it end with.
const FILES: [&str; 5] = ["", "-wal", "-shm", "-journal", ".rebuild"];
/// How long a writer waits for another process; ours.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Append only: an index in someone's folder has the first few already.
const MIGRATIONS: &[&str] = &[
    // AUTOINCREMENT: no number is given twice, for an open store knows the files of segments by number.
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

/// An index may come from somebody else: what its schema says is not run, and its pages are checked as they are read.
const WARY: &str = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";

/// The table of remembered digests once more, for an index that may only be read: `SQLite` looks there first.
const FILES_TABLE_TEMP: &str = "
    CREATE TABLE temp.files (path BLOB PRIMARY KEY, stamp BLOB NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID;";

/// Opens or makes the index at `path` in the store at `root`. The flag says that it starts empty because the one that
/// was there is damaged.
pub(super) fn open(root: &Path, path: &Path) -> Result<(Connection, bool), StoreError> {
    check_ours(root, path)?;
    let opened = if damage_marker(path).exists() {
        Err(StoreError::IndexDamaged(path.to_owned()))
    } else {
        connect(root, path)
    };
    match opened {
        Err(StoreError::IndexDamaged(_)) => Ok((reopen(root, path)?, true)),
        opened => Ok((opened?, false)),
    }
}

/// Sets the index at `path` aside and makes an empty one.
pub(super) fn reopen(root: &Path, path: &Path) -> Result<Connection, StoreError> {
    check_ours(root, path)?;
    durable::quarantine(path)?;
    // Beside a new index SQLite would take the old one's log for its own.
    for suffix in ["-wal", "-shm"] {
        durable::remove_file(&with_suffix(path, suffix))?;
    }
    durable::remove_file(&damage_marker(path))?;
    connect(root, path)
}

/// Removes the index at `path`, for [`open`] to make another. Nobody else has it open.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    for suffix in FILES {
        durable::remove_file(&with_suffix(path, suffix))?;
    }
    Ok(())
}

/// The index of a store that may only be read; `None` where it cannot be used as it is. What it remembers of files goes
/// no further than this process.
pub(super) fn open_to_read(root: &Path, path: &Path) -> Result<Option<Connection>, StoreError> {
    check_ours(root, path)?;
    let open = |uri: &str, more| {
        // No mutex of SQLite's: `Store` has one around the connection.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.execute_batch(&format!(
            "{WARY} PRAGMA temp_store = MEMORY; {FILES_TABLE_TEMP} INSERT INTO temp.files SELECT * FROM main.files;"
        ))?;
        let version: i64 = version(&connection)?;
        Ok((connection, version))
    };
    // Beside a writer, or where a killed one left its log.
    let shared: rusqlite::Result<_> = path
        .to_str()
        .ok_or(Error::InvalidPath(path.to_owned()))
        .and_then(|path| open(path, OpenFlags::empty()));
    let log = with_suffix(path, "-wal");
    // Opened as immutable, an index is read without its log, and would be as it was some time ago.
    let all_is_in_it = fs::metadata(&log).map_or(true, |meta| meta.len() == 0);
    let opened = match shared {
        Err(_) if all_is_in_it => open(&immutable(path), OpenFlags::SQLITE_OPEN_URI),
        shared => shared,
    };
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    match opened {
        Ok((_, found)) if found > known => Err(StoreError::NewerIndex {
            path: path.to_owned(),
            found,
            known,
        }),
        Ok((connection, found)) if found == known => Ok(Some(connection)),
        // Of an older version, damaged, or with a log that cannot be read: the stored files hold all that it does.
        _ => Ok(None),
    }
}

/// An index that lies nowhere.
pub(super) fn in_memory(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_in_memory().on(path)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// `SQLite`'s name for a file that nobody writes to, so that it needs no locks and no files beside it.
fn immutable(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri + "?immutable=1"
}

/// `SQLite` follows links, and opens its log beside the index: none of these files may be one.
fn check_ours(root: &Path, path: &Path) -> Result<(), StoreError> {
    for suffix in FILES {
        let path = with_suffix(path, suffix);
        beneath::make_way(root, &path).doing("open", &path)?;
    }
    Ok(())
}

fn connect(root: &Path, path: &Path) -> Result<Connection, StoreError> {
    check_ours(root, path)?;
    let is_new = !path.exists();
    // Without the default's URI: a folder may be called `file:x`.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).on(path)?;
    if is_new {
        beneath::share(path); // SQLite gives the files beside it the same rights
    }
    connection.busy_timeout(BUSY_TIMEOUT).on(path)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch(WARY).on(path)?;
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

/// Whether `SQLite` finds the index sound.
pub(super) fn is_sound(connection: &Connection) -> bool {
    let checked = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    checked.is_ok_and(|found: String| found == "ok")
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT user_version FROM pragma_user_version", [], |row| {
        row.get(0)
    })
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .on(path)?;
    let found = version(&transaction).on(path)?;
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
        // Without the marker the next run meets the damage again and reports it again. `create_new` follows no link.
        let _ = fs::File::create_new(damage_marker(&path));
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
