//! The face for clients of this dialect: speech, music, sounds, voices, models.
//!
//! Its clients send no idempotency key by themselves and some try again: a client whose connection broke,
//! or which was told that its call takes too long, is given the run that there is.

mod align;
mod error;
mod format;
mod lists;
mod music;
mod socket;
mod speech;

use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use impasto_domain::{Error, TaskId};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::app::App;
use crate::caller::{Caller, Scope, authorization};
use crate::calls::{ANY_MODEL, Call, Name, Origin, Ticket, claim, wish_key};
use crate::delivery::Delivery;
use crate::faces::models::chosen;
use crate::problem::Problem;
use error::Failure;

/// The name of this face where runs and tables tell it.
const FACE: &str = "elevenlabs";
/// The header that carries a key.
const KEY: &str = "xi-api-key";
/// The header that says which run a call became.
const RUN: HeaderName = HeaderName::from_static("request-id");

/// Its routes, below the prefix of the face.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/text-to-speech/{voice}", post(speech::stream))
        .route("/v1/text-to-speech/{voice}/stream", post(speech::stream))
        .route("/v1/text-to-speech/{voice}/with-timestamps", post(speech::timed))
        .route("/v1/text-to-speech/{voice}/stream/with-timestamps", post(speech::timed_stream))
        .route("/v1/text-to-speech/{voice}/stream-input", any(socket::open))
        .route("/v1/music", post(music::compose))
        .route("/v1/music/stream", post(music::compose))
        .route("/v1/music/detailed", post(music::detailed))
        .route("/v1/sound-generation", post(music::sound))
        .route("/v1/voices", get(lists::voices))
        .route("/v2/voices", get(lists::voices_in_pages))
        .route("/v1/voices/{voice}", get(lists::voice))
        .route("/v1/models", get(lists::models))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
}

/// A problem that came up before any handler was asked.
pub(crate) fn told(problem: Problem) -> Response {
    let status = problem.status();
    let failure = Failure::from(problem.into_error());
    match status {
        StatusCode::FORBIDDEN => failure.said(status, "missing_permissions").into_response(),
        _ => failure.into_response(),
    }
}

async fn nothing(method: Method, uri: Uri) -> Response {
    Failure::no_route(&method, uri.path()).into_response()
}

/// What every call for sound may carry in its address.
#[derive(Deserialize)]
struct Asks {
    output_format: Option<String>,
}

/// Who calls, and may begin runs.
struct Runner {
    caller: Caller,
    /// The key under which the wish is made, if the client names one.
    wish: Option<String>,
}

/// Who calls may see what there is.
struct Reader;

/// The caller whose key is this.
async fn caller_of(app: &App, key: Option<&str>, scope: Scope) -> Result<Caller, Failure> {
    let caller = app.caller(key).await?;
    if caller.may(scope).is_err() {
        return Err(Failure::forbidden(scope));
    }
    Ok(caller)
}

/// The key that a request carries.
fn key_of(headers: &HeaderMap) -> Option<&str> {
    let own = headers.get(KEY).and_then(|key| key.to_str().ok());
    own.or_else(|| authorization(headers, &["bearer"]))
}

impl FromRequestParts<App> for Runner {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let caller = caller_of(app, key_of(&parts.headers), Scope::Run).await?;
        let wish = wish_key(&parts.headers)?.map(str::to_owned);
        Ok(Self { caller, wish })
    }
}

impl FromRequestParts<App> for Reader {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        caller_of(app, key_of(&parts.headers), Scope::Read).await.map(|_| Self)
    }
}

/// What is asked for under a route of this face, by a model's name.
fn call_of(route: &str, task: TaskId, model: Option<&str>, input: Map<String, Json>) -> Call {
    let model = model.filter(|name| !name.is_empty()).unwrap_or(ANY_MODEL);
    let origin = Origin {
        face: FACE.to_owned(),
        path: route.to_owned(),
        name: model.to_owned(),
        ..Origin::default()
    };
    let mut call = Call::new(Name::Model(model.to_owned()), input, origin);
    call.tasks = vec![task];
    call
}

/// A call that became a run.
struct Asked {
    ticket: Ticket,
    delivery: Delivery,
}

/// Accepts a call. `wish` is what tells it from other calls.
async fn ask(app: &App, runner: &Runner, mut call: Call, wish: &[u8]) -> Result<Asked, Failure> {
    chosen(&app.catalog(), &call.origin.name).map_err(no_model)?;
    let caller = &runner.caller;
    let claim = claim(runner.wish.as_deref(), &format!("{FACE} {}", call.origin.path), wish);
    call.claim = Some(claim.clone());
    let ticket = app.submit(caller, call).await?;
    let delivery = app.delivery(caller, Some(&claim), &ticket.run);
    Ok(Asked { ticket, delivery })
}

fn no_model(error: Error) -> Failure {
    Failure::from(error).said(StatusCode::NOT_FOUND, "model_not_found")
}

/// The answer to a call that became a run. Only an answer that says that the run still goes on counts as
/// not given: the client's next try is then given the same run.
fn answered(
    delivery: Delivery,
    run: &impasto_domain::RunId,
    answer: Result<Response, Failure>,
) -> Response {
    let mut response = match answer {
        Err(failure) if failure.goes_on() => failure.into_response(),
        answer => delivery.over(answer.into_response()),
    };
    if let Ok(run) = HeaderValue::from_str(run.as_str()) {
        response.headers_mut().insert(RUN, run);
    }
    response
}

/// A response of this media type.
fn typed(media_type: &'static str, body: axum::body::Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}

/// The longest that a call is held.
fn hold(app: &App) -> Duration {
    Duration::from_millis(app.options().wait_max_ms)
}
