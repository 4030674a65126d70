//! Files in a folder, each under its digest.

use std::collections::VecDeque;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use impasto_domain::{Digest, Digester, Error, Result};
use impasto_store::{BlobReader, BlobStore, broken_off};

use crate::error;

/// How much of a file is in memory while it is being kept.
const BUFFER_BYTES: usize = 256 * 1024;

/// A draft that nobody has written to for so long was left behind.
const DRAFT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The extension of a draft.
const DRAFT: &str = "part";

/// How many files are known to be whole because they were written or looked through lately.
const WHOLE_MAX: usize = 64;

/// Files in a folder: `ab/abcd…`, the name being the digest of the bytes.
pub struct FolderBlobs {
    folder: PathBuf,
    /// What tells the drafts of this value from those of any other, in any process.
    drawn: u64,
    written: AtomicU64,
    /// What this process wrote or looked through last: it is not looked through again.
    whole: Mutex<VecDeque<Digest>>,
}

impl FolderBlobs {
    /// The files of `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| error::file(folder, &error))?;
        clear(folder);
        let drawn = RandomState::new().hash_one(std::process::id());
        let (written, whole) = (AtomicU64::new(0), Mutex::default());
        Ok(Self { folder: folder.to_owned(), drawn, written, whole })
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.folder.join(name.get(..2).unwrap_or_default()).join(name)
    }

    /// A name that no other writer uses.
    fn draft(&self) -> PathBuf {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!(".{:016x}-{number}.{DRAFT}", self.drawn))
    }

    /// Whether the bytes of that digest are there already.
    fn has(&self, digest: &Digest, bytes: u64) -> bool {
        self.place(digest).metadata().is_ok_and(|known| known.len() == bytes)
    }

    /// Makes a draft the file of that digest.
    fn settle(&self, file: &File, draft: &Path, digest: &Digest) -> Result<()> {
        let place = self.place(digest);
        let folder = place.parent().unwrap_or(&self.folder);
        let settled = file
            .sync_all()
            .and_then(|()| std::fs::create_dir_all(folder))
            .and_then(|()| std::fs::rename(draft, &place));
        settled.map_err(|error| error::file(&place, &error))
    }

    fn whole(&self) -> MutexGuard<'_, VecDeque<Digest>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_whole(&self, digest: Digest) {
        let mut whole = self.whole();
        if whole.len() >= WHOLE_MAX {
            whole.pop_back();
        }
        whole.push_front(digest);
    }

    fn missing(&self, digest: &Digest, error: &std::io::Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound => {
                Error::not_found(format!("the file {} is not in the store", digest.short()))
                    .hint("it was removed by hand; run the workflow again with --no-cache")
            }
            _ => error::file(&self.place(digest), error),
        }
    }
}

/// A file that is removed unless it has become another by then.
struct Draft {
    path: PathBuf,
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _renamed = std::fs::remove_file(&self.path);
    }
}

/// Copies everything; answers the digest, and how many bytes it was.
fn copy(bytes: &mut dyn Read, file: &mut File, path: &Path) -> Result<(Digest, u64)> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut digester, mut copied) = (Digester::default(), 0);
    loop {
        let read = match bytes.read(&mut buffer) {
            Ok(0) => return Ok((digester.finish(), copied)),
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken_off(&error)),
        };
        digester.update(read);
        copied += read.len() as u64;
        file.write_all(read).map_err(|error| error::file(path, &error))?;
    }
}

/// Removes drafts that a process left behind.
fn clear(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let is_draft = path.extension().is_some_and(|extension| extension == DRAFT);
        let changed = path.metadata().and_then(|known| known.modified()).ok();
        let age = changed.and_then(|changed| changed.elapsed().ok());
        if is_draft && age.is_some_and(|age| age > DRAFT_AGE) {
            let _another_was_faster = std::fs::remove_file(path);
        }
    }
}

impl BlobStore for FolderBlobs {
    fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.has(&digest, bytes.len() as u64) {
            return Ok(digest);
        }
        let draft = Draft { path: self.draft() };
        let file = File::create_new(&draft.path)
            .and_then(|mut file| file.write_all(bytes).map(|()| file))
            .map_err(|error| error::file(&draft.path, &error))?;
        self.settle(&file, &draft.path, &digest)?;
        self.note_whole(digest);
        Ok(digest)
    }

    fn put_from(&self, bytes: &mut dyn Read) -> Result<Digest> {
        let draft = Draft { path: self.draft() };
        let mut file =
            File::create_new(&draft.path).map_err(|error| error::file(&draft.path, &error))?;
        let (digest, copied) = copy(bytes, &mut file, &draft.path)?;
        if !self.has(&digest, copied) {
            self.settle(&file, &draft.path, &digest)?;
        }
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>> {
        let bytes =
            std::fs::read(self.place(digest)).map_err(|error| self.missing(digest, &error))?;
        if !self.whole().contains(digest) {
            if Digest::of(&bytes) != *digest {
                let message = format!("the file {} in the store is damaged", digest.short());
                let hint = "remove it and run the workflow again";
                return Err(Error::unavailable(message).hint(hint));
            }
            self.note_whole(*digest);
        }
        Ok(bytes.into())
    }

    fn open(&self, digest: &Digest) -> Result<Box<dyn BlobReader>> {
        let file = File::open(self.place(digest)).map_err(|error| self.missing(digest, &error))?;
        Ok(Box::new(file))
    }

    fn size(&self, digest: &Digest) -> Result<u64> {
        let known = std::fs::metadata(self.place(digest));
        known.map(|known| known.len()).map_err(|error| self.missing(digest, &error))
    }

    fn contains(&self, digest: &Digest) -> bool {
        self.place(digest).is_file()
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.place(digest)).filter(|place| place.is_file())
    }

    fn remove(&self, digest: &Digest) -> Result<bool> {
        let place = self.place(digest);
        match std::fs::remove_file(&place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error::file(&place, &error)),
        }
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
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        assert!(blobs.get(&digest).unwrap_err().message.contains("damaged"));
    }

    fn drafts(folder: &Path) -> usize {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(DRAFT)).count()
    }

    #[test]
    fn what_breaks_off_leaves_nothing_behind() {
        struct Breaks;
        impl Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(ErrorKind::ConnectionReset.into())
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        let error = blobs.put_from(&mut b"paint".chain(Breaks)).unwrap_err();
        assert!(error.message.contains("stopped coming"), "{error}");
        blobs.put_from(&mut &b"paint"[..]).unwrap();
        blobs.put_from(&mut &b"paint"[..]).unwrap();
        assert_eq!(drafts(folder.path()), 0);
    }

    #[test]
    fn old_drafts_are_cleared_and_young_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for (name, age) in [("old", DRAFT_AGE * 2), ("young", Duration::ZERO)] {
            let file = File::create(folder.path().join(format!(".{name}.{DRAFT}"))).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        }
        FolderBlobs::open(folder.path()).unwrap();
        assert_eq!(drafts(folder.path()), 1);
    }
}
