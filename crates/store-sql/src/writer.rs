//! The thread that writes: everything that waits goes into one transaction.

use std::sync::mpsc::{Receiver, Sender, channel};

use impasto_domain::{Error, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::database;

/// The most pieces of work in one transaction.
const GROUP_MAX: usize = 512;

/// Tells the one who waits how it went, once it is known whether the transaction was committed.
type Answer = Box<dyn FnOnce(Option<Error>) + Send>;

/// Does the work; answers whether what it wrote is to stay, and whom to tell.
type Act = Box<dyn FnOnce(&Connection) -> (bool, Answer) + Send>;

/// A piece of work in a transaction that it shares with others.
struct Work {
    durable: bool,
    act: Act,
}

/// The way to the thread that writes for those who do not wait for it.
pub(crate) struct Later {
    sender: Sender<Work>,
}

impl Later {
    /// Does `act` some time soon.
    pub(crate) fn write(&self, act: impl FnOnce(&Connection) + Send + 'static) {
        let act: Act = Box::new(move |connection| {
            act(connection);
            (true, Box::new(|_| ()))
        });
        let _ended = self.sender.send(Work { durable: false, act });
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
        act: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let act = Box::new(move |connection: &Connection| {
            let result = act(connection);
            let done = result.is_ok();
            let answer: Answer = Box::new(move |failed| {
                // Its own failure says more than that of the transaction.
                let result = result.and_then(|value| failed.map_or(Ok(value), Err));
                let _nobody_waits = sender.send(result);
            });
            (done, answer)
        });
        let gone = || Error::internal("the thread that writes the database is gone");
        self.sender.send(Work { durable, act }).map_err(|_| gone())?;
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
fn write_group(connection: &Connection, group: Vec<Work>, level: &mut Option<bool>) {
    let durable = group.iter().any(|work| work.durable);
    let begun = begin(connection, durable, level);
    let answers: Vec<Answer> = group.into_iter().map(|work| write_one(connection, work)).collect();
    let failed = begun.and_then(|()| run(connection, "COMMIT")).err();
    if failed.is_some() {
        let _none_is_open = run(connection, "ROLLBACK");
    }
    let failed = failed.map(|error| database(&error));
    answers.into_iter().for_each(|answer| answer(failed.clone()));
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

/// One piece of work; what it wrote is taken back if it fails.
fn write_one(connection: &Connection, work: Work) -> Answer {
    let marked = run(connection, "SAVEPOINT work");
    let (done, answer) = (work.act)(connection);
    let settled = marked.and_then(|()| {
        if !done {
            run(connection, "ROLLBACK TO work")?;
        }
        run(connection, "RELEASE work")
    });
    match settled {
        Ok(()) => answer,
        Err(error) => {
            let error = database(&error);
            Box::new(move |failed| answer(failed.or(Some(error))))
        }
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
