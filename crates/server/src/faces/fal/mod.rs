//! The face for clients of the `fal` dialect: calls, a queue, streams, realtime, uploads, tokens.
//!
//! Its parts are hosts of their own where the dialect was born: `run`, `queue`, `rest` and `cdn`. Here
//! each has a prefix, and a name of a host (`data/hosts.toml`).

mod call;
mod endpoint;
mod error;
mod log;
mod output;
mod queue;
mod realtime;
mod run;
mod sse;
mod storage;
mod streaming;
#[cfg(test)]
mod tests;
mod tokens;
mod webhook;

use axum::Json as JsonBody;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderMap, HeaderName, Uri};
use impasto_dialects::fal::wire;
use impasto_domain::Error;

use crate::app::App;
use crate::front::RequestId;
use crate::problem::Problem;
use error::Fault;

pub(crate) use storage::uploaded;
pub(crate) use webhook::compose;

/// Its routes, below the prefix of the face.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/run/{*path}", any(run::handle))
        .route("/queue/{*path}", any(queue::handle))
        .route("/proxy", any(proxy))
        .nest("/rest", rest().merge(uploads()))
        .nest("/cdn", uploads())
        .fallback(nothing)
        .method_not_allowed_fallback(|| async { Fault::method() })
        // Bodies are measured where they are read.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(named))
}

fn rest() -> Router<App> {
    Router::new()
        .route("/tokens", post(storage::call_token))
        .route("/tokens/", post(storage::call_token))
        .route("/storage/auth/token", post(storage::upload_token))
        .route("/storage/upload/initiate", post(storage::initiate))
        .route("/storage/upload/initiate-multipart", post(storage::initiate))
        .route("/.well-known/jwks.json", get(keys))
}

fn uploads() -> Router<App> {
    Router::new()
        .route("/files/upload", post(storage::upload))
        .route("/files/upload/multipart", post(storage::begin_parts))
        .route("/storage/u/{*path}", any(storage::below))
}

async fn keys(State(app): State<App>) -> Response {
    match webhook::key_set(&app) {
        Ok(keys) => JsonBody(keys).into_response(),
        Err(error) => Fault::from(error).into_response(),
    }
}

/// What was sent to the proxy and could not be sent on: [`crate::hosts`] sends on what can be.
async fn proxy(headers: HeaderMap) -> Fault {
    let hint = "send it to an address of fal.run, queue.fal.run or rest.fal.ai";
    let error = match headers.get(wire::TARGET_URL) {
        None => Error::invalid(format!("the header {} is missing", wire::TARGET_URL)),
        Some(_) => Error::invalid(format!("the header {} names another host", wire::TARGET_URL)),
    };
    Fault::bad_request(error.hint(hint))
}

async fn nothing(uri: Uri) -> Fault {
    Error::not_found(format!("there is nothing at '{}'", uri.path())).hint("see /docs").into()
}

/// Sees to it that every answer says which request it answers: without that, a client may take a
/// failure for one of something in between, and send its request again.
async fn named(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let response = next.run(request).await;
    match id {
        Some(id) => under(id, response),
        None => response,
    }
}

fn under(RequestId(id): RequestId, mut response: Response) -> Response {
    response.headers_mut().entry(HeaderName::from_static(wire::REQUEST_ID)).or_insert(id);
    response
}

/// A problem that came up before any handler was asked.
pub(crate) fn told(problem: Problem, id: RequestId) -> Response {
    under(id, Fault::of_problem(problem).into_response())
}
