//! Pulling the plug while jobs are under way at a provider that has to be asked for them: each is found
//! again after the restart and ends once, and the provider never sees one submitted twice.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use impasto_testkit::{model_file, read_request};
use serde_json::{Value as Json, json};

use crate::client::{PATIENCE, ask, get, run, submit, wait_for};
use crate::events::{Events, check_whole};
use crate::harness::Place;

/// One white dot.
const DOT_PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==";
const JOBS: usize = 40;

/// A provider whose jobs take until they are let go.
#[derive(Clone)]
struct Provider {
    url: String,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// The prompt of each job, in the order in which they were submitted.
    submitted: Vec<String>,
    are_done: bool,
}

impl Provider {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self { url, known: Arc::default() };
        let known = Arc::clone(&provider.known);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = Arc::clone(&known);
                std::thread::spawn(move || answer(stream, &known));
            }
        });
        provider
    }

    /// How often each prompt was submitted.
    fn submitted(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for prompt in &self.known.lock().unwrap().submitted {
            *times.entry(prompt.clone()).or_default() += 1;
        }
        times
    }

    /// Waits until so many jobs have been submitted.
    fn wait_for_submitted(&self, count: usize) {
        let began = Instant::now();
        while self.known.lock().unwrap().submitted.len() < count {
            assert!(began.elapsed() < PATIENCE, "{:?}", self.submitted());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn let_go(&self) {
        self.known.lock().unwrap().are_done = true;
    }
}

fn answer(mut stream: TcpStream, known: &Mutex<Known>) {
    // Whoever asks may be killed in the middle of it.
    let Ok((head, body)) = read_request(&stream) else { return };
    let mut known = known.lock().unwrap();
    let answer = if head.starts_with("POST ") {
        let Ok(asked) = serde_json::from_slice::<Json>(&body) else { return };
        known.submitted.push(asked["prompt"].as_str().unwrap().to_owned());
        json!({ "id": (known.submitted.len() - 1).to_string() })
    } else {
        match known.are_done {
            true => json!({ "state": "done", "picture": DOT_PNG }),
            false => json!({ "state": "working" }),
        }
    };
    drop(known);
    let body = answer.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let _gone = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

const PROVIDER: &str = r#"id = "jobs"
title = "Jobs"
description = "Has to be asked for them."
dialect = "submit-poll"
concurrency = 64
files = "base64"
[base]
default = { url = "URL" }
[wires.only]
submit = { method = "POST", path = "/jobs", body = "json" }
handle = { id = "/id" }
poll = { method = "GET", path = "/jobs/{id}" }
state = { at = "/state", running = ["working"], succeeded = ["done"], failed = ["failed"] }
poll_every_ms = 100
"#;

const OFFER: &str = r#"[[offers]]
provider = "jobs"
task = "text-to-image"
endpoint = "draw"
wire = "only"
price = { as_of = "2026-11-01", source = "test", lines = [{ per = "request", usd = 0.01 }] }
[offers.input]
prompt = {}
[offers.output]
images = { at = "/picture", file = "base64" }
"#;

fn place(provider: &Provider) -> Place {
    let place = Place::trusting(&provider.url);
    place.put_into_catalog("providers/jobs.toml", &PROVIDER.replace("URL", &provider.url));
    let (path, text) = model_file("drawer", OFFER);
    place.put_into_catalog(&path, &text);
    place
}

fn prompt(number: usize) -> String {
    format!("a red mug, number {number}")
}

fn wish(number: usize) -> Json {
    let input = json!({ "prompt": prompt(number) });
    json!({ "task": "text-to-image", "model": "drawer", "input": input })
}

fn submit_once(address: SocketAddr, number: usize) -> String {
    submit(address, &[("idempotency-key", &format!("job {number}"))], &wish(number))
}

/// Submits wishes, and waits until the server has on record under which ids the provider knows them.
fn under_way(address: SocketAddr, count: usize) -> Vec<String> {
    let runs: Vec<String> = (0..count).map(|number| submit_once(address, number)).collect();
    let began = Instant::now();
    for id in &runs {
        let known = || {
            let report = get(address, &format!("/v1/runs/{id}/report")).json();
            report["steps"][0]["attempts"][0]["handle"].is_string()
        };
        while !known() {
            assert!(began.elapsed() < PATIENCE, "{id} is not accepted");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    runs
}

#[test]
fn jobs_at_a_provider_are_found_again_and_submitted_once() {
    let provider = Provider::begin();
    let place = place(&provider);
    let server = place.serve();
    let address = server.address;
    let runs = under_way(address, JOBS);
    server.kill();
    // Killed again right after it came up, and then left alone.
    place.serve_at(address).kill();
    let mut server = place.serve_at(address);
    provider.let_go();
    for (number, id) in runs.iter().enumerate() {
        let seen = wait_for(address, id, "succeeded");
        assert_eq!(seen["cost"]["micros"], 10_000, "paid once: {seen}");
        check_whole(&Events::of(address, id, None).unwrap().all());
        assert_eq!(&submit_once(address, number), id);
    }
    let once: BTreeMap<String, usize> = (0..JOBS).map(|number| (prompt(number), 1)).collect();
    assert_eq!(provider.submitted(), once);
    server.check_well();
}

#[test]
fn a_kill_while_jobs_are_submitted_submits_none_twice() {
    let provider = Provider::begin();
    let place = place(&provider);
    let server = place.serve();
    let address = server.address;
    let early = under_way(address, JOBS / 4);
    let submitting: Vec<_> = (early.len()..JOBS)
        .map(|number| {
            std::thread::spawn(move || {
                let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
                let _broken = ask(
                    address,
                    "POST",
                    "/v1/runs",
                    &[&headers[..], &[("idempotency-key", &format!("job {number}"))]].concat(),
                    wish(number).to_string().as_bytes(),
                );
            })
        })
        .collect();
    // In the middle: some are at the provider, some are not.
    provider.wait_for_submitted(early.len() + 3);
    server.kill();
    submitting.into_iter().for_each(|one| one.join().unwrap());
    let at_the_kill = provider.submitted().len();
    let mut server = place.serve_at(address);
    let runs: Vec<String> = (0..JOBS).map(|number| submit_once(address, number)).collect();
    provider.let_go();
    let (began, mut ends) = (Instant::now(), BTreeMap::<String, usize>::new());
    for (number, id) in runs.iter().enumerate() {
        let end = loop {
            let status = run(address, id)["status"].as_str().unwrap().to_owned();
            if !matches!(status.as_str(), "queued" | "running") {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "{number} does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let times = provider.submitted().get(&prompt(number)).copied().unwrap_or_default();
        // A submission whose answer nobody kept is in doubt: a person decides, and it is not sent again.
        match end.as_str() {
            "succeeded" => assert_eq!(times, 1, "{number}"),
            "parked" => assert!(number >= early.len() && times <= 1, "{number}: {times}"),
            other => panic!("{number} is {other}: {}", run(address, id)),
        }
        *ends.entry(end).or_default() += 1;
    }
    println!("{at_the_kill} of {JOBS} were submitted at the kill; in the end {ends:?}");
    server.check_well();
}
