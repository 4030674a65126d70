//! The queue: submit, status, its stream, result, cancel.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json as JsonBody;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode};
use impasto_dialects::fal::wire::{Cancelled, Metrics, Places, Status, Submitted};
use impasto_domain::{ErrorKind, Result, RunId};
use impasto_engine::{UpdateKind, Updates};

use super::call::{Asking, FACE, input, is_inline};
use super::endpoint::{About, Asked, Endpoint};
use super::error::{Fault, request_id};
use super::log::Heard;
use super::output::Shown;
use super::sse;
use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::calls::{RunView, ViewStatus};
use crate::events::Place;
use crate::faces::standing::Standing;
use crate::files::Base;

/// The name of this part.
const PART: &str = "queue";
/// How often it is looked where a run stands when nothing is heard of it.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn handle(
    State(app): State<App>,
    base: Base,
    Path(path): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let asking = Asking::new(&parts, base);
    answer(&app, &asking, &path, (parts.method, body))
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    app: &App,
    asking: &Asking,
    path: &str,
    (method, body): (Method, Body),
) -> Result<Response, Fault> {
    let (id, about) = match Asked::parse(path)? {
        Asked::Call(endpoint) if method == Method::POST => {
            return submit(app, asking, &endpoint, body).await;
        }
        Asked::Call(_) => return Err(Fault::method()),
        Asked::Request { id, about } => (RunId::new(id), about),
    };
    let caller = asking.caller(app).await?;
    let queue = Queue { app, asking, caller: &caller };
    match (about, &method) {
        (About::Cancel, &Method::PUT | &Method::POST) => queue.cancel(&id).await,
        (About::Status, &Method::GET) => queue.status(&id).await,
        (About::StatusStream, &Method::GET) => queue.status_stream(&id).await,
        (About::Result, &Method::GET) => queue.result(&id).await,
        _ => Err(Fault::method()),
    }
}

async fn submit(
    app: &App,
    asking: &Asking,
    endpoint: &Endpoint,
    body: Body,
) -> Result<Response, Fault> {
    let caller = asking.caller(app).await?;
    caller.allow(Scope::Run)?;
    let (bytes, input) = input(app, body).await?;
    let mut call = asking.call(app, endpoint, PART, input)?;
    let claim = asking.claim(endpoint, PART, &bytes)?;
    call.claim = Some(claim.clone());
    let ticket = app.submit(&caller, call).await?;
    let delivery = app.delivery(&caller, Some(&claim), &ticket.run);
    let Places { request_id: id, response_url, status_url, cancel_url } =
        places(asking, &endpoint.app(), &ticket.run);
    let submitted = Submitted {
        status: "IN_QUEUE".to_owned(),
        request_id: id.clone(),
        gateway_request_id: Some(id),
        response_url,
        status_url,
        cancel_url,
        queue_position: app.engine().queue_position(&ticket.run).unwrap_or_default(),
    };
    let response = (headers(&ticket.run), JsonBody(submitted)).into_response();
    Ok(delivery.over(response))
}

fn headers(run: &RunId) -> http::HeaderMap {
    request_id(run).into_iter().collect()
}

/// Where a request is found by the one who asks.
fn places(asking: &Asking, app: &str, run: &RunId) -> Places {
    let response_url = format!("{}/{app}/requests/{run}", asking.root(PART));
    Places {
        request_id: run.to_string(),
        status_url: format!("{response_url}/status"),
        cancel_url: format!("{response_url}/cancel"),
        response_url,
    }
}

struct Queue<'q> {
    app: &'q App,
    asking: &'q Asking,
    caller: &'q Caller,
}

impl Queue<'_> {
    async fn view(&self, run: &RunId) -> Result<RunView, Fault> {
        self.caller.allow(Scope::Read)?;
        Ok(self.app.view(self.caller, run).await?)
    }

    fn places(&self, view: &RunView) -> Places {
        // A run that was not called here has no name of this dialect: any will do.
        let app = match Endpoint::parse(&view.origin.name) {
            Ok(endpoint) if view.origin.face == FACE => endpoint.app(),
            _ => format!("impasto/{}", view.work),
        };
        places(self.asking, &app, &view.id)
    }

    fn wants_logs(&self) -> bool {
        let wanted = self.asking.query.get("logs").map(String::as_str);
        wanted.is_some_and(|wanted| ["1", "true"].contains(&wanted.to_ascii_lowercase().as_str()))
    }

    async fn status(&self, run: &RunId) -> Result<Response, Fault> {
        let view = self.view(run).await?;
        let logs = match self.wants_logs() {
            true => Some(Heard::default().more(self.app, self.caller, &view).await?),
            false => None,
        };
        let code = if has_ended(&view) { StatusCode::OK } else { StatusCode::ACCEPTED };
        let status = status_of(&view, logs, self.places(&view));
        Ok((code, headers(run), JsonBody(status)).into_response())
    }

    async fn status_stream(&self, run: &RunId) -> Result<Response, Fault> {
        let view = self.view(run).await?;
        let place = Place::take(self.app)?;
        let watch = Watch {
            updates: Some(self.app.updates(self.caller, run, view.last_seq)),
            app: self.app.clone(),
            caller: self.caller.clone(),
            wants_logs: self.wants_logs(),
            heard: Heard::default(),
            places: self.places(&view),
            said: None,
            waiting: VecDeque::new(),
            ended: false,
            run: run.clone(),
        };
        let keep_alive = Duration::from_millis(self.app.options().keep_alive_ms.max(10));
        let pieces = stream::unfold(watch, move |mut watch| async move {
            let piece = match tokio::time::timeout(keep_alive, watch.next()).await {
                Ok(piece) => piece?,
                Err(_) => sse::silence(),
            };
            Some((Ok::<Bytes, Infallible>(piece), watch))
        });
        Ok(sse::response(place, headers(run), pieces))
    }

    async fn result(&self, run: &RunId) -> Result<Response, Fault> {
        let view = self.view(run).await?;
        let base = &self.asking.base;
        result_of(self.app, self.caller, base, &view).await
    }

    async fn cancel(&self, run: &RunId) -> Result<Response, Fault> {
        self.caller.allow(Scope::Run)?;
        let (code, status) = match self.app.cancel(self.caller, run).await {
            Ok(()) => (StatusCode::ACCEPTED, "CANCELLATION_REQUESTED"),
            Err(error) if error.kind == ErrorKind::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Err(error) if error.kind == ErrorKind::Conflict => {
                (StatusCode::BAD_REQUEST, "ALREADY_COMPLETED")
            }
            Err(error) => return Err(error.into()),
        };
        let cancelled = Cancelled { status: status.to_owned() };
        Ok((code, headers(run), JsonBody(cancelled)).into_response())
    }
}

/// The answer that a run is, or what is said instead of one.
pub(super) async fn result_of(
    app: &App,
    caller: &Caller,
    base: &Base,
    view: &RunView,
) -> Result<Response, Fault> {
    if let Some(fault) = Fault::of_run(view) {
        return Err(fault);
    }
    if view.status != ViewStatus::Succeeded {
        return Err(Fault::in_progress(&view.id));
    }
    let shown = Shown { app, caller, base, inline: is_inline(&view.origin) };
    let outputs = shown.outputs(&view.outputs).await?;
    Ok((headers(&view.id), JsonBody(outputs)).into_response())
}

/// Whether there is a result, or none to wait for.
pub(super) fn has_ended(view: &RunView) -> bool {
    !matches!(Standing::of(view), Standing::Queued | Standing::Working)
}

fn status_of(
    view: &RunView,
    logs: Option<Vec<impasto_dialects::fal::wire::LogLine>>,
    places: Places,
) -> Status {
    match Standing::of(view) {
        Standing::Queued => {
            Status::InQueue { queue_position: view.queue_position.unwrap_or_default(), places }
        }
        Standing::Working => Status::InProgress { logs, places },
        Standing::Succeeded | Standing::Failed(_) | Standing::Cancelled(_) => {
            let fault = Fault::of_run(view);
            let times = view.started_ms.zip(view.ended_ms);
            let inference_time =
                times.map(|(started, ended)| ended.saturating_sub(started) as f64 / 1e3);
            Status::Completed {
                logs,
                metrics: Metrics { inference_time },
                error: fault.as_ref().map(Fault::message),
                error_type: fault.as_ref().map(|fault| fault.kind().to_owned()),
                places,
            }
        }
    }
}

/// Whoever listens to where a run stands.
struct Watch {
    app: App,
    caller: Caller,
    run: RunId,
    /// None once nothing is told here any more.
    updates: Option<Updates>,
    wants_logs: bool,
    /// What of the log was told.
    heard: Heard,
    places: Places,
    said: Option<Status>,
    waiting: VecDeque<Bytes>,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            if self.said.is_some() {
                self.hear().await;
            }
            if let Err(error) = self.look().await {
                let fault = Fault::from(error);
                self.waiting.push_back(sse::data(&fault.body()));
                self.ended = true;
            }
        }
    }

    /// Waits until something happened, or for a while.
    async fn hear(&mut self) {
        let Some(updates) = &mut self.updates else { return tokio::time::sleep(LOOK).await };
        let deadline = tokio::time::Instant::now() + LOOK;
        loop {
            match tokio::time::timeout_at(deadline, updates.next()).await {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some(Ok(update))) if matches!(update.kind, UpdateKind::Progress { .. }) => {}
                Ok(Some(_)) => return,
            }
        }
        self.updates = None;
    }

    async fn look(&mut self) -> Result<()> {
        let view = self.app.view(&self.caller, &self.run).await?;
        let logs = match self.wants_logs {
            // A line is told once; what waits tells no log, so none is lost on it.
            true if view.status != ViewStatus::Queued => {
                Some(self.heard.more(&self.app, &self.caller, &view).await?)
            }
            true => Some(Vec::new()),
            false => None,
        };
        let is_news = logs.as_ref().is_some_and(|logs| !logs.is_empty());
        let status = status_of(&view, logs, self.places.clone());
        self.ended = has_ended(&view);
        if self.said.as_ref().is_none_or(|said| is_news || !is_alike(said, &status)) {
            self.waiting.push_back(sse::data(&status));
        }
        self.said = Some(status);
        Ok(())
    }
}

/// Whether two statuses say the same, but for their logs.
fn is_alike(one: &Status, other: &Status) -> bool {
    match (one, other) {
        (Status::InQueue { queue_position: a, .. }, Status::InQueue { queue_position: b, .. }) => {
            a == b
        }
        (Status::InProgress { .. }, Status::InProgress { .. }) => true,
        (Status::Completed { .. }, Status::Completed { .. }) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faces::standing::tests::check_all;

    #[test]
    fn where_a_run_stands_in_the_words_of_this_dialect() {
        let told = |view: &RunView| match status_of(view, Some(Vec::new()), Places::default()) {
            Status::InQueue { .. } => "queue".to_owned(),
            Status::InProgress { .. } => "progress".to_owned(),
            Status::Completed { error_type, .. } => format!("completed {error_type:?}"),
        };
        check_all(
            told,
            [
                "queue",
                "progress",
                "progress",
                "progress",
                "completed None",
                "completed Some(\"downstream_service_error\")",
                "completed Some(\"runner_server_error\")",
                "completed Some(\"client_cancelled\")",
            ]
            .map(str::to_owned),
        );
    }
}
