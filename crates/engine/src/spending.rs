//! What those who pay may spend in a day, held to where money is about to leave.
//!
//! Invariants
//! - An attempt that costs money starts only if what its payer has spent today, what is about to be
//!   spent, and its own estimate fit into what the payer may spend. One that does not fit fails before
//!   anything has left, and leaves nothing in the ledger.
//! - From this comparison to the commit of the intent, nobody else of this process spends from the same
//!   payer. Turns that start attempts of a payer with a limit are therefore written one after the other;
//!   those of payers without one do not wait for each other.
//!
//! What it does not do: an attempt may cost more than was estimated, and one without a known price is
//! let through as long as anything is left. Processes that share a store know what the others have
//! committed, not what they are about to.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use impasto_domain::{Candidate, Error, ErrorKind, InstanceKey, Money, Result, TenantId};
use impasto_store::BoxFuture;
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

use crate::Engine;
use crate::runner::{Claim, Runner};

/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// When the day began, in UTC.
pub fn day_began_ms(now_ms: u64) -> u64 {
    now_ms - now_ms % DAY_MS
}

/// What is known of those who pay.
pub trait Purses: Send + Sync {
    /// The most that a payer of the tenant may spend in a day; none if nobody has said.
    fn most_a_day(&self, tenant: TenantId, payer: String) -> BoxFuture<'_, Result<Option<Money>>>;

    /// What it has spent since then, with what it is about to spend.
    fn spent_since(
        &self,
        tenant: TenantId,
        payer: String,
        from_ms: u64,
    ) -> BoxFuture<'_, Result<Money>>;
}

/// Why nothing more can be spent.
pub fn overspent(spent: Money, more: Money, most: Money) -> Error {
    let more = match more.is_zero() {
        true => String::new(),
        false => format!(" and this would cost {more}"),
    };
    let message = format!("{spent} were spent today{more}, this key may spend {most} a day");
    Error::new(ErrorKind::BudgetExceeded, message)
        .hint("wait until midnight UTC, or use a key with a higher limit")
}

type Payer = (TenantId, String);

/// Who may spend from which payer.
#[derive(Default)]
pub(crate) struct Spending {
    purses: OnceLock<Arc<dyn Purses>>,
    /// Of those with a limit, which are few.
    turns: Mutex<HashMap<Payer, Arc<Turns<()>>>>,
}

/// What a payer had spent, which stays so until this is dropped.
struct Purse {
    most: Money,
    spent: Money,
    _turn: OwnedMutexGuard<()>,
}

/// What a turn of a run spends, until it is written.
#[derive(Default)]
pub(crate) struct Spends {
    /// By how much it changes what is spent, in millionths.
    micros: i64,
    /// None if it was not asked for, or there is no limit.
    purse: Option<Purse>,
    is_free: bool,
    refused: BTreeSet<(InstanceKey, u32)>,
}

impl Spends {
    /// An attempt for which so much was meant to be spent has ended.
    pub(crate) fn settle(&mut self, estimate: Money, cost: Money) {
        self.micros += cost.as_micros() - estimate.as_micros();
    }

    /// Whether the attempt was not let through.
    pub(crate) fn has_refused(&self, key: &InstanceKey, attempt: u32) -> bool {
        !self.refused.is_empty() && self.refused.contains(&(key.clone(), attempt))
    }

    /// Takes what an attempt costs, if there is so much.
    fn take(&mut self, cost: Money) -> Result<()> {
        if let Some(purse) = &self.purse {
            let spent = purse.spent + Money::micros(self.micros);
            if spent >= purse.most || spent + cost > purse.most {
                return Err(overspent(spent, cost, purse.most));
            }
        }
        self.micros += cost.as_micros();
        Ok(())
    }
}

impl Spending {
    /// The purse of a payer, when it is nobody else's turn; none if it has no limit.
    async fn open(&self, payer: Payer, now_ms: u64) -> Result<Option<Purse>> {
        let Some(purses) = self.purses.get() else { return Ok(None) };
        let (tenant, name) = payer.clone();
        let Some(most) = purses.most_a_day(tenant, name).await? else { return Ok(None) };
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(payer.clone()).or_default())
        };
        let _turn = turn.lock_owned().await;
        let spent = purses.spent_since(payer.0, payer.1, day_began_ms(now_ms)).await?;
        Ok(Some(Purse { most, spent, _turn }))
    }
}

impl Engine {
    /// Says what payers may spend from now on; once. Without it nobody has a limit.
    pub fn spend_from(&self, purses: Arc<dyn Purses>) {
        // Who comes later knows the same payers.
        let _ = self.inner.spending.purses.set(purses);
    }
}

impl Runner {
    /// Why the attempt cannot be paid for, if it cannot; otherwise it is as good as paid for.
    ///
    /// # Errors
    /// Nobody can tell.
    pub(crate) async fn refusal(
        &self,
        claim: &Claim,
        spends: &mut Spends,
    ) -> Result<Option<Error>> {
        let costs = |it: &&Candidate| !it.cost.is_zero() || it.is_unpriced;
        let Some(candidate) = self.candidate(&claim.key, &claim.offer).filter(costs) else {
            return Ok(None);
        };
        if spends.purse.is_none() && !spends.is_free {
            let payer = (self.tenant.clone(), self.standing.lane.id.to_string());
            let now_ms = self.inner.parts.clock.now_ms();
            spends.purse = self.inner.spending.open(payer, now_ms).await?;
            spends.is_free = spends.purse.is_none();
        }
        let Err(error) = spends.take(candidate.cost) else { return Ok(None) };
        spends.refused.insert((claim.key.clone(), claim.attempt));
        Ok(Some(error.at(&claim.offer)))
    }
}
