//! Interrupting, resuming, cancelling; and who may do it.

use impasto_domain::{ErrorKind, RunId};
use impasto_engine::{Engine, Updates};
use impasto_store::{RunFilter, RunStatus};
use impasto_testkit::{Oracle, Stage};
use impasto_workflow::Outcome;

use crate::*;

const FAR: &str = "workflow: far\nversion: 1\nsteps:\n  one: { task: add, input: { number: 1 } }\n  \
                   two: { task: add, input: { number: \"{{ steps.one.number }}\" } }\n\
                   outputs:\n  number: { value: \"{{ steps.two.number }}\" }\n";

async fn status(engine: &Engine, run: &RunId) -> RunStatus {
    let runs = engine.runs(RunFilter::newest(local(), 100)).await.unwrap();
    runs.into_iter().find(|record| record.run.id == *run).unwrap().status
}

/// Waits until an attempt has been started.
async fn under_way(engine: &Engine, run: &RunId) {
    soon("an attempt is under way", async || {
        let report = engine.report(local(), run.clone()).await.unwrap();
        report.steps.iter().any(|step| !step.attempts.is_empty())
    })
    .await;
}

#[tokio::test]
async fn a_run_that_was_interrupted_goes_on_where_it_was() {
    let hook =
        faults(|_, key, attempt| if key == "left" && attempt == 1 { hang() } else { fine() });
    let stage = Stage::in_memory().unwrap().faults(hook);
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    soon("left is under way", async || {
        let report = engine.report(local(), id.clone()).await.unwrap();
        report.steps.iter().any(|s| s.key.step == "left" && !s.attempts.is_empty())
    })
    .await;
    engine.interrupt(&id);
    assert_eq!(handle.wait().await.unwrap(), Outcome::Interrupted);
    assert_eq!(status(&engine, &id).await, RunStatus::Interrupted);
    let outcome = engine.resume(local(), id.clone()).await.unwrap().wait().await.unwrap();
    assert_eq!(output(&outcome, "total"), 12);
    let report = engine.report(local(), id.clone()).await.unwrap();
    let attempts: Vec<usize> = report.steps.iter().map(|step| step.attempts.len()).collect();
    assert_eq!(attempts, [1, 2, 1, 1], "only what was interrupted is done again");
    let error = engine.resume(local(), id).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Conflict, "what has ended does not go on");
}

#[tokio::test]
async fn a_job_far_away_outlives_the_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let stage = far_stage(Stage::in_memory().unwrap(), folder.path(), 150);
    let (engine, plan) = (stage.engine(), stage.plan(FAR).unwrap());
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    under_way(&engine, &id).await;
    engine.interrupt(&id);
    assert_eq!(handle.wait().await.unwrap(), Outcome::Interrupted);
    let outcome = engine.resume(local(), id).await.unwrap().wait().await.unwrap();
    assert_eq!(output(&outcome, "number"), 3);
    let oracle = Oracle::read(folder.path()).unwrap();
    assert_eq!((oracle.starts.len(), oracle.taken.len()), (2, 2), "{oracle:?}");
    assert!(oracle.cancelled.is_empty());
}

#[tokio::test]
async fn a_run_that_is_cancelled_ends_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let stage = far_stage(Stage::in_memory().unwrap(), folder.path(), 60_000);
    let (engine, plan) = (stage.engine(), stage.plan(FAR).unwrap());
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    under_way(&engine, &id).await;
    engine.cancel(local(), id.clone()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), Outcome::Cancelled);
    assert_eq!(Oracle::read(folder.path()).unwrap().cancelled.len(), 1, "the provider is told");
    let error = engine.resume(local(), id.clone()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(engine.cancel(local(), id).await.err().unwrap().kind, ErrorKind::Conflict);
}

/// A run of the jobs far away that has to end in so long.
async fn submit_with_deadline(engine: &Engine, stage: &Stage, within_ms: u64) -> RunHandle {
    let source = Source::Workflow(stage.plan(FAR).unwrap());
    let end_by_ms = Some(stage.parts.clock.now_ms() + within_ms);
    engine.submit(Request { end_by_ms, ..Request::new(source, values(&[])) }).await.unwrap()
}

#[tokio::test]
async fn a_run_that_does_not_end_in_time_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let stage = far_stage(Stage::in_memory().unwrap(), folder.path(), 60_000);
    let engine = stage.engine();
    let handle = submit_with_deadline(&engine, &stage, 300).await;
    let id = handle.id.clone();
    under_way(&engine, &id).await;
    assert_eq!(handle.wait().await.unwrap(), Outcome::Cancelled);
    let told = async |id: RunId| engine.summary(local(), id).await.unwrap().error.unwrap();
    let error = told(id).await;
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.message.contains("did not end in time"), "{error}");
    assert_eq!(Oracle::read(folder.path()).unwrap().cancelled.len(), 1, "the provider is told");
    // The time is kept: whoever goes on with a run when it is over ends it.
    let handle = submit_with_deadline(&engine, &stage, 400).await;
    let id = handle.id.clone();
    under_way(&engine, &id).await;
    engine.interrupt(&id);
    assert_eq!(handle.wait().await.unwrap(), Outcome::Interrupted);
    tokio::time::sleep(std::time::Duration::from_millis(450)).await;
    assert_eq!(status(&engine, &id).await, RunStatus::Interrupted, "nobody works on it");
    let outcome = engine.resume(local(), id.clone()).await.unwrap().wait().await.unwrap();
    assert_eq!((outcome, told(id).await.kind), (Outcome::Cancelled, ErrorKind::Timeout));
    // Of one that ends before, nothing more happens; nor of one that was given up before.
    let handle = submit_with_deadline(&engine, &stage, 60_000).await;
    let id = handle.id.clone();
    under_way(&engine, &id).await;
    engine.cancel(local(), id.clone()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), Outcome::Cancelled);
    assert_eq!(told(id).await.kind, ErrorKind::Cancelled);
}

#[tokio::test]
async fn another_process_can_cancel_a_run() {
    let store = impasto_store::MemoryRuns::default();
    let other = std::sync::Arc::new(store.another_owner());
    let blobs = std::sync::Arc::new(impasto_store::MemoryBlobs::default());
    let stage = Stage::over(std::sync::Arc::new(store), blobs.clone()).unwrap();
    let stage = stage.faults(faults(|_, _, _| hang()));
    let other = Stage::over(other, blobs).unwrap().engine();
    let engine = stage.engine();
    let handle = submit(&engine, &stage.plan(DIAMOND).unwrap(), &[]).await;
    let id = handle.id.clone();
    let error = other.resume(local(), id.clone()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Conflict, "nobody else may go on with it");
    under_way(&engine, &id).await;
    other.cancel(local(), id.clone()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap(), Outcome::Cancelled);
    let events = other.updates(local(), id).after(0);
    let wishes = count(events, &impasto_workflow::Event::CancelRequested).await;
    assert_eq!(wishes, 1, "the wish is written down once");
}

async fn count(mut updates: Updates, wanted: &impasto_workflow::Event) -> usize {
    let mut found = 0;
    while let Some(update) = updates.next().await {
        let kind = update.unwrap().kind;
        found += usize::from(kind == impasto_engine::UpdateKind::Event(wanted.clone()));
    }
    found
}

#[tokio::test]
async fn a_run_that_nobody_works_on_can_be_cancelled() {
    let hook = faults(|_, _, _| hang());
    let stage = Stage::in_memory().unwrap().faults(hook);
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    under_way(&engine, &id).await;
    engine.interrupt(&id);
    handle.wait().await.unwrap();
    engine.cancel(local(), id.clone()).await.unwrap();
    assert_eq!(status(&engine, &id).await, RunStatus::Cancelled);
}

#[tokio::test]
async fn a_run_that_failed_can_be_tried_again() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static WELL: AtomicBool = AtomicBool::new(false);
    let broken = || failing(impasto_domain::Error::new(ErrorKind::ProviderFailed, "broken"));
    let hook =
        faults(
            move |_, key, _| {
                if key == "right" && !WELL.load(Ordering::SeqCst) { broken() } else { fine() }
            },
        );
    let stage = Stage::in_memory().unwrap().faults(hook);
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    assert_eq!(error(&handle.wait().await.unwrap()).message, "broken");
    WELL.store(true, Ordering::SeqCst);
    let outcome = engine.resume(local(), id.clone()).await.unwrap().wait().await.unwrap();
    assert_eq!(output(&outcome, "total"), 12);
    let report = engine.report(local(), id).await.unwrap();
    let first = report.steps.iter().find(|step| step.key.step == "first").unwrap();
    assert_eq!(first.attempts.len(), 1, "what is done is not done again");
}
