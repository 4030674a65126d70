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
mod delivery;
mod encoders;
mod events;
mod faces;
mod fetch;
mod figures;
mod files;
mod front;
mod hints;
mod hosts;
pub mod keys;
mod listen;
mod mcp;
mod names;
mod native;
mod options;
mod pages;
mod plain;
mod problem;
mod purses;
mod send;
mod signing;
mod spool;
mod tls;
mod traces;
mod webhooks;
mod whole;

pub use app::{Parts, Reload};
pub use caller::{KeyId, Scope, Scopes};
pub use encoders::{Encoders, NoEncoders, SoundCodec, SoundEncoding, SoundWanted};
pub use fetch::{Fetch, Fetched, NoFetch, Post, Posted};
pub use front::Front;
pub use mcp::serve_mcp;
pub use options::ServerOptions;
pub use tls::Tls;
pub use traces::{TraceSink, Traces};

use std::net::SocketAddr;
use std::time::Duration;

use app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use http::Uri;
use impasto_domain::Result;
use problem::Problem;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// The server.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    traces: Option<Traces>,
    stop: watch::Sender<bool>,
}

/// Asks a server to stop. A clone asks the same server.
#[derive(Clone)]
pub struct Handle {
    stop: watch::Sender<bool>,
}

impl Handle {
    /// Asks the server to take nothing new, to let go of what it does, and to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Server {
    /// A server of these parts that has taken its address.
    ///
    /// # Errors
    /// The address cannot be had, or the certificate cannot be used.
    pub async fn bind(
        parts: Parts,
        options: ServerOptions,
        address: SocketAddr,
        tls: Option<Tls>,
    ) -> Result<Self> {
        let tls = tls.as_ref().map(Tls::acceptor).transpose()?;
        let listener = listen::bind(address).await?;
        let address = listener.local_addr().unwrap_or(address);
        let (stop, _) = watch::channel(false);
        Ok(Self { app: App::new(parts, options), listener, address, tls, traces: None, stop })
    }

    /// The same server, which sends a trace of every run that ends.
    #[must_use]
    pub fn with_traces(self, traces: Traces) -> Self {
        Self { traces: Some(traces), ..self }
    }

    /// The address that it has taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What asks it to stop.
    pub fn handle(&self) -> Handle {
        Handle { stop: self.stop.clone() }
    }

    /// Serves until it is asked to stop; then takes nothing new, waits for runs under way and lets go
    /// of the rest. Answers how many runs are left for whoever starts next.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn run(self) -> Result<usize> {
        let resumed = self.app.engine().resume_orphans().await?;
        if resumed > 0 {
            tracing::info!(resumed, "runs of a process that ended go on");
        }
        self.app.end_parked_in_time().await?;
        let over = watch::Sender::new(false);
        let tracing = self.traces.map(|traces| {
            tokio::spawn(traces::send_traces(self.app.clone(), traces, over.subscribe()))
        });
        let telling = tokio::spawn(webhooks::deliver(self.app.clone()));
        let sweeping = tokio::spawn(native::sweep_uploads(self.app.clone()));
        let front = front(self.app.clone());
        let open = listen::serve(self.listener, self.tls, front, self.stop.subscribe()).await;
        let grace = Duration::from_millis(self.app.options().drain_ms);
        let left = self.app.engine().drain(grace).await;
        listen::close(&open, self.app.options()).await;
        // What was not told yet is told by whoever starts next.
        telling.abort();
        sweeping.abort();
        over.send_replace(true);
        if let Some(tracing) = tracing {
            let close = Duration::from_millis(self.app.options().close_ms);
            let _missed = tokio::time::timeout(close, tracing).await;
        }
        Ok(left)
    }
}

/// Everything that is served, without a listener: for tests and for programs that listen themselves.
pub fn front_of(parts: Parts, options: ServerOptions) -> Front {
    front(App::new(parts, options))
}

fn front(app: App) -> Front {
    let router = Router::new()
        .merge(native::routes(&app))
        .merge(faces::routes())
        .merge(mcp::routes(app.clone()))
        .fallback(|uri: Uri| async move { Problem::no_route(uri.path()) })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(DefaultBodyLimit::max(app.options().body_bytes_max))
        .with_state(app.clone());
    Front::new(app, router)
}
