//! The tables, and how an older database becomes one of today.

use std::path::Path;

use impasto_domain::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::database;

/// One step for each version; what is listed here is never changed, only added to.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        workflow TEXT NOT NULL,
        plan TEXT NOT NULL,
        request TEXT NOT NULL,
        seed INTEGER NOT NULL,
        catalog_revision TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        status TEXT NOT NULL,
        updated_ms INTEGER NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL,
        owner TEXT,
        last_seq INTEGER NOT NULL DEFAULT 0,
        number INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX runs_newest ON runs (tenant, number DESC);
    CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
    CREATE TABLE events (
        run TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE ledger (
        number INTEGER PRIMARY KEY,
        run TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        step TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        offer TEXT NOT NULL,
        amount INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX ledger_of_run ON ledger (run, number);
    CREATE TABLE outputs (
        tenant TEXT NOT NULL,
        key TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (tenant, key)
    ) STRICT, WITHOUT ROWID;
    ",
    "
    -- Long texts lie apart from the row that changes with every commit.
    CREATE TABLE texts (
        run TEXT PRIMARY KEY,
        plan TEXT NOT NULL,
        request TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO texts SELECT id, plan, request FROM runs;
    ALTER TABLE runs DROP COLUMN plan;
    ALTER TABLE runs DROP COLUMN request;
    ",
    "
    -- Asked several times a second: what it costs must not depend on how many runs are under way.
    DROP INDEX runs_owned;
    ALTER TABLE runs DROP COLUMN last_seq;
    CREATE INDEX runs_cancelled ON runs (owner) WHERE cancel_requested = 1;
    ",
    "
    ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT '';
    ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN start_by_ms INTEGER;
    ALTER TABLE runs ADD COLUMN webhook TEXT;
    CREATE INDEX runs_open ON runs (priority DESC, created_ms, number) WHERE status = 'running';
    CREATE TABLE claims (
        tenant TEXT NOT NULL,
        key TEXT NOT NULL,
        body TEXT NOT NULL,
        run TEXT NOT NULL,
        state TEXT NOT NULL,
        owner TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, key)
    ) STRICT, WITHOUT ROWID;
    ",
    "
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        body TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        revoked_ms INTEGER,
        last_used_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE workflows (
        tenant TEXT NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        text TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, name, version)
    ) STRICT, WITHOUT ROWID;
    -- One row for each way in which a tenant knows a file; the first of them numbers the file.
    CREATE TABLE assets (
        number INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        digest TEXT NOT NULL,
        body TEXT NOT NULL,
        role TEXT NOT NULL,
        run TEXT NOT NULL,
        step TEXT NOT NULL,
        name TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        first INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX assets_once ON assets (tenant, digest, role, run, step, name);
    CREATE INDEX assets_newest ON assets (tenant, number) WHERE first = 1;
    CREATE TABLE uploads (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        origin TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uploads_expiry ON uploads (expires_ms);
    CREATE TABLE upload_parts (
        tenant TEXT NOT NULL,
        upload TEXT NOT NULL,
        number INTEGER NOT NULL,
        digest TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (tenant, upload, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE endpoints (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        url TEXT NOT NULL,
        topics TEXT NOT NULL,
        secret TEXT NOT NULL,
        old_secret TEXT,
        old_until_ms INTEGER,
        enabled INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant TEXT NOT NULL,
        run TEXT NOT NULL,
        endpoint TEXT,
        topic TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        last_status INTEGER NOT NULL,
        last_error TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX deliveries_due ON deliveries (due_ms) WHERE state = 'pending';
    CREATE INDEX deliveries_newest ON deliveries (tenant, number);
    CREATE INDEX deliveries_of_run ON deliveries (run);
    CREATE INDEX ledger_time ON ledger (at_ms);
    ",
    "
    -- Newest means by time: one index gives the order, a place in it, and a range of it. Numbers tell
    -- apart what has one time.
    DROP INDEX runs_newest;
    CREATE INDEX runs_newest ON runs (tenant, created_ms DESC, number DESC);
    CREATE INDEX runs_named ON runs (tenant, workflow, created_ms DESC, number DESC);
    -- Few runs have not succeeded: they are found without passing all that have.
    CREATE INDEX runs_unsuccessful ON runs (tenant, created_ms DESC, number DESC)
        WHERE status <> 'succeeded';
    ALTER TABLE runs ADD COLUMN payer TEXT NOT NULL DEFAULT '';
    ALTER TABLE ledger ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
    UPDATE ledger SET tenant = coalesce((SELECT tenant FROM runs WHERE id = run), '');
    DROP INDEX ledger_time;
    CREATE INDEX ledger_of_tenant ON ledger (tenant, at_ms);
    CREATE INDEX claims_over ON claims (at_ms) WHERE state <> 'open';
    CREATE INDEX keys_of_tenant ON keys (tenant, created_ms);
    ALTER TABLE workflows ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX upload_parts_alike ON upload_parts (digest);
    DROP INDEX deliveries_of_run;
    CREATE INDEX deliveries_of_run ON deliveries (tenant, run);
    CREATE INDEX deliveries_to_endpoint ON deliveries (tenant, endpoint);
    ",
    "
    -- Most runs follow a plan that others followed before: it is kept once, under its digest. Runs from
    -- before have their own in `texts`.
    CREATE TABLE plans (
        digest TEXT PRIMARY KEY,
        text TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE texts ADD COLUMN digest TEXT;
    ",
];

/// How long a connection waits for another process, in milliseconds.
const BUSY_MS: u64 = 10_000;

/// Opens a connection with the settings that all of them have.
pub(crate) fn connect(path: &Path) -> Result<Connection> {
    // Each connection is used by one thread at a time, so it needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| database(&error))?;
    // The log is written back every 64 MiB and not more often: a page that changes with every commit
    // is then copied once for many of them. The cache holds the pages of some thousand runs.
    // What is to be durable the thread that writes synchronises itself.
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                    PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384; \
                    PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 134217728;";
    connection
        .busy_timeout(std::time::Duration::from_millis(BUSY_MS))
        .and_then(|()| connection.execute_batch(settings))
        .map_err(|error| database(&error))?;
    // A plan of SQLite that looks at what is bound would be made anew for each execution.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|error| database(&error))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Brings the tables to today's version. Another process may be doing the same.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let all = MIGRATIONS.len() as u32;
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(|error| database(&error))?;
    let version: u32 = transaction
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| database(&error))?;
    if version > all {
        let message = format!("the database is of version {version}, this program knows {all}");
        return Err(
            Error::unavailable(message).hint("use a newer program, or another folder with --data")
        );
    }
    for migration in MIGRATIONS.iter().skip(version as usize) {
        transaction.execute_batch(migration).map_err(|error| database(&error))?;
    }
    transaction
        .pragma_update(None, "user_version", all)
        .and_then(|()| transaction.commit())
        .map_err(|error| database(&error))
}
