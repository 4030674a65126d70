//! What a server keeps beside runs: keys, workflows, uploads. Files and webhooks have a module of their
//! own, and so has what was spent.

use impasto_domain::{Digest, Error, ErrorKind, Result, TenantId};
use impasto_store::{
    BoxFuture, Expired, KeyRecord, KeyStore, UploadPart, UploadRecord, UploadStore, WorkflowRecord,
    WorkflowStore,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::error::database;
use crate::runs::SqliteRuns;

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
            let own = if tenant.is_some() { "WHERE tenant = ?1" } else { "" };
            let sql = format!("SELECT {KEY} FROM keys {own} ORDER BY created_ms, id");
            let tenant = tenant.as_ref().map(TenantId::as_str);
            self.read(|connection| {
                all(connection, &sql, rusqlite::params_from_iter(tenant), key_of)
            })
        })
    }

    fn has_keys(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let found = self.read(|c| one(c, "SELECT 1 FROM keys LIMIT 1", [], |_| Ok(())))?;
            Ok(found.is_some())
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
                            AND removed = 0 ORDER BY version DESC LIMIT 1";

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
            if let Some(newest) = newest.filter(|newest| newest.text == text) {
                return Ok(newest.version);
            }
            let sql = "INSERT INTO workflows (tenant, name, version, text, created_ms) \
                       SELECT ?1, ?2, coalesce(max(version), 0) + 1, ?3, ?4 FROM workflows \
                       WHERE tenant = ?1 AND name = ?2 RETURNING version";
            let values = params![tenant.as_str(), name, text, at_ms as i64];
            let version = one(connection, sql, values, |row| row.get(0));
            let version = version.map_err(|error| database(&error))?;
            version.ok_or_else(|| Error::internal("the database gave a workflow no version"))
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
                       WHERE tenant = ?1 AND removed = 0 GROUP BY name ORDER BY name";
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
                       WHERE tenant = ?1 AND name = ?2 AND removed = 0 ORDER BY version DESC";
            self.read(|connection| all(connection, sql, [tenant.as_str(), &name], workflow_of))
        })
    }

    fn remove_workflow(&self, tenant: TenantId, name: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(true, move |connection| {
            // The numbers stay, so that they are not given to other texts.
            let sql = "UPDATE workflows SET removed = 1, text = '' \
                       WHERE tenant = ?1 AND name = ?2 AND removed = 0";
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

/// Ends an upload; answers its parts that are parts of no other.
fn end_upload(connection: &Connection, tenant: &str, id: &str) -> Result<Option<Vec<Digest>>> {
    let ended = "DELETE FROM uploads WHERE tenant = ?1 AND id = ?2";
    if execute(connection, ended, [tenant, id])? == 0 {
        return Ok(None);
    }
    let parts = "SELECT DISTINCT digest FROM upload_parts WHERE tenant = ?1 AND upload = ?2 \
                 ORDER BY digest";
    let parts = all(connection, parts, [tenant, id], |row| digest(row, 0));
    let mut parts = parts.map_err(|error| database(&error))?;
    let gone = "DELETE FROM upload_parts WHERE tenant = ?1 AND upload = ?2";
    execute(connection, gone, [tenant, id])?;
    let used = "SELECT 1 FROM upload_parts WHERE digest = ?1 LIMIT 1";
    let mut failed = Ok(());
    parts.retain(|digest| match one(connection, used, [digest.to_string()], |_| Ok(())) {
        Ok(found) => found.is_none(),
        Err(error) => {
            failed = Err(database(&error));
            false
        }
    });
    failed.map(|()| Some(parts))
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

    fn end_upload(
        &self,
        tenant: TenantId,
        id: String,
    ) -> BoxFuture<'_, Result<Option<Vec<Digest>>>> {
        Box::pin(self.write(false, move |c| end_upload(c, tenant.as_str(), &id)))
    }

    fn end_expired_uploads(&self, now_ms: u64, limit: u32) -> BoxFuture<'_, Result<Expired>> {
        Box::pin(self.write(false, move |connection| {
            let sql = "SELECT tenant, id FROM uploads WHERE expires_ms <= ?1 \
                       ORDER BY expires_ms LIMIT ?2";
            let pair = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let over = all(connection, sql, params![now_ms as i64, limit], pair);
            let over = over.map_err(|error| database(&error))?;
            let mut expired = Expired { uploads: over.len(), parts: Vec::new() };
            for (tenant, id) in &over {
                expired.parts.extend(end_upload(connection, tenant, id)?.unwrap_or_default());
            }
            Ok(expired)
        }))
    }
}
