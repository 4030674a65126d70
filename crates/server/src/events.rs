//! What happens in a run, as server-sent events.
//!
//! Invariants
//! - What is kept has an id: the number of its event. Where one event is told in two, the last has
//!   the id, so that a listener that comes again misses nothing; it may hear the first one twice.
//! - What is told live only (progress, partial results, logs) has no id.
//! - Whoever listens by a key hears no more when it is revoked or has expired.
//! - The last event is `done` (or `parked`, `interrupted`); its id ends in `.end`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use http_body_util::BodyExt;
use impasto_dialects::inline::{InlineBytes, to_json};
use impasto_domain::{Error, InstanceKey, Money, News, Result, RunId, SoundFormat};
use impasto_engine::{Update, UpdateKind, Updates};
use impasto_workflow::Event;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::app::App;
use crate::calls::{RunView, ViewStatus};
use crate::native::{Viewer, error_view, run_view};

/// The end of the id of the last event.
const END: &str = ".end";
/// The highest number that an event can have.
const SEQ_MAX: u64 = u64::MAX >> 1;
/// How often it is looked how far a run is that another process works on.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a listener has heard already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The number of the last event.
    pub(crate) seq: u64,
    /// Whether it heard that nothing more will come.
    pub(crate) end: bool,
}

impl Heard {
    /// What the id of the last event says.
    pub(crate) fn parse(id: &str) -> Result<Self> {
        let (number, end) = match id.strip_suffix(END) {
            Some(number) => (number, true),
            None => (id, false),
        };
        let seq: u64 = number.trim().parse().map_err(|_| {
            Error::invalid(format!("'{id}' is no id of an event"))
                .hint("send the id of the last event that came, or leave it out")
        })?;
        Ok(Self { end, ..Self::after(seq) })
    }

    /// Everything up to the event of that number.
    pub(crate) fn after(seq: u64) -> Self {
        Self { seq: seq.min(SEQ_MAX), end: false }
    }
}

/// Whether a listener has heard all that there is of a run, its end too.
pub(crate) fn has_heard_all(view: &RunView, heard: Heard) -> bool {
    heard.end && is_settled(view) && view.last_seq <= heard.seq
}

/// A stream of what `updates` tell of a run that is known to be the viewer's.
pub(crate) fn stream_of(viewer: Viewer, run: RunId, updates: Updates, heard: Heard) -> Response {
    let listener = Listener {
        updates,
        run,
        waiting: VecDeque::new(),
        seq: heard.seq,
        ended: false,
        keep_alive: Duration::from_millis(viewer.app.options().keep_alive_ms.max(10)),
        sent: Instant::now(),
        look_after: Duration::from_millis(viewer.app.options().key_age_ms.max(10)),
        looked: Instant::now(),
        viewer,
    };
    let pieces = stream::unfold(listener, |mut listener| async move {
        let piece = listener.next().await?;
        Some((Ok::<Bytes, Infallible>(piece), listener))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers are asked not to.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    response
}

/// A place among the listeners, until it is dropped. It is taken before anything is begun of which
/// somebody is to be told.
pub(crate) struct Place(App);

impl Place {
    pub(crate) fn take(app: &App) -> Result<Self> {
        let listeners = &app.figures().listeners;
        let most = app.options().listeners_max as u64;
        if listeners.fetch_add(1, Ordering::Relaxed) >= most {
            listeners.fetch_sub(1, Ordering::Relaxed);
            let message = format!("{most} listen to events already, which is the most");
            return Err(Error::unavailable(message).retry_after(5_000));
        }
        Ok(Self(app.clone()))
    }

    /// The response, which keeps the place until it was sent or given up.
    pub(crate) fn over(self, response: Response) -> Response {
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                // What is sent keeps the place for as long as it is sent.
                let _place = &self;
                frame
            }))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.figures().listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Listener {
    viewer: Viewer,
    run: RunId,
    updates: Updates,
    waiting: VecDeque<Bytes>,
    seq: u64,
    ended: bool,
    keep_alive: Duration,
    /// When something was sent last.
    sent: Instant,
    /// How often it is looked whether whoever listens still may, and when it was looked last.
    look_after: Duration,
    looked: Instant,
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                self.sent = Instant::now();
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            if self.looked.elapsed() >= self.look_after {
                self.looked = Instant::now();
                if let Err(error) = self.viewer.app.still_may(&self.viewer.caller).await {
                    self.fail(&error);
                    continue;
                }
            }
            if self.sent.elapsed() >= self.keep_alive {
                self.sent = Instant::now();
                return Some(Bytes::from_static(b":\n\n"));
            }
            let quiet = self.keep_alive.saturating_sub(self.sent.elapsed());
            let unseen = self.look_after.saturating_sub(self.looked.elapsed());
            match tokio::time::timeout(quiet.min(unseen), self.updates.next()).await {
                Err(_) => {}
                Ok(Some(Ok(update))) => self.hear(&update),
                Ok(Some(Err(error))) => self.fail(&error),
                Ok(None) => self.look().await,
            }
        }
    }

    fn hear(&mut self, update: &Update) {
        self.seq = self.seq.max(update.seq);
        let told = Teller { viewer: &self.viewer, run: &self.run, update }.tell();
        self.waiting.extend(told);
    }

    fn fail(&mut self, error: &Error) {
        let data = json!({ "run": self.run, "error": error_view(error) });
        self.waiting.push_back(written("error", None, &data));
        self.ended = true;
    }

    /// Nobody tells anything any more: the run is over, or others work on it.
    async fn look(&mut self) {
        let app = &self.viewer.app;
        let view = match app.view(&self.viewer.caller, &self.run).await {
            Ok(view) => view,
            Err(error) => return self.fail(&error),
        };
        if !app.engine().is_accepting() && !view.status.is_over() {
            // It goes on when a server starts again; the listener comes again for it.
            self.ended = true;
            return;
        }
        if is_settled(&view) && view.last_seq <= self.seq {
            let name = match view.status {
                ViewStatus::Parked => "parked",
                ViewStatus::Interrupted => "interrupted",
                _ => "done",
            };
            let data = serde_json::to_value(run_view(&self.viewer, &view)).unwrap_or_default();
            let id = format!("{}{END}", self.seq);
            self.waiting.push_back(written(name, Some(&id), &data));
            self.ended = true;
            return;
        }
        if !is_settled(&view) {
            tokio::time::sleep(LOOK_AGAIN.min(self.keep_alive)).await;
        }
        self.updates = app.updates(&self.viewer.caller, &self.run, self.seq);
    }
}

/// Whether nothing more happens in a run unless somebody does something.
fn is_settled(view: &RunView) -> bool {
    view.status.is_over() || view.status == ViewStatus::Interrupted
}

fn written(name: &str, id: Option<&str>, data: &Json) -> Bytes {
    framed(name, id, data.to_string().as_bytes())
}

fn framed(name: &str, id: Option<&str>, data: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(data.len() + 64);
    if let Some(id) = id {
        text.extend_from_slice(b"id: ");
        text.extend_from_slice(id.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    text.extend_from_slice(data);
    text.extend_from_slice(b"\n\n");
    text.into()
}

/// Puts one update into words.
struct Teller<'a> {
    viewer: &'a Viewer,
    run: &'a RunId,
    update: &'a Update,
}

/// A picture or a sound as far as it is there.
#[derive(Serialize)]
struct Partial<'a> {
    run: &'a RunId,
    seq: u64,
    at_ms: u64,
    step: String,
    part: u64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate_hz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u16>,
    data: InlineBytes,
}

impl Teller<'_> {
    fn tell(&self) -> Vec<Bytes> {
        match &self.update.kind {
            UpdateKind::Event(event) => self.event(event),
            UpdateKind::Progress { key, fraction, note } => vec![self.said(
                "progress",
                false,
                json!({ "step": key.to_string(), "fraction": fraction, "note": note }),
            )],
            UpdateKind::News { key, part, news } => {
                self.news(key, *part, news).into_iter().collect()
            }
        }
    }

    /// One event; `last` if it is the last in which this update is told.
    fn said(&self, name: &str, last: bool, mut what: Json) -> Bytes {
        what["run"] = self.run.as_str().into();
        what["seq"] = self.update.seq.into();
        what["at_ms"] = self.update.at_ms.into();
        let id = last.then(|| self.update.seq.to_string());
        written(name, id.as_deref(), &what)
    }

    fn cost(&self, key: &InstanceKey, attempt: u32, cost: Money) -> Bytes {
        let what = json!({
            "step": key.to_string(), "attempt": attempt,
            "micros": cost.as_micros(), "shown": cost.to_string(),
        });
        self.said("cost", true, what)
    }

    fn event(&self, event: &Event) -> Vec<Bytes> {
        let step = |key: &InstanceKey| key.to_string();
        let (name, what) = match event {
            Event::Started { .. } => ("queued", json!({})),
            Event::Decided { key, decision } => {
                let offer = decision.first().map(|first| first.offer.as_str());
                ("decided", json!({ "step": step(key), "offer": offer, "decision": decision }))
            }
            Event::Reused { key, output, .. } => {
                let output = self.viewer.values(output);
                ("step", json!({ "step": step(key), "reused": true, "output": output }))
            }
            Event::AttemptStarted { key, attempt, offer } => {
                ("started", json!({ "step": step(key), "attempt": attempt, "offer": offer }))
            }
            Event::AttemptAccepted { key, attempt, .. } => {
                ("accepted", json!({ "step": step(key), "attempt": attempt }))
            }
            Event::AttemptDone { key, attempt, output, cost, time_ms } => {
                let output = self.viewer.values(output);
                let what = json!({
                    "step": step(key), "attempt": attempt, "reused": false, "output": output,
                    "time_ms": time_ms,
                });
                return vec![self.said("step", false, what), self.cost(key, *attempt, *cost)];
            }
            Event::AttemptFailed { key, attempt, error, cost, time_ms } => {
                let what = json!({
                    "step": step(key), "attempt": attempt, "error": error_view(error),
                    "time_ms": time_ms,
                });
                return vec![self.said("failed", false, what), self.cost(key, *attempt, *cost)];
            }
            other => self.rare(other),
        };
        vec![self.said(name, true, what)]
    }

    fn rare(&self, event: &Event) -> (&'static str, Json) {
        let of = |key: &InstanceKey, attempt: &u32| json!({ "step": key.to_string(), "attempt": attempt });
        match event {
            Event::AttemptLost { key, attempt } => ("in_doubt", of(key, attempt)),
            Event::AttemptVoid { key, attempt } => ("void", of(key, attempt)),
            Event::TimerFired { key, attempt } => ("waited", of(key, attempt)),
            Event::Settled { key, again } => {
                ("settled", json!({ "step": key.to_string(), "again": again }))
            }
            Event::Answered { key, approved, note } => {
                ("answered", json!({ "step": key.to_string(), "approved": approved, "note": note }))
            }
            Event::Interrupted => ("interrupting", json!({})),
            Event::CancelRequested => ("cancelling", json!({})),
            _ => ("resumed", json!({})),
        }
    }

    fn news(&self, key: &InstanceKey, part: u64, news: &News) -> Option<Bytes> {
        let partial = |name, media_type, bytes: &[u8]| Partial {
            run: self.run,
            seq: self.update.seq,
            at_ms: self.update.at_ms,
            step: key.to_string(),
            part,
            name,
            index: None,
            media_type,
            sample_rate_hz: None,
            channels: None,
            data: Bytes::copy_from_slice(bytes).into(),
        };
        let partial = match news {
            News::Log { level, message } => {
                let what = json!({ "step": key.to_string(), "level": level, "message": message });
                return Some(self.said("log", false, what));
            }
            News::Picture { name, index, bytes, media_type } => {
                Partial { index: Some(*index), ..partial(name, media_type, bytes) }
            }
            News::Sound { name, format, bytes } => {
                let SoundFormat { media_type, sample_rate_hz, channels } = format;
                let of = partial(name, media_type, bytes);
                let sample_rate_hz = Some(*sample_rate_hz).filter(|rate| *rate > 0);
                let channels = Some(*channels).filter(|channels| *channels > 0);
                Partial { sample_rate_hz, channels, ..of }
            }
        };
        Some(framed("partial", None, &to_json(&partial).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_the_last_event_says_what_was_heard() {
        let check = |id: &str, expected: Option<(u64, bool)>| {
            let heard = Heard::parse(id).ok().map(|heard| (heard.seq, heard.end));
            assert_eq!(heard, expected, "{id}");
        };
        check("12", Some((12, false)));
        check("12.end", Some((12, true)));
        check("", None);
        check("x.end", None);
    }
}
