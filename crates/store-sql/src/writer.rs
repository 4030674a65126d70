//! The thread that writes: everything that waits goes into one transaction.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use impasto_domain::{Error, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::database;

/// The most pieces of work in one transaction.
const GROUP_MAX: usize = 512;

/// Does the work. It may be asked to do it again after what it wrote was taken back; answers whether
/// what it wrote is to stay.
type Act = Box<dyn FnMut(&Connection) -> bool + Send>;

/// Tells the one who waits how it went last, once it is known whether the transaction was committed.
type Answer = Box<dyn FnOnce(Option<Error>) + Send>;

/// A piece of work in a transaction that it shares with others.
struct Work {
    durable: bool,
    act: Act,
    answer: Answer,
}

/// The way to the thread that writes for those who do not wait for it.
pub(crate) struct Later {
    sender: Sender<Work>,
}

impl Later {
    /// Does `act` some time soon.
    pub(crate) fn write(&self, act: impl Fn(&Connection) + Send + 'static) {
        let act: Act = Box::new(move |connection| {
            act(connection);
            true
        });
        let _ended = self.sender.send(Work { durable: false, act, answer: Box::new(|_| ()) });
    }
}

/// The way to the thread that writes. The thread ends when this is dropped.
pub(crate) struct Writer {
    sender: Sender<Work>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection) -> Result<Self> {
        let (sender, works) = channel();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_all(&connection, &works))
            .map_err(|error| Error::unavailable(format!("no thread for writing: {error}")))?;
        Ok(Self { sender })
    }

    /// Does `act` in a transaction and answers when that is committed. If `act` fails, what it wrote
    /// is taken back, and nothing else is.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        durable: bool,
        act: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let done = Arc::new(Mutex::new(None));
        let last = Arc::clone(&done);
        let act = Box::new(move |connection: &Connection| {
            let result = act(connection);
            let stays = result.is_ok();
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            stays
        });
        let answer = Box::new(move |failed: Option<Error>| {
            let result = done.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Its own failure says more than that of the transaction.
            let answer = match (result, failed) {
                (Some(Ok(value)), None) => Ok(value),
                (Some(Ok(_)) | None, Some(failed)) => Err(failed),
                (Some(Err(error)), _) => Err(error),
                (None, None) => Err(Error::internal("the work was never done")),
            };
            let _nobody_waits = sender.send(answer);
        });
        let gone = || Error::internal("the thread that writes the database is gone");
        self.sender.send(Work { durable, act, answer }).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    /// A way to write without waiting.
    pub(crate) fn later(&self) -> Later {
        Later { sender: self.sender.clone() }
    }
}

fn write_all(connection: &Connection, works: &Receiver<Work>) {
    let mut level = None;
    while let Ok(first) = works.recv() {
        // Whoever is about to send more work may do so first: a commit costs about the same for many.
        std::thread::yield_now();
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(next) = works.try_recv() else { break };
            group.push(next);
        }
        write_group(connection, group, &mut level);
    }
}

/// One transaction for all of `group`. Where it cannot even be begun, the work is done all the same,
/// each piece for itself: it fails with the reason, and the one who waits hears it.
fn write_group(connection: &Connection, mut group: Vec<Work>, level: &mut Option<bool>) {
    let durable = group.iter().any(|work| work.durable);
    let begun = begin(connection, durable, level);
    let clean = group.iter_mut().all(|work| act_cleanly(connection, &mut work.act));
    if !clean {
        let _none_is_open = run(connection, "ROLLBACK");
        return group.into_iter().for_each(|work| write_alone(connection, work, level));
    }
    let failed = begun.and_then(|()| run(connection, "COMMIT")).err();
    if failed.is_some() {
        let _none_is_open = run(connection, "ROLLBACK");
    }
    let failed = failed.map(|error| database(&error));
    group.into_iter().for_each(|work| (work.answer)(failed.clone()));
}

/// Does the work; answers whether what is now in the transaction may be committed. Work that finds a
/// reason to fail nearly always finds it before it writes, so marking a place to go back to before
/// each piece would cost more than doing a group again.
fn act_cleanly(connection: &Connection, act: &mut Act) -> bool {
    let before = connection.total_changes();
    act(connection) || connection.total_changes() == before
}

/// A transaction for one piece of a group in which a piece failed half-way.
fn write_alone(connection: &Connection, mut work: Work, level: &mut Option<bool>) {
    let begun = begin(connection, work.durable, level);
    let stays = (work.act)(connection);
    let end = if stays { "COMMIT" } else { "ROLLBACK" };
    let failed = begun.and_then(|()| run(connection, end)).err();
    if failed.is_some() && stays {
        let _none_is_open = run(connection, "ROLLBACK");
    }
    (work.answer)(failed.map(|error| database(&error)));
}

/// Begins a transaction; how it will be synchronised is said only where that changes.
fn begin(connection: &Connection, durable: bool, level: &mut Option<bool>) -> rusqlite::Result<()> {
    if *level != Some(durable) {
        let sync = if durable { "FULL" } else { "NORMAL" };
        connection.execute_batch(&format!("PRAGMA synchronous = {sync}"))?;
        *level = Some(durable);
    }
    run(connection, "BEGIN IMMEDIATE")
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
