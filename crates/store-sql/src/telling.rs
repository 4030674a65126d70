//! Files that tenants know, and webhooks: both are written in the transaction that makes them so.

use impasto_domain::{Digest, Result, RunId, TenantId};
use impasto_store::{
    AssetEntry, AssetRecord, AssetRole, AssetStore, Batch, BoxFuture, DeliveryFilter,
    DeliveryRecord, EndpointRecord, STARTED, TellState, Told, WebhookStore, topic_of,
};
use rusqlite::{Connection, Row, params};

use crate::desk::{all, count, digest, execute, one};
use crate::error::database;
use crate::runs::SqliteRuns;

/// Notes one way in which a tenant knows a file.
fn record(connection: &Connection, tenant: &str, entry: &AssetEntry) -> rusqlite::Result<()> {
    let sql = "INSERT INTO assets (tenant, digest, body, role, run, step, name, at_ms, first) \
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
               NOT EXISTS (SELECT 1 FROM assets WHERE tenant = ?1 AND digest = ?2) \
               WHERE true ON CONFLICT DO NOTHING";
    let run = entry.run.as_ref().map_or("", RunId::as_str);
    connection
        .prepare_cached(sql)?
        .execute(params![
            tenant,
            entry.digest.to_string(),
            entry.body,
            entry.role.as_str(),
            run,
            entry.step,
            entry.name,
            entry.at_ms as i64
        ])
        .map(drop)
}

/// What a batch says of files, and whom it makes be told.
pub(crate) fn write(connection: &Connection, batch: &Batch, tenant: &str) -> rusqlite::Result<()> {
    for entry in &batch.assets {
        record(connection, tenant, entry)?;
    }
    let began = batch.events.first().is_some_and(|event| event.seq == 1).then_some(STARTED);
    for topic in began.into_iter().chain(batch.status.and_then(topic_of)) {
        let sql = "INSERT INTO deliveries (tenant, run, endpoint, topic, state, attempts, due_ms, \
                   last_status, last_error, created_ms) \
                   SELECT tenant, ?1, NULL, ?2, 'pending', 0, ?3, 0, '', ?3 FROM runs \
                   WHERE id = ?1 AND webhook IS NOT NULL \
                   UNION ALL \
                   SELECT tenant, ?1, id, ?2, 'pending', 0, ?3, 0, '', ?3 FROM endpoints \
                   WHERE tenant = ?4 AND enabled AND (topics = '' OR \
                   instr(',' || topics || ',', ',' || ?2 || ',') > 0)";
        let values = params![batch.run.as_str(), topic, batch.at_ms as i64, tenant];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

const ASSET: &str = "number, digest, body, role, run, step, name, at_ms";

fn asset_of(row: &Row<'_>) -> rusqlite::Result<AssetRecord> {
    let (role, run): (String, String) = (row.get(3)?, row.get(4)?);
    let first = AssetEntry {
        digest: digest(row, 1)?,
        body: row.get(2)?,
        role: AssetRole::parse(&role).unwrap_or(AssetRole::Upload),
        run: (!run.is_empty()).then(|| RunId::new(run)),
        step: row.get(5)?,
        name: row.get(6)?,
        at_ms: count(row, 7)?,
    };
    Ok(AssetRecord { number: count(row, 0)?, first })
}

impl AssetStore for SqliteRuns {
    fn record_assets(
        &self,
        tenant: TenantId,
        entries: Vec<AssetEntry>,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(false, move |connection| {
            let mut entries = entries.iter();
            entries
                .try_for_each(|entry| record(connection, tenant.as_str(), entry))
                .map_err(|error| database(&error))
        }))
    }

    fn asset(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> BoxFuture<'_, Result<Option<AssetRecord>>> {
        Box::pin(async move {
            let sql = format!(
                "SELECT {ASSET} FROM assets WHERE tenant = ?1 AND digest = ?2 ORDER BY number LIMIT 1"
            );
            let values = [tenant.as_str(), &digest.to_string()];
            self.read(|connection| one(connection, &sql, values, asset_of))
        })
    }

    fn assets(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<AssetRecord>>> {
        Box::pin(async move {
            let sql = format!(
                "SELECT {ASSET} FROM assets WHERE tenant = ?1 AND first = 1 \
                 AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3"
            );
            let values = params![tenant.as_str(), before.map(|number| number as i64), limit];
            self.read(|connection| all(connection, &sql, values, asset_of))
        })
    }

    fn asset_origins(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> BoxFuture<'_, Result<Vec<AssetEntry>>> {
        Box::pin(async move {
            let sql = format!(
                "SELECT {ASSET} FROM assets WHERE tenant = ?1 AND digest = ?2 ORDER BY number"
            );
            let values = [tenant.as_str(), &digest.to_string()];
            let entry = |row: &Row<'_>| asset_of(row).map(|record| record.first);
            self.read(|connection| all(connection, &sql, values, entry))
        })
    }

    fn forget_asset(&self, tenant: TenantId, digest: Digest) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(true, move |connection| {
            let sql = "DELETE FROM assets WHERE tenant = ?1 AND digest = ?2";
            Ok(execute(connection, sql, [tenant.as_str(), &digest.to_string()])? > 0)
        }))
    }
}

fn endpoint_of(row: &Row<'_>) -> rusqlite::Result<EndpointRecord> {
    let topics: String = row.get(3)?;
    let old: (Option<String>, Option<i64>) = (row.get(5)?, row.get(6)?);
    Ok(EndpointRecord {
        id: row.get(0)?,
        tenant: TenantId::new(row.get::<_, String>(1)?),
        url: row.get(2)?,
        topics: topics.split(',').filter(|topic| !topic.is_empty()).map(str::to_owned).collect(),
        secret: row.get(4)?,
        old_secret: old.0.zip(old.1.map(|until_ms| until_ms as u64)),
        enabled: row.get(7)?,
        created_ms: count(row, 8)?,
    })
}

const DELIVERY: &str = "number, tenant, run, endpoint, topic, state, attempts, due_ms, last_status, \
                        last_error, created_ms";

fn delivery_of(row: &Row<'_>) -> rusqlite::Result<DeliveryRecord> {
    let state: String = row.get(5)?;
    Ok(DeliveryRecord {
        number: count(row, 0)?,
        tenant: TenantId::new(row.get::<_, String>(1)?),
        run: RunId::new(row.get::<_, String>(2)?),
        endpoint: row.get(3)?,
        topic: row.get(4)?,
        state: TellState::parse(&state).unwrap_or(TellState::Pending),
        attempts: row.get(6)?,
        due_ms: count(row, 7)?,
        last_status: row.get(8)?,
        last_error: row.get(9)?,
        created_ms: count(row, 10)?,
    })
}

impl WebhookStore for SqliteRuns {
    fn put_endpoint(&self, endpoint: EndpointRecord) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(true, move |connection| {
            let sql =
                "INSERT OR REPLACE INTO endpoints VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            let old = endpoint.old_secret.as_ref();
            let values = params![
                endpoint.tenant.as_str(),
                endpoint.id,
                endpoint.url,
                endpoint.topics.join(","),
                endpoint.secret,
                old.map(|(secret, _)| secret),
                old.map(|(_, until_ms)| *until_ms as i64),
                endpoint.enabled,
                endpoint.created_ms as i64
            ];
            execute(connection, sql, values).map(drop)
        }))
    }

    fn endpoints(&self, tenant: TenantId) -> BoxFuture<'_, Result<Vec<EndpointRecord>>> {
        Box::pin(async move {
            let sql = "SELECT id, tenant, url, topics, secret, old_secret, old_until_ms, enabled, \
                       created_ms FROM endpoints WHERE tenant = ?1 ORDER BY created_ms, id";
            self.read(|connection| all(connection, sql, [tenant.as_str()], endpoint_of))
        })
    }

    fn remove_endpoint(&self, tenant: TenantId, id: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(true, move |connection| {
            let sql = "DELETE FROM endpoints WHERE tenant = ?1 AND id = ?2";
            Ok(execute(connection, sql, [tenant.as_str(), &id])? > 0)
        }))
    }

    fn due_deliveries(
        &self,
        now_ms: u64,
        until_ms: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>> {
        Box::pin(async move {
            let found = "SELECT 1 FROM deliveries WHERE state = 'pending' AND due_ms <= ?1 LIMIT 1";
            // Asked often and mostly in vain: it must not trouble the one who writes.
            if self.read(|c| one(c, found, [now_ms as i64], |_| Ok(())))?.is_none() {
                return Ok(Vec::new());
            }
            let sql = format!(
                "UPDATE deliveries SET due_ms = ?2 WHERE number IN (SELECT number FROM deliveries \
                 WHERE state = 'pending' AND due_ms <= ?1 ORDER BY due_ms LIMIT ?3) \
                 RETURNING {DELIVERY}"
            );
            let taking = self.write(false, move |connection| {
                let values = params![now_ms as i64, until_ms as i64, limit];
                all(connection, &sql, values, delivery_of).map_err(|error| database(&error))
            });
            // What an update returns has no order.
            let mut taken = taking.await?;
            taken.sort_by_key(|delivery| delivery.number);
            Ok(taken)
        })
    }

    fn told(&self, number: u64, told: Told) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write(false, move |connection| {
            let sql = "UPDATE deliveries SET state = ?2, due_ms = ?3, last_status = ?4, \
                       last_error = ?5, attempts = attempts + 1 WHERE number = ?1";
            let (state, due_ms) = (told.state.as_str(), told.due_ms as i64);
            let values = params![number as i64, state, due_ms, told.status, told.error];
            execute(connection, sql, values).map(drop)
        }))
    }

    fn deliveries(&self, filter: DeliveryFilter) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>> {
        Box::pin(async move {
            // Each of these indexes gives the rows in the order of their numbers.
            let (index, own) = match (&filter.run, &filter.endpoint) {
                (Some(_), _) => ("deliveries_of_run", "AND run = ?2"),
                (None, Some(_)) => ("deliveries_to_endpoint", "AND endpoint = ?3"),
                (None, None) => ("deliveries_newest", ""),
            };
            let sql = format!(
                "SELECT {DELIVERY} FROM deliveries INDEXED BY {index} WHERE tenant = ?1 {own} \
                 AND (?2 IS NULL OR run = ?2) AND (?3 IS NULL OR endpoint = ?3) \
                 AND (?4 IS NULL OR state = ?4) AND (?5 IS NULL OR number < ?5) \
                 ORDER BY number DESC LIMIT ?6"
            );
            let values = params![
                filter.tenant.as_str(),
                filter.run.as_ref().map(RunId::as_str),
                filter.endpoint,
                filter.state.map(TellState::as_str),
                filter.before.map(|number| number as i64),
                filter.limit
            ];
            self.read(|connection| all(connection, &sql, values, delivery_of))
        })
    }

    fn pending_deliveries(&self) -> BoxFuture<'_, Result<u64>> {
        let sql = "SELECT count(*) FROM deliveries WHERE state = 'pending'";
        let counted = self.read(|c| one(c, sql, [], |row| row.get::<_, i64>(0)));
        let counted = counted.map(|count| count.unwrap_or_default().unsigned_abs());
        Box::pin(async move { counted })
    }

    fn redeliver(&self, tenant: TenantId, number: u64, now_ms: u64) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.write(true, move |connection| {
            let sql = "UPDATE deliveries SET state = 'pending', due_ms = ?3, attempts = 0 \
                       WHERE tenant = ?1 AND number = ?2";
            let values = params![tenant.as_str(), number as i64, now_ms as i64];
            Ok(execute(connection, sql, values)? > 0)
        }))
    }
}
