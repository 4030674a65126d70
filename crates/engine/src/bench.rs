//! The workbench that the engine lends: files of the blob store, progress to whoever listens, and
//! the wish to stop.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use impasto_domain::{
    AssetRef, Digest, InstanceKey, MediaFacts, News, Result, TenantId, Value, Values, Workbench,
};
use impasto_store::BlobStore;
use tokio::sync::Notify;

use crate::updates::{Hub, Update, UpdateKind};

/// The wish that something stops: asked for once, seen by everyone who looks or waits. By the same way
/// comes the hint that a job is worth a look, which can be given again.
///
/// Work in this process can be asked to end while a job that a provider has taken is left alone: it
/// may be paid for, and whoever goes on with the run finds it.
#[derive(Default)]
pub(crate) struct Stop {
    work: AtomicBool,
    job: AtomicBool,
    abandoned: AtomicBool,
    hinted: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// Asks work in this process to end; a job that a provider has taken goes on.
    pub(crate) fn ask_work(&self) {
        self.raise(&self.work);
    }

    /// Asks everything to end, a job at a provider too.
    pub(crate) fn ask(&self) {
        self.raise(&self.job);
        self.raise(&self.work);
    }

    /// Asks work in this process to end, and tells that nobody wants to know how.
    pub(crate) fn abandon(&self) {
        self.raise(&self.abandoned);
        self.raise(&self.work);
    }

    /// Says that something happened to the job, as somebody says.
    pub(crate) fn hint(&self) {
        self.raise(&self.hinted);
    }

    /// What was hinted until now is known.
    pub(crate) fn take_hint(&self) {
        self.hinted.store(false, Ordering::Release);
    }

    /// Waits for a hint that was not taken yet.
    pub(crate) async fn hinted(&self) {
        self.wait_for(&self.hinted).await;
    }

    fn raise(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    pub(crate) fn ends_work(&self) -> bool {
        self.work.load(Ordering::Acquire)
    }

    pub(crate) async fn work_asked(&self) {
        self.wait_for(&self.work).await;
    }

    pub(crate) async fn job_asked(&self) {
        self.wait_for(&self.job).await;
    }

    pub(crate) async fn abandoned(&self) {
        self.wait_for(&self.abandoned).await;
    }

    async fn wait_for(&self, flag: &AtomicBool) {
        let notified = self.notify.notified();
        tokio::pin!(notified);
        loop {
            // Enabled before the look, so that a wish between the look and the wait is not missed.
            notified.as_mut().enable();
            if flag.load(Ordering::Acquire) {
                return;
            }
            notified.as_mut().await;
            notified.set(self.notify.notified());
        }
    }
}

/// Where the progress of an attempt goes.
pub(crate) struct ProgressTo {
    pub(crate) hub: Arc<Hub>,
    pub(crate) key: InstanceKey,
    pub(crate) interval: Duration,
    pub(crate) wants_news: bool,
    pub(crate) now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Progress as a plain function of how far it is, from 0 to 1, and what is being done.
pub type ProgressFn = Arc<dyn Fn(f64, &str) + Send + Sync>;

/// Who hears of progress.
pub(crate) enum Listener {
    Nobody,
    Function(ProgressFn),
    Run(ProgressTo),
}

/// Gives an address at which others can fetch a file of a tenant for a while, where they reach us.
pub type Addresses = Arc<dyn Fn(&TenantId, &AssetRef) -> Option<String> + Send + Sync>;

/// Which files of an attempt can have an address.
pub(crate) struct Lent {
    pub(crate) tenant: TenantId,
    pub(crate) addresses: Addresses,
    /// The files that the run knows of: whoever asks for another does not get it.
    pub(crate) known: Arc<KnownFiles>,
}

/// The files of an attempt that others may fetch: those of its input, and what they became on the way.
#[derive(Default)]
pub(crate) struct KnownFiles(Mutex<BTreeSet<Digest>>);

impl KnownFiles {
    /// Adds every file of an input.
    pub(crate) fn add(&self, input: &Values) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(input.values().flat_map(Value::assets).map(|asset| asset.digest));
    }

    fn has(&self, digest: &Digest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }
}

/// A workbench over the blob store.
pub(crate) struct EngineBench {
    lent: Option<Lent>,
    blobs: Arc<dyn BlobStore>,
    stop: Arc<Stop>,
    listener: Listener,
    last_told: Mutex<Option<Instant>>,
    /// Pieces of news told.
    parts: AtomicU64,
}

impl EngineBench {
    pub(crate) fn new(blobs: Arc<dyn BlobStore>, stop: Arc<Stop>, listener: Listener) -> Self {
        let (last_told, parts) = (Mutex::new(None), AtomicU64::new(0));
        Self { blobs, stop, listener, last_told, parts, lent: None }
    }

    /// The same, whose files can be fetched from elsewhere.
    pub(crate) fn lending(self, lent: Option<Lent>) -> Self {
        Self { lent, ..self }
    }

    /// Whether enough time has gone by since progress was told; the end is always told.
    fn is_due(&self, fraction: f64, interval: Duration) -> bool {
        let mut last = self.last_told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = fraction >= 1.0 || last.is_none_or(|last| last.elapsed() >= interval);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

impl Workbench for EngineBench {
    fn read(&self, asset: &AssetRef) -> Result<Arc<[u8]>> {
        self.blobs.get(&asset.digest)
    }

    fn write(&self, bytes: Vec<u8>, media_type: &str, facts: MediaFacts) -> Result<AssetRef> {
        let digest = self.blobs.put(&bytes)?;
        let facts = MediaFacts { bytes: bytes.len() as u64, ..facts };
        Ok(AssetRef { digest, media_type: media_type.to_owned(), facts })
    }

    fn progress(&self, fraction: f64, note: &str) {
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        match &self.listener {
            Listener::Nobody => {}
            Listener::Function(tell) => tell(fraction, note),
            Listener::Run(to) => {
                to.hub.progress(fraction);
                if to.hub.has_listeners() && self.is_due(fraction, to.interval) {
                    let kind = UpdateKind::Progress {
                        key: to.key.clone(),
                        fraction,
                        note: note.to_owned(),
                    };
                    to.hub.tell(Update { seq: to.hub.last_seq(), at_ms: (to.now_ms)(), kind });
                }
            }
        }
    }

    fn tell(&self, news: News) {
        let Listener::Run(to) = &self.listener else { return };
        let at_ms = (to.now_ms)();
        if let News::Log { level, message } = &news {
            to.hub.log(at_ms, level, message);
        }
        if to.hub.has_listeners() {
            let part = self.parts.fetch_add(1, Ordering::Relaxed);
            let kind = UpdateKind::News { key: to.key.clone(), part, news };
            to.hub.tell(Update { seq: to.hub.last_seq(), at_ms, kind });
        }
    }

    fn wants_news(&self) -> bool {
        matches!(&self.listener, Listener::Run(to) if to.wants_news)
    }

    fn address(&self, asset: &AssetRef) -> Option<String> {
        let lent = self.lent.as_ref().filter(|lent| lent.known.has(&asset.digest))?;
        (lent.addresses)(&lent.tenant, asset)
    }

    fn cancelled(&self) -> bool {
        self.stop.ends_work()
    }
}

#[cfg(test)]
mod tests {
    use impasto_store::MemoryBlobs;

    use super::*;

    #[test]
    fn only_what_the_run_knows_of_has_an_address() {
        let bench = EngineBench::new(
            Arc::new(MemoryBlobs::default()),
            Arc::new(Stop::default()),
            Listener::Nobody,
        );
        let given = bench.write(b"given".to_vec(), "image/png", MediaFacts::default()).unwrap();
        let made = bench.write(b"made".to_vec(), "image/png", MediaFacts::default()).unwrap();
        assert_eq!(bench.address(&given), None);
        let addresses: Addresses = Arc::new(|tenant, asset| {
            Some(format!("https://media.example/{tenant}/{}", asset.digest.short()))
        });
        let tenant = TenantId::new("acme");
        let known = Arc::<KnownFiles>::default();
        known.add(&[("image".to_owned(), Value::from(given.clone()))].into());
        let lent = Lent { tenant, addresses, known };
        let bench = bench.lending(Some(lent));
        let address = format!("https://media.example/acme/{}", given.digest.short());
        assert_eq!(bench.address(&given), Some(address));
        assert_eq!(bench.address(&made), None);
    }
}
