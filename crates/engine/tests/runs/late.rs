//! Jobs that somebody wants stopped, or cannot ask about: what may have been done is not bought again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use impasto_domain::{Error, ErrorKind, Money};
use impasto_engine::{Driver, Ended, Failure, Job, Polled, StartCall, Started, Stopped};
use impasto_store::BoxFuture;
use impasto_testkit::Stage;

use crate::*;

/// A step that has no time, at a provider far away, which may be tried twice.
const HURRIED: &str = "workflow: far\nversion: 1\nsteps:\n  one: { task: add, timeout: 0.1, \
    retry: { attempts: 2, backoff_ms: 1 }, input: { number: 1 } }\noutputs:\n  \
    number: { value: \"{{ steps.one.number }}\" }\n";
/// How long an attempt may take to stop, in milliseconds.
const GRACE_MS: u64 = 50;

/// How a provider answers: to the number of the look, and to the wish to stop.
struct Script {
    look: fn(usize, Ended) -> Result<Polled, Error>,
    /// How long each look after the wish to stop takes.
    slow_ms: u64,
    stop: Result<Stopped, Error>,
    starts: AtomicUsize,
    looks: AtomicUsize,
    stops: AtomicUsize,
}

impl Script {
    fn new(
        look: fn(usize, Ended) -> Result<Polled, Error>,
        stop: Result<Stopped, Error>,
        slow_ms: u64,
    ) -> Arc<Self> {
        let [starts, looks, stops] = [0; 3].map(AtomicUsize::new);
        Arc::new(Self { look, slow_ms, stop, starts, looks, stops })
    }

    /// What becomes of a hurried run, how many starts there were, and what the ledger says in the end.
    async fn play(self: &Arc<Self>) -> (Outcome, usize, Vec<String>) {
        let mut stage = Stage::in_memory().unwrap().driver("far", Arc::clone(self) as _);
        stage.options.stop_grace_ms = GRACE_MS;
        stage.options.poll_failures_max = 3;
        let (outcome, report) = run(&stage.engine(), &stage.plan(HURRIED).unwrap(), &[]).await;
        let ledger = stage.parts.runs.ledger(local(), report.run).await.unwrap();
        let kinds = ledger.iter().map(|entry| entry.kind.as_str().to_owned()).collect();
        (outcome, self.starts.load(Ordering::SeqCst), kinds)
    }
}

impl Driver for Script {
    fn start(&self, _: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Started::Running("job".to_owned())) })
    }

    fn poll(&self, _: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        let number = self.looks.fetch_add(1, Ordering::SeqCst);
        let ended = Ended { output: values(&[("number", 3)]), cost: None };
        let slow = self.stops.load(Ordering::SeqCst) > 0;
        Box::pin(async move {
            if slow {
                tokio::time::sleep(Duration::from_millis(self.slow_ms)).await;
            }
            (self.look)(number, ended)
        })
    }

    fn cancel(&self, _: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        self.stops.fetch_add(1, Ordering::SeqCst);
        let stop = self.stop.clone();
        Box::pin(async move { stop })
    }
}

fn running() -> Result<Polled, Error> {
    Ok(Polled::Running { after_ms: Some(30_000) })
}

fn parked(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Parked { .. })
}

#[tokio::test]
async fn what_is_done_when_the_time_is_up_is_taken_before_anything_is_stopped() {
    let look = |number, ended| if number == 0 { running() } else { Ok(Polled::Done(ended)) };
    let script = Script::new(look, Ok(Stopped::Heeded), 0);
    let (outcome, starts, ledger) = script.play().await;
    assert_eq!((output(&outcome, "number"), starts), (3, 1));
    assert_eq!(script.stops.load(Ordering::SeqCst), 0, "it might have been deleted");
    assert_eq!(ledger, ["intent", "charge"]);
}

#[tokio::test]
async fn a_result_that_was_there_may_come_later_than_the_grace() {
    let look = |number, ended| if number < 2 { running() } else { Ok(Polled::Done(ended)) };
    let (outcome, starts, ledger) =
        Script::new(look, Ok(Stopped::WasOver), 4 * GRACE_MS).play().await;
    assert_eq!((output(&outcome, "number"), starts), (3, 1));
    assert_eq!(ledger, ["intent", "charge"]);
}

#[tokio::test]
async fn a_job_that_nobody_knows_any_more_is_in_doubt_and_not_bought_again() {
    let look = |number, _| match number {
        0 => running(),
        _ => Err(Error::new(ErrorKind::NotFound, "there is no such job")),
    };
    let (outcome, starts, ledger) = Script::new(look, Ok(Stopped::WasOver), 0).play().await;
    assert!(parked(&outcome), "{outcome:?}");
    assert_eq!((starts, ledger), (1, vec!["intent".to_owned()]));
}

#[tokio::test]
async fn who_cannot_be_asked_may_have_done_it() {
    let look = |_, _| Err(Error::invalid("the certificate has expired"));
    let (outcome, starts, ledger) = Script::new(look, Ok(Stopped::Heeded), 0).play().await;
    assert!(parked(&outcome), "{outcome:?}");
    assert_eq!((starts, ledger), (1, vec!["intent".to_owned()]));
}

#[tokio::test]
async fn what_was_paid_for_in_vain_is_not_paid_again_for_being_late() {
    let look = |number, _| match number {
        0 => running(),
        _ => Ok(Polled::Failed(Failure {
            error: Error::new(ErrorKind::ProviderFailed, "the file is gone"),
            cost: Money::micros(10_000),
        })),
    };
    let (outcome, starts, ledger) = Script::new(look, Ok(Stopped::Heeded), 0).play().await;
    assert_eq!(error(&outcome).kind, ErrorKind::Timeout);
    assert_eq!((starts, ledger), (1, vec!["intent".to_owned(), "charge".to_owned()]));
}

#[tokio::test]
async fn what_was_stopped_in_time_may_be_tried_again() {
    let look = |_, _| running();
    let (outcome, starts, _) = Script::new(look, Ok(Stopped::Heeded), 0).play().await;
    assert_eq!(error(&outcome).kind, ErrorKind::Timeout);
    assert_eq!(starts, 2);
}
