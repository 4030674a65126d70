//! The face for clients of this dialect.

use axum::Router;

use crate::app::App;

/// Its routes, below the prefix of the face.
pub(crate) fn routes() -> Router<App> {
    Router::new()
}
