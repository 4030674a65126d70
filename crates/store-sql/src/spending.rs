//! What tenants have spent.
//!
//! Who watches a limit asks for the same sum again and again, a little later. A sum is therefore kept
//! with the number of the last entry that went into it, and only what came after that is read: entries
//! are only ever added, and their numbers grow in the order in which they are committed.

use std::collections::HashMap;

use impasto_domain::{Money, OfferId, Result, TenantId};
use impasto_store::{BoxFuture, LedgerKind, UsageLine, UsageStore};
use rusqlite::{Connection, Row, params};

use crate::desk::{all, count, one};
use crate::runs::SqliteRuns;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The latest time that the database can hold.
const MOST: u64 = i64::MAX as u64;

/// The most sums that are kept; then all are forgotten, and added up anew when they are asked for.
const SUMS_MAX: usize = 4096;

/// Whose spending: a tenant's, or that of one payer of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Spender {
    tenant: TenantId,
    payer: Option<String>,
}

/// An attempt: its run, its step, its number.
type Attempt = (String, String, u32);

/// What a spender has spent since a time.
struct Sum {
    from_ms: u64,
    /// The number of the last entry that went into it.
    last: i64,
    charged: Money,
    /// Intents that nothing has come of yet.
    open: HashMap<Attempt, Money>,
}

/// Sums that were asked for.
#[derive(Default)]
pub(crate) struct Sums {
    known: HashMap<Spender, Sum>,
}

struct Entry {
    kind: LedgerKind,
    attempt: Attempt,
    amount: Money,
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let kind: String = row.get(0)?;
    Ok(Entry {
        kind: LedgerKind::parse(&kind).unwrap_or(LedgerKind::Intent),
        attempt: (row.get(1)?, row.get(2)?, row.get(3)?),
        amount: Money::micros(row.get(4)?),
    })
}

impl Sum {
    fn new(from_ms: u64) -> Self {
        Self { from_ms, last: 0, charged: Money::ZERO, open: HashMap::new() }
    }

    fn add(&mut self, entry: Entry) {
        match entry.kind {
            LedgerKind::Intent => {
                self.open.insert(entry.attempt, entry.amount);
                return;
            }
            LedgerKind::Charge => self.charged += entry.amount,
            LedgerKind::Release => (),
        }
        self.open.remove(&entry.attempt);
    }

    /// Adds what came since.
    fn go_on(&mut self, connection: &Connection, spender: &Spender) -> rusqlite::Result<()> {
        // What is committed while this reads has a higher number, and goes in the next time.
        let newest = "SELECT coalesce(max(number), 0) FROM ledger";
        let newest: i64 = one(connection, newest, [], |row| row.get(0))?.unwrap_or_default();
        // The first time, by the time; then by the number. A plus keeps a column from being looked up by.
        let found = match self.last {
            0 => "ledger.tenant = ?1 AND at_ms >= ?2 AND +number > ?3",
            _ => "+ledger.tenant = ?1 AND +at_ms >= ?2 AND number > ?3",
        };
        let sql = format!(
            "SELECT kind, run, step, attempt, amount FROM ledger WHERE {found} AND number <= ?4 \
             AND (?5 IS NULL OR ?5 = (SELECT payer FROM runs WHERE id = run)) ORDER BY number"
        );
        let from_ms = self.from_ms.min(MOST) as i64;
        let values = params![spender.tenant.as_str(), from_ms, self.last, newest, spender.payer];
        let entries = all(connection, &sql, values, entry_of)?;
        entries.into_iter().for_each(|entry| self.add(entry));
        self.last = newest;
        Ok(())
    }

    fn total(&self) -> Money {
        self.charged + self.open.values().copied().sum()
    }
}

impl Sums {
    fn since(
        &mut self,
        connection: &Connection,
        spender: &Spender,
        from_ms: u64,
    ) -> rusqlite::Result<Money> {
        if self.known.len() >= SUMS_MAX && !self.known.contains_key(spender) {
            self.known.clear();
        }
        let sum = self.known.entry(spender.clone()).or_insert_with(|| Sum::new(from_ms));
        if sum.from_ms != from_ms {
            *sum = Sum::new(from_ms);
        }
        sum.go_on(connection, spender)?;
        Ok(sum.total())
    }
}

impl SqliteRuns {
    fn spent(&self, spender: &Spender, from_ms: u64) -> Result<Money> {
        self.read(|connection| self.sums().since(connection, spender, from_ms))
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
            let sql = "SELECT at_ms / ?4 AS day, offer, count(*), sum(amount) FROM ledger \
                       WHERE tenant = ?1 AND at_ms >= ?2 AND at_ms < ?3 AND kind = 'charge' \
                       GROUP BY day, offer ORDER BY day, offer";
            let (from_ms, to_ms) = (from_ms.min(MOST) as i64, to_ms.min(MOST) as i64);
            let values = params![tenant.as_str(), from_ms, to_ms, DAY_MS as i64];
            self.read(|connection| all(connection, sql, values, usage_of))
        })
    }

    fn spent_since(&self, tenant: TenantId, from_ms: u64) -> BoxFuture<'_, Result<Money>> {
        Box::pin(async move { self.spent(&Spender { tenant, payer: None }, from_ms) })
    }

    fn spent_by(
        &self,
        tenant: TenantId,
        payer: String,
        from_ms: u64,
    ) -> BoxFuture<'_, Result<Money>> {
        Box::pin(async move { self.spent(&Spender { tenant, payer: Some(payer) }, from_ms) })
    }
}
