//! Predictions: asked for, looked at, listed, given up.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use impasto_dialects::replicate::wire;
use impasto_domain::{Error, ErrorKind, Result, RunId};
use impasto_store::{Claim, RunFilter, STARTED};
use serde::Deserialize;
use serde_json::Value as Json;

use super::error::{Refusal, Who};
use super::shape::{Facts, Files, prediction, status};
use super::{files, models};
use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::calls::{Call, Origin, RunView, Ticket, Webhook, claim, wish_key};
use crate::faces::body::{json_bytes, parsed};
use crate::files::Base;

/// The name of this face in what is kept of a run.
pub(super) const FACE: &str = "replicate";
/// The most predictions in one page of a list.
const PAGE: usize = 100;
/// Runs that are looked through at once for those of this face.
const LOOK_THROUGH: u32 = 200;
/// How often, for one page: what is left is for the next one.
const LOOKS: u32 = 10;
/// How long it is waited for the end of a prediction that was given up.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// `POST /predictions`: the body names a version.
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    base: Base,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    Creation::read(app, who.may(Scope::Run)?, base, request).await?.answer(None).await
}

/// `POST /models/{owner}/{name}/predictions`, and the same of a deployment.
pub(super) async fn create_of_model(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    who: Who,
    base: Base,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let creation = Creation::read(app, who.may(Scope::Run)?, base, request).await?;
    creation.answer(Some((owner, name))).await
}

/// A prediction that is asked for.
struct Creation {
    app: App,
    caller: Caller,
    base: Base,
    route: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Creation {
    async fn read(
        app: App,
        caller: Caller,
        base: Base,
        request: Request<Body>,
    ) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = json_bytes(&app, body).await?;
        let route = format!("POST {}", parts.uri.path());
        Ok(Self { app, caller, base, route, headers: parts.headers, body })
    }

    async fn answer(self, model: Option<(String, String)>) -> Result<Response, Refusal> {
        let asked: wire::PredictionRequest = parsed(&self.body)?;
        let wait = wait_of(&self.headers, self.app.options().wait_ms);
        let claim = claim(wish_key(&self.headers)?, &self.route, &self.body);
        let call = self.call(model, asked, claim.clone()).await?;
        let ticket = self.app.submit(&self.caller, call).await?;
        let delivery = self.app.delivery(&self.caller, Some(&claim), &ticket.run);
        let view = match wait {
            Some(at_most) => self.app.wait(&self.caller, ticket, at_most).await?,
            None => self.app.view(&self.caller, &ticket.run).await?,
        };
        let mut shown =
            prediction(&self.app, &self.caller, &self.base, view, Files::Usable).await?;
        if wait.is_some() && !shown.status.is_over() {
            // To clients anything else after a wait means that it is done.
            shown.status = wire::Status::Starting;
        }
        let mut response = json(StatusCode::CREATED, &shown)?;
        if wait.is_some() {
            let applied = HeaderValue::from_static("wait");
            response.headers_mut().insert("preference-applied", applied);
        }
        Ok(delivery.over(response))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    async fn call(
        &self,
        model: Option<(String, String)>,
        asked: wire::PredictionRequest,
        claim: Claim,
    ) -> Result<Call> {
        let catalog = self.app.catalog();
        let (owner, name) = match (model, &asked.version) {
            (Some(model), _) => model,
            (None, Some(version)) => models::of_version(&catalog, version)?,
            (None, None) => {
                return Err(Error::invalid("`version` is missing")
                    .hint("name the id of a version, or `owner/name`"));
            }
        };
        let meant = models::meant(&catalog, &owner, &name)?;
        let mut shown = Json::Object(asked.input);
        files::settle(&self.app, &self.caller, &self.base, &mut shown).await?;
        let mut input = shown.clone();
        files::as_assets(&mut input);
        let (Json::Object(shown), Json::Object(input)) = (shown, input) else {
            return Err(Error::internal("an input is no input any more"));
        };
        let webhook = asked.webhook.clone().or_else(|| asked.webhook_completed.clone());
        if let Some(url) = &webhook {
            self.app.check_receiver(url).map_err(|error| error.context("`webhook`"))?;
        }
        let filter = match (&asked.webhook, &asked.webhook_completed) {
            (None, Some(_)) => Some(vec![wire::WebhookEvent::Completed]),
            _ => asked.webhook_events_filter,
        };
        let facts = Facts {
            version: meant.version,
            input: shown,
            webhook: webhook.clone(),
            filter: filter.clone(),
        };
        let origin = Origin {
            face: FACE.to_owned(),
            path: self.route.clone(),
            name: format!("{owner}/{name}"),
            base: self.base.0.clone(),
            extra: serde_json::to_value(facts)
                .map_err(|error| Error::internal(format!("it cannot be kept: {error}")))?,
            ..Origin::default()
        };
        let mut call = Call::new(meant.name, input, origin);
        call.tasks = meant.tasks;
        call.webhook = webhook.map(|url| Webhook { url, topics: topics(filter.as_deref()) });
        call.claim = Some(claim);
        call.end_by_ms =
            self.cancel_after()?.map(|after| self.app.later_ms(after.as_millis() as u64));
        call.wants_news = asked.stream == Some(true);
        Ok(call)
    }

    /// The header by which a prediction is given up if it takes too long.
    fn cancel_after(&self) -> Result<Option<Duration>> {
        let Some(text) = self.header("cancel-after") else { return Ok(None) };
        duration(text).map(Some).ok_or_else(|| {
            Error::invalid(format!("the header cancel-after is '{text}', which is no duration"))
                .hint("write 30s, 5m, 1h30m or a number of seconds; the least is 5s")
        })
    }
}

/// What happens here when what a client wants to be told of happens there.
fn topics(filter: Option<&[wire::WebhookEvent]>) -> Vec<String> {
    let wants = |event| filter.is_none_or(|filter| filter.contains(&event));
    let ends = ["run.succeeded", "run.failed", "run.cancelled"];
    let start = wants(wire::WebhookEvent::Start).then_some(STARTED);
    // Output and logs are told with the end: there is no output before it.
    let rest =
        [wire::WebhookEvent::Output, wire::WebhookEvent::Logs, wire::WebhookEvent::Completed];
    let ends = rest.into_iter().any(wants).then_some(ends).into_iter().flatten();
    start.into_iter().chain(ends).map(str::to_owned).collect()
}

/// For how long a client wants to wait: `Prefer: wait`, or `wait=<seconds>`.
fn wait_of(headers: &HeaderMap, usual_ms: u64) -> Option<Duration> {
    let prefers = headers.get("prefer")?.to_str().ok()?;
    prefers.split([',', ';']).map(str::trim).find_map(|wish| {
        if wish == "wait" {
            return Some(Duration::from_millis(usual_ms));
        }
        let seconds: u64 = wish.strip_prefix("wait=")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.clamp(1, 60)))
    })
}

/// A duration such as `90`, `30s`, `5m` or `1h30m`; none below five seconds.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut number = String::new();
    for letter in text.trim().chars() {
        let unit = match letter {
            '0'..='9' => {
                number.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    if !number.is_empty() {
        seconds = seconds.checked_add(number.parse().ok()?)?;
    }
    (seconds >= 5).then(|| Duration::from_secs(seconds))
}

pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Result<Response> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Error::internal(format!("it cannot be written: {error}")))?;
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// `GET /predictions/{id}`.
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    base: Base,
) -> Result<Response, Refusal> {
    let caller = who.may(Scope::Read)?;
    let view = app.view(&caller, &RunId::new(id)).await?;
    let shown = prediction(&app, &caller, &base, view, Files::Usable).await?;
    Ok(json(StatusCode::OK, &shown)?)
}

/// `POST /predictions/{id}/cancel`.
pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    base: Base,
) -> Result<Response, Refusal> {
    let caller = who.may(Scope::Run)?;
    let run = RunId::new(id);
    let view = app.view(&caller, &run).await?;
    let view = if status(&view).is_over() { view } else { given_up(&app, &caller, run).await? };
    let shown = prediction(&app, &caller, &base, view, Files::Usable).await?;
    Ok(json(StatusCode::OK, &shown)?)
}

async fn given_up(app: &App, caller: &Caller, run: RunId) -> Result<RunView> {
    match app.cancel(caller, &run).await {
        // It ended in between.
        Err(error) if error.kind != ErrorKind::Conflict => return Err(error),
        _ => {}
    }
    app.wait(caller, Ticket { run, handle: None }, CANCEL_WAIT).await
}

/// Which page of a list.
#[derive(Deserialize)]
pub(super) struct Cursor {
    pub(super) cursor: Option<String>,
}

/// `GET /predictions`.
pub(super) async fn list(
    State(app): State<App>,
    Query(Cursor { cursor }): Query<Cursor>,
    who: Who,
    base: Base,
) -> Result<Response, Refusal> {
    let caller = who.may(Scope::Read)?;
    let mut results = Vec::new();
    let mut next = cursor.map(RunId::new);
    'pages: for _ in 0..LOOKS {
        let mut filter = RunFilter::newest(caller.tenant.clone(), LOOK_THROUGH);
        filter.before = next.take();
        let records = app.store().list(filter).await?;
        let is_last = records.len() < LOOK_THROUGH as usize;
        for record in records {
            let id = record.run.id;
            let origin: Origin = serde_json::from_str(&record.run.origin).unwrap_or_default();
            if origin.face == FACE {
                if results.len() == PAGE {
                    break 'pages;
                }
                let view = app.view(&caller, &id).await?;
                results.push(prediction(&app, &caller, &base, view, Files::Addresses).await?);
            }
            next = Some(id);
        }
        if is_last {
            next = None;
            break;
        }
    }
    let next = next.map(|run| format!("{}/replicate/v1/predictions?cursor={run}", base.0));
    Ok(json(StatusCode::OK, &wire::Page { previous: None, next, results })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_duration(text: &str, seconds: Option<u64>) {
        assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn durations_are_read() {
        check_duration("90", Some(90));
        check_duration("1m", Some(60));
        check_duration("1h30m5s", Some(5_405));
        for bad in ["", "1", "4s", "soon", "1w", "m", "99999999999999999999d"] {
            check_duration(bad, None);
        }
    }

    #[test]
    fn a_wish_to_wait_is_found_among_others() {
        let wait = |text: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("prefer"),
                HeaderValue::from_static(text),
            )]);
            wait_of(&headers, 7_000).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("wait"), Some(7));
        assert_eq!(wait("respond-async, wait=3"), Some(3));
        assert_eq!(wait("wait=900"), Some(60));
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(wait_of(&HeaderMap::new(), 7_000), None);
    }

    #[test]
    fn a_filter_becomes_topics() {
        use wire::WebhookEvent::{Completed, Start};
        assert_eq!(topics(None).len(), 4);
        assert_eq!(topics(Some(&[Start])), [STARTED]);
        assert_eq!(topics(Some(&[Completed])).len(), 3);
    }
}
