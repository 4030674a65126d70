//! The face for clients of this dialect: images, speech, transcriptions, videos, models, webhooks.
//!
//! A client that sends no idempotency key and tries again after its connection broke, or after it was
//! told that its call takes too long, is given the run that there is.

mod edits;
mod error;
mod images;
mod models;
mod speech;
mod stream;
mod transcriptions;
mod videos;
mod webhooks;

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use impasto_domain::{Error, ErrorKind};
use serde_json::{Map, Value as Json};

use crate::app::App;
use crate::caller::{Caller, Scope, authorization};
use crate::calls::{Call, Name, Origin, Ticket, claim, is_reuse, wish_key};
use crate::delivery::Delivery;
use crate::faces::models::chosen;
use crate::problem::Problem;
use crate::problem::code::IDEMPOTENCY_KEY_REUSED;
use error::Failure;
pub(crate) use webhooks::{PREFIX as ENDPOINT_PREFIX, message as endpoint_message};

/// The name of this face where runs and tables tell it.
const FACE: &str = "openai";

/// Its routes, below the prefix of the face.
pub(crate) fn routes() -> Router<App> {
    let routes = Router::new()
        .route("/images/generations", post(images::generate))
        .route("/images/edits", post(edits::edit))
        .route("/audio/speech", post(speech::speak))
        .route("/audio/transcriptions", post(transcriptions::transcribe))
        .route("/videos", post(videos::create).get(videos::list))
        .route("/videos/{id}", get(videos::retrieve).delete(videos::delete))
        .route("/videos/{id}/content", get(videos::content))
        .route("/videos/{id}/remix", post(videos::remix))
        .route("/webhook_endpoints", post(webhooks::create).get(webhooks::list))
        .route(
            "/webhook_endpoints/{id}",
            get(webhooks::retrieve).post(webhooks::update).delete(webhooks::delete),
        )
        .route("/webhook_endpoints/{id}/rotate_secret", post(webhooks::rotate))
        .route("/webhook_endpoints/{id}/test", post(webhooks::test))
        .route("/models", get(models::list))
        .route("/models/{*id}", get(models::one))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing);
    Router::new().nest("/v1", routes).fallback(nothing)
}

/// A problem that came up before any handler was asked.
pub(crate) fn told(problem: Problem) -> Response {
    let status = problem.status();
    Failure::from(problem.into_error()).of_status(status).into_response()
}

async fn nothing(method: Method, uri: Uri) -> Response {
    Failure::no_route(&method, uri.path()).into_response()
}

/// What a request says beside its body.
struct Asking {
    headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Asking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { headers: parts.headers.clone() })
    }
}

impl Asking {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Who calls, and may begin runs.
struct Runner(Caller);
/// Who calls, and may see what there is.
struct Reader(Caller);

async fn caller(parts: &Parts, app: &App, scope: Scope) -> Result<Caller, Failure> {
    let caller = app.caller(authorization(&parts.headers, &["bearer"])).await?;
    if caller.may(scope).is_err() {
        return Err(Failure::forbidden(scope));
    }
    Ok(caller)
}

impl FromRequestParts<App> for Runner {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        caller(parts, app, Scope::Run).await.map(Self)
    }
}

impl FromRequestParts<App> for Reader {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        caller(parts, app, Scope::Read).await.map(Self)
    }
}

/// A call that became a run.
struct Asked {
    ticket: Ticket,
    delivery: Delivery,
}

/// What is asked for under a route of this face, by a model's name.
fn call_of(route: &str, model: Option<&str>, input: Map<String, Json>) -> Call {
    let model = model.filter(|name| !name.is_empty()).unwrap_or(crate::calls::ANY_MODEL);
    let origin = Origin {
        face: FACE.to_owned(),
        path: route.to_owned(),
        name: model.to_owned(),
        ..Origin::default()
    };
    Call::new(Name::Model(model.to_owned()), input, origin)
}

/// Accepts a call. `wish` is what tells it from other calls.
async fn ask(
    app: &App,
    caller: &Caller,
    asking: &Asking,
    mut call: Call,
    wish: &[u8],
) -> Result<Asked, Failure> {
    chosen(&app.catalog(), &call.origin.name).map_err(no_model)?;
    let key = wish_key(&asking.headers)?;
    let claim = claim(key, &format!("{FACE} {}", call.origin.path), wish);
    call.claim = Some(claim.clone());
    let ticket = app.submit(caller, call).await.map_err(|error| {
        let reused = is_reuse(&claim, &error);
        let failure = Failure::from(error);
        if reused { failure.coded(IDEMPOTENCY_KEY_REUSED) } else { failure }
    })?;
    let delivery = app.delivery(caller, Some(&claim), &ticket.run);
    Ok(Asked { ticket, delivery })
}

fn no_model(error: Error) -> Failure {
    Failure::from(error).coded("model_not_found")
}

/// A run that was accepted failed: the same request would fail again, or be paid again. A client that
/// tries again by itself does so only where nothing was bought, or to go on waiting.
fn failed(error: Error) -> Failure {
    let again = match error.kind {
        ErrorKind::RateLimited => true,
        ErrorKind::Unavailable => error.retry,
        ErrorKind::Timeout => error.retry && error.offer.is_none(),
        _ => false,
    };
    Failure::from(Error { retry: again, ..error })
}

/// The answer to a call that became a run. Only an answer that says that the run still goes on counts as
/// not given: the client's next try is then given the same run.
fn answered(delivery: Delivery, answer: Result<Response, Failure>) -> Response {
    match answer {
        Err(failure) if failure.goes_on() => failure.into_response(),
        answer => delivery.over(answer.into_response()),
    }
}

/// The longest that a call is held.
fn hold(app: &App) -> Duration {
    Duration::from_millis(app.options().wait_max_ms)
}
