//! What happens in a run, told to whoever listens.
//!
//! Events come from the store as well as from the running run: a listener that comes late, is slow,
//! or lives in another process misses none. Progress is told live only and may be skipped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impasto_domain::{Error, InstanceKey, News, Result, RunId, TenantId};
use impasto_store::{NewRun, RunStore, StoredEvent};
use impasto_workflow::Event;
use serde::Serialize;
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
    /// Something of a result before it is done.
    News {
        /// The step instance.
        key: InstanceKey,
        /// Which piece of this attempt's news it is, from 0; a number that is left out was lost on
        /// the way to a listener that was too slow.
        part: u64,
        /// What there is.
        news: News,
    },
}

/// A line of the log of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Which line of the run it is, from 0. The first that is kept tells how many went before it.
    pub number: u64,
    /// The number of the last event before it: with it, lines and events have one order, which what
    /// comes later only adds to.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The line.
    pub message: String,
}

const MILLION: f64 = 1e6;

/// What does not change of a run.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) workflow: Box<str>,
    pub(crate) origin: Box<str>,
    pub(crate) created_ms: u64,
}

impl Head {
    pub(crate) fn of(run: &NewRun) -> Self {
        Self {
            workflow: run.workflow.as_str().into(),
            origin: run.origin.as_str().into(),
            created_ms: run.created_ms,
        }
    }
}

/// Everyone who listens to one run, and what can be told of it without asking the store.
pub(crate) struct Hub {
    pub(crate) head: Head,
    /// None when nothing will come any more.
    listeners: Mutex<Option<Vec<mpsc::Sender<Arc<Update>>>>>,
    last_seq: AtomicU64,
    /// When its end was committed, in milliseconds since 1970; 0 if it was not.
    ended_ms: AtomicU64,
    /// When its first attempt started, in milliseconds since 1970; 0 if none has.
    started_ms: AtomicU64,
    /// How far the attempt is that told so last, in millionths.
    progress: AtomicU64,
    log_lines: usize,
    /// Most runs log nothing.
    logs: Mutex<Vec<LogLine>>,
}

impl Hub {
    pub(crate) fn new(head: Head, last_seq: u64, log_lines: usize) -> Self {
        Self {
            head,
            listeners: Mutex::new(Some(Vec::new())),
            last_seq: AtomicU64::new(last_seq),
            ended_ms: AtomicU64::new(0),
            started_ms: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            log_lines,
            logs: Mutex::default(),
        }
    }

    /// An attempt starts.
    pub(crate) fn started(&self, at_ms: u64) {
        let _started_before =
            self.started_ms.compare_exchange(0, at_ms, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// When the first attempt started.
    pub(crate) fn started_ms(&self) -> Option<u64> {
        Some(self.started_ms.load(Ordering::Relaxed)).filter(|at_ms| *at_ms > 0)
    }

    /// An attempt is so far.
    pub(crate) fn progress(&self, fraction: f64) {
        self.progress.store((fraction * MILLION) as u64, Ordering::Relaxed);
    }

    /// How far the attempt is that told so last, from 0 to 1.
    pub(crate) fn fraction(&self) -> f64 {
        self.progress.load(Ordering::Relaxed) as f64 / MILLION
    }

    /// Keeps a line of the log; the oldest goes where there are too many.
    pub(crate) fn log(&self, at_ms: u64, level: &str, message: &str) {
        let (level, message) = (level.to_owned(), message.to_owned());
        let mut logs = self.lock_logs();
        let number = logs.last().map_or(0, |last| last.number + 1);
        if logs.len() >= self.log_lines.max(1) {
            logs.remove(0);
        }
        logs.push(LogLine { number, seq: self.last_seq(), at_ms, level, message });
    }

    /// The log as it is now.
    pub(crate) fn logs(&self) -> Vec<LogLine> {
        self.lock_logs().clone()
    }

    fn lock_logs(&self) -> MutexGuard<'_, Vec<LogLine>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the last event that was committed.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq.load(Ordering::Relaxed)
    }

    /// Events up to this one are committed, and every line that came before them is in the log.
    pub(crate) fn committed(&self, seq: u64) {
        let _no_line_meanwhile = self.lock_logs();
        self.last_seq.store(seq, Ordering::Relaxed);
    }

    /// Its end is committed; it is told next.
    pub(crate) fn end(&self, at_ms: u64) {
        self.ended_ms.store(at_ms, Ordering::Release);
    }

    /// When its end was committed, if it was.
    pub(crate) fn ended_ms(&self) -> Option<u64> {
        Some(self.ended_ms.load(Ordering::Acquire)).filter(|at_ms| *at_ms > 0)
    }

    fn listeners(&self) -> MutexGuard<'_, Option<Vec<mpsc::Sender<Arc<Update>>>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes from now on; none if nothing will.
    fn listen(&self, backlog: usize) -> Option<mpsc::Receiver<Arc<Update>>> {
        let (sender, receiver) = mpsc::channel(backlog.max(1));
        self.listeners().as_mut()?.push(sender);
        Some(receiver)
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.listeners().as_ref().is_some_and(|listeners| !listeners.is_empty())
    }

    /// Tells everyone; one whose backlog is full will find the event in the store.
    pub(crate) fn tell(&self, update: Update) {
        if !self.has_listeners() {
            return;
        }
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
    runs: Arc<dyn RunStore>,
    tenant: TenantId,
    run: RunId,
    live: Option<LiveUpdates>,
    backlog: VecDeque<Update>,
    last_seq: u64,
    begun: bool,
    ended: bool,
}

/// What comes live from a run of this process.
pub(crate) struct LiveUpdates {
    hub: Arc<Hub>,
    receiver: mpsc::Receiver<Arc<Update>>,
    /// What comes is behind this event.
    from: u64,
}

impl LiveUpdates {
    /// What comes from now on; none if nothing will.
    pub(crate) fn listen(hub: Arc<Hub>, backlog: usize) -> Option<Self> {
        let receiver = hub.listen(backlog)?;
        let from = hub.last_seq();
        Some(Self { hub, receiver, from })
    }
}

impl Updates {
    pub(crate) fn new(
        runs: Arc<dyn RunStore>,
        tenant: TenantId,
        run: RunId,
        live: Option<LiveUpdates>,
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
                    Some(live) => live.receiver.recv().await,
                    None => None,
                };
                self.take(live).await
            } else {
                // What comes live is told live, so that it stays in order with what is not kept.
                let until = self.live.as_ref().map_or(u64::MAX, |live| live.from);
                let is_behind = until > self.last_seq;
                let caught_up = if is_behind { self.catch_up(until).await } else { Ok(()) };
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
            self.ended = true;
            let last_seq = self.live.as_ref().map(|live| live.hub.last_seq());
            return match last_seq == Some(self.last_seq) {
                true => Ok(()),
                false => self.catch_up(u64::MAX).await,
            };
        };
        let is_event = matches!(update.kind, UpdateKind::Event(_));
        let expected = if is_event { self.last_seq + 1 } else { self.last_seq };
        if update.seq > expected {
            self.catch_up(if is_event { update.seq - 1 } else { update.seq }).await?;
        }
        if !is_event || update.seq == self.last_seq + 1 {
            self.last_seq = self.last_seq.max(update.seq);
            self.backlog.push_back(Arc::unwrap_or_clone(update));
        }
        Ok(())
    }

    /// Reads what was missed, up to this event.
    async fn catch_up(&mut self, until: u64) -> Result<()> {
        let stored = self.runs.load(self.tenant.clone(), self.run.clone(), self.last_seq).await?;
        for event in stored.events.into_iter().filter(|event| event.seq <= until) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_log_are_numbered_however_many_are_kept() {
        let head = Head { workflow: "w".into(), origin: "".into(), created_ms: 0 };
        let hub = Hub::new(head, 0, 3);
        for number in 0..5 {
            hub.committed(number);
            hub.log(number, "info", &format!("line {number}"));
        }
        let kept: Vec<(u64, u64, String)> =
            hub.logs().into_iter().map(|line| (line.number, line.seq, line.message)).collect();
        let expected: Vec<(u64, u64, String)> =
            (2..5).map(|number| (number, number, format!("line {number}"))).collect();
        assert_eq!(kept, expected);
    }
}
