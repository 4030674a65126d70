//! A provider that is asked once an hour, and calls where it was told to when something has happened.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use impasto_testkit::{model_file, read_request};
use serde_json::{Value as Json, json};

use crate::client::{PATIENCE, Reply, ask, get, post};
use crate::harness::{Place, Server};

/// One white dot.
const DOT_PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==";

/// What reached the provider, and how it stands.
#[derive(Default)]
struct Told {
    submitted: Vec<Json>,
    looks: usize,
    is_done: bool,
    /// Whether it calls before it answers a submission.
    calls_early: bool,
}

/// A provider of one job at a time.
struct Calling {
    url: String,
    told: Arc<Mutex<Told>>,
}

impl Calling {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told: Arc<Mutex<Told>> = Arc::default();
        let (log, own) = (Arc::clone(&told), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, own) = (Arc::clone(&log), own.clone());
                std::thread::spawn(move || answer(stream, &log, &own));
            }
        });
        Self { url, told }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// How often the job was looked at, and how often one was submitted.
    fn counts(&self) -> (usize, usize) {
        let told = self.told();
        (told.looks, told.submitted.len())
    }

    /// Waits until the job was looked at so many times.
    fn looked(&self, times: usize) {
        until("a look", || self.told().looks >= times);
    }

    /// Where it was told to call for the last job.
    fn address(&self) -> String {
        address_in(self.told().submitted.last().unwrap())
    }

    /// A place whose catalogue has this provider.
    fn place(&self) -> Place {
        let place = Place::trusting(&self.url);
        let provider = format!(
            "id = \"calling\"\ntitle = \"Calling\"\ndescription = \"Calls.\"\ndialect = \"submit-poll\"\n\
             concurrency = 2\n[base]\ndefault = {{ url = \"{}\" }}\n[wires.only]\n\
             submit = {{ method = \"POST\", path = \"/jobs\", body = \"json\" }}\nhandle = {{ id = \"/id\" }}\n\
             callback = {{ at = \"/hook/url\", with = {{ \"/hook/of\" = [\"end\"] }} }}\n\
             poll = {{ method = \"GET\", path = \"/jobs/{{id}}\" }}\n\
             state = {{ at = \"/state\", running = [\"working\"], succeeded = [\"done\"] }}\n\
             poll_every_ms = 3600000\n",
            self.url
        );
        place.put_into_catalog("providers/calling.toml", &provider);
        let (path, text) = model_file(
            "caller",
            "[[offers]]\nprovider = \"calling\"\ntask = \"text-to-image\"\nendpoint = \"draw\"\n\
             price = \"free\"\n[offers.input]\nprompt = {}\n[offers.output]\nimages = \"/made\"\n",
        );
        place.put_into_catalog(&path, &text);
        place
    }
}

fn address_in(submitted: &Json) -> String {
    submitted["hook"]["url"].as_str().unwrap_or_else(|| panic!("{submitted}")).to_owned()
}

fn answer(mut stream: TcpStream, log: &Mutex<Told>, own: &str) {
    let (head, body) = read_request(&stream).unwrap();
    let (kind, body) = if head.starts_with("POST") {
        let submitted: Json = serde_json::from_slice(&body).unwrap();
        let calls_early = log.lock().unwrap().calls_early;
        if calls_early {
            assert_eq!(call(&address_in(&submitted), "{}").status, 204);
            log.lock().unwrap().is_done = true;
        }
        log.lock().unwrap().submitted.push(submitted);
        ("application/json", json!({ "id": "job-1" }).to_string().into_bytes())
    } else if head.starts_with("GET /jobs/job-1") {
        let mut told = log.lock().unwrap();
        told.looks += 1;
        let state = if told.is_done { "done" } else { "working" };
        let job = json!({ "state": state, "made": format!("{own}/made") });
        ("application/json", job.to_string().into_bytes())
    } else {
        ("image/png", STANDARD.decode(DOT_PNG).unwrap())
    };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
}

/// Calls an address as a provider does.
fn call(address: &str, body: &str) -> Reply {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    ask(host.parse().unwrap(), "POST", path, &[], body.as_bytes()).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Begins a run whose job is at the provider.
fn begin(server: SocketAddr, prompt: &str) -> String {
    let body = json!({ "task": "text-to-image", "model": "caller", "input": { "prompt": prompt } });
    let reply = post(server, "/v1/runs", &[("prefer", "respond-async")], &body);
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

fn succeeds(server: SocketAddr, run: &str) {
    let run = || get(server, &format!("/v1/runs/{run}")).json();
    until("the end of the run", || run()["status"] != "running");
    assert_eq!(run()["status"], "succeeded", "{}", run());
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn serve(place: &Place, address: SocketAddr) -> Server {
    place.serve_with(address, &["--public-base", &format!("http://{address}/")])
}

#[test]
fn a_job_is_looked_at_when_its_provider_calls_also_after_a_restart() {
    let calling = Calling::begin();
    let place = calling.place();
    let address = free_address();
    let server = serve(&place, address);

    let run = begin(address, "one");
    calling.looked(1);
    let hook = calling.told().submitted[0]["hook"].clone();
    assert_eq!(hook["of"], json!(["end"]));
    let own = calling.address();
    assert!(own.starts_with(&format!("http://{address}/v1/hints/")), "{own}");
    assert_eq!(call(&own.replace("/v1/hints/", "/v1/hints/a"), "{}").status, 404);
    calling.told().is_done = true;
    assert_eq!(call(&own, r#"{"state": "failed"}"#).status, 204);
    succeeds(address, &run);
    assert_eq!(call(&own, "again").status, 204, "it is over");
    assert_eq!(calling.counts(), (2, 1));

    // The address of a run is good for whoever goes on with it.
    *calling.told() = Told::default();
    let run = begin(address, "two");
    calling.looked(1);
    server.kill();
    let server = serve(&place, address);
    calling.looked(2);
    calling.told().is_done = true;
    assert_eq!(call(&calling.address(), "{}").status, 204);
    succeeds(address, &run);
    assert_eq!(calling.counts(), (3, 1));

    // Who calls before it has answered is not forgotten: the first look finds it done.
    *calling.told() = Told { calls_early: true, ..Told::default() };
    let run = begin(address, "three");
    succeeds(address, &run);
    assert_eq!(calling.told().looks, 1);
    drop(server);
}

#[test]
fn without_a_public_address_no_provider_is_told_to_call() {
    let calling = Calling::begin();
    let place = calling.place();
    let server = place.serve();
    calling.told().is_done = true;
    let run = begin(server.address, "one");
    succeeds(server.address, &run);
    assert_eq!(calling.told().submitted, [json!({ "prompt": "one" })]);
}
