//! Runs in SQLite.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impasto_domain::{Digest, Error, ErrorKind, Money, OfferId, Result, RunId, TenantId};
use impasto_store::{
    Batch, BoxFuture, Claim, ClaimKind, Created, DeliveryState, Lease, LedgerEntry, LedgerKind,
    NewRun, RETRY_WINDOW_MS, Receipt, Recovery, RunFilter, RunRecord, RunStatus, RunStore,
    StoredEvent, StoredRun,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{self, database};
use crate::listing::list;
use crate::owner::Owner;
use crate::schema::{connect, migrate};
use crate::spending::Sums;
use crate::telling;
use crate::writer::{Haste, Later, Log, Writer};

/// The name of the database in its folder.
const DATABASE: &str = "impasto.db";

/// The limits of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The most pages of 4 KiB that the database may have; absent means as many as the disk holds.
    pub pages_max: Option<u32>,
}

/// Runs in a SQLite database. Processes may share the folder.
pub struct SqliteRuns {
    writer: Writer,
    reader: Mutex<Connection>,
    owner: Arc<Owner>,
    sums: Mutex<Sums>,
}

impl SqliteRuns {
    /// Opens the database in `folder`; both are made if they are not there.
    ///
    /// # Errors
    /// The folder cannot be written, or holds something that is not a database of this program.
    pub fn open(folder: &Path, options: &SqliteOptions) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| error::file(folder, &error))?;
        let path: PathBuf = folder.join(DATABASE);
        let mut connection = connect(&path)?;
        migrate(&mut connection)?;
        if let Some(pages) = options.pages_max {
            connection
                .pragma_update(None, "max_page_count", pages)
                .map_err(|error| database(&error))?;
        }
        let reader = Mutex::new(connect(&path)?);
        let owner = Arc::new(Owner::new(&folder.join("owners"))?);
        let log = Log::new(folder.join(format!("{DATABASE}-wal")));
        let writer = Writer::start(connection, log)?;
        Ok(Self { writer, reader, owner, sums: Mutex::default() })
    }

    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        read(&reader).map_err(|error| database(&error))
    }

    /// What was spent, as far as it was asked for.
    pub(crate) fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `act` in a transaction of the thread that writes.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        durable: bool,
        act: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + '_ {
        self.writer.write(Haste::of(durable), act)
    }

    /// A lease whose drop gives the run back.
    fn lease(&self, run: RunId, epoch: u64) -> Lease {
        let guard = Guard {
            run: run.clone(),
            epoch,
            later: self.writer.later(),
            _owner: Arc::clone(&self.owner),
        };
        Lease { run, epoch, guard: Box::new(guard) }
    }

    /// A run as it is shown: one that nobody works on, although it is not done, was interrupted.
    fn shown(&self, (mut record, owner): Owned) -> RunRecord {
        let held = owner.is_some_and(|owner| self.owner.lives(&owner));
        if record.status == RunStatus::Running && !held {
            record.status = RunStatus::Interrupted;
        }
        record
    }
}

/// A record, and who works on the run if anybody does.
type Owned = (RunRecord, Option<String>);

struct Guard {
    run: RunId,
    epoch: u64,
    later: Later,
    _owner: Arc<Owner>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (run, epoch) = (self.run.to_string(), self.epoch as i64);
        self.later.write(move |connection| {
            // The end of a run gives it back already.
            let sql =
                "UPDATE runs SET owner = NULL WHERE id = ?1 AND epoch = ?2 AND owner NOT NULL";
            connection.prepare_cached(sql)?.execute(params![run, epoch]).map(drop)
        });
    }
}

/// Columns of a record, in the order in which [`record_of`] reads them.
const RECORD: &str = "id, tenant, workflow, seed, catalog_revision, created_ms, status, updated_ms, \
                      cancel_requested, owner, origin, priority, start_by_ms, webhook, payer";

fn record_of(row: &Row<'_>) -> rusqlite::Result<Owned> {
    let status: String = row.get(6)?;
    let run = NewRun {
        id: RunId::new(row.get::<_, String>(0)?),
        tenant: TenantId::new(row.get::<_, String>(1)?),
        workflow: row.get(2)?,
        plan: String::new(),
        request: String::new(),
        seed: row.get::<_, i64>(3)? as u64,
        catalog_revision: row.get(4)?,
        created_ms: row.get::<_, i64>(5)? as u64,
        origin: row.get(10)?,
        priority: row.get(11)?,
        start_by_ms: row.get::<_, Option<i64>>(12)?.map(|at_ms| at_ms as u64),
        webhook: row.get(13)?,
        payer: row.get(14)?,
        claim: None,
    };
    let record = RunRecord {
        run,
        status: RunStatus::parse(&status).unwrap_or(RunStatus::Interrupted),
        updated_ms: row.get::<_, i64>(7)? as u64,
        cancel_requested: row.get(8)?,
    };
    Ok((record, row.get(9)?))
}

fn not_found(run: &RunId) -> Error {
    Error::not_found(format!("there is no run {run}")).hint("`impasto runs` lists them")
}

fn conflict(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

/// The run that a wish became before.
fn claimed(
    connection: &Connection,
    run: &NewRun,
    claim: &Claim,
    owner: &Owner,
) -> Result<Option<RunId>> {
    let sql = "SELECT body, run, state, owner, at_ms, (SELECT status FROM runs WHERE id = run) \
               FROM claims WHERE tenant = ?1 AND key = ?2";
    type Known = (String, String, String, String, i64, Option<String>);
    let known: Option<Known> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            let read = |row: &Row<'_>| {
                let (body, run, state) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((body, run, state, row.get(3)?, row.get(4)?, row.get(5)?))
            };
            statement.query_row([run.tenant.as_str(), &claim.key], read).optional()
        })
        .map_err(|error| database(&error))?;
    let Some((body, known, state, deliverer, at_ms, status)) = known else { return Ok(None) };
    if claim.kind == ClaimKind::Explicit {
        return match body == claim.body.to_string() {
            true => Ok(Some(RunId::new(known))),
            false => Err(impasto_store::other_body(&claim.key)),
        };
    }
    let died = state == DeliveryState::Open.as_str() && !owner.lives(&deliverer);
    let is_broken = died || state == DeliveryState::Broken.as_str();
    // Who gave it up and asks again does not want to hear of that.
    let is_given_up = status.as_deref() == Some(RunStatus::Cancelled.as_str());
    if !is_broken || is_given_up || run.created_ms.saturating_sub(at_ms as u64) > RETRY_WINDOW_MS {
        return Ok(None);
    }
    let sql = "UPDATE claims SET state = ?3, owner = ?4 WHERE tenant = ?1 AND key = ?2";
    let values = [run.tenant.as_str(), &claim.key, DeliveryState::Open.as_str(), &owner.name];
    connection.execute(sql, values).map_err(|error| database(&error))?;
    Ok(Some(RunId::new(known)))
}

/// Claims that are over are removed a few at a time, by those who leave one.
const CLAIMS_REMOVED: u32 = 4;

/// Removes claims that can stop no retry any more, `claim` being of now. A claim for ever is always
/// open, and one whose answer was given is gone.
fn clear_claims(connection: &Connection, claim: [&str; 3]) -> rusqlite::Result<()> {
    let [tenant, key, _] = claim;
    let sql = "DELETE FROM claims WHERE (tenant, key) IN (SELECT tenant, key FROM claims \
               WHERE state <> 'open' AND at_ms < (SELECT at_ms FROM claims WHERE tenant = ?1 AND \
               key = ?2) - ?3 ORDER BY at_ms LIMIT ?4)";
    let values = params![tenant, key, RETRY_WINDOW_MS as i64, CLAIMS_REMOVED];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Marks where an answer is. A claim whose answer was read, or is wanted no more, claims nothing.
fn mark_claim(
    connection: &Connection,
    claim: [&str; 3],
    state: DeliveryState,
) -> rusqlite::Result<()> {
    let [tenant, key, run] = claim;
    let known = "tenant = ?1 AND key = ?2 AND run = ?3";
    let is_over = match state {
        DeliveryState::Answered => Some(""),
        DeliveryState::Late => Some("AND state = 'broken'"),
        _ => None,
    };
    if let Some(only) = is_over {
        let sql = format!("DELETE FROM claims WHERE {known} {only}");
        return connection.prepare_cached(&sql)?.execute([tenant, key, run]).map(drop);
    }
    let sql = format!("UPDATE claims SET state = ?4 WHERE {known}");
    connection.prepare_cached(&sql)?.execute([tenant, key, run, state.as_str()])?;
    clear_claims(connection, claim)
}

fn write_claim(connection: &Connection, run: &NewRun, claim: &Claim, owner: &str) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO claims VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.execute(params![
                run.tenant.as_str(),
                claim.key,
                claim.body.to_string(),
                run.id.as_str(),
                DeliveryState::Open.as_str(),
                owner,
                run.created_ms as i64
            ])
        })
        .map(drop)
        .map_err(|error| database(&error))
}

/// Creates the run, unless the same wish became one before.
fn create_or_find(
    connection: &Connection,
    run: &NewRun,
    plan: &Digest,
    owner: &Owner,
) -> Result<Option<RunId>> {
    if let Some(claim) = &run.claim {
        if let Some(known) = claimed(connection, run, claim, owner)? {
            return Ok(Some(known));
        }
        write_claim(connection, run, claim, &owner.name)?;
    }
    create(connection, run, plan, &owner.name).map(|()| None)
}

fn create(connection: &Connection, run: &NewRun, plan: &Digest, owner: &str) -> Result<()> {
    let sql = "INSERT INTO runs (id, tenant, workflow, seed, catalog_revision, created_ms, \
               status, updated_ms, epoch, owner, origin, priority, start_by_ms, webhook, payer, \
               number) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, 1, ?8, ?9, ?10, ?11, ?12, ?13, \
               coalesce(max(number), 0) + 1 FROM runs WHERE tenant = ?2 AND created_ms = ?6 \
               ON CONFLICT (id) DO NOTHING";
    let made = connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.execute(params![
                run.id.as_str(),
                run.tenant.as_str(),
                run.workflow,
                run.seed as i64,
                run.catalog_revision,
                run.created_ms as i64,
                RunStatus::Running.as_str(),
                owner,
                run.origin,
                run.priority,
                run.start_by_ms.map(|at_ms| at_ms as i64),
                run.webhook,
                run.payer
            ])
        })
        .map_err(|error| database(&error))?;
    if made == 0 {
        return Err(conflict(format!("there is already a run {}", run.id)));
    }
    write_texts(connection, run, plan).map_err(|error| database(&error))
}

fn write_texts(connection: &Connection, run: &NewRun, plan: &Digest) -> rusqlite::Result<()> {
    let digest = plan.to_string();
    let known = "SELECT 1 FROM plans WHERE digest = ?1";
    if !connection.prepare_cached(known)?.exists([&digest])? {
        let sql = "INSERT INTO plans VALUES (?1, ?2)";
        connection.prepare_cached(sql)?.execute([&digest, &run.plan])?;
    }
    let sql = "INSERT INTO texts (run, plan, request, digest) VALUES (?1, '', ?2, ?3)";
    connection.prepare_cached(sql)?.execute([run.id.as_str(), &run.request, &digest]).map(drop)
}

fn commit(connection: &Connection, batch: &Batch, owner: &str) -> Result<Receipt> {
    // The last number is looked up where the events are about to be written anyway: a column of it
    // would be one more page to write for every commit.
    let sql = "SELECT epoch, owner, coalesce((SELECT max(seq) FROM events WHERE run = ?1), 0), \
               cancel_requested, tenant FROM runs WHERE id = ?1";
    type Known = (i64, Option<String>, i64, bool, String);
    let known: Option<Known> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            let read = |row: &Row<'_>| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            };
            statement.query_row([batch.run.as_str()], read).optional()
        })
        .map_err(|error| database(&error))?;
    let (epoch, holder, last_seq, cancel_requested, tenant) =
        known.ok_or_else(|| not_found(&batch.run))?;
    if epoch != batch.epoch as i64 || holder.as_deref() != Some(owner) {
        return Err(conflict(format!("run {} is not this process's to write any more", batch.run)));
    }
    for (expected, event) in (last_seq + 1..).zip(&batch.events) {
        if event.seq as i64 != expected {
            let message = format!("run {} expects event {expected}, not {}", batch.run, event.seq);
            return Err(conflict(message));
        }
    }
    write(connection, batch, &tenant).map_err(|error| database(&error))?;
    Ok(Receipt { cancel_requested })
}

fn write(connection: &Connection, batch: &Batch, tenant: &str) -> rusqlite::Result<()> {
    let run = batch.run.as_str();
    let mut add = connection.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?;
    for event in &batch.events {
        add.execute(params![run, event.seq as i64, event.at_ms as i64, event.body])?;
    }
    let sql = "INSERT INTO ledger (run, at_ms, kind, step, attempt, offer, amount, tenant) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    for entry in &batch.ledger {
        connection.prepare_cached(sql)?.execute(params![
            run,
            entry.at_ms as i64,
            entry.kind.as_str(),
            entry.step,
            entry.attempt,
            entry.offer.as_str(),
            entry.amount.as_micros(),
            tenant
        ])?;
    }
    let sql = "INSERT OR REPLACE INTO outputs VALUES (?1, ?2, ?3)";
    for output in &batch.outputs {
        connection.prepare_cached(sql)?.execute(params![
            tenant,
            output.key.to_string(),
            output.body
        ])?;
    }
    telling::write(connection, batch, tenant)?;
    if let Some(status) = batch.status {
        let sql = "UPDATE runs SET status = ?2, updated_ms = ?3, \
                   owner = CASE WHEN ?4 THEN owner ELSE NULL END WHERE id = ?1";
        let keeps = status == RunStatus::Running;
        let values = params![run, status.as_str(), batch.at_ms as i64, keeps];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

fn acquire(connection: &Connection, tenant: &TenantId, run: &RunId, owner: &Owner) -> Result<u64> {
    let sql = "SELECT epoch, owner FROM runs WHERE id = ?1 AND tenant = ?2";
    let known: Option<(i64, Option<String>)> = connection
        .query_row(sql, [run.as_str(), tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(|error| database(&error))?;
    let (epoch, holder) = known.ok_or_else(|| not_found(run))?;
    if holder.is_some_and(|holder| owner.lives(&holder)) {
        return Err(conflict(format!("run {run} is being worked on already"))
            .hint("wait for it, or cancel it"));
    }
    let sql = "UPDATE runs SET epoch = ?2, owner = ?3, status = ?4 WHERE id = ?1";
    let values = params![run.as_str(), epoch + 1, owner.name, RunStatus::Running.as_str()];
    connection.execute(sql, values).map_err(|error| database(&error))?;
    Ok((epoch + 1) as u64)
}

fn load(
    connection: &Connection,
    tenant: &TenantId,
    run: &RunId,
    after: u64,
) -> rusqlite::Result<Option<(Owned, Vec<StoredEvent>)>> {
    let sql = format!(
        "SELECT {RECORD}, coalesce(plans.text, texts.plan), request FROM runs JOIN texts ON run = id \
         LEFT JOIN plans ON plans.digest = texts.digest WHERE id = ?1 AND tenant = ?2"
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row([run.as_str(), tenant.as_str()], |row| {
            let (mut record, owner) = record_of(row)?;
            (record.run.plan, record.run.request) = (row.get(15)?, row.get(16)?);
            Ok((record, owner))
        })
        .optional()?;
    let Some(record) = found else { return Ok(None) };
    let sql = "SELECT seq, at_ms, body FROM events WHERE run = ?1 AND seq > ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let event = |row: &Row<'_>| {
        let (seq, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(StoredEvent { seq: seq as u64, at_ms: at_ms as u64, body: row.get(2)? })
    };
    let events = statement.query_map(params![run.as_str(), after as i64], event)?;
    Ok(Some((record, events.collect::<rusqlite::Result<_>>()?)))
}

fn ledger_of(row: &Row<'_>) -> rusqlite::Result<LedgerEntry> {
    let (at_ms, kind): (i64, String) = (row.get(0)?, row.get(1)?);
    Ok(LedgerEntry {
        at_ms: at_ms as u64,
        kind: LedgerKind::parse(&kind).unwrap_or(LedgerKind::Intent),
        step: row.get(2)?,
        attempt: row.get(3)?,
        offer: OfferId::new(row.get::<_, String>(4)?),
        amount: Money::micros(row.get(5)?),
    })
}

impl Recovery for SqliteRuns {
    fn delivery(
        &self,
        tenant: TenantId,
        key: String,
        run: RunId,
        state: DeliveryState,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.writer.write(Haste::None, move |connection| {
            mark_claim(connection, [tenant.as_str(), &key, run.as_str()], state)
                .map_err(|error| database(&error))
        }))
    }

    fn orphans(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(TenantId, RunId)>>> {
        Box::pin(async move {
            let sql = "SELECT tenant, id, owner FROM runs WHERE status = 'running' \
                       ORDER BY priority DESC, created_ms, number";
            self.read(|connection| {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query([])?;
                let mut orphans = Vec::new();
                while let Some(row) = rows.next()? {
                    let holder: Option<String> = row.get(2)?;
                    if holder.is_some_and(|holder| self.owner.lives(&holder)) {
                        continue;
                    }
                    let (tenant, run): (String, String) = (row.get(0)?, row.get(1)?);
                    orphans.push((TenantId::new(tenant), RunId::new(run)));
                    if orphans.len() >= limit as usize {
                        break;
                    }
                }
                Ok(orphans)
            })
        })
    }
}

impl RunStore for SqliteRuns {
    fn create(&self, run: NewRun, first: Option<Batch>) -> BoxFuture<'_, Result<Created>> {
        Box::pin(async move {
            let (id, owner) = (run.id.clone(), Arc::clone(&self.owner));
            let plan = Digest::of(run.plan.as_bytes());
            let act = move |connection: &Connection| {
                let known = create_or_find(connection, &run, &plan, &owner)?;
                if let (None, Some(first)) = (&known, &first) {
                    write(connection, first, run.tenant.as_str())
                        .map_err(|error| database(&error))?;
                }
                Ok(known)
            };
            let (known, durable) = self.writer.write_first(act).await?;
            Ok(match known {
                Some(known) => {
                    // Whoever created it may still be waiting for the same.
                    durable.wait().await?;
                    Created::Known(known)
                }
                None => Created::New(self.lease(id, 1), durable),
            })
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Receipt>> {
        let owner = self.owner.name.clone();
        let durable = batch.durable;
        Box::pin(
            self.writer
                .write(Haste::of(durable), move |connection| commit(connection, &batch, &owner)),
        )
    }

    fn acquire(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Lease>> {
        Box::pin(async move {
            let (id, owner) = (run.clone(), Arc::clone(&self.owner));
            let acquiring =
                self.writer.write(Haste::Soon, move |c| acquire(c, &tenant, &run, &owner));
            let epoch = acquiring.await?;
            Ok(self.lease(id, epoch))
        })
    }

    fn load(&self, tenant: TenantId, run: RunId, after: u64) -> BoxFuture<'_, Result<StoredRun>> {
        Box::pin(async move {
            let found = self.read(|connection| load(connection, &tenant, &run, after))?;
            let (record, events) = found.ok_or_else(|| not_found(&run))?;
            Ok(StoredRun { record: self.shown(record), events })
        })
    }

    fn list(&self, filter: RunFilter) -> BoxFuture<'_, Result<Vec<RunRecord>>> {
        Box::pin(async move {
            let read = |row: &Row<'_>| record_of(row).map(|owned| self.shown(owned));
            let found = self.read(|connection| list(connection, &filter, RECORD, read))?;
            match (found, &filter.before) {
                (Some(records), _) => Ok(records),
                (None, Some(run)) => Err(not_found(run)),
                (None, None) => Ok(Vec::new()),
            }
        })
    }

    fn find_output(&self, tenant: TenantId, key: Digest) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(async move {
            let sql = "SELECT body FROM outputs WHERE tenant = ?1 AND key = ?2";
            self.read(|connection| {
                let mut statement = connection.prepare_cached(sql)?;
                statement
                    .query_row([tenant.as_str(), &key.to_string()], |row| row.get(0))
                    .optional()
            })
        })
    }

    fn ledger(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Vec<LedgerEntry>>> {
        Box::pin(async move {
            let exists = "SELECT 1 FROM runs WHERE id = ?1 AND tenant = ?2";
            let sql = "SELECT at_ms, kind, step, attempt, offer, amount FROM ledger WHERE run = ?1 ORDER BY number";
            let entries = self.read(|connection| {
                let known = connection
                    .query_row(exists, [run.as_str(), tenant.as_str()], |_| Ok(()))
                    .optional()?;
                let Some(()) = known else { return Ok(None) };
                let mut statement = connection.prepare_cached(sql)?;
                let entries = statement.query_map([run.as_str()], ledger_of)?;
                entries.collect::<rusqlite::Result<Vec<_>>>().map(Some)
            })?;
            entries.ok_or_else(|| not_found(&run))
        })
    }

    fn request_cancel(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let owner = Arc::clone(&self.owner);
            let asking = self.writer.write(Haste::Durable, move |connection| {
                let sql = "UPDATE runs SET cancel_requested = 1 WHERE id = ?1 AND tenant = ?2 RETURNING owner";
                let holder: Option<Option<String>> = connection
                    .query_row(sql, [run.as_str(), tenant.as_str()], |row| row.get(0))
                    .optional()
                    .map_err(|error| database(&error))?;
                let holder = holder.ok_or_else(|| not_found(&run))?;
                Ok(holder.is_some_and(|holder| owner.lives(&holder)))
            });
            asking.await
        })
    }

    fn cancel_requests(&self) -> BoxFuture<'_, Result<Vec<RunId>>> {
        Box::pin(async move {
            let sql = "SELECT id FROM runs WHERE owner = ?1 AND cancel_requested = 1";
            self.read(|connection| {
                let mut statement = connection.prepare_cached(sql)?;
                let ids = statement.query_map([&self.owner.name], |row| row.get::<_, String>(0))?;
                ids.map(|id| id.map(RunId::new)).collect()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use impasto_store::FIRST_EPOCH;

    use super::*;
    use crate::writer::tests::failing_log;

    #[tokio::test]
    async fn sqlite_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Arc::new(SqliteRuns::open(folder.path(), &SqliteOptions::default()).unwrap())
                as Arc<dyn RunStore>
        };
        impasto_store::conformance::runs(&open).await.unwrap();
    }

    #[tokio::test]
    async fn the_desk_in_sqlite_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Arc::new(SqliteRuns::open(folder.path(), &SqliteOptions::default()).unwrap())
                as Arc<dyn impasto_store::Store>
        };
        impasto_store::conformance::desk(&open).await.unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let options = SqliteOptions::default();
        let error = SqliteRuns::open(&file, &options).err().unwrap();
        assert!(error.message.contains("something else has that name"), "{error}");
        let locked = folder.path().join("locked");
        std::fs::create_dir(&locked).unwrap();
        let mut rights = std::fs::metadata(&locked).unwrap().permissions();
        rights.set_readonly(true);
        std::fs::set_permissions(&locked, rights).unwrap();
        // The administrator may write everywhere; then there is nothing to tell.
        if std::fs::write(locked.join("probe"), "").is_err() {
            let error = SqliteRuns::open(&locked, &options).err().unwrap();
            assert!(error.hint.unwrap().contains("permissions"));
        }
    }

    fn check_open(prepare: impl FnOnce(&Path), part: &str) {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let error = SqliteRuns::open(folder.path(), &SqliteOptions::default()).err().unwrap();
        assert!(error.message.contains(part), "{error}");
        assert!(error.hint.is_some(), "{error}");
    }

    #[test]
    fn what_is_no_database_of_ours_is_told() {
        check_open(
            |folder| {
                std::fs::write(folder.join(DATABASE), "not a database, at all".repeat(99)).unwrap();
            },
            "is none",
        );
        check_open(
            |folder| {
                let connection = connect(&folder.join(DATABASE)).unwrap();
                connection.pragma_update(None, "user_version", 99).unwrap();
            },
            "version 99",
        );
    }

    fn waiting(id: &str) -> NewRun {
        NewRun {
            id: RunId::new(id),
            tenant: TenantId::local(),
            workflow: "w".into(),
            plan: "{}".into(),
            request: "{}".into(),
            seed: 1,
            catalog_revision: "r".into(),
            created_ms: 1,
            origin: String::new(),
            priority: 0,
            start_by_ms: None,
            webhook: None,
            payer: String::new(),
            claim: None,
        }
    }

    #[tokio::test]
    async fn a_plan_is_kept_once_and_an_old_run_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let runs = SqliteRuns::open(folder.path(), &SqliteOptions::default()).unwrap();
        for id in ["one", "two"] {
            let _lease = runs.create(waiting(id), None).await.unwrap();
        }
        let connection = connect(&folder.path().join(DATABASE)).unwrap();
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM plans"), 1);
        let older = "UPDATE texts SET plan = 'an older plan', digest = NULL WHERE run = 'two'";
        connection.execute(older, []).unwrap();
        for (id, plan) in [("one", waiting("one").plan), ("two", "an older plan".to_owned())] {
            let stored = runs.load(TenantId::local(), RunId::new(id), 0).await.unwrap();
            assert_eq!(stored.record.run.plan, plan);
        }
    }

    #[tokio::test]
    async fn claims_that_can_stop_no_retry_any_more_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let runs = SqliteRuns::open(folder.path(), &SqliteOptions::default()).unwrap();
        let connection = connect(&folder.path().join(DATABASE)).unwrap();
        let sql = "SELECT group_concat(key, ' ') FROM (SELECT key FROM claims ORDER BY key)";
        for (key, created_ms, left) in
            [("a", 1, "a"), ("b", 2, "a b"), ("c", 3 + RETRY_WINDOW_MS, "c")]
        {
            let body = Digest::of(b"wish");
            let claim = Claim { key: key.to_owned(), body, kind: ClaimKind::Delivery };
            let run = NewRun { created_ms, claim: Some(claim), ..waiting(key) };
            let _lease = runs.create(run, None).await.unwrap();
            let (state, run) = (DeliveryState::Broken, RunId::new(key));
            runs.delivery(TenantId::local(), key.to_owned(), run, state).await.unwrap();
            let kept: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(kept, left);
        }
    }

    #[tokio::test]
    async fn a_new_run_is_durable_whatever_happens_in_it_first() {
        for with_first in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut runs = SqliteRuns::open(folder.path(), &SqliteOptions::default()).unwrap();
            let path = folder.path().join(DATABASE);
            let (log, tries) = failing_log(path.with_extension("db-wal"), 1);
            runs.writer = Writer::start(connect(&path).unwrap(), log).unwrap();
            for (id, fails) in [("kept", false), ("may-be-lost", true)] {
                let first = Batch::new(RunId::new(id), FIRST_EPOCH, 1);
                let created = runs.create(waiting(id), with_first.then_some(first)).await.unwrap();
                let Created::New(_lease, durable) = created else { panic!("it is new") };
                assert_eq!(durable.wait().await.is_err(), fails);
            }
            assert_eq!(tries.load(Ordering::SeqCst), 2, "the disk is asked for each of them");
        }
    }

    #[tokio::test]
    async fn a_full_disk_loses_nothing_that_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { pages_max: Some(40) };
        let runs = SqliteRuns::open(folder.path(), &options).unwrap();
        let run = waiting("full");
        let lease = runs.create(run.clone(), None).await.unwrap().lease().unwrap();
        let mut committed = 0;
        let error = loop {
            let mut batch = Batch::new(run.id.clone(), lease.epoch, 1);
            batch.events =
                vec![StoredEvent { seq: committed + 1, at_ms: 1, body: "x".repeat(9_000) }];
            match runs.commit(batch).await {
                Ok(_) => committed += 1,
                Err(error) => break error,
            }
        };
        assert!(error.message.contains("disk is full") && error.hint.is_some(), "{error}");
        assert!(committed > 0);
        let stored = runs.load(run.tenant, run.id, 0).await.unwrap();
        assert_eq!(stored.events.len() as u64, committed);
    }
}
