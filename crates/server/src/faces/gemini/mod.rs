//! The face for clients of this dialect: content, predictions, long work, files, models.
//!
//! The paths of this dialect have verbs behind a colon and names with slashes in them, and the same
//! calls are there under several versions: [`route`] reads them.

mod content;
mod error;
mod files;
mod input;
mod models;
mod operations;
mod predict;
mod route;
mod uploads;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use impasto_dialects::inline::to_json;
use impasto_domain::Result;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::app::App;
use crate::caller::{Caller, Scope, authorization};
use crate::calls::Origin;
use crate::faces::body::json_bytes;
use crate::files::Base;
use crate::problem::Problem;
use error::Failure;
use route::Route;

/// The name of this face in what is kept of a run.
const FACE: &str = "gemini";

/// Its routes, below the prefix of the face.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/{*path}", any(answer))
}

/// A problem that came up before any handler was asked.
pub(crate) fn told(problem: Problem) -> Response {
    let status = problem.status();
    let error = problem.into_error();
    match status {
        StatusCode::FORBIDDEN => Failure::forbidden(error).into_response(),
        _ => Failure::from(error).into_response(),
    }
}

/// A call with whoever makes it.
struct Asked {
    app: App,
    caller: Caller,
    base: Base,
    headers: HeaderMap,
    /// The path below the prefix of the face.
    path: String,
    query: String,
}

impl Asked {
    /// A parameter behind the question mark.
    fn query(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    async fn body(&self, body: Body) -> Result<Bytes, Failure> {
        Ok(json_bytes(&self.app, body).await?)
    }

    /// How long the client waits.
    fn patience(&self) -> Duration {
        let most = Duration::from_millis(self.app.options().wait_max_ms);
        let told = self.header("x-server-timeout").and_then(|text| text.parse::<f64>().ok());
        let told = told.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        told.map_or(most, |seconds| Duration::from_secs_f64(seconds.min(most.as_secs_f64())))
    }

    /// Where a call came from.
    fn origin(&self, model: &str) -> Origin {
        Origin {
            face: FACE.to_owned(),
            path: self.path.clone(),
            name: model.to_owned(),
            base: self.base.0.clone(),
            ..Origin::default()
        }
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

async fn answer(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    base: Base,
    request: Request<Body>,
) -> Response {
    answered(app, query.unwrap_or_default(), base, request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn answered(
    app: App,
    query: String,
    base: Base,
    request: Request<Body>,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let whole = parts.uri.path();
    let path = whole.strip_prefix("/gemini").unwrap_or(whole);
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let route = route::parse(&parts.method, &path).ok_or_else(|| Failure::no_route(&path))?;
    // An upload under way goes to an address that proves itself.
    if let (Route::Upload { version }, Some(id)) = (&route, parameter(&query, "upload_id")) {
        let upload = uploads::Upload { app, base, version: version.clone(), id, query };
        return upload.go_on(&parts.headers, body).await;
    }
    let key = key_of(&parts.headers, &query);
    let caller = app.caller(key.as_deref()).await?;
    let scope = match &route {
        Route::Operation { .. }
        | Route::FetchOperation
        | Route::Models(_)
        | Route::Model { .. }
        | Route::Files { .. }
        | Route::File { .. }
        | Route::Download { .. } => Scope::Read,
        _ => Scope::Run,
    };
    caller.allow(scope).map_err(Failure::forbidden)?;
    let asked = Asked { app, caller, base, headers: parts.headers, path, query };
    match route {
        Route::Generate { model, stream } => content::generate(asked, model, stream, body).await,
        Route::Predict { model } => predict::predict(asked, model, body).await,
        Route::Begin { model, resource, kind } => {
            predict::begin(asked, model, resource, kind, body).await
        }
        Route::FetchOperation => operations::fetch(asked, body).await,
        Route::Operation { name, kind } => operations::get(asked, name, kind).await,
        Route::CancelOperation { name } => operations::cancel(asked, name).await,
        Route::Models(kind) => models::list(&asked, kind),
        Route::Model { model } => models::get(&asked, &model),
        Route::Upload { version } => uploads::begin(asked, version, body).await,
        Route::Files { version } => files::list(asked, version).await,
        Route::File { version, id } => files::get(asked, version, id).await,
        Route::DeleteFile { id } => files::delete(asked, id).await,
        Route::Download { id } => files::download(asked, id).await,
    }
}

/// The key: a header of its own, a bearer, or behind the question mark.
fn key_of(headers: &HeaderMap, query: &str) -> Option<String> {
    let own = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok());
    let told = own.or_else(|| authorization(headers, &["bearer"]));
    told.map(str::to_owned).or_else(|| parameter(query, "key"))
}

/// An answer in JSON, files and all.
fn json(value: &impl Serialize) -> Result<Response, Failure> {
    let mut response = (StatusCode::OK, to_json(value)?).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
