//! Runs: begun, looked at, followed, ended.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use impasto_api::{PolicyRequest, RunList, RunRequest, SignalRequest, TierName};
use impasto_domain::{
    Error, ErrorKind, InDoubt, ModelId, Money, Policy, ProviderId, Result, RunId, TaskId, Tier,
};
use impasto_engine::{Answer, RunHandle};
use impasto_store::{RunFilter, RunRecord, RunStatus};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::extract::{Asked, Named, Sent, bad_cursor, page};
use super::show::{Viewer, run_view};
use crate::app::App;
use crate::caller::Caller;
use crate::calls::{self, Call, Name, Origin, RunView, ViewStatus, Webhook};
use crate::events::{self, Heard, Place};
use crate::files::Base;
use crate::problem::{Problem, code};

/// What may be asked to be told of.
pub(super) const TOPICS: [&str; 5] =
    ["run.started", "run.succeeded", "run.failed", "run.cancelled", "run.parked"];
/// How far priorities go.
const PRIORITIES: std::ops::RangeInclusive<i32> = -1_000..=1_000;

/// How a run is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Wait(Duration),
    AtOnce,
    Stream,
}

impl Manner {
    fn of(app: &App, headers: &HeaderMap) -> Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text("accept").is_some_and(|accept| accept.contains("text/event-stream")) {
            return Ok(Self::Stream);
        }
        let mut wait_ms = app.options().wait_ms;
        for wish in text("prefer").unwrap_or_default().split([',', ';']).map(str::trim) {
            if wish.eq_ignore_ascii_case("respond-async") {
                return Ok(Self::AtOnce);
            }
            if let Some(seconds) = wish.strip_prefix("wait=") {
                let seconds: u64 = seconds.trim().parse().map_err(|_| {
                    Error::invalid(format!("`Prefer: {wish}` names no number of seconds"))
                        .hint("write `Prefer: wait=30`, or `Prefer: respond-async`")
                })?;
                wait_ms = seconds.saturating_mul(1_000);
            }
        }
        Ok(Self::Wait(Duration::from_millis(wait_ms.min(app.options().wait_max_ms))))
    }
}

/// `POST /v1/runs`
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    headers: HeaderMap,
    sent: Sent<RunRequest>,
) -> Result<Response, Problem> {
    let manner = Manner::of(&app, &headers)?;
    let key = wish_key(&headers, &sent.value)?;
    let claim = calls::claim(key.as_deref(), "POST /v1/runs", &sent.bytes);
    let mut call = call_of(&app, &base, sent.value)?;
    call.wants_news |= manner == Manner::Stream;
    call.claim = Some(claim.clone());
    // Whoever cannot be told of a run does not begin one.
    let listening = (manner == Manner::Stream).then(|| Place::take(&app)).transpose()?;
    let mut ticket = app.submit(&caller, call).await.map_err(|error| {
        let reused = calls::is_reuse(&claim, &error);
        let problem = Problem::from(error);
        if reused { problem.coded(code::IDEMPOTENCY_KEY_REUSED) } else { problem }
    })?;
    let delivery = app.delivery(&caller, Some(&claim), &ticket.run);
    let viewer = Viewer::new(&app, &caller, &base);
    let place = location(&ticket.run)?;
    let mut response = match (manner, listening) {
        (Manner::Wait(at_most), _) => shown(&viewer, &app.wait(&caller, ticket, at_most).await?),
        (Manner::Stream, Some(listening)) => {
            // Nothing may come in between: what is told live is told once.
            let live = ticket.handle.as_mut().and_then(RunHandle::updates);
            let updates = live.unwrap_or_else(|| app.updates(&caller, &ticket.run, 0));
            listening.over(events::stream_of(viewer, ticket.run, updates, Heard::default()))
        }
        _ => shown(&viewer, &app.view(&caller, &ticket.run).await?),
    };
    response.headers_mut().insert(header::LOCATION, place);
    Ok(delivery.over(response))
}

fn location(run: &RunId) -> Result<HeaderValue> {
    HeaderValue::from_str(&format!("/v1/runs/{run}"))
        .map_err(|error| Error::internal(format!("the id of a run cannot be sent: {error}")))
}

/// A run; 202 if it goes on.
fn shown(viewer: &Viewer, view: &RunView) -> Response {
    let status = if view.status.is_over() { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, axum::Json(run_view(viewer, view))).into_response()
}

/// The key under which the client makes its wish, if it names one.
fn wish_key(headers: &HeaderMap, request: &RunRequest) -> Result<Option<String>> {
    let mut sent = headers.get_all("idempotency-key").iter();
    let first = sent.next();
    if sent.any(|other| Some(other) != first) {
        let message = "the header Idempotency-Key was sent twice, with different keys";
        return Err(Error::invalid(message).hint("send one of them"));
    }
    let given = calls::wish_key(headers)?;
    let Some(key) = request.idempotency_key.as_deref() else { return Ok(given.map(str::to_owned)) };
    calls::check_wish_key(key)?;
    if given.is_some_and(|header| header != key) {
        let message = "the header Idempotency-Key and `idempotency_key` differ";
        return Err(Error::invalid(message).hint("send one of them"));
    }
    Ok(Some(key.to_owned()))
}

/// What is to be done by a request.
fn call_of(app: &App, base: &Base, request: RunRequest) -> Result<Call> {
    let wish = Wish { task: request.task, model: request.model, workflow: request.workflow };
    check_options(&wish, &request.input)?;
    let (name, tasks, spoken) = wish.name()?;
    let origin = Origin {
        face: "native".to_owned(),
        path: "/v1/runs".to_owned(),
        name: spoken,
        base: base.0.clone(),
        ..Origin::default()
    };
    let priority = request.priority.unwrap_or_default();
    if !PRIORITIES.contains(&priority) {
        let (least, most) = (PRIORITIES.start(), PRIORITIES.end());
        let message = format!("`priority` is {priority}, it can be {least} to {most}");
        return Err(Error::invalid(message));
    }
    let start_by_ms = request.start_within_ms.map(|within| app.later_ms(within));
    let end_by_ms = request.deadline_ms.map(|within| app.later_ms(within));
    let webhook = request.webhook.map(|webhook| {
        app.check_receiver(&webhook.url)?;
        check_topics(&webhook.topics)?;
        Ok::<_, Error>(Webhook { url: webhook.url, topics: webhook.topics })
    });
    Ok(Call {
        tasks,
        policy: request.policy.map(policy).transpose()?.unwrap_or_default(),
        seed: request.seed,
        priority,
        start_by_ms,
        end_by_ms,
        webhook: webhook.transpose()?,
        no_cache: request.no_cache,
        wants_news: request.partials,
        ..Call::new(name, request.input, origin)
    })
}

/// What is named: a task, a model, or a workflow.
pub(super) struct Wish {
    pub(super) task: Option<String>,
    pub(super) model: Option<String>,
    pub(super) workflow: Option<String>,
}

impl Wish {
    /// Whether nothing is named.
    pub(super) fn is_empty(&self) -> bool {
        self.task.is_none() && self.model.is_none() && self.workflow.is_none()
    }

    /// The name, the tasks that are meant, and how it was said.
    pub(super) fn name(self) -> Result<(Name, Vec<TaskId>, String)> {
        match (self.task, self.model, self.workflow) {
            (None, None, Some(workflow)) => {
                let (name, version) = versioned(&workflow)?;
                Ok((Name::Workflow { name, version }, Vec::new(), workflow))
            }
            (task, Some(model), None) => {
                let tasks = task.into_iter().map(TaskId::new).collect();
                Ok((Name::Model(model.clone()), tasks, model))
            }
            (Some(task), None, None) => Ok((Name::Task(TaskId::new(&*task)), Vec::new(), task)),
            (None, None, None) => {
                Err(Error::invalid("one of `task`, `model` and `workflow` has to be named")
                    .hint("name a task such as text-to-image; GET /v1/tasks lists them"))
            }
            (_, _, Some(_)) => {
                Err(Error::invalid("only one of `task`, `model` and `workflow` can be named")
                    .hint("a workflow says itself what its steps do: leave out the other names"))
            }
        }
    }
}

/// Refuses what cannot be options of a task. What a workflow calls so is its own.
pub(super) fn check_options(wish: &Wish, input: &Map<String, Json>) -> Result<()> {
    let odd = input.get("options").filter(|options| !options.is_object() && !options.is_null());
    if odd.is_none() || wish.workflow.is_some() {
        return Ok(());
    }
    Err(Error::invalid("`options` is no object")
        .hint("give what the provider takes by its names, such as {\"style\": \"raw\"}"))
}

/// The name and the version of `name@version`.
fn versioned(text: &str) -> Result<(String, Option<u32>)> {
    let Some((name, version)) = text.rsplit_once('@') else { return Ok((text.to_owned(), None)) };
    let number = version.trim_start_matches('v').parse().map_err(|_| {
        Error::invalid(format!("`workflow` is '{text}', and '{version}' is no version"))
            .hint("write name@3, or the name alone for the newest")
    })?;
    Ok((name.to_owned(), Some(number)))
}

fn tier(tier: TierName) -> Tier {
    match tier {
        TierName::Draft => Tier::Draft,
        TierName::Standard => Tier::Standard,
        TierName::Hero => Tier::Hero,
    }
}

/// What is wanted of every route.
pub(super) fn policy(request: PolicyRequest) -> Result<Policy> {
    let in_doubt = match request.in_doubt.as_deref() {
        None => None,
        Some("park") => Some(InDoubt::Park),
        Some("fail") => Some(InDoubt::Fail),
        Some("retry") => Some(InDoubt::Retry),
        Some(other) => {
            let message = format!("`policy.in_doubt` is '{other}', it can be park, fail or retry");
            return Err(Error::invalid(message));
        }
    };
    if let Some(most) = request.max_cost.filter(|most| *most < 0) {
        return Err(Error::invalid(format!("`policy.max_cost` is {most}, the least is 0")));
    }
    Ok(Policy {
        tier: request.tier.map(tier),
        max_cost: request.max_cost.map(Money::micros),
        max_latency_ms: request.max_latency_ms,
        min_tier: request.min_tier.map(tier),
        licences: request.licences,
        models: request.models.into_iter().map(ModelId::new).collect(),
        providers: request.providers.into_iter().map(ProviderId::new).collect(),
        in_doubt,
    })
}

/// Refuses topics that nothing is ever told of.
pub(super) fn check_topics(topics: &[String]) -> Result<()> {
    let odd = topics.iter().find(|topic| !TOPICS.contains(&topic.as_str()));
    odd.map_or(Ok(()), |odd| {
        let message = format!("nothing is ever told of `{odd}`");
        Err(Error::invalid(message).hint(format!("there are {}", TOPICS.join(", "))))
    })
}

/// What a list of runs is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    status: Option<String>,
    work: Option<String>,
    created_from_ms: Option<u64>,
    created_to_ms: Option<u64>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// The most runs that are looked at for one page of a list.
const LOOKED_AT_MAX: usize = 10_000;

/// `GET /v1/runs`
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<RunList>, Problem> {
    let page = page(&app, query.limit)?;
    let limit = page as usize;
    let (statuses, only_queued) = statuses(query.status.as_deref())?;
    let mut filter = RunFilter {
        statuses,
        workflow: query.work,
        created_from_ms: query.created_from_ms,
        created_to_ms: query.created_to_ms,
        before: query.cursor.map(RunId::new),
        ..RunFilter::newest(caller.tenant.clone(), page)
    };
    let viewer = Viewer::new(&app, &caller, &base);
    let mut runs = Vec::with_capacity(limit);
    let mut looked_at = 0;
    // What waits is told from what works by its events only, so more may be looked at than is shown.
    loop {
        let found = app.engine().runs(filter.clone()).await.map_err(|error| match error.kind {
            ErrorKind::NotFound => bad_cursor(),
            _ => error,
        })?;
        let is_last = found.len() < limit;
        for record in found {
            looked_at += 1;
            let view = listed(&viewer, &record).await?;
            filter.before = Some(record.run.id);
            let is_working = record.status == RunStatus::Running;
            if only_queued && is_working && view.status != ViewStatus::Queued {
                continue;
            }
            let mut shown = run_view(&viewer, &view);
            (shown.output, shown.error, shown.cost) = (None, None, None);
            runs.push(shown);
            if runs.len() == limit {
                break;
            }
        }
        let is_full = runs.len() == limit || looked_at >= LOOKED_AT_MAX;
        if is_full || is_last {
            let next_cursor = filter.before.filter(|_| is_full).map(|last| last.to_string());
            return Ok(axum::Json(RunList { runs, next_cursor }));
        }
    }
}

/// A run as it is listed: of one that is over, no events are read.
async fn listed(viewer: &Viewer, record: &RunRecord) -> Result<RunView> {
    if record.status == RunStatus::Running {
        return viewer.app.view(&viewer.caller, &record.run.id).await;
    }
    Ok(RunView::of_record(record))
}

/// The states that are meant, and whether of runs that are not over only those are meant that wait for
/// their first place.
fn statuses(text: Option<&str>) -> Result<(Vec<RunStatus>, bool)> {
    let Some(text) = text else { return Ok((Vec::new(), false)) };
    let mut statuses = Vec::new();
    for name in text.split(',').map(str::trim) {
        statuses.push(match name {
            "queued" => RunStatus::Running,
            other => RunStatus::parse(other).ok_or_else(|| {
                Error::invalid(format!("`status` is '{other}'")).hint(
                    "it can be queued, running, succeeded, failed, cancelled, parked, interrupted",
                )
            })?,
        });
    }
    let names = |name: &str| text.split(',').any(|known| known.trim() == name);
    Ok((statuses, names("queued") && !names("running")))
}

/// `GET /v1/runs/{run}`
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    Named(run): Named<String>,
) -> Result<Response, Problem> {
    let view = app.view(&caller, &RunId::new(run)).await?;
    let viewer = Viewer::new(&app, &caller, &base);
    Ok(axum::Json(run_view(&viewer, &view)).into_response())
}

/// `GET /v1/runs/{run}/report`
pub(super) async fn report(
    State(app): State<App>,
    caller: Caller,
    Named(run): Named<String>,
) -> Result<Response, Problem> {
    let run = RunId::new(run);
    // What is not there is told in the same way everywhere.
    app.view(&caller, &run).await?;
    let report = app.engine().report(caller.tenant, run).await?;
    Ok(axum::Json(report).into_response())
}

/// Where a listener goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AfterQuery {
    after: Option<String>,
}

/// `GET /v1/runs/{run}/events`
pub(super) async fn stream(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    headers: HeaderMap,
    Named(run): Named<String>,
    Asked(query): Asked<AfterQuery>,
) -> Result<Response, Problem> {
    let header = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let last = header.filter(|id| !id.is_empty()).or(query.after.as_deref());
    let heard = last.filter(|id| !id.is_empty()).map(Heard::parse).transpose()?.unwrap_or_default();
    let run = RunId::new(run);
    let updates = app.updates(&caller, &run, heard.seq);
    let view = app.view(&caller, &run).await?;
    if heard.seq > view.last_seq {
        // It is the id of another run's event: whoever goes on after it would miss some of this one's.
        let message =
            format!("event {} is none of this run, whose last is {}", heard.seq, view.last_seq);
        let hint = "leave the id out to hear everything";
        return Err(Error::invalid(message).hint(hint).into());
    }
    if events::has_heard_all(&view, heard) {
        // For a browser this means: do not come again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let listening = Place::take(&app)?;
    let viewer = Viewer::new(&app, &caller, &base);
    Ok(listening.over(events::stream_of(viewer, run, updates, heard)))
}

/// `POST /v1/runs/{run}/cancel`
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    Named(run): Named<String>,
) -> Result<Response, Problem> {
    let run = RunId::new(run);
    let asked = app.cancel(&caller, &run).await;
    let view = app.view(&caller, &run).await?;
    match asked {
        // To ask for it again is no mistake.
        Err(error) if view.status != ViewStatus::Cancelled => {
            let hint = "there is nothing left to end; GET /v1/runs/{run} shows how it ended";
            Err(error.hint(hint).into())
        }
        _ => Ok(accepted(&Viewer::new(&app, &caller, &base), &view)),
    }
}

fn accepted(viewer: &Viewer, view: &RunView) -> Response {
    (StatusCode::ACCEPTED, axum::Json(run_view(viewer, view))).into_response()
}

/// `POST /v1/runs/{run}/signals`
pub(super) async fn signal(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    Named(run): Named<String>,
    sent: Sent<SignalRequest>,
) -> Result<Response, Problem> {
    let (run, tenant) = (RunId::new(run), caller.tenant.clone());
    app.view(&caller, &run).await?;
    let engine = app.engine();
    let answer = |step: String, approved, note| {
        Ok::<_, Error>(Answer { key: step.parse()?, approved, note })
    };
    match sent.value {
        SignalRequest::Approve { step, note } => {
            engine.answer(tenant, run.clone(), answer(step, true, note)?).await.map(drop)?;
        }
        SignalRequest::Reject { step, note } => {
            engine.answer(tenant, run.clone(), answer(step, false, note)?).await.map(drop)?;
        }
        SignalRequest::Settle { step, again } => {
            engine.settle(tenant, run.clone(), step.parse()?, again).await.map(drop)?;
        }
        SignalRequest::Resume {} => engine.resume(tenant, run.clone()).await.map(drop)?,
    }
    let view = app.view(&caller, &run).await?;
    Ok(accepted(&Viewer::new(&app, &caller, &base), &view))
}
