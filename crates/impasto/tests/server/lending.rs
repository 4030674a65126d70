//! A provider that takes files only by an address fetches them from a server that others reach.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use impasto_testkit::{model_file, read_request};
use serde_json::{Value as Json, json};

use crate::client::{Reply, get, post};
use crate::harness::Place;

/// One white dot.
const DOT_PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==";
const DRAWING: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8' onload='alert(1)'>\
                       <script>alert(2)</script><rect width='8' height='8' fill='red'/></svg>";

/// Takes the file that it is given the address of, and gives it back as what it made.
struct Fetching {
    url: String,
    fetched: Arc<Mutex<Vec<(String, Reply)>>>,
}

impl Fetching {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fetched: Arc<Mutex<Vec<(String, Reply)>>> = Arc::default();
        let (log, own) = (Arc::clone(&fetched), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, own) = (Arc::clone(&log), own.clone());
                std::thread::spawn(move || answer(stream, &log, &own));
            }
        });
        Self { url, fetched }
    }

    /// What was fetched last, and from where.
    fn last(&self) -> (String, Reply) {
        self.fetched.lock().unwrap().pop().unwrap()
    }
}

fn answer(mut stream: TcpStream, log: &Mutex<Vec<(String, Reply)>>, own: &str) {
    let (head, body) = read_request(&stream).unwrap();
    let (kind, body) = if head.starts_with("POST /draw/") {
        ("application/json", json!({ "made": format!("{own}/drawn") }).to_string().into_bytes())
    } else if head.starts_with("GET /drawn") {
        ("image/svg+xml", DRAWING.as_bytes().to_vec())
    } else if head.starts_with("POST") {
        let told: Json = serde_json::from_slice(&body).unwrap();
        let address = told["file_url"].as_str().unwrap().to_owned();
        let rest = address.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let reply = get(host.parse().unwrap(), path);
        log.lock().unwrap().push((address, reply));
        ("application/json", json!({ "made": format!("{own}/made") }).to_string().into_bytes())
    } else {
        let log = log.lock().unwrap();
        let last = &log.last().unwrap().1;
        match last.header("content-type") {
            Some("video/mp4") => ("video/mp4", last.body.clone()),
            _ => ("image/png", STANDARD.decode(DOT_PNG).unwrap()),
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
}

fn provider(id: &str, path: &str, url: &str) -> String {
    format!(
        "id = \"{id}\"\ntitle = \"Fetching\"\ndescription = \"Fetches.\"\ndialect = \"submit-poll\"\n\
         concurrency = 2\nfiles = \"url\"\n[base]\ndefault = {{ url = \"{url}\" }}\n\
         [wires.only]\nsubmit = {{ method = \"POST\", path = \"/{path}/{{endpoint}}\", body = \"json\" }}\n"
    )
}

/// A model that fetches, in its file.
fn model() -> (String, String) {
    let offer = |provider: &str, task: &str, input: &str, output: &str| {
        format!(
            "[[offers]]\nprovider = \"{provider}\"\ntask = \"{task}\"\nendpoint = \"{task}\"\nwire = \"only\"\n\
             price = \"free\"\n[offers.input]\n{input}\n[offers.output]\n{output} = \"/made\"\n"
        )
    };
    let offers = [
        offer("drawing", "text-to-image", "prompt = {}", "images"),
        offer(
            "fetching",
            "edit-image",
            "prompt = {}\nimages = { to = \"file_url\", first = true, max = 1 }",
            "images",
        ),
        offer("fetching", "upscale-video", "video = \"file_url\"", "video"),
    ];
    model_file("fetcher", &offers.concat())
}

/// A place whose catalogue has a provider that fetches, and one that draws.
fn place(url: &str) -> Place {
    let place = Place::trusting(url);
    for (id, path) in [("fetching", "do"), ("drawing", "draw")] {
        place.put_into_catalog(&format!("providers/{id}.toml"), &provider(id, path, url));
    }
    let (path, text) = model();
    place.put_into_catalog(&path, &text);
    place
}

/// Runs a task to its end and gives its output.
fn made(server: SocketAddr, body: &Json) -> Json {
    let reply = post(server, "/v1/runs", &[("prefer", "wait=30")], body);
    let run = reply.json();
    assert_eq!(run["status"], "succeeded", "{run}");
    run["output"].clone()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_file_that_is_lent_is_the_one_that_is_stored_at_an_address_that_is_signed_and_ends() {
    let fetching = Fetching::begin();
    let place = place(&fetching.url);
    let address = free_address();
    let server = place.serve_with(address, &["--public-base", &format!("http://{address}/")]);

    // A drawing was written anew when it came in: that is what another provider gets.
    let body = json!({ "task": "text-to-image", "model": "fetcher", "input": { "prompt": "x" } });
    let drawn = made(address, &body)["images"][0].clone();
    let digest = drawn["digest"].as_str().unwrap_or_else(|| panic!("{drawn}"));
    let input = json!({ "images": [drawn["url"]], "prompt": "blue" });
    made(address, &json!({ "task": "edit-image", "model": "fetcher", "input": input }));
    let (lent, got) = fetching.last();
    assert!(lent.contains(digest) && lent.contains("expires=") && lent.contains("signature="));
    assert_eq!((got.status, got.header("content-type")), (200, Some("image/svg+xml")));
    assert_eq!(got.body, get(address, &format!("/v1/assets/{digest}/content")).body);
    assert!(got.text().contains("<rect") && !got.text().contains("alert"), "{}", got.text());
    let path = lent.split_once(&address.to_string()).unwrap().1;
    let forged = path.replace("expires=", "expires=9");
    assert_eq!(get(address, &forged).status, 404);

    // A video that is only described is a file when a provider is to fetch it.
    let still = json!({ "prompt": "a red mug", "width": 128, "height": 128 });
    let still = made(address, &json!({ "task": "text-to-image", "input": still }));
    let input = json!({ "image": still["images"][0]["url"], "duration": 1 });
    let body = json!({ "task": "image-to-video", "model": "camera-moves", "input": input });
    let shot = made(address, &body);
    let input = json!({ "video": shot["video"]["url"] });
    let body = json!({ "task": "upscale-video", "model": "fetcher", "input": input });
    made(address, &body);
    let (lent, got) = fetching.last();
    assert!(!lent.contains(shot["video"]["digest"].as_str().unwrap()), "not the description");
    assert_eq!((got.status, got.header("content-type")), (200, Some("video/mp4")), "{lent}");
    assert_eq!(got.body.get(4..8), Some(&b"ftyp"[..]));
    drop(server);
}

#[test]
fn without_a_public_address_nothing_is_sent_and_a_wrong_one_is_refused() {
    let fetching = Fetching::begin();
    let place = place(&fetching.url);
    for wrong in ["media.example", "ftp://media.example", "https://", "https://a.example/?x"] {
        let refused = place.run(&["serve", "--public-base", wrong]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("no address of a server"), "{said}");
    }
    let server = place.serve();
    let body = json!({ "task": "text-to-image", "model": "fetcher", "input": { "prompt": "x" } });
    let drawn = made(server.address, &body)["images"][0].clone();
    let input = json!({ "images": [drawn["url"]], "prompt": "blue" });
    let body = json!({ "task": "edit-image", "model": "fetcher", "input": input });
    let run = post(server.address, "/v1/runs", &[("prefer", "wait=30")], &body).json();
    assert_eq!(run["status"], "failed", "{run}");
    assert!(run.to_string().contains("only by a public address"), "{run}");
    assert!(run.to_string().contains("--public-base"), "{run}");
    assert!(fetching.fetched.lock().unwrap().is_empty());
}
