//! The workbench that the engine lends: files of the blob store, progress to whoever listens, and
//! the wish to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use impasto_domain::{AssetRef, InstanceKey, MediaFacts, Result, Workbench};
use impasto_store::BlobStore;
use tokio::sync::Notify;

use crate::updates::{Hub, Update, UpdateKind};

/// The wish that something stops: asked for once, seen by everyone who looks or waits.
#[derive(Default)]
pub(crate) struct Stop {
    asked: AtomicBool,
    notify: Notify,
}

impl Stop {
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    pub(crate) async fn asked(&self) {
        loop {
            let notified = self.notify.notified();
            if self.is_asked() {
                return;
            }
            notified.await;
        }
    }
}

/// Where the progress of an attempt goes.
pub(crate) struct ProgressTo {
    pub(crate) hub: Arc<Hub>,
    pub(crate) key: InstanceKey,
    pub(crate) interval: Duration,
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

/// A workbench over the blob store.
pub(crate) struct EngineBench {
    blobs: Arc<dyn BlobStore>,
    stop: Arc<Stop>,
    listener: Listener,
    last_told: Mutex<Option<Instant>>,
}

impl EngineBench {
    pub(crate) fn new(blobs: Arc<dyn BlobStore>, stop: Arc<Stop>, listener: Listener) -> Self {
        Self { blobs, stop, listener, last_told: Mutex::new(None) }
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

    fn cancelled(&self) -> bool {
        self.stop.is_asked()
    }
}
