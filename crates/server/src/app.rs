//! What every handler needs: the engine, the stores, the options. A clone is the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use impasto_catalog::Catalog;
use impasto_domain::{AssetRef, Digest, Error, ErrorKind, Result, TenantId};
use impasto_engine::{Addresses, Clock, Engine};
use impasto_store::{AssetEntry, AssetRole, BlobStore, KeyLimits, Store};
use impasto_workflow::Plan;
use tokio::sync::Semaphore;

use crate::ServerOptions;
use crate::caller::Caller;
use crate::calls::to_text;
use crate::encoders::Encoders;
use crate::fetch::Fetch;
use crate::figures::Figures;
use crate::files::Base;
use crate::keys::{Keyring, Memory};

/// Reads the catalogue from where it came.
pub type Reload = Arc<dyn Fn() -> Result<Catalog> + Send + Sync>;

/// What a server is put together from.
#[derive(Clone)]
pub struct Parts {
    /// Runs everything.
    pub engine: Engine,
    /// Where everything is kept but bytes; the same as the engine's.
    pub store: Arc<dyn Store>,
    /// Where files are kept; the same as the engine's.
    pub blobs: Arc<dyn BlobStore>,
    /// Where the parts of uploads are kept until they are put together: a place of its own.
    pub pieces: Arc<dyn BlobStore>,
    /// Reads the catalogue again, if this process can.
    pub reload: Option<Reload>,
    /// Reaches others.
    pub fetch: Arc<dyn Fetch>,
    /// Encodes sound while it is made.
    pub encoders: Arc<dyn Encoders>,
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

/// The same as an [`App`] for as long as there is one.
pub(crate) struct WeakApp(Weak<Inner>);

impl WeakApp {
    /// The app, if there still is one.
    pub(crate) fn upgrade(&self) -> Option<App> {
        self.0.upgrade().map(|inner| App { inner })
    }
}

struct Inner {
    parts: Parts,
    options: ServerOptions,
    intakes: Semaphore,
    figures: Figures,
    keyring: Keyring,
    shelf: Mutex<Shelf>,
}

/// What is remembered of files.
#[derive(Default)]
struct Shelf {
    taken_in: HashMap<Digest, AssetRef>,
    renders: HashMap<Digest, AssetRef>,
    /// Files of tenants lent to providers, and those lent before them.
    lent: [HashMap<(TenantId, Digest), AssetRef>; 2],
    plans: HashMap<Digest, Arc<Plan>>,
    /// Files that uploads of tenants became, and those of uploads before them.
    uploads: [HashMap<(TenantId, String), Digest>; 2],
}

impl App {
    pub(crate) fn new(parts: Parts, options: ServerOptions) -> Self {
        let intakes = Semaphore::new(options.intakes_at_once.max(1));
        let app = Self {
            inner: Arc::new(Inner {
                parts,
                options,
                intakes,
                figures: Figures::default(),
                keyring: Keyring::default(),
                shelf: Mutex::default(),
            }),
        };
        if let Some(addresses) = app.addresses() {
            app.engine().lend(addresses);
        }
        if let Some(callbacks) = app.callbacks() {
            app.engine().listen_at(callbacks);
        }
        app.engine().spend_from(Arc::new(app.downgrade()));
        app
    }

    /// How providers fetch files here that they take only by an address; nothing where nobody has
    /// said at which address others reach us.
    pub(crate) fn addresses(&self) -> Option<Addresses> {
        let (app, base) = (self.downgrade(), Base(self.public_base()?));
        Some(Arc::new(move |tenant, asset| {
            let app = app.upgrade()?;
            app.note_lent(tenant, asset);
            Some(app.file_url(&base, &Caller::reader(tenant.clone()), asset))
        }))
    }

    /// Scheme and host at which others reach us, if somebody has said so.
    pub(crate) fn public_base(&self) -> Option<String> {
        let base = self.options().public_base.trim_end_matches('/');
        (!base.is_empty()).then(|| base.to_owned())
    }

    /// The same, for what the engine holds: it is held by the app itself.
    pub(crate) fn downgrade(&self) -> WeakApp {
        WeakApp(Arc::downgrade(&self.inner))
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

    /// Where the parts of uploads are kept until they are put together.
    pub(crate) fn pieces(&self) -> &Arc<dyn BlobStore> {
        &self.inner.parts.pieces
    }

    /// Reads the catalogue again, if this process can.
    pub(crate) fn reload(&self) -> Option<Reload> {
        self.inner.parts.reload.clone()
    }

    pub(crate) fn fetch(&self) -> &dyn Fetch {
        &*self.inner.parts.fetch
    }

    pub(crate) fn encoders(&self) -> &dyn Encoders {
        &*self.inner.parts.encoders
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

    /// The time after so long.
    pub(crate) fn later_ms(&self, within_ms: u64) -> u64 {
        later_ms(self.now_ms(), within_ms)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.parts.store
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    /// Whether everybody is answered, because no key was ever made.
    pub(crate) async fn is_open(&self) -> Result<bool> {
        self.keyring().is_open(self.store(), self.now_ms(), self.options().key_age_ms).await
    }

    /// Who it is that has this secret.
    pub(crate) async fn caller(&self, secret: Option<&str>) -> Result<Caller> {
        if self.is_open().await? {
            return Ok(Caller::local());
        }
        let secret = secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
            Error::new(ErrorKind::Unauthorized, "this call needs a key")
                .hint("send it as `Authorization: Bearer imp_…`; `impasto keys create` makes one")
        })?;
        let options = self.options();
        let memory = Memory { age_ms: options.key_age_ms, keys: options.known_keys };
        self.keyring().caller(self.store(), secret, self.now_ms(), memory).await
    }

    /// Who it is that has the key of that id, for something that was signed in its name; without an
    /// id, somebody who called while nobody needed a key.
    pub(crate) async fn holder(&self, key: Option<&str>) -> Result<Caller> {
        let options = self.options();
        let memory = Memory { age_ms: options.key_age_ms, keys: options.known_keys };
        match key {
            Some(key) => self.keyring().holder(self.store(), key, self.now_ms(), memory).await,
            None => self.caller(None).await,
        }
    }

    /// Gives up runs that wait for a person when their time comes, whoever's they are.
    pub(crate) async fn end_parked_in_time(&self) -> Result<()> {
        let keys = self.store().keys(None).await?.into_iter().map(|key| key.tenant);
        let tenants: BTreeSet<TenantId> = keys.chain([TenantId::local()]).collect();
        for tenant in &tenants {
            self.engine().end_parked_in_time(tenant).await?;
        }
        Ok(())
    }

    /// What a key may use up; nothing is said of one that is not there.
    pub(crate) async fn limits(&self, tenant: &TenantId, key: &str) -> Result<KeyLimits> {
        let options = self.options();
        let memory = Memory { age_ms: options.key_age_ms, keys: options.known_keys };
        let record = self.keyring().record(self.store(), key, self.now_ms(), memory).await?;
        let own = record.filter(|record| record.tenant == *tenant);
        Ok(own.map(|record| record.limits).unwrap_or_default())
    }

    /// Refuses one whose key was revoked or has expired since it called. It counts as no call.
    pub(crate) async fn still_may(&self, caller: &Caller) -> Result<()> {
        let Some(key) = &caller.key else { return Ok(()) };
        let options = self.options();
        let memory = Memory { age_ms: options.key_age_ms, keys: options.known_keys };
        match self.keyring().still_good(self.store(), &key.0, self.now_ms(), memory).await {
            Err(error) if error.kind == ErrorKind::Unauthorized => Err(error),
            // That it cannot be looked up is no reason to end what was allowed.
            _ => Ok(()),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.inner.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that a file is this tenant's, by the name that was given with it.
    pub(crate) async fn remember(
        &self,
        tenant: &TenantId,
        asset: &AssetRef,
        name: &str,
    ) -> Result<()> {
        let entry = AssetEntry {
            digest: asset.digest,
            body: to_text(asset)?,
            role: AssetRole::Upload,
            run: None,
            step: String::new(),
            name: name.to_owned(),
            at_ms: self.now_ms(),
        };
        self.store().record_assets(tenant.clone(), vec![entry]).await
    }

    /// The file of this tenant with that digest.
    pub(crate) async fn asset(&self, tenant: &TenantId, digest: Digest) -> Result<AssetRef> {
        let found = self.store().asset(tenant.clone(), digest).await?;
        let found = found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no file {}", digest.short()))
                .hint("upload it first")
        })?;
        asset_of(&found.first.body)
    }

    /// A file that was lent to a provider though the tenant does not have it: it was made of one on the
    /// way.
    pub(crate) fn lent(&self, tenant: &TenantId, digest: Digest) -> Option<AssetRef> {
        let key = (tenant.clone(), digest);
        self.shelf().lent.iter().find_map(|lent| lent.get(&key)).cloned()
    }

    /// Notes what is lent. When too much is, the older half is forgotten.
    fn note_lent(&self, tenant: &TenantId, asset: &AssetRef) {
        let [new, old] = &mut self.shelf().lent;
        if new.len() >= self.inner.options.known_renders.max(1) {
            *old = std::mem::take(new);
        }
        new.insert((tenant.clone(), asset.digest), asset.clone());
    }

    /// The file that an upload of this tenant became when it was put together.
    pub(crate) fn uploaded(&self, tenant: &TenantId, upload: &str) -> Option<Digest> {
        let key = (tenant.clone(), upload.to_owned());
        self.shelf().uploads.iter().find_map(|known| known.get(&key)).copied()
    }

    /// Notes what an upload became. When too much is known, the older half is forgotten.
    pub(crate) fn note_uploaded(&self, tenant: &TenantId, upload: &str, became: Digest) {
        let [new, old] = &mut self.shelf().uploads;
        if new.len() >= self.inner.options.known_uploads.div_ceil(2).max(1) {
            *old = std::mem::take(new);
        }
        new.insert((tenant.clone(), upload.to_owned()), became);
    }

    /// What a file with these bytes became when it was taken in before.
    pub(crate) fn taken_in(&self, original: &Digest) -> Option<AssetRef> {
        self.shelf().taken_in.get(original).cloned()
    }

    pub(crate) fn note_taken_in(&self, original: Digest, asset: &AssetRef) {
        let most = self.inner.options.known_renders;
        note(&mut self.shelf().taken_in, most, original, asset);
    }

    /// The plan that a text became before.
    pub(crate) fn known_plan(&self, text: &Digest) -> Option<Arc<Plan>> {
        self.shelf().plans.get(text).cloned()
    }

    pub(crate) fn note_plan(&self, text: Digest, plan: &Arc<Plan>) {
        note(&mut self.shelf().plans, self.inner.options.known_plans, text, plan);
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

/// The latest time that is kept anywhere: the year 9999.
const LATEST_MS: u64 = 253_402_300_799_000;

/// The time after so long, which is no later than can be kept and written.
pub(crate) fn later_ms(now_ms: u64, within_ms: u64) -> u64 {
    now_ms.saturating_add(within_ms).min(LATEST_MS)
}

/// Notes what something became. When too much is known, everything is forgotten: it can be found again.
fn note<T: Clone>(known: &mut HashMap<Digest, T>, most: usize, of: Digest, became: &T) {
    if known.len() >= most.max(1) {
        known.clear();
    }
    known.insert(of, became.clone());
}

/// What is kept of a file.
pub(crate) fn asset_of(body: &str) -> Result<AssetRef> {
    serde_json::from_str(body)
        .map_err(|error| Error::internal(format!("what is kept of a file cannot be read: {error}")))
}
