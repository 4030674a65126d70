//! What the composition root puts together: the stores, the drivers, and the few things that an
//! engine needs of the world.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use impasto_catalog::{Catalog, MaskForm};
use impasto_domain::{AssetRef, Error, Result, Workbench};
use impasto_store::{BlobStore, RunStore};

use crate::Driver;

/// Makes the bytes of a video that has been described. It blocks.
pub type Render = Arc<dyn Fn(&AssetRef, &dyn Workbench) -> Result<AssetRef> + Send + Sync>;

/// Writes a mask that has one form in another. It blocks.
pub type ConvertMask =
    Arc<dyn Fn(&AssetRef, MaskForm, MaskForm, &dyn Workbench) -> Result<AssetRef> + Send + Sync>;

/// The work on files that an engine itself needs done.
#[derive(Clone)]
pub struct FileTools {
    /// Renders videos.
    pub render: Render,
    /// Converts masks.
    pub convert_mask: ConvertMask,
}

impl FileTools {
    /// For programs that neither render videos nor send masks: they are told so.
    pub fn none() -> Self {
        let none = |what: &str| Error::unavailable(format!("this program {what}"));
        Self {
            render: Arc::new(move |_, _| Err(none("renders no videos"))),
            convert_mask: Arc::new(move |_, _, _, _| Err(none("converts no masks"))),
        }
    }
}

/// What an engine is made of.
#[derive(Clone)]
pub struct Parts {
    /// Tasks, models, providers, offers.
    pub catalog: Arc<Catalog>,
    /// Where runs are kept.
    pub runs: Arc<dyn RunStore>,
    /// Where files are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// The drivers, by dialect.
    pub drivers: BTreeMap<String, Arc<dyn Driver>>,
    /// Takes foreign files in.
    pub importer: Arc<dyn Importer>,
    /// What is done to files on their way.
    pub tools: FileTools,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Takes foreign files in: decodes and checks them once, so that nobody else has to.
pub trait Importer: Send + Sync {
    /// Reads the file at `path` and writes what it holds to the bench. It blocks.
    fn import(&self, path: &Path, bench: &dyn Workbench) -> Result<AssetRef>;

    /// Reads `bytes`, which somebody calls `name`, and writes what they hold to the bench. It blocks.
    fn import_bytes(&self, bytes: &[u8], name: &str, bench: &dyn Workbench) -> Result<AssetRef>;

    /// Keeps what a provider made: as it came and marked [`impasto_domain::MediaFacts::foreign`] where
    /// writing it anew would make it worse or larger, otherwise as [`Importer::import_bytes`] does. It blocks.
    fn keep(&self, bytes: &[u8], name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        self.import_bytes(bytes, name, bench)
    }
}

/// Takes nothing in: for programs whose inputs hold no files.
pub struct NoImporter;

impl Importer for NoImporter {
    fn import(&self, path: &Path, _bench: &dyn Workbench) -> Result<AssetRef> {
        Err(Error::unavailable(format!(
            "'{}' cannot be taken in: this program reads no files",
            path.display()
        )))
    }

    fn import_bytes(&self, _bytes: &[u8], name: &str, _bench: &dyn Workbench) -> Result<AssetRef> {
        Err(Error::unavailable(format!("'{name}' cannot be taken in: this program reads no files")))
    }
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// The clock of this machine.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
    }
}
