//! When a run is given up because it takes too long as a whole.
//!
//! Invariants
//! - The time is kept with what was asked for: whoever goes on with a run after a crash keeps to it.
//! - A run that has ended stays as it ended.

use std::time::Duration;

use impasto_domain::{Error, ErrorKind, Result, RunId, TenantId};
use impasto_store::{NewRun, RunFilter, RunRecord, RunStatus, StoredRun};
use serde::Deserialize;
use tokio::task::AbortHandle;

use crate::summary::first_start_ms;
use crate::{Engine, RunHandle};

/// How often it is looked whether a run has ended for which nobody needs to wait any more; and after how
/// long one is given up again, if the store did not take it.
const LOOK: Duration = Duration::from_secs(30);
/// Runs that are listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// What is read here of what a run was asked for.
#[derive(Deserialize)]
struct Asked {
    end_by_ms: Option<u64>,
}

/// By when a run has to end, if there is such a time.
fn end_by_ms(run: &NewRun) -> Option<u64> {
    serde_json::from_str(&run.request).ok().and_then(|asked: Asked| asked.end_by_ms)
}

/// Why a run was to be given up at that time, if it was.
fn late(run: &NewRun, started_ms: Option<u64>, at_ms: u64) -> Option<Error> {
    let is_over = |by_ms: Option<u64>| by_ms.is_some_and(|by_ms| by_ms <= at_ms);
    let late = |message: &str| Error::new(ErrorKind::Timeout, message);
    if started_ms.is_none() && is_over(run.start_by_ms) {
        let error = late("it did not start in time");
        return Some(error.hint("allow it to wait longer, or ask for fewer at once"));
    }
    let error = || late("it did not end in time");
    is_over(end_by_ms(run)).then(|| error().hint("allow it more time, or choose a faster model"))
}

/// Why a run was given up: it was not begun, or not done, in time; or somebody asked for it.
pub(crate) fn given_up(record: &RunRecord, started_ms: Option<u64>) -> Error {
    late(&record.run, started_ms, record.updated_ms).unwrap_or_else(Error::cancelled)
}

impl Engine {
    /// Whether the time of a run is over.
    pub(crate) fn is_late(&self, run: &NewRun, started_ms: Option<u64>) -> bool {
        late(run, started_ms, self.inner.parts.clock.now_ms()).is_some()
    }

    /// Refuses to go on with a run that has failed if its time is over: it stays as it ended.
    pub(crate) fn refuse_late(&self, stored: &StoredRun) -> Result<()> {
        let (record, now_ms) = (&stored.record, self.inner.parts.clock.now_ms());
        let is_late = late(&record.run, first_start_ms(stored), now_ms).is_some();
        if record.status != RunStatus::Failed || !is_late {
            return Ok(());
        }
        let message = format!("run {} has failed, and its time is over", record.run.id);
        Err(Error::new(ErrorKind::Conflict, message).hint("start a new run"))
    }

    /// Gives the run up if it has not ended by then.
    pub(crate) fn end_handle_by(&self, handle: Option<&RunHandle>, by_ms: Option<u64>) {
        let (Some(handle), Some(by_ms)) = (handle, by_ms) else { return };
        let work = handle.ending.abort_handle();
        self.end_by(handle.tenant.clone(), handle.id.clone(), by_ms, Some(work));
    }

    /// The same of a run that may be worked on here.
    fn end_by(&self, tenant: TenantId, run: RunId, by_ms: u64, work: Option<AbortHandle>) {
        let engine = self.clone();
        let left_ms = by_ms.saturating_sub(self.inner.parts.clock.now_ms());
        tokio::spawn(async move {
            let mut left = Duration::from_millis(left_ms);
            while !left.is_zero() {
                let nap = left.min(LOOK);
                tokio::time::sleep(nap).await;
                left -= nap;
                // Nobody works on a run that has ended, nor on one that waits for a person.
                let is_idle = work.as_ref().is_some_and(AbortHandle::is_finished);
                if is_idle && !engine.may_go_on(&tenant, &run).await {
                    return;
                }
            }
            while engine.may_go_on(&tenant, &run).await {
                match engine.cancel(tenant.clone(), run.clone()).await {
                    // It may have ended in between.
                    Err(error) if error.kind != ErrorKind::Conflict => (),
                    _ => return,
                }
                tokio::time::sleep(LOOK).await;
            }
        });
    }

    /// Gives up those of a tenant's runs that wait for a person when their time comes: for a process that
    /// starts. Others are waited for by whoever works on them. Answers how many have such a time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn end_parked_in_time(&self, tenant: &TenantId) -> Result<usize> {
        let mut found = 0;
        let mut filter = RunFilter::newest(tenant.clone(), LISTED_AT_ONCE);
        filter.statuses = vec![RunStatus::Parked];
        loop {
            let listed = self.runs(filter.clone()).await?;
            for record in &listed {
                let (tenant, run) = (tenant.clone(), record.run.id.clone());
                // A list leaves out what was asked for.
                let whole = self.record(tenant.clone(), run.clone()).await?.record;
                if let Some(by_ms) = end_by_ms(&whole.run) {
                    found += 1;
                    self.end_by(tenant, run, by_ms, None);
                }
            }
            match listed.last() {
                Some(last) if listed.len() as u64 >= u64::from(LISTED_AT_ONCE) => {
                    filter.before = Some(last.run.id.clone());
                }
                _ => return Ok(found),
            }
        }
    }

    /// Whether a run is worked on, or waits for a person; or nobody can tell now.
    async fn may_go_on(&self, tenant: &TenantId, run: &RunId) -> bool {
        let goes_on = [RunStatus::Running, RunStatus::Parked];
        match self.record(tenant.clone(), run.clone()).await {
            Ok(stored) => goes_on.contains(&stored.record.status),
            Err(error) => error.kind != ErrorKind::NotFound,
        }
    }
}
