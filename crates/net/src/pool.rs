//! Connections kept for later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use crate::request::{Grade, is_encrypted};
use crate::{Body, NetOptions};

/// How long a connection may take to become ready for its next request before it is given up.
const READY_WITHIN: Duration = Duration::from_millis(50);

/// What a connection can be used for again: a connection to one place, dialled under one grade.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    grade: Grade,
    encrypted: bool,
    host: String,
    port: u16,
}

impl Key {
    pub(crate) fn of(url: &Url, grade: Grade) -> Self {
        Self {
            grade,
            encrypted: is_encrypted(url),
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
        }
    }
}

/// A connection on which one request at a time is sent. Dropping it closes it.
pub(crate) struct Line {
    pub(crate) sender: SendRequest<Body>,
    written: Arc<AtomicU64>,
    driver: JoinHandle<()>,
    idle_since: Instant,
}

impl Line {
    pub(crate) fn new(
        sender: SendRequest<Body>,
        written: Arc<AtomicU64>,
        driver: JoinHandle<()>,
    ) -> Self {
        Self { sender, written, driver, idle_since: Instant::now() }
    }

    /// How many bytes have been written to it.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Closes it; when this is done, nothing more will be written.
    pub(crate) async fn close(&mut self) {
        self.driver.abort();
        let _aborted = (&mut self.driver).await;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connections kept for later.
pub(crate) struct Pool {
    options: Arc<NetOptions>,
    idle: Mutex<HashMap<Key, Vec<Line>>>,
}

impl Pool {
    pub(crate) fn new(options: Arc<NetOptions>) -> Self {
        Self { options, idle: Mutex::new(HashMap::new()) }
    }

    /// A connection to this place that has not been idle for longer, if there is one.
    pub(crate) async fn take(&self, key: &Key, idle_at_most: Duration) -> Option<Line> {
        loop {
            let mut line = self.newest(key, idle_at_most)?;
            let ready = tokio::time::timeout(READY_WITHIN, line.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Some(line);
            }
        }
    }

    fn newest(&self, key: &Key, idle_at_most: Duration) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.get_mut(key)?;
        lines.retain(|line| !line.sender.is_closed());
        let fresh = lines.last().is_some_and(|line| line.idle_since.elapsed() <= idle_at_most);
        if fresh { lines.pop() } else { None }
    }

    /// Keeps a connection, and lets those go that have waited for too long anywhere.
    pub(crate) fn keep(&self, key: Key, mut line: Line) {
        if line.sender.is_closed() {
            return;
        }
        line.idle_since = Instant::now();
        let longest = Duration::from_millis(self.options.idle_connection_ms);
        let mut kept = 0;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, lines| {
            lines.retain(|old| {
                !old.sender.is_closed() && line.idle_since - old.idle_since <= longest
            });
            kept += lines.len();
            !lines.is_empty()
        });
        if kept >= self.options.idle_connections_max {
            return;
        }
        let lines = idle.entry(key).or_default();
        if lines.len() < self.options.idle_connections_per_place_max {
            lines.push(line);
        }
    }
}
