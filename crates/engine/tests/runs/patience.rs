//! Runs whose store cannot be written for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use impasto_domain::{Digest, Error, ErrorKind, Result, RunId, TenantId};
use impasto_store::{
    Batch, BoxFuture, Created, DeliveryState, Lease, LedgerEntry, MemoryBlobs, MemoryRuns, NewRun,
    Receipt, Recovery, RunFilter, RunRecord, RunStore, StoredRun,
};
use impasto_testkit::{Oracle, Stage};
use impasto_workflow::Outcome;

use crate::*;

/// What a commit that fails leaves behind.
#[derive(Clone, Copy, PartialEq)]
enum Leaves {
    Nothing,
    Everything,
}

/// A store whose first commits fail.
struct Fickle {
    runs: MemoryRuns,
    failures: usize,
    error: Error,
    leaves: Leaves,
    tries: AtomicUsize,
}

impl RunStore for Fickle {
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Receipt>> {
        Box::pin(async move {
            let fails = self.tries.fetch_add(1, Ordering::SeqCst) < self.failures;
            if !fails || self.leaves == Leaves::Everything {
                let receipt = self.runs.commit(batch).await?;
                return if fails { Err(self.error.clone()) } else { Ok(receipt) };
            }
            Err(self.error.clone())
        })
    }

    fn create(&self, run: NewRun, first: Option<Batch>) -> BoxFuture<'_, Result<Created>> {
        self.runs.create(run, first)
    }

    fn acquire(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Lease>> {
        self.runs.acquire(tenant, run)
    }

    fn load(&self, tenant: TenantId, run: RunId, after: u64) -> BoxFuture<'_, Result<StoredRun>> {
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

impl Recovery for Fickle {
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

const ONE: &str = "workflow: one\nversion: 1\nsteps:\n  one: { task: add, cache: false, input: { \
                   number: 1 } }\noutputs:\n  number: { value: \"{{ steps.one.number }}\" }\n";

fn full() -> Error {
    Error::unavailable("the disk is full").retryable()
}

/// How the run ended, how often a commit was tried, and how many jobs were begun and taken back.
struct Seen {
    ended: Result<Outcome>,
    tries: usize,
    begun: usize,
    cancelled: usize,
}

/// A run with a job far away, over a store of which so many commits fail.
async fn seen(failures: usize, error: Error, leaves: Leaves, patience_ms: u64) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let (runs, tries) = (MemoryRuns::default(), AtomicUsize::new(0));
    let store = Arc::new(Fickle { runs, failures, error, leaves, tries });
    let runs = Arc::clone(&store) as Arc<dyn RunStore>;
    let stage = Stage::over(runs, Arc::new(MemoryBlobs::default())).unwrap();
    let mut stage = far_stage(stage, folder.path(), 1);
    stage.options.store_patience_ms = patience_ms;
    let engine = stage.engine();
    let handle = submit(&engine, &stage.plan(ONE).unwrap(), &[]).await;
    let id = handle.id.clone();
    let ended = handle.wait().await;
    let events = store.load(local(), id, 0).await.unwrap().events;
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "nothing is written twice");
    let oracle = Oracle::read(folder.path()).unwrap();
    assert!(oracle.starts.values().all(|count| *count == 1), "{:?}", oracle.starts);
    let (begun, cancelled) = (oracle.starts.len(), oracle.cancelled.len());
    Seen { ended, tries: store.tries.load(Ordering::SeqCst), begun, cancelled }
}

#[tokio::test]
async fn a_store_that_fails_for_a_moment_stops_no_run() {
    let troubled = seen(3, full(), Leaves::Nothing, 60_000).await;
    assert_eq!(output(&troubled.ended.unwrap(), "number"), 2);
    assert!(troubled.tries > 3 && troubled.begun == 1, "{} tries", troubled.tries);
}

#[tokio::test]
async fn a_run_gives_up_where_its_patience_or_the_use_of_trying_ends() {
    let lost = || Error::new(ErrorKind::Conflict, "not this process's to write any more");
    for (rule, failures, error, leaves, patience_ms, tries) in [
        ("what does not help is not tried again", 99, lost(), Leaves::Nothing, 60_000, 1..=1),
        ("its patience ends", 99, full(), Leaves::Nothing, 120, 3..=4),
        ("no patience at all", 99, full(), Leaves::Nothing, 0, 1..=1),
        ("what was written after all is refused", 1, full(), Leaves::Everything, 60_000, 2..=2),
    ] {
        let kind = match leaves {
            Leaves::Nothing => error.kind,
            Leaves::Everything => ErrorKind::Conflict,
        };
        let seen = seen(failures, error, leaves, patience_ms).await;
        let error = seen.ended.unwrap_err();
        assert_eq!(error.kind, kind, "{rule}: {error}");
        assert!(tries.contains(&seen.tries), "{rule}: {} tries", seen.tries);
        assert_eq!((seen.begun, seen.cancelled), (1, 0), "{rule}: jobs are left alone");
    }
}

#[tokio::test]
async fn a_run_that_waits_for_its_store_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (runs, tries) = (MemoryRuns::default(), AtomicUsize::new(0));
    let (failures, error, leaves) = (usize::MAX, full(), Leaves::Nothing);
    let store = Arc::new(Fickle { runs, failures, error, leaves, tries });
    let runs = Arc::clone(&store) as Arc<dyn RunStore>;
    let stage = Stage::over(runs, Arc::new(MemoryBlobs::default())).unwrap();
    let stage = far_stage(stage, folder.path(), 1);
    let engine = stage.engine();
    let handle = submit(&engine, &stage.plan(ONE).unwrap(), &[]).await;
    soon("it waits", async || store.tries.load(Ordering::SeqCst) >= 2).await;
    let begun = Instant::now();
    engine.interrupt(&handle.id);
    assert_eq!(handle.wait().await.unwrap_err().message, "the disk is full");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
