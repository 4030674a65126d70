//! The thread that writes: everything that waits goes into one transaction.
//!
//! A transaction is written when SQLite has committed it to its log, which the death of the process
//! does not undo. It is durable when that log was synchronised to the disk, which takes about as long
//! again and is waited for by those only whom it concerns.
//!
//! Invariants
//! - Work is done in a transaction or not at all, and what is answered with an error was not written.
//!   The only exception is the work for which the log could not be synchronised: it is written, but may
//!   not outlast a loss of power.
//! - After that nothing is called durable any more: the system forgets what it could not bring to the
//!   disk, so that a later synchronisation which succeeds says nothing about what came before.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
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
/// How long work that failed, and that nobody would ask for again, waits until it is done again.
const AGAIN: Duration = Duration::from_millis(500);

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
    /// Whether what it wrote last is to stay.
    stays: bool,
    /// Whether it is done again until it succeeds, since nobody would ask for it again.
    persists: bool,
    /// Who waits for it to be written.
    written: Option<Answer>,
    /// Who waits for it to be durable.
    durable: Option<Answer>,
}

impl Work {
    /// Work that nobody waits for yet.
    fn new(haste: Haste, act: Act) -> Self {
        Self { haste, act, stays: false, persists: false, written: None, durable: None }
    }
}

/// The way to the thread that writes for those who do not wait for it.
pub(crate) struct Later {
    sender: Sender<Work>,
}

impl Later {
    /// Does `act` some time soon; if it fails, again a little later, for as long as there is a thread.
    pub(crate) fn write(&self, act: impl Fn(&Connection) -> rusqlite::Result<()> + Send + 'static) {
        let act: Act = Box::new(move |connection| act(connection).is_ok());
        let work = Work { persists: true, ..Work::new(Haste::None, act) };
        let _ended = self.sender.send(work);
    }
}

/// The way to the thread that writes. The thread ends when this is dropped.
pub(crate) struct Writer {
    sender: Sender<Work>,
}

impl Writer {
    /// Starts the thread. `log` is the write-ahead log of the connection.
    pub(crate) fn start(connection: Connection, log: Log) -> Result<Self> {
        let (sender, works) = channel();
        let desk = Desk { connection, log, again: Vec::new(), again_at: None };
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
        self.send(Work { written, durable, ..Work::new(haste, act) })?;
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
        self.send(Work { written, durable, ..Work::new(Haste::Durable, act) })?;
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
        // What it found in a transaction that failed may not be so.
        let answer = match (result, failed) {
            (_, Some(failed)) => Err(failed),
            (Some(result), None) => result,
            (None, None) => Err(Error::internal("the work was never done")),
        };
        let _nobody_waits = sender.send(answer);
    });
    (act, answer, receiver)
}

/// Brings to the disk what was written to a file.
type Synchronise = Box<dyn FnMut(&File) -> std::io::Result<()> + Send>;

/// The write-ahead log of a database. The file stays the same as long as a connection is open.
pub(crate) struct Log {
    path: PathBuf,
    file: Option<File>,
    synchronise: Synchronise,
    /// Why nothing can be called durable any more.
    broken: Option<Error>,
}

impl Log {
    /// The log in the file of that name.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self::synchronised_by(path, Box::new(File::sync_data))
    }

    /// The same, brought to the disk in another way.
    fn synchronised_by(path: PathBuf, synchronise: Synchronise) -> Self {
        Self { path, file: None, synchronise, broken: None }
    }

    /// Brings to the disk what was committed. Once that failed, it fails until there is another log.
    fn synchronise(&mut self) -> Result<()> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.open().map_err(|error| error::file(&self.path, &error))?;
        let Some(file) = &self.file else { return Ok(()) };
        (self.synchronise)(file)
            .map_err(|error| self.broken.insert(error::unsynchronised(&self.path, &error)).clone())
    }

    fn open(&mut self) -> std::io::Result<()> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().read(true).write(true).open(&self.path)?);
        }
        Ok(())
    }
}

/// What the thread that writes works with.
struct Desk {
    connection: Connection,
    log: Log,
    /// What failed and is done again.
    again: Vec<Work>,
    /// When that is.
    again_at: Option<Instant>,
}

impl Desk {
    fn write_all(mut self, works: &Receiver<Work>) {
        let mut is_busy = false;
        loop {
            match first_of(works, self.again_at) {
                Ok(first) => is_busy = self.write_with_others(first, works, is_busy),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.again_at.is_some_and(|at| at <= Instant::now()) {
                self.write_again();
            }
        }
        self.write_again();
    }

    /// Writes what came up to now. Answers whether several wait for it, if `is_busy` says that several
    /// waited before.
    fn write_with_others(
        &mut self,
        mut group: Vec<Work>,
        works: &Receiver<Work>,
        is_busy: bool,
    ) -> bool {
        group.extend(works.try_iter().take(GROUP_MAX));
        // Whoever is about to send more work may do so first: a commit costs about the same for many.
        match is_busy {
            true if group.len() < ENOUGH => std::thread::sleep(GATHER),
            _ => std::thread::yield_now(),
        }
        group.extend(works.try_iter().take(GROUP_MAX));
        // Work that nobody waits for says nothing about how many there are who wait.
        let is_busy = group.iter().filter(|work| work.haste != Haste::None).nth(1).is_some();
        self.write_group(group);
        is_busy
    }

    fn write_again(&mut self) {
        self.again_at = None;
        let again = std::mem::take(&mut self.again);
        self.write_group(again);
    }

    /// One transaction for all of `group`, or for each piece if one of them fails half-way.
    fn write_group(&mut self, group: Vec<Work>) {
        let mut group = self.refuse_durable(group);
        if group.is_empty() {
            return;
        }
        match transact(&self.connection, &mut group) {
            Some(ended) => self.answer(group, ended.err()),
            None => group.into_iter().for_each(|work| self.write_alone(work)),
        }
    }

    /// A transaction for one piece of a group in which a piece failed half-way.
    fn write_alone(&mut self, work: Work) {
        let Some(mut work) = self.refuse_durable(vec![work]).pop() else { return };
        let connection = &self.connection;
        let ended = begin(connection).and_then(|()| {
            work.stays = (work.act)(connection);
            match work.stays {
                true => commit(connection),
                false => {
                    take_back(connection);
                    Ok(())
                }
            }
        });
        self.answer(vec![work], ended.err());
    }

    /// Where nothing can be called durable any more, what has to be is not even begun; answers with
    /// the rest.
    fn refuse_durable(&mut self, group: Vec<Work>) -> Vec<Work> {
        let Some(broken) = self.log.broken.clone() else { return group };
        let (durable, rest) = group.into_iter().partition(|work| work.haste == Haste::Durable);
        self.answer(durable, Some(broken));
        rest
    }

    /// Tells those who wait for what was written, and then those who wait for it to be durable.
    fn answer(&mut self, group: Vec<Work>, failed: Option<Error>) {
        let mut waiting = Vec::new();
        for mut work in group {
            if let Some(written) = work.written.take() {
                written(failed.clone());
            }
            waiting.extend(work.durable.take());
            if work.persists && (failed.is_some() || !work.stays) {
                self.again_at.get_or_insert_with(|| Instant::now() + AGAIN);
                self.again.push(work);
            }
        }
        if waiting.is_empty() {
            return;
        }
        let failed = failed.or_else(|| self.log.synchronise().err());
        waiting.into_iter().for_each(|durable| durable(failed.clone()));
    }
}

/// The work that came up to the first that has haste, or is to wait no longer; an error when nothing
/// came until then, or nobody is left who could send any.
fn first_of(works: &Receiver<Work>, until: Option<Instant>) -> Result<Vec<Work>, RecvTimeoutError> {
    let first = match until {
        None => works.recv().map_err(|_| RecvTimeoutError::Disconnected)?,
        Some(at) => works.recv_timeout(at.saturating_duration_since(Instant::now()))?,
    };
    let mut group = vec![first];
    let due = Instant::now() + PATIENCE;
    while group.len() < GROUP_MAX && group.last().is_some_and(|work| work.haste == Haste::None) {
        match works.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(work) => group.push(work),
            Err(_) => break,
        }
    }
    Ok(group)
}

/// Does all of `group` in one transaction and answers how that ended; none if a piece failed half-way,
/// and then nothing is written.
fn transact(connection: &Connection, group: &mut [Work]) -> Option<Result<()>> {
    if let Err(error) = begin(connection) {
        return Some(Err(error));
    }
    if group.iter_mut().all(|work| act_cleanly(connection, work)) {
        return Some(commit(connection));
    }
    take_back(connection);
    None
}

/// Does the work; answers whether what is now in the transaction may be committed. Work that finds a
/// reason to fail nearly always finds it before it writes, so marking a place to go back to before
/// each piece would cost more than doing a group again.
///
/// Some failures, such as a full disk, end the transaction with all that is in it. What is done after
/// that would be written at once and by itself.
fn act_cleanly(connection: &Connection, work: &mut Work) -> bool {
    let before = connection.total_changes();
    work.stays = (work.act)(connection);
    (work.stays || connection.total_changes() == before) && !connection.is_autocommit()
}

fn begin(connection: &Connection) -> Result<()> {
    // None is open, unless one before could neither be ended nor taken back.
    take_back(connection);
    run(connection, "BEGIN IMMEDIATE")
}

fn commit(connection: &Connection) -> Result<()> {
    let committed = run(connection, "COMMIT");
    if committed.is_err() {
        take_back(connection);
    }
    committed
}

/// Ends the transaction that is open, if one is, as if it had never been.
fn take_back(connection: &Connection) {
    if !connection.is_autocommit() {
        let _stays_open = run(connection, "ROLLBACK");
    }
}

fn run(connection: &Connection, sql: &str) -> Result<()> {
    let ran = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    ran.map(drop).map_err(|error| database(&error))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tempfile::TempDir;

    use super::*;
    use crate::schema::connect;

    /// A log that is brought to the disk as often as `successes` says, and never again.
    pub(crate) fn failing_log(path: PathBuf, successes: usize) -> (Log, Arc<AtomicUsize>) {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        let synchronise = move |_: &File| match counted.fetch_add(1, Ordering::SeqCst) {
            // What failed once is clean to the system: it succeeds again.
            tried if tried == successes => Err(std::io::Error::other("the disk is gone")),
            _ => Ok(()),
        };
        (Log::synchronised_by(path, Box::new(synchronise)), tries)
    }

    /// A database with a table of names, and a second connection to it.
    fn named() -> (TempDir, PathBuf, Connection, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let (first, second) = (connect(&path).unwrap(), connect(&path).unwrap());
        first.execute_batch("CREATE TABLE names (name TEXT)").unwrap();
        first.busy_timeout(Duration::from_millis(20)).unwrap();
        (folder, path.with_extension("db-wal"), first, second)
    }

    fn name(connection: &Connection, name: &str) -> Result<()> {
        let added = connection.execute("INSERT INTO names VALUES (?1)", [name]);
        added.map(drop).map_err(|error| database(&error))
    }

    fn names(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT name FROM names ORDER BY name").unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.collect::<rusqlite::Result<_>>().unwrap()
    }

    #[tokio::test]
    async fn nothing_is_done_outside_a_transaction() {
        let (_folder, log, connection, other) = named();
        let writer = Writer::start(connection, Log::new(log)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let other = Arc::new(Mutex::new(other));
        let lock = Arc::clone(&other);
        let written = writer.write(Haste::Soon, move |connection| {
            // The lock is free again while the work is being done.
            lock.lock().unwrap().execute_batch("COMMIT").unwrap();
            name(connection, "late")
        });
        let error = written.await.unwrap_err();
        assert!(error.retry && error.message.contains("busy"), "{error}");
        assert_eq!(names(&other.lock().unwrap()), [""; 0]);
        other.lock().unwrap().execute_batch("COMMIT").unwrap();
        writer.write(Haste::Soon, |connection| name(connection, "then")).await.unwrap();
        assert_eq!(names(&other.lock().unwrap()), ["then"]);
    }

    /// Lets `works` go into the same group.
    async fn together(writer: &Writer, works: impl Future<Output = ()>) {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let (enter, entered) = std::sync::mpsc::channel();
        let gate = Mutex::new(gate);
        writer.later().write(move |_| {
            enter.send(()).unwrap();
            let _opened = gate.lock().unwrap().recv();
            Ok(())
        });
        entered.recv().unwrap();
        tokio::join!(works, async { drop(open) });
    }

    #[tokio::test]
    async fn what_ends_the_transaction_takes_nothing_but_itself_along() {
        let (_folder, log, connection, other) = named();
        connection.pragma_update(None, "max_page_count", 8).unwrap();
        let writer = Writer::start(connection, Log::new(log)).unwrap();
        together(&writer, async {
            let small = |text: &'static str| {
                writer.write(Haste::Durable, move |connection| name(connection, text))
            };
            let large = writer.write(Haste::Durable, |c| name(c, &"x".repeat(90_000)));
            let (before, full, after) = tokio::join!(small("before"), large, small("later"));
            before.unwrap();
            let error = full.unwrap_err();
            assert!(error.retry && error.message.contains("disk is full"), "{error}");
            after.unwrap();
        })
        .await;
        assert_eq!(names(&other), ["before", "later"]);
        // The same where it looks as if it had gone well.
        together(&writer, async {
            let ending = writer.write(Haste::Soon, |connection| {
                run(connection, "ROLLBACK")?;
                Ok(())
            });
            let good = writer.write(Haste::Soon, |connection| name(connection, "good"));
            let (ended, good) = tokio::join!(ending, good);
            assert!(ended.is_err());
            good.unwrap();
        })
        .await;
        assert_eq!(names(&other), ["before", "good", "later"]);
    }

    #[tokio::test]
    async fn after_a_failure_of_the_disk_nothing_is_called_durable() {
        let (_folder, log, connection, other) = named();
        let (log, tries) = failing_log(log, 1);
        let writer = Writer::start(connection, log).unwrap();
        let durable = |text: &'static str| {
            writer.write(Haste::Durable, move |connection| name(connection, text))
        };
        durable("a").await.unwrap();
        let error = durable("b").await.unwrap_err();
        assert!(error.message.contains("the disk is gone") && error.hint.is_some(), "{error}");
        // It is there, so it must not be done again.
        assert!(!error.retry && names(&other) == ["a", "b"]);
        assert_eq!(durable("c").await.unwrap_err(), error);
        let first = writer.write_first(|connection| name(connection, "d")).await;
        assert_eq!(first.unwrap_err(), error);
        writer.write(Haste::Soon, |connection| name(connection, "e")).await.unwrap();
        assert_eq!(names(&other), ["a", "b", "e"]);
        assert_eq!(tries.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn nor_in_the_group_in_which_the_disk_failed() {
        let (_folder, log, connection, other) = named();
        let (log, _) = failing_log(log, 0);
        let writer = Writer::start(connection, log).unwrap();
        let durable = |text: &'static str, goes_well: bool| {
            writer.write(Haste::Durable, move |connection| {
                name(connection, text)?;
                if goes_well { Ok(()) } else { Err(Error::internal("half-way")) }
            })
        };
        together(&writer, async {
            let (a, b, c) =
                tokio::join!(durable("a", true), durable("b", false), durable("c", true));
            let error = a.unwrap_err();
            assert!(error.message.contains("the disk is gone"), "{error}");
            assert_eq!((b.unwrap_err(), c.unwrap_err()), (error.clone(), error));
        })
        .await;
        assert_eq!(names(&other), ["a"]);
    }

    #[tokio::test]
    async fn what_nobody_would_ask_for_again_is_done_again() {
        let (_folder, log, connection, other) = named();
        let writer = Writer::start(connection, Log::new(log)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let add = |connection: &Connection| {
            connection.execute("INSERT INTO names VALUES ('again')", []).map(drop)
        };
        writer.later().write(add);
        let busy = writer.write(Haste::None, |_| Ok(())).await;
        assert!(busy.is_err(), "it was tried and failed");
        other.execute_batch("COMMIT").unwrap();
        let begun = Instant::now();
        while names(&other).is_empty() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(AGAIN * 2);
        assert_eq!(names(&other), ["again"], "once it succeeded it is not done again");
    }
}
