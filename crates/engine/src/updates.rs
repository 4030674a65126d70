//! What happens in a run, told to whoever listens.
//!
//! Events come from the store as well as from the running run: a listener that comes late, is slow,
//! or lives in another process misses none. Progress is told live only and may be skipped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impasto_domain::{Error, InstanceKey, Result, RunId, TenantId};
use impasto_store::{RunStore, StoredEvent};
use impasto_workflow::Event;
use tokio::sync::mpsc;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The number of the event; for progress, of the last event before it.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub kind: UpdateKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateKind {
    /// An event, which is committed.
    Event(Event),
    /// How far an attempt is.
    Progress {
        /// The step instance.
        key: InstanceKey,
        /// From 0 to 1.
        fraction: f64,
        /// What is being done.
        note: String,
    },
}

/// Everyone who listens to one run.
pub(crate) struct Hub {
    /// None when nothing will come any more.
    listeners: Mutex<Option<Vec<mpsc::Sender<Arc<Update>>>>>,
    last_seq: AtomicU64,
}

impl Hub {
    pub(crate) fn new(last_seq: u64) -> Self {
        Self { listeners: Mutex::new(Some(Vec::new())), last_seq: AtomicU64::new(last_seq) }
    }

    /// The number of the last event that was committed.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq.load(Ordering::Relaxed)
    }

    pub(crate) fn committed(&self, seq: u64) {
        self.last_seq.store(seq, Ordering::Relaxed);
    }

    fn listeners(&self) -> MutexGuard<'_, Option<Vec<mpsc::Sender<Arc<Update>>>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes from now on; none if nothing will.
    pub(crate) fn listen(&self, backlog: usize) -> Option<mpsc::Receiver<Arc<Update>>> {
        let (sender, receiver) = mpsc::channel(backlog.max(1));
        self.listeners().as_mut()?.push(sender);
        Some(receiver)
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.listeners().as_ref().is_some_and(|listeners| !listeners.is_empty())
    }

    /// Tells everyone; one whose backlog is full will find the event in the store.
    pub(crate) fn tell(&self, update: Update) {
        let update = Arc::new(update);
        let gone = |answer| matches!(answer, Err(mpsc::error::TrySendError::Closed(_)));
        if let Some(listeners) = self.listeners().as_mut() {
            listeners.retain(|listener| !gone(listener.try_send(Arc::clone(&update))));
        }
    }

    /// Tells everyone that nothing will come any more.
    pub(crate) fn close(&self) {
        *self.listeners() = None;
    }
}

/// What happens in one run, from its first event on.
pub struct Updates {
    pub(crate) runs: Arc<dyn RunStore>,
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    pub(crate) live: Option<mpsc::Receiver<Arc<Update>>>,
    pub(crate) backlog: VecDeque<Update>,
    pub(crate) last_seq: u64,
    pub(crate) begun: bool,
    pub(crate) ended: bool,
}

impl Updates {
    pub(crate) fn new(
        runs: Arc<dyn RunStore>,
        tenant: TenantId,
        run: RunId,
        live: Option<mpsc::Receiver<Arc<Update>>>,
    ) -> Self {
        Self {
            runs,
            tenant,
            run,
            live,
            backlog: VecDeque::new(),
            last_seq: 0,
            begun: false,
            ended: false,
        }
    }

    /// Leaves out everything up to this event.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.last_seq = self.last_seq.max(seq);
        self
    }

    /// The next update; none after the last one of a run that nobody here works on any more.
    ///
    /// Dropping the future loses no event: it will come with a later call.
    pub async fn next(&mut self) -> Option<Result<Update>> {
        loop {
            if let Some(update) = self.backlog.pop_front() {
                return Some(Ok(update));
            }
            if self.ended {
                return None;
            }
            let caught_up = if self.begun {
                let live = match &mut self.live {
                    Some(live) => live.recv().await,
                    None => None,
                };
                self.take(live).await
            } else {
                let caught_up = self.catch_up().await;
                self.begun = true;
                caught_up
            };
            if let Err(error) = caught_up {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    async fn take(&mut self, live: Option<Arc<Update>>) -> Result<()> {
        let Some(update) = live else {
            let caught_up = self.catch_up().await;
            self.ended = true;
            return caught_up;
        };
        let is_event = matches!(update.kind, UpdateKind::Event(_));
        let expected = if is_event { self.last_seq + 1 } else { self.last_seq };
        if update.seq > expected {
            self.catch_up().await?;
        }
        if !is_event || update.seq == self.last_seq + 1 {
            self.last_seq = self.last_seq.max(update.seq);
            self.backlog.push_back(Arc::unwrap_or_clone(update));
        }
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<()> {
        let stored = self.runs.load(self.tenant.clone(), self.run.clone(), self.last_seq).await?;
        for event in stored.events {
            self.last_seq = event.seq;
            self.backlog.push_back(Update {
                seq: event.seq,
                at_ms: event.at_ms,
                kind: UpdateKind::Event(read_event(&self.run, &event)?),
            });
        }
        Ok(())
    }
}

/// The event that was stored.
pub(crate) fn read_event(run: &RunId, stored: &StoredEvent) -> Result<Event> {
    serde_json::from_str(&stored.body).map_err(|error| {
        Error::internal(format!("event {} of run {run} cannot be read: {error}", stored.seq))
            .hint("it was written by another version of this program; use that one")
    })
}
