//! Calls as a client of the dialect makes them, over memory stores and tiny operations.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use impasto_domain::TenantId;
use impasto_engine::SystemClock;
use impasto_store::{KeyKind, KeyLimits, KeyStore, MemoryBlobs, MemoryRuns};
use impasto_testkit::Stage;
use serde_json::{Value as Json, json};

use crate::app::App;
use crate::caller::Scopes;
use crate::keys::{NewKey, draw};
use crate::{Front, NoEncoders, NoFetch, Parts, ServerOptions};

const ECHO: &str = "POST /fal/queue/impasto/local/echo";

struct House {
    front: Front,
    own: String,
    foreign: String,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

async fn key(store: &MemoryRuns, tenant: &str) -> String {
    let new = NewKey {
        tenant: TenantId::new(tenant),
        name: "test".to_owned(),
        kind: KeyKind::User,
        scopes: Scopes::new(),
        limits: KeyLimits::default(),
        expires_ms: None,
    };
    let (record, shown) = draw(new, 0).unwrap();
    store.add_key(record).await.unwrap();
    shown
}

impl House {
    async fn new() -> Self {
        let (store, blobs) = (Arc::new(MemoryRuns::default()), Arc::new(MemoryBlobs::default()));
        let stage = Stage::over(store.clone(), blobs.clone()).unwrap();
        let parts = Parts {
            engine: stage.engine(),
            store: store.clone(),
            blobs,
            pieces: Arc::new(MemoryBlobs::default()),
            reload: None,
            fetch: Arc::new(NoFetch),
            encoders: Arc::new(NoEncoders),
            clock: Arc::new(SystemClock),
            secret: [7; 32],
        };
        let options = ServerOptions { body_bytes_max: 1_000, ..ServerOptions::default() };
        Self {
            front: crate::front(App::new(parts, options)),
            own: key(&store, "acme").await,
            foreign: key(&store, "other").await,
        }
    }

    async fn ask(&self, key: &str, call: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "here");
        if !key.is_empty() {
            request = request.header("authorization", format!("Key {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answering = async {
            let (parts, body) = self.front.answer(request).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let text = String::from_utf8_lossy(&body).into_owned();
            Reply { status: parts.status, headers: parts.headers, text }
        };
        tokio::time::timeout(Duration::from_secs(20), answering).await.expect("an answer in time")
    }

    /// The path of a request that has ended.
    async fn ended(&self) -> String {
        let submitted = self.ask(&self.own, ECHO, &[], r#"{"number": 3}"#).await.json();
        let url = submitted["response_url"].as_str().unwrap();
        let path = url.strip_prefix("http://here").unwrap().to_owned();
        let followed = self.ask(&self.own, &format!("GET {path}/status/stream"), &[], "").await;
        assert!(followed.text.contains("COMPLETED"), "{}", followed.text);
        path
    }
}

#[tokio::test]
async fn a_request_is_found_by_whose_it_is_and_by_nobody_else() {
    let house = House::new().await;
    let path = house.ended().await;
    assert_eq!(house.ask(&house.own, &format!("GET {path}"), &[], "").await.json()["number"], 3);
    let calls = ["GET", "GET /status", "GET /status/stream", "PUT /cancel"];
    for (method, below) in calls.map(|call| call.split_once(' ').unwrap_or((call, ""))) {
        let call = format!("{method} {path}{below}");
        let reply = house.ask(&house.foreign, &call, &[], "").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{call}");
        let reply = house.ask("", &call, &[], "").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{call}");
    }
}

#[tokio::test]
async fn every_answer_says_which_request_it_answers_and_is_json() {
    let house = House::new().await;
    for (call, body, status) in [
        (ECHO, "{", 422),
        (ECHO, "[]", 422),
        (ECHO, r#"{"nonsense": 1}"#, 422),
        ("POST /fal/run/acme/nothing", "{}", 404),
        ("GET /fal/queue/acme/nothing", "", 405),
        ("DELETE /fal/run/impasto/local", "", 405),
        ("GET /fal/rest/tokens/", "", 405),
        ("GET /fal/elsewhere", "", 404),
        ("POST /fal/proxy", "{}", 400),
        ("POST /fal/rest/storage/upload/initiate", "[", 422),
        ("PUT /fal/cdn/storage/u/acme/none/a.png", "x", 404),
        ("GET /fal/cdn/storage/u/acme", "", 404),
    ] {
        let reply = house.ask(&house.own, call, &[], body).await;
        assert_eq!(reply.status.as_u16(), status, "{call}: {}", reply.text);
        assert!(reply.headers.contains_key("x-fal-request-id"), "{call}");
        assert!(!reply.json()["detail"].is_null(), "{call}");
    }
    let large = json!({ "text": "x".repeat(2_000) }).to_string();
    let reply = house.ask(&house.own, ECHO, &[], &large).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_wish_that_has_a_name_is_one_request() {
    let house = House::new().await;
    let named = [("idempotency-key", "one")];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let reply = house.ask(&house.own, ECHO, &named, r#"{"number": 3}"#).await;
        ids.push(reply.json()["request_id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    let reply = house.ask(&house.own, ECHO, &named, r#"{"number": 4}"#).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "no status on which clients try again");
}

#[tokio::test]
async fn a_token_is_worth_no_more_than_what_it_says() {
    let house = House::new().await;
    let wish = r#"{"allowed_apps": ["local"], "token_expiration": 60}"#;
    let token = house.ask(&house.own, "POST /fal/rest/tokens/", &[], wish).await.json();
    let call = |app: &str, token: &str| format!("POST /fal/run/{app}?fal_jwt_token={token}");
    let token = token.as_str().unwrap();
    let forged = format!("{}x", token.replace('.', "x."));
    for (call, status) in [
        (call("impasto/local/echo", token), 200),
        (call("impasto/spare/echo", token), 401),
        (call("impasto/local/echo", &forged), 401),
        (call("impasto/local/echo", "nonsense"), 401),
        ("POST /fal/cdn/files/upload".to_owned(), 401),
    ] {
        let bearer = format!("Bearer {token}");
        let reply = house.ask("", &call, &[("authorization", &bearer)], r#"{"number": 3}"#).await;
        assert_eq!(reply.status.as_u16(), status, "{call}: {}", reply.text);
    }
}
