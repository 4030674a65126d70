//! Submits to the queue, asks how it goes, fetches the result, gives up.
//!
//! Invariants
//! - Where a request is found is made of the endpoint and the request's id, never read from an answer.
//! - `COMPLETED` says that it is over; whether it went well is said by the result.

use impasto_domain::{Error, Result};
use impasto_engine::{Failure, Job, Polled, StartCall, Started, Stopped};
use serde::Deserialize;

use super::wire::{ERROR_TYPE, LogLine, Status, Submitted, WEBHOOK};
use crate::drive::{Begun, Running, text_at};
use crate::hosted::{Answer, Ask, Hosted, Purpose};
use crate::remote::Dialect;

/// What may stand before the owner in the name of an endpoint.
const NAMESPACES: [&str; 2] = ["workflows", "comfy"];
/// What streams are.
pub(super) const EVENTS: &str = "text/event-stream";
/// What an offer is able to do that streams what there is of a result before it is done.
const STREAMING: &str = "streaming";

/// The driver.
#[derive(Clone)]
pub struct Fal {
    hosted: Hosted,
}

impl Fal {
    /// A driver that goes out by `hosted`.
    pub fn new(hosted: Hosted) -> Self {
        Self { hosted }
    }
}

impl Dialect for Fal {
    fn hosted(&self) -> &Hosted {
        &self.hosted
    }

    async fn begin(&self, call: &StartCall) -> Result<Started, Failure> {
        let begun = Begun::new(&self.hosted, call)?;
        let body = begun.json().await?;
        let streams = begun.offer.capabilities.iter().any(|word| word == STREAMING);
        if streams && begun.is_heard() {
            return super::stream::follow(&begun, body).await;
        }
        let mut ask = begun.with_query(Ask::post(format!("/{}", call.endpoint), body));
        if let Some(address) = begun.callback() {
            ask = ask.query(WEBHOOK, address);
        }
        let answer = begun.submit(&ask).await?;
        let submitted: Option<Submitted> = serde_json::from_value(answer.json.clone()).ok();
        begun.running(&answer, submitted.as_ref().map(|submitted| submitted.request_id.as_str()))
    }

    async fn look(&self, job: &Job) -> Result<Polled> {
        let running = Running::new(&self.hosted, job)?;
        if let Some(kept) = running.kept().await {
            return kept;
        }
        let place = place_of(&running)?;
        let is_told = running.is_heard() && Watch::new(&running, &place).follow().await;
        let is_over = match is_told {
            true => true,
            false => match running.look(&status_ask(&place)).await? {
                Ok(answer) => {
                    let status = read(&running, &answer)?;
                    Watch::new(&running, &place).tell(&status);
                    matches!(status, Status::Completed { .. })
                }
                Err(ended) => return Ok(ended),
            },
        };
        match is_over {
            true => result(&running, &place).await,
            false => Ok(Polled::Running { after_ms: None }),
        }
    }

    async fn give_up(&self, job: &Job) -> Result<Stopped> {
        let running = Running::new(&self.hosted, job)?;
        if running.is_kept() {
            return Ok(Stopped::WasOver);
        }
        let ask = Ask::of("PUT", format!("{}/cancel", place_of(&running)?));
        let answer = running.account.ask_any(&ask, Purpose::Ask).await?;
        let is_over = text_at(&answer.json, "/status") == Some("ALREADY_COMPLETED");
        match answer.status {
            400 if is_over => Ok(Stopped::WasOver),
            404 => Ok(Stopped::WasOver),
            _ => running.account.judge(&answer, Purpose::Ask).map_or(Ok(Stopped::Heeded), Err),
        }
    }
}

/// Where a request is found: below the owner and the name of what was called, without what follows.
fn place_of(running: &Running<'_>) -> Result<String> {
    let parts: Vec<&str> = running.job.endpoint.split('/').collect();
    let named = parts.first().is_some_and(|first| NAMESPACES.contains(first));
    let app = parts.get(..2 + usize::from(named)).unwrap_or(&parts).join("/");
    Ok(format!("/{app}/requests/{}", running.id()?))
}

fn status_ask(place: &str) -> Ask {
    Ask::get(format!("{place}/status")).query("logs", "1")
}

fn read(running: &Running<'_>, answer: &Answer) -> Result<Status> {
    Status::deserialize(&answer.json).map_err(|error| {
        running.account.garbled(answer, Purpose::Ask, &format!("that is no status: {error}"))
    })
}

/// The result of a request that is over.
async fn result(running: &Running<'_>, place: &str) -> Result<Polled> {
    let answer = running.account.ask_any(&Ask::get(place), Purpose::Ask).await?;
    let Some(error) = running.account.judge(&answer, Purpose::Ask) else {
        if answer.is_json {
            return running.done(&answer, None).await;
        }
        let what = "what it says is not JSON, or not the whole of it";
        return Err(running.account.garbled(&answer, Purpose::Ask, what));
    };
    let told = text_at(&answer.json, "/detail").unwrap_or_default();
    if answer.status == 400 && told.contains("still in progress") {
        return Ok(Polled::Running { after_ms: None });
    }
    // The status of a result is that of the model, or of somebody on the way to it: only the model
    // says what is wrong.
    let of_the_model = answer.is_json
        && (answer.json.get("detail").is_some() || answer.header(ERROR_TYPE).is_some());
    match answer.status {
        401 | 403 | 408 | 429 => Err(Error { retry: true, ..error }),
        _ if of_the_model => {
            // That the model failed is no reason to pay for it again, unless the table says so.
            let retry = error.retry && running.account.knows(&answer);
            Ok(running.failed(Error { retry, ..error }))
        }
        404 | 410 => Ok(running.wasted(error.context("the result is gone"))),
        _ => Err(Error { retry: true, ..error }),
    }
}

/// Whoever looks at where a request stands.
struct Watch<'w> {
    running: &'w Running<'w>,
    place: &'w str,
    lines: Vec<LogLine>,
}

impl<'w> Watch<'w> {
    fn new(running: &'w Running<'w>, place: &'w str) -> Self {
        Self { running, place, lines: Vec::new() }
    }

    /// Listens until it is over or nothing more is told; whether it is over.
    async fn follow(&mut self) -> bool {
        let ask = Ask::get(format!("{}/status/stream", self.place)).query("logs", "1");
        let ask = ask.header("accept", "text/event-stream").dripping();
        // What cannot be listened to, or breaks, is asked for in the plain way.
        let Ok(response) = self.running.account.send(&ask, Purpose::Ask).await else {
            return false;
        };
        if response.media_type().as_deref() != Some(EVENTS) {
            return false;
        }
        let mut events = response.events();
        while let Ok(Some(event)) = events.next().await {
            let Ok(status) = serde_json::from_str::<Status>(&event.data) else { continue };
            self.tell(&status);
            if matches!(status, Status::Completed { .. }) {
                return true;
            }
        }
        false
    }

    fn tell(&mut self, status: &Status) {
        match status {
            Status::InQueue { queue_position, .. } => {
                let note = format!("{queue_position} before it in the queue");
                self.running.bench().progress(0.0, &note);
            }
            Status::InProgress { logs, .. } | Status::Completed { logs, .. } => {
                self.hear(logs.as_deref().unwrap_or_default());
            }
        }
    }

    /// Some tell the whole log each time, others what is new.
    fn hear(&mut self, logs: &[LogLine]) {
        if logs.is_empty() {
            return;
        }
        if logs.starts_with(&self.lines) {
            self.lines = logs.to_vec();
        } else {
            self.lines.extend_from_slice(logs);
        }
        let lines: Vec<String> = self.lines.iter().map(|line| line.message.clone()).collect();
        self.running.tell(&lines);
    }
}
