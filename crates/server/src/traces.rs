//! Traces: a span for each run, step and attempt, made of the journal when the run has ended, and sent
//! to a collector in the JSON form of OTLP.
//!
//! Invariants
//! - A span tells what is on record, so a run that several processes worked on is one trace, with the
//!   times at which things really happened.
//! - Ids are derived from the run, the step's key and the attempt: whoever knows a run finds its trace.
//!   The id of the trace is that of the caller's, if the caller told it.
//! - No input, no output and no prompt is in a trace.
//! - A collector that is away costs nothing but the traces that it misses.
//!
//! Source: the OTLP specification 1.x (JSON over HTTP) and OpenTelemetry's conventions for generative AI.

mod parent;
mod spans;

pub(crate) use parent::Parent;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use impasto_domain::Result;
use impasto_engine::Left;
use impasto_store::{BoxFuture, RunStatus, StoredRun};
use serde_json::Value as Json;
use tokio::sync::{broadcast, watch};

use crate::app::App;
use spans::{export, spans};

/// The most runs whose spans are sent together.
const RUNS_AT_ONCE: usize = 64;
/// How long spans wait for others to be sent with.
const GATHER: Duration = Duration::from_secs(1);

/// Takes traces to a collector.
pub trait TraceSink: Send + Sync {
    /// Sends a body of `application/json` to the collector's traces endpoint.
    fn send(&self, body: Bytes) -> BoxFuture<'_, Result<()>>;
}

/// Where traces go, and in whose name.
#[derive(Clone)]
pub struct Traces {
    /// Takes them there.
    pub sink: Arc<dyn TraceSink>,
    /// The name of the service, such as `impasto`.
    pub service: String,
}

/// Sends the traces of runs that end, until `stop` says that no more will.
pub(crate) async fn send_traces(app: App, traces: Traces, mut stop: watch::Receiver<bool>) {
    let mut endings = app.engine().endings();
    loop {
        let (left, is_last) = tokio::select! {
            left = gather(&mut endings) => (left, false),
            _ = stop.wait_for(|stop| *stop) => (rest(&mut endings), true),
        };
        let mut spans = Vec::new();
        for one in left {
            spans.extend(spans_of_run(&app, one).await);
        }
        if !spans.is_empty() {
            let body = Bytes::from(export(&traces.service, &spans).to_string());
            if let Err(error) = traces.sink.send(body).await {
                tracing::warn!(%error, "traces were not taken by the collector");
            }
        }
        if is_last {
            return;
        }
    }
}

/// The next runs that ended: at least one, and those that end shortly after.
async fn gather(endings: &mut broadcast::Receiver<Left>) -> Vec<Left> {
    let mut left = vec![next(endings).await];
    let deadline = tokio::time::Instant::now() + GATHER;
    while left.len() < RUNS_AT_ONCE {
        match tokio::time::timeout_at(deadline, next(endings)).await {
            Ok(one) => left.push(one),
            Err(_) => break,
        }
    }
    left
}

async fn next(endings: &mut broadcast::Receiver<Left>) -> Left {
    loop {
        match endings.recv().await {
            Ok(left) => return left,
            Err(broadcast::error::RecvError::Lagged(runs)) => {
                tracing::warn!(runs, "too many runs end at once: some will have no trace");
            }
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn rest(endings: &mut broadcast::Receiver<Left>) -> Vec<Left> {
    std::iter::from_fn(|| endings.try_recv().ok()).collect()
}

async fn spans_of_run(app: &App, left: Left) -> Vec<Json> {
    let stored = app.store().load(left.tenant, left.run, 0).await;
    let ended = |run: &StoredRun| {
        !matches!(
            run.record.status,
            RunStatus::Running | RunStatus::Interrupted | RunStatus::Parked
        )
    };
    stored.ok().filter(ended).map(|run| spans(&run)).unwrap_or_default()
}
