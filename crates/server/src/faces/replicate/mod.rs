//! The face for clients of this dialect: predictions, files, models, webhooks.

mod error;
mod files;
mod models;
mod other;
mod predictions;
mod shape;
mod stream;
mod webhooks;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::Uri;

use crate::app::App;
use crate::problem::Problem;
use error::Refusal;
pub(crate) use webhooks::compose;

/// A problem that came up before any handler was asked.
pub(crate) fn told(problem: Problem) -> Response {
    let status = problem.status();
    Refusal::of(problem.into_error(), status).into_response()
}

/// Its routes, below the prefix of the face.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/predictions", get(predictions::list).post(predictions::create))
        .route("/v1/predictions/{id}", get(predictions::get))
        .route("/v1/predictions/{id}/cancel", post(predictions::cancel))
        .route("/v1/predictions/{id}/stream", get(stream::get))
        .route("/v1/models", get(other::models).fallback(other::search))
        .route("/v1/models/{owner}/{name}", get(other::model))
        .route("/v1/models/{owner}/{name}/versions", get(other::versions))
        .route("/v1/models/{owner}/{name}/versions/{version}", get(other::version))
        .route("/v1/models/{owner}/{name}/predictions", post(predictions::create_of_model))
        .route("/v1/deployments/{owner}/{name}/predictions", post(predictions::create_of_model))
        .route("/v1/files", get(files::list).post(files::create))
        .route("/v1/files/{id}", get(files::get).delete(files::delete))
        .route("/v1/collections", get(other::collections))
        .route("/v1/collections/{slug}", get(other::collection))
        .route("/v1/hardware", get(other::hardware))
        .route("/v1/account", get(other::account))
        .route("/v1/webhooks/default/secret", get(other::secret))
        .fallback(|uri: Uri| async move { Refusal::no_route(uri.path()) })
        .method_not_allowed_fallback(|uri: Uri| async move { Refusal::no_route(uri.path()) })
}
