//! Files in a folder, each under its digest.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use impasto_domain::{Digest, Error, Result};
use impasto_store::BlobStore;

use crate::error;

/// Files in a folder: `ab/abcd…`, the name being the digest of the bytes.
pub struct FolderBlobs {
    folder: PathBuf,
    written: AtomicU64,
}

impl FolderBlobs {
    /// The files of `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| error::file(folder, &error))?;
        Ok(Self { folder: folder.to_owned(), written: AtomicU64::new(0) })
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.folder.join(name.get(..2).unwrap_or_default()).join(name)
    }

    /// A name that no other writer uses.
    fn draft(&self) -> PathBuf {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!(".{}-{:p}-{number}.part", std::process::id(), self))
    }
}

impl BlobStore for FolderBlobs {
    fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let place = self.place(&digest);
        if place.metadata().is_ok_and(|known| known.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        let draft = self.draft();
        let folder = place.parent().unwrap_or(&self.folder);
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| File::create_new(&draft))
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&draft, &place));
        written.map_err(|error| {
            let _left = std::fs::remove_file(&draft);
            error::file(&place, &error)
        })?;
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>> {
        let place = self.place(digest);
        let bytes = std::fs::read(&place).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("the file {} is not in the store", digest.short()))
                    .hint("it was removed by hand; run the workflow again with --no-cache")
            }
            _ => error::file(&place, &error),
        })?;
        if Digest::of(&bytes) != *digest {
            let message = format!("the file {} in the store is damaged", digest.short());
            return Err(Error::unavailable(message).hint("remove it and run the workflow again"));
        }
        Ok(bytes.into())
    }

    fn contains(&self, digest: &Digest) -> bool {
        self.place(digest).is_file()
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.place(digest)).filter(|place| place.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_blobs_conform() {
        let folder = tempfile::tempdir().unwrap();
        impasto_store::conformance::blobs(&FolderBlobs::open(folder.path()).unwrap()).unwrap();
    }

    #[test]
    fn a_damaged_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        let digest = blobs.put(b"paint").unwrap();
        std::fs::write(blobs.path(&digest).unwrap(), b"print").unwrap();
        assert!(blobs.get(&digest).unwrap_err().message.contains("damaged"));
    }
}
