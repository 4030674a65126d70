//! The thread that writes: everything that waits goes into one transaction.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use impasto_domain::{Error, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::database;

/// The most pieces of work in one transaction.
const GROUP_MAX: usize = 512;
/// With so many pieces of work, others are not waited for.
const ENOUGH: usize = 16;
/// How long work without haste waits for other work to go with.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long others are waited for where there were others before.
const GATHER: Duration = Duration::from_micros(300);

/// Does the work. It may be asked to do it again after what it wrote was taken back; answers whether
/// what it wrote is to stay.
type Act = Box<dyn FnMut(&Connection) -> bool + Send>;

/// Tells the one who waits how it went last, once it is known whether the transaction was committed.
type Answer = Box<dyn FnOnce(Option<Error>) + Send>;

/// What is expected of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It waits a while for other work, with which it costs next to nothing.
    None,
    /// It is committed as soon as can be.
    Soon,
    /// The same, and a loss of power does not undo it.
    Durable,
}

impl Haste {
    /// That of what may have to outlast a loss of power.
    pub(crate) fn of(is_durable: bool) -> Self {
        if is_durable { Self::Durable } else { Self::Soon }
    }
}

/// A piece of work in a transaction that it shares with others.
struct Work {
    haste: Haste,
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
        let _ended = self.sender.send(Work { haste: Haste::None, act, answer: Box::new(|_| ()) });
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
        haste: Haste,
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
        self.sender.send(Work { haste, act, answer }).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    /// A way to write without waiting.
    pub(crate) fn later(&self) -> Later {
        Later { sender: self.sender.clone() }
    }
}

fn write_all(connection: &Connection, works: &Receiver<Work>) {
    let mut level = None;
    let mut is_busy = false;
    while let Some(mut group) = first_of(works) {
        let alone = group.len();
        group.extend(works.try_iter().take(GROUP_MAX));
        // Whoever is about to send more work may do so first: a commit costs about the same for many.
        match is_busy {
            true if group.len() < ENOUGH => std::thread::sleep(GATHER),
            _ => std::thread::yield_now(),
        }
        group.extend(works.try_iter().take(GROUP_MAX));
        is_busy = group.len() > alone;
        write_group(connection, group, &mut level);
    }
}

/// The work that came up to the first that has haste, or is to wait no longer; none when nobody is
/// left who could send any.
fn first_of(works: &Receiver<Work>) -> Option<Vec<Work>> {
    let mut group = vec![works.recv().ok()?];
    let due = Instant::now() + PATIENCE;
    while group.len() < GROUP_MAX && group.last().is_some_and(|work| work.haste == Haste::None) {
        match works.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(work) => group.push(work),
            Err(_) => break,
        }
    }
    Some(group)
}

/// One transaction for all of `group`. Where it cannot even be begun, the work is done all the same,
/// each piece for itself: it fails with the reason, and the one who waits hears it.
fn write_group(connection: &Connection, mut group: Vec<Work>, level: &mut Option<bool>) {
    let durable = group.iter().any(|work| work.haste == Haste::Durable);
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
    let begun = begin(connection, work.haste == Haste::Durable, level);
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
