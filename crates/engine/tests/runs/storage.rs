//! Runs over SQLite: processes side by side, a full disk, what is in doubt.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use impasto_domain::{Error, ErrorKind, InstanceKey};
use impasto_engine::{
    Driver, Durable, Failure, Job, Polled, Request, Source, StartCall, Started, Stopped,
};
use impasto_store::{BoxFuture, MemoryBlobs, MemoryRuns};
use impasto_testkit::{FarOptions, FarProvider, Oracle, Stage};
use impasto_testkit::{SqliteOptions, SqliteRuns};
use impasto_workflow::Outcome;

use crate::*;

const CHAIN: &str = r#"
workflow: chain
version: 1
steps:
  a: { task: add, cache: false, input: { number: 0 } }
  b: { task: add, cache: false, input: { number: "{{ steps.a.number }}" } }
  c: { each: "{{ range(200) | list }}", task: add, cache: false, input: { number: "{{ steps.b.number }}" } }
outputs:
  number: { value: "{{ steps.c.number | sum }}" }
"#;

fn stage_in(folder: &Path, options: &SqliteOptions) -> Stage {
    let runs = Arc::new(SqliteRuns::open(folder, options).unwrap());
    Stage::over(runs, Arc::new(MemoryBlobs::default())).unwrap()
}

/// Makes ready before what leads to the call is durable, and leaves after that.
struct Ready(FarProvider, Arc<AtomicBool>);

impl Driver for Ready {
    fn makes_ready(&self) -> bool {
        true
    }

    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        self.1.store(true, Ordering::SeqCst);
        Box::pin(async move {
            call.durable.wait().await?;
            self.0.start(call).await
        })
    }

    fn poll(&self, job: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        self.0.poll(job)
    }

    fn cancel(&self, job: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        self.0.cancel(job)
    }
}

/// What comes of a run whose creation becomes durable, or does not, after its driver was made ready.
async fn created(
    driver: impl Fn(FarProvider, Arc<AtomicBool>) -> Arc<dyn Driver>,
    is_ready_first: bool,
    settled: Result<(), Error>,
) -> (Result<Outcome, Error>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let (settle, moment) = tokio::sync::oneshot::channel();
    let durable = Durable::when(async { moment.await.unwrap() });
    let runs = Arc::new(MemoryRuns::durable_when(durable));
    let options = FarOptions { dawdle_ms: 0, job_ms: (1, 1), can_find: true };
    let (far, is_ready) = (FarProvider::open(folder.path(), options).unwrap(), Arc::default());
    let stage = Stage::over(runs, Arc::new(MemoryBlobs::default()))
        .unwrap()
        .driver("far", driver(far, Arc::clone(&is_ready)));
    let source = "workflow: far\nversion: 1\nsteps:\n  one: { task: add, fallback: false, \
                  retry: { attempts: 1 }, input: { number: 1 } }\noutputs: {}\n";
    let (engine, plan) = (stage.engine(), stage.plan(source).unwrap());
    let asking = engine.clone();
    let source = Source::Workflow(plan);
    let submitting =
        tokio::spawn(async move { asking.submit(Request::new(source, crate::values(&[]))).await });
    soon("it is worked on", async || engine.live_runs() == 1).await;
    if is_ready_first {
        soon("the driver makes ready", async || is_ready.load(Ordering::SeqCst)).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!submitting.is_finished(), "it was answered before it was durable");
    assert_eq!(Oracle::read(folder.path()).unwrap().starts.len(), 0, "a call left too early");
    settle.send(settled).unwrap();
    let ended = match submitting.await.unwrap() {
        Ok(handle) => handle.wait().await,
        Err(error) => Err(error),
    };
    soon("the run has ended", async || engine.live_runs() == 0).await;
    (ended, Oracle::read(folder.path()).unwrap().starts.len())
}

#[tokio::test]
async fn no_call_leaves_before_what_leads_to_it_is_durable() {
    let ready = |far, is_ready| Arc::new(Ready(far, is_ready)) as Arc<dyn Driver>;
    let plain = |far, _| Arc::new(far) as Arc<dyn Driver>;
    let broken = || Err(Error::unavailable("the disk is gone"));
    for (ended, starts) in [created(ready, true, Ok(())).await, created(plain, false, Ok(())).await]
    {
        assert!(matches!(ended, Ok(Outcome::Succeeded { .. })), "{ended:?}");
        assert_eq!(starts, 1);
    }
    for (ended, starts) in
        [created(ready, true, broken()).await, created(plain, false, broken()).await]
    {
        assert_eq!(ended.unwrap_err().message, "the disk is gone");
        assert_eq!(starts, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_do_not_work_on_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::default();
    let hook =
        faults(|_, key, attempt| if key == "left" && attempt == 1 { hang() } else { fine() });
    let first = stage_in(folder.path(), &options).faults(hook);
    let second = stage_in(folder.path(), &options).engine();
    let engine = first.engine();
    let handle = submit(&engine, &first.plan(DIAMOND).unwrap(), &[]).await;
    let id = handle.id.clone();
    let error = second.resume(local(), id.clone()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("being worked on"), "{error}");
    engine.interrupt(&id);
    assert_eq!(handle.wait().await.unwrap(), Outcome::Interrupted);
    let outcome = second.resume(local(), id).await.unwrap().wait().await.unwrap();
    assert_eq!(output(&outcome, "total"), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_to_listen_while_an_event_is_being_written_hears_it() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage_in(folder.path(), &SqliteOptions::default()).faults(faults(|_, _, _| hang()));
    let (engine, plan) = (stage.engine(), stage.plan(&single("")).unwrap());
    for _ in 0..200 {
        let handle = submit(&engine, &plan, &[]).await;
        let mut updates = engine.updates(local(), handle.id.clone());
        // It does not end, so what is not heard now is never heard.
        for seq in 1..=3 {
            let heard = tokio::time::timeout(Duration::from_secs(20), updates.next()).await;
            assert_eq!(heard.unwrap().unwrap().unwrap().seq, seq);
        }
        engine.interrupt(&handle.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_a_run_that_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let far = folder.path().join("far");
    // Room for the tables and the run, and not much more.
    let tight = SqliteOptions { pages_max: Some(60) };
    let mut stage = far_stage(stage_in(folder.path(), &tight), &far, 5);
    stage.options.store_patience_ms = 100;
    let (engine, plan) = (stage.engine(), stage.plan(CHAIN).unwrap());
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    let error = handle.wait().await.err().unwrap();
    assert!(error.message.contains("disk is full"), "{error}");
    assert!(error.hint.unwrap().contains("impasto resume"));
    drop((engine, stage));
    let before = Oracle::read(&far).unwrap();
    assert!(before.cancelled.is_empty(), "jobs that may be paid for are left alone");
    let stage = far_stage(stage_in(folder.path(), &SqliteOptions::default()), &far, 5);
    let engine = stage.engine();
    let mut resumed = engine.resume(local(), id.clone()).await;
    soon("the run is given back", async || {
        if resumed.is_err() {
            resumed = engine.resume(local(), id.clone()).await;
        }
        resumed.is_ok()
    })
    .await;
    let outcome = resumed.unwrap().wait().await.unwrap();
    assert_eq!(output(&outcome, "number"), 200 * 3);
    let oracle = Oracle::read(&far).unwrap();
    assert!(oracle.starts.values().all(|count| *count == 1), "{:?}", oracle.starts);
    assert_eq!(oracle.taken.len(), 202, "nothing was paid twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_doubt_waits_for_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let (far, options) = (folder.path().join("far"), SqliteOptions::default());
    let source = "workflow: doubt\nversion: 1\nsteps:\n  one: { task: add, timeout: 0.1, input: { number: 1 } }\n\
                  outputs:\n  number: { value: \"{{ steps.one.number }}\" }\n";
    let forgetful = |dawdle_ms| {
        let far_options = FarOptions { dawdle_ms, job_ms: (1, 1), can_find: false };
        let provider = Arc::new(FarProvider::open(&far, far_options).unwrap());
        stage_in(folder.path(), &options).driver("far", provider)
    };
    // A start that is not answered in time, at a provider that cannot be asked: nobody knows.
    let stage = forgetful(60_000_000);
    let engine = stage.engine();
    let handle = submit(&engine, &stage.plan(source).unwrap(), &[]).await;
    let id = handle.id.clone();
    let Outcome::Parked { keys } = handle.wait().await.unwrap() else { panic!("not parked") };
    assert_eq!(keys, [InstanceKey::new("one", [])]);
    let again = engine.resume(local(), id.clone()).await.unwrap().wait().await.unwrap();
    assert!(matches!(again, Outcome::Parked { .. }), "resuming decides nothing");
    assert_eq!(Oracle::read(&far).unwrap().starts.len(), 1);
    let engine = forgetful(0).engine();
    let handle = engine.settle(local(), id.clone(), keys[0].clone(), true).await.unwrap();
    assert_eq!(output(&handle.wait().await.unwrap(), "number"), 2);
    let starts: Vec<String> = Oracle::read(&far).unwrap().starts.into_keys().collect();
    assert_eq!(starts, [format!("{id}/one/1"), format!("{id}/one/2")]);
}
