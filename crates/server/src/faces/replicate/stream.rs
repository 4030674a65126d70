//! What happens in a prediction, as server-sent events: `logs`, `output`, `error`, `done`.
//!
//! Invariant: every event has a name and an id; there are clients that drop those without.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use impasto_domain::{News, Result, RunId, TenantId, rfc3339};
use impasto_engine::{UpdateKind, Updates};
use serde::Deserialize;
use serde_json::Value as Json;

use super::error::Refusal;
use super::shape::{Files, may_stream, output, status};
use crate::app::App;
use crate::caller::Caller;
use crate::calls::ViewStatus;
use crate::events::Place;
use crate::files::Base;

/// How often it is looked how far a run is that nobody tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What proves that the address was given by us.
#[derive(Deserialize)]
pub(super) struct Signed {
    tenant: String,
    signature: String,
}

/// `GET` the address of a prediction's stream.
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(signed): Query<Signed>,
    base: Base,
) -> Result<Response, Refusal> {
    let (run, tenant) = (RunId::new(id), TenantId::new(signed.tenant));
    may_stream(&app, &tenant, &run, &signed.signature)?;
    let caller = Caller::reader(tenant);
    let view = app.view(&caller, &run).await?;
    let place = Place::take(&app)?;
    let keep_alive = Duration::from_millis(app.options().keep_alive_ms.max(10));
    let updates = app.updates(&caller, &run, 0);
    let begun = rfc3339(view.created_ms);
    let listener = Listener {
        app,
        caller,
        base,
        run,
        updates,
        keep_alive,
        begun,
        told: 0,
        waiting: VecDeque::new(),
        ended: false,
    };
    let pieces = stream::unfold(listener, |mut listener| async move {
        let piece = listener.next().await?;
        Some((Ok::<Bytes, Infallible>(piece), listener))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(place.over(response))
}

struct Listener {
    app: App,
    caller: Caller,
    base: Base,
    run: RunId,
    updates: Updates,
    keep_alive: Duration,
    /// The beginning of every id.
    begun: String,
    told: u32,
    waiting: VecDeque<Bytes>,
    ended: bool,
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            match tokio::time::timeout(self.keep_alive, self.updates.next()).await {
                Err(_) => return Some(Bytes::from_static(b": waiting\n\n")),
                Ok(Some(Ok(update))) => {
                    if let UpdateKind::News { news: News::Log { message, .. }, .. } = update.kind {
                        self.tell("logs", &message);
                    }
                }
                Ok(Some(Err(error))) => {
                    self.tell("error", &error.to_string());
                    self.ended = true;
                }
                Ok(None) => {
                    if let Err(error) = self.look().await {
                        self.tell("error", &error.to_string());
                        self.ended = true;
                    }
                }
            }
        }
    }

    /// Nobody tells anything any more: it is over, or others work on it.
    async fn look(&mut self) -> Result<()> {
        let view = self.app.view(&self.caller, &self.run).await?;
        if !status(&view).is_over() {
            tokio::time::sleep(LOOK_AGAIN).await;
            let seen = view.last_seq;
            self.updates = self.app.updates(&self.caller, &self.run, seen);
            return Ok(());
        }
        self.ended = true;
        match view.status {
            ViewStatus::Succeeded => {
                let files = Files::Addresses;
                let (app, caller) = (&self.app, &self.caller);
                let output = output(app, caller, &self.base, &view.outputs, files).await?;
                self.tell_output(output);
                self.tell("done", "{}");
            }
            ViewStatus::Cancelled => self.tell("done", r#"{"reason":"canceled"}"#),
            _ => {
                let why = view.error.map_or_else(|| "it failed".into(), |error| error.to_string());
                self.tell("error", &why);
                self.tell("done", r#"{"reason":"error"}"#);
            }
        }
        Ok(())
    }

    fn tell_output(&mut self, output: Json) {
        match output {
            Json::Array(items) => items.into_iter().for_each(|item| self.tell_output(item)),
            Json::String(text) => self.tell("output", &text),
            other => self.tell("output", &other.to_string()),
        }
    }

    fn tell(&mut self, event: &str, data: &str) {
        let mut text = format!("event: {event}\nid: {}:{}\n", self.begun, self.told);
        self.told += 1;
        for line in data.split('\n') {
            text.push_str("data: ");
            text.push_str(line.trim_end_matches('\r'));
            text.push('\n');
        }
        text.push('\n');
        self.waiting.push_back(text.into());
    }
}
