//! A server on memory stores, with tiny operations and keys of two tenants.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use impasto_domain::{
    AssetRef, Digest, Error, MediaFacts, News, Result, SoundFormat, TenantId, Values, Workbench,
};
use impasto_engine::{Fault, Importer, OperationsDriver, SystemClock};
use impasto_store::{BoxFuture, KeyKind, KeyLimits, KeyStore, MemoryBlobs, MemoryRuns};
use impasto_testkit::{Stage, operations};
use serde_json::Value as Json;

use crate::app::App;
use crate::caller::{Scope, Scopes};
use crate::keys::{NewKey, draw};
use crate::{Fetch, Fetched, Front, NoEncoders, Parts, Post, Posted, ServerOptions};

/// Takes everything in as it is.
struct Taker;

impl Importer for Taker {
    fn import(&self, path: &Path, bench: &dyn Workbench) -> Result<AssetRef> {
        let bytes = std::fs::read(path).map_err(|error| Error::internal(error.to_string()))?;
        let name = path.file_name().unwrap().to_string_lossy();
        self.import_bytes(&bytes, &name, bench)
            .map_err(|error| error.context(format!("'{}'", path.display())))
    }

    fn import_bytes(&self, bytes: &[u8], name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        if bytes.starts_with(b"bad") {
            return Err(Error::invalid(format!("'{name}' is no file that can be used")));
        }
        bench.write(bytes.to_vec(), "text/plain", MediaFacts::default())
    }
}

/// What a receiver answers that may not be asked.
pub(super) const FORBIDDEN_PLACE: u16 = 0;

/// Somebody who is told things, and answers as it was told to.
#[derive(Default)]
pub(super) struct Receiver {
    pub(super) posts: Mutex<Vec<Post>>,
    pub(super) answers: Mutex<VecDeque<u16>>,
}

impl Fetch for Receiver {
    fn get(&self, url: String, _bytes_max: u64) -> BoxFuture<'_, Result<Fetched>> {
        Box::pin(async move { Err(Error::invalid(format!("nobody is at '{url}'"))) })
    }

    fn check(&self, url: &str) -> Result<()> {
        match url.starts_with("http://10.") {
            true => Err(Error::invalid("that place may not be reached")),
            false => Ok(()),
        }
    }

    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted>> {
        self.posts.lock().unwrap().push(post);
        let status = self.answers.lock().unwrap().pop_front().unwrap_or(204);
        Box::pin(async move {
            match status {
                FORBIDDEN_PLACE => Err(Error::invalid("that place may not be reached")),
                status => Ok(Posted { status, retry_after_ms: Some(9_000_000) }),
            }
        })
    }
}

/// A server with everything about it.
pub(super) struct House {
    pub(super) app: App,
    pub(super) front: Front,
    pub(super) receiver: Arc<Receiver>,
    /// Keys: of the tenant `acme`, of another one, one that may only read, and one of who runs it.
    pub(super) own: String,
    pub(super) foreign: String,
    pub(super) reader: String,
    pub(super) admin: String,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of the problem that it tells.
    pub(super) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{:?}", self.body);
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

async fn key(store: &MemoryRuns, tenant: &str, kind: KeyKind, scopes: Scopes) -> String {
    let new = NewKey {
        tenant: TenantId::new(tenant),
        name: "test".to_owned(),
        kind,
        scopes,
        limits: KeyLimits::default(),
        expires_ms: None,
    };
    let (record, shown) = draw(new, 0).unwrap();
    store.add_key(record).await.unwrap();
    shown
}

/// Gives back what it is given, and tells of everything that can be told of on the way.
fn talk(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    bench.progress(0.5, "half of it");
    let (level, message) = ("info".to_owned(), "looking".to_owned());
    bench.tell(News::Log { level, message });
    if bench.wants_news() {
        let (name, media_type) = ("image".to_owned(), "image/png".to_owned());
        bench.tell(News::Picture { name, index: 0, bytes: b"half".to_vec(), media_type });
        let format =
            SoundFormat { media_type: "audio/pcm".to_owned(), sample_rate_hz: 24_000, channels: 1 };
        bench.tell(News::Sound { name: "audio".to_owned(), format, bytes: vec![0; 4] });
    }
    Ok(input.clone())
}

/// The model `spare` never ends by itself.
fn fault(endpoint: &str) -> Fault {
    Fault { delay_ms: 0, error: None, hang: endpoint == "spare-echo" }
}

impl House {
    pub(super) async fn new() -> Self {
        Self::with(ServerOptions::default()).await
    }

    pub(super) async fn with(options: ServerOptions) -> Self {
        Self::on(options, |stage| stage).await
    }

    /// The same on a stage that is set up otherwise.
    pub(super) async fn on(options: ServerOptions, set: impl FnOnce(Stage) -> Stage) -> Self {
        let (store, blobs) = (Arc::new(MemoryRuns::default()), Arc::new(MemoryBlobs::default()));
        let mut all = operations();
        all.iter_mut().filter(|one| one.name == "echo").for_each(|one| one.run = talk);
        let driver = OperationsDriver::new(all).with_faults(Arc::new(|name, _, _| fault(name)));
        let stage = Stage::over(store.clone(), blobs.clone()).unwrap();
        let mut stage = set(stage.driver("here", Arc::new(driver)));
        stage.parts.importer = Arc::new(Taker);
        let receiver = Arc::new(Receiver::default());
        let catalog = Arc::clone(&stage.parts.catalog);
        let parts = Parts {
            engine: stage.engine(),
            store: store.clone(),
            blobs,
            pieces: Arc::new(MemoryBlobs::default()),
            reload: Some(Arc::new(move || Ok((*catalog).clone()))),
            fetch: receiver.clone(),
            encoders: Arc::new(NoEncoders),
            clock: Arc::new(SystemClock),
            secret: [7; 32],
        };
        let app = App::new(parts, options);
        Self {
            front: crate::front(app.clone()),
            app,
            receiver,
            own: key(&store, "acme", KeyKind::User, Scopes::new()).await,
            foreign: key(&store, "other", KeyKind::User, Scopes::new()).await,
            reader: key(&store, "acme", KeyKind::User, [Scope::Read].into()).await,
            admin: key(&store, "acme", KeyKind::Admin, Scopes::new()).await,
        }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let answering = async {
            let (parts, body) = self.front.answer(request).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Reply { status: parts.status, headers: parts.headers, body }
        };
        tokio::time::timeout(Duration::from_secs(20), answering).await.expect("an answer in time")
    }

    /// Asks with the own key; `headers` are lines such as `Prefer: wait=1`.
    pub(super) async fn ask(&self, call: &str, headers: &[&str], body: impl Into<Body>) -> Reply {
        self.send(self.request(&self.own, call, headers, body)).await
    }

    /// A request such as `GET /v1/runs`.
    pub(super) fn request(
        &self,
        key: &str,
        call: &str,
        headers: &[&str],
        body: impl Into<Body>,
    ) -> Request<Body> {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "here");
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for line in headers {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        request.body(body.into()).unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], Body::empty()).await
    }

    /// Posts JSON.
    pub(super) async fn post(&self, path: &str, headers: &[&str], body: &Json) -> Reply {
        let headers = [headers, &["content-type: application/json"]].concat();
        self.ask(&format!("POST {path}"), &headers, body.to_string()).await
    }

    /// A run that gives back a number, and has ended.
    pub(super) async fn echo(&self, number: i64) -> Json {
        let body =
            serde_json::json!({ "task": "echo", "model": "local", "input": { "number": number } });
        let reply = self.post("/v1/runs", &[], &body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()
    }

    /// A run that never ends by itself, and has begun.
    pub(super) async fn hang(&self, number: i64) -> String {
        let body =
            serde_json::json!({ "task": "echo", "model": "spare", "input": { "number": number } });
        let reply = self.post("/v1/runs", &["prefer: respond-async"], &body).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// Uploads a file; answers its digest.
    pub(super) async fn upload(&self, bytes: &'static [u8]) -> String {
        let reply = self.ask("POST /v1/assets", &["content-type: text/plain"], bytes).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        assert_eq!(reply.json()["digest"], Digest::of(bytes).to_string());
        reply.json()["digest"].as_str().unwrap().to_owned()
    }
}
