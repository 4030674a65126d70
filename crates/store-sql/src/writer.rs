//! The thread that writes: everything that waits goes into one transaction.
//!
//! A transaction is written when SQLite has committed it to its log, which the death of the process
//! does not undo. It is durable when that log was synchronised to the disk, which takes about as long
//! again and is waited for by those only whom it concerns.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use impasto_domain::{Error, Result};
use impasto_store::Durable;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::{self, database};

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

/// Tells the one who waits how it went last.
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
    /// Who waits for it to be written.
    written: Option<Answer>,
    /// Who waits for it to be durable.
    durable: Option<Answer>,
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
        let work = Work { haste: Haste::None, act, written: None, durable: None };
        let _ended = self.sender.send(work);
    }
}

/// The way to the thread that writes. The thread ends when this is dropped.
pub(crate) struct Writer {
    sender: Sender<Work>,
}

impl Writer {
    /// Starts the thread. `log` is the file of the write-ahead log of the connection.
    pub(crate) fn start(connection: Connection, log: PathBuf) -> Result<Self> {
        let (sender, works) = channel();
        let desk = Desk { connection, log: Log { path: log, file: None } };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || desk.write_all(&works))
            .map_err(|error| Error::unavailable(format!("no thread for writing: {error}")))?;
        Ok(Self { sender })
    }

    /// Does `act` in a transaction and answers when that is committed, and durable if it is to be. If
    /// `act` fails, what it wrote is taken back, and nothing else is.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        haste: Haste,
        act: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (act, answer, receiver) = answered(act);
        let (written, durable) = match haste {
            Haste::None | Haste::Soon => (Some(answer), None),
            Haste::Durable => (None, Some(answer)),
        };
        self.send(Work { haste, act, written, durable })?;
        receiver.await.map_err(|_| gone())?
    }

    /// As [`Writer::write`], but answers as soon as it is committed, with the moment in which it is
    /// durable.
    pub(crate) async fn write_first<T: Send + 'static>(
        &self,
        act: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<(T, Durable)> {
        let (act, written, receiver) = answered(act);
        let (sender, settled) = oneshot::channel();
        let durable: Answer = Box::new(move |failed| {
            let _nobody_waits = sender.send(failed.map_or(Ok(()), Err));
        });
        let (written, durable) = (Some(written), Some(durable));
        self.send(Work { haste: Haste::Durable, act, written, durable })?;
        let value = receiver.await.map_err(|_| gone())??;
        Ok((value, Durable::when(async { settled.await.map_err(|_| gone())? })))
    }

    fn send(&self, work: Work) -> Result<()> {
        self.sender.send(work).map_err(|_| gone())
    }

    /// A way to write without waiting.
    pub(crate) fn later(&self) -> Later {
        Later { sender: self.sender.clone() }
    }
}

fn gone() -> Error {
    Error::internal("the thread that writes the database is gone")
}

/// Work that keeps what it gave, the answer that hands it over, and where it arrives.
fn answered<T: Send + 'static>(
    act: impl Fn(&Connection) -> Result<T> + Send + 'static,
) -> (Act, Answer, oneshot::Receiver<Result<T>>) {
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
    (act, answer, receiver)
}

/// The write-ahead log of a database. The file stays the same as long as a connection is open.
struct Log {
    path: PathBuf,
    file: Option<File>,
}

impl Log {
    /// Brings to the disk what was committed.
    fn synchronise(&mut self) -> Result<()> {
        let synchronised = self.open().and_then(File::sync_data);
        synchronised.map_err(|error| error::file(&self.path, &error))
    }

    fn open(&mut self) -> std::io::Result<&File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => {
                let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
                Ok(none.insert(file))
            }
        }
    }
}

/// What the thread that writes works with.
struct Desk {
    connection: Connection,
    log: Log,
}

impl Desk {
    fn write_all(mut self, works: &Receiver<Work>) {
        let mut is_busy = false;
        while let Some(mut group) = first_of(works) {
            group.extend(works.try_iter().take(GROUP_MAX));
            // Whoever is about to send more work may do so first: a commit costs about the same for
            // many.
            match is_busy {
                true if group.len() < ENOUGH => std::thread::sleep(GATHER),
                _ => std::thread::yield_now(),
            }
            group.extend(works.try_iter().take(GROUP_MAX));
            // Work that nobody waits for says nothing about how many there are who wait.
            is_busy = group.iter().filter(|work| work.haste != Haste::None).nth(1).is_some();
            self.write_group(group);
        }
    }

    /// One transaction for all of `group`. Where it cannot even be begun, the work is done all the
    /// same, each piece for itself: it fails with the reason, and the one who waits hears it.
    fn write_group(&mut self, mut group: Vec<Work>) {
        let connection = &self.connection;
        let begun = run(connection, "BEGIN IMMEDIATE");
        let clean = group.iter_mut().all(|work| act_cleanly(connection, &mut work.act));
        if !clean {
            let _none_is_open = run(connection, "ROLLBACK");
            return group.into_iter().for_each(|work| self.write_alone(work));
        }
        let failed = begun.and_then(|()| run(connection, "COMMIT")).err();
        if failed.is_some() {
            let _none_is_open = run(connection, "ROLLBACK");
        }
        self.answer(group, failed.map(|error| database(&error)));
    }

    /// A transaction for one piece of a group in which a piece failed half-way.
    fn write_alone(&mut self, mut work: Work) {
        let connection = &self.connection;
        let begun = run(connection, "BEGIN IMMEDIATE");
        let stays = (work.act)(connection);
        let end = if stays { "COMMIT" } else { "ROLLBACK" };
        let failed = begun.and_then(|()| run(connection, end)).err();
        if failed.is_some() && stays {
            let _none_is_open = run(connection, "ROLLBACK");
        }
        self.answer(vec![work], failed.map(|error| database(&error)));
    }

    /// Tells those who wait for what was written, and then those who wait for it to be durable.
    fn answer(&mut self, group: Vec<Work>, failed: Option<Error>) {
        let mut waiting = Vec::new();
        for Work { written, durable, .. } in group {
            if let Some(written) = written {
                written(failed.clone());
            }
            waiting.extend(durable);
        }
        if waiting.is_empty() {
            return;
        }
        let failed = failed.or_else(|| self.log.synchronise().err());
        waiting.into_iter().for_each(|durable| durable(failed.clone()));
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

/// Does the work; answers whether what is now in the transaction may be committed. Work that finds a
/// reason to fail nearly always finds it before it writes, so marking a place to go back to before
/// each piece would cost more than doing a group again.
fn act_cleanly(connection: &Connection, act: &mut Act) -> bool {
    let before = connection.total_changes();
    act(connection) || connection.total_changes() == before
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
