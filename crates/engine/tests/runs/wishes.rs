//! Wishes to end a run that come at the worst moment, and times that are kept nevertheless.

use std::sync::atomic::Ordering;
use std::time::Duration;

use impasto_domain::{ErrorKind, RunId};
use impasto_store::{MemoryBlobs, MemoryRuns, RunStatus};

use crate::meddling::Meddling;
use crate::*;

/// A step, then a person.
const ASKING: &str = r#"
workflow: asking
version: 1
steps:
  one: { task: echo, cache: false, input: { number: 1 } }
  look: { approve: "Is it good?", show: { number: "{{ steps.one.number }}" } }
outputs: {}
"#;

async fn status(engine: &Engine, run: &RunId) -> RunStatus {
    engine.report(local(), run.clone()).await.unwrap().status
}

/// A run that waits for a person, and has to end in so long.
async fn asking(stage: &Stage, engine: &Engine, within_ms: u64) -> RunId {
    let source = Source::Workflow(stage.plan(ASKING).unwrap());
    let end_by_ms = Some(stage.parts.clock.now_ms() + within_ms);
    let request = Request { end_by_ms, ..Request::new(source, values(&[])) };
    let handle = engine.submit(request).await.unwrap();
    let id = handle.id.clone();
    assert!(matches!(handle.wait().await.unwrap(), Outcome::Parked { .. }));
    id
}

#[tokio::test]
async fn a_wish_that_comes_just_before_a_run_stands_still_is_done() {
    let store = Meddling::new();
    let stage = Stage::over(store.clone(), Arc::new(MemoryBlobs::default())).unwrap();
    let (engine, plan) = (stage.engine(), stage.plan(ASKING).unwrap());
    store.is_given_up.store(true, Ordering::SeqCst);
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    assert_eq!(handle.wait().await.unwrap(), Outcome::Cancelled);
    assert_eq!(status(&engine, &id).await, RunStatus::Cancelled);
    // The same of one that is interrupted while something is under way.
    let stage = stage.faults(faults(|_, _, _| hang()));
    let engine = stage.engine();
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    store.is_given_up.store(true, Ordering::SeqCst);
    engine.interrupt(&id);
    assert_eq!(handle.wait().await.unwrap(), Outcome::Cancelled);
    assert_eq!(status(&engine, &id).await, RunStatus::Cancelled);
}

#[tokio::test]
async fn a_run_that_failed_is_not_given_up_and_fails_no_second_time() {
    let broken = || failing(Error::new(ErrorKind::ProviderFailed, "broken"));
    let stage = Stage::in_memory().unwrap().faults(faults(move |_, _, _| broken()));
    let engine = stage.engine();
    let source = Source::Workflow(stage.plan(DIAMOND).unwrap());
    let end_by_ms = Some(stage.parts.clock.now_ms() + 200);
    let request = Request { end_by_ms, ..Request::new(source, values(&[])) };
    let handle = engine.submit(request).await.unwrap();
    let id = handle.id.clone();
    assert_eq!(error(&handle.wait().await.unwrap()).message, "broken");
    let events = engine.summary(local(), id.clone()).await.unwrap().last_seq;
    let error = engine.cancel(local(), id.clone()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("has ended: failed"), "{error}");
    tokio::time::sleep(Duration::from_millis(250)).await;
    let error = engine.resume(local(), id.clone()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Conflict, "its time is over: {error}");
    assert_eq!(status(&engine, &id).await, RunStatus::Failed);
    assert_eq!(engine.summary(local(), id).await.unwrap().last_seq, events, "nothing happened");
}

#[tokio::test]
async fn the_time_of_a_run_is_kept_though_the_store_could_not_be_read_for_a_while() {
    let store = Meddling::new();
    let stage = Stage::over(store.clone(), Arc::new(MemoryBlobs::default())).unwrap();
    let engine = stage.engine();
    let id = asking(&stage, &engine, 40_000).await;
    tokio::time::pause();
    store.is_unreadable.store(true, Ordering::SeqCst);
    // It is looked at once in this time, and once more when its time has come.
    tokio::time::sleep(Duration::from_secs(35)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    store.is_unreadable.store(false, Ordering::SeqCst);
    assert_eq!(status(&engine, &id).await, RunStatus::Parked);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(status(&engine, &id).await, RunStatus::Cancelled);
}

#[tokio::test]
async fn whoever_starts_next_keeps_the_time_of_a_run_that_waits_for_a_person() {
    let store = MemoryRuns::default();
    let (next, blobs) = (Arc::new(store.another_owner()), Arc::new(MemoryBlobs::default()));
    let stage = Stage::over(Arc::new(store), blobs.clone()).unwrap();
    let first = tokio::runtime::Runtime::new().unwrap();
    let (id, stage) = {
        let work = async move { (asking(&stage, &stage.engine(), 300).await, stage) };
        first.spawn(work).await.unwrap()
    };
    // The process ends, and with it whoever waits.
    first.shutdown_background();
    drop(stage);
    let engine = Stage::over(next, blobs).unwrap().engine();
    assert_eq!(engine.end_parked_in_time(&local()).await.unwrap(), 1);
    assert_eq!(status(&engine, &id).await, RunStatus::Parked);
    soon("it is given up", async || status(&engine, &id).await == RunStatus::Cancelled).await;
    let error = engine.summary(local(), id).await.unwrap().error.unwrap();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    assert_eq!(engine.end_parked_in_time(&local()).await.unwrap(), 0);
}

#[tokio::test]
async fn one_looks_for_the_wishes_of_others_however_often_runs_begin() {
    let mut stage = Stage::in_memory().unwrap();
    stage.options.cancel_watch_ms = 60_000;
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    for number in 0..10 {
        let (outcome, _) = run(&engine, &plan, &[("number", number)]).await;
        assert!(matches!(outcome, Outcome::Succeeded { .. }));
    }
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    soon("nothing else is left", async || alive() <= 1).await;
    assert_eq!(alive(), 1, "the one that looks");
}
