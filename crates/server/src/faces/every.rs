//! What is true of every face, and of the native API.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};

use super::tests::{front_that, open};
use crate::{Front, NoEncoders, ServerOptions};

/// The body that asks for something about a word.
type About = fn(&str) -> Json;

/// A way to ask for a run: where, and with what body.
struct Way {
    path: &'static str,
    body: About,
    /// How to ask for the answer while it is made, if that can be asked for.
    stream: Option<(&'static str, About)>,
}

fn prompt(word: &str) -> Json {
    json!({ "prompt": word })
}

fn said(word: &str) -> Json {
    json!({ "contents": [{ "parts": [{ "text": word }] }] })
}

fn spoken(word: &str) -> Json {
    json!({ "text": word, "model_id": "teller" })
}

const WAYS: [Way; 8] = [
    Way {
        path: "/v1/runs",
        body: |word| json!({ "task": "text-to-image", "model": "teller", "input": { "prompt": word } }),
        stream: None,
    },
    Way { path: "/fal/queue/any/teller", body: prompt, stream: None },
    Way {
        path: "/fal/run/any/teller",
        body: prompt,
        stream: Some(("/fal/run/any/teller/stream", prompt)),
    },
    Way {
        path: "/replicate/v1/models/any/teller/predictions",
        body: |word| json!({ "input": { "prompt": word } }),
        stream: None,
    },
    Way {
        path: "/openai/v1/images/generations",
        body: |word| json!({ "model": "teller", "prompt": word }),
        stream: Some((
            "/openai/v1/images/generations",
            |word| json!({ "model": "teller", "prompt": word, "stream": true, "partial_images": 1 }),
        )),
    },
    Way {
        path: "/gemini/v1beta/models/teller:generateContent",
        body: said,
        stream: Some(("/gemini/v1beta/models/teller:streamGenerateContent?alt=sse", said)),
    },
    Way {
        path: "/gemini/v1beta/models/teller:predict",
        body: |word| json!({ "instances": [{ "prompt": word }] }),
        stream: None,
    },
    Way {
        path: "/elevenlabs/v1/text-to-speech/any?output_format=pcm_24000",
        body: spoken,
        stream: Some(("/elevenlabs/v1/text-to-speech/any/stream?output_format=pcm_24000", spoken)),
    },
];

fn front(options: ServerOptions) -> Front {
    front_that(Arc::new(NoEncoders), options)
}

fn request(method: &str, path: &str, header: Option<(&str, &str)>, body: &Json) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    let request =
        header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(Body::from(body.to_string())).unwrap()
}

/// The status and the body of an answer.
async fn ask(
    front: &Front,
    path: &str,
    header: Option<(&str, &str)>,
    body: &Json,
) -> (StatusCode, Bytes) {
    let response = front.answer(request("POST", path, header, body)).await;
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

async fn get(front: &Front, path: &str) -> (StatusCode, Bytes) {
    let response = front.answer(request("GET", path, None, &Json::Null)).await;
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

/// How many runs there are.
async fn runs(front: &Front) -> usize {
    let (_, body) = get(front, "/v1/runs?limit=200").await;
    let listed: Json = serde_json::from_slice(&body).unwrap();
    listed["runs"].as_array().unwrap().len()
}

/// What a body says went wrong, where clients of that path look for it.
fn message(path: &str, body: &Bytes) -> String {
    let told: Json = serde_json::from_slice(body).unwrap_or_else(|_| panic!("{path} {body:?}"));
    let place = match path.split('/').nth(1) {
        Some("openai" | "gemini") => &told["error"]["message"],
        Some("elevenlabs") => &told["detail"]["message"],
        Some("fal") if told["detail"].is_array() => &told["detail"][0]["msg"],
        _ => &told["detail"],
    };
    place.as_str().unwrap_or_else(|| panic!("{path} {told}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_run_and_stands_for_one_request() {
    let front = front(ServerOptions::default());
    for (number, way) in WAYS.iter().enumerate() {
        let Way { path, body, .. } = *way;
        let key = format!("kk-{number}");
        let key = Some(("idempotency-key", key.as_str()));
        for _ in 0..2 {
            let (status, told) = ask(&front, path, key, &body("one")).await;
            assert!(status.is_success(), "{path} {told:?}");
        }
        assert_eq!(runs(&front).await, number * 3 + 1, "{path}: the same key is the same run");
        let (status, told) = ask(&front, path, key, &body("another")).await;
        assert!(status.is_client_error(), "{path} {status}");
        let told = message(path, &told);
        assert!(told.contains(&format!("'kk-{number}'")), "{path}: {told}");
        let (status, _) = ask(&front, path, Some(("idempotency-key", "")), &body("one")).await;
        assert!(status.is_client_error(), "{path}: an empty key is none");
        for _ in 0..2 {
            ask(&front, path, None, &body("one")).await;
        }
        assert_eq!(runs(&front).await, number * 3 + 3, "{path}: without a key each is a wish");
    }
}

/// Systems differ in what they do with a connection that is closed while something in it is unread.
#[cfg(target_os = "linux")]
mod unread {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::watch;

    use super::{WAYS, Way, front, runs};
    use crate::ServerOptions;
    use crate::listen::{bind, serve};

    /// Asks over a connection that is kept.
    async fn connect(address: std::net::SocketAddr, way: &Way, word: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = (way.body)(word).to_string();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            way.path,
            body.len(),
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut first = [0; 16];
        let seen = stream.peek(&mut first).await.unwrap();
        assert!(first[..seen].starts_with(b"HTTP/1.1 2"), "{} {first:?}", way.path);
        stream
    }

    /// Sends the same twice, and breaks the first connection in this way after the answer came. Answers how
    /// many runs each way of asking made.
    async fn broken(breaking: impl AsyncFn(TcpStream) + Copy) -> Vec<(&'static str, usize)> {
        let mut made = Vec::new();
        let all = WAYS.iter().map(async |way| {
            let front = front(ServerOptions::default());
            let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let address = listener.local_addr().unwrap();
            let (_go_on, stop) = watch::channel(false);
            let serving = tokio::spawn(serve(listener, None, front.clone(), stop));
            let first = connect(address, way, "again").await;
            // Longer than connections are kept at least whose client has nothing else to ask.
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            breaking(first).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(connect(address, way, "again").await);
            let count = runs(&front).await;
            serving.abort();
            (way.path, count)
        });
        made.extend(futures_util::future::join_all(all).await);
        made
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_that_nobody_read_is_given_again_and_one_that_was_read_is_not() {
        // What is closed with an answer in it that was not read is reset by the system.
        let unread = broken(async |stream| drop(stream)).await;
        assert_eq!(unread, WAYS.map(|way| (way.path, 1)), "no second run");
        let read = broken(async |mut stream| {
            let mut bytes = vec![0; 1 << 20];
            let reading = async { while stream.read(&mut bytes).await.unwrap() > 0 {} };
            let _all = tokio::time::timeout(Duration::from_millis(300), reading).await;
        })
        .await;
        assert_eq!(read, WAYS.map(|way| (way.path, 2)), "whoever read the answer wants another");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_up_before_a_handler_is_told_in_the_shape_of_the_face() {
    let full = front(ServerOptions { calls_max: 0, ..ServerOptions::default() });
    let open = front(ServerOptions::default());
    let page = Some(("origin", "https://elsewhere.example"));
    for Way { path, body, .. } in &WAYS {
        let response = full.answer(request("POST", path, None, &body("one"))).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(response.headers()["retry-after"], "1", "{path}");
        let is_named = response.headers().contains_key("x-fal-request-id");
        assert_eq!(is_named, path.starts_with("/fal/"), "{path}");
        let told = response.into_body().collect().await.unwrap().to_bytes();
        assert!(message(path, &told).contains("too many calls"), "{path} {told:?}");
        let (status, told) = ask(&open, path, page, &body("one")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(message(path, &told).contains("another origin"), "{path} {told:?}");
    }
    for path in ["/health", "/ready", "/metrics", "/v1/runs", "/openai/v1/models"] {
        assert_eq!(get(&full, path).await.0, StatusCode::OK, "{path}");
    }
    for path in ["/v1/runs/ab/cancel", "/replicate/v1/predictions/ab/cancel"] {
        let (status, told) = ask(&full, path, None, &Json::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(!message(path, &told).contains("impasto runs"), "{path}");
    }
}

async fn listeners(front: &Front) -> String {
    let (_, figures) = get(front, "/metrics").await;
    let figures = String::from_utf8(figures.to_vec()).unwrap();
    let line = figures.lines().find(|line| line.starts_with("impasto_event_listeners ")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// One listener has the only place; another is refused, and begins no run.
async fn check_listeners(front: &Front, first: Request<Body>, second: Request<Body>, gate: &str) {
    let path = first.uri().path().to_owned();
    let before = runs(front).await;
    let held = tokio::time::timeout(Duration::from_secs(10), front.answer(first)).await.unwrap();
    assert_eq!(held.status(), StatusCode::OK, "{path}");
    assert_eq!(listeners(front).await, "1", "{path}");
    let begun = runs(front).await;
    assert!(begun <= before + 1, "{path}");
    let refused = front.answer(second).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    let told = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(message(&path, &told).contains("which is the most"), "{path} {told:?}");
    assert_eq!(runs(front).await, begun, "{path}: nothing was begun that nobody hears");
    open(gate);
    held.into_body().collect().await.unwrap();
    assert_eq!(listeners(front).await, "0", "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_while_it_is_made_has_a_place() {
    let front = front(ServerOptions { listeners_max: 1, ..ServerOptions::default() });
    let streams = WAYS.iter().filter_map(|way| way.stream);
    for (number, (path, body)) in streams.enumerate() {
        let gate = format!("gate of place {number}");
        let first = request("POST", path, None, &body(&gate));
        check_listeners(&front, first, request("POST", path, None, &body("other")), &gate).await;
    }
    let (path, accept) = ("/v1/runs", Some(("accept", "text/event-stream")));
    let gate = "gate of place native";
    let first = request("POST", path, accept, &(WAYS[0].body)(gate));
    let second = request("POST", path, accept, &(WAYS[0].body)("other"));
    check_listeners(&front, first, second, gate).await;
    let gate = "gate of place told";
    let body = json!({ "input": { "prompt": gate }, "stream": true });
    let (status, made) = ask(&front, WAYS[3].path, None, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made:?}");
    let made: Json = serde_json::from_slice(&made).unwrap();
    let place = made["urls"]["stream"].as_str().unwrap().split_once("/replicate").unwrap().1;
    let first = request("GET", &format!("/replicate{place}"), None, &Json::Null);
    let second = request("GET", &format!("/replicate{place}"), None, &Json::Null);
    check_listeners(&front, first, second, gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_shortly_why_no_offer_will_do() {
    use impasto_domain::Error;

    let check = |reasons: &str, expected: &str| {
        let error = Error::unavailable(format!("{}draw: {reasons}", impasto_workflow::NO_OFFER));
        let told = super::for_clients(error.hint("ask for less in `policy`"));
        assert_eq!(told.message, format!("no offer will do for draw: {expected}"));
        assert!(told.hint.is_some_and(|hint| !hint.contains("policy")));
    };
    check("a@b: no key", "a@b: no key");
    check("a@b: no key; c@d: too long", "a@b: no key; and 1 reason more");
    check("a@b: x; c@d: y; e@f: z", "a@b: x; and 2 reasons more");
    let other = Error::invalid("`prompt` is missing").hint("give it");
    assert_eq!(super::for_clients(other.clone()), other);
}
