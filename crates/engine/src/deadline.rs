//! When a run is given up because it takes too long as a whole.
//!
//! Invariants
//! - The time is kept with what was asked for: whoever goes on with a run after a crash keeps to it.
//! - A run that has ended stays as it ended.

use std::time::Duration;

use impasto_domain::{Error, ErrorKind, RunId, TenantId};
use impasto_store::{RunRecord, RunStatus};
use serde::Deserialize;

use crate::{Engine, RunHandle};

/// How often it is looked whether a run has ended for which nobody needs to wait any more.
const LOOK: Duration = Duration::from_secs(30);

/// What is read here of what a run was asked for.
#[derive(Deserialize)]
struct Asked {
    end_by_ms: Option<u64>,
}

/// Why a run was given up: it was not begun, or not done, in time; or somebody asked for it.
pub(crate) fn given_up(record: &RunRecord, started_ms: Option<u64>) -> Error {
    let is_over = |by_ms: Option<u64>| by_ms.is_some_and(|by_ms| by_ms <= record.updated_ms);
    let asked = serde_json::from_str(&record.run.request).ok();
    let late = |message: &str| Error::new(ErrorKind::Timeout, message);
    if started_ms.is_none() && is_over(record.run.start_by_ms) {
        return late("it did not start in time")
            .hint("allow it to wait longer, or ask for fewer at once");
    }
    if is_over(asked.and_then(|asked: Asked| asked.end_by_ms)) {
        return late("it did not end in time").hint("allow it more time, or choose a faster model");
    }
    Error::cancelled()
}

impl Engine {
    /// Gives the run up if it has not ended by then.
    pub(crate) fn end_by(&self, handle: Option<&RunHandle>, by_ms: Option<u64>) {
        let (Some(handle), Some(by_ms)) = (handle, by_ms) else { return };
        let (engine, tenant, run) = (self.clone(), handle.tenant.clone(), handle.id.clone());
        let left_ms = by_ms.saturating_sub(self.inner.parts.clock.now_ms());
        let work = handle.ending.abort_handle();
        tokio::spawn(async move {
            let mut left = Duration::from_millis(left_ms);
            while !left.is_zero() {
                let nap = left.min(LOOK);
                tokio::time::sleep(nap).await;
                left -= nap;
                // Nobody works on a run that has ended, nor on one that waits for a person.
                if work.is_finished() && !engine.may_go_on(&tenant, &run).await {
                    return;
                }
            }
            if engine.may_go_on(&tenant, &run).await {
                // It may have ended in between.
                let _over = engine.cancel(tenant, run).await;
            }
        });
    }

    /// Whether a run is worked on, or waits for a person.
    async fn may_go_on(&self, tenant: &TenantId, run: &RunId) -> bool {
        let found = self.record(tenant.clone(), run.clone()).await;
        let goes_on = [RunStatus::Running, RunStatus::Parked];
        found.is_ok_and(|stored| goes_on.contains(&stored.record.status))
    }
}
