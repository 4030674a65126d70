//! A store in memory with which something happens at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use impasto_domain::{Digest, Error, Result, RunId, TenantId};
use impasto_store::{
    Batch, BoxFuture, Created, DeliveryState, Lease, LedgerEntry, MemoryRuns, NewRun, Receipt,
    Recovery, RunFilter, RunRecord, RunStatus, RunStore, StoredRun,
};

#[derive(Default)]
pub(crate) struct Meddling {
    pub(crate) runs: MemoryRuns,
    /// Somebody gives a run up just before it stands still.
    pub(crate) is_given_up: AtomicBool,
    /// Nothing can be read.
    pub(crate) is_unreadable: AtomicBool,
}

impl Meddling {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }
}

impl Recovery for Meddling {
    fn delivery(
        &self,
        tenant: TenantId,
        key: String,
        run: RunId,
        state: DeliveryState,
    ) -> BoxFuture<'_, Result<()>> {
        self.runs.delivery(tenant, key, run, state)
    }

    fn orphans(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(TenantId, RunId)>>> {
        self.runs.orphans(limit)
    }
}

impl RunStore for Meddling {
    fn create(&self, run: NewRun, first: Option<Batch>) -> BoxFuture<'_, Result<Created>> {
        self.runs.create(run, first)
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Receipt>> {
        Box::pin(async move {
            let stands_still = [RunStatus::Parked, RunStatus::Interrupted];
            let is_still = batch.status.is_some_and(|status| stands_still.contains(&status));
            if is_still && self.is_given_up.swap(false, Ordering::SeqCst) {
                let held = self.runs.request_cancel(TenantId::local(), batch.run.clone()).await?;
                assert!(held, "whoever asks is told that it will be ended");
            }
            self.runs.commit(batch).await
        })
    }

    fn acquire(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Lease>> {
        self.runs.acquire(tenant, run)
    }

    fn load(&self, tenant: TenantId, run: RunId, after: u64) -> BoxFuture<'_, Result<StoredRun>> {
        if self.is_unreadable.load(Ordering::SeqCst) {
            return Box::pin(async { Err(Error::unavailable("the disk is busy")) });
        }
        self.runs.load(tenant, run, after)
    }

    fn list(&self, filter: RunFilter) -> BoxFuture<'_, Result<Vec<RunRecord>>> {
        self.runs.list(filter)
    }

    fn find_output(&self, tenant: TenantId, key: Digest) -> BoxFuture<'_, Result<Option<String>>> {
        self.runs.find_output(tenant, key)
    }

    fn ledger(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Vec<LedgerEntry>>> {
        self.runs.ledger(tenant, run)
    }

    fn request_cancel(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<bool>> {
        self.runs.request_cancel(tenant, run)
    }

    fn cancel_requests(&self) -> BoxFuture<'_, Result<Vec<RunId>>> {
        self.runs.cancel_requests()
    }
}
