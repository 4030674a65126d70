//! Pulling the plug under load: a server is killed while hundreds of runs are being worked on, and then
//! again and again while more are submitted, all are followed and told of. Afterwards every run that was accepted has ended once, whoever listened has heard
//! everything once, and every webhook was delivered or is listed as failed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value as Json, json};

use crate::client::{ask, get, picture, post};
use crate::events::{Event, Events, check_whole};
use crate::harness::{Place, Server, Setup};
use crate::receiver::Receiver;

/// How many runs are under way when the server is killed first, and the variable that says otherwise.
const RUNS: usize = 500;
const RUNS_VARIABLE: &str = "IMPASTO_TEST_RUNS";
/// How many more are submitted while it is killed again.
const MORE: usize = 60;
/// How often the server is killed.
const KILLS: usize = 4;
/// Calls at once after the first kill; before it there is room for every run.
const AT_ONCE: usize = 64;
/// Those who submit at once.
const SUBMITTERS: usize = 8;
/// One run of so many is listened to.
const LISTENED: usize = 12;
/// Everything has to be over by then.
const END: Duration = Duration::from_secs(90);

/// Until the first kill no run ends by itself: all are under way when the plug is pulled.
const ENDLESS: &str = "hang";
/// What every run does first afterwards; half of them are then refused, which costs no work.
const MISBEHAVE: &str = "latency_ms=400;endpoint=scene-clip,fail=refused";
const SETTINGS: &str = "\
[network]
foreign_networks = [\"127.0.0.0/8\"]
[server]
deliveries_at_once = 64
delivery_timeout_ms = 2000
";

fn count() -> usize {
    let said = std::env::var(RUNS_VARIABLE).ok();
    said.map_or(RUNS, |said| said.parse().unwrap())
}

/// One wish in five is refused by its receiver at first, one in a hundred for good.
fn mood(path: &str, before: usize) -> u16 {
    let number: usize = path.rsplit('/').next().unwrap().parse().unwrap();
    match (number, before) {
        (number, _) if number % 100 == 7 => 410,
        (number, 0) if number % 5 == 0 => 503,
        _ => 204,
    }
}

fn wish(number: usize, receiver: &Receiver) -> Json {
    let mut wish = picture(number as u64);
    if number % 2 == 1 {
        wish["task"] = "text-to-video".into();
        wish["input"] = json!({ "prompt": "a red mug", "duration": 1, "seed": number });
    }
    wish["webhook"] = json!({ "url": receiver.url(&format!("/told/{number}")) });
    wish
}

/// Submits a wish until it is accepted, however often the server is gone, and gives the run's id.
fn insist(address: SocketAddr, number: usize, wish: &Json) -> String {
    let key = format!("wish {number}");
    let headers = [
        ("content-type", "application/json"),
        ("prefer", "respond-async"),
        ("idempotency-key", key.as_str()),
    ];
    let began = Instant::now();
    loop {
        match ask(address, "POST", "/v1/runs", &headers, wish.to_string().as_bytes()) {
            Ok(reply) if matches!(reply.status, 200 | 202) => {
                return reply.json()["id"].as_str().unwrap().to_owned();
            }
            // It is about to end, or it has too much to do.
            Ok(reply) => assert!(matches!(reply.status, 429 | 503), "{}", reply.text()),
            Err(_) => {}
        }
        assert!(began.elapsed() < END, "wish {number} is not accepted");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Listens to a run until its end, however often the connection breaks.
fn follow(address: SocketAddr, run: &str) -> Vec<Event> {
    let (began, mut heard) = (Instant::now(), Vec::<Event>::new());
    while heard.last().is_none_or(|last| last.name != "done") {
        assert!(began.elapsed() < END, "run {run} does not end: {heard:?}");
        let last = heard.iter().rev().find_map(|event| event.id.as_deref());
        if let Ok(mut events) = Events::of(address, run, last) {
            while let Ok(Some(event)) = events.next() {
                heard.push(event);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    heard
}

/// A number below `most` that is different each time.
fn drawn(most: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mixed = (now.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) % most
}

/// What came of the load.
#[derive(Default)]
struct Outcome {
    /// The run of each wish.
    runs: Mutex<BTreeMap<usize, String>>,
    /// What was heard of those that were listened to.
    heard: Mutex<Vec<(String, Vec<Event>)>>,
}

/// What the load is done with.
struct Storm<'s> {
    address: SocketAddr,
    receiver: &'s Receiver,
    outcome: &'s Outcome,
    next: &'s AtomicUsize,
}

impl<'s> Storm<'s> {
    /// Submits wishes up to this number, and has some of them followed.
    fn submit<'scope>(&'s self, scope: &'scope Scope<'scope, 's>, end: usize) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                self.next.fetch_min(end, Ordering::Relaxed);
                return;
            }
            let run = insist(self.address, number, &wish(number, self.receiver));
            self.outcome.runs.lock().unwrap().insert(number, run.clone());
            if number.is_multiple_of(LISTENED) {
                scope.spawn(move || {
                    let heard = follow(self.address, &run);
                    self.outcome.heard.lock().unwrap().push((run, heard));
                });
            }
        }
    }

    fn known(&self) -> usize {
        self.outcome.runs.lock().unwrap().len()
    }
}

fn setup(misbehave: &str, concurrency: usize) -> Setup {
    Setup {
        settings: SETTINGS.to_owned(),
        misbehave: Some(misbehave.to_owned()),
        concurrency: Some(concurrency as u32),
        ..Setup::default()
    }
}

/// How many attempts are under way, as the server itself counts them.
fn under_way(address: SocketAddr) -> usize {
    listed(address, "&status=running").values().filter(|run| run["status"] == "running").count()
}

/// Submits everything and follows some, while the server is killed and started again.
fn storm(place: &mut Place, receiver: &Receiver, count: usize) -> (Server, Outcome) {
    let mut server = Some(place.serve());
    let address = server.as_ref().unwrap().address;
    let (outcome, next) = (Outcome::default(), AtomicUsize::new(0));
    let storm = Storm { address, receiver, outcome: &outcome, next: &next };
    std::thread::scope(|scope| {
        let storm = &storm;
        let submit =
            |end| (0..SUBMITTERS).map(move |_| scope.spawn(move || storm.submit(scope, end)));
        let first: Vec<_> = submit(count).collect();
        first.into_iter().for_each(|submitter| submitter.join().unwrap());
        let began = Instant::now();
        while under_way(address) < count {
            assert!(began.elapsed() < END, "{} of {count} are under way", under_way(address));
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("kill 1: {count} runs are under way");
        server.take().unwrap().kill();
        place.change(setup(MISBEHAVE, AT_ONCE));
        server = Some(place.serve_at(address));
        let more: Vec<_> = submit(count + MORE).collect();
        for kill in 2..=KILLS {
            let lived = Duration::from_millis(150 + drawn(1_000));
            std::thread::sleep(lived);
            println!("kill {kill} after {lived:?}: {} runs are accepted", storm.known());
            server.take().unwrap().kill();
            server = Some(place.serve_at(address));
        }
        more.into_iter().for_each(|submitter| submitter.join().unwrap());
    });
    (server.unwrap(), outcome)
}

/// Every run of the list, by id, page by page.
fn listed(address: SocketAddr, query: &str) -> BTreeMap<String, Json> {
    let (mut runs, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = get(address, &format!("/v1/runs?limit=200{query}{cursor}")).json();
        for run in page["runs"].as_array().unwrap() {
            let id = run["id"].as_str().unwrap().to_owned();
            assert!(runs.insert(id, run.clone()).is_none(), "listed twice: {run}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return runs,
        }
    }
}

/// Waits until nothing is under way.
fn settle(server: &Server) {
    let began = Instant::now();
    loop {
        let left = listed(server.address, "&status=running,interrupted").len();
        if left == 0 {
            return;
        }
        assert!(began.elapsed() < END, "{left} runs do not end\n{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Every run that was accepted is there, no other is, and each has ended once.
fn check_runs(address: SocketAddr, runs: &BTreeMap<usize, String>) {
    let listed = listed(address, "");
    let accepted: BTreeSet<&String> = runs.values().collect();
    assert_eq!(accepted.len(), runs.len(), "two wishes became one run");
    assert_eq!(listed.keys().collect::<BTreeSet<_>>(), accepted, "runs that nobody knows");
    for (number, run) in runs {
        let expected = if number % 2 == 0 { "succeeded" } else { "failed" };
        assert_eq!(listed[run]["status"], expected, "{number}: {}", listed[run]);
        let report = get(address, &format!("/v1/runs/{run}/report")).json();
        assert_eq!(report["status"], expected);
        let steps = report["steps"].as_array().unwrap().iter();
        let attempts = steps.flat_map(|step| step["attempts"].as_array().unwrap());
        // An attempt dies with its process; what was under way is begun again.
        let died = |attempt: &&Json| attempt["result"]["result"] == "void";
        let (died, ended): (Vec<&Json>, Vec<&Json>) = attempts.partition(died);
        let end = if number % 2 == 0 { "done" } else { "failed" };
        assert!(ended.len() == 1 && died.len() <= KILLS, "{number}: {report}");
        assert_eq!(ended[0]["result"]["result"], end, "{number}: {report}");
    }
}

/// The same key is the same run for as long as it is the same wish.
fn check_keys(address: SocketAddr, runs: &BTreeMap<usize, String>, receiver: &Receiver) {
    for (number, run) in runs {
        assert_eq!(&insist(address, *number, &wish(*number, receiver)), run, "wish {number}");
    }
    for number in runs.keys().step_by(50) {
        let key = format!("wish {number}");
        let other = wish(number + 2, receiver);
        let reply = post(address, "/v1/runs", &[("idempotency-key", &key)], &other);
        assert_eq!((reply.status, reply.code().as_str()), (409, "idempotency_key_reused"));
    }
}

/// Whoever listened heard what there is to hear, once.
fn check_heard(address: SocketAddr, heard: &[(String, Vec<Event>)]) {
    for (run, heard) in heard {
        check_whole(heard);
        let kept = |events: &[Event]| {
            let kept = events.iter().filter(|event| event.id.is_some());
            kept.map(|event| {
                let at_ms = event.data["at_ms"].clone();
                (event.id.clone(), event.name.clone(), at_ms)
            })
            .collect::<Vec<_>>()
        };
        let again = Events::of(address, run, None).unwrap().all();
        assert_eq!(kept(heard), kept(&again), "{run}");
    }
}

/// Every message was delivered, or it is listed as failed; one message has one id.
fn check_told(server: &Server, runs: &BTreeMap<usize, String>, receiver: &Receiver) {
    let began = Instant::now();
    while !deliveries(server.address, "&state=pending").is_empty() {
        assert!(began.elapsed() < END, "{:?}", deliveries(server.address, "&state=pending"));
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut states = BTreeMap::new();
    for delivery in deliveries(server.address, "") {
        let run = delivery["run"].as_str().unwrap().to_owned();
        if delivery["topic"] == "run.started" {
            continue;
        }
        assert!(states.insert(run, delivery.clone()).is_none(), "told of two ends: {delivery}");
    }
    let told = receiver.told();
    for (number, run) in runs {
        let delivery = states.get(run).unwrap_or_else(|| panic!("nobody is told of {number}"));
        let of_run: Vec<_> =
            told.iter().filter(|told| told.path == format!("/told/{number}")).collect();
        assert!(!of_run.is_empty(), "nobody was told of {number}: {delivery}");
        let end = if number % 2 == 0 { "run.succeeded" } else { "run.failed" };
        let mut ids = BTreeSet::new();
        for told in of_run {
            assert_eq!((&told.body["type"], &told.body["data"]["id"]), (&json!(end), &json!(run)));
            ids.insert(&told.headers["webhook-id"]);
        }
        assert_eq!(ids.len(), 1, "one message has one id, however often it is sent");
        let expected = if number % 100 == 7 { "failed" } else { "delivered" };
        assert_eq!(delivery["state"], expected, "{delivery}");
    }
}

fn deliveries(address: SocketAddr, query: &str) -> Vec<Json> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(address, &format!("/v1/deliveries?limit=200{query}{cursor}")).json();
        all.extend(page["deliveries"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[test]
fn a_server_that_is_killed_under_load_loses_nothing_and_does_nothing_twice() {
    let (count, began) = (count(), Instant::now());
    let receiver = Receiver::new(mood);
    let mut place = Place::new(setup(ENDLESS, count));
    let (mut server, outcome) = storm(&mut place, &receiver, count);
    let count = count + MORE;
    let (runs, heard) = (outcome.runs.into_inner().unwrap(), outcome.heard.into_inner().unwrap());
    assert_eq!(runs.len(), count);
    settle(&server);
    println!("{count} runs are over after {:?}", began.elapsed());
    check_keys(server.address, &runs, &receiver);
    check_runs(server.address, &runs);
    check_heard(server.address, &heard);
    check_told(&server, &runs, &receiver);
    server.check_well();
    println!("everything is checked after {:?}", began.elapsed());
}
