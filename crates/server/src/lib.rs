//! The server: native API, the faces that SDKs speak to, events, webhooks.
//!
//! A [`Server`] is put together from [`Parts`] and [`ServerOptions`]. One listener serves everything.
//!
//! Invariants
//! - A run is durable before the answer that accepts it is sent.
//! - Every read takes the caller's tenant; what is another's is not found.
//! - Nothing here opens a connection to others: [`Fetch`] is handed in.

mod app;
mod caller;
mod calls;
mod faces;
mod fetch;
mod files;
mod names;
mod options;
mod problem;

pub use app::Parts;
pub use caller::{KeyId, KeyLimits, Scope, Scopes};
pub use fetch::{Fetch, Fetched, NoFetch, Post};
pub use options::ServerOptions;

use app::App;
use axum::Router;
use http::Uri;
use problem::Problem;

/// The server.
pub struct Server {
    app: App,
}

impl Server {
    /// A server of these parts.
    pub fn new(parts: Parts, options: ServerOptions) -> Self {
        Self { app: App::new(parts, options) }
    }

    /// Everything that it serves.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(faces::routes())
            .fallback(|uri: Uri| async move { Problem::no_route(uri.path()) })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .with_state(self.app.clone())
    }
}
