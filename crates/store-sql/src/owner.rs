//! Owners: a process that works on runs keeps a file locked for as long as it lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use impasto_domain::Result;

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
        for number in 0_u32.. {
            let name = format!("{}-{number}", std::process::id());
            let path = lock_path(folder, &name);
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(|error| error::file(&path, &error))?;
            if file.try_lock().is_ok() {
                return Ok(Self { name, folder: folder.to_owned(), _locked: file });
            }
        }
        unreachable_owner(folder)
    }

    /// Whether the owner of that name lives.
    pub(crate) fn lives(&self, name: &str) -> bool {
        if name == self.name {
            return true;
        }
        match File::open(lock_path(&self.folder, name)) {
            Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
            Err(_) => false,
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Nobody looks for the file of an owner that is gone.
        let _left = std::fs::remove_file(lock_path(&self.folder, &self.name));
    }
}

fn lock_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.lock"))
}

fn unreachable_owner(folder: &Path) -> Result<Owner> {
    let message = format!("every owner's name in '{}' is taken", folder.display());
    Err(impasto_domain::Error::unavailable(message))
}
