//! Sees that files of the catalogue have changed, so that a server reads them again by itself.
//!
//! Files are looked at in turn with a named interval instead of being watched by the system: it costs
//! a few microseconds, needs no library, and works where notices do not come (network folders, mounted
//! volumes). A change counts once two looks in a row saw the same, so that nothing half-written is read.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The most files that are looked at.
const FILES_MAX: usize = 20_000;
/// How deep folders are gone into.
const DEPTH_MAX: usize = 8;

/// How files were when somebody looked.
type Stamp = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// Looks at folders and files, and tells when they have changed.
pub(crate) struct Watch {
    places: Vec<PathBuf>,
    /// How they were when they were read.
    read: Stamp,
    /// How they were at the last look.
    seen: Stamp,
}

impl Watch {
    /// Looks at these from now on; they need not be there.
    pub(crate) fn new(places: Vec<PathBuf>) -> Self {
        let read = stamp(&places);
        Self { places, seen: read.clone(), read }
    }

    /// Looks, and says whether something has changed and has come to rest.
    pub(crate) fn look(&mut self) -> bool {
        let now = stamp(&self.places);
        let rests = now == self.seen;
        self.seen = now;
        if rests && self.seen != self.read {
            self.read.clone_from(&self.seen);
            return true;
        }
        false
    }

    /// Waits until something has changed.
    pub(crate) async fn changed(&mut self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            if self.look() {
                return;
            }
        }
    }
}

fn stamp(places: &[PathBuf]) -> Stamp {
    let mut stamp = Stamp::new();
    for place in places {
        add(place, 0, &mut stamp);
    }
    stamp.sort();
    stamp
}

fn add(place: &Path, depth: usize, stamp: &mut Stamp) {
    if stamp.len() >= FILES_MAX || depth > DEPTH_MAX {
        return;
    }
    let Ok(facts) = std::fs::metadata(place) else { return };
    if facts.is_dir() {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
                add(&path, depth + 1, stamp);
            }
        }
    } else {
        stamp.push((place.to_owned(), facts.modified().ok(), facts.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_rests_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("catalog");
        let mut watch = Watch::new(vec![place.clone()]);
        assert!(!watch.look());
        std::fs::create_dir_all(place.join("models/acme")).unwrap();
        std::fs::write(place.join("models/acme/a.toml"), "a").unwrap();
        assert!(!watch.look(), "it may still be written to");
        std::fs::write(place.join("models/acme/a.toml"), "ab").unwrap();
        assert!(!watch.look(), "it was still written to");
        assert!(watch.look());
        assert!(!watch.look());
        std::fs::write(place.join("models/acme/notes.txt"), "x").unwrap();
        assert!(!watch.look() && !watch.look(), "other files do not matter");
        std::fs::remove_file(place.join("models/acme/a.toml")).unwrap();
        assert!(!watch.look());
        assert!(watch.look());
    }
}
