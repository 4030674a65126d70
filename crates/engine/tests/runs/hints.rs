//! Hints that something happened to a job: it is looked at sooner, and never much more often.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use impasto_catalog::Base;
use impasto_domain::{Error, RunId};
use impasto_engine::{
    AttemptName, Driver, Ended, Engine, Failure, Job, Polled, RunHandle, StartCall, Started,
    Stopped,
};
use impasto_store::BoxFuture;
use impasto_testkit::Stage;
use tokio::time::{Instant, sleep};

use crate::*;

/// How long it takes from one look at a job to the next.
const INTERVAL_MS: u64 = 60_000;

/// A provider that notes when it is asked.
struct Noting {
    began: Instant,
    starts_in_ms: u64,
    answers_in_ms: AtomicU64,
    is_over: AtomicBool,
    is_deaf: AtomicBool,
    asking: AtomicUsize,
    looks_ms: Mutex<Vec<u64>>,
    callbacks: Mutex<Vec<String>>,
}

impl Noting {
    fn new(starts_in_ms: u64) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            starts_in_ms,
            answers_in_ms: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            is_deaf: AtomicBool::new(false),
            asking: AtomicUsize::new(0),
            looks_ms: Mutex::default(),
            callbacks: Mutex::default(),
        })
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn looks(&self) -> usize {
        self.looks_ms.lock().unwrap().len()
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

struct Asked(Arc<Noting>);

impl Driver for Asked {
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move {
            self.0.callbacks.lock().unwrap().extend(call.callback);
            sleep(Duration::from_millis(self.0.starts_in_ms)).await;
            Ok(Started::Running("job".to_owned()))
        })
    }

    fn poll(&self, _: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        Box::pin(async move {
            assert_eq!(self.0.asking.fetch_add(1, Ordering::SeqCst), 0, "asked twice at once");
            self.0.looks_ms.lock().unwrap().push(self.0.now_ms());
            sleep(Duration::from_millis(self.0.answers_in_ms.load(Ordering::SeqCst))).await;
            self.0.asking.fetch_sub(1, Ordering::SeqCst);
            if self.0.is_deaf.load(Ordering::SeqCst) {
                return Err(Error::unavailable("nobody is there").retryable());
            }
            Ok(match self.0.is_over.load(Ordering::SeqCst) {
                true => Polled::Done(Ended { output: values(&[("number", 2)]), cost: None }),
                false => Polled::Running { after_ms: None },
            })
        })
    }

    fn cancel(&self, _: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        Box::pin(async { Ok(Stopped::Heeded) })
    }
}

/// An engine, the provider that it asks, and the attempts for which an address was given.
struct Scene {
    stage: Stage,
    engine: Engine,
    noting: Arc<Noting>,
    named: Arc<Mutex<Vec<AttemptName>>>,
}

fn listening(stage: &Stage, named: &Arc<Mutex<Vec<AttemptName>>>) -> Engine {
    let (engine, named) = (stage.engine(), Arc::clone(named));
    engine.listen_at(Arc::new(move |name| {
        named.lock().unwrap().push(name.clone());
        Some(format!("https://media.example/{}/{}/{}", name.run, name.key, name.attempt))
    }));
    engine
}

impl Scene {
    fn new(starts_in_ms: u64) -> Self {
        let noting = Noting::new(starts_in_ms);
        let driver = Arc::new(Asked(Arc::clone(&noting)));
        let mut stage = Stage::in_memory().unwrap().driver("far", driver);
        // Who is somewhere else has an address itself.
        let catalog = Arc::make_mut(&mut stage.parts.catalog);
        let base = Base { url: Some("https://far.example".to_owned()), ..Base::default() };
        let far =
            catalog.providers.values_mut().find(|provider| provider.dialect == "far").unwrap();
        far.base.insert("default".to_owned(), base);
        stage.options.poll_first_ms = INTERVAL_MS;
        stage.options.poll_slowest_ms = INTERVAL_MS;
        let named = Arc::default();
        let engine = listening(&stage, &named);
        Self { stage, engine, noting, named }
    }

    async fn begin(&self) -> RunHandle {
        let source = "workflow: far\nversion: 1\nsteps:\n  one: { each: \"{{ [7] }}\", task: add, timeout: \
                      7200, input: { number: 1 } }\noutputs:\n  number: { value: \"{{ steps.one.number | first }}\" }\n";
        submit(&self.engine, &self.stage.plan(source).unwrap(), &[]).await
    }

    fn name(&self) -> AttemptName {
        self.named.lock().unwrap().first().unwrap().clone()
    }

    async fn looked(&self, times: usize) {
        soon("a look", async || self.noting.looks() >= times).await;
    }
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hint_makes_it_look_at_once() {
    let scene = Scene::new(0);
    let handle = scene.begin().await;
    scene.looked(1).await;
    let name = scene.name();
    let addresses = scene.noting.callbacks.lock().unwrap().clone();
    assert_eq!(addresses, [format!("https://media.example/{}/one[0]/1", handle.id)]);
    // Of none of these is there anything here.
    let other = AttemptName { attempt: 2, ..name.clone() };
    scene.engine.hint(other);
    scene.engine.hint(AttemptName { run: RunId::new("gone"), ..name.clone() });
    scene.engine.hint(AttemptName { key: "two".parse().unwrap(), ..name.clone() });
    seconds(10).await;
    assert_eq!(scene.noting.looks(), 1);
    scene.noting.end();
    scene.engine.hint(name.clone());
    assert_eq!(output(&handle.wait().await.unwrap(), "number"), 2);
    let looks = scene.noting.looks_ms.lock().unwrap().clone();
    assert!(looks.len() == 2 && looks[1] < 11_000, "{looks:?}");
    // It is over: that means nothing.
    scene.engine.hint(name);
}

#[tokio::test(start_paused = true)]
async fn without_hints_it_is_asked_as_ever() {
    let scene = Scene::new(0);
    let handle = scene.begin().await;
    seconds(3 * INTERVAL_MS / 1_000 + 1).await;
    assert_eq!(scene.noting.looks(), 4);
    scene.noting.end();
    assert_eq!(output(&handle.wait().await.unwrap(), "number"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hint_before_the_answer_to_the_start_is_answered_by_the_first_look() {
    let scene = Scene::new(5_000);
    let handle = scene.begin().await;
    soon("an address", async || !scene.named.lock().unwrap().is_empty()).await;
    scene.engine.hint(scene.name());
    seconds(20).await;
    let looks = scene.noting.looks_ms.lock().unwrap().clone();
    assert!(looks.len() == 1 && looks[0] < 6_000, "{looks:?}");
    scene.noting.end();
    scene.engine.hint(scene.name());
    assert_eq!(output(&handle.wait().await.unwrap(), "number"), 2);
    assert!(scene.noting.now_ms() < 22_000);
}

#[tokio::test(start_paused = true)]
async fn a_hint_during_a_look_makes_another_one() {
    let scene = Scene::new(0);
    scene.noting.answers_in_ms.store(3_000, Ordering::SeqCst);
    let handle = scene.begin().await;
    scene.looked(1).await;
    seconds(1).await;
    scene.engine.hint(scene.name());
    scene.looked(2).await;
    scene.noting.end();
    handle.wait().await.unwrap();
    let looks = scene.noting.looks_ms.lock().unwrap().clone();
    assert!(looks.len() == 2 && looks[1] < 4_000, "{looks:?}");
}

/// Hints a thousand times, over ten seconds.
async fn flood(scene: &Scene) {
    for _ in 0..1_000 {
        scene.engine.hint(scene.name());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_hints_makes_a_look_a_second() {
    for answers_in_ms in [0, 300] {
        let scene = Scene::new(0);
        scene.noting.answers_in_ms.store(answers_in_ms, Ordering::SeqCst);
        let handle = scene.begin().await;
        scene.looked(1).await;
        flood(&scene).await;
        let looks = scene.noting.looks_ms.lock().unwrap().clone();
        assert!((8..=12).contains(&looks.len()), "{looks:?}");
        let hinted = looks.get(1..).unwrap();
        assert!(hinted.windows(2).all(|two| two[1] >= two[0] + 999), "{looks:?}");
        scene.noting.end();
        scene.engine.hint(scene.name());
        handle.wait().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_is_not_asked_more_often_for_its_hints() {
    let scene = Scene::new(0);
    scene.noting.is_deaf.store(true, Ordering::SeqCst);
    let handle = scene.begin().await;
    scene.looked(1).await;
    flood(&scene).await;
    assert_eq!(scene.noting.looks(), 1);
    scene.noting.is_deaf.store(false, Ordering::SeqCst);
    scene.noting.end();
    assert_eq!(output(&handle.wait().await.unwrap(), "number"), 2);
    assert_eq!(scene.noting.looks(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_address_reaches_whoever_goes_on_with_the_run() {
    let scene = Scene::new(0);
    let handle = scene.begin().await;
    scene.looked(1).await;
    let (run, name) = (handle.id.clone(), scene.name());
    scene.engine.interrupt(&run);
    handle.wait().await.unwrap();
    let next = listening(&scene.stage, &scene.named);
    let handle = next.resume(local(), run).await.unwrap();
    scene.looked(2).await;
    seconds(5).await;
    scene.noting.end();
    // The process before has nothing to do with it any more.
    scene.engine.hint(name.clone());
    seconds(5).await;
    assert_eq!(scene.noting.looks(), 2);
    next.hint(name);
    let outcome = handle.wait().await.unwrap();
    assert_eq!(output(&outcome, "number"), 2);
    assert_eq!(scene.noting.callbacks.lock().unwrap().len(), 1, "nothing is started again");
    assert!(scene.noting.now_ms() < 20_000);
}

#[tokio::test(start_paused = true)]
async fn work_of_this_process_is_told_no_address() {
    let scene = Scene::new(0);
    let (outcome, _) = run(&scene.engine, &scene.stage.plan(DIAMOND).unwrap(), &[]).await;
    assert_eq!(output(&outcome, "total"), 12);
    assert!(scene.named.lock().unwrap().is_empty());
}
