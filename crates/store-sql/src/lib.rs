//! Runs in SQLite, files in a folder. The only crate that knows SQL.
//!
//! One thread writes. It takes everything that waits, writes it in one transaction, and answers when
//! that is committed, so many runs share the cost of one commit. Reads have a connection of their own.
//!
//! Invariants
//! - A commit outlives the process (write-ahead log); one that spends money outlives a loss of power
//!   too (it is synchronised to the disk before it is answered).
//! - A run's owner is a file that its process keeps locked: when the process dies, however it dies,
//!   the lock is gone and the run can be taken over at once.
//! - A file is written under another name, synchronised, and then renamed to its digest.
//!
//! ```
//! # fn main() -> impasto_domain::Result<()> {
//! let folder = tempfile::tempdir().map_err(|e| impasto_domain::Error::internal(e.to_string()))?;
//! let runs = impasto_store_sql::SqliteRuns::open(folder.path(), &Default::default())?;
//! # drop(runs); Ok(()) }
//! ```

mod blobs;
mod desk;
mod error;
mod listing;
mod owner;
mod runs;
mod schema;
mod spending;
mod telling;
mod writer;

pub use blobs::FolderBlobs;
pub use runs::{SqliteOptions, SqliteRuns};
