//! What SQLite and the file system say, as errors that say what to do.

use std::path::Path;

use impasto_domain::Error;
use rusqlite::ErrorCode;

/// The error for something that went wrong in the database.
pub(crate) fn database(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => disk_full("the database cannot grow").retryable(),
        Some(ErrorCode::ReadOnly) => Error::unavailable("the database may not be written")
            .hint("check the permissions of the data folder, or name another one with --data"),
        Some(ErrorCode::CannotOpen) => {
            Error::unavailable(format!("the database cannot be opened: {error}"))
                .hint("check the permissions of the data folder, or name another one with --data")
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::unavailable(format!("the file of the database is none, or is damaged: {error}"))
                .hint("restore it from a copy, or name another folder with --data")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::unavailable("another process keeps the database busy")
                .retryable()
                .hint("try again")
        }
        Some(ErrorCode::SystemIoFailure) => Error::unavailable(format!("the disk failed: {error}"))
            .hint("check that the disk of the data folder is well and not full"),
        _ => Error::internal(format!("the database failed: {error}")),
    }
}

/// The error for something that went wrong with a file of the data folder.
pub(crate) fn file(path: &Path, error: &std::io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            disk_full(&format!("'{shown}' cannot be written"))
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            Error::unavailable(format!("'{shown}' may not be written"))
                .hint("check the permissions of the data folder, or name another one with --data")
        }
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            Error::unavailable(format!("'{shown}' cannot be made: something else has that name"))
                .hint("name another data folder with --data")
        }
        _ => Error::unavailable(format!("'{shown}': {error}")),
    }
}

/// The error for a log that could not be brought to the disk. A retry is of no use: what was written is
/// there already, and whether it outlasts a loss of power is not known.
pub(crate) fn unsynchronised(path: &Path, error: &std::io::Error) -> Error {
    let shown = path.display();
    Error::unavailable(format!("'{shown}' could not be brought to the disk: {error}")).hint(
        "check that the disk of the data folder is well and not full, and then start this process \
         again; until then nothing is taken that has to outlast a loss of power",
    )
}

fn disk_full(what: &str) -> Error {
    Error::unavailable(format!("{what}: the disk is full")).hint(
        "free some space; what was done so far is kept, and `impasto resume` goes on from there",
    )
}
