//! The SQLite store and the blob folder.
