//! What a server tells those who watch it, and those whose pages call it: traces, its log, the headers
//! that browsers heed.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::client::{PATIENCE, Reply, ask, get, picture, post, submit, wait_for};
use crate::harness::{Place, Server, Setup};
use crate::receiver::{Receiver, Told};

fn wait<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(ready) = ready() {
            return ready;
        }
        assert!(began.elapsed() < PATIENCE, "{what} is waited for");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a span tells under this name.
fn attribute<'s>(span: &'s Json, name: &str) -> Option<&'s str> {
    let attributes = span["attributes"].as_array()?;
    let found = attributes.iter().find(|attribute| attribute["key"] == name)?;
    found["value"]["stringValue"].as_str()
}

#[test]
fn a_run_is_a_trace_at_the_collector_below_the_span_of_its_caller() {
    let collector = Receiver::new(|_, _| 200);
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url("")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-house=ours".to_owned()),
        ("OTEL_SERVICE_NAME", "mugs".to_owned()),
    ];
    let place = Place::new(Setup { environment, ..Setup::default() });
    let server = place.serve();
    let (trace, above) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let parent = format!("00-{trace}-{above}-01");
    let run = submit(server.address, &[("traceparent", &parent)], &picture(1));
    wait_for(server.address, &run, "succeeded");
    let Told { path, headers, body } = wait("a trace", || {
        collector.told().into_iter().find(|told| told.body.to_string().contains(trace))
    });
    assert_eq!((path.as_str(), headers["x-house"].as_str()), ("/v1/traces", "ours"));
    let resource = &body["resourceSpans"][0];
    assert_eq!(attribute(&resource["resource"], "service.name"), Some("mugs"), "{body}");
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let spans: Vec<&Json> = spans.iter().filter(|span| span["traceId"] == trace).collect();
    // The run, its step, its attempt: each below the one before.
    assert_eq!(spans.len(), 3, "{body}");
    let mut above = above.to_owned();
    for _ in 0..3 {
        let below = spans.iter().find(|span| span["parentSpanId"] == above.as_str());
        let below = below.unwrap_or_else(|| panic!("nothing is below {above}: {body}"));
        let nanos = |name: &str| below[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"), "{below}");
        above = below["spanId"].as_str().unwrap().to_owned();
    }
    assert!(!body.to_string().contains("red mug"), "no prompt is in a trace");
}

/// What nobody may find in a log, by what it is.
type Secrets = Vec<(&'static str, String)>;

/// Shows keys to a server in every way in which clients show them, and asks for files by addresses that
/// are signed.
fn show_secrets(server: &Server, key: &str, receiver: &Receiver) -> Secrets {
    let address = server.address;
    let bearer = format!("Bearer {key}");
    let authorized = [("authorization", bearer.as_str())];
    let mut body = picture(1);
    body["webhook"] = json!({ "url": receiver.url("/told?token=tell-nobody") });
    let run =
        post(address, "/v1/runs", &[&authorized[..], &[("prefer", "wait=30")]].concat(), &body);
    let run = run.json();
    let file = run["output"]["images"][0]["url"].as_str().unwrap_or_else(|| panic!("{run}"));
    let path = &file[file.find("/files/").unwrap()..];
    let signature = path.split("signature=").nth(1).unwrap().split('&').next().unwrap();
    let forged = path.replace(signature, "forged-signature");
    let wrong = format!("imp_0123456789ab_{}", "5".repeat(48));
    let fal = format!("Key {wrong}");
    for (path, headers, status) in [
        (path, &[][..], 200),
        (&forged, &[], 404),
        ("/v1/runs", &[("authorization", fal.as_str())], 401),
        ("/elevenlabs/v1/voices", &[("xi-api-key", key)], 200),
        ("/elevenlabs/v1/voices", &[("xi-api-key", wrong.as_str())], 401),
        ("/gemini/v1beta/models", &[("x-goog-api-key", key)], 200),
        (&format!("/gemini/v1beta/models?key={key}"), &[], 200),
        (&format!("/gemini/v1beta/models?key={wrong}"), &[], 401),
    ] {
        let reply = ask(address, "GET", path, headers, b"").unwrap();
        assert_eq!(reply.status, status, "{path} {}", reply.text());
    }
    let endpoint = json!({ "url": receiver.url("/endpoint"), "topics": ["run.succeeded"] });
    let made = post(address, "/v1/webhooks", &authorized, &endpoint);
    let secret =
        made.json()["secret"].as_str().unwrap_or_else(|| panic!("{}", made.text())).to_owned();
    wait("a webhook", || receiver.told().pop());
    let upload = json!({ "content_type": "image/png", "file_name": "a.png" });
    let upload = post(address, "/fal/rest/storage/upload/initiate", &authorized, &upload).json();
    let upload = upload["upload_url"].as_str().unwrap_or_else(|| panic!("{upload}"));
    let place = upload.split_once("/storage/u/").unwrap().1.split_once('/').unwrap().1.to_owned();
    let path = &upload[upload.find("/fal/").unwrap()..];
    assert_eq!(ask(address, "PUT", path, &[], b"no picture").unwrap().status / 100, 4);
    // A provider that refuses its key tells it back, as some do.
    let body =
        json!({ "task": "text-to-image", "model": "drawer", "input": { "prompt": "a mug" } });
    let failed =
        post(address, "/v1/runs", &[&authorized[..], &[("prefer", "wait=30")]].concat(), &body);
    assert_eq!(failed.json()["status"], "failed", "{}", failed.text());
    let last = |key: &str| key.rsplit('_').next().unwrap().to_owned();
    vec![
        ("the key", last(key)),
        ("a wrong key", last(&wrong)),
        ("the signature of a file", signature.to_owned()),
        ("the secret of an endpoint", secret),
        ("the place of an upload", place),
        ("the key of a provider", PROVIDER_KEY.to_owned()),
        ("the query of a webhook", "tell-nobody".to_owned()),
    ]
}

const PROVIDER_KEY: &str = "sk-of-the-provider-0123456789";
const PROVIDER: &str = r#"id = "keyed"
title = "Keyed"
description = "Wants a key."
dialect = "submit-poll"
concurrency = 1
files = "base64"
[base]
default = { url = "URL" }
[auth]
header = "authorization"
prefix = "Bearer "
env = ["IMPASTO_TEST_PROVIDER_KEY"]
[wires.only]
submit = { method = "POST", path = "/draw", body = "json" }
"#;
const OFFER: &str = r#"[[offers]]
provider = "keyed"
task = "text-to-image"
endpoint = "draw"
wire = "only"
price = "free"
[offers.input]
prompt = {}
[offers.output]
images = "/images/*/url"
"#;

/// A place whose catalogue has a provider that wants a key and answers every call with 401.
fn keyed(receiver: &Receiver, log: &str) -> Place {
    let host = receiver.address;
    let environment =
        vec![("RUST_LOG", log.to_owned()), ("IMPASTO_TEST_PROVIDER_KEY", PROVIDER_KEY.to_owned())];
    let settings =
        format!("[network]\ntrusted_hosts = [\"{host}\"]\nforeign_networks = [\"127.0.0.0/8\"]\n");
    let place = Place::new(Setup { settings, environment, ..Setup::default() });
    place.put_into_catalog("providers/keyed.toml", &PROVIDER.replace("URL", &receiver.url("")));
    let (path, text) = impasto_testkit::model_file("drawer", OFFER);
    place.put_into_catalog(&path, &text);
    place
}

#[test]
fn no_secret_is_in_a_log_however_much_is_logged() {
    for log in [&["--log", "text"], &["--log", "json"]] {
        let receiver = Receiver::new(|path, _| if path == "/draw" { 401 } else { 200 });
        let place = keyed(&receiver, "trace");
        let (_, key) = place.key(&["ada"]);
        let server = place.serve_with("127.0.0.1:0".parse().unwrap(), log);
        let secrets = show_secrets(&server, &key, &receiver);
        let shown = receiver.told().into_iter().find(|told| told.path == "/draw").unwrap();
        assert_eq!(shown.headers["authorization"], format!("Bearer {PROVIDER_KEY}"));
        let written = server.log();
        assert!(written.contains("/elevenlabs/v1/voices"), "requests are in it: {written}");
        for (what, secret) in secrets {
            let line = written.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{what} is in the log {log:?}");
        }
    }
}

#[test]
fn a_log_for_machines_is_an_object_in_each_line() {
    let environment = vec![("RUST_LOG", "info".to_owned())];
    let place = Place::new(Setup { environment, ..Setup::default() });
    let server = place.serve_with("127.0.0.1:0".parse().unwrap(), &["--log", "json"]);
    let id = ("x-request-id", "mine-1");
    assert_eq!(ask(server.address, "GET", "/v1/nonesuch", &[id], b"").unwrap().status, 404);
    let told = wait("the request in the log", || {
        let log = server.log();
        // The last line may still be written.
        let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let mut objects = whole.map(|line| serde_json::from_str::<Json>(line).unwrap());
        objects.find(|told| told["id"] == "mine-1")
    });
    assert_eq!((&told["level"], &told["message"]), (&json!("INFO"), &json!("request")));
    assert_eq!((&told["method"], &told["path"]), (&json!("GET"), &json!("/v1/nonesuch")));
    assert_eq!(told["status"], 404);
    assert!(told["timestamp"].is_string() && told["ms"].is_number(), "{told}");
}

#[test]
fn every_answer_is_careful_with_browsers() {
    let place = Place::new(Setup::default());
    let server = place.serve();
    let address = server.address;
    let made = post(address, "/v1/runs", &[("prefer", "wait=30")], &picture(1)).json();
    let file = made["output"]["images"][0]["url"].as_str().unwrap();
    let file = file[file.find("/files/").unwrap()..].to_owned();
    for (method, path) in [
        ("GET", "/health"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/metrics"),
        ("GET", "/v1/models"),
        ("GET", "/v1/nonesuch"),
        ("DELETE", "/v1/models"),
        ("POST", "/v1/runs"),
        ("GET", file.as_str()),
        ("GET", "/openai/v1/models"),
        ("POST", "/fal/run/acme/nonesuch"),
        ("GET", "/replicate/v1/models"),
        ("GET", "/gemini/v1beta/models"),
        ("GET", "/elevenlabs/v1/models"),
    ] {
        let reply = ask(address, method, path, &[], b"").unwrap();
        let is = |name: &str| reply.header(name).unwrap_or_default().to_owned();
        assert_eq!(is("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(is("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(is("x-frame-options"), "DENY", "{path}");
        assert!(is("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(!is("x-request-id").is_empty(), "{path}");
        assert!(!reply.head.to_lowercase().contains("access-control-"), "{path}: {}", reply.head);
    }
}

#[test]
fn pages_of_the_origins_that_are_named_may_call_and_no_others() {
    let settings = "[server]\nallow_origins = [\"https://studio.example\"]\n".to_owned();
    let place = Place::new(Setup { settings, ..Setup::default() });
    let (_, key) = place.key(&["ada"]);
    let server = place.serve();
    let asks = |origin: &str, path: &str| -> Reply {
        let wanted = "authorization,content-type";
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", wanted),
        ];
        ask(server.address, "OPTIONS", path, &headers, b"").unwrap()
    };
    let calls = |origin: &str, path: &str| -> Reply {
        let bearer = format!("Bearer {key}");
        let headers = [("origin", origin), ("authorization", bearer.as_str())];
        ask(server.address, "GET", path, &headers, b"").unwrap()
    };
    let allowed = "https://studio.example";
    for path in ["/v1/runs", "/openai/v1/models", "/fal/queue/impasto/auto", "/v1/nonesuch"] {
        let asked = asks(allowed, path);
        assert_eq!(asked.status, 204, "{path}");
        assert_eq!(asked.header("access-control-allow-origin"), Some(allowed), "{path}");
        assert!(asked.header("access-control-allow-methods").unwrap().contains("POST"), "{path}");
        let headers = asked.header("access-control-allow-headers");
        assert_eq!(headers, Some("authorization,content-type"), "{path}");
        let called = calls(allowed, path);
        assert_eq!(called.header("access-control-allow-origin"), Some(allowed), "{path}");
        assert!(called.header("vary").unwrap().contains("origin"), "{path}");
        // No page acts with what the browser keeps for its user.
        assert_eq!(called.header("access-control-allow-credentials"), None, "{path}");
        for other in ["https://studio.example.evil.example", "http://studio.example", "null"] {
            let (asked, called) = (asks(other, path), calls(other, path));
            for reply in [asked, called] {
                assert_eq!(reply.header("access-control-allow-origin"), None, "{other} {path}");
            }
        }
    }
    assert_eq!(calls(allowed, "/v1/runs").status, 200);
    // Without an origin nothing is said of any.
    assert_eq!(get(server.address, "/health").header("access-control-allow-origin"), None);
}
