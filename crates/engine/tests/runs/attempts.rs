//! Retries, fallbacks, timeouts, panics, and what a model is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use impasto_domain::{Error, ErrorKind, Value, Values};
use impasto_engine::{
    Driver, Failure, Found, Job, OperationsDriver, Polled, Request, Source, StartCall, Started,
    Stopped,
};
use impasto_store::BoxFuture;
use impasto_testkit::{FAR_PRICE, Oracle, Stage};
use impasto_workflow::Status;

use crate::*;

#[tokio::test]
async fn a_chain_gives_its_output_and_a_report_of_everything() {
    let stage = Stage::in_memory().unwrap();
    let (outcome, report) = run(&stage.engine(), &stage.plan(DIAMOND).unwrap(), &[]).await;
    assert_eq!(output(&outcome, "total"), 12);
    assert_eq!(report.steps.len(), 4);
    assert_eq!((report.totals.done, report.totals.attempts), (4, 4));
    for step in &report.steps {
        let decision = step.decision.as_ref().unwrap();
        assert!(!decision.ranked.first().unwrap().reason.is_empty());
        assert_eq!(step.attempts.first().unwrap().offer, decision.first().unwrap().offer);
    }
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains("\"status\":\"succeeded\"") && json.contains("catalog_revision"));
}

#[tokio::test]
async fn an_error_that_may_pass_is_tried_again_after_a_wait() {
    let busy = || failing(Error::new(ErrorKind::RateLimited, "busy").retryable());
    let hook = faults(move |_, _, attempt| if attempt < 3 { busy() } else { fine() });
    let stage = Stage::in_memory().unwrap().faults(hook);
    let plan = stage.plan(&single("    retry: { attempts: 3, backoff_ms: 40 }\n")).unwrap();
    let began = Instant::now();
    let (outcome, report) = run(&stage.engine(), &plan, &[]).await;
    assert_eq!(output(&outcome, "number"), 7);
    assert_eq!(report.steps[0].attempts.len(), 3);
    // The waits are at least half of 40 and of 80 milliseconds.
    assert!(began.elapsed() >= Duration::from_millis(60), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_offer_that_fails_for_good_gives_way_to_the_next() {
    let broken = || failing(Error::new(ErrorKind::ProviderFailed, "broken"));
    let hook = faults(move |endpoint, _, _| if endpoint == "echo" { broken() } else { fine() });
    let stage = Stage::in_memory().unwrap().faults(hook);
    let (outcome, report) = run(&stage.engine(), &stage.plan(&single("")).unwrap(), &[]).await;
    assert_eq!(output(&outcome, "number"), 7);
    let offers: Vec<&str> =
        report.steps[0].attempts.iter().map(|attempt| attempt.offer.as_str()).collect();
    assert_eq!(offers, ["local@here/echo", "spare@here/echo"]);
    let plan = stage.plan(&single("    fallback: false\n")).unwrap();
    let (outcome, _) = run(&stage.engine(), &plan, &[]).await;
    assert_eq!(error(&outcome).kind, ErrorKind::ProviderFailed);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_given_up() {
    let hook = faults(|_, _, attempt| if attempt == 1 { hang() } else { fine() });
    let stage = Stage::in_memory().unwrap().faults(hook);
    let plan = stage.plan(&single("    timeout: 0.1\n    retry: { backoff_ms: 1 }\n")).unwrap();
    let (outcome, report) = run(&stage.engine(), &plan, &[]).await;
    assert_eq!(output(&outcome, "number"), 7);
    assert_eq!(report.steps[0].attempts.len(), 2);
    let hook = faults(|_, _, _| hang());
    let stage = Stage::in_memory().unwrap().faults(hook);
    let settings = "    timeout: 0.05\n    fallback: false\n    retry: { attempts: 1 }\n";
    let (outcome, _) = run(&stage.engine(), &stage.plan(&single(settings)).unwrap(), &[]).await;
    let error = error(&outcome);
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.message.contains("0.05 s"), "{error}");
}

#[tokio::test]
async fn a_job_far_away_that_takes_too_long_is_stopped_and_not_charged() {
    let folder = tempfile::tempdir().unwrap();
    let stage = far_stage(Stage::in_memory().unwrap(), folder.path(), 60_000);
    let source = "workflow: far\nversion: 1\nsteps:\n  one: { task: add, timeout: 0.1, fallback: false, \
                  retry: { attempts: 1 }, input: { number: 1 } }\noutputs: {}\n";
    let (outcome, report) = run(&stage.engine(), &stage.plan(source).unwrap(), &[]).await;
    assert_eq!(error(&outcome).kind, ErrorKind::Timeout);
    assert!(report.totals.cost.is_zero());
    let oracle = Oracle::read(folder.path()).unwrap();
    assert_eq!(oracle.cancelled.len(), 1);
    let kinds = stage.parts.runs.ledger(local(), report.run).await.unwrap();
    let kinds: Vec<&str> = kinds.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["intent", "release"]);
}

/// A provider whose answers to starts are lost on the way.
struct Muffled(FarProvider);

impl Driver for Muffled {
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move {
            self.0.start(call).await?;
            Err(Error::new(ErrorKind::InDoubt, "the answer was cut off").into())
        })
    }

    fn poll(&self, job: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        self.0.poll(job)
    }

    fn cancel(&self, job: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        self.0.cancel(job)
    }

    fn find(&self, call: StartCall) -> BoxFuture<'_, Result<Found, Error>> {
        self.0.find(call)
    }
}

#[tokio::test]
async fn a_job_whose_start_was_not_heard_is_kept_and_paid_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = FarOptions { dawdle_ms: 0, job_ms: (20, 20), can_find: true };
    let muffled = Muffled(FarProvider::open(folder.path(), options).unwrap());
    let stage = Stage::in_memory().unwrap().driver("far", Arc::new(muffled));
    let source = "workflow: far\nversion: 1\nsteps:\n  one: { task: add, input: { number: 1 } }\n\
                  outputs:\n  number: { value: \"{{ steps.one.number }}\" }\n";
    let (outcome, report) = run(&stage.engine(), &stage.plan(source).unwrap(), &[]).await;
    assert_eq!(output(&outcome, "number"), 2);
    assert_eq!((report.totals.attempts, report.totals.cost), (1, FAR_PRICE));
    let oracle = Oracle::read(folder.path()).unwrap();
    assert_eq!((oracle.starts.len(), oracle.taken.len(), oracle.cancelled.len()), (1, 1, 0));
    let ledger = stage.parts.runs.ledger(local(), report.run.clone()).await.unwrap();
    let kinds: Vec<&str> = ledger.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["intent", "charge"]);
    let stored = stage.parts.runs.load(local(), report.run, 0).await.unwrap();
    let told = stored.events.iter().filter(|stored| stored.body.contains("attempt_accepted"));
    let accepted = told.count();
    assert_eq!(accepted, 1, "another process could have gone on with it");
}

#[tokio::test]
async fn a_panic_fails_its_attempt_and_nothing_else() {
    let bug = impasto_domain::Operation { name: "echo", run: |_, _| panic!("a bug in the tool") };
    let driver = Arc::new(OperationsDriver::new([bug]));
    let stage = Stage::in_memory().unwrap().driver("here", driver);
    let plan = stage.plan(&single("    fallback: false\n")).unwrap();
    let (outcome, _) = run(&stage.engine(), &plan, &[]).await;
    let error = error(&outcome);
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.message.contains("a bug in the tool"), "{error}");
}

#[tokio::test]
async fn a_prompt_reaches_the_model_as_text() {
    let stage = Stage::in_memory().unwrap();
    let prompt = Values::from([
        ("subject".to_owned(), Value::from("a red mug")),
        ("lighting".to_owned(), Value::from("soft window light")),
    ]);
    let input = Values::from([("prompt".to_owned(), Value::from(prompt))]);
    let request = Request::new(Source::Task("describe".into()), input);
    let outcome = stage.engine().submit(request).await.unwrap().wait().await.unwrap();
    let impasto_workflow::Outcome::Succeeded { output } = outcome else { panic!("{outcome:?}") };
    let text = output["text"].as_text().unwrap();
    assert!(text.contains("a red mug") && text.contains("soft window light"), "{text}");
}

#[tokio::test]
async fn no_more_calls_at_once_than_a_provider_takes() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let slow = impasto_domain::Operation {
        name: "echo",
        run: |input, _| {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            NOW.fetch_sub(1, Ordering::SeqCst);
            Ok(input.clone())
        },
    };
    let stage = Stage::in_memory().unwrap().driver("here", Arc::new(OperationsDriver::new([slow])));
    let source = "workflow: wide\nversion: 1\nsteps:\n  wide: { each: \"{{ range(200) | list }}\", \
                  task: echo, cache: false, input: { number: \"{{ item }}\" } }\noutputs: {}\n";
    let (_, report) = run(&stage.engine(), &stage.plan(source).unwrap(), &[]).await;
    assert!(report.steps.iter().all(|step| step.status == Status::Done { reused: false }));
    assert_eq!(report.steps.len(), 200);
    let most = MOST.load(Ordering::SeqCst);
    assert!((2..=64).contains(&most), "{most} at once");
}

#[tokio::test]
async fn input_that_does_not_fit_is_refused_with_everything_that_is_wrong() {
    let stage = Stage::in_memory().unwrap();
    let plan = stage.plan(DIAMOND).unwrap();
    let mut input = values(&[("colour", 1)]);
    input.insert("number".to_owned(), Value::from("seven"));
    let request = Request::new(Source::Workflow(plan), input);
    let error = stage.engine().submit(request).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("number") && error.message.contains("colour"), "{error}");
    let unknown = Request::new(Source::Task("paint".into()), Values::new());
    let error = stage.engine().submit(unknown).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_plan_tells_offers_cost_and_time_and_executes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stage = far_stage(Stage::in_memory().unwrap(), folder.path(), 1);
    let source = "workflow: priced\nversion: 1\nsteps:\n  wide: { each: \"{{ [1, 2, 3] }}\", task: add, \
                  input: { number: \"{{ item }}\" } }\noutputs: {}\n";
    let plan = stage.plan(source).unwrap();
    let request = Request::new(Source::Workflow(plan), Values::new());
    let report = stage.engine().plan(&request).unwrap();
    assert_eq!(report.cost_low.as_micros(), 30_000);
    assert_eq!(report.steps[0].instances, Some(3));
    assert_eq!(Oracle::read(folder.path()).unwrap().starts.len(), 0);
}
