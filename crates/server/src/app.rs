//! What every handler needs: the engine, the stores, the options. A clone is the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impasto_catalog::Catalog;
use impasto_domain::{AssetRef, Digest, Error, ErrorKind, Result, TenantId};
use impasto_engine::{Clock, Engine};
use impasto_store::BlobStore;
use tokio::sync::Semaphore;

use crate::ServerOptions;
use crate::caller::Caller;
use crate::fetch::Fetch;
use crate::figures::Figures;

/// What a server is put together from.
#[derive(Clone)]
pub struct Parts {
    /// Runs everything.
    pub engine: Engine,
    /// Where files are kept; the same as the engine's.
    pub blobs: Arc<dyn BlobStore>,
    /// Reaches others.
    pub fetch: Arc<dyn Fetch>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// By which the addresses of files are signed. Whoever has it can read every file.
    pub secret: [u8; 32],
}

/// What every handler needs.
#[derive(Clone)]
pub(crate) struct App {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    options: ServerOptions,
    intakes: Semaphore,
    figures: Figures,
    shelf: Mutex<Shelf>,
}

/// What is remembered of files.
#[derive(Default)]
struct Shelf {
    assets: HashMap<(TenantId, Digest), AssetRef>,
    taken_in: HashMap<Digest, AssetRef>,
    renders: HashMap<Digest, AssetRef>,
}

impl App {
    pub(crate) fn new(parts: Parts, options: ServerOptions) -> Self {
        let intakes = Semaphore::new(options.intakes_at_once.max(1));
        let figures = Figures::default();
        Self {
            inner: Arc::new(Inner { parts, options, intakes, figures, shelf: Mutex::default() }),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.parts.engine
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.engine().catalog()
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        &self.inner.options
    }

    pub(crate) fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.inner.parts.blobs
    }

    pub(crate) fn fetch(&self) -> &dyn Fetch {
        &*self.inner.parts.fetch
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.inner.parts.secret
    }

    pub(crate) fn intakes(&self) -> &Semaphore {
        &self.inner.intakes
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.inner.figures
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.inner.parts.clock.now_ms()
    }

    /// Who it is that has this secret.
    pub(crate) async fn caller(&self, _secret: Option<&str>) -> Result<Caller> {
        Ok(Caller::local())
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.inner.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that a file is this tenant's.
    pub(crate) async fn remember(&self, tenant: &TenantId, asset: &AssetRef) -> Result<()> {
        self.shelf().assets.insert((tenant.clone(), asset.digest), asset.clone());
        Ok(())
    }

    /// The file of this tenant with that digest.
    pub(crate) async fn asset(&self, tenant: &TenantId, digest: Digest) -> Result<AssetRef> {
        let found = self.shelf().assets.get(&(tenant.clone(), digest)).cloned();
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no file {}", digest.short()))
                .hint("upload it first")
        })
    }

    /// What a file with these bytes became when it was taken in before.
    pub(crate) fn taken_in(&self, original: &Digest) -> Option<AssetRef> {
        self.shelf().taken_in.get(original).cloned()
    }

    pub(crate) fn note_taken_in(&self, original: Digest, asset: &AssetRef) {
        let most = self.inner.options.known_renders;
        note(&mut self.shelf().taken_in, most, original, asset);
    }

    /// The video that was made of a description before.
    pub(crate) fn rendered(&self, described: &Digest) -> Option<AssetRef> {
        self.shelf().renders.get(described).cloned()
    }

    pub(crate) fn note_rendered(&self, described: Digest, asset: &AssetRef) {
        let most = self.inner.options.known_renders;
        note(&mut self.shelf().renders, most, described, asset);
    }
}

/// Notes what something became. When too much is known, everything is forgotten: it can be found again.
fn note(known: &mut HashMap<Digest, AssetRef>, most: usize, of: Digest, asset: &AssetRef) {
    if known.len() >= most.max(1) {
        known.clear();
    }
    known.insert(of, asset.clone());
}
