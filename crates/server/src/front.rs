//! What every request goes through before and after its handler: a place, an id, the host's face,
//! a time for its body, headers that keep browsers careful.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use impasto_domain::{Error, ErrorKind};
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::Sleep;
use tower::ServiceExt;

use crate::ServerOptions;
use crate::app::App;
use crate::delivery::Ear;
use crate::faces;
use crate::hints::HINTS;
use crate::hosts;
use crate::pages;
use crate::problem::Problem;
use crate::problem::code::FORBIDDEN;
use crate::traces::Parent;

/// The header that carries the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a request that is taken over from the client.
const REQUEST_ID_MAX: usize = 128;

/// The id of a request, as an extension of it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

/// Answers requests.
#[derive(Clone)]
pub struct Front {
    app: App,
    router: Router,
    places: Arc<Places>,
}

/// Places for those whose requests are worked on.
struct Places {
    calls: Semaphore,
    looks: Semaphore,
}

/// There are so many places for looking at least.
const LOOKS_MIN: usize = 64;
/// What is asked of a server to see whether it is well. It needs no place: when all are taken, it is well.
const PROBES: [&str; 3] = ["/health", "/ready", "/metrics"];
/// How addresses end at which something is given up.
const GIVES_UP: [&str; 2] = ["/cancel", ":cancel"];

/// Which place a request needs while it is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// Looking and giving up have places of their own: neither waits for a run, and those who wait must
    /// not keep others from ending what they wait for.
    Look,
    Call,
}

impl Need {
    fn of(method: &Method, path: &str) -> Self {
        let is_read = method == Method::GET || method == Method::HEAD;
        if is_read && PROBES.contains(&path) {
            return Self::Nothing;
        }
        let gives_up = method == Method::DELETE || GIVES_UP.iter().any(|end| path.ends_with(end));
        let looks = is_read && !path.starts_with(pages::CALLED_BY_ADDRESS);
        if gives_up || looks { Self::Look } else { Self::Call }
    }
}

impl Places {
    /// A place of that kind, until it is dropped.
    fn take(&self, need: Need) -> Result<Option<SemaphorePermit<'_>>, TryAcquireError> {
        match need {
            Need::Nothing => Ok(None),
            Need::Look => self.looks.try_acquire().map(Some),
            Need::Call => self.calls.try_acquire().map(Some),
        }
    }
}

impl Front {
    pub(crate) fn new(app: App, router: Router) -> Self {
        let calls_max = app.options().calls_max;
        let places = Places {
            calls: Semaphore::new(calls_max),
            looks: Semaphore::new(calls_max.max(LOOKS_MIN)),
        };
        Self { app, router, places: Arc::new(places) }
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        self.app.options()
    }

    /// The answer to a request; there always is one.
    pub async fn answer(&self, mut request: Request<Body>) -> Response {
        let began = Instant::now();
        let id = request_id(request.headers());
        request.extensions_mut().insert(RequestId(id.clone()));
        let origin = request.headers().get(header::ORIGIN).cloned();
        let method = request.method().clone();
        let path = without_secrets(request.uri().path()).to_owned();
        hosts::by_host(&mut request);
        hosts::by_target(&mut request);
        let mut response = match self.preflight(&request, origin.as_ref()) {
            Some(response) => response,
            None => self.let_in(request, &id).await,
        };
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id.clone());
        careful(headers);
        self.allow_origin(headers, origin.as_ref());
        let status = response.status().as_u16();
        self.app.figures().answered(&method, status, began.elapsed());
        let ms = began.elapsed().as_secs_f64() * 1e3;
        tracing::info!(%method, path, status, ms, id = id.to_str().unwrap_or_default(), "request");
        response
    }

    /// Lets a request in; what is wrong before its handler is asked is told as its face tells it.
    async fn let_in(&self, request: Request<Body>, id: &HeaderValue) -> Response {
        let path = request.uri().path().to_owned();
        let answered = self.answered(request).await;
        answered.unwrap_or_else(|problem| faces::told(&path, problem, RequestId(id.clone())))
    }

    async fn answered(&self, request: Request<Body>) -> Result<Response, Problem> {
        if let Some(refused) = pages::refusal(&request, self.options()) {
            self.keep_out(refused).await?;
        }
        let Ok(_place) = self.places.take(Need::of(request.method(), request.uri().path())) else {
            let busy = Error::new(ErrorKind::Unavailable, "too many calls are under way");
            return Err(busy.retry_after(1_000).into());
        };
        let idle = Duration::from_millis(self.options().body_idle_timeout_ms);
        let request = request.map(|body| Body::new(Timed { body, idle, deadline: None }));
        let (parent, ear) = (Parent::of(request.headers()), Ear::of(&request));
        let answering = Parent::hold(parent, self.router.clone().oneshot(request));
        let answering = Ear::hold(ear, answering);
        match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(never)) => match never {},
            Err(_) => {
                tracing::error!("a handler panicked");
                let hint = "it was written to the log of the server; please report it";
                let defect = Error::internal("this call met a defect of the server").hint(hint);
                Err(defect.into())
            }
        }
    }

    /// The answer to a browser that asks whether a page may call.
    fn preflight(&self, request: &Request<Body>, origin: Option<&HeaderValue>) -> Option<Response> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || !self.allows(origin?) {
            return None;
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.extend(wanted.map(|wanted| (header::ACCESS_CONTROL_ALLOW_HEADERS, wanted)));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.options().allows(origin))
    }

    /// Keeps out a page that may not use a server without keys.
    async fn keep_out(&self, refused: Error) -> Result<(), Problem> {
        match self.app.is_open().await {
            Ok(true) => Err(Problem::with(StatusCode::FORBIDDEN, FORBIDDEN, refused)),
            _ => Ok(()),
        }
    }

    fn allow_origin(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        let Some(origin) = origin.filter(|origin| self.allows(origin)) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// Below this an address names an upload by its secret id, after the tenant.
const UPLOADS: &str = "/storage/u/";

/// A path as it may be logged: without what would let its reader have a file, or hint.
fn without_secrets(path: &str) -> &str {
    if path.starts_with(HINTS) {
        return HINTS;
    }
    let Some(at) = path.find(UPLOADS).map(|at| at + UPLOADS.len()) else { return path };
    let tenant = path.get(at..).and_then(|rest| rest.find('/')).unwrap_or_default();
    path.get(..at + tenant).unwrap_or_default()
}

/// The id that the client gave its request, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let usable = |id: &&HeaderValue| {
        id.len() <= REQUEST_ID_MAX && !id.is_empty() && id.to_str().is_ok_and(is_plain)
    };
    let given = headers.get(&REQUEST_ID).filter(usable);
    let drawn = || getrandom::u64().map(|number| format!("req_{number:016x}")).ok();
    given
        .cloned()
        .or_else(|| HeaderValue::from_str(&drawn()?).ok())
        .unwrap_or(HeaderValue::from_static("req_unknown"))
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// Headers that keep browsers from guessing and from framing.
fn careful(headers: &mut HeaderMap) {
    let careful = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; \
             sandbox allow-same-origin",
        ),
    ];
    for (name, value) in careful {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// A body that may not stand still for too long.
struct Timed {
    body: Body,
    idle: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// A body stood still for too long.
#[derive(Debug)]
pub(crate) struct StoodStill;

impl std::fmt::Display for StoodStill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body stood still for too long")
    }
}

impl std::error::Error for StoodStill {}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let idle = self.idle;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(StoodStill.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_looks_or_gives_up_needs_no_place_of_a_call() {
        let check = |call: &str, expected| {
            let (method, path) = call.split_once(' ').unwrap();
            assert_eq!(Need::of(&method.parse().unwrap(), path), expected, "{call}");
        };
        check("GET /health", Need::Nothing);
        check("HEAD /ready", Need::Nothing);
        check("GET /metrics", Need::Nothing);
        check("POST /health", Need::Call);
        check("GET /v1/runs/6b01", Need::Look);
        check("POST /v1/runs/6b01/cancel", Need::Look);
        check("PUT /fal/queue/a/b/requests/6b01/cancel", Need::Look);
        check("POST /gemini/v1beta/models/m/operations/6b01:cancel", Need::Look);
        check("DELETE /openai/v1/videos/6b01", Need::Look);
        check("POST /v1/runs", Need::Call);
        check("GET /fal/run/a/b", Need::Call);
    }

    #[test]
    fn what_is_logged_of_a_path_opens_no_file() {
        let check = |path: &str, expected: &str| assert_eq!(without_secrets(path), expected);
        check("/v1/runs/6b01", "/v1/runs/6b01");
        check("/fal/rest/storage/u/acme/fal-12ab/a.png", "/fal/rest/storage/u/acme");
        check(
            "/fal/cdn/storage/u/acme/fal-12ab/a.png/multipart/fal-12ab/1",
            "/fal/cdn/storage/u/acme",
        );
        check("/storage/u/acme/fal-12ab/a.png", "/storage/u/acme");
        check("/storage/u/fal-12ab", "/storage/u/");
        check("/storage/u/", "/storage/u/");
        check("/v1/hints/NmIwMS8xL29uZQ.12ab", "/v1/hints/");
    }
}
