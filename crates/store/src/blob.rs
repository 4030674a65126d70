//! The port of files, and files in memory.
//!
//! A file that is too large for memory goes in with [`BlobStore::put_from`] and comes out with
//! [`BlobStore::open`]: neither holds more of it than a buffer.

use std::collections::HashMap;
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impasto_domain::{Digest, Error, Result};

/// A file that is read piece by piece, from any place in it.
pub trait BlobReader: Read + Seek + Send {}

impl<T: Read + Seek + Send> BlobReader for T {}

/// Bytes under their digest. Its methods block: call them where blocking is allowed.
///
/// A digest is the right to read: whoever knows it has seen the bytes or a run that names them.
pub trait BlobStore: Send + Sync {
    /// Keeps `bytes`; they are safe when this returns. Keeping the same bytes again is cheap.
    fn put(&self, bytes: &[u8]) -> Result<Digest>;

    /// Keeps everything that `bytes` gives, to its end. Nothing is kept if it fails half-way. Whoever
    /// calls limits how much that may be ([`Read::take`]).
    fn put_from(&self, bytes: &mut dyn Read) -> Result<Digest>;

    /// The bytes of that digest. What comes back has been compared with the digest.
    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>>;

    /// The bytes of that digest, to be read piece by piece. They are not compared with the digest.
    fn open(&self, digest: &Digest) -> Result<Box<dyn BlobReader>>;

    /// How many bytes it has.
    fn size(&self, digest: &Digest) -> Result<u64>;

    /// Whether there are bytes of that digest.
    fn contains(&self, digest: &Digest) -> bool;

    /// The file that holds them, if this store keeps files. Read only.
    fn path(&self, digest: &Digest) -> Option<PathBuf>;

    /// Lets go of the bytes of that digest; answers whether there were any. Who has opened them may
    /// read on. Nothing here knows who else needs them: a run that names them does not find them any
    /// more.
    fn remove(&self, digest: &Digest) -> Result<bool>;
}

/// What can be done with any store of files.
pub trait BlobStoreExt: BlobStore {
    /// Keeps the bytes of a file. The file stays where it is.
    ///
    /// # Errors
    /// The file cannot be read, or the store cannot be written.
    fn put_file(&self, path: &Path) -> Result<Digest> {
        let mut file = std::fs::File::open(path).map_err(|error| {
            Error::unavailable(format!("'{}' cannot be read: {error}", path.display()))
        })?;
        self.put_from(&mut file)
    }

    /// Keeps, as one, what `parts` has under these digests, one after the other. The parts stay.
    ///
    /// # Errors
    /// A part is not there (`not_found`), or the store cannot be written.
    fn join(&self, parts: &dyn BlobStore, digests: &[Digest]) -> Result<Digest> {
        // What is missing is told before anything is read.
        digests.iter().try_for_each(|digest| parts.size(digest).map(drop))?;
        let mut reader = Joined { parts, digests: digests.iter(), current: None };
        self.put_from(&mut reader)
    }
}

impl<T: BlobStore + ?Sized> BlobStoreExt for T {}

/// Reads files one after the other.
struct Joined<'a> {
    parts: &'a dyn BlobStore,
    digests: std::slice::Iter<'a, Digest>,
    current: Option<Box<dyn BlobReader>>,
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if let Some(current) = &mut self.current {
                match current.read(buffer)? {
                    0 if !buffer.is_empty() => self.current = None,
                    read => return Ok(read),
                }
            }
            let Some(next) = self.digests.next() else { return Ok(0) };
            let opened = self.parts.open(next);
            self.current = Some(opened.map_err(|error| std::io::Error::other(error.message))?);
        }
    }
}

/// The error for bytes that stopped coming while they were being kept.
pub fn broken_off(error: &std::io::Error) -> Error {
    Error::unavailable(format!("the bytes stopped coming: {error}")).retryable().hint("try again")
}

/// Files in memory, for tests and small programs.
#[derive(Default)]
pub struct MemoryBlobs {
    blobs: Mutex<HashMap<Digest, Arc<[u8]>>>,
}

impl MemoryBlobs {
    fn blobs(&self) -> MutexGuard<'_, HashMap<Digest, Arc<[u8]>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobs {
    fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        self.blobs().entry(digest).or_insert_with(|| bytes.into());
        Ok(digest)
    }

    fn put_from(&self, bytes: &mut dyn Read) -> Result<Digest> {
        let mut all = Vec::new();
        bytes.read_to_end(&mut all).map_err(|error| broken_off(&error))?;
        self.put(&all)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>> {
        let missing = || Error::not_found(format!("there is no file {}", digest.short()));
        self.blobs().get(digest).cloned().ok_or_else(missing)
    }

    fn open(&self, digest: &Digest) -> Result<Box<dyn BlobReader>> {
        Ok(Box::new(Cursor::new(self.get(digest)?)))
    }

    fn size(&self, digest: &Digest) -> Result<u64> {
        self.get(digest).map(|bytes| bytes.len() as u64)
    }

    fn contains(&self, digest: &Digest) -> bool {
        self.blobs().contains_key(digest)
    }

    fn path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }

    fn remove(&self, digest: &Digest) -> Result<bool> {
        Ok(self.blobs().remove(digest).is_some())
    }
}
