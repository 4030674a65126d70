//! Runs in memory. Several owners can share the same data, as processes share a database.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use impasto_domain::{Digest, Error, ErrorKind, Result, RunId, TenantId};

use crate::memory_desk::Desk;
use crate::{
    Batch, BoxFuture, Claim, ClaimKind, Created, DeliveryState, Durable, Lease, LedgerEntry,
    NewRun, RETRY_WINDOW_MS, Receipt, Recovery, RunFilter, RunRecord, RunStatus, RunStore,
    StoredEvent, StoredRun,
};

/// Runs in memory, for tests and small programs.
#[derive(Default)]
pub struct MemoryRuns {
    shared: Arc<Mutex<Shared>>,
    alive: Arc<()>,
    durable: Durable,
}

impl MemoryRuns {
    /// A store whose new runs are said to be durable in that moment.
    pub fn durable_when(durable: Durable) -> Self {
        Self { durable, ..Self::default() }
    }
}

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) desk: Desk,
    runs: BTreeMap<RunId, Kept>,
    order: Vec<RunId>,
    outputs: HashMap<(TenantId, Digest), String>,
    claims: HashMap<(TenantId, String), Claimed>,
}

/// What a claim stands for.
struct Claimed {
    run: RunId,
    body: Digest,
    state: DeliveryState,
    /// Alive while the one who is to deliver the answer is.
    owner: Weak<()>,
    at_ms: u64,
}

impl Shared {
    /// The runs of a tenant with their ledgers.
    pub(crate) fn runs_of(
        &self,
        tenant: &TenantId,
    ) -> impl Iterator<Item = (&NewRun, &[LedgerEntry])> {
        let own = self.runs.values().filter(move |kept| kept.record.run.tenant == *tenant);
        own.map(|kept| (&kept.record.run, kept.ledger.as_slice()))
    }

    /// The run that a wish became before.
    fn claimed(&mut self, run: &NewRun, claim: &Claim, owner: &Arc<()>) -> Result<Option<RunId>> {
        let key = (run.tenant.clone(), claim.key.clone());
        let Some(known) = self.claims.get_mut(&key) else { return Ok(None) };
        if claim.kind == ClaimKind::Explicit {
            return match known.body == claim.body {
                true => Ok(Some(known.run.clone())),
                false => Err(other_body(&claim.key)),
            };
        }
        let died = known.state == DeliveryState::Open && known.owner.strong_count() == 0;
        let is_broken = died || known.state == DeliveryState::Broken;
        let stored = self.runs.get(&known.run);
        // Who gave it up and asks again does not want to hear of that.
        let is_given_up = stored.is_some_and(|kept| kept.record.status == RunStatus::Cancelled);
        if !is_broken || is_given_up || run.created_ms.saturating_sub(known.at_ms) > RETRY_WINDOW_MS
        {
            return Ok(None);
        }
        known.state = DeliveryState::Open;
        known.owner = Arc::downgrade(owner);
        Ok(Some(known.run.clone()))
    }
}

struct Kept {
    record: RunRecord,
    events: Vec<StoredEvent>,
    ledger: Vec<LedgerEntry>,
    epoch: u64,
    /// Alive while both the lease and its owner are.
    owner: Weak<()>,
    holder: Weak<()>,
}

impl Kept {
    fn is_held(&self) -> bool {
        self.owner.strong_count() > 0 && self.holder.strong_count() > 0
    }

    fn lease(&mut self, owner: &Arc<()>) -> Lease {
        let holder = Arc::new(());
        self.owner = Arc::downgrade(owner);
        self.holder = Arc::downgrade(&holder);
        self.epoch += 1;
        Lease { run: self.record.run.id.clone(), epoch: self.epoch, guard: Box::new(holder) }
    }

    fn shown(&self) -> RunRecord {
        let mut record = self.record.clone();
        if record.status == RunStatus::Running && !self.is_held() {
            record.status = RunStatus::Interrupted;
        }
        record
    }
}

impl MemoryRuns {
    /// Another owner of the same runs, as a second process would be.
    #[must_use]
    pub fn another_owner(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            alive: Arc::new(()),
            durable: self.durable.clone(),
        }
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create_now(&self, mut run: NewRun) -> Result<Created> {
        let mut shared = self.shared();
        let claim = run.claim.take();
        if let Some(claim) = &claim
            && let Some(known) = shared.claimed(&run, claim, &self.alive)?
        {
            return Ok(Created::Known(known));
        }
        if shared.runs.contains_key(&run.id) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("there is already a run {}", run.id),
            ));
        }
        let id = run.id.clone();
        let updated_ms = run.created_ms;
        let record =
            RunRecord { run, status: RunStatus::Running, updated_ms, cancel_requested: false };
        let mut kept = Kept {
            record,
            events: Vec::new(),
            ledger: Vec::new(),
            epoch: 0,
            owner: Weak::new(),
            holder: Weak::new(),
        };
        let lease = kept.lease(&self.alive);
        if let Some(Claim { key, body, .. }) = claim {
            let (tenant, at_ms) = (kept.record.run.tenant.clone(), kept.record.run.created_ms);
            let (state, owner) = (DeliveryState::Open, Arc::downgrade(&self.alive));
            let claimed = Claimed { run: id.clone(), body, state, owner, at_ms };
            shared.claims.insert((tenant, key), claimed);
        }
        shared.order.push(id.clone());
        shared.runs.insert(id, kept);
        Ok(Created::New(lease, self.durable.clone()))
    }

    fn commit_now(&self, batch: Batch) -> Result<Receipt> {
        let mut shared = self.shared();
        let kept = shared.runs.get_mut(&batch.run).ok_or_else(|| not_found(&batch.run))?;
        if kept.epoch != batch.epoch || !kept.is_held() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("run {} is not this process's to write any more", batch.run),
            ));
        }
        for (expected, event) in (kept.events.len() as u64 + 1..).zip(&batch.events) {
            if event.seq != expected {
                let message =
                    format!("run {} expects event {expected}, not {}", batch.run, event.seq);
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
        let tenant = kept.record.run.tenant.clone();
        let has_webhook = kept.record.run.webhook.is_some();
        crate::memory_desk::take(&mut shared, &tenant, &batch, has_webhook);
        let kept = shared.runs.get_mut(&batch.run).ok_or_else(|| not_found(&batch.run))?;
        kept.events.extend(batch.events);
        kept.ledger.extend(batch.ledger);
        if let Some(status) = batch.status {
            kept.record.status = status;
            kept.record.updated_ms = batch.at_ms;
            if status != RunStatus::Running {
                kept.holder = Weak::new();
            }
        }
        let receipt = Receipt { cancel_requested: kept.record.cancel_requested };
        for output in batch.outputs {
            shared.outputs.insert((tenant.clone(), output.key), output.body);
        }
        Ok(receipt)
    }

    fn acquire_now(&self, tenant: &TenantId, run: &RunId) -> Result<Lease> {
        let mut shared = self.shared();
        let kept = find(&mut shared, tenant, run)?;
        if kept.is_held() {
            return Err(held(run));
        }
        let lease = kept.lease(&self.alive);
        kept.record.status = RunStatus::Running;
        Ok(lease)
    }

    fn list_now(&self, filter: &RunFilter) -> Result<Vec<RunRecord>> {
        let shared = self.shared();
        let own = shared.order.iter().rev().filter_map(|id| shared.runs.get(id));
        let mut own: Vec<_> = own.filter(|kept| kept.record.run.tenant == filter.tenant).collect();
        own.sort_by_key(|kept| std::cmp::Reverse(kept.record.run.created_ms));
        let behind = match &filter.before {
            None => 0,
            Some(run) => {
                let place = own.iter().position(|kept| kept.record.run.id == *run);
                place.ok_or_else(|| not_found(run))? + 1
            }
        };
        let newest_first = own.into_iter().skip(behind).map(Kept::shown);
        let listed = newest_first
            .filter(|record| passes(filter, record))
            .take(filter.limit as usize)
            .map(|mut record| {
                record.run.plan.clear();
                record.run.request.clear();
                record
            });
        Ok(listed.collect())
    }

    fn orphans_now(&self, limit: u32) -> Vec<(TenantId, RunId)> {
        let shared = self.shared();
        let left = |kept: &&Kept| kept.record.status == RunStatus::Running && !kept.is_held();
        let all = shared.order.iter().filter_map(|id| shared.runs.get(id)).filter(left);
        let mut all: Vec<&NewRun> = all.map(|kept| &kept.record.run).collect();
        all.sort_by_key(|run| std::cmp::Reverse(run.priority));
        let of = |run: &NewRun| (run.tenant.clone(), run.id.clone());
        all.into_iter().take(limit as usize).map(of).collect()
    }

    fn cancel_requests_now(&self) -> Vec<RunId> {
        let owner = Arc::downgrade(&self.alive);
        let shared = self.shared();
        let mine = |kept: &&Kept| {
            kept.record.cancel_requested && kept.is_held() && Weak::ptr_eq(&kept.owner, &owner)
        };
        shared.runs.values().filter(mine).map(|kept| kept.record.run.id.clone()).collect()
    }
}

fn find<'a>(shared: &'a mut Shared, tenant: &TenantId, run: &RunId) -> Result<&'a mut Kept> {
    let kept = shared.runs.get_mut(run).filter(|kept| kept.record.run.tenant == *tenant);
    kept.ok_or_else(|| not_found(run))
}

fn passes(filter: &RunFilter, record: &RunRecord) -> bool {
    let run = &record.run;
    (filter.statuses.is_empty() || filter.statuses.contains(&record.status))
        && run.id.as_str().starts_with(&filter.id_prefix)
        && filter.workflow.as_ref().is_none_or(|name| run.workflow == *name)
        && filter.created_from_ms.is_none_or(|from_ms| run.created_ms >= from_ms)
        && filter.created_to_ms.is_none_or(|to_ms| run.created_ms < to_ms)
}

fn not_found(run: &RunId) -> Error {
    Error::not_found(format!("there is no run {run}")).hint("`impasto runs` lists them")
}

/// The error for a key that was used for something else.
pub fn other_body(key: &str) -> Error {
    let message = format!("the idempotency key '{key}' was used for another request");
    Error::new(ErrorKind::Conflict, message).hint("use a new key for each new request")
}

fn held(run: &RunId) -> Error {
    Error::new(ErrorKind::Conflict, format!("run {run} is being worked on already"))
        .hint("wait for it, or cancel it")
}

impl Recovery for MemoryRuns {
    fn delivery(
        &self,
        tenant: TenantId,
        key: String,
        run: RunId,
        state: DeliveryState,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut shared = self.shared();
            if let Some(known) = shared.claims.get_mut(&(tenant, key)).filter(|c| c.run == run) {
                let is_taken_up = known.state != DeliveryState::Broken;
                if state != DeliveryState::Late || !is_taken_up {
                    known.state = state;
                }
            }
            Ok(())
        })
    }

    fn orphans(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(TenantId, RunId)>>> {
        Box::pin(async move { Ok(self.orphans_now(limit)) })
    }
}

impl RunStore for MemoryRuns {
    fn create(&self, run: NewRun, first: Option<Batch>) -> BoxFuture<'_, Result<Created>> {
        Box::pin(async move {
            let created = self.create_now(run)?;
            match (&created, first) {
                (Created::New(..), Some(first)) => self.commit_now(first).map(drop)?,
                (Created::New(..), None) => {}
                // Whoever created it may still be waiting for the same.
                (Created::Known(_), _) => self.durable.wait().await?,
            }
            Ok(created)
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Receipt>> {
        Box::pin(async move { self.commit_now(batch) })
    }

    fn acquire(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Lease>> {
        Box::pin(async move { self.acquire_now(&tenant, &run) })
    }

    fn load(&self, tenant: TenantId, run: RunId, after: u64) -> BoxFuture<'_, Result<StoredRun>> {
        Box::pin(async move {
            let mut shared = self.shared();
            let kept = find(&mut shared, &tenant, &run)?;
            let events = kept.events.iter().filter(|event| event.seq > after).cloned().collect();
            Ok(StoredRun { record: kept.shown(), events })
        })
    }

    fn list(&self, filter: RunFilter) -> BoxFuture<'_, Result<Vec<RunRecord>>> {
        Box::pin(async move { self.list_now(&filter) })
    }

    fn find_output(&self, tenant: TenantId, key: Digest) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(async move { Ok(self.shared().outputs.get(&(tenant, key)).cloned()) })
    }

    fn ledger(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Vec<LedgerEntry>>> {
        Box::pin(async move { Ok(find(&mut self.shared(), &tenant, &run)?.ledger.clone()) })
    }

    fn request_cancel(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let mut shared = self.shared();
            let kept = find(&mut shared, &tenant, &run)?;
            kept.record.cancel_requested = true;
            Ok(kept.is_held())
        })
    }

    fn cancel_requests(&self) -> BoxFuture<'_, Result<Vec<RunId>>> {
        Box::pin(async move { Ok(self.cancel_requests_now()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_conforms() {
        let first = MemoryRuns::default();
        let open = || Arc::new(first.another_owner()) as Arc<dyn RunStore>;
        crate::conformance::runs(&open).await.unwrap();
    }

    #[tokio::test]
    async fn the_desk_in_memory_conforms() {
        let first = MemoryRuns::default();
        let open = || Arc::new(first.another_owner()) as Arc<dyn crate::Store>;
        crate::conformance::desk(&open).await.unwrap();
    }

    #[test]
    fn memory_blobs_conform() {
        crate::conformance::blobs(&crate::MemoryBlobs::default()).unwrap();
    }
}
