//! The port of files, and files in memory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use impasto_domain::{Digest, Error, Result};

/// Bytes under their digest. Its methods block: call them where blocking is allowed.
///
/// A digest is the right to read: whoever knows it has seen the bytes or a run that names them.
pub trait BlobStore: Send + Sync {
    /// Keeps `bytes`; they are safe when this returns. Keeping the same bytes again is cheap.
    fn put(&self, bytes: &[u8]) -> Result<Digest>;

    /// The bytes of that digest. What comes back has been compared with the digest.
    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>>;

    /// Whether there are bytes of that digest.
    fn contains(&self, digest: &Digest) -> bool;

    /// The file that holds them, if this store keeps files. Read only.
    fn path(&self, digest: &Digest) -> Option<PathBuf>;
}

/// Files in memory, for tests and small programs.
#[derive(Default)]
pub struct MemoryBlobs {
    blobs: Mutex<HashMap<Digest, Arc<[u8]>>>,
}

impl BlobStore for MemoryBlobs {
    fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.entry(digest).or_insert_with(|| bytes.into());
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || Error::not_found(format!("there is no file {}", digest.short()));
        blobs.get(digest).cloned().ok_or_else(missing)
    }

    fn contains(&self, digest: &Digest) -> bool {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).contains_key(digest)
    }

    fn path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}
