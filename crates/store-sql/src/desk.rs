//! What a server keeps beside runs: keys, workflows, uploads, usage. Files and webhooks have modules
//! of their own.

use impasto_domain::{Digest, Error, ErrorKind, Money, OfferId, Result, TenantId};
use impasto_store::{
    BoxFuture, KeyRecord, KeyStore, UploadPart, UploadRecord, UploadStore, UsageLine, UsageStore,
    WorkflowRecord, WorkflowStore,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::error::database;
use crate::runs::SqliteRuns;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Carries out one statement; answers how many rows it changed.
pub(crate) fn execute(connection: &Connection, sql: &str, values: impl Params) -> Result<usize> {
    let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
    done.map_err(|error| database(&error))
}

/// The one row that a query gives, if it gives one.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached(sql)?.query_row(values, read).optional()
}

/// Every row that a query gives.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(values, read)?.collect()
}

/// A time or a count; the database knows signed numbers only.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| number.max(0) as u64)
}

/// The digest that a column holds.
pub(crate) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| {
        let what = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, what, "not a digest".into())
    })
}

const KEY: &str = "body, revoked_ms, last_used_ms";

fn key_of(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    let body: String = row.get(0)?;
    let key: KeyRecord = serde_json::from_str(&body).map_err(|error| {
        let what = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, what, Box::new(error))
    })?;
    let time = |column| row.get::<_, Option<i64>>(column).map(|at_ms| at_ms.map(|ms| ms as u64));
    Ok(KeyRecord { revoked_ms: time(1)?, last_used_ms: time(2)?, ..key })
}

impl KeyStore for SqliteRuns {
    fn add_key(&self, key: KeyRecord) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(true, move |connection| {
            let body = serde_json::to_string(&key)
                .map_err(|error| Error::internal(format!("a key cannot be written: {error}")))?;
            let sql = "INSERT INTO keys VALUES (?1, ?2, ?3, ?4, NULL, NULL) ON CONFLICT DO NOTHING";
            let values = params![key.id, key.tenant.as_str(), body, key.created_ms as i64];
            match execute(connection, sql, values)? {
                0 => Err(Error::new(
                    ErrorKind::Conflict,
                    format!("there is a key {} already", key.id),
                )),
                _ => Ok(()),
            }
        }))
    }

    fn key(&self, id: String) -> BoxFuture<'_, Result<Option<KeyRecord>>> {
        Box::pin(async move {
            let sql = format!("SELECT {KEY} FROM keys WHERE id = ?1");
            self.read(|connection| one(connection, &sql, [&id], key_of))
        })
    }

    fn keys(&self, tenant: Option<TenantId>) -> BoxFuture<'_, Result<Vec<KeyRecord>>> {
        Box::pin(async move {
            let sql = format!(
                "SELECT {KEY} FROM keys WHERE ?1 IS NULL OR tenant = ?1 ORDER BY created_ms, id"
            );
            let tenant = tenant.as_ref().map(TenantId::as_str);
            self.read(|connection| all(connection, &sql, [tenant], key_of))
        })
    }

    fn revoke_key(&self, id: String, at_ms: u64) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(true, move |connection| {
            let sql = "UPDATE keys SET revoked_ms = coalesce(revoked_ms, ?2) WHERE id = ?1";
            Ok(execute(connection, sql, params![id, at_ms as i64])? > 0)
        }))
    }

    fn key_used(&self, id: String, at_ms: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(false, move |connection| {
            let sql = "UPDATE keys SET last_used_ms = ?2 WHERE id = ?1";
            execute(connection, sql, params![id, at_ms as i64]).map(drop)
        }))
    }
}

fn workflow_of(row: &Row<'_>) -> rusqlite::Result<WorkflowRecord> {
    Ok(WorkflowRecord {
        name: row.get(0)?,
        version: row.get(1)?,
        text: row.get(2)?,
        created_ms: count(row, 3)?,
    })
}

/// The newest version of a workflow, or the one that is named.
const ONE_WORKFLOW: &str = "SELECT name, version, text, created_ms FROM workflows \
                            WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3) \
                            ORDER BY version DESC LIMIT 1";

impl WorkflowStore for SqliteRuns {
    fn put_workflow(
        &self,
        tenant: TenantId,
        name: String,
        text: String,
        at_ms: u64,
    ) -> BoxFuture<'_, Result<u32>> {
        Box::pin(self.write(true, move |connection| {
            let values = params![tenant.as_str(), name, None::<u32>];
            let newest = one(connection, ONE_WORKFLOW, values, workflow_of)
                .map_err(|error| database(&error))?;
            let version = match newest {
                Some(newest) if newest.text == text => return Ok(newest.version),
                newest => newest.map_or(1, |newest| newest.version + 1),
            };
            let sql = "INSERT INTO workflows VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![tenant.as_str(), name, version, text, at_ms as i64];
            execute(connection, sql, values).map(|_| version)
        }))
    }

    fn workflow(
        &self,
        tenant: TenantId,
        name: String,
        version: Option<u32>,
    ) -> BoxFuture<'_, Result<Option<WorkflowRecord>>> {
        Box::pin(async move {
            let values = params![tenant.as_str(), name, version];
            self.read(|connection| one(connection, ONE_WORKFLOW, values, workflow_of))
        })
    }

    fn workflows(&self, tenant: TenantId) -> BoxFuture<'_, Result<Vec<WorkflowRecord>>> {
        Box::pin(async move {
            let sql = "SELECT name, max(version), text, created_ms FROM workflows \
                       WHERE tenant = ?1 GROUP BY name ORDER BY name";
            self.read(|connection| all(connection, sql, [tenant.as_str()], workflow_of))
        })
    }

    fn workflow_versions(
        &self,
        tenant: TenantId,
        name: String,
    ) -> BoxFuture<'_, Result<Vec<WorkflowRecord>>> {
        Box::pin(async move {
            let sql = "SELECT name, version, text, created_ms FROM workflows \
                       WHERE tenant = ?1 AND name = ?2 ORDER BY version DESC";
            self.read(|connection| all(connection, sql, [tenant.as_str(), &name], workflow_of))
        })
    }

    fn remove_workflow(&self, tenant: TenantId, name: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(true, move |connection| {
            let sql = "DELETE FROM workflows WHERE tenant = ?1 AND name = ?2";
            Ok(execute(connection, sql, [tenant.as_str(), &name])? > 0)
        }))
    }
}

fn upload_of(row: &Row<'_>) -> rusqlite::Result<UploadRecord> {
    Ok(UploadRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        media_type: row.get(2)?,
        origin: row.get(3)?,
        created_ms: count(row, 4)?,
        expires_ms: count(row, 5)?,
        parts: Vec::new(),
    })
}

fn part_of(row: &Row<'_>) -> rusqlite::Result<UploadPart> {
    Ok(UploadPart { number: row.get(0)?, digest: digest(row, 1)?, bytes: count(row, 2)? })
}

fn end_upload(connection: &Connection, tenant: &str, id: &str) -> Result<bool> {
    let sql = "DELETE FROM upload_parts WHERE tenant = ?1 AND upload = ?2";
    execute(connection, sql, [tenant, id])?;
    Ok(execute(connection, "DELETE FROM uploads WHERE tenant = ?1 AND id = ?2", [tenant, id])? > 0)
}

impl UploadStore for SqliteRuns {
    fn begin_upload(&self, tenant: TenantId, upload: UploadRecord) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(false, move |connection| {
            let sql = "INSERT INTO uploads VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let values = params![
                tenant.as_str(),
                upload.id,
                upload.name,
                upload.media_type,
                upload.origin,
                upload.created_ms as i64,
                upload.expires_ms as i64
            ];
            execute(connection, sql, values).map(drop)
        }))
    }

    fn put_part(
        &self,
        tenant: TenantId,
        id: String,
        part: UploadPart,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(false, move |connection| {
            let sql = "INSERT OR REPLACE INTO upload_parts \
                       SELECT tenant, id, ?3, ?4, ?5 FROM uploads WHERE tenant = ?1 AND id = ?2";
            let (number, digest) = (part.number, part.digest.to_string());
            let values = params![tenant.as_str(), id, number, digest, part.bytes as i64];
            match execute(connection, sql, values)? {
                0 => Err(Error::not_found(format!("there is no upload {id}"))),
                _ => Ok(()),
            }
        }))
    }

    fn upload(&self, tenant: TenantId, id: String) -> BoxFuture<'_, Result<Option<UploadRecord>>> {
        Box::pin(async move {
            let sql = "SELECT id, name, media_type, origin, created_ms, expires_ms FROM uploads \
                       WHERE tenant = ?1 AND id = ?2";
            let parts = "SELECT number, digest, bytes FROM upload_parts \
                         WHERE tenant = ?1 AND upload = ?2 ORDER BY number";
            self.read(|connection| {
                let found = one(connection, sql, [tenant.as_str(), &id], upload_of)?;
                let Some(upload) = found else { return Ok(None) };
                let parts = all(connection, parts, [tenant.as_str(), &id], part_of)?;
                Ok(Some(UploadRecord { parts, ..upload }))
            })
        })
    }

    fn end_upload(&self, tenant: TenantId, id: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(false, move |c| end_upload(c, tenant.as_str(), &id)))
    }

    fn end_expired_uploads(&self, now_ms: u64) -> BoxFuture<'_, Result<usize>> {
        Box::pin(self.write(false, move |connection| {
            let sql = "SELECT tenant, id FROM uploads WHERE expires_ms <= ?1";
            let pair = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let expired = all(connection, sql, [now_ms as i64], pair);
            let expired = expired.map_err(|error| database(&error))?;
            for (tenant, id) in &expired {
                end_upload(connection, tenant, id)?;
            }
            Ok(expired.len())
        }))
    }
}

fn usage_of(row: &Row<'_>) -> rusqlite::Result<UsageLine> {
    Ok(UsageLine {
        day: count(row, 0)?,
        offer: OfferId::new(row.get::<_, String>(1)?),
        charges: count(row, 2)?,
        amount: Money::micros(row.get(3)?),
    })
}

impl UsageStore for SqliteRuns {
    fn usage(
        &self,
        tenant: TenantId,
        from_ms: u64,
        to_ms: u64,
    ) -> BoxFuture<'_, Result<Vec<UsageLine>>> {
        Box::pin(async move {
            let sql = "SELECT at_ms / ?4 AS day, offer, count(*), sum(amount) \
                       FROM ledger JOIN runs ON runs.id = ledger.run \
                       WHERE at_ms >= ?2 AND at_ms < ?3 AND tenant = ?1 AND kind = 'charge' \
                       GROUP BY day, offer ORDER BY day, offer";
            let values =
                params![tenant.as_str(), from_ms as i64, to_ms.min(MOST) as i64, DAY_MS as i64];
            self.read(|connection| all(connection, sql, values, usage_of))
        })
    }

    fn spent_since(&self, tenant: TenantId, from_ms: u64) -> BoxFuture<'_, Result<Money>> {
        Box::pin(async move {
            let sql = "SELECT coalesce(sum(amount), 0) FROM ledger AS entry \
                       JOIN runs ON runs.id = entry.run \
                       WHERE at_ms >= ?2 AND tenant = ?1 AND (kind = 'charge' OR kind = 'intent' \
                       AND NOT EXISTS (SELECT 1 FROM ledger AS end WHERE end.run = entry.run \
                       AND end.step = entry.step AND end.attempt = entry.attempt \
                       AND end.kind <> 'intent'))";
            let values = params![tenant.as_str(), from_ms as i64];
            let spent =
                self.read(|c| one(c, sql, values, |row| row.get::<_, i64>(0).map(Money::micros)));
            Ok(spent?.unwrap_or(Money::ZERO))
        })
    }
}

/// The latest time that the database can hold.
const MOST: u64 = i64::MAX as u64;
