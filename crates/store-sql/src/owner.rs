//! Owners: a process that works on runs keeps a file locked for as long as it lives.
//!
//! A name is never used twice: process numbers are, above all in containers, and a run of a dead
//! process must not look as if its namesake worked on it. A file has its final name only once it is
//! locked, so a file that can be locked is always one that nobody needs any more.

use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use impasto_domain::{Error, Result};

use crate::error;

/// An owner of runs: alive as long as this value is.
pub(crate) struct Owner {
    pub(crate) name: String,
    folder: PathBuf,
    _locked: File,
}

impl Owner {
    /// A new owner among those of `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| error::file(folder, &error))?;
        clear(folder);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let drawn = RandomState::new().hash_one(since);
        let name = format!("{}-{drawn:016x}", std::process::id());
        let (draft, path) = (folder.join(format!("{name}.new")), lock_path(folder, &name));
        let locked = File::create_new(&draft).map_err(|error| error::file(&draft, &error))?;
        locked.try_lock().map_err(|error| {
            Error::unavailable(format!("'{}' cannot be locked: {error}", draft.display()))
                .hint("the data folder has to be on a file system with locks; choose with --data")
        })?;
        std::fs::rename(&draft, &path).map_err(|error| error::file(&path, &error))?;
        Ok(Self { name, folder: folder.to_owned(), _locked: locked })
    }

    /// Whether the owner of that name lives.
    pub(crate) fn lives(&self, name: &str) -> bool {
        name == self.name || is_locked(&lock_path(&self.folder, name))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Nobody looks for the file of an owner that is gone.
        let _left = std::fs::remove_file(lock_path(&self.folder, &self.name));
    }
}

/// A shared lock is enough to find out, so that those who ask do not take each other for the owner.
fn is_locked(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Removes what dead owners left behind.
fn clear(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let locks = files.filter(|path| path.extension().is_some_and(|extension| extension == "lock"));
    for path in locks.filter(|path| !is_locked(path)) {
        let _another_was_faster = std::fs::remove_file(path);
    }
}

fn lock_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_lives_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let first = Owner::new(folder.path()).unwrap();
        let second = Owner::new(folder.path()).unwrap();
        assert_ne!(first.name, second.name);
        assert!(first.lives(&second.name) && second.lives(&first.name));
        let gone = second.name.clone();
        drop(second);
        assert!(!first.lives(&gone) && first.lives(&first.name));
    }

    #[test]
    fn what_a_dead_owner_left_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let left = lock_path(folder.path(), "77-dead");
        std::fs::write(&left, "").unwrap();
        let owner = Owner::new(folder.path()).unwrap();
        assert!(!left.exists() && !owner.lives("77-dead"));
    }
}
